#!/bin/bash
# hsmd with stub processes (stub_hsm.c): what it hands them, and what it does when they
# die, misbehave or ignore it.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"
pid=
at_end() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; }

check() { # NAME CONDITION…
	local name=$1
	shift
	"$@"
	ok $? "$name"
}

# soon CONDITION…: until it is true, at most a minute: machines stand still for seconds
soon() {
	local until=$((SECONDS + 60))
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.05
	done
}

has() { grep -qE -- "$1" log; }
count() { grep -cE -- "$1" log; }
at_least() { [ "$(count "$1")" -ge "$2" ]; }
running() { kill -0 "$1" 2>/dev/null; }
ended() { ! running "$1"; }
# pid of the newest hsm-X
child() { sed -nE "s/^stub hsm-$1 pid=([0-9]+) .*/\1/p" log | tail -1; }

mkdir lib data anchor
for p in keyd store front; do cp "$T/e2e/stub_hsm" "lib/hsm-$p"; done
cp "$T/e2e/stub_hsm" no-landlock
head -c 32 /dev/zero | tr '\0' '\102' | base64 >key
echo 'from the file' >pass
chmod 600 key pass
cat >hsm.yaml <<-EOF
	data: $tmp/data
	device_key_file: $tmp/key
	unlock_passphrase_file: $tmp/pass
	libexec_dir: $tmp/lib
	anchor_file: $tmp/anchor/anchor
	workers: 3
	sessions_per_user: 11
	max_message: 5000
	nats: {url: "nats://u@h:1", name: n}
	bootstrap_admins: [alice=UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4]
EOF

# start [VAR=VALUE…]: hsmd in the background, log, $pid
start() {
	: >log
	env -i "$@" "$BIN/hsmd" -c hsm.yaml >>log 2>&1 &
	pid=$!
}
# stop: SIGTERM; its status in $rc
stop() {
	kill -TERM "$pid"
	wait "$pid"
	rc=$?
}
# one that does not answer in its time, which may wait for a disk, is asked again
health() {
	local i
	for ((i = 0; i < 20; i++)); do
		health_once "$@"
		grep -q 'hsmd does not answer' err || return 0
	done
}
health_once() {
	env -i "$BIN/hsmd" health -c hsm.yaml "$@" >out 2>err
	rc=$?
}
# health_is STATUS PATTERN: what it says
health_is() { health && [ "$rc" = "$1" ] && grep -qE -- "$2" out; }

# ---- what they get
: >lib/stub.conf
start UNLOCKPW=sesame-open FOO=secret-word SSL_CERT_FILE=/etc/ca.pem
soon has 'connected to NATS' && soon has 'got 65 fds=4' && soon has 'msg=identity'
ok $? 'all three run'
soon has 'hsm-keyd config key0=42 pass=sesame-open may_unlock=1 debug=0 workers=3 sessions=11 max=5000 admins=1 first=alice anchor=1,0,00'
ok $? 'configuration of keyd; UNLOCKPW wins over the file'
soon has 'hsm-keyd got 66 fds=1' && soon has 'hsm-keyd got 65 fds=4'
ok $? 'keyd gets the store and four lanes'
soon has 'hsm-front .*args=\[ --lanes 4 --config-fd 7 --status-fd 8\]'
ok $? 'arguments of the front'
soon has 'hsm-front config=\{"url":"nats://u@h:1","name":"n","debug":false,"landlock_waived":false,"max_message":5000\}'
ok $? 'configuration of the front'
soon has "hsm-store .*args=\[ --map-mib 1024 $tmp/data/store\]"
ok $? 'arguments of the store'
! grep '^stub' log | grep -v 'env=\[SSL_CERT_FILE=/etc/ca.pem,\]' | grep -q 'env='
ok $? 'their environment has nothing else'
check 'each has a session of its own' test "$(count 'sid=1')" = 3
tr '\0' '\n' <"/proc/$pid/environ" >environ
grep -q . environ && ! grep -qE 'sesame|UNLOCKPW|secret-word' environ
ok $? 'UNLOCKPW is not in /proc/PID/environ'
! grep -qE 'sesame' <(grep -v '^stub' log)
ok $? 'nor in the log'
soon test -e data/identity && [ "$(stat -c %a data/identity)" = 644 ] &&
	[ "$(env -i "$BIN/hsmd" identity -c hsm.yaml)" = "$(cat data/identity)" ] && grep -qE '^X[A-Z2-7]{55}$' data/identity
ok $? 'identity file'

