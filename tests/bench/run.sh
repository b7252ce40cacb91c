#!/bin/bash
# make bench: figures beside their targets, measured in one run on this machine. It
# never fails: a target that was missed is a line that says so. Rounds of echo and of
# signing alternate, and medians count, since machines are shared.
set -u
. "$(dirname "$0")/../e2e/lib.sh"
ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-3}
CORES=$(nproc)
OUT=$BUILD/bench
mkdir -p "$OUT"

note() { printf '%s\n' "$*" >&2; }
value() { sed -n "s/^$1=//p" | head -1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
calc() { awk "BEGIN { printf \"%.${2:-0}f\", ($1) }"; }

note "bench: $CORES cores, $ROUNDS rounds of $SECONDS_EACH s; nats-server, service and load share them"
new_user hsm && new_user admin && new_user alice
start_nats -u "${NKEY[admin]}" -u "${NKEY[alice]}:plain" || bail nats-server
make_secrets
write_config
start_hsm || bail hsmd
as admin provision --passphrase-file "$W/passphrase" >/dev/null || bail provision
as admin user add alice "${NKEY[alice]}" --role operator >/dev/null
for k in ed25519 p256 rsa; do as admin key gen $k --type $k >/dev/null || bail "key gen"; done
export HSM_NKEY=$W/alice.nk NATS_NKEY=$W/alice.nk
load() { "$T/bench/load" "$@" 2>>"$OUT/log"; }

note "start of nk"
echo 'extern int sodium_init(void); int main(void) { return sodium_init() < 0; }' |
	gcc -O2 -static -o "$OUT/sodium_init" -x c - -lsodium
"$T/bench/bench_start" 400 "$OUT/sodium_init" "$BIN/nk" -gen user >"$OUT/start" 2>>"$OUT/log"
start_ratio=$(value ratio <"$OUT/start")

note "raw signatures"
"$T/bench/bench_alg" >"$OUT/alg" 2>>"$OUT/log"
raw_us=$(sed -n 's/^alg=ed25519 op=sign .*us=\([0-9.]*\).*/\1/p' "$OUT/alg")

: >"$OUT/echo" && : >"$OUT/sign"
for i in $(seq "$ROUNDS"); do
	note "round $i of $ROUNDS"
	# the echo service logs in as the HSM: it may publish to inboxes
	load echo -c 2 -w 256 -s "$SECONDS_EACH" -n "$W/hsm.nk" | value rate >>"$OUT/echo"
	load sign ed25519 -c 2 -w 256 -s "$SECONDS_EACH" | value rate >>"$OUT/sign"
done
note "other keys, and a lone client"
ec=$(load sign p256 -c 2 -w 128 -s "$SECONDS_EACH" | value rate)
rsa=$(load sign rsa -c 2 -w 32 -s "$SECONDS_EACH" | value rate)
lone=$(load sign ed25519 -c 1 -w 1 -s "$SECONDS_EACH" | tee "$OUT/lone" | value rate)
lone_p50=$(value p50_us <"$OUT/lone")
lone_p99=$(value p99_us <"$OUT/lone")

note "nats bench pub, against the original where it is (tests/interop/tools.sh)"
real=$BUILD/tools/bin/nats pub_port=$(free_port) pub_rate=0 real_rate=0 pub_ratio=0
published() { # published COMMAND…: messages/s
	timeout 60 env -u NATS_NKEY "$@" -s "nats://127.0.0.1:$pub_port" bench pub bench.pub --msgs 1000000 --no-progress 2>>"$OUT/log" |
		sed -n 's/^NATS Core NATS publisher stats: \([0-9,]*\) msgs.*/\1/p' | tr -d ,
}
if [ -x "$real" ]; then
	nats-server -a 127.0.0.1 -p "$pub_port" >>"$OUT/log" 2>&1 &
	pub_pid=$!
	trap 'kill "$pub_pid" 2>/dev/null; cleanup' EXIT
	wait_for 10 port_open "$pub_port"
	: >"$OUT/pub" && : >"$OUT/pub.real"
	for _ in $(seq "$ROUNDS"); do
		published "$BIN/signbox" nats >>"$OUT/pub"
		XDG_CONFIG_HOME=$OUT/config published "$real" >>"$OUT/pub.real"
	done
	kill "$pub_pid" && wait "$pub_pid" 2>/dev/null
	pub_rate=$(median <"$OUT/pub") real_rate=$(median <"$OUT/pub.real")
	pub_ratio=$(calc "$pub_rate / ($real_rate + 0.001)" 2)
fi

echo_rate=$(median <"$OUT/echo")
sign_rate=$(median <"$OUT/sign")
bound=$(calc "$CORES / ($CORES / $echo_rate + $raw_us / 1000000)")
ratio=$(calc "$sign_rate / $bound" 2)

bar() { # bar VALUE OF: a bar of at most 40 characters
	local n
	n=$(calc "40 * $1 / $2")
	printf '%*s' "$n" '' | tr ' ' '#'
}
row() { # row NAME TARGET FIGURE held|missed|-
	printf '%-44s %12s %12s  %s\n' "$@"
}
verdict() { [ "$(calc "$1 >= $2")" = 1 ] && echo held || echo missed; }

echo
row FIGURE TARGET MEASURED ''
row "Ed25519 signatures/s, sessions, end to end" 30000 "$sign_rate" "$(verdict "$sign_rate" 30000)"
row "  of the bound cores / (echo + signature)" 0.80 "$ratio" "$(verdict "$ratio" 0.80) (aim of the design)"
row "  the bound itself, signatures/s" - "$bound" ''
row "echo requests/s through the same server" - "$echo_rate" ''
row "raw Ed25519 signature, microseconds" - "$raw_us" ''
row "P-256 signatures/s, sessions" - "$ec" ''
row "RSA-2048 signatures/s, sessions" - "$rsa" ''
row "lone client, signatures/s" - "$lone" ''
row "lone client, microseconds, p50 / p99" - "$lone_p50 / $lone_p99" ''
row "nk -gen user, times a static sodium_init" 1.5 "$start_ratio" "$(verdict 1.5 "$start_ratio") ($(value us <"$OUT/start") us)"
if [ -x "$real" ]; then
	row "nats bench pub, times the original's rate" 0.90 "$pub_ratio" "$(verdict "$pub_ratio" 0.90) ($pub_rate, original $real_rate messages/s)"
else
	row "nats bench pub, times the original's rate" 0.90 - "not run: no original nats in build/tools"
fi
echo
printf '  %-10s %10s  %s\n' echo "$echo_rate" "$(bar "$echo_rate" "$echo_rate")" \
	bound "$bound" "$(bar "$bound" "$echo_rate")" \
	signatures "$sign_rate" "$(bar "$sign_rate" "$echo_rate")"
printf '{"cores":%s,"sign_rate":%s,"echo_rate":%s,"raw_us":%s,"bound":%s,"ratio":%s,"p256":%s,"rsa2048":%s,"lone":%s,"nk_start":%s,"bench_pub":%s,"bench_pub_original":%s}\n' \
	"$CORES" "$sign_rate" "$echo_rate" "$raw_us" "$bound" "$ratio" "$ec" "$rsa" "$lone" "$start_ratio" "$pub_rate" "$real_rate" >"$OUT/results.json"
echo
"$(dirname "$0")/images.sh"
note "figures as JSON: build/bench/results.json and images.json; load average: $(cut -d ' ' -f 1 /proc/loadavg)"
exit 0
