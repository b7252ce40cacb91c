#!/bin/bash
# The service through its client, over a real nats-server: states, users, keys, every
# signature type against openssl, and each refusal with its exit status.
. "$(dirname "$0")/lib.sh"

new_user hsm && new_user admin && new_user alice && new_user bob && new_user eve
start_nats -u "${NKEY[admin]}" -u "${NKEY[alice]}:plain" -u "${NKEY[bob]}" -u "${NKEY[eve]}" ||
	bail "nats-server"
make_secrets
PASSPHRASE_FILE=$W/none write_config
sed -i '/unlock_passphrase_file/d' "$W/hsm.yaml"
start_hsm || bail "hsmd"
head -c 18 /dev/urandom | base64 -w0 >"$W/wrong" && chmod 600 "$W/wrong"
echo short >"$W/short" && chmod 600 "$W/short"
echo 'the message' >"$W/msg"
state() { as admin state --json | jq -r .state; }
state_is() { [ "$(state 2>/dev/null)" = "$1" ]; }

# ---- unprovisioned ----
is "the first start is unprovisioned" "$(state)" unprovisioned
fails 3 'bootstrap administrators' "a stranger cannot provision" as eve provision --passphrase-file "$W/wrong"
fails 3 'unprovisioned' "no key before provisioning" as admin key gen k
fails 9 '10 to 200' "a short passphrase is refused" as admin provision --passphrase-file "$W/short"
fails 2 'argument|process list|usage' "a passphrase in argv is refused" as admin provision --passphrase secret-passphrase
ok "the administrator provisions" as admin provision --passphrase-file "$W/passphrase"
is "and the service is operational" "$(state)" operational
fails 3 'operational' "provisioning twice is refused" as admin provision --passphrase-file "$W/passphrase"

# ---- users ----
ok "an operator is added" as admin user add alice "${NKEY[alice]}" --role operator
fails 6 'exists' "the same name is refused" as admin user add alice "${NKEY[bob]}" --role operator
fails 6 'NKey' "the same NKey is refused" as admin user add alice2 "${NKEY[alice]}" --role operator
fails 9 'name' "a bad name is refused" as admin user add '_x' "${NKEY[bob]}"
fails 9 'nkey' "what is no NKey is refused" as admin user add bob UABC
ok "a second administrator is added" as admin user add bob "${NKEY[bob]}" --role administrator
fails 4 'unknown user' "an unknown user is refused" as eve state
fails 4 'role' "an operator cannot add users" as alice user add eve "${NKEY[eve]}"
fails 4 'role' "an operator cannot make keys" as alice key gen x
fails 6 'themselves' "nobody removes themselves" as admin user rm admin
fails 6 'bootstrap' "the last bootstrap administrator stays" as bob user rm admin
is "users are listed" "$(as admin user ls --json | jq -r '[.[].name] | sort | join(",")')" admin,alice,bob
fails 5 'no such user' "an unknown user cannot be shown" as admin user show nobody
ok "the second administrator is removed" as admin user rm bob
fails 4 'unknown user' "and unknown from then on" as bob state

# ---- keys ----
for t in ed25519 p256; do ok "key gen $t" as admin key gen "k.$t" --type $t; done
ok "key gen rsa" as admin key gen k.rsa --type rsa --bits 2048
ok "key gen rsa 3072" as admin key gen k.rsa3072 --type rsa --bits 3072 --modes pkcs1-sha384,pss-sha512,pss-sha256-digest
fails 6 'exists' "a duplicate key is refused" as admin key gen k.ed25519
fails 9 'bits' "a small RSA key is refused" as admin key gen small --type rsa --bits 1024
fails 9 'type' "an unknown type is refused" as admin key gen odd --type dsa
fails 9 'mode' "an unknown mode is refused" as admin key gen odd --modes frobnicate
fails 9 'mode' "a mode of another type is refused" as admin key gen odd --type p256 --modes pss-sha256
fails 5 'no such key' "an unknown key cannot be shown" as admin key show nothing
is "keys are listed by prefix" "$(as admin key ls --prefix k.rsa --json | jq -r '[.[].name] | join(",")')" k.rsa,k.rsa3072
for i in $(seq 1 12); do as admin key gen "page.$i" >/dev/null || bail "key gen page.$i"; done
is "lists are complete over pages" "$(as admin key ls --prefix page. --json | jq length)" 12

