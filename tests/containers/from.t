#!/bin/bash
# FROM: the examples of docs/examples, built by each engine, judged by `ocibuild check` and
# run for real; the single-file bundle for machines without a network; `make shell`.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
chmod 755 "$W"

# ---- what is built on the images

# builds ENGINE EXAMPLE: $CT-EXAMPLE, by the classic builder and by buildah
builds() {
	local e=$1 x=$2 tag=$CT-$2 base format=()
	[ "$e" = docker ] && export DOCKER_BUILDKIT=0
	# an OCI image has no health check, and that is what podman makes unless told otherwise
	[ "$e" = podman ] && format=(--format docker)
	ok "$e builds docs/examples/$x" "$e" build "${format[@]}" --network none -t "$tag" "docs/examples/$x"
	[ "$rc" = 0 ] || return 1
	MADE+=("$e image $tag")
	base=$(sed -n 's/^FROM //p' "docs/examples/$x/Dockerfile" | tail -1)
	is "… on the layers of $base" \
		"$("$e" image inspect -f '{{json .RootFS.Layers}}' "$tag" | jq -c '.[:-1]')" \
		"$("$e" image inspect -f '{{json .RootFS.Layers}}' "$base" | jq -c .)"
	is '… and its user' "$("$e" image inspect -f '{{.Config.User}}' "$tag")" 65532:65532
	"$e" save -o "$W/$e-$x.tar" "$tag" 2>"$W/err"
	local waivers=()
	[ ! -e "docs/examples/$x/waivers.yaml" ] || waivers=(--waivers "docs/examples/$x/waivers.yaml")
	ok "$e save, and ocibuild check keeps the policy" \
		"$BIN/ocibuild" check --derived "${waivers[@]}" "$W/$e-$x.tar"
	like '… saying what it left out' "$out" "the rule 'sbom' was left out"
	like '… and which image it stands on' "$out" "it stands on ${base#signbox/}, whose waivers hold"
	echo "# $e $x: $(awk '$2 == "runtime" { print $3 " files, " $4 " rules, " $6 " waived" }' <<<"$out"), $(stat -c %s "$W/$e-$x.tar") bytes"
}

# packages ENGINE EXAMPLE: what a scanner sees, besides the base's
packages() {
	"$1" create --name "$CT-look" "$CT-$2" none >/dev/null
	"$1" cp "$CT-look:/var/lib/dpkg/status.d" - | tar -t | sed -n 's,^status.d/\([a-z0-9.+-]*\)$,\1,p' |
		grep -v '\.md5sums$' | sort | tr '\n' ' '
	"$1" rm "$CT-look" >/dev/null
}

shared() {
	local e=$1
	builds "$e" shared || return
	fails '… as the strictest rules would not have it without the waivers' 'bind-now' \
		"$BIN/ocibuild" check --derived "$W/$e-shared.tar"
	tar -czf "$W/example.tgz" -C docs/examples sign/sign.c shared/lsar.c
	"$e" run --rm -i "${hardened[@]}" --network none "$CT-shared" <"$W/example.tgz" >"$W/out" 2>"$W/err"
	rc=$?
	check "$e runs the program with shared libraries"
	like '… which does its work' "$(<"$W/out")" "^ +$(stat -c %s docs/examples/sign/sign.c) sign/sign.c$"
	head -c 200 "$W/example.tgz" | "$e" run --rm -i "${hardened[@]}" "$CT-shared" >"$W/out" 2>"$W/err"
	is '… and says when it cannot' "$?" 1
	like "… package data of every library came along" "$(packages "$e" shared)" \
		'libacl1 libarchive13t64 libbz2-1.0 libc6 .*libxml2 .*zlib1g'
	fails '… and no shell' 'no such file|not found' "$e" run --rm --entrypoint /bin/sh "$CT-shared" -c true
}

