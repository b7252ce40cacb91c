#!/bin/bash
# hsm-front alone: a real nats-server on one side, stub_keyd with canned replies on the
# other. What the front does by itself: subjects, forms, refusals, discovery, its life.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

U=UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4
ACCOUNT=AAQJ5J6MCGZSHNAS3LOELMQNCMH4MVOFSRY6W5OHNTVRDQSUI3TTLQGV

port=$(free_port)
req() { python3 "$SRC/tests/e2e/natsreq.py" "$port" "$@"; } # waits a minute for a reply
# field NAME JSON-LINE: of the reply
field() { jq -r ".$1 // empty" <<<"$2"; }
header() { jq -r ".headers[\"$1\"] // empty" <<<"$2"; }
no_reply() { ! req --timeout 0.7 "$@" >/dev/null; }

nats_up() {
	nats-server -a 127.0.0.1 -p "$port" "$@" >>"$W/nats.log" 2>&1 &
	NATS_PID=$!
	wait_for 10 port_open "$port"
}

# front_up MAX_MESSAGE [JSON members]: the front with two signing lanes below the stub
front_up() {
	rm -f "$W/stub.out" # of the one before, whose pid would be taken for this one's
	"$T/e2e/stub_keyd" "$BIN/hsm-front" "{\"url\": \"${SCHEME:-nats}://127.0.0.1:$port\",
		\"max_message\": $1, \"debug\": true${2:+, $2}}" 3 >"$W/stub.out" 2>"$W/stub.err" &
	HSM_PID=$!
	wait_for 5 grep -q '^instance' "$W/stub.out" || bail "stub_keyd does not start"
	ID=$(awk '/^identity/ { print $2 }' "$W/stub.out")
	INSTANCE=$(awk '/^instance/ { i = $2 } END { print i }' "$W/stub.out")
	FRONT=$(awk '/^front pid/ { print $3 }' "$W/stub.out")
	S=hsm.i.$INSTANCE.$U
}

serving() { [ "$(field body "$(req "$S" up)")" = up ]; }
asked() { grep -qF "asked $1" "$W/stub.out"; } # the stub has it in hand
front_gone() { grep -q '^front [ek]' "$W/stub.out"; }
front_end() { # the line that says how it ended
	wait_for 10 front_gone
	tail -n 1 "$W/stub.out"
	wait "$HSM_PID" 2>/dev/null
	HSM_PID=
}

# refused NAME CODE-NUMBER HTTP ERROR-NAME ARGS…: an answer outside of any session
refused() {
	local name=$1 number=$2 http=$3 error=$4 r
	shift 4
	r=$(req "$@")
	is "$name" "$(header Nats-Service-Error-Code "$r") $(header Signbox-Error "$r") $(
		field hex "$r" | python3 -c 'import sys
b = bytes.fromhex(sys.stdin.read())
print(b[:2].hex(), int.from_bytes(b[2:4], "little"), len(b) > 4)'
	)" "$http $error 01ff $number True"
}

# plain_error NAME HTTP ERROR-NAME ARGS…
plain_error() {
	local name=$1 http=$2 error=$3 r
	shift 3
	r=$(req "$@")
	is "$name" "$(header Nats-Service-Error-Code "$r") $(header Signbox-Error "$r")" "$http $error"
	[ -n "$(header Nats-Service-Error "$r")" ] || is "$name: has a text" "" "a text"
}

json_error() { # json_error NAME BODY [FORM]: BAD_JSON in headers and in the body
	local r
	r=$(req "hsm.as.$U.${3:-sign-json}.ed.k" "$2")
	is "$1" "$(header Signbox-Error "$r") $(jq -r '.body | fromjson | .error.code' <<<"$r")" \
		"BAD_JSON BAD_JSON"
}

# ---- before NATS is there ----