# verify KEY MODE openssl-options…
verify() {
	local key=$1 mode=$2
	shift 2
	as alice sign "$key" "$W/msg" --mode "$mode" -o "$W/sig" &&
		as alice key pub "$key" -o "$W/pub.pem" &&
		openssl pkeyutl -verify -pubin -inkey "$W/pub.pem" -in "$W/msg" -sigfile "$W/sig" -rawin "$@" &&
		as alice verify "$key" "$W/msg" --signature "$W/sig" --mode "$mode"
}
pss() { echo "-digest sha$1 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest"; }
ok "eddsa verifies with openssl" verify k.ed25519 eddsa
ok "ecdsa-sha256 verifies with openssl" verify k.p256 ecdsa-sha256 -digest sha256
for h in 256 384 512; do
	ok "pkcs1-sha$h verifies with openssl" verify k.rsa pkcs1-sha$h -digest sha$h
	# shellcheck disable=SC2046
	ok "pss-sha$h verifies with openssl" verify k.rsa pss-sha$h $(pss $h)
done
# shellcheck disable=SC2046
ok "pss-sha512 with 3072 bits verifies with openssl" verify k.rsa3072 pss-sha512 $(pss 512)
fails 9 'mode' "a mode outside of the key's set is refused" as alice sign k.rsa3072 "$W/msg" --mode pss-sha256
fails 9 'mode' "a digest mode that the key lacks is refused" as alice sign k.p256 "$W/msg" --mode ecdsa-sha256-digest
fails 4 'role' "an administrator cannot sign" as admin sign k.ed25519 "$W/msg"
fails 5 'no such key' "an unknown key cannot sign" as alice sign nothing "$W/msg"
echo 'another message' >"$W/msg2"
as alice sign k.ed25519 "$W/msg" -o "$W/sig"
fails 10 'does not verify' "a wrong message does not verify" as alice verify k.ed25519 "$W/msg2" --signature "$W/sig"
head -c 1100000 /dev/zero >"$W/big"
fails 9 'large|1000000' "an oversize message is refused" as alice sign k.ed25519 "$W/big"
head -c 900000 /dev/zero >"$W/large"
ok "a message of 900 kB is signed" as alice sign k.ed25519 "$W/large" -o "$W/sig"
is "random gives what was asked for" "$(as alice random 4096 -o "$W/rnd" && stat -c %s "$W/rnd")" 4096

# ---- import ----
openssl genpkey -algorithm ed25519 -out "$W/ed.pem" 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$W/ec.pem" 2>/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$W/rsa.pem" 2>/dev/null
for t in ed ec rsa; do
	openssl pkey -in "$W/$t.pem" -pubout -out "$W/$t.pub" 2>/dev/null
	ok "import $t" as admin key import "i.$t" "$W/$t.pem"
	as admin key pub "i.$t" -o "$W/i.pub"
	is "the imported $t key has openssl's public key" "$(cat "$W/i.pub")" "$(cat "$W/$t.pub")"
done
chmod 600 "$W/msg"
fails 9 'PEM|private key' "what is no key is not imported" as admin key import bad "$W/msg"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$W/p384.pem" 2>/dev/null
fails 9 'curve|P-256|type' "an unknown curve is not imported" as admin key import bad "$W/p384.pem"
ok "a key is removed" as admin key rm i.ec --yes
fails 5 'no such key' "and gone" as admin key show i.ec

