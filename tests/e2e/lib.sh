# What the end-to-end tests share: a directory of their own, a nats-server on a free
# port of loopback, the service, users with NKeys. Sourced by bash scripts; needs BIN.
# Everything that is started here is stopped at the end, by its process id.
# shellcheck shell=bash
set -u
W=$(mktemp -d)
PATH=$BIN:$PATH
export XDG_CONFIG_HOME=$W/config
# Machines stand still for seconds: clients wait for answers, but where a test says otherwise.
export NATS_TIMEOUT=20s
PATIENCE=60
NATS_PID='' HSM_PID=''
declare -A NKEY=()

cleanup() {
	local p
	for p in $HSM_PID $NATS_PID; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null
	done
	if [ -n "${KEEP:-}" ]; then echo "# kept: $W" >&2; else rm -rf "$W"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

hsm() { "$BIN/signbox" hsm "$@"; }
nk() { "$BIN/signbox" nk "$@"; }

# Not one of those that the kernel gives to clients: it could give it away before the server
# takes it. One of 22,000, so that tests that run side by side do not meet.
free_port() {
	python3 - <<-'EOF'
		import random, socket
		while True:
		    port = random.randrange(10240, 32768)
		    try:
		        socket.socket().bind(("127.0.0.1", port))
		        break
		    except OSError:
		        pass
		print(port)
	EOF
}

# new_user NAME: a seed in $W/NAME.nk, its public key in NKEY[NAME]
new_user() {
	nk -gen user >"$W/$1.nk" && chmod 600 "$W/$1.nk"
	NKEY[$1]=$(nk -inkey "$W/$1.nk" -pubout)
}

# wait_for SECONDS COMMAND…: until it succeeds. A busy machine gets a minute at least; what is
# asked again need not wait as long for each answer.
wait_for() {
	local until=$((SECONDS + ($1 > 60 ? $1 : 60))) PATIENCE=10
	local -x NATS_TIMEOUT=5s
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.05
	done
}

port_open() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# listens MONITORING-PORT SUBJECT: somebody has subscribed to it, says the server
listens() {
	local s=${2//\"/%22}
	(exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /subsz?subs=1&test=%s HTTP/1.0\r\n\r\n' "$s" >&3 && cat <&3) 2>/dev/null |
		sed '1,/^\r$/d' | jq -e '.total > 0'
}
# deaf MONITORING-PORT SUBJECT: nobody has, any more
deaf() { ! listens "$@"; }

# start_nats [nats-config options]: users are -u NKEY… options; the service is `hsm`
start_nats() {
	[ -n "${NKEY[hsm]:-}" ] || new_user hsm
	NATS_PORT=${NATS_PORT:-$(free_port)}
	export NATS_URL=nats://127.0.0.1:$NATS_PORT
	signbox nats-config --hsm "${NKEY[hsm]}" -l "127.0.0.1:$NATS_PORT" "$@" -o "$W/nats.conf" ||
		return 1
	run_nats
}

run_nats() {
	nats-server -c "$W/nats.conf" >>"$W/nats.log" 2>&1 &
	NATS_PID=$!
	wait_for 60 port_open "$NATS_PORT"
}

stop_nats() {
	kill "$NATS_PID" && wait "$NATS_PID" 2>/dev/null
	NATS_PID=
}

# start_js: a nats-server with JetStream, accounts SYS (sys:sys) and A (a:a), and the tools as
# $W/nats; its port in PORT. More processes to end may be put into PIDS.
start_js() {
	PORT=$(free_port)
	PIDS=()
	cat >"$W/n.conf" <<-EOF
		server_name: n1
		listen: 127.0.0.1:$PORT
		jetstream: {store_dir: "$W/js", max_mem: 64M, max_file: 256M}
		system_account: SYS
		accounts: {
		  SYS: {users: [{user: sys, password: sys}]}
		  A: {jetstream: enabled, users: [{user: a, password: a}]}
		}
	EOF
	trap end_js EXIT
	nats-server -c "$W/n.conf" >"$W/n.log" 2>&1 &
	PIDS+=($!)
	ln -s "$BIN/signbox" "$W/nats"
	wait_for 10 port_open "$PORT"
}

end_js() {
	local p
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}

# make_secrets: device key, passphrase
make_secrets() {
	mkdir -p "$W/data" "$W/anchor"
	(umask 077 && head -c 32 /dev/urandom | base64 -w0 >"$W/device_key" &&
		head -c 18 /dev/urandom | base64 -w0 >"$W/passphrase")
}

# write_config [lines]: the service's configuration; bootstrap administrator is `admin`
write_config() {
	cat >"$W/hsm.yaml" <<-EOF
		data: $W/data
		device_key_file: $W/device_key
		unlock_passphrase_file: ${PASSPHRASE_FILE-$W/passphrase}
		anchor_file: ${ANCHOR_FILE-$W/anchor/anchor}
		bootstrap_admins:
		  - {name: admin, nkey: ${NKEY[admin]}}
		nats:
		  url: $NATS_URL
		  nkey: $W/hsm.nk
		$(printf '%s\n' "$@")
	EOF
}

# health [--ready]: one that does not answer in its time, which may wait for a disk, is asked again
# shellcheck disable=SC2120
health() {
	local rc
	for _ in {1..20}; do
		hsmd -c "$W/hsm.yaml" health "$@" 2>"$W/health.err"
		rc=$?
		grep -q 'hsmd does not answer' "$W/health.err" || break
	done
	cat "$W/health.err" >&2
	return $rc
}
up_or_gone() { health || ! kill -0 "$HSM_PID"; }

start_hsm() {
	hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
	HSM_PID=$!
	wait_for 120 up_or_gone
	health >/dev/null 2>&1 || {
		tail -20 "$W/hsm.log" | sed 's/^/# /' >&2
		return 1
	}
	export HSM_IDENTITY
	HSM_IDENTITY=$(cat "$W/data/identity")
}

stop_hsm() {
	kill "$HSM_PID" && wait "$HSM_PID" 2>/dev/null
	local rc=$?
	HSM_PID=
	return $rc
}

# as USER COMMAND…: hsm's commands with that user's NKey, which wait for answers
as() {
	local user=$1 patience=(--timeout "$PATIENCE")
	shift
	case " $* " in *' --timeout '*) patience=() ;; esac
	HSM_NKEY=$W/$user.nk NATS_NKEY=$W/$user.nk hsm "$@" "${patience[@]}"
}

# up: everything, provisioned, with an administrator `admin` and an operator `alice`
up() {
	new_user hsm && new_user admin && new_user alice || return 1
	start_nats -u "${NKEY[admin]}" -u "${NKEY[alice]}:plain" || return 1
	make_secrets
	write_config "$@"
	start_hsm || return 1
	as admin provision --passphrase-file "$W/passphrase" || return 1
	as admin user add alice "${NKEY[alice]}" --role operator
}

# wrong_thrice FILE: gives this wrong passphrase until three were looked at. Each one doubles
# the time in which no other is, which then is longer than what comes next may take (4 s).
wrong_once() { as admin unlock --passphrase-file "$1" 2>&1 | grep -q 'wrong passphrase$'; }
wrong_thrice() { wait_for 60 wrong_once "$1" && wait_for 60 wrong_once "$1" && wait_for 60 wrong_once "$1"; }

# child NAME: process id of one of hsmd's children
child() { pgrep -P "$HSM_PID" -f "/$1" | head -1; }

# ---- TAP ----

TAP_N=0
ok() { # ok NAME COMMAND…
	local name=$1 out
	shift
	TAP_N=$((TAP_N + 1))
	if out=$("$@" 2>&1); then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		printf '%s\n' "$out" "command: $*" | sed 's/^/# /'
	fi
}

is() { # is NAME GOT WANTED
	TAP_N=$((TAP_N + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $TAP_N - $1"
	else
		printf 'not ok %d - %s\n#      got: %s\n# expected: %s\n' "$TAP_N" "$1" "$2" "$3"
	fi
}

# fails STATUS TEXT NAME COMMAND…: exits with STATUS and says TEXT (a grep -E pattern)
fails() {
	local want=$1 text=$2 name=$3 out rc
	shift 3
	out=$("$@" 2>&1)
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ "$rc" = "$want" ] && printf '%s' "$out" | grep -Eqi -- "$text"; then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		printf '%s\n' "exit $rc, expected $want; text should match: $text" "$out" | sed 's/^/# /'
	fi
}

bail() {
	echo "Bail out! $*"
	tail -20 "$W"/*.log 2>/dev/null | sed 's/^/# /'
	exit 1
}

done_testing() { echo "1..$TAP_N"; }