# ---- health
soon health_is 0 '^health=up state=locked nats=up keyd=up store=up front=up nats_why=none problem=none warnings='
ok $? 'health'
health --ready
[ $rc = 3 ] && grep -q 'state is locked' err
ok $? 'health --ready of a locked HSM'
health --json
[ $rc = 0 ] && jq -e '.health == "up" and .restarts == "0"' out >/dev/null
ok $? 'health --json'
check 'only its user may ask' test "$(stat -c %a data/health.sock)" = 600
python3 -c '
import socket, sys
s = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for c in s: c.connect(sys.argv[1])

try: s[0].send(b"x" * 4096)
except OSError: pass
print(sum(c.recv(100).startswith(b"health=up") for c in s[1:]))' data/health.sock >out 2>&1
check 'forty clients, one of which talks' test "$(cat out)" = 39

# ---- a second one on the same directory
env -i "$BIN/hsmd" -c hsm.yaml >second 2>&1
rc=$?
[ $rc = 7 ] && [ "$(wc -l <second)" = 1 ] && grep -q "another hsmd runs on $tmp/data" second
ok $? 'a second hsmd on the same data is refused'
health
check 'and the first one goes on' test $rc = 0

# ---- sandbox of hsmd
status=$(cat "/proc/$pid/status")
grep -q 'NoNewPrivs:.1' <<<"$status" && grep -q 'Seccomp:.2' <<<"$status"
ok $? 'hsmd has no new privileges and a filter'
grep -q 'Max core file size *0 *0' "/proc/$pid/limits"
ok $? 'no core files'
check 'what it starts cannot write elsewhere or execute' test "$(count 'confined=1')" = 3
check 'its standard input is gone' test "$(readlink "/proc/$pid/fd/0")" = /dev/null

kill -STOP "$pid"
health_once
kill -CONT "$pid"
check 'health of a hsmd that does not answer: status 7' test "$rc" = 7

# ---- front
front=$(child front)
kill -KILL "$front"
soon at_least 'hsm-front pid' 2 && soon at_least 'got 65 fds=4' 2
ok $? 'front is restarted, keyd gets new lanes'
check 'keyd and store stay' test "$(count 'hsm-keyd pid')$(count 'hsm-store pid')" = 11
front=$(child front)
kill -USR2 "$(child keyd)"
soon ended "$front" && soon at_least 'hsm-front pid' 3
ok $? 'a front that keyd found bad is killed and restarted'
soon has 'why="frame\\x0aforged=line"'
ok $? 'what keyd says about it is escaped in the log'

# ---- anchor
kill -WINCH "$(child keyd)"
soon has 'anchored tag=1 error=0'
ok $? 'anchor is written and answered'
check 'content of the anchor file' test \
	"$(od -An -v -tx1 anchor/anchor | tr -d ' \n')" = "$(printf 'a5%.0s' $(seq 40))"
check 'mode of the anchor file' test "$(stat -c %a anchor/anchor)" = 600
chmod 500 anchor
mv anchor anchor.away
kill -WINCH "$(child keyd)"
soon has 'anchored tag=2 error=3'
ok $? 'an anchor that cannot be written is told'
mv anchor.away anchor
chmod 700 anchor

# ---- store
kill -KILL "$(child store)"
soon at_least 'hsm-store pid' 2 && soon at_least 'got 66 fds=1' 2
ok $? 'store is restarted, keyd gets the new one'

# ---- lock, unlock, keyd
old=$(child front)
kill -USR1 "$(child keyd)"
soon at_least 'hsm-keyd config' 2 && soon at_least 'hsm-front pid' 4
ok $? 'after lock, keyd and the others are restarted'
ended "$old"
ok $? 'the old front is gone'
has 'config .*may_unlock=0' && has 'config .*anchor=1,40,a5'
ok $? 'stored secrets do not count, the anchor is passed'
kill -KILL "$(child keyd)"
soon at_least 'hsm-keyd config' 3
check 'not after a crash either' test "$(count 'may_unlock=0')" = 2
soon at_least 'hsm-keyd got 65' 5
# it says that it is unlocked, then asks for an anchor: when that is answered, both were heard
anchored=$(count 'anchored tag=')
kill -URG "$(child keyd)"
kill -WINCH "$(child keyd)"
soon at_least 'anchored tag=' $((anchored + 1))
kill -KILL "$(child keyd)"
soon at_least 'hsm-keyd config' 4
check 'after unlock they count again' test "$(count 'may_unlock=1')" = 2
soon at_least 'hsm-keyd got 65' 6
was=$(cat data/identity)
kill -VTALRM "$(child keyd)"
soon has 'another HSM than before'
ok $? 'another identity is told'
changed() { [ "$(cat data/identity)" != "$was" ]; }
soon changed && soon has "old=$was new=$(cat data/identity)"
ok $? 'with the old and the new one'
old=$(child keyd)
kill -CONT "$old"
soon ended "$old" && soon has 'channel to keyd is broken' && soon at_least 'hsm-keyd config' 5
ok $? 'a malformed frame of keyd: it is killed and restarted'
soon at_least 'hsm-keyd got 65' 7

