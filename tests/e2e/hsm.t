#!/bin/bash
# The hsm commands against the real service: import, forms of signatures and keys, what
# is too large for one request, the audit log and its copies, two runs at a time.
set -u
BIN=$(realpath "${BIN:-build/bin}")
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
up || bail "no service"
cd "$W" || exit 1
as_alice() { as alice "$@"; }
dgst() { openssl dgst "$@"; }

openssl genpkey -algorithm ed25519 -out ed.pem 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem 2>/dev/null
openssl genrsa -traditional -out rsa.pem 3072 2>/dev/null
chmod 600 ./*.pem
head -c 20000 /dev/urandom >msg
head -c 3000000 /dev/urandom >big
printf 'x' >other

# --- import: the public key that comes back is the one of the file
for k in ed ec rsa; do
	modes=()
	[ $k = ec ] && modes=(--modes "ecdsa-sha256,ecdsa-sha256-digest")
	[ $k = rsa ] && modes=(--modes "pss-sha256,pss-sha512,pkcs1-sha384,pss-sha512-digest")
	ok "import $k" as admin key import $k $k.pem "${modes[@]}"
	as admin key pub $k -o $k.pub
	is "… has the public key of the file" "$(cat $k.pub)" "$(openssl pkey -in $k.pem -pubout)"
done
ok "import from stdin" as admin key import ed2 <ed.pem
fails 6 "exists" "import under a name that is taken" as admin key import ed ec.pem
is "public key in DER" "$(as admin key pub ec --format der --base64)" \
	"$(openssl pkey -in ec.pem -pubout -outform DER | base64 -w0)"
is "raw public key" "$(as admin key pub ed --format raw --base64)" \
	"$(openssl pkey -in ed.pem -pubout -outform DER | tail -c 32 | base64 -w0)"
fails 9 "raw" "RSA has no raw form" as admin key pub rsa --format raw

# --- signatures: openssl verifies ours, the HSM verifies openssl's
ok "Ed25519" as_alice sign ed msg -o ed.sig
ok "… openssl verifies" openssl pkeyutl -verify -rawin -pubin -inkey ed.pub -sigfile ed.sig -in msg
ok "ECDSA" as_alice sign ec msg -o ec.sig
ok "… openssl verifies" dgst -sha256 -verify ec.pub -signature ec.sig msg
ok "ECDSA raw" as_alice sign ec msg --raw -o ec.raw
is "… has 64 bytes" "$(wc -c <ec.raw)" 64
is "… and verifies" "$(as_alice verify ec msg --raw --signature ec.raw)" "Verified OK"
fails 9 "DER" "… not as DER" as_alice verify ec msg --signature ec.raw
dgst -sha256 -sign ec.pem -out ossl.sig msg
is "the HSM verifies openssl's ECDSA" "$(as_alice verify ec msg --signature ossl.sig)" "Verified OK"
ok "RSA-PSS with SHA-512" as_alice sign rsa msg --mode pss-sha512 -o rsa.sig
ok "… openssl verifies" dgst -sha512 -sigopt rsa_padding_mode:pss -verify rsa.pub -signature rsa.sig msg
ok "RSA PKCS#1 with SHA-384" as_alice sign rsa --mode pkcs1-sha384 -o rsa.sig <msg
ok "… openssl verifies" dgst -sha384 -verify rsa.pub -signature rsa.sig msg
fails 9 "mode" "a mode that the key does not have" as_alice sign rsa msg --mode pkcs1-sha256
is "in base64" "$(as_alice sign ed msg --base64 | base64 -d | wc -c)" 64
as_alice sign ed msg --base64 -o ed.b64
is "… and verified from it" "$(as_alice verify ed msg --base64 --signature ed.b64)" "Verified OK"
fails 10 "does not verify" "another message" as_alice verify ed other --signature ed.sig
is "… as JSON" "$(as_alice verify ed other --signature ed.sig --json | jq -c .verified)" false
as_alice verify ed other --signature ed.sig --json >/dev/null
is "… with exit status 10" $? 10
is "JSON" "$(as_alice sign ec msg --json | jq -r .mode)" ecdsa-sha256

# --- digests and large files
openssl dgst -sha256 -binary msg >msg.sha256
ok "a digest" as_alice sign ec msg.sha256 --mode ecdsa-sha256-digest -o d.sig
ok "… openssl verifies" dgst -sha256 -verify ec.pub -signature d.sig msg
ok "--prehash" as_alice sign ec msg --prehash -o d.sig
ok "… openssl verifies" dgst -sha256 -verify ec.pub -signature d.sig msg
fails 0 "hashed here" "a large file is hashed here" as_alice sign ec big -o big.sig
ok "… openssl verifies" dgst -sha256 -verify ec.pub -signature big.sig big
is "… and so does the HSM" "$(as_alice verify ec --signature big.sig <big 2>/dev/null)" "Verified OK"
ok "RSA, large" as_alice sign rsa big --mode pss-sha512 -o big.sig
ok "… openssl verifies" dgst -sha512 -sigopt rsa_padding_mode:pss -verify rsa.pub -signature big.sig big
fails 9 "no digest mode" "Ed25519 has no digest mode" as_alice sign ed big -o none.sig
is "… and nothing is written" "$(ls none.sig 2>/dev/null)" ""
fails 9 "digest of 32 bytes|length" "a digest mode takes a digest" \
	as_alice sign ec big --mode ecdsa-sha256-digest
is "5000 random bytes" "$(as_alice random 5000 | wc -c)" 5000
is "… in hex" "$(as_alice random 9 --hex | tr -d '\n' | wc -c)" 18

# --- users, keys
ok "user set" as admin user set alice --plain on
is "… shown" "$(as admin user show alice --json | jq -c .plain)" true
ok "key set" as admin key set ed --audit durable
is "… changes this only" "$(as admin key show ed --json | jq -rc '[.plain, .audit]|@text')" '[false,"durable"]'
is "key ls with a prefix" "$(as admin key ls --prefix e --json | jq -r '.[].name' | xargs)" "ec ed ed2"
ok "key rm" as admin key rm ed2 --yes
fails 5 "no such key" "… it is gone" as admin key show ed2
fails 5 "no such user" "an unknown user" as admin user show bob
fails 4 "Operator" "an operator makes no keys" as_alice key gen x
PATIENCE=10 fails 4 "permissions violation" "what NATS does not permit is said" as hsm state

# --- audit
ok "audit verify" as admin audit verify --out log.jsonl
ok "… again, with the pinned key" as admin audit verify
ok "… offline" as admin audit verify --in log.jsonl
is "… knows of the signatures" "$(grep -c '"operation":"sign","result":"OK"' log.jsonl)" \
	"$(as admin audit verify --in log.jsonl | awk '$1 == "sign" {print $2}')"
sed '5s/"error":0/"error":35/' log.jsonl >bad.jsonl
fails 8 "was changed" "a changed entry" as admin audit verify --in bad.jsonl
sed 5d log.jsonl >bad.jsonl
fails 8 "stands where" "a missing entry" as admin audit verify --in bad.jsonl
head -n -1 log.jsonl >bad.jsonl
fails 8 "ends at entry" "a cut end" as admin audit verify --in bad.jsonl
sed '1s/"epoch":[0-9]*/"epoch":1/' log.jsonl >bad.jsonl
fails 10 "signature" "a changed head" as admin audit verify --in bad.jsonl
fails 4 "another key" "another audit key" as admin audit verify --in log.jsonl \
	--audit-key "$(printf 'ab%.0s' {1..32})"
is "audit show" "$(as admin audit show --from 1 --limit 1 --json | jq -r '.[0].operation')" provision

# --- epoch
sed -i 's/.*/99999999/' "$XDG_CONFIG_HOME/signbox/hsm/epoch.$HSM_IDENTITY"
fails 8 "rolled back" "an epoch older than one seen" as_alice random 8 --hex
ok "… state can be looked at" as admin state
is "… and says so" "$(as admin state --json | jq -c .rolled_back)" true
done_testing
