#!/bin/bash
# The broker is assumed hostile (rogue_broker.py): it asks clients to sign what it likes,
# forges, replays, swaps, delays, drops and refuses, to clients and to the service. It
# can keep both apart; it must not gain a signature, a wrong result or a second change.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

SEED=${SEED:-$RANDOM}
export SEED
echo "# seed $SEED"
DEADLINE=1  # seconds that clients get where they will not be answered
BOUND=60000 # ms after which one counts as hanging
ROGUE=
rogue=$SRC/tests/e2e/rogue_broker.py
trap 'for p in $ROGUE $SERVICE_ROGUE; do kill "$p" 2>/dev/null; done; cleanup' EXIT
SERVICE_ROGUE=

ms() { date +%s%3N; }
mode() { echo "$*" >"$W/mode.new" && mv "$W/mode.new" "$W/mode"; }
# run USER COMMAND…: a client over the rogue broker; status in RC, ms in TOOK, text in OUT
run() {
	local user=$1 start
	shift
	start=$(ms)
	NATS_URL=nats://127.0.0.1:$ROGUE_PORT as "$user" "$@" --timeout "$DEADLINE" >"$W/out" 2>&1
	RC=$?
	TOOK=$(($(ms) - start))
	OUT=$(tr -d '\0' <"$W/out")
}
in_time() { [ "$TOOK" -lt $BOUND ]; }
one_line() { [ "$RC" = 0 ] || [ "$(grep -c . <<<"$OUT")" = 1 ]; }
openssl_verifies() { openssl pkeyutl -verify -pubin -inkey "$W/pub.pem" -in "$1" -sigfile "$2" -rawin >/dev/null 2>&1; }

# ---- the nonce ----
# A server may ask for a signature of 1 to 64 base64url characters, of nothing else.
new_user alice
oracle() { # oracle NONCE-JSON: status in RC, what came in $W/asked
	local port
	port=$(free_port)
	: >"$W/asked"
	python3 "$rogue" oracle "$port" "$1" "$W/asked" &
	ROGUE=$!
	wait_for 5 port_open "$port"
	ROGUE_PORT=$port
	HSM_IDENTITY=$nobody run alice state
	kill $ROGUE && wait $ROGUE 2>/dev/null
	ROGUE=
}
signed() { grep -c '\\"sig\\":\\"[^\\"]' "$W/asked"; }
nk -gen curve >"$W/nobody.nk" && chmod 600 "$W/nobody.nk"
nobody=$(nk -inkey "$W/nobody.nk" -pubout)
DEADLINE=10 oracle '"PXoWU7zWAMt75FY"'
is "an ordinary nonce is signed" "$(signed)" 1
ok "and a broker that says nothing more does not keep the client" in_time
while IFS='|' read -r name nonce; do
	DEADLINE=50 oracle "$nonce"
	is "nonce: $name is not signed" "$(signed)" 0
	is "nonce: $name ends the client with 4" "$RC" 4
	ok "nonce: $name, in one line that says why" grep -q 'no nonce' <<<"$OUT"
	ok "nonce: $name, in time" in_time
done <<-EOL
	a message of the HSM|"\u00ff\u0000signbox\u0001\u0001"
	the same without the NUL|"\u00ffsignbox"
	a JWT to be signed|"eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJYIn0"
	one of 65 characters|"$(printf 'A%.0s' {1..65})"
	one of 10000|"$(printf 'A%.0s' {1..10000})"
	words|"pay one million"
	a line end|"abc\ndef"
	binary|"\u0001\u0002\u0080\u00e9"
	padding|"QUJD=="
EOL
oracle '""'
is "nonce: an empty one is not signed" "$(signed)" 0