# ---- plain surface ----
plain() { HSM_NKEY="" "$T/e2e/nats_req" -t 60000 "${@:3}" "$W/alice.nk" "hsm.as.${NKEY[alice]}.$1" "$2" "$W/out"; }
fails 3 'SESSION_ONLY' "plain: closed for the user" plain sign.k.ed25519 "$W/msg"
as admin user set alice --plain on >/dev/null
fails 3 'SESSION_ONLY' "plain: closed for the key" plain sign.k.ed25519 "$W/msg"
for t in ed25519 p256 rsa; do as admin key set "k.$t" --plain on >/dev/null; done
ok "plain: sign" plain sign.k.ed25519 "$W/msg"
as alice key pub k.ed25519 -o "$W/pub.pem"
ok "plain: openssl verifies" openssl pkeyutl -verify -pubin -inkey "$W/pub.pem" -in "$W/msg" -sigfile "$W/out" -rawin
ok "plain: pub" plain pub.k.ed25519 /dev/null
is "plain: pub is the same PEM" "$(cat "$W/out")" "$(cat "$W/pub.pem")"
printf '{"message":"%s"}' "$(base64 -w0 <"$W/msg")" >"$W/q.json"
ok "plain: sign-json" plain sign-json.k.p256 "$W/q.json"
sig=$(jq -r .signature "$W/out")
printf '{"message":"%s","signature":"%s"}' "$(base64 -w0 <"$W/msg")" "$sig" >"$W/v.json"
plain verify-json.k.p256 "$W/v.json"
is "plain: verify-json says valid" "$(jq -c .valid "$W/out")" true
printf '{"message":"","signature":"%s"}' "$sig" >"$W/v.json"
plain verify-json.k.p256 "$W/v.json"
is "plain: verify-json says invalid" "$(jq -c .valid "$W/out")" false
base64 -d <<<"$sig" >"$W/raw.sig"
plain verify.k.p256 "$W/msg" -H "Signbox-Signature:$sig"
is "plain: verify says true" "$(cat "$W/out")" true
echo 16 >"$W/n" && printf 16 >"$W/n"
plain random "$W/n"
is "plain: random" "$(stat -c %s "$W/out")" 16
ok "plain: a mode by header" plain sign.k.rsa "$W/msg" -H Signbox-Mode:pkcs1-sha512
fails 3 'BAD_MODE' "plain: an unknown mode" plain sign.k.rsa "$W/msg" -H Signbox-Mode:rot13
fails 3 'NOT_FOUND' "plain: an unknown key" plain sign.nothing "$W/msg"
fails 3 'UNKNOWN_OP' "plain: an unknown operation" plain frob.k.rsa "$W/msg"
echo '{"message":"AA==","message":"AA=="}' >"$W/q.json"
fails 3 'BAD_JSON' "plain: a duplicate member" plain sign-json.k.p256 "$W/q.json"
echo '{"message":"AA==","extra":1}' >"$W/q.json"
fails 3 'BAD_JSON' "plain: an unknown member" plain sign-json.k.p256 "$W/q.json"
echo '{"message":' >"$W/q.json"
fails 3 'BAD_JSON' "plain: malformed JSON" plain sign-json.k.p256 "$W/q.json"
echo '{"message":"A"}' >"$W/q.json"
fails 3 'BAD_JSON|BAD_INPUT|BAD_REQUEST' "plain: malformed base64" plain sign-json.k.p256 "$W/q.json"
as admin user set alice --plain off >/dev/null
fails 3 'SESSION_ONLY' "plain: closed again" plain sign.k.ed25519 "$W/msg"

# ---- durable audit ----
ok "a key with durable audit" as admin key gen k.durable --audit durable
ok "signs" as alice sign k.durable "$W/msg" -o "$W/sig"
ok "the audit log verifies" as admin audit verify
fails 4 'role' "an operator cannot read it" as alice audit verify

# ---- lock, unlock, restart ----
ok "lock" as admin lock
wait_for 60 state_is locked
is "is locked" "$(state)" locked
fails 3 'bootstrap|locked' "nobody signs while locked" as alice sign k.ed25519 "$W/msg"
fails 4 'wrong passphrase' "a wrong passphrase is refused" as admin unlock --passphrase-file "$W/wrong"
wrong_thrice "$W/wrong" || bail "no wrong passphrase"
fails 4 'wait' "and limited" as admin unlock --passphrase-file "$W/passphrase"
ok "unlock, when the time is over" wait_for 60 as admin unlock --passphrase-file "$W/passphrase"
is "is operational" "$(state)" operational
ok "and signs as before" as alice sign k.ed25519 "$W/msg" -o "$W/sig"
stop_hsm
is "SIGTERM ends it in order" $? 0
start_hsm || bail "restart"
is "attended boot starts locked" "$(state)" locked
ok "unlock" as admin unlock --passphrase-file "$W/passphrase"
ok "unattended boot on" as admin config unattended-boot on
stop_hsm
start_hsm || bail "restart"
wait_for 60 state_is operational
is "unattended boot starts operational" "$(state)" operational
ok "lock" as admin lock
sleep 0.5
is "lock holds although boot is unattended" "$(state)" locked
ok "unlock" as admin unlock --passphrase-file "$W/passphrase"
ok "unattended boot off" as admin config unattended-boot off
ok "the audit log verifies over all of it" as admin audit verify
done_testing
