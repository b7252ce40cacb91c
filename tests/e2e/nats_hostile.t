#!/bin/bash
# nats and nats-top: credentials go only where they were meant for, secrets never show, a
# SOCKS proxy of each kind, and servers whose texts drive terminals.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
HERE=$(realpath "$(dirname "$0")")
export HOME=$W TZ=UTC LANG=C.UTF-8
cd "$W" || exit 1
PIDS=()
finish() {
	local p
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap finish EXIT
nats() { timeout 120 "$BIN/signbox" nats "$@"; }
top() { timeout 120 "$BIN/signbox" nats-top "$@"; }
# one_line TEXT NAME COMMAND…: status 1, nothing on stdout, one line that matches on stderr
one_line() {
	local text=$1 name=$2
	shift 2
	"$@" >"$W/out" 2>"$W/err" </dev/null
	is "$name" "$?:$(wc -c <"$W/out"):$(grep -acE -- "$text" "$W/err"):$(wc -l <"$W/err")" 1:0:1:1
	grep -aqE -- "$text" "$W/err" || cat -v "$W/err" | sed 's/^/# /'
}

# ---- a server that notes what CONNECT tells it, and one that says what drives a terminal
python3 - "$W" >fake.log 2>&1 <<'PY' &
import json, os, socket, sys, threading, time
W = sys.argv[1]
def run(name, behave):
    s = socket.create_server(('127.0.0.1', 0))
    open(f'{W}/{name}.tmp', 'w').write(str(s.getsockname()[1]))
    os.rename(f'{W}/{name}.tmp', f'{W}/{name}.port')
    while True:
        c, _ = s.accept()
        threading.Thread(target=guard, args=(behave, c), daemon=True).start()
def guard(behave, c):
    try: behave(c)
    except OSError: pass
EVIL = '\x1b]0;PWN\x07\x1b[2J\u009b31m\u202e'
info = {"server_id": "X" + EVIL, "server_name": "n" + EVIL, "version": "2.11.0", "max_payload": 1048576, "headers": True, "proto": 1, "auth_required": True, "nonce": "abcdefgh"}
def lines(c, extra=None):
    c.sendall(b'INFO ' + json.dumps(info).encode() + b'\r\n')
    f = c.makefile('rb')
    for line in f:
        if line.startswith(b'CONNECT'): open(f'{W}/connect', 'wb').write(line)
        yield line, f
def note(c):
    for line, f in lines(c):
        if line.startswith(b'PING'): c.sendall(b'PONG\r\n')
def evil(c):
    subs = {}
    for line, f in lines(c):
        w = line.split()
        if line.startswith(b'PING'): c.sendall(b'PONG\r\n')
        if line.startswith(b'SUB'):
            subs[w[1]] = w[-1]
            if w[1] == b'foo':
                # a permission violation, then the connection goes: both are told
                c.sendall(f"-ERR 'Permissions Violation for Subscription to \"{EVIL}\"'\r\n".encode())
        if line.startswith((b'PUB', b'HPUB')):
            f.read(int(w[-1]) + 2)
            if len(w) > 3:
                sid = list(subs.values())[-1]
                body = json.dumps({"type": "x", "error": {"code": 500, "err_code": 1, "description": EVIL}, "server": {"name": EVIL, "id": EVIL}, "statsz": {"active_servers": 1}}).encode()
                c.sendall(b'MSG ' + w[2] + b' ' + sid + b' %d\r\n' % len(body) + body + b'\r\n')
def cont(c):
    while True: c.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
def three(c):  # some are within the rules
    page = c.recv(4096)
    body = b'{"server_id":"N1","version":"1","connections":[]}'
    c.sendall(b'HTTP/1.1 100 Continue\r\n\r\n' * 3 + b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
for n, b in (('note', note), ('evil', evil), ('cont', cont), ('three', three)):
    threading.Thread(target=run, args=(n, b), daemon=True).start()
time.sleep(900)
PY
PIDS+=($!)
wait_for 60 test -s three.port && wait_for 60 test -s note.port && wait_for 60 test -s evil.port && wait_for 60 test -s cont.port || bail 'no fake servers'
at() { echo "nats://127.0.0.1:$(cat "$W/$1.port")"; }
new_user alice
S=$(cat alice.nk)
ok 'a context with a password' nats context add p --server nats://127.0.0.1:1 --user bob --password s3cret
ok 'one with a token' nats context add t --server nats://127.0.0.1:1 --token t0ken
ok 'one with a seed' nats context add k --server nats://127.0.0.1:1 --nkey "$W/alice.nk"
# sent WHAT COMMAND…: user, password, token, nkey of CONNECT, "-" for each that is missing
sent() {
	rm -f connect
	"$@" >/dev/null 2>&1
	sed 's/^CONNECT //' connect | jq -r '[.user, .pass, .auth_token, .nkey] | map(. // "" | if . == "" then "-" else .[:6] end) | join(" ")'
}
N=${NKEY[alice]:0:6}
is "the context's password goes with -s, as with natscli" "$(sent nats --context p -s "$(at note)" pub a b)" 'bob s3cret - -'
is 'but not with --nkey' "$(sent nats --context p -s "$(at note)" --nkey alice.nk pub a b)" "- - - $N"
is 'nor with NATS_NKEY' "$(NATS_NKEY=$W/alice.nk sent nats --context p -s "$(at note)" pub a b)" "- - - $N"
is 'nor with a token' "$(sent nats --context p -s "$(at note)" --token other pub a b)" '- - other -'
is 'nor a token with --nkey' "$(sent nats --context t -s "$(at note)" --nkey alice.nk pub a b)" "- - - $N"
is 'nor a seed with a user' "$(sent nats --context k -s "$(at note)" --user u --password p pub a b)" 'u p - -'
is 'nor a seed with the user of the URL' "$(sent nats --context k -s "nats://u:p@127.0.0.1:$(cat note.port)" pub a b)" 'u p - -'
is 'an option takes away what variables give' "$(NATS_USER=v NATS_PASSWORD=v sent nats --context t -s "$(at note)" --nkey alice.nk pub a b)" "- - - $N"
is 'a user alone is a token' "$(sent nats --context p -s "$(at note)" --user u pub a b)" '- - u -'
is 'a new password for the user of the context' "$(sent nats --context p -s "$(at note)" --password other pub a b)" 'bob other - -'
is 'nats-top: no password with -nkey' "$(sent top -context p -s "$(at note)" -nkey alice.nk -o -)" "- - - $N"
is 'nats-top: -nkey over NATS_CREDS' "$(NATS_CREDS=none sent top -s "$(at note)" -nkey alice.nk -o -)" "- - - $N"
ok 'a copy of a context with other credentials' nats context copy p p2 --nkey "$W/alice.nk"
is 'has only those' "$(jq -c '[.user,.password,.nkey != ""]' config/nats/context/p2.json)" '["","",true]'

# ---- secrets do not show
for what in "--nkey $S" "--creds $S" "--seed $S --jwt x" "--context $S" "-s nats://bob:s3cret@127.0.0.1:1" \
	"-s foo://bob:s3cret@h" "-s nats://bob:s3/cret@127.0.0.1:x" "--socks-proxy socks5://u:s3cret@127.0.0.1:1" \
	"--socks-proxy socks5://u:s3cret@x@127.0.0.1:1" "--socks-proxy ftp://u:s3cret@127.0.0.1:1"; do
	# shellcheck disable=SC2086 # words
	nats $what pub a b >out 2>&1
	is "status and silence: ${what//"$S"/SEED}" "$?:$(grep -cE "${S:0:20}|s3|cret" out):$(wc -l <out)" 1:0:1
done
ok 'a seed where a file should be' nats context add oops --nkey "$S"
is 'does not show' "$(nats context info oops 2>&1 | grep -c "${S:2:20}")" 0
nats context add url --server nats://bob:s3cret@127.0.0.1:1 >out
is 'nor the password of a URL' "$(grep -c s3cret out)" 0
for url in http://bob:s3cret@127.0.0.1:1 foo://bob:s3cret@h http://bob:s3cret@127.0.0.1:99999 http://bob:s3/cret@127.0.0.1 \
	http://bob:s3%cret@127.0.0.1 bob:s3cret@127.0.0.1:x; do
	top -s "$url" -o - >out 2>&1
	is "nats-top, $url" "$?:$(grep -cE 's3|cret' out):$(wc -l <out)" 1:0:1
done
one_line '%2F' 'a slash in a password' top -s http://bob:s3/cret@127.0.0.1 -o -
one_line '%25' 'a percent sign in a password' top -s http://bob:50%@127.0.0.1 -o -

# ---- what strangers say
nats -s "$(at evil)" --trace sub foo --count 1 >out 2>err &
SUB=$!
PIDS+=("$SUB")
wait_for 10 grep -q 'Unexpected NATS error' err
kill "$SUB" 2>/dev/null
wait "$SUB" 2>/dev/null
ok 'a permission violation is told' grep -q 'Unexpected NATS error: .*Violation' err
clean() { LC_ALL=C; ! grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2\x9b|\xe2\x80\xae' "$@"; }
ok 'without what drives the terminal' clean out err
for what in 'stream info foo' 'server ping 1' 'server ping 1 --id' 'rtt' '--trace stream info foo' 'server info x'; do
	# shellcheck disable=SC2086 # words
	nats -s "$(at evil)" --timeout 1s $what >out 2>err
	ok "$what" clean out err
	ok "$what: says something" grep -q . out err
done
top -nats -s "$(at evil)" -o - >out 2>err
is 'nats-top: fails' $? 1
ok 'nats-top: clean' clean out err
printf '{"later\\u001b[31m\\u009b": 1}' >config/nats/context/esc.json
nats --context esc -s "$(at note)" pub a b >out 2>err
ok 'an unknown key of a context' grep -q 'unknown key' err
ok 'is clean' clean out err
for name in $'a\nb' $'e\e[31m' $'c\xc2\x9bd' $'r\xe2\x80\xaed' $'bad\xff'; do
	one_line 'invalid context name' "the name $(printf %q "$name")" nats context add "$name" -s nats://h
done
cp config/nats/context/p.json config/nats/context/$'evil\e[31m.json'
ok 'a file of such a name is no context' test "$(nats context ls --names | grep -c evil)" = 0
one_line '100 Continue' 'a server that only says 100 Continue' top -s 127.0.0.1 -m "$(cat cont.port)" -o -
ok 'three of them are fine' top -s 127.0.0.1 -m "$(cat three.port)" -o -
one_line '-k is for HTTPS' '-k over NATS' top -k -nats -s "$(at note)" -o -
one_line 'of a text' 'a NUL in data: creds' nats -s "$(at note)" --creds "data:;base64,$(printf 'a\0b' | base64)" pub a b

# ---- the editor's Control-C, and how the copy goes
cat >edit.sh <<'SH'
#!/bin/sh
grep 'core file' /proc/$PPID/limits >"$HOME/limits"
echo $PPID >"$HOME/editing.new" && mv "$HOME/editing.new" "$HOME/editing"
trap : INT QUIT
i=0
while [ ! -e "$HOME/go" ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
sed -i 's/bob/eve/' "$1"
SH
chmod +x edit.sh
edit() { # runs until the editor has started; the process in PIDS
	rm -f editing go
	EDITOR=$W/edit.sh python3 -c 'import os, signal, sys
for s in signal.SIGINT, signal.SIGQUIT: signal.signal(s, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$BIN/signbox" nats context edit p >out 2>err &
	EDIT=$!
	PIDS+=("$EDIT")
	wait_for 10 test -s editing
}
copies() { find config/nats/context -name 'p.json.*' | wc -l; }
edit
ok 'an editor has started' test -s editing
is 'no core file' "$(awk '{print $5, $6}' limits)" '0 0'
is 'a copy' "$(copies)" 1
kill -INT "$EDIT" && kill -QUIT "$EDIT"
sleep 0.2
ok 'Control-C is not for us' kill -0 "$EDIT"
touch go
wait "$EDIT"
is 'the edit is taken' "$?:$(jq -r .user config/nats/context/p.json):$(copies)" 0:eve:0
for sig in TERM HUP; do
	edit
	ok "an editor, before $sig" test -s editing
	kill -$sig "$EDIT"
	wait "$EDIT"
	is "$sig ends it, and nothing is left" "$?:$(copies)" "$((128 + $(kill -l $sig))):0"
	touch go
	sleep 0.3
done

# ---- SOCKS
PORT=$(free_port)
nats-server -a 127.0.0.1 -p "$PORT" >ns.log 2>&1 &
PIDS+=($!)
wait_for 10 port_open "$PORT" || bail 'no nats-server'
proxy() { # NAME MODE [USER PASSWORD]: P is its address
	local name=$1
	shift
	python3 "$HERE/socks5.py" "$W/$name.port" "$@" >"$name.log" 2>&1 &
	PIDS+=($!)
	wait_for 10 test -s "$name.port" || bail "no proxy $name"
}
via() { # URL COMMAND…
	local url=$1
	shift
	nats -s "nats://localhost:$PORT" --socks-proxy "$url" --timeout "${VIA:-60s}" "$@"
}
proxy open relay && proxy login relay 'us er' 'p@ss:w/rd%' && proxy mute mute && proxy drip drip
proxy refuse refuse && proxy http http
P() { echo "127.0.0.1:$(cat "$1.port")"; }
ok 'through a proxy' via "socks5://$(P open)" pub a b
ok 'which finds the name' grep -q "^connect localhost $PORT" open.log
is 'no password is offered where there is none' "$(head -1 open.log)" 'methods [0]'
ok 'without a scheme' via "$(P open)" pub a b
ok 'a user that an open proxy does not ask for' via "socks5://u:p@$(P open)" pub a b
ok 'user and password' via "socks5h://us%20er:p%40ss%3Aw%2Frd%25@$(P login)/" pub a b
is 'are right' "$(grep -c '^login True' login.log)" 1
ok 'a request through it' sh -c "'$BIN/signbox' nats -s nats://127.0.0.1:$PORT --socks-proxy 'socks5://us%20er:p%40ss%3Aw%2Frd%25@$(P login)' rtt | grep -q ':'"
ok 'by a variable' env NATS_SOCKS_PROXY="socks5://$(P open)" "$BIN/signbox" nats -s "nats://127.0.0.1:$PORT" pub a b
one_line 'SOCKS proxy .* refuses the user and password' 'a wrong password' via "socks5://us%20er:no@$(P login)" pub a b
one_line 'SOCKS proxy .* wants a user and password' 'no password' via "socks5://$(P login)" pub a b
one_line 'SOCKS proxy 127.0.0.1:1: it refuses connections' 'no proxy' via socks5://127.0.0.1:1 pub a b
one_line 'cannot find the SOCKS proxy nosuch.invalid' 'no such host' via socks5://nosuch.invalid pub a b
one_line 'SOCKS proxy .* cannot connect to localhost:[0-9]+: the connection was refused' 'it cannot connect' via "socks5://$(P refuse)" pub a b
one_line 'is no SOCKS5 proxy' 'a web server' via "socks5://$(P http)" pub a b
VIA=2s one_line 'SOCKS proxy .* does not answer in time' 'one that says nothing' via "socks5://$(P mute)" pub a b
VIA=2s one_line 'SOCKS proxy .* does not answer in time' 'one that sends byte by byte' via "socks5://$(P drip)" pub a b
nats -s "$(at mute 2>/dev/null || echo nats://127.0.0.1:"$(cat mute.port)")" --socks-proxy "socks5://$(P open)" --timeout 1s pub a b >out 2>err
is 'a server behind a proxy that says nothing' "$?:$(wc -l <err)" 1:1
for bad in socks4://h ftp://h socks5:// 'socks5://u:p@' socks5://h:0 socks5://h:99999 socks5://h:x socks5://u:a@b@h socks5://u:p%zz@h \
	socks5://:p@h socks5://u:a:b@h 'socks5://[::1' socks5://h/path "socks5://$(printf 'u%.0s' {1..256}):p@h"; do
	one_line 'the SOCKS proxy is given as' "${bad:0:40}" via "$bad" pub a b
done
one_line 'SOCKS proxy ::1:1:' 'IPv6' via 'socks5://[::1]:1' pub a b
done_testing