front_up 4096
sleep 0.5
ok 'runs while no server answers' kill -0 "$FRONT"
nats_up || bail "nats-server does not start"
wait_for 20 serving
ok 'connects when the server comes' serving

# ---- sessions ----

is 'a sealed message goes to keyd and back' "$(field body "$(req "$S" hello)")" hello
is 'an empty one too' "$(field len "$(req "$S" '')")" 0
is 'an opening goes to keyd and back' "$(field body "$(req "hsm.open.$ID" opening)")" opening
refused 'a refusal of keyd: bytes and headers' 30 401 NO_SESSION "$S" '!error 30'
r=$(req "$S" '!error 60')
is 'no text makes another header' "$(header X-Evil "$r")$(header Nats-Service-Error "$r")" \
	'canned error??X-Evil: 1'
refused 'an error number that nobody knows' 1 500 INTERNAL "$S" '!error 9999'
refused 'a caller with a mistyped NKey' 81 400 BAD_NKEY "${S%4}5" hello
refused 'a caller with another kind of NKey' 81 400 BAD_NKEY "hsm.i.$INSTANCE.${ACCOUNT%V}A" hello
refused 'a caller without NKey' 81 400 BAD_NKEY "hsm.i.$INSTANCE.me" hello
refused 'too large for the service' 13 413 TOO_LARGE --size 8192 "$S"
refused 'no opening is so large' 13 413 TOO_LARGE --size 2000 "hsm.open.$ID"
refused 'a reply too large for the server' 13 413 TOO_LARGE "$S" '!big 1500000'
is 'a reply of many fragments' "$(field len "$(req "$S" '!big 900000')")" 900000

# ---- reply subjects ----

ok 'without a reply subject nothing happens' no_reply --no-reply --listen _INBOX.x "$S" hello
for reply in "hsm.as.$U.sign.ed.k" '$SRV.PING' inbox.x _INBOX; do
	ok "nothing is published to $reply" no_reply --reply "$reply" --listen "$reply" "$S" hello
done
for reply in _INBOX.a..b _INBOX.a. '_INBOX.*' "_INBOX.$(printf 'a%.0s' {1..300})"; do
	ok "nothing is published to ${reply:0:20}" no_reply --reply "$reply" --listen '_INBOX.>' \
		"$S" hello
done
is 'a caller cannot let the service ask for a victim' \
	"$(req --timeout 0.7 --reply "hsm.as.$U.sign.ed.k" --listen "hsm.as.$U.>" "$S" x | wc -l)" 0

# ---- plain surface: raw forms ----

P=hsm.as.$U
r=$(req "$P.sign.ed.k" message)
is 'sign: raw signature' "$(field len "$r")" 64
is 'sign: the mode that was used' "$(header Signbox-Mode "$r")" eddsa
r=$(req --header 'Signbox-Mode: pkcs1-sha512' "$P.sign.rsa" message)
is 'sign: mode by header' "$(field len "$r") $(header Signbox-Mode "$r")" '256 pkcs1-sha512'
r=$(req "$P.sign.p256" message)
ok 'sign: ECDSA is DER' openssl asn1parse -inform DER -in <(field hex "$r" | python3 -c \
	'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))')
sig=$(printf 'x%.0s' {1..64} | base64 -w0)
is 'verify: true' "$(field body "$(req --header "Signbox-Signature: $sig" "$P.verify.ed.k" m)")" true
is 'verify: false' \
	"$(field body "$(req --header "Signbox-Signature: $sig" "$P.verify.ed.invalid" m)")" false
der=$(field hex "$r" | python3 -c \
	'import base64, sys; print(base64.b64encode(bytes.fromhex(sys.stdin.read())).decode())')
is 'verify: DER in, raw to keyd' \
	"$(field body "$(req --header "Signbox-Signature: $der" "$P.verify.p256" m)")" true
