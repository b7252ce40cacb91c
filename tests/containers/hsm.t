#!/bin/bash
# The signing service in containers: a broker, the service with its data on a volume and
# its secrets beside it, the toolbox as client. Nothing of the host is used but the engine.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"

# box ENGINE USER COMMAND…: the toolbox on the network, with that user's NKey
box() {
	local e=$1 user=$2
	shift 2
	[ "$1" != hsm ] || set -- hsm --timeout 60 "${@:2}"
	"$e" run --rm "${hardened[@]}" --network "$CT-n$e" -v "$CT-box$e:/nsc" -v "$S:/keys:ro" \
		-e NATS_URL="nats://$CT-nats$e:4222" -e HSM_NKEY="/keys/$user.nk" -e NATS_NKEY="/keys/$user.nk" \
		signbox/box "$@"
}
nk() { "$1" run --rm -v "$S:/keys:ro" signbox/box nk "${@:2}"; }

# seeds belong to the user of the images; others must not read them
make_secrets() {
	local e=$1 u
	S=$W/secrets-$e
	mkdir -m 755 "$S"
	for u in hsm admin alice; do nk "$e" -gen user >"$S/$u.nk"; done
	head -c 32 /dev/urandom | base64 >"$S/device_key"
	head -c 18 /dev/urandom | base64 >"$S/passphrase"
	chmod 400 "$S"/*
	chown 65532:65532 "$S"/*
	HSM=$(nk "$e" -inkey /keys/hsm.nk -pubout)
	ADMIN=$(nk "$e" -inkey /keys/admin.nk -pubout)
	ALICE=$(nk "$e" -inkey /keys/alice.nk -pubout)
}

start_hsm() {
	start "$1" "hsm$1" "${hardened[@]}" --network "$CT-n$1" \
		-v "$CT-data$1:/data" -v "$S/hsm.nk:/run/secrets/nats_nkey:ro" \
		-v "$S/device_key:/run/secrets/device_key:ro" \
		-e NATS_URL="nats://$CT-nats$1:4222" -e NATS_NKEY=/run/secrets/nats_nkey \
		-e HSM_BOOTSTRAP_ADMINS="admin=$ADMIN" signbox/hsm
}

service() {
	local e=$1
	chmod 755 "$W"
	make_secrets "$e"
	like "$e: keys from the toolbox" "$HSM $ADMIN $ALICE" '^U[A-Z2-7]{55} U[A-Z2-7]{55} U[A-Z2-7]{55}$'
	ok "$e: the broker's configuration" "$e" run --rm signbox/box nats-config --hsm "$HSM" -u "$ADMIN" \
		-u "$ALICE" -l 0.0.0.0:4222
	cp "$W/out" "$S/nats.conf"
	network "$e" "n$e"
	volume "$e" "data$e"
	volume "$e" "box$e"
	start "$e" "nats$e" "${hardened[@]}" --network "$CT-n$e" \
		-v "$S/nats.conf:/etc/nats/nats-server.conf:ro" signbox/nats
	start_hsm "$e" || return
	ok "$e: hsm gets healthy: read-only, without capabilities" wait_healthy "$e" "hsm$e"
	[ "$rc" = 0 ] || logs "$e" "hsm$e" | tail -20 | sed 's/^/# /'

	run "$e" exec "$CT-hsm$e" /usr/bin/hsmd identity
	like '… and says who it is' "$out" '^X[A-Z2-7]{55}$'
	ok '… which the toolbox pins' box "$e" admin hsm identity pin "$out"
	run box "$e" admin hsm state --json
	is '… whose state is' "$(jq -r .state <<<"$out")" unprovisioned
	ok 'provision' box "$e" admin hsm provision --passphrase-file /keys/passphrase
	ok 'a key' box "$e" admin hsm key gen release --type p256
	ok 'an operator' box "$e" admin hsm user add alice "$ALICE" --role operator
	run box "$e" admin hsm state --json
	is 'then its state is' "$(jq -r .state <<<"$out")" operational
	echo 'a message' | "$e" run --rm -i "${hardened[@]}" --network "$CT-n$e" -v "$CT-box$e:/nsc" -v "$S:/keys:ro" \
		-e NATS_URL="nats://$CT-nats$e:4222" -e HSM_NKEY=/keys/alice.nk -e NATS_NKEY=/keys/alice.nk \
		signbox/box hsm --timeout 60 sign release >"$W/sig" 2>"$W/err"
	box "$e" alice hsm key pub release >"$W/pub.pem" 2>>"$W/err"
	echo 'a message' >"$W/msg"
	ok 'openssl verifies what the operator had signed' \
		openssl dgst -sha256 -verify "$W/pub.pem" -signature "$W/sig" "$W/msg"

	# the container goes, the volume stays
	run "$e" stop -t 10 "$CT-hsm$e"
	is 'SIGTERM ends it with status 0' "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-hsm$e")" 0
	"$e" rm "$CT-hsm$e" >/dev/null
	start_hsm "$e"
	wait_healthy "$e" "hsm$e"
	run box "$e" admin hsm state --json
	is 'another container on the same volume starts' "$(jq -r .state <<<"$out")" locked
	ok 'unlock' box "$e" admin hsm unlock --passphrase-file /keys/passphrase
	run box "$e" alice hsm key ls --json
	is '… and has the key' "$(jq -r '.[].name' <<<"$out")" release
	is 'no secret is in its environment or arguments' \
		"$("$e" inspect "$CT-hsm$e" | grep -cF -e "$(cat "$S/device_key")" -e "$(cat "$S/passphrase")")" 0

	start "$e" "bare$e" "${hardened[@]}" signbox/hsm
	wait_for 10 bash -c "[ \"\$($e inspect -f '{{.State.Running}}' $CT-bare$e)\" = false ]"
	like 'without a device key it does not start, and says why' "$(logs "$e" "bare$e")" 'device.key'
	is '… with the status of a bad configuration' "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-bare$e")" 2
}
for_engines service
done_testing
