#!/bin/bash
# nats-top on a terminal (tmux) of two sizes, over HTTPS, with passwords and as a system
# user over NATS; servers that restart, lie, or never answer.
# shellcheck disable=SC2016 # tmux's shells expand these
. "$(dirname "$0")/lib.sh"
TMUX_TMPDIR=$W
export TMUX_TMPDIR LANG=C.UTF-8
PIDS=() SOCK=s0 N=0
MON=$(free_port) TLS=$(free_port) PORT=$(free_port)

finish() {
	local p
	tmux -L "$SOCK" kill-server 2>/dev/null
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap finish EXIT

# ---- certificates
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca \
	-keyout "$W/ca.key" -out "$W/ca.pem" 2>/dev/null
for who in server client; do
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$who" \
		-keyout "$W/$who.key" -out "$W/$who.csr" 2>/dev/null
	openssl x509 -req -in "$W/$who.csr" -CA "$W/ca.pem" -CAkey "$W/ca.key" -days 2 \
		-extfile <(echo 'subjectAltName=DNS:localhost') -out "$W/$who.pem" 2>/dev/null
done

server() { # CONFIG-LINES…: a server, its process id in LAST
	printf '%s\n' "$@" >"$W/top.conf"
	nats-server -c "$W/top.conf" >>"$W/top.log" 2>&1 &
	LAST=$!
	PIDS+=("$LAST")
	wait_for 10 port_open "$PORT"
}
stop() { kill "$1" && wait "$1" 2>/dev/null; }

# a client that stays: connects, names itself, subscribes
python3 - "$PORT" >"$W/client.log" 2>&1 <<'PY' &
import socket, sys, time
while True:
    try:
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
        s.settimeout(None)
        f = s.makefile("rwb")
        f.readline()
        f.write(b'CONNECT {"verbose":false,"name":"probe\\u001b[31m","lang":"py","version":"9.9"}\r\nSUB foo.> 1\r\nPING\r\n')
        f.write(b"PUB foo.a 5\r\nhello\r\n")
        f.flush()
        while f.readline():
            f.write(b"PONG\r\n")
            f.flush()
    except OSError:
        pass
    time.sleep(0.2)
PY
PIDS+=($!)

new_user sys
accounts="system_account: S
accounts: { S: {users: [{user: sys, password: sp}, {nkey: ${NKEY[sys]}}]}, A: {users: [{user: a, password: a}]} }
no_auth_user: a"
plain=("listen: 127.0.0.1:$PORT" "http: 127.0.0.1:$MON" 'server_name: top1' "$accounts")
server "${plain[@]}" || bail 'nats-server does not start'
NATS=$LAST
top() { timeout 120 "$BIN/signbox" nats-top "$@"; }
connected() { top -m "$MON" -o - | grep -q probe; }
wait_for 10 connected || bail 'the client does not connect'

# ---- where to
ok 'a host and -m' top -s 127.0.0.1 -m "$MON" -o -
ok 'HOST:PORT' top -s "127.0.0.1:$MON" -o -
ok 'a URL with a scheme' top -s "http://localhost:$MON/" -o -
ok 'a NATS URL: only its host' top -s "nats://a:a@127.0.0.1:$PORT,nats://other:1" -m "$MON" -o -
top -m "$MON" -o - >"$W/out"
ok 'a name cannot drive the terminal' grep -qF 'probe?[31m' "$W/out"
is 'no control character in the output' "$(tr -d '\n[:print:]' <"$W/out")" ''
ok 'subscriptions' bash -c "'$BIN/signbox' nats-top -m $MON -u -o - | grep -q 'foo\.>\$'"
top -m "$MON" -l ';' -o "$W/file" && ok '-l DELIMITER and -o FILE' grep -q '^HOST;CID;NAME;SUBS;PENDING;' "$W/file"
is 'three refreshes into a pipe' "$(top -m "$MON" -r 3 | grep -c '^NATS server version')" 3
fails 1 'does not speak HTTP' 'the client port' top -s "127.0.0.1:$PORT" -o -
fails 1 'refuses connections' 'nobody there' top -s 127.0.0.1:1 -o -
fails 1 'cannot find nosuch.invalid' 'no such host' top -s nosuch.invalid -o -
fails 1 'stats request failed 404' 'another path' top -s "http://127.0.0.1:$MON/nosuch" -o -

# ---- over NATS
cat >"$W/sysurl" <<<"nats://sys:sp@127.0.0.1:$PORT"
: >"$W/none.creds"
fails 1 'not of the system account' 'another account asks the system' \
	env NATS_USER=a NATS_PASSWORD=a "$BIN/signbox" nats-top -s "nats://127.0.0.1:$PORT" -nats -o -
NATS_USER=sys NATS_PASSWORD=sp top -s "nats://127.0.0.1:$PORT" -nats -u -o - >"$W/sys" 2>&1
ok 'the system account: header' grep -q '^Server: top1$' "$W/sys"
ok 'the system account: connections' grep -q 'probe.*foo\.>$' "$W/sys"

export XDG_CONFIG_HOME=$W/xdg
"$BIN/signbox" nats context add sysctx --server "nats://127.0.0.1:$PORT" --user sys --password sp >/dev/null 2>&1
ok 'a context of the system account' top -context sysctx -o -
"$BIN/signbox" nats context add appctx --server "nats://127.0.0.1:$PORT" --user a --password a >/dev/null 2>&1
fails 1 'not of the system account' 'a context of another' top -context appctx -o -
ok 'an NKey of the system account' top -nkey "$W/sys.nk" -s "nats://127.0.0.1:$PORT" -o -
is 'refreshes over NATS' "$(top -context sysctx -r 2 | grep -c '^NATS server version')" 2

# ---- a terminal
screen() { tmux -L "$SOCK" capture-pane -p -t top; }
seen() { screen | grep -qF -- "$1"; }
gone() { ! seen "$1"; }
keys() { tmux -L "$SOCK" send-keys -t top "$@"; }
shows() { # NAME TEXT: within a minute
	if wait_for 10 seen "$2"; then ok "$1" true; else
		ok "$1" false
		screen | sed 's/^/# /'
	fi
}
start_screen() { # COLUMNS ROWS ARG…
	local x=$1 y=$2
	shift 2
	tmux -L "$SOCK" kill-server 2>/dev/null
	SOCK=s$((++N))
	tmux -L "$SOCK" -f /dev/null new-session -d -s top -x "$x" -y "$y" \
		"stty -a >$W/stty1; '$BIN/signbox' nats-top $*; echo status=\$? >$W/rc; stty -a >$W/stty2; echo over; exec sleep 900"
}
rm -f "$W/rc"
start_screen 80 24 -m "$MON"
shows '80x24: the header' 'NATS server version 2.'
shows '80x24: the table' 'probe?[31m'
is '80x24: lines are cut, not wrapped' "$(screen | sed -n 9p | cut -c1-16)" '  HOST          '
is '80x24: six header lines, an empty one, the number' "$(screen | sed -n '7p;8p' | tr '\n' '|')" '|Connections Polled: 1|'
keys Right Right Right Right Right Right Right Right Right Right Right Right
shows 'scrolled to the right' 'LAST_ACTIVITY'
keys Home
keys o
shows 'o asks' 'sort by [cid]:'
keys subsx BSpace
shows 'what is typed is seen' 'sort by [cid]: subs'
keys Enter
wait_for 5 gone 'sort by'
keys o
shows 'o: the order is kept' 'sort by [subs]:'
keys qqq Enter
shows 'o: a wrong one is refused' 'invalid order: qqq'
keys n
shows 'n asks' 'limit   [1024]:'
keys 7 Enter
wait_for 5 gone 'limit'
keys n
shows 'n: the limit is kept' 'limit   [7]:'
keys Escape
keys '?'
shows '? helps' 'Press any key to continue'
keys x
shows 'any key goes back' 'Connections Polled'
tmux -L "$SOCK" resize-window -t top -x 200 -y 50
shows '200x50 after resizing' 'LAST_ACTIVITY'
keys s
shows 's: subscriptions' 'SUBSCRIPTIONS'
shows 's: the subject' 'foo.>'
keys s
wait_for 5 gone SUBSCRIPTIONS
is 's again hides them' "$(screen | grep -c SUBSCRIPTIONS)" 0
keys d
shows 'd: names of addresses' 'localhost '
keys d
shows 'd again: addresses' '127.0.0.1:'
keys Space
shows 'space: rates' 'Connections Polled'
tmux -L "$SOCK" resize-window -t top -x 80 -y 24
wait_for 5 gone LAST_ACTIVITY
is 'smaller again: cut' "$(screen | grep -c LAST_ACTIVITY)" 0

# ---- the server goes and comes back
stop "$NATS"
shows 'the server is gone: said on the seventh line' 'refuses connections'
ok 'the last numbers stay' seen 'Connections Polled: 1'
server "${plain[@]}"
NATS=$LAST
wait_for 10 gone 'refuses connections'
shows 'the server is back' 'probe'
is 'no message any more' "$(screen | sed -n 7p)" ''
keys q
wait_for 5 test -s "$W/rc"
is 'q ends with 0' "$(cat "$W/rc")" status=0
wait_for 5 seen over
ok 'the terminal is as before' cmp "$W/stty1" "$W/stty2"

for how in C-c TERM SEGV; do
	rm -f "$W/rc" "$W/stty2"
	start_screen 200 50 -m "$MON" -u
	shows "before $how" 'probe'
	if [ $how = C-c ]; then keys C-c; else
		shell=$(tmux -L "$SOCK" display -p -t top '#{pane_pid}')
		pid=$(pgrep -P "$shell" -f 'nats-top' | head -1)
		kill -$how "${pid:-$shell}"
	fi
	wait_for 60 seen over
	ok "$how: the terminal is as before" cmp "$W/stty1" "$W/stty2"
	ok "$how: the screen is the shell's again" wait_for 60 gone 'Connections Polled'
done
rm -f "$W/rc"
start_screen 80 24 -m "$MON" -r 2
wait_for 10 test -s "$W/rc"
is '-r 2 ends by itself' "$(cat "$W/rc")" status=0
stop "$NATS"

# ---- HTTPS
server "listen: 127.0.0.1:$PORT" "https: 127.0.0.1:$TLS" 'server_name: top2' \
	"tls: {cert_file: $W/server.pem, key_file: $W/server.key, ca_file: $W/ca.pem, verify: true}"
ok 'HTTPS with -ms and a client certificate' top -s localhost -ms "$TLS" -cacert "$W/ca.pem" \
	-cert "$W/client.pem" -key "$W/client.key" -o -
ok 'https:// in -s' top -s "https://localhost:$TLS" -cacert "$W/ca.pem" -cert "$W/client.pem" \
	-key "$W/client.key" -o -
ok '-k' top -s localhost -ms "$TLS" -k -cert "$W/client.pem" -key "$W/client.key" -o -
fails 1 'certificate of localhost.*(unable|self)' 'an unknown CA' top -s localhost -ms "$TLS" -o -
fails 1 'certificate of 127.0.0.1.*mismatch' 'another name' \
	top -s 127.0.0.1 -ms "$TLS" -cacert "$W/ca.pem" -o -
fails 1 'both -cert and -key' 'half a client certificate' top -s localhost -ms "$TLS" -cert "$W/client.pem" -o -
fails 1 'no usable CA' 'a CA file that is none' top -s localhost -ms "$TLS" -cacert "$W/server.key" -o -
stop "$LAST"
# nats-server's monitoring asks for no client certificate: a server that does
python3 - "$TLS" "$W" >"$W/mtls.log" 2>&1 <<'PY' &
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        body = b'{"server_id":"N1","version":"1","connections":[]}'
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(sys.argv[2] + "/server.pem", sys.argv[2] + "/server.key")
c.load_verify_locations(sys.argv[2] + "/ca.pem")
c.verify_mode = ssl.CERT_REQUIRED
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
PY
PIDS+=($!)
wait_for 10 port_open "$TLS"
ok 'a server that insists on a client certificate gets it' top -s localhost -ms "$TLS" -cacert "$W/ca.pem" \
	-cert "$W/client.pem" -key "$W/client.key" -o -
fails 1 'TLS|closed' 'and refuses without' top -s localhost -ms "$TLS" -cacert "$W/ca.pem" -o -

# a server that sends its flight and hangs up: what is written then is a broken pipe
HANGS=$(free_port)
python3 - "$HANGS" "$W" >"$W/hangs.log" 2>&1 <<'PY' &
import socket, ssl, struct, sys
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(sys.argv[2] + "/server.pem", sys.argv[2] + "/server.key")
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    peer, _ = s.accept()
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = c.wrap_bio(heard, said, server_side=True)
    heard.write(peer.recv(65536))
    try:
        tls.do_handshake()
    except ssl.SSLError:
        pass
    try:
        peer.sendall(said.read())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    peer.close()
PY
PIDS+=($!)
wait_for 10 port_open "$HANGS"
for i in 1 2 3 4 5; do
	fails 1 'closed|refuses|TLS' "a server that hangs up in the handshake, $i" top -s "https://127.0.0.1:$HANGS" -k -o -
done

# ---- servers that are no servers; basic authentication
python3 - "$MON" >"$W/fake.log" 2>&1 <<'PY' &
import base64, http.server, sys, time
varz = b'{"server_id":"N1","server_name":"f","version":"1","now":"2026-01-01T00:00:00Z"}'
big = b'{"server_id":"N1","mem":1e300,"in_msgs":9223372036854775807,"now":"9999-99-99T00:00:00Z","cpu":-1e308}'
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_GET(self):
        mode, page = self.path.split("/")[1:3]
        body, code = b'{"num_connections":0,"connections":[]}', 200
        if page == "varz": body = varz
        if mode == "auth" and self.headers.get("Authorization") != "Basic " + base64.b64encode(b"us er:p@ss").decode():
            code = 401
        if mode == "garbage": body = b"\x00\xff{]" * 99
        if mode == "list": body = b"[1,2]"
        if mode == "types": body = b'{"server_id":7,"mem":"x","connections":{}}'
        if mode == "conns" and page != "varz": body = b'{"connections":[1,"x"]}'
        if mode == "absurd": body = big if page == "varz" else b'{"num_connections":-5,"connections":[{"cid":-1,"ip":"","port":1e99,"out_msgs":9223372036854775807,"last_activity":"zzz","subscriptions_list":[{}]}]}'
        if mode == "overflow": body = b'{"mem":99999999999999999999999999}'
        if mode == "never": time.sleep(60)
        if mode == "later":
            H.asked = getattr(H, "asked", 0) + 1
            if H.asked > 4: time.sleep(60)
        if mode == "moved": code = 302
        self.send_response(code)
        if mode == "drip":
            self.send_header("Content-Length", "1000000"); self.end_headers()
            for i in range(60):
                self.wfile.write(b" "); self.wfile.flush(); time.sleep(1)
        if mode == "huge":
            self.send_header("Content-Length", "99999999999"); self.end_headers()
            return
        if mode == "chunked":
            self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            for i in range(0, len(body), 7):
                part = body[i:i + 7]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
PIDS+=($!)
wait_for 10 port_open "$MON"
at="127.0.0.1:$MON"
ok 'user and password in the URL' top -s "http://us%20er:p%40ss@$at/auth" -o -
fails 1 'failed 401.*user and password' 'a wrong password' top -s "http://x:y@$at/auth" -o -
ok 'a chunked answer' top -s "http://$at/chunked" -o -
fails 1 '/varz:1: ' 'garbage' top -s "http://$at/garbage" -o -
fails 1 'not a JSON object' 'a list' top -s "http://$at/list" -o -
fails 1 "'server_id' is not text" 'wrong types' top -s "http://$at/types" -o -
fails 1 'a connection is not an object' 'connections that are none' top -s "http://$at/conns" -o -
fails 1 'too big|/varz' 'a number that no integer holds' top -s "http://$at/overflow" -o -
fails 1 'redirects are not followed' 'a redirect' top -s "http://$at/moved" -o -
fails 1 'does not answer in time' 'never' top -s "http://$at/never" -o -
fails 1 'does not answer in time' 'a byte a second' top -s "http://$at/drip" -o -
fails 1 'larger|closed' 'a huge answer' top -s "http://$at/huge" -o -
top -s "http://$at/absurd" -o - >"$W/absurd" 2>&1
is 'absurd numbers: status 0' $? 0
ok 'absurd numbers are cut, not believed' grep -q 'Connections Polled: -5' "$W/absurd"
start_screen 80 24 -s "http://$at/absurd"
shows 'absurd numbers on the screen' 'Connections Polled: -5'
keys q
start_screen 80 24 -s "http://$at/later"
shows 'a server that stops answering' 'Connections Polled: 0'
sleep 2
keys '?'
shows 'keys are answered meanwhile' 'Press any key to continue'
keys x
shows 'and after five seconds it is said' 'does not answer in time'
rm -f "$W/rc"
keys q
wait_for 2 test -s "$W/rc"
is 'q does not wait for the server' "$(cat "$W/rc")" status=0

# ---- suspended and resumed by a shell
tmux -L "$SOCK" kill-server 2>/dev/null
SOCK=s$((++N))
tmux -L "$SOCK" -f /dev/null new-session -d -s top -x 80 -y 24 "env PS1=PROMPT: bash --norc -i"
shows 'a shell' 'PROMPT:'
keys "$BIN/signbox nats-top -s http://$at/chunked" Enter
shows 'nats-top below it' 'Connections Polled: 0'
keys C-z
shows 'Control-Z gives the terminal back' 'Stopped'
ok 'the screen is the shell again' wait_for 60 gone 'Connections Polled: 0'
keys fg Enter
shows 'fg: the screen is back' 'Connections Polled: 0'
keys q
shows 'and goes' 'Stopped'
keys 'echo end=$?' Enter
shows 'with status 0' 'end=0'
done_testing