plain_error 'verify: DER with a byte too many' 400 BAD_SIGNATURE_FORM \
	--header 'Signbox-Mode: ecdsa-sha256' --header 'Signbox-Signature: MAYCAQECAQEA' "$P.verify.p256" m
plain_error 'verify: no signature' 400 BAD_REQUEST "$P.verify.ed.k" m
plain_error 'verify: no base64' 400 BAD_SIGNATURE_FORM --header 'Signbox-Signature: a-b' "$P.verify.ed.k" m
is 'random: 32 bytes' "$(field len "$(req "$P.random")")" 32
is 'random: as many as wanted' "$(field len "$(req "$P.random" 4096)")" 4096
for n in 0 4097 99999; do
	plain_error "random: $n" 400 BAD_LENGTH "$P.random" $n
done
plain_error 'random: no number' 400 BAD_REQUEST "$P.random" 0x1
plain_error 'random: has no key' 400 BAD_NAME "$P.random.k"
ok 'pub: PEM' openssl pkey -pubin -noout -in <(field body "$(req "$P.pub.ed.k")")
plain_error 'pub: takes no body' 400 BAD_REQUEST "$P.pub.ed.k" x
plain_error 'an error of keyd' 404 NOT_FOUND "$P.sign.missing" m
is 'raw errors have no body' "$(field len "$(req "$P.sign.missing" m)")" 0
plain_error 'unknown mode' 400 BAD_MODE --header 'Signbox-Mode: rot13' "$P.sign.ed.k" m
plain_error 'unknown form' 404 UNKNOWN_OP "$P.steal.ed.k" m
plain_error 'no key' 400 BAD_NAME "$P.sign" m
plain_error 'bad key name' 400 BAD_NAME "$P.sign.-x" m
plain_error 'no NKey' 400 BAD_NKEY hsm.as.me.sign.ed m
plain_error 'too large' 413 TOO_LARGE --size 5000 "$P.sign.ed.k"

# ---- plain surface: JSON ----

body() { jq -c '.body | fromjson' <<<"$1"; }
is 'sign-json' "$(body "$(req "$P.sign-json.ed.k" '{"message": "aGFsbG8="}')" |
	jq -c '[.mode, .key, (.signature | length)]')" '["eddsa","ed.k",88]'
is 'sign-json: mode' "$(body "$(req "$P.sign-json.rsa" '{"message": "", "mode": "pss-sha384"}')" |
	jq -r .mode)" pss-sha384
is 'verify-json: true' "$(body "$(req "$P.verify-json.ed.k" \
	"{\"message\": \"aGFsbG8=\", \"signature\": \"$sig\"}")" | jq -c '[.valid, .mode]')" '[true,"eddsa"]'
is 'verify-json: false' "$(body "$(req "$P.verify-json.ed.invalid" \
	"{\"message\": \"aGFsbG8=\", \"signature\": \"$sig\"}")" | jq -c .valid)" false
is 'random-json' "$(body "$(req "$P.random-json" '{"length": 5}')" | jq -r .random)" WlpaWlo=
is 'random-json: default' "$(body "$(req "$P.random-json")" | jq '.random | length')" 44
is 'pub-json' "$(body "$(req "$P.pub-json.ed.k" '{}')" | jq -c '[.type, .bits, .version, .modes, .key]')" \
	'["ed25519",256,1,["eddsa"],"ed.k"]'
r=$(body "$(req "$P.pub-json.ed.k")")
is 'pub-json: PEM and DER are one key' \
	"$(jq -r .public <<<"$r" | base64 -d | openssl pkey -pubin -inform DER)" "$(jq -r .pem <<<"$r")"