# The library's closure: what is missing or elsewhere is refused, not left out.
closure() {
	local e=$1
	run "$e" run --rm --network none signbox/dev-sdk bash -c '
		cd /tmp && echo "int f(void) { return 7; }" >f.c && echo "int f(void); int main(void) { return f(); }" >m.c
		gcc -shared -fPIC -o libf.so f.c && gcc -o m m.c -L. -lf
		runtime-closure /tmp/o1 m:/usr/bin/m; echo "one $?"
		LD_LIBRARY_PATH=. runtime-closure /tmp/o2 m:/usr/bin/m; echo "two $?"
		ls /tmp/o1 /tmp/o2/usr/lib/x86_64-linux-gnu
		/tmp/o2/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path /tmp/o2/usr/lib/x86_64-linux-gnu /tmp/o2/usr/bin/m
		echo "run $?"; runtime-closure /tmp/o3; echo "usage $?"; runtime-closure /tmp/o3 nothing; echo "lost $?"'
	like "$e: runtime-closure: a library that is nowhere is an error" "$out$err" '^one 1$'
	like '… named, with what to do' "$err" 'needs libf.so, which is not here: install its package'
	like '… and one of no package comes along' "$out" '^libf.so$'
	like '… where the loader finds it' "$out" '^run 7$'
	like '… usage' "$out" '^usage 2$'
	like '… no such file' "$out" '^lost 1$'
}

# ---- a program that signs, by the HSM with a configuration of its own

box() {
	local e=$1
	shift
	[ "$1" != hsm ] || set -- hsm --timeout 60 "${@:2}"
	"$e" run --rm "${hardened[@]}" --network "$CT-n$e" -v "$CT-box$e:/nsc" -v "$S:/keys:ro" \
		-e NATS_URL="nats://$CT-nats$e:4222" -e HSM_NKEY=/keys/admin.nk -e NATS_NKEY=/keys/admin.nk \
		signbox/box "$@"
}
sign() {
	local e=$1
	shift
	"$e" run --rm "${hardened[@]}" --network "$CT-n$e" -v "$S:/keys:ro" -v "$W/work:/files" \
		-e NATS_URL="nats://$CT-nats$e:4222" -e HSM_IDENTITY="${IDENTITY:-@/keys/identity}" \
		-e HSM_NKEY=/keys/alice.nk -e SIGN_DEADLINE="${DEADLINE:-60}" "$CT-sign" "$@"
}
nk() { "$1" run --rm -v "$S:/keys:ro" signbox/box nk "${@:2}"; }