# ---- between clients and the service ----
up || bail "the service does not start"
as admin key gen k >/dev/null && as admin key gen other >/dev/null || bail "key gen"
as alice key pub k -o "$W/pub.pem" || bail "key pub"
ROGUE_PORT=$(free_port)
mode pass
python3 "$rogue" between "$ROGUE_PORT" "$NATS_PORT" "$W/mode" "$W/rogue.log" 2>"$W/rogue.err" &
ROGUE=$!
wait_for 5 port_open "$ROGUE_PORT"
keys_there() { as admin key ls --json | jq -r '[.[].name] | join(" ")'; }
audited() { # audited OP [KEY]: how often it was done
	as admin audit show --from 1 --limit 100000 --json |
		jq --arg k "${2:-}" "[(.entries? // .)[] | select(.op == $1 and .error == 0 and (\$k == \"\" or .key == \$k))] | length"
}
n=0
# attack NAME MODE…: signs, verifies a wrong signature, makes a key, all under this mode;
# whatever is reported must be true, and soon
attack() {
	local name=$1 done_n made
	shift
	n=$((n + 1))
	echo "message $n" >"$W/msg.$n"
	echo "another" >"$W/msg.wrong"
	mode "$@"
	rm -f "$W/sig.$n"
	run alice sign k "$W/msg.$n" -o "$W/sig.$n"
	ok "$name: sign ends in time ($TOOK ms, $RC)" in_time
	if [ "$RC" = 0 ]; then
		ok "$name: and what it gives verifies" openssl_verifies "$W/msg.$n" "$W/sig.$n"
	else
		ok "$name: no file is left by an error" test ! -e "$W/sig.$n"
		ok "$name: one line says why" one_line
	fi
	ALL_RC="$ALL_RC $RC"
	run alice verify k "$W/msg.wrong" --signature "$W/good.sig"
	ok "$name: a wrong signature is never said to verify ($TOOK ms, $RC)" test "$RC" != 0
	ok "$name: verify ends in time" in_time
	run admin key gen "made.$n"
	done_n=$RC
	ok "$name: key gen ends in time ($TOOK ms, $RC)" in_time
	mode pass
	# what was delayed may come between two looks
	as_often() {
		made=$(keys_there | tr ' ' '\n' | grep -cx "made.$n")
		[ "$(audited 20 "made.$n")" = "$made" ]
	}
	wait_for 60 as_often
	[ "$done_n" != 0 ] || is "$name: a key that is reported is there" "$made" 1
	is "$name: it is made at most once" "$(audited 20 "made.$n")" "$made"
}
ALL_RC=
mode pass
as alice sign k "$rogue" -o "$W/good.sig" || bail "sign"
DEADLINE=50 attack "passed on" pass
is "what is only passed on works" "$ALL_RC" " 0"
for m in forge flip truncate empty random-length other-session replay swap duplicate delay drop impostor \
	"flip 0.5" "replay 0.5" "hint 30" "hint 34"; do
	# shellcheck disable=SC2086
	attack "$m" $m
done

# the client hides what can be hidden
for m in duplicate delay; do
	mode $m
	DEADLINE=50 run alice sign k "$W/msg.1" -o "$W/sig.x"
	is "$m: does no harm at all" "$RC" 0
done
# 32 REPLAYED, 60 BUSY: of those the client need not believe a word
for code in 32 60; do
	mode hint $code
	DEADLINE=50 run alice sign k "$W/msg.1" -o "$W/sig.x"
	is "a forged refusal ($code) beside every true answer does no harm" "$RC" 0
done

# every refusal there is, for ever
bad=
mode pass
while read -r code; do
	mode refuse "$code"
	rm -f "$W/sig.x"
	run alice sign k "$W/msg.1" -o "$W/sig.x"
	{ [ "$RC" != 0 ] && [ "$RC" -le 10 ] && in_time && one_line && [ ! -e "$W/sig.x" ]; } ||
		bad="$bad sign/$code:$RC:$TOOK"
done < <(sed -n 's/^ERR([A-Z_]*, \([0-9]*\),.*/\1/p' "$SRC/src/base/err.def" | sort -n | awk 'NR % 3 == '$((SEED % 3)); echo 65535)
is "refusals of any code end clients in time, with an error" "$bad" ""
mode refuse 80
run alice verify k "$W/msg.1" --signature "$W/good.sig"
ok "a forged NOT_VERIFIED is not told as a result" test "$RC" != 10
mode refuse 0
run alice verify k "$W/msg.wrong" --signature "$W/good.sig"
ok "a forged OK is not told as a result" test "$RC" != 0
mode refuse 50
run admin key rm other --yes
ok "nor that of a change" test "$RC" != 0
mode pass
is "the key is there" "$(keys_there | tr ' ' '\n' | grep -cx other)" 1

# requests that come late, when nobody waits
before=$(audited 20)
mode hold
DEADLINE=10 run admin key gen late
ok "a change that is kept back ends in time ($TOOK ms)" in_time
is "with status 7" "$RC" 7
ok "and the hint to look" grep -q 'may have been made' <<<"$OUT"

# a broker that sends its clients to another
trap_port=$(free_port)
python3 "$rogue" oracle "$trap_port" '"AAAAAAAAAAAAAAA"' "$W/trap" &
trap_pid=$!
mode redirect "$trap_port"
DEADLINE=50 run alice sign k "$W/msg.1" -o "$W/sig.x"
is "redirected: the answer is the service's" "$RC" 0
ok "redirected: and verifies" openssl_verifies "$W/msg.1" "$W/sig.x"
kill $trap_pid && wait $trap_pid 2>/dev/null