json_error 'not JSON' '{"message": "aGFsbG8="'
json_error 'no object' '[]'
json_error 'something behind it' '{"message": ""} x'
json_error 'duplicate member' '{"message": "", "message": ""}'
json_error 'unknown member' '{"message": "", "user": "root"}'
json_error 'missing member' '{}'
json_error 'wrong type' '{"message": 1}'
json_error 'no base64' '{"message": "a"}'
json_error 'base64 with white space' '{"message": "aGFs bG8="}'
json_error 'base64 with bits left over' '{"message": "aGF="}'
json_error 'a member of another form' '{"message": "", "signature": ""}'
json_error 'missing signature' '{"message": ""}' verify-json
is 'JSON with invalid UTF-8' "$(header Signbox-Error "$(req --hex "$P.sign-json.ed.k" 7b226dff223a317d)")" \
	BAD_JSON
json_error 'very deep' "$(printf '[%.0s' {1..3000})"
is 'JSON errors have a body' "$(body "$(req "$P.sign-json.missing" '{"message": ""}')" | jq -c .)" \
	'{"error":{"code":"NOT_FOUND","message":"no such key"}}'
plain_error 'JSON: random of a wrong length' 400 BAD_LENGTH "$P.random-json" '{"length": 0}'

# ---- discovery ----

for verb in PING INFO STATS; do
	r=$(req "\$SRV.$verb")
	is "$verb" "$(body "$r" | jq -r '[.type, .name, .metadata.identity, .metadata.state] | join(" ")')" \
		"io.nats.micro.v1.${verb,,}_response signbox-hsm $ID operational"
	id=$(body "$r" | jq -r .id)
	is "$verb by name and id" "$(body "$(req "\$SRV.$verb.signbox-hsm.$id")" | jq -r .id)" "$id"
	ok "$verb of others" no_reply "\$SRV.$verb.other"
	ok "$verb of another id" no_reply "\$SRV.$verb.signbox-hsm.x"
done
is 'INFO: endpoints' "$(body "$(req "\$SRV.INFO.signbox-hsm")" |
	jq -r '.endpoints | map(.name + "=" + .subject + "," + .queue_group) | join(" ")')" \
	"open=hsm.open.$ID,hsm session=hsm.i.$INSTANCE.*, plain=hsm.as.>,hsm"
stats() { body "$(req "\$SRV.STATS.signbox-hsm")" | jq -c ".endpoints[] | select(.name == \"$1\")"; }
before=$(stats session)
req "$S" '!error 30' >/dev/null
after=$(stats session)
is 'STATS count requests and errors' "$(jq -n "$after.num_requests - $before.num_requests,
	$after.num_errors - $before.num_errors" | tr '\n' ' ')" '1 1 '
ok 'STATS have times' jq -e '.processing_time > 0 and .average_processing_time > 0' <<<"$after"
is 'STATS have the last error' "$(jq -r .last_error <<<"$after")" '401:canned error??X-Evil: 1'
ok 'started is a time' date -d "$(body "$(req "\$SRV.STATS")" | jq -r .started)"

# ---- another instance ----

old=$S
req "$S" '!hello' >/dev/null
INSTANCE=$(awk '/^instance/ { i = $2 } END { print i }' "$W/stub.out")
S=hsm.i.$INSTANCE.$U
wait_for 5 serving
is 'another instance is served' "$(field body "$(req "$S" hello)")" hello
is 'the old one is not' "$(header Status "$(req "$old" hello)")" 503

# ---- load, from several connections ----

for try in '4 256 200' '1 1 200' '2 8 4000'; do
	# shellcheck disable=SC2086
	r=$("$T/e2e/front_load" "nats://127.0.0.1:$port" "$S" $try 500) # words
	is "every reply is right: $try" "$? ${r##*mean}" "0 "
	echo "# front, connections window bytes $try: $r"
done
echo "# echo service for comparison: $("$T/e2e/front_load" "nats://127.0.0.1:$port" echo 4 256 200 500)"

# ---- the server goes and comes ----

stop_nats
nats_up
wait_for 20 serving
is 'goes on after the server was away' "$(field body "$(req "$S" hello)")" hello

# ---- end: SIGTERM ----

