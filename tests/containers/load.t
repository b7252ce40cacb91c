#!/bin/bash
# `ocibuild save` and `load`, and other people's tools on the archive and on the layout:
# skopeo, umoci, containerd's import, podman load, docker load.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
A=$W/all.tar
mapfile -t names < <(images)

ok 'save' "$BIN/ocibuild" save -o "$A"
"$BIN/ocibuild" ls --json >"$W/ls.json"

manifest() { jq -r --arg n "$1" '.[] | select(.name == $n) | .manifest' "$W/ls.json"; }
id_of() { jq -r '.config.digest' "build/images/blobs/sha256/$(manifest "$1" | cut -d: -f2)"; }

# ---- the layout
for n in "${names[@]}"; do
	ok "skopeo inspects $n" skopeo inspect --raw "oci:build/images:$n"
	is '… its manifest is the one that ocibuild lists' "sha256:$(sha256sum <"$W/out" | cut -d' ' -f1)" \
		"$(manifest "$n")"
	ok '… and its configuration' skopeo inspect --config "oci:build/images:$n"
done

# umoci [--rootless] unpacks the layers; what comes out is what tar makes of them
unpacked() { (cd "$1" && find . -mindepth 1 -printf '%P %y %m %s %l\n' | sed 's/ d \([0-7]*\) [0-9]* / d \1 /' | LC_ALL=C sort); }
by_tar() {
	local l
	mkdir -p "$2"
	jq -r '.layers[].digest' "build/images/blobs/sha256/$(manifest "$1" | cut -d: -f2)" |
		while read -r l; do
			tar -xf "build/images/blobs/sha256/${l#sha256:}" -C "$2" --no-same-owner --same-permissions
		done
}
for n in "${names[@]}"; do
	ok "umoci unpacks $n" umoci unpack --image "build/images:$n" "$W/bundle"
	by_tar "$n" "$W/tar"
	unpacked "$W/bundle/rootfs" >"$W/a"
	unpacked "$W/tar" >"$W/b"
	ok "… into what is in its layers ($(wc -l <"$W/a") files)" diff "$W/a" "$W/b"
	rm -rf "$W/bundle" "$W/tar"
	# once is enough for the large layer that the -dev variants share
	[[ $n != *-dev ]] || continue
	chmod 755 "$W"
	mkdir -m 777 "$W/user"
	ok '… and as an ordinary user' setpriv --reuid 1234 --regid 1234 --clear-groups \
		env HOME="$W/user" umoci unpack --rootless --image "build/images:$n" "$W/user/bundle"
	ok '… into as many files' [ "$(find "$W/user/bundle/rootfs" -mindepth 1 | wc -l)" = "$(wc -l <"$W/b")" ]
	rm -rf "$W/user"
done

# ---- the archive
mkdir "$W/layout"
tar -xf "$A" -C "$W/layout"
ok 'skopeo finds every image in the archive' skopeo inspect --raw "oci:$W/layout:docker.io/signbox/static:latest"
for n in "${names[@]}"; do
	if [ "$(jq -r --arg n "docker.io/signbox/$n:latest" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $n) | .digest' "$W/layout/index.json")" = "$(manifest "$n")" ]; then
		ok "skopeo reads $n as docker-archive" skopeo inspect --config "docker-archive:$A:signbox/$n:latest"
	fi
done

import() {
	local e=$1 n
	ok "$e loads the archive with all images" "$e" load -i "$A"
	ok "… from a pipe, too" bash -c "'$BIN/ocibuild' save static busybox | $e load"
	for n in "${names[@]}"; do
		is "$e: the id of $n is the digest of its configuration" \
			"$("$e" image inspect -f '{{.Id}}' "signbox/$n" | sed 's/^sha256://')" \
			"$(id_of "$n" | cut -d: -f2)"
	done
	ok "$e takes an archive with one image" bash -c "'$BIN/ocibuild' save static -o '$W/one.tar' && $e load -i '$W/one.tar'"
	head -c 200000 "$A" >"$W/cut.tar"
	fails "$e refuses an archive that was cut off" 'EOF|invalid|unexpected|Error' "$e" load -i "$W/cut.tar"

	run "$BIN/ocibuild" load --into "$e" --json
	check "ocibuild load --into $e"
	is '… what is there is not sent again' "$(jq -c '[.[].loaded] | unique' <<<"$out")" '[false]'
	is '… every image' "$(jq length <<<"$out")" "${#names[@]}"
	"$e" rmi signbox/static:latest >/dev/null
	run "$BIN/ocibuild" load --into "$e" --json
	is '… what lost a tag is' "$(jq -c '[.[] | select(.loaded) | .name]' <<<"$out")" '["static"]'
	"$e" tag signbox/busybox:latest signbox/static:latest
	run "$BIN/ocibuild" load static --into "$e"
	like '… and what has a tag of ours but is another image' "$out" "^signbox/static:latest +[0-9a-f]{12} .*loaded into $e"
	run "$BIN/ocibuild" load static --into "$e" --prefix registry.example:5000/team
	check '… under another prefix'
	ok '… which the engine knows' "$e" image inspect registry.example:5000/team/static:latest
	"$e" images -q --no-trunc registry.example:5000/team/static | sort -u >"$W/ids"
	"$e" images --format '{{.Repository}}:{{.Tag}}' | grep '^registry.example' | xargs "$e" rmi >/dev/null
}
for_engines import

# containerd's own store names images by the index, not by manifest.json
if [ -S "$CT_DIR/exec/containerd/containerd.sock" ]; then
	c() { ctr -a "$CT_DIR/exec/containerd/containerd.sock" -n "$CT" images "$@"; }
	ok "containerd's import takes the archive" c import "$A"
	run c ls -q
	is '… and names every image as docker would' "$(grep -c '^docker.io/signbox/.*:latest$' <<<"$out")" "${#names[@]}"
	c ls -q | xargs ctr -a "$CT_DIR/exec/containerd/containerd.sock" -n "$CT" images rm >/dev/null
fi
done_testing