# a broker, the example's HSM, a key `release` and an operator alice
service() {
	local e=$1 u
	S=$W/secrets-$e
	mkdir -m 755 "$S" && mkdir -p "$W/work" && chmod 777 "$W/work"
	for u in hsm admin alice; do nk "$e" -gen user >"$S/$u.nk"; done
	head -c 32 /dev/urandom | base64 >"$S/device_key"
	head -c 18 /dev/urandom | base64 >"$S/passphrase"
	chmod 400 "$S"/* && chown 65532:65532 "$S"/*
	ADMIN=$(nk "$e" -inkey /keys/admin.nk -pubout) ALICE=$(nk "$e" -inkey /keys/alice.nk -pubout)
	"$e" run --rm signbox/box nats-config --hsm "$(nk "$e" -inkey /keys/hsm.nk -pubout)" -u "$ADMIN" \
		-u "$ALICE" -l 0.0.0.0:4222 >"$S/nats.conf"
	network "$e" "n$e" && volume "$e" "data$e" && volume "$e" "box$e"
	start "$e" "nats$e" "${hardened[@]}" --network "$CT-n$e" -v "$S/nats.conf:/etc/nats/nats-server.conf:ro" signbox/nats
	HSM=("${hardened[@]}" --network "$CT-n$e" -v "$CT-data$e:/data" -v "$S/hsm.nk:/run/secrets/nats_nkey:ro"
		-v "$S/device_key:/run/secrets/device_key:ro" -e NATS_URL="nats://$CT-nats$e:4222"
		-e HSM_BOOTSTRAP_ADMINS="admin=$ADMIN")
	run "$e" run --rm "${HSM[@]}" "$CT-hsm" check-config
	check "$e: the configuration of the example is right"
	like '… and in force' "$out" 'sessions_per_user.* 16'
	start "$e" "hsm$e" "${HSM[@]}" "$CT-hsm"
	ok "$e: the example's hsm gets healthy" wait_healthy "$e" "hsm$e"
	[ "$rc" = 0 ] || { logs "$e" "hsm$e" | tail -5 | sed 's/^/# /' && return 1; }
	"$e" exec "$CT-hsm$e" /usr/bin/hsmd identity >"$S/identity"
	{
		box "$e" hsm identity pin "$(<"$S/identity")" && box "$e" hsm provision --passphrase-file /keys/passphrase &&
			box "$e" hsm key gen release --type ed25519 && box "$e" hsm user add alice "$ALICE" --role operator &&
			box "$e" hsm key pub release >"$W/work/pub.pem"
	} >"$W/out" 2>"$W/err"
	rc=$?
	check "$e: a key and an operator"
}

signs() {
	local e=$1
	builds "$e" sign && builds "$e" hsm || return
	like "… package data of what is linked statically came along" "$(packages "$e" sign)" \
		'libc6-dev .*libnats-dev .*libsodium-dev libssl-dev'
	service "$e" || return
	echo 'a release' >"$W/work/file"
	ok "$e: the example signs a file" sign "$e" release /files/file /files/file.sig
	ok '… openssl verifies the signature' openssl pkeyutl -verify -rawin -pubin -inkey "$W/work/pub.pem" \
		-in "$W/work/file" -sigfile "$W/work/file.sig"
	fails '… and not for another file' 'Failure|fail' openssl pkeyutl -verify -rawin -pubin -inkey "$W/work/pub.pem" \
		-in "$W/work/pub.pem" -sigfile "$W/work/file.sig"
	fails "$e: no such key: one line" 'sign: gone: .*no such key' sign "$e" gone /files/file /files/no.sig
	is '… status 1' "$rc" 1
	IDENTITY=$(nk "$e" -gen x25519 -pubout | tail -1)
	DEADLINE=2 run sign "$e" release /files/file /files/no.sig
	like "$e: another identity is not answered by this HSM" "$err" '^sign: release: '
	is '… status: not now, or the wrong HSM' "$([ "$rc" = 7 ] || [ "$rc" = 1 ] && echo no)" no
	unset IDENTITY
	run sign "$e"
	is "$e: usage has status 2" "$rc" 2
	"$e" pause "$CT-hsm$e" >/dev/null
	DEADLINE=2 run sign "$e" release /files/file /files/no.sig
	is "$e: a service that does not answer: status 7 at the deadline" "$rc" 7
	like '… with a reason' "$err" '^sign: release: '
	"$e" unpause "$CT-hsm$e" >/dev/null
	ok '… and it works again' sign "$e" release /files/file /files/again.sig
	ok "… openssl verifies that, too" openssl pkeyutl -verify -rawin -pubin -inkey "$W/work/pub.pem" \
		-in "$W/work/file" -sigfile "$W/work/again.sig"
	ok 'nothing was left of those that failed' bash -c "! ls '$W/work' | grep -e no.sig -e new"
}

# ---- a machine without a network

B=$W/signbox-$(<VERSION).tar
writes_bundle() {
	ok 'ocibuild save --bundle' "$BIN/ocibuild" save --bundle -o "$B"
	ok '… its checksum beside it, as sha256sum -c reads it' \
		bash -c "cd '$W' && sha256sum -c '${B##*/}.sha256' && [ \$(wc -l <'${B##*/}.sha256') = 1 ]"
	run "$BIN/ocibuild" inspect --json "$B"
	check 'ocibuild inspect verifies every digest in it'
	is '… every image' "$(jq '.images | length' <<<"$out")" "$(images | wc -l)"
	is '… with SBOMs and provenance' "$(jq -c '[.images[].attached | length] | unique' <<<"$out")" \
		"$("$BIN/ocibuild" sbom static --json >/dev/null && echo '[3]')"
	ok '… and one of them is the one that was built' "$BIN/ocibuild" diff "$B:signbox/static" static
	echo "# the bundle: $(stat -c %s "$B") bytes, $(images | wc -l) images"
}

damaged() {
	local size
	size=$(stat -c %s "$B")
	cp "$B" "$W/bad.tar"
	sed 's/signbox-.*/bad.tar/' "$B.sha256" >"$W/bad.tar.sha256"
	printf '\x5a\xa5\x5a' | dd of="$W/bad.tar" bs=1 seek=$((size / 2)) conv=notrunc status=none
	fails 'a bundle with three other bytes: sha256sum -c' 'bad.tar: FAILED' bash -c "cd '$W' && sha256sum -c bad.tar.sha256"
	fails '… ocibuild inspect: one clear line' '^ocibuild: .*bad.tar is damaged: sha256:.* is not what its name says: copy it again$' \
		"$BIN/ocibuild" inspect "$W/bad.tar"
	is '… status 8' "$rc" 8
	truncate -s $((size / 3)) "$W/bad.tar"
	fails 'a bundle that was cut off: sha256sum -c' 'bad.tar: FAILED' bash -c "cd '$W' && sha256sum -c bad.tar.sha256"
	fails '… ocibuild inspect: one clear line' '^ocibuild: .*bad.tar (is cut off or damaged|is damaged)' \
		"$BIN/ocibuild" inspect "$W/bad.tar"
	echo text >"$W/text"
	fails 'what is no archive' '^ocibuild: .*text is' "$BIN/ocibuild" inspect "$W/text"
	is '… nothing of that is left in TMPDIR' "$(find "$TMPDIR" -maxdepth 1 -name 'ocibuild-*' | wc -l)" 0
}

