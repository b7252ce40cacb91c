#!/bin/bash
# hsm-testing, PID 1 of signbox/hsm:testing: it makes its secrets once, prints them once and
# warns always; whatever of it is killed comes back; what others made it leaves alone.
# shellcheck source=tests/e2e/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"

D=$W/data
PORT=$(free_port)
OWN=nats://127.0.0.1:$PORT
RUN=''
at_exit() {
	[ -z "$RUN" ] || { kill "$RUN" 2>/dev/null && wait "$RUN" 2>/dev/null; }
	cleanup
}
trap at_exit EXIT

run_testing() { # [VAR=VALUE…]: in the foreground
	env "$@" "$BIN/hsm-testing" --data "$D" --listen "127.0.0.1:$PORT"
}
testing() { # in the background; output in $W/out, $W/err
	exec 3>&1
	env "$@" "$BIN/hsm-testing" --data "$D" --listen "127.0.0.1:$PORT" >"$W/out" 2>"$W/err" 3>&- &
	RUN=$!
}
# what `docker exec` has
# with time for a busy machine, where one can say so
inside() { env -u HSM_IDENTITY HSM_CONFIG="$D/testing/hsm.yaml" HSM_NKEY="$D/testing/operator.nk" XDG_CONFIG_HOME="$D/testing/config" NATS_URL="${BROKER:-$OWN}" "$@"; }
ready() { inside hsm-testing --data "$D" --health; }
state() { inside signbox hsm state --json --timeout 60; }
gone() { ! pgrep -f "$D/testing"; }
part() { pgrep -P "$RUN" -x "$1"; }
stop_testing() {
	kill -TERM "$RUN"
	wait "$RUN"
	local rc=$?
	RUN=''
	return $rc
}
failed() { tail -20 "$W/err" | sed 's/^/# /'; }

# ---- the first start ----
mkdir -m 700 "$D"
testing "NATS_$(printf 'X%.0s' {1..80})=a long name"
ok 'it gets ready, with nothing given' wait_for 30 ready || failed
is 'it is operational, and says what it is' "$(state | jq -c '[.state, (.warnings | index("testing") != null)]')" '["operational",true]'
is 'a key of each type' "$(inside signbox hsm key ls --json --timeout 60 | jq -rc '[.[].type]')" '["ed25519","p256","rsa"]'
ok 'it warns' grep -q 'NOT FOR PRODUCTION' "$W/err"
wait_for 5 grep -q 'Ask it' "$W/out"
for s in device_key passphrase service.nk admin.nk operator.nk; do
	ok "it prints its $s, once" [ "$(grep -cF -- "$(cat "$D/testing/$s")" "$W/out")" = 1 ]
	is '… which nobody else can read' "$(stat -c %a "$D/testing/$s")" 600
	cp "$D/testing/$s" "$W/first.$s"
done
unprinted() { ! cat "$W"/first.* | grep -qFf - "$@"; }
ok 'no secret is in its log' unprinted "$W/err"
unprinted "$W/out"
is 'self-check: they would be seen' $? 1
identity=$(cat "$D/identity")
is 'what it prints is who it is' "$(grep -c "identity of the HSM *$identity$" "$W/out")" 1

# ---- the commands that it prints ----
# as a user would paste them, with `docker exec NAME` and `docker cp` being nothing here
mkdir "$W/paste"
sed -n "s/^  //; /^\(docker exec\|echo\|docker cp\|nats\|hsm\|  *req\|  *--identity\)/p" "$W/out" >"$W/commands"
sed -i 's/docker exec \(-i \)\?[0-9A-Za-z]* //g; s/docker cp [^:]*:/cp /' "$W/commands"
ln -s "$BIN/signbox" "$W/paste/hsm" && ln -s "$BIN/signbox" "$W/paste/nats"
is 'it prints commands' "$(grep -c . "$W/commands")" 10
cd "$W/paste" || exit 1
# (its commands have the time of their defaults: on a busy machine, once more)
ok 'all of which work when pasted' wait_for 60 inside env PATH="$W/paste:$PATH" bash -e "$W/commands"
ok '… and openssl says that the signature is right' wait_for 60 inside env PATH="$W/paste:$PATH" bash -c "bash -e '$W/commands' | grep -q 'Verified OK'"
cd "$SRC" || exit 1

