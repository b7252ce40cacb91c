#!/bin/bash
# hsm without a server: what is wrong is said in one line, with the right exit status.
set -u
BIN=$(realpath "${BIN:-build/bin}")
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
export HOME=$W XDG_CONFIG_HOME=$W/config
unset NATS_URL NATS_NKEY NATS_CREDS NATS_CA NATS_CERT NATS_KEY HSM_IDENTITY HSM_NKEY
n=0

hsm() { "$BIN/signbox" hsm "$@"; }

result() { # GOOD NAME OUTPUT
	n=$((n + 1))
	if [ "$1" = 1 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		printf '%s\n' "$3" | sed 's/^/# /'
	fi
}

# fails STATUS PATTERN NAME ARGUMENT…: one line on stderr, nothing on stdout
fails() {
	local want=$1 text=$2 name=$3 rc good=0
	shift 3
	hsm "$@" >"$W/out" 2>"$W/err" </dev/null
	rc=$?
	[ "$rc" = "$want" ] && [ ! -s "$W/out" ] && [ "$(wc -l <"$W/err")" = 1 ] &&
		grep -Eq -- "$text" "$W/err" && good=1
	result $good "$name" "exit $rc, wanted $want and '$text': $(cat "$W/out" "$W/err")"
}

works() { # NAME PATTERN ARGUMENT…
	local name=$1 text=$2 rc good=0
	shift 2
	hsm "$@" >"$W/out" 2>"$W/err" </dev/null
	rc=$?
	[ "$rc" = 0 ] && { [ "$text" = "^" ] || grep -Eq -- "$text" "$W/out" "$W/err"; } && good=1
	result $good "$name" "exit $rc, wanted '$text': $(cat "$W/out" "$W/err")"
}

"$BIN/signbox" nk -gen user >"$W/me.nk"
"$BIN/signbox" nk -gen account >"$W/account.nk"
"$BIN/signbox" nk -gen curve >"$W/x.nk"
"$BIN/signbox" nk -gen curve >"$W/other.nk"
chmod 600 "$W"/*.nk
X=$("$BIN/signbox" nk -inkey "$W/x.nk" -pubout)
OTHER=$("$BIN/signbox" nk -inkey "$W/other.nk" -pubout)
ME=$("$BIN/signbox" nk -inkey "$W/me.nk" -pubout)
SEED=$(cat "$W/x.nk")

works "help" "Exit status: 0 done" --help
works "help of a command" "--prehash" sign --help
works "version" "[0-9]" --version
fails 2 "command is missing" "no command"
fails 2 "unknown command" "unknown command" frobnicate
fails 2 "missing after 'key'|command is missing" "half a command" key
fails 2 "missing operand" "missing operand" key show
fails 2 "unexpected operand" "unexpected operand" lock now
fails 2 "unknown option" "unknown option" state --frob

fails 2 "no HSM identity is pinned" "no identity" state
fails 9 "identity of the HSM" "bad identity" state --identity XABC
fails 9 "identity of the HSM" "an NKey of another kind" state --identity "$ME"
HSM_IDENTITY=$SEED fails 9 "identity of the HSM" "a seed as identity" state
result $(($(grep -c "$SEED" "$W/err") == 0)) "… is not repeated" "$(cat "$W/err")"
fails 1 "no-such-file" "identity file that is not there" identity pin @"$W/no-such-file"
works "pin" "pinned in" identity pin "$X"
works "show" "$X" identity show
works "show as JSON" "\"identity\": \"$X\"" identity show --json
works "pin the same again" "pinned" identity pin "$X"
fails 6 "another identity is pinned" "pin another" identity pin "$OTHER"
works "pin another on purpose" "pinned" identity pin --replace "$OTHER"
result $(($(stat -c %a "$W/config/signbox/hsm/identity") == 600)) "its mode is 0600" ""
works "context elsewhere" "pinned in $W/elsewhere" --context "$W/elsewhere" identity pin "$X"
echo "$X" >"$W/identity"
works "identity from a file" "$X" identity show --identity @"$W/identity"
works "output to a file" "^" identity show -o "$W/shown"
result $(($(grep -c "$OTHER" "$W/shown") == 1)) "… holds it" "$(cat "$W/shown")"
echo garbage >"$W/config/signbox/hsm/identity"
fails 9 "identity of the HSM" "damaged pin" state
rm "$W/config/signbox/hsm/identity"

export HSM_IDENTITY=$X
fails 2 "who is calling" "no NKey" state
fails 1 "cannot open" "NKey file that is not there" state --nkey "$W/none.nk"
fails 9 "kind" "NKey of another kind" state --nkey "$W/account.nk"
chmod 644 "$W/me.nk"
fails 9 "chmod 600" "NKey file that others can read" state --nkey "$W/me.nk"
chmod 600 "$W/me.nk"
export HSM_NKEY=$W/me.nk

url=nats://127.0.0.1:1
fails 7 "no NATS server" "no server" state -s "$url"
NATS_URL=$url fails 7 "no NATS server" "no server, by the environment" state
fails 2 "scheme" "bad URL" state -s http://127.0.0.1:1
fails 2 "number" "bad time" state -s "$url" --timeout soon
fails 1 "CA" "CA file that is not there" state -s "$url" --ca "$W/none.pem"

fails 2 "seen by everybody" "passphrase as an argument" unlock --passphrase hunter2hunter2 -s "$url"
result $(($(grep -c hunter2 "$W/err") == 0)) "… is not repeated" "$(cat "$W/err")"
fails 2 "unexpected operand|exclude" "passphrase as operand" unlock hunter2hunter2

fails 9 "no key type" "unknown key type" key gen k --type dsa
fails 9 "2048 to 4096" "RSA of 1024 bits" key gen k --type rsa --bits 1024
fails 9 "no mode" "unknown mode" key gen k --modes md5
fails 9 "not for keys of type" "mode of another type" key gen k --type rsa --modes eddsa
fails 2 "on' or 'off" "neither on nor off" key gen k --plain maybe
fails 2 "batched' or 'durable" "unknown audit policy" key gen k --audit never
fails 2 "nothing to change" "nothing to set" key set k
fails 2 "pem, der or raw" "unknown format" key pub k --format jwk
fails 2 "--yes" "key rm without a terminal" key rm k
fails 2 "role" "unknown role" user add bob "$ME" --role boss
fails 9 "public NKey of the user" "a seed as a user's key" user add bob "$(cat "$W/me.nk")"
result $(($(grep -c "$(cat "$W/me.nk")" "$W/err") == 0)) "… is not repeated" "$(cat "$W/err")"
fails 2 "on' or 'off" "unattended boot neither" config unattended-boot perhaps
fails 9 "no mode" "sign: unknown mode" sign k --mode md5 /dev/null
fails 1 "cannot open" "sign: no such file" sign k "$W/none"
fails 2 "--signature" "verify without a signature" verify k /dev/null
fails 2 "from 1 to" "random: no number" random many
fails 2 "from 1 to" "random: too many" random 99999999

openssl genpkey -algorithm X25519 -out "$W/x25519.pem" 2>/dev/null
openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out "$W/locked.pem" 2>/dev/null
openssl genpkey -algorithm ed25519 -out "$W/good.pem" 2>/dev/null
chmod 600 "$W"/*.pem
echo hello >"$W/no.pem" && chmod 600 "$W/no.pem"
fails 9 "only Ed25519, P-256 and RSA" "import: another type" key import k "$W/x25519.pem"
fails 9 "encrypted" "import: encrypted" key import k "$W/locked.pem"
fails 9 "no private key" "import: no PEM" key import k "$W/no.pem"
fails 7 "no NATS server" "import: good, then no server" key import k "$W/good.pem" -s "$url"
chmod 644 "$W/good.pem"
fails 9 "chmod 600" "import: a key that others can read" key import k "$W/good.pem"

key=$(printf 'ab%.0s' {1..32})
fails 2 "which key|audit key is pinned" "audit: no key is known" audit verify --in "$W/none"
fails 9 "64 hex digits" "audit: bad key" audit verify --in "$W/none" --audit-key abc
fails 1 "cannot open" "audit: no such file" audit verify --in "$W/none" --audit-key "$key"
echo '{"a": 1}' >"$W/bad.jsonl"
fails 9 "not the head" "audit: not a copy of a log" audit verify --in "$W/bad.jsonl" --audit-key "$key"
: >"$W/empty.jsonl"
fails 9 "empty" "audit: an empty file" audit verify --in "$W/empty.jsonl" --audit-key "$key"
fails 2 "exclude" "audit: --in and --out" audit verify --in a --out b

echo 'not a number' >"$W/config/signbox/hsm/epoch.$X"
fails 9 "not an epoch file" "damaged epoch file" state -s "$url"
echo "1..$n"