# podman unpacks a layer once more for each image that has it, and load.t has it load all
# images already: what is built on dev, it need not do again here
loads_bundle() {
	local e=$1 id bundle=$B
	if [ "$e" = podman ]; then
		bundle=$W/some.tar
		# shellcheck disable=SC2046
		"$BIN/ocibuild" save --bundle -o "$bundle" $(images | grep -v '^dev\|-dev$') >/dev/null
	fi
	id=$("$e" image inspect -f '{{.Id}}' signbox/ktls-utils)
	"$e" images --format '{{.Repository}}:{{.Tag}}' | grep '^\(localhost/\|docker.io/\)\?signbox/ktls-utils' | xargs "$e" rmi -f >/dev/null
	fails "$e: an image that is not there" 'no such|not known' "$e" image inspect signbox/ktls-utils
	ok "$e loads the bundle, SBOMs and all" "$e" load -i "$bundle"
	is '… and has it under its tag, with its id' "$("$e" image inspect -f '{{.Id}}' signbox/ktls-utils)" "$id"
	ok '… and the tag of its version' "$e" image inspect "signbox/static:$(<VERSION)"
	run "$BIN/ocibuild" load --into "$e" --json
	is '… all of it is what was built: nothing is sent again' "$(jq -c '[.[].loaded] | unique' <<<"$out")" '[false]'
	head -c 3000000 "$bundle" >"$W/bad.tar"
	fails "$e refuses a bundle that was cut off" 'EOF|invalid|unexpected|Error|damaged' "$e" load -i "$W/bad.tar"
}

containerd() {
	[ -S "$CT_DIR/exec/containerd/containerd.sock" ] || return 0
	c() { ctr -a "$CT_DIR/exec/containerd/containerd.sock" -n "$CT" images "$@"; }
	ok 'ctr imports the bundle' c import "$B"
	run c ls -q
	is '… and names every image' "$(grep -c '^docker.io/signbox/.*:latest$' <<<"$out")" "$(images | wc -l)"
	c ls -q | xargs ctr -a "$CT_DIR/exec/containerd/containerd.sock" -n "$CT" images rm >/dev/null
}

# ---- make shell

shell() {
	local tree=$W/tree
	ok 'make shell is there' grep -q '^shell:' Makefile
	# as a person at a terminal: script makes the pty
	# shellcheck disable=SC2016
	printf '%s\n' 'tty -s && echo "term $TERM"' 'pwd; command -v gcc pkg-config' 'make -n all >/dev/null && echo "in $IN"' 'exit' |
		TERM=xterm-256color script -qec "'$SRC/build/host/ocibuild' enter dev -e IN=dev -- bash" /dev/null >"$W/out" 2>&1
	rc=$?
	check 'make shell: a terminal'
	out=$(tr -d '\r' <"$W/out" | sed 's/\x1b\[[?0-9]*[a-z]//g')
	like '… with a prompt that says where one is' "$out" '\(dev\)root@.*:/src#'
	like '… that it knows' "$out" '^term xterm-256color'
	like '… the sources at /src' "$out" '^/src'
	like '… the compiler' "$out" '^/usr/bin/gcc'
	like '… make does what it does inside' "$out" '^in dev'

	# an ordinary user is root inside, and what is made is theirs outside
	mkdir -m 755 "$tree" && chown 1234:1234 "$tree"
	if ! setpriv --reuid 1234 --regid 1234 --clear-groups unshare -U true 2>/dev/null; then
		echo '# not run: this machine gives ordinary users no name spaces'
		return
	fi
	ok 'an ordinary user enters' setpriv --reuid 1234 --regid 1234 --clear-groups \
		bash -c "cd '$tree' && HOME=/nonexistent '$SRC/build/host/ocibuild' --build '$SRC/build' enter dev -- \
		sh -c 'id -u; echo \"int main(void) { return 0; }\" >x.c && gcc -static-pie -fPIE -o x x.c && ./x'"
	is '… as root' "$out" 0
	is '… and what was made is theirs' "$(stat -c %u:%g "$tree/x" 2>&1)" 1234:1234
}

for_engines shared
for_engines closure
for_engines signs
writes_bundle
damaged
for_engines loads_bundle
containerd
shell
done_testing
