# For comparisons of nats with natscli: three servers with JetStream, and functions that run
# both tools and compare. Sourced.
# shellcheck shell=bash disable=SC2016,SC2034 # $SYS is a subject; lib.sh reads variables
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
REAL=$BUILD/tools/bin/nats
if ! [ -x "$REAL" ]; then
	echo '1..0 # SKIP not run: no original nats in build/tools (tests/interop/tools.sh needs Go)'
	exit 0
fi
export HOME=$W TZ=UTC LANG=C.UTF-8
unset XDG_CONFIG_HOME NATS_URL
ln -s "$BIN/signbox" "$W/nats"
mkdir "$W/real" "$W/ours"
COMPARED=0 PIDS=()
finish() {
	local p
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap finish EXIT

MON=$(free_port) PORT=$(free_port) ROUTE=$(free_port) PORT2=$(free_port) ROUTE2=$(free_port) PORT3=$(free_port) ROUTE3=$(free_port)
new_user alice
server() { # N PORT ROUTE
	cat >"$W/n$1.conf" <<-CONF
		server_name: n$1.test
		listen: 127.0.0.1:$2
		$([ "$1" != 1 ] || echo "http: 127.0.0.1:$MON")
		jetstream: {store_dir: "$W/js$1", max_mem: 64M, max_file: 512M}
		cluster: {name: C, listen: "127.0.0.1:$3", routes: ["nats://127.0.0.1:$ROUTE", "nats://127.0.0.1:$ROUTE2", "nats://127.0.0.1:$ROUTE3"]}
		system_account: SYS
		accounts: {
		  SYS: {users: [{user: sys, password: sys}]}
		  A: {jetstream: enabled, users: [{user: a, password: a}, {nkey: ${NKEY[alice]}}, {user: p, password: p, permissions: {publish: [ok.>, "\$SYS.REQ.USER.INFO", "_INBOX.>"], subscribe: {deny: [secret.>]}}}]}
		}
	CONF
	nats-server -c "$W/n$1.conf" >>"$W/n$1.log" 2>&1 &
	PIDS+=($!)
}
server 1 "$PORT" "$ROUTE"
server 2 "$PORT2" "$ROUTE2"
server 3 "$PORT3" "$ROUTE3"
wait_for 60 port_open "$PORT" && wait_for 60 port_open "$PORT2" && wait_for 60 port_open "$PORT3" && wait_for 60 port_open "$MON" || bail 'no nats-server'
A=nats://a:a@127.0.0.1:$PORT S=nats://sys:sys@127.0.0.1:$PORT URL=$A

real() { (cd "$W/real" && XDG_CONFIG_HOME=$W/real timeout 120 "$REAL" "$@"); }
ours() { (cd "$W/ours" && XDG_CONFIG_HOME=$W/ours timeout 120 "$W/nats" "$@"); }
meta() { ours -s "$S" server check meta --expect 3 --lag-critical 100 --seen-critical 60s; }
wait_for 40 meta || bail "no meta leader: $(meta)"

mask() {
	sed -E -e 's/\x1b\[[0-9;]*m//g' -e "s#$W/(real|ours)#HOME#g" \
		-e 's/[0-9]+(\.[0-9]+)?(ns|µs|us|ms|s)\b/DUR/g; s/([0-9]+[ydhm])+DUR/DUR/g' \
		-e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(\.[0-9]+)?Z?/TIME/g' \
		-e 's/\b[0-9]{1,2}:[0-9]{2}(AM|PM)\b/KITCHEN/g; s/_INBOX\.[A-Za-z0-9.]+/INBOX/g; s/[[:space:]]+$//' \
		-e "${MASK:-}" | sed -E 's/[─ ]+/ /g'
}

# same NAME ARG…: both tools, stdout and status. STDIN is a file; URL the server; MASK one
# more expression of sed; SORT sorts lines (headers come in any order); TRIES are more than
# one where the limits of what is shown are times, which a busy machine may exceed for one tool
same() {
	local name=$1 rrc orc i
	shift
	TAP_N=$((TAP_N + 1)) COMPARED=$((COMPARED + 1))
	for ((i = 0; i < ${TRIES:-1}; i++)); do
		real -s "$URL" "$@" <"${STDIN:-/dev/null}" >"$W/r.raw" 2>"$W/r.err"
		rrc=$?
		ours -s "$URL" "$@" <"${STDIN:-/dev/null}" >"$W/o.raw" 2>"$W/o.err"
		orc=$?
		mask <"$W/r.raw" | ${SORT:-cat} >"$W/r.out"
		mask <"$W/o.raw" | ${SORT:-cat} >"$W/o.out"
		if [ "${STATUS:-$rrc}" = "$orc" ] && cmp -s "$W/r.out" "$W/o.out"; then
			echo "ok $TAP_N - $name"
			return
		fi
	done
	echo "not ok $TAP_N - $name"
	echo "# status: $rrc (original), $orc"
	diff "$W/r.out" "$W/o.out" | head -30 | sed 's/^/# /'
	head -3 "$W/o.err" | sed 's/^/# err: /'
}
# error NAME PATTERN ARG…: both exit with 1 and say it on stderr
error() {
	local name=$1 want=$2 got
	shift 2
	TAP_N=$((TAP_N + 1)) COMPARED=$((COMPARED + 1))
	real -s "$URL" "$@" </dev/null >"$W/r.out" 2>"$W/r.err"
	got=$?
	ours -s "$URL" "$@" </dev/null >"$W/o.out" 2>"$W/o.err"
	got=$got:$?:$(grep -cE -- "$want" "$W/r.err" | sed 's/^[1-9].*/said/'):$(grep -cE -- "$want" "$W/o.err"):$(wc -l <"$W/o.err")
	if [ "$got" = 1:1:said:1:1 ]; then echo "ok $TAP_N - $name"; else
		printf 'not ok %d - %s\n# %s\n' "$TAP_N" "$name" "$got"
		head -3 "$W/r.err" "$W/o.err" | sed 's/^/# /'
	fi
}