req "$S" '!slow 3000' >"$W/slow" &
slow=$!
wait_for 60 asked '!slow'
kill -TERM "$FRONT"
end=$(front_end)
wait "$slow"
is 'SIGTERM: what is in hand is answered' "$(field body "$(cat "$W/slow")")" '!slow 3000'
is 'SIGTERM: exit status' "$end" 'front exited 0'

# ---- end: keyd goes ----

front_up 1048576
wait_for 10 serving
is 'a request of many fragments' "$(field len "$(req --size 1000000 "$S")")" 1000000
refused 'more openings than fit: busy' 60 503 BUSY --repeat 1025 "hsm.open.$ID" '!never'
req "$S" '!never' >"$W/never" &
never=$!
wait_for 60 asked '!never'
req "$S" '!eof' >/dev/null
end=$(front_end)
wait "$never"
is 'keyd goes: who waits is told' "$(header Signbox-Error "$(cat "$W/never")")" UNAVAILABLE
is 'keyd goes: exit status' "$end" 'front exited 0'

front_up 4096
wait_for 10 serving
req "$S" '!bad' >/dev/null
is 'a frame that cannot be: exit status' "$(front_end)" 'front exited 0'
ok 'a frame that cannot be: logged' wait_for 60 grep -q 'channel is unusable' "$W/stub.err"
stop_nats

# ---- NKey and TLS ----

new_user hsm
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -days 2 \
	-addext subjectAltName=IP:127.0.0.1 -keyout "$W/tls.key" -out "$W/tls.pem" 2>/dev/null
cat >"$W/tls.conf" <<-END
	tls { cert_file: $W/tls.pem, key_file: $W/tls.key }
	authorization { users: [ { nkey: ${NKEY[hsm]} } ] }
END
nats_up -c "$W/tls.conf"
SCHEME=tls front_up 4096 "\"nkey\": \"$W/hsm.nk\", \"ca\": \"$W/tls.pem\", \"name\": \"x\""
ok 'NKey and TLS: connects inside its sandbox' wait_for 10 grep -q 'msg=serving' "$W/stub.err"
ok 'NKey and TLS: connected' wait_for 10 grep -q 'connected to NATS.*tls' "$W/stub.err"
stop_nats
nats_up -c "$W/tls.conf"
ok 'NKey and TLS: reads its seed again' wait_for 20 eval \
	'[ "$(grep -c "connected to NATS.*tls" "$W/stub.err")" -ge 2 ]'
kill -TERM "$FRONT"
is 'NKey and TLS: exit status' "$(front_end)" 'front exited 0'
stop_nats

front_up 4096
wait_for 5 grep -q 'trying on' "$W/stub.err"
kill -TERM "$FRONT"
is 'SIGTERM without a server: exit status' "$(front_end)" 'front exited 0'

# ---- an identity of zeros, whose secret everybody knows, is never listened on ----

: >"$W/nats.log"
nats_up -V
STUB_EARLY=1 front_up 4096
ok 'a hello before the store has answered: serves when the identity is there' wait_for 10 serving
is '…and on that identity only' \
	"$(grep -o 'SUB hsm[.]open[.]X[A-Z2-7]*' "$W/nats.log" | sort -u)" "SUB hsm.open.$ID"
kill -TERM "$FRONT"
front_end >/dev/null
stop_nats

# ---- bad starts ----

front_up 4096 '"creds": "/nowhere/creds"'
is 'credentials that are not there' "$(front_end)" 'front exited 2'
ok '…are named' wait_for 60 grep -q /nowhere/creds "$W/stub.err"
front_up 4096 '"surprise": 1'
is 'unknown configuration' "$(front_end)" 'front exited 9'
fails 2 'started by hsmd' 'by hand' "$BIN/hsm-front"
fails 2 'started by hsmd' 'one lane is too few' "$BIN/hsm-front" --lanes 1 --config-fd 0

done_testing