mode garbage
for i in 1 2 3 4 5 6; do
	mode pass
	mode garbage "$i"
	run alice sign k "$W/msg.1" -o "$W/sig.x"
	{ [ "$RC" -le 10 ] && in_time; } || bad="$bad $i:$RC:$TOOK"
done
is "what is no protocol at all ends clients in time, if at all" "$bad" ""

# many at a time
for m in "swap 0.5" "replay 0.3" duplicate delay "flip 0.3" drop; do
	# shellcheck disable=SC2086
	mode $m
	HSM_NKEY=$W/alice.nk NATS_NKEY=$W/alice.nk NATS_URL=nats://127.0.0.1:$ROGUE_PORT timeout 200 \
		"$T/e2e/hsm_many" -w 100 -d 20000 sign k 300 >"$W/many" 2>/dev/null
	is "300 at a time, $m: all end, none wrong" \
		"$(sed -n 's/^answered //p;s/^bad //p' "$W/many" | tr '\n' ' ')" "300 0 "
	echo "# $m: $(grep -E '^[A-Z_]+ ' "$W/many" | tr '\n' ' ')"
done
mode pass
kill $ROGUE && wait $ROGUE 2>/dev/null
ROGUE=

# ---- between the broker and the service ----
stop_hsm
SERVICE_PORT=$(free_port)
mv "$W/mode" "$W/mode.client" && mode pass
: >"$W/service.log"
python3 "$rogue" between "$SERVICE_PORT" "$NATS_PORT" "$W/mode" "$W/service.log" 2>>"$W/rogue.err" &
SERVICE_ROGUE=$!
wait_for 5 port_open "$SERVICE_PORT"
NATS_URL=nats://127.0.0.1:$SERVICE_PORT write_config
start_behind() { # the environment wins over the configuration
	NATS_URL=nats://127.0.0.1:$SERVICE_PORT start_hsm && wait_for 10 health --ready
}
start_behind || bail "the service does not start behind the rogue broker"
count() { jq -s "[.[] | select($1)] | length" "$W/service.log"; }
settle() { sleep "${1:-0.6}"; }
# told MODE…: the broker has taken it up, and what it does in the mode before is done
modes() { jq -r 'select(.event == "mode") | .mode' "$W/service.log"; }
seen() { [ "$(modes | wc -l)" -gt "$1" ] && [ "$(modes | tail -1)" = "$2" ]; }
told() {
	local before
	before=$(modes | wc -l)
	mode "$@" && { wait_for 60 seen "$before" "$1" || bail "the broker does not take up: $1"; }
}

# replayed requests
signs=$(audited 30) gens=$(audited 20)
for i in 1 2 3; do as alice sign k "$W/msg.1" -o "$W/sig.x" || bail "sign"; done
as admin key gen replayed >/dev/null && as admin key rm replayed --yes 2>/dev/null || bail "key"
told again
ok "requests were replayed" test "$(count '.event == "again" and .requests > 8')" -ge 1
told pass
settle
is "replayed signatures are not made" "$(audited 30)" $((signs + 3))
is "replayed changes are not made" "$(audited 20)" $((gens + 1))
is "a key that was removed stays so" "$(keys_there | tr ' ' '\n' | grep -cx replayed)" 0
stop_hsm
start_behind || bail "restart"