# ---- again ----
stop_testing
is 'SIGTERM ends it with status 0' $? 0
is 'and leaves no process' "$(pgrep -f "$D/testing" | wc -l)" 0
testing
ok 'another start on the same volume' wait_for 30 ready || failed
wait_for 5 grep -q 'Ask it' "$W/out"
ok 'it warns again' grep -q 'NOT FOR PRODUCTION' "$W/err"
is 'the identity is the same' "$(cat "$D/identity")" "$identity"
for s in device_key passphrase service.nk admin.nk operator.nk; do
	ok "its $s is the same" cmp "$W/first.$s" "$D/testing/$s"
done
ok 'and none is printed' unprinted "$W/out" "$W/err"
is 'the keys are there' "$(inside signbox hsm key ls --json --timeout 60 | jq length)" 3

# ---- what is killed ----
for p in nats-server hsmd; do
	was=$(part $p)
	kill -KILL "$was"
	ok "$p is killed: another comes" wait_for 15 bash -c "p=\$(pgrep -P $RUN -x $p) && [ \"\$p\" != $was ]"
	ok '… and it is ready again' wait_for 20 ready || failed
	ok '… and signs' inside signbox hsm sign demo-ed25519 "$0" -o "$W/sig" --timeout 60
done
kill -KILL "$(pgrep -P "$(part hsmd)" -x hsm-keyd)"
ok 'a process of the service is killed' wait_for 20 ready
kill -TERM "$RUN"
kill -INT "$RUN"
wait "$RUN"
is 'two signals at once end it, too' "$?" 0
RUN=''

# ---- at a terminal ----
# as with `docker run -ti`: what it says comes by the terminal, ^C goes to it
at_terminal() {
	python3 - "$BIN/hsm-testing" --data "$D" --listen "127.0.0.1:$PORT" <<-'END'
		import os, pty, select, sys, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], sys.argv[1:])
		out, until, asked = b"", time.monotonic() + 240, False
		while time.monotonic() < until:
		    if select.select([fd], [], [], 1)[0]:
		        try:
		            more = os.read(fd, 65536)
		        except OSError:
		            break
		        if not more:
		            break
		        out += more
		    if not asked and b"Ask it" in out and b"connected to NATS" in out:
		        os.write(fd, b"\x03")
		        asked = True
		else:
		    os.kill(pid, 9)
		status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		print(asked, status, out.count(b"\x1b[1;31m"), b"stopped" in out)
	END
}
is 'at a terminal it warns in bold letters, and ^C ends it in order' "$(at_terminal)" 'True 0 1 True'
is '… with no process left' "$(pgrep -f "$D/testing" | wc -l)" 0

# ---- a start that is cut short ----
for after in 0.05 0.15 0.25 0.4; do
	rm -rf "$D" && mkdir -m 700 "$D"
	testing
	sleep "$after"
	kill -KILL "$RUN"
	wait "$RUN" 2>/dev/null
	wait_for 60 gone
	testing
	ok "killed after $after s, the next start makes up for it" wait_for 30 ready || failed
	is '… with all keys' "$(inside signbox hsm key ls --json --timeout 60 | jq length)" 3
	stop_testing
done

# ---- a broker of one's own ----
rm -rf "$D" && mkdir -m 700 "$D"
testing
wait_for 30 ready
stop_testing
NATS_PORT=$(free_port)
export BROKER=nats://127.0.0.1:$NATS_PORT
signbox nats-config --hsm "$(nk -inkey "$D/testing/service.nk" -pubout)" \
	--user "$(nk -inkey "$D/testing/operator.nk" -pubout):plain" -l "127.0.0.1:$NATS_PORT" -o "$W/nats.conf"
