#!/bin/bash
# make demo: from nothing to six signatures that openssl verifies. Three keys sign a
# real file through a session and on the plain surface.
set -u
. "$(dirname "$0")/lib.sh"

say() { printf '\n== %s\n' "$*"; }
run() {
	printf '   $ %s\n' "$*"
	"$@" 2>&1 | sed 's/^/   /'
	[ "${PIPESTATUS[0]}" = 0 ]
}
stop() {
	echo "demo: FAILED: $*"
	tail -20 "$W"/*.log | sed 's/^/   /'
	exit 1
}

say "a nats-server with NKey users, and the service, on loopback"
new_user hsm && new_user admin && new_user alice || stop "no NKeys"
start_nats -u "${NKEY[admin]}" -u "${NKEY[alice]}:plain" || stop "nats-server does not start"
make_secrets
write_config
start_hsm || stop "the service does not start"
echo "   identity $HSM_IDENTITY"
export HSM_NKEY=$W/admin.nk NATS_NKEY=$W/admin.nk
run hsm state || stop "no state"

say "the administrator provisions, makes three keys, adds an operator"
run hsm provision --passphrase-file "$W/passphrase" || stop "provision"
run hsm key gen demo.ed25519 --type ed25519 || stop "key gen"
run hsm key gen demo.p256 --type p256 || stop "key gen"
run hsm key gen demo.rsa --type rsa --bits 2048 --modes pss-sha256,pkcs1-sha256 || stop "key gen"
run hsm user add alice "${NKEY[alice]}" --role operator || stop "user add"
run hsm key ls || stop "key ls"

cp "$BIN/SHA256SUMS" "$W/SHA256SUMS" || stop "no SHA256SUMS"
verified=0

# verify TYPE SIGNATURE: by the openssl command, with the public key from the HSM
verify() {
	local pub=$W/$1.pem opts=(-rawin)
	[ "$1" = rsa ] && opts+=(-digest sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest)
	[ "$1" = p256 ] && opts+=(-digest sha256)
	hsm key pub "demo.$1" -o "$pub" || stop "key pub $1"
	run openssl pkeyutl -verify -pubin -inkey "$pub" -in "$W/SHA256SUMS" -sigfile "$2" "${opts[@]}" ||
		stop "openssl does not verify $2"
	verified=$((verified + 1))
}

say "the operator signs SHA256SUMS of the executables through sessions"
for t in ed25519 p256 rsa; do
	run as alice sign "demo.$t" "$W/SHA256SUMS" -o "$W/session.$t.sig" || stop "sign $t"
	verify "$t" "$W/session.$t.sig"
done

say "the administrator opens the plain surface for this user and these keys"
run hsm user set alice --plain on || stop "user set"
for t in ed25519 p256 rsa; do
	run hsm key set "demo.$t" --plain on || stop "key set $t"
done

say "any NATS client signs now: one request, raw message in, raw signature out"
for t in ed25519 p256 rsa; do
	run "$T/e2e/nats_req" -t 60000 "$W/alice.nk" \
		"hsm.as.${NKEY[alice]}.sign.demo.$t" "$W/SHA256SUMS" "$W/plain.$t.sig" || stop "plain sign $t"
	verify "$t" "$W/plain.$t.sig"
done

say "the audit log"
run hsm audit verify || stop "audit verify"
stop_hsm || stop "the service did not stop cleanly"
echo
echo "demo: $verified signatures verified by openssl"