# what the broker makes up: subject, reply, headers, body in hex
instance=$(as admin state --json | jq -r .instance)
hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }
forge() { printf '%s,%s,%s,%s\n' "$(hex "$1")" "$(hex "$2")" "$(hex "$3")" "$(hex "$4")" >>"$W/mode.inject"; }
inject() { told pass && told inject && told pass && settle "${1:-0.6}"; }
published() { jq -r 'select(.event == "published") | .subject' "$W/service.log"; }
box=_INBOX.${NKEY[alice]}.x
: >"$W/service.log"
: >"$W/mode.inject"
forge "hsm.as.${NKEY[alice]}.sign.k" "$box.1" "" hello
forge "hsm.as.${NKEY[alice]}.sign-json.k" "$box.2" "" '{"message":"AAAA"}'
forge "hsm.as.${NKEY[alice]}.sign.k" "$box.3" "Nats-Request-Info: {\"acc\":\"A\",\"user\":\"${NKEY[admin]}\"}" hello
forge "hsm.as.${NKEY[admin]}.sign.k" "$box.4" "Nats-Request-Info: {\"user\":\"${NKEY[alice]}\"}" hello
before=$(audited 30)
inject
ok "forged plain requests reach the service" test "$(count '.event == "injected"')" -ge 4
is "and sign nothing while key and user are session-only" "$(audited 30)" "$before"
as admin user set alice --plain on >/dev/null && as admin key set k --plain on >/dev/null
# now the broker can forge alice's plain requests, as the documents say …
: >"$W/mode.inject"
forge "hsm.as.${NKEY[alice]}.sign.k" "$box.1" "" hello
before=$(audited 30)
inject
signed_more() { [ "$(audited 30)" -gt "$before" ]; }
wait_for 60 signed_more
is "on a key that is open for it, the broker can sign (so it says in THREATS.md)" "$(audited 30)" $((before + 1))
# … but not more
: >"$W/mode.inject"
forge "hsm.as.${NKEY[alice]}.sign.k" "hsm.as.${NKEY[alice]}.sign.k" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "hsm.i.$instance.${NKEY[admin]}" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "hsm.open.$HSM_IDENTITY" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "\$SYS.REQ.SERVER.PING" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "_INBOXhsm.as.x" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "_INBOX.>" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "_INBOX.*.x" "" hello
forge "hsm.as.${NKEY[alice]}.sign.k" "_INBOX.a..b" "" hello
: >"$W/service.log"
inject
ok "forged reply subjects reach the service" test "$(count '.event == "injected"')" -ge 8
is "and it publishes on none" "$(published)" ""
: >"$W/mode.inject"
forge "hsm.as.${NKEY[alice]}.sign.other" "$box.5" "" hello
forge "hsm.as.${NKEY[admin]}.sign.k" "$box.6" "Nats-Request-Info: {\"user\":\"${NKEY[alice]}\"}" hello
forge "hsm.as.${NKEY[alice]}.key_generate.k" "$box.7" "" hello
forge "hsm.as.${NKEY[alice]}.lock" "$box.8" "" ""
before=$(audited 30)
inject
is "a session-only key, a closed user: nothing is signed, whatever headers say" "$(audited 30)" "$before"
ok "and nothing but signing is on the plain surface" health --ready

# forms that are none
: >"$W/mode.inject"
for s in "hsm.open.$HSM_IDENTITY" "hsm.i.$instance.${NKEY[alice]}" "hsm.i.$instance.xyz" \
	"hsm.as.${NKEY[alice]}" "hsm.as.${NKEY[alice]}." "hsm.as.xyz.sign.k" "hsm.as.${NKEY[alice]}.sign." \
	"hsm.as.${NKEY[alice]}.sign-json.k" "hsm.as.${NKEY[alice]}.verify.k"; do
	for body in "" x "$(printf '\001\001%096d' 0)" "$(printf '\001\001%096d' 0 | tr 0 '\377')" \
		"$(head -c 400 /dev/urandom | base64 -w0)" "$(printf '[%.0s' {1..2000})"; do
		forge "$s" "$box.9" "" "$body"
		forge "$s" "$box.9" "Signbox-Mode: $(printf 'm%.0s' {1..500})" "$body"
		forge "$s" "" "" "$body"
	done
done
front=$(child hsm-front) keyd=$(child hsm-keyd)
inject 1.5
is "what is malformed ends no process" "$(child hsm-front) $(child hsm-keyd)" "$front $keyd"
ok "and the service works" as alice sign k "$W/msg.1" -o "$W/sig.x"

# what is no protocol
for i in 1 2 3 4 5 6 7 8; do
	mode garbage "$i"
	settle 0.2
	mode pass
	settle 0.05
done
ok "after a broker that talks nonsense the service comes back" wait_for 20 health --ready
signs_again() { as alice sign k "$W/msg.1" -o "$W/sig.x"; }
# one that was told of a message without end notices after two lost PINGs (30 s)
start=$SECONDS
ok "and signs" wait_for 45 signs_again
echo "# after $((SECONDS - start)) s"
# and one that was told that nothing may be published notices that its replies do not leave
mute() { grep -c 'replies could not be published' "$W/hsm.log"; }
muted=$(mute)
told pass
told mute
told pass
ok "an INFO that takes all back does not leave the service mute" wait_for 45 signs_again
mute_told() { [ "$(mute)" -gt "$muted" ]; }
ok "… though its replies could not leave" wait_for 60 mute_told
is "keyd never ended" "$(child hsm-keyd)" "$keyd"
ok "the audit log verifies" as admin audit verify
done_testing