# ---- stop
kill -HUP "$pid"
soon has 'SIGHUP does nothing'
ok $? 'SIGHUP'
keyd=$(child keyd) store=$(child store) front=$(child front)
stop
check 'SIGTERM: status 0' test $rc = 0
check 'front first, then keyd, then store' test "$(grep -nE 'hsm-front terminated|got 68|hsm-store end' log | sed 's/.*\(front\|68\|store\).*/\1/' | tail -3 | tr '\n' ' ')" = 'front 68 store '
ended "$keyd" && ended "$store" && ended "$front"
ok $? 'nothing is left running'
check 'the socket is gone' test ! -e data/health.sock

# ---- passphrase of the file
start
soon has 'config .*pass=from the file'
ok $? 'passphrase of the file'
kill -INT "$pid"
wait "$pid"
ok $? 'SIGINT: status 0'

# ---- a machine that is not as it should be
: >log
(ulimit -l 64 && exec env -i setpriv --bounding-set=-ipc_lock "$BIN/hsmd" -c hsm.yaml) >>log 2>&1 &
pid=$!
soon has 'connected to NATS'
has 'memory-lock limit is too small' && has 'msg=starting .*warnings=memlock' && soon has 'config .*warnings=1$'
ok $? 'a memory-lock limit that is too small is told'
stop
: >log
env -i ./no-landlock "$BIN/hsmd" -c hsm.yaml >>log 2>&1
rc=$?
check 'no Landlock: no start' test "$rc" = 2
has 'this kernel has no Landlock.*landlock: waived' && ! has '^stub'
ok $? 'and what to do about it'
: >log
env -i HSM_LANDLOCK=waived ./no-landlock "$BIN/hsmd" -c hsm.yaml >>log 2>&1 &
pid=$!
soon has 'connected to NATS' && has 'starting .*no-landlock' && soon has '"landlock_waived":true' && soon has 'store .*--no-landlock'
ok $? 'waived: a start with a warning, told to all'
stop

# ---- killed: nobody survives
start
soon has 'got 65 fds=4'
keyd=$(child keyd) store=$(child store) front=$(child front)
kill -KILL "$pid"
wait "$pid" 2>/dev/null
soon ended "$keyd" && soon ended "$store" && soon ended "$front"
ok $? 'SIGKILL of hsmd ends all'
start
soon has 'connected to NATS'
ok $? 'a start over the socket that was left'

# ---- second signal
stop
printf 'hsm-front linger\n' >lib/stub.conf
start
soon has 'connected to NATS' && soon has 'got 65'
front=$(child front)
kill -TERM "$pid"
soon has 'hsm-front terminated'
running "$pid"
ok $? 'hsmd waits for requests in hand'
kill -TERM "$pid"
wait "$pid"
ended "$front"
ok $? 'a second signal ends it at once'
has 'second signal'
ok $? 'and is told'

# ---- failures that restarts cannot mend
printf 'hsm-store exit 8\n' >lib/stub.conf
start
wait "$pid"
rc=$?
[ $rc = 8 ] && has 'cannot start, its line above says why.*hsm-store'
ok $? 'a store that says why it cannot start: its status'
check 'at once, and hsmd adds no error of its own' test "$(count 'hsm-store pid')$(count 'level=error')" = 10
printf 'hsm-store crash\n' >lib/stub.conf
start
wait "$pid"
rc=$?
[ $rc = 8 ] && has 'level=error .*the store cannot be used.*signal 6'
ok $? 'a store that crashes again and again: as a damaged one, one clear line'
check 'after five tries' test "$(count 'hsm-store pid')$(count 'level=error')" = 51
printf 'hsm-keyd exit 2\n' >lib/stub.conf
start
wait "$pid"
rc=$?
[ $rc = 2 ] && has 'cannot start, its line above says why.*hsm-keyd' && [ "$(count 'hsm-keyd pid')" = 1 ]
ok $? 'a keyd that cannot start at all'
printf 'hsm-front exit 1\n' >lib/stub.conf
start
soon at_least 'hsm-front pid' 4
# (between two of its lives)
soon health_is 7 'health=down.* nats=down keyd=up store=up front=down'
ok $? 'a front that does not come up is tried again, health says down'
check 'and keyd stays' test "$(count 'hsm-keyd pid')" = 1
: >lib/stub.conf
soon has 'connected to NATS'
ok $? 'until it comes up'
stop
ok $rc 'and stops well'
pid=

echo "1..$n"
