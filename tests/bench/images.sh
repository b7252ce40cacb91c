#!/bin/bash
# The images' part of make bench: building with nothing changed and from the cache, beside
# buildah and umoci, which are given the finished trees of the same layers. Prints rows as
# run.sh does and never fails. Alone: tests/bench/images.sh
set -u
BIN=$(realpath "${BIN:-build/bin}") BUILD=$(realpath "${BUILD:-build}") SRC=$(realpath "${SRC:-.}")
ROUNDS=${ROUNDS:-5}
OUT=$BUILD/bench
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
mkdir -p "$OUT"
export TMPDIR=$W HOME=$W XDG_RUNTIME_DIR=$W/run

note() { printf '%s\n' "$*" >&2; }
# nothing, of no figures
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
row() { printf '%-44s %12s %12s  %s\n' "$@"; }
# seconds that a command takes; nothing, and its words on stderr, when it fails
seconds() {
	local from to
	from=$(date +%s.%N)
	"$@" >"$W/log" 2>&1 || {
		tail -3 "$W/log" >&2
		return 1
	}
	to=$(date +%s.%N)
	awk "BEGIN { printf \"%.3f\", $to - $from }"
}
# row_time NAME TARGET SECONDS
row_time() {
	if [ -z "$3" ]; then
		row "$1" "$2" - "not measured: see above"
	elif [ "$2" = - ]; then
		row "$1" - "$3" ''
	else
		row "$1" "< $2" "$3" "$(awk "BEGIN { print $3 < $2 ? \"held\" : \"missed\" }")"
	fi
}

give_up() {
	row "images: build times, seconds" - - "not measured: $1"
	exit 0
}

[ -d "${SIGNBOX_CACHE:-}/sha256" ] || give_up "no download cache"
[ -e "$BUILD/rootfs/dev.stamp" ] || give_up "no rootfs dev: run make"
cd "$SRC" || exit 0

# a build folder of its own: with the programs, the client library, the rootfs and nothing built
new_folder() {
	rm -rf "${OUT:?}/p" && mkdir -p "$OUT/p/rootfs" && cp -r "$BIN" "$OUT/p/bin" && cp -r "$BUILD/lib" "$OUT/p/lib" &&
		ln "$BUILD"/rootfs/dev.{tar,tar.sha256,stamp} "$OUT/p/rootfs/"
}
oci() { "$BIN/ocibuild" "$@" --build "$OUT/p"; }
list=$(new_folder && oci ls --json | jq -r '.[].name') || give_up "ocibuild ls failed"
mapfile -t all < <(grep -vx dev <<<"$list")
# what is made of the layers of dev is measured with dev
mapfile -t plain < <(grep -v -e '^dev\(-\|$\)' -e '-dev$' <<<"$list")

note "images: from the cache"
for ((i = 0; i < (ROUNDS + 1) / 2; i++)); do
	new_folder
	seconds oci build "${plain[@]}" || break
	echo
done >"$W/cold"
note "images: all, with dev"
dev=$(new_folder && seconds oci build)
note "images: nothing changed"
for ((i = 0; i < ROUNDS; i++)); do
	seconds oci build "${all[@]}" || break
	echo
done >"$W/warm"

# ---- the same content through other tools: the tree of each layer is there already
layers() { jq -r --arg n "$1" '.[$n].layers[] | "\(.digest) \(.definition)"' "$OUT/p/images.json"; }
trees() {
	local name digest definition
	for name in "${plain[@]}"; do
		while read -r digest definition; do
			[ -e "$W/tree/$definition" ] && continue
			mkdir -p "$W/tree/$definition"
			tar -xzf "$OUT/p/images/blobs/sha256/${digest#*:}" -C "$W/tree/$definition" || return 1
		done < <(layers "$name")
	done
}
umoci_all() {
	local name digest definition last
	umoci init --layout "$W/u" || return 1
	for name in "${plain[@]}"; do
		last=''
		while read -r digest definition; do
			if [ -z "$last" ] && umoci tag --image "$W/u:$definition" "$name-new" 2>/dev/null; then
				last=$definition # the base was made before
				continue
			fi
			[ -n "$last" ] || umoci new --image "$W/u:$name-new" || return 1
			last=$definition
			umoci insert --image "$W/u:$name-new" "$W/tree/$definition" / || return 1
		done < <(layers "$name")
		umoci tag --image "$W/u:$name-new" "$name" || return 1
	done
}
# nothing runs in the containers, so a helper for their network has nothing to do
buildah_() { buildah --root "$W/bs" --runroot "$W/br" --storage-driver vfs "$@"; }
buildah_all() {
	local name digest definition from c
	mkdir -p "$W/helper" "$XDG_RUNTIME_DIR"
	printf '#!/bin/sh\nexit 0\n' >"$W/helper/netavark" && chmod +x "$W/helper/netavark"
	printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$W/helper" >"$W/containers.conf"
	export CONTAINERS_CONF=$W/containers.conf
	for name in "${plain[@]}"; do
		from=scratch c=''
		while read -r digest definition; do
			if [ -z "$c" ] && buildah_ inspect --type image "localhost/$definition" >/dev/null 2>&1; then
				from=localhost/$definition
				continue
			fi
			[ -n "$c" ] || c=$(buildah_ from --pull=never "$from") || return 1
			buildah_ copy -q "$c" "$W/tree/$definition" / || return 1
		done < <(layers "$name")
		buildah_ commit -q "$c" "localhost/$name" || return 1
		buildah_ push -q "localhost/$name" "oci:$W/b:$name" || return 1
	done
}

u='' b=''
if trees; then
	# bases first
	mapfile -t plain < <(for n in "${plain[@]}"; do echo "$(layers "$n" | wc -l) $n"; done | sort -s -n -k 1,1 | cut -d ' ' -f 2)
	note "images: umoci"
	if command -v umoci >/dev/null; then u=$(seconds umoci_all); else note "no umoci here"; fi
	note "images: buildah"
	if command -v buildah >/dev/null; then b=$(seconds buildah_all); else note "no buildah here"; fi
else
	note "the layers could not be unpacked"
fi
cold=$(median <"$W/cold") warm=$(median <"$W/warm")
row_time "images but dev, nothing changed, seconds" 1 "$warm"
row_time "images not made of dev, from the cache, s" 10 "$cold"
row_time "  all of them with dev, from its rootfs" - "$dev"
row_time "  the same layers by umoci, from ready trees" - "$u"
row_time "  the same layers by buildah, likewise" - "$b"
printf '{"images":%s,"unchanged":%s,"from_cache":%s,"all":%s,"umoci":%s,"buildah":%s}\n' "${#all[@]}" \
	"${warm:-null}" "${cold:-null}" "${dev:-null}" "${u:-null}" "${b:-null}" >"$OUT/images.json"
rm -rf "${OUT:?}/p"
exit 0