run_nats || bail 'no broker'
for kind in 'that is set up' 'that is to be set up'; do
	testing NATS_URL="$BROKER"
	ok "with NATS_URL: ready, with a volume $kind" wait_for 30 ready || failed
	# set up it is by a broker of its own, which then goes
	is '… and no broker of its own' "$(part nats-server)" ''
	ok '… nothing listens where it did' bash -c "! : </dev/tcp/127.0.0.1/$PORT"
	ok '… and the operator has it sign over the other' inside signbox hsm sign demo-p256 "$0" -o "$W/sig" --timeout 60
	is '… it has its keys' "$(inside signbox hsm key ls --json --timeout 60 | jq length)" 3
	stop_testing
	is '… SIGTERM: status 0' $? 0
	# the NKeys that the broker knows stay
	rm -rf "$D/store" "$D/identity" "$D/testing/done" "$D/testing/config"
done
stop_nats
unset BROKER

# ---- refusals ----
fails 2 'store that the test image made' 'production refuses what this made' \
	env HSM_DATA="$D" HSM_DEVICE_KEY="$D/testing/device_key" hsmd
fails 2 'store that the test image made' '… check-config says so' \
	env HSM_DATA="$D" HSM_DEVICE_KEY="$D/testing/device_key" hsmd check-config
fails 2 'store that the test image made' '… and no variable changes that' \
	env HSM_DATA="$D" HSM_DEVICE_KEY="$D/testing/device_key" TESTING=true HSM_TESTING=true testing=true hsmd
mkdir -p "$D/store" && rm -rf "$D/testing"
fails 2 'did not make.*volume of its own' 'it refuses a store that it did not make' run_testing
is '… and makes nothing there' "$(find "$D" -mindepth 1 -printf '%P')" store
rm -rf "$D" && mkdir -m 700 "$D"
for v in HSM_DEVICE_KEY UNLOCKPW HSM_BOOTSTRAP_ADMINS HSM_DATA HSM_ANCHOR; do
	fails 2 "$v is set.*signbox/hsm" "it takes no secrets of others: $v" run_testing "$v=x"
done
is '… and makes nothing' "$(ls "$D")" ''
D=$W/none fails 2 "none.*volume.*user $(id -u)" 'no volume' run_testing
fails 2 'HOST:PORT' 'no port to listen on' "$BIN/hsm-testing" --data "$D" --listen nowhere
python3 -c "import socket,time; s=socket.socket(); s.setsockopt(1,2,1); s.bind(('127.0.0.1',$PORT)); s.listen(); time.sleep(900)" &
busy=$!
wait_for 5 port_open "$PORT"
fails 1 'nats-server ended with status 1' 'the port is taken: it ends, and all of it' timeout 120 "$BIN/hsm-testing" --data "$D" --listen "127.0.0.1:$PORT"
kill "$busy" && wait "$busy" 2>/dev/null
is '… with no process left' "$(pgrep -f "$D/testing" | wc -l)" 0

# ---- production has none of it ----
head -c 32 /dev/urandom | base64 >"$W/key" && chmod 600 "$W/key"
export HSM_RESTART_DELAY=0
D=$W/production
fails 2 'device key' 'it does not start without a device key' env HSM_DATA="$D" hsmd
is '… which is one line' "$(env HSM_DATA="$D" hsmd 2>&1 | wc -l)" 1
fails 2 'no administrators: set HSM_BOOTSTRAP_ADMINS' '… nor, the first time, without administrators' env HSM_DATA="$D" HSM_DEVICE_KEY="$W/key" timeout 120 hsmd
is '… which is one line' "$(env HSM_DATA="$D" HSM_DEVICE_KEY="$W/key" timeout 120 hsmd 2>&1 | wc -l)" 1
fails 2 'no NATS user of the service: set nats.nkey' '… nor without a NATS user' \
	env HSM_DATA="$D" HSM_DEVICE_KEY="$W/key" HSM_BOOTSTRAP_ADMINS="a=$(nk -gen user -pubout | tail -n 1)" timeout 120 hsmd
for p in hsmd hsm-front hsm-keyd hsm-store; do
	is "$p cannot set itself up" "$(grep -c 'Secrets, printed\|demo-ed25519' "$BIN/$p")" 0
done
is 'self-check: this one can' "$(grep -c 'Secrets, printed\|demo-ed25519' "$BIN/hsm-testing" | sed 's/[1-9][0-9]*/yes/')" yes
done_testing
