#!/bin/bash
# nats against a real nats-server: credentials and TLS of every kind, contexts, stdin,
# three nodes, and whatever goes wrong: no server, one that answers nonsense or never, a
# closed pipe, binary on a terminal, bad names.
# shellcheck disable=SC2016 # $SYS is a subject
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export HOME=$W TZ=UTC LANG=C.UTF-8
PIDS=()
finish() {
	local p
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap finish EXIT
nats() { timeout 120 "$BIN/signbox" nats "$@"; }
serve() { # CONFIG
	nats-server -c "$1" >>"$1.log" 2>&1 &
	PIDS+=($!)
}
# says NAME TEXT COMMAND…: succeeds and prints a line that matches
says() {
	local name=$1 text=$2 out rc
	shift 2
	out=$("$@" 2>&1 </dev/null)
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ $rc = 0 ] && grep -Eq -- "$text" <<<"$out"; then echo "ok $TAP_N - $name"; else
		printf 'not ok %d - %s\n' "$TAP_N" "$name"
		printf '%s\n' "exit $rc" "$out" | sed 's/^/# /'
	fi
}
# one_line STATUS TEXT NAME COMMAND…: fails with one line on stderr that matches, stdout empty
one_line() {
	local want=$1 text=$2 name=$3
	shift 3
	"$@" >"$W/1" 2>"$W/2" </dev/null
	is "$name" "$?:$(wc -c <"$W/1"):$(grep -acE -- "$text" "$W/2"):$(wc -l <"$W/2")" "$want:0:1:1"
	grep -aqE -- "$text" "$W/2" || sed 's/^/# /' "$W/2"
}

# ---- certificates, users, a server that wants TLS and one that does not
cd "$W" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca 2>/dev/null
for c in server client; do
	openssl req -newkey rsa:2048 -nodes -keyout $c.key -out $c.csr -subj /CN=$c 2>/dev/null
	printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,email:c@example\n' >$c.ext
	openssl x509 -req -in $c.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $c.ext -out $c.pem 2>/dev/null
done
new_user alice
PORT=$(free_port) TLS=$(free_port) MON=$(free_port)
U=nats://127.0.0.1:$PORT T=tls://127.0.0.1:$TLS
AUTH="authorization: {users: [{nkey: ${NKEY[alice]}}, {user: u, password: p}, {user: w, password: w, permissions: {publish: [ok]}}]}"
cat >plain.conf <<CONF
listen: 127.0.0.1:$PORT
http: 127.0.0.1:$MON
$AUTH
CONF
cat >tls.conf <<CONF
listen: 127.0.0.1:$TLS
tls: {cert_file: "$W/server.pem", key_file: "$W/server.key", ca_file: "$W/ca.pem", verify: true}
CONF
serve plain.conf
serve tls.conf
wait_for 60 port_open "$PORT" && wait_for 60 port_open "$MON" && wait_for 60 port_open "$TLS" || bail 'no nats-server'
says 'NKey' 'Published 1 bytes' nats -s "$U" --nkey alice.nk pub a b
says 'name and password' 'Published' nats -s "$U" --user u --password p pub a b
says 'in the URL' 'Published' nats -s "nats://u:p@127.0.0.1:$PORT" pub a b
says 'in variables' 'Published' env NATS_URL="$U" NATS_USER=u NATS_PASSWORD=p "$BIN/signbox" nats pub a b
says 'an option wins over a variable' 'Published' env NATS_URL=nats://127.0.0.1:1 "$BIN/signbox" nats -s "$U" --nkey alice.nk pub a b
one_line 1 'Authorization Violation' 'no credentials' nats -s "$U" pub a b
one_line 1 'Authorization Violation' 'wrong password' nats -s "$U" --user u --password x pub a b
one_line 1 'none\.nk' 'a seed file that is not there' nats -s "$U" --nkey none.nk pub a b
one_line 1 'ermissions [Vv]iolation.*forbidden' 'not permitted' nats -s "$U" --user w --password w pub forbidden b
one_line 1 'alice.pub|seed' 'a public key is no seed' nats -s "$U" --nkey ca.pem pub a b
chmod 644 alice.nk
says 'a seed file that others can read, as mounts have' 'Published' nats -s "$U" --nkey alice.nk pub a b
chmod 600 alice.nk

says 'TLS with a client certificate' 'Published' nats -s "$T" --tlsca ca.pem --tlscert client.pem --tlskey client.key pub a b
says 'TLS is taken up with nats:// too' 'Published' nats -s "nats://127.0.0.1:$TLS" --tlsca ca.pem --tlscert client.pem --tlskey client.key pub a b
says 'account info says TLS' 'TLS Connection: yes' nats -s "$T" --tlsca ca.pem --tlscert client.pem --tlskey client.key account info
one_line 1 'TLS|certificate' 'an unknown CA' nats -s "$T" --tlscert client.pem --tlskey client.key pub a b
one_line 1 'cert and key|key' 'a certificate without its key' nats -s "$T" --tlsca ca.pem --tlscert client.pem pub a b
one_line 1 'none.pem' 'a CA file that is not there' nats -s "$T" --tlsca none.pem pub a b
one_line 1 'does not offer TLS|secure|TLS' 'TLS asked of a server without' nats -s "tls://127.0.0.1:$PORT" --nkey alice.nk pub a b

# ---- operator mode: creds, JWT and seed, a bearer token's refusal
export XDG_DATA_HOME=$W/data XDG_CONFIG_HOME=$W/config
"$BIN/signbox" nsc init -n demo >nsc.log 2>&1
CREDS=$(find "$W" -name demo.creds | head -1)
if [ -n "$CREDS" ] && "$BIN/signbox" nsc generate config --mem-resolver --config-file op.inc >>nsc.log 2>&1; then
	OP=$(free_port)
	printf 'listen: 127.0.0.1:%s\ninclude op.inc\n' "$OP" >op.conf
	serve op.conf
	wait_for 10 port_open "$OP"
	says 'creds' 'Published' nats -s "nats://127.0.0.1:$OP" --creds "$CREDS" pub a b
	says 'creds as file://' 'Published' nats -s "nats://127.0.0.1:$OP" --creds "file://$CREDS" pub a b
	export THE_CREDS
	THE_CREDS=$(cat "$CREDS")
	says 'creds in a variable' 'Published' nats -s "nats://127.0.0.1:$OP" --creds env://THE_CREDS pub a b
	says 'creds as base64' 'Published' nats -s "nats://127.0.0.1:$OP" --creds "data:;base64,$(base64 -w0 "$CREDS")" pub a b
	JWT=$(sed -n 2p "$CREDS") SEED=$(grep -ao 'SU[A-Z2-7]\{56\}' "$CREDS")
	says 'JWT and seed' 'Published' nats -s "nats://127.0.0.1:$OP" --jwt "$JWT" --seed "$SEED" pub a b
	one_line 1 'Authorization Violation' 'a JWT without its seed' nats -s "nats://127.0.0.1:$OP" --jwt "$JWT" pub a b
	head -c 300 "$CREDS" >broken.creds
	one_line 1 'broken.creds' 'broken creds' nats -s "nats://127.0.0.1:$OP" --creds broken.creds pub a b
	says 'the seed never shows' '^no$' sh -c "'$BIN/signbox' nats --trace -s nats://127.0.0.1:$OP --creds broken.creds pub a b 2>&1 | grep -q '$SEED' && echo yes || echo no"
	says 'check credential' '^OK Credential OK:never expires' nats server check credential --credential "$CREDS" --no-require-expiry
	fails 2 '^CRITICAL Credential Crit:never expires' 'a credential must expire' nats server check credential --credential "$CREDS"
else
	echo '# not run: operator mode: no creds by nsc'
fi
one_line 1 'another program' 'creds of 1Password' nats -s "$U" --creds op://v/i/f pub a b

# ---- contexts
ok 'a context' nats context add dev -s "$U" --nkey "$W/alice.nk" --select
says 'is used' 'Published' nats pub a b
is 'and is for its user only' "$(stat -c %a config/nats/context/dev.json)" 600
is 'its selection has no newline' "$(od -c config/nats/context.txt | head -1 | tr -s ' ')" '0000000 d e v'
one_line 1 'Authorization Violation' 'but not with --no-context' nats --no-context -s "$U" pub a b
jq '. + {later: 1}' config/nats/context/dev.json >x && cp x config/nats/context/new.json
says 'unknown keys are told' "note: .*unknown key 'later'" nats --context new pub a b
ok 'and kept' nats context add new --description changed
is 'with the change' "$(jq -c '[.later,.description]' config/nats/context/new.json)" '[1,"changed"]'
printf '{"url": 7}' >config/nats/context/bad.json
one_line 1 "bad.json: key 'url' must be a string" 'a wrong type' nats --context bad pub a b
printf '{"password": "s3cret", ' >config/nats/context/bad.json
one_line 1 'bad.json:1: .*malformed JSON' 'malformed JSON' nats --context bad pub a b
is 'whose text does not show' "$(grep -c s3cret 2)" 0
one_line 1 'unknown context "none"' 'a context that is not there' nats --context none pub a b
for name in ../x a/b 'a\b' '..'; do one_line 1 'invalid context name' "the name $name" nats context add "$name"; done
says 'a dot in a name' 'NATS Configuration Context "a.b"' nats context add a.b
rm -f config/nats/context/dev.json config/nats/context/bad.json
says 'a selected context that is gone stops nothing' 'was not found' nats -s "$U" --nkey alice.nk pub a b
ok 'unselect' nats context unselect
EDITOR="sed -i s#127.0.0.1#127.0.0.2#" one_line 1 'editor .* failed: nothing was changed' 'an editor that fails' nats context edit new
printf '#!/bin/sh\nsed -i s/changed/edited/ "$1"\n' >edit.sh && chmod +x edit.sh
EDITOR=$W/edit.sh says 'edit' 'Description: edited' nats context edit new
printf '#!/bin/sh\necho nonsense >"$1"\n' >edit.sh
EDITOR=$W/edit.sh one_line 1 'nothing was changed: .*malformed' 'an edit that is no context' nats context edit new
is 'nothing is left behind' "$(find config/nats/context | LC_ALL=C sort | tr '\n' ' ')" \
	'config/nats/context config/nats/context/a.b.json config/nats/context/new.json '
ok 'connects' nats context validate new --connect

# ---- messages
export NATS_URL=$U NATS_NKEY=$W/alice.nk NATS_CONTEXT=
nats sub 'm.>' --count 5 --raw >got 2>got.err &
SUB=$!
wait_for 60 listens "$MON" m.1
printf 'from stdin' | nats pub m.1 >/dev/null 2>&1 # stdout is no terminal: natscli#1696
while read -r line; do nats pub m.2 "$line" 2>/dev/null; done <<<$'first\nsecond' # natscli#1426
printf 'l1\nl2' | nats pub m.3 --send-on newline -q
wait "$SUB"
is 'stdin is read, and left alone when there is a body' "$(tr '\n' '|' <got)" 'from stdin|first|second|l1|l2|'
nats sub b.x --count 1 --raw >got 2>got.err &
SUB=$!
wait_for 60 listens "$MON" b.x
head -c 100000 /dev/urandom >blob
nats pub b.x <blob 2>/dev/null
wait "$SUB"
head -c 100000 got >got.cut
ok 'binary comes through as it is' cmp blob got.cut
one_line 1 'larger|payload' 'more than the server takes' sh -c "head -c 2000000 /dev/zero | '$BIN/signbox' nats pub -q b.x"
one_line 1 'no line breaks' 'a header that would be two' nats pub a b -H 'A: {{"x"}}'$'\n''B: y'
one_line 1 'invalid subject' 'a blank in a subject' nats pub 'a b' c
one_line 1 'invalid subject' 'an empty token' nats pub 'a..b' c
nats sub 'slow.>' >/dev/null 2>&1 &
PIDS+=($!)
wait_for 60 listens "$MON" slow.x
one_line 1 'nats: timeout: no reply within 300ms' 'no reply' nats req --raw slow.x y --timeout 300ms
fails 1 'No responders are available' 'no responders' nats req nobody.x y
# the pipe is closed after one message: the end, without a word
nats sub 'p.>' 2>pipe.err | head -1 >pipe.out &
SUB=$!
wait_for 60 listens "$MON" p.1
nats pub p.1 1 -q
# it notices when it writes once more
left() { nats pub p.2 2 -q && deaf "$MON" p.1; }
wait_for 60 left && wait "$SUB"
is 'a closed pipe ends sub silently' "$(cat pipe.out):$(sed 1d pipe.err)" '[#1] Received on "p.1":'
one_line 1 'cannot write standard output' 'a full disk is told' sh -c "'$BIN/signbox' nats context ls --names >/dev/full"
# what would drive the terminal is shown, not sent
python3 - "$BIN/signbox" "$U" "$W/alice.nk" "$MON" >tty.out 2>&1 <<'PY'
import json, os, pty, subprocess, sys, time, urllib.request
box, url, nkey, mon = sys.argv[1:]
cmd = [box, 'nats', '-s', url, '--nkey', nkey]
main, sub = pty.openpty()
p = subprocess.Popen(cmd + ['sub', 'tty.>', '--count', '1', '--raw'], stdout=sub, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
os.close(sub)
for _ in range(600):
    if json.load(urllib.request.urlopen(f'http://127.0.0.1:{mon}/subsz?subs=1&test=tty.x')).get('total'): break
    time.sleep(0.1)
subprocess.run(cmd + ['pub', 'tty.x', '-q'], input=b'\x1b]0;owned\x07 text \xff\n')
out = b''
try:
    while True:
        d = os.read(main, 4096)
        if not d: break
        out += d
except OSError:
    pass
p.wait()
print(out.decode('latin1').replace('\r\n', ''))
PY
is 'binary on a terminal' "$(cat tty.out)" '\x1b]0;owned\x07 text \xff'

# a table is cut to the terminal, and coloured by the context; a pipe gets all of it
nats context add long --description "$(printf 'word%.0s ' {1..40})" --colors red >/dev/null
python3 - "$BIN/signbox" >cut.out 2>&1 <<'PY'
import fcntl, os, pty, re, struct, subprocess, sys, termios
for cols in (40, 120):
    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack('HHHH', 24, cols, 0, 0))
    p = subprocess.Popen([sys.argv[1], 'nats', 'context', 'ls', '--context', 'long'], stdout=sub, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(sub)
    out = b''
    try:
        while (d := os.read(main, 4096)): out += d
    except OSError:
        pass
    p.wait()
    lines = [re.sub(r'\x1b\[[0-9;]*m', '', l) for l in out.decode().splitlines() if l.strip()]
    print(cols, max(map(len, lines)), all(l.endswith('\u2248') for l in lines))
PY
is 'a table fits the terminal' "$(tr '\n' '|' <cut.out)" '40 40 True|120 120 True|'
ok 'a pipe gets whole lines' sh -c "'$BIN/signbox' nats context ls | grep -q 'word word *│$'"

# ---- servers that are none
python3 - "$W" <<'PY' &
import socket, sys, threading, time
def run(name, behave):
    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(20)
    open(f'{sys.argv[1]}/{name}.port', 'w').write(str(s.getsockname()[1]))
    while True:
        c, _ = s.accept()
        threading.Thread(target=behave, args=(c,), daemon=True).start()
def nonsense(c):
    try: c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n'); time.sleep(1); c.close()
    except OSError: pass
def mute(c):
    time.sleep(900)
INFO = b'INFO {"server_id":"X","version":"2.11.0","max_payload":1048576,"headers":true,"proto":1}\r\n'
def liar(c):  # a NATS server to which every request is answered with garbage
    try:
        c.sendall(INFO)
        buf, inbox = b'', {}
        while True:
            d = c.recv(4096)
            if not d: return
            buf += d
            while b'\r\n' in buf:
                line, buf = buf.split(b'\r\n', 1)
                w = line.split(b' ')
                if w[0] == b'PING': c.sendall(b'PONG\r\n')
                elif w[0] == b'SUB': inbox[w[1]] = w[-1]
                elif w[0] in (b'PUB', b'HPUB') and len(w) > 3:
                    buf = b''
                    for pat, sid in inbox.items():
                        if w[2].startswith(pat.rstrip(b'*')):
                            c.sendall(b'MSG ' + w[2] + b' ' + sid + b' 5\r\n\xff{no}\r\n')
    except OSError: pass
for n, b in (('nonsense', nonsense), ('mute', mute), ('liar', liar)):
    threading.Thread(target=run, args=(n, b), daemon=True).start()
time.sleep(900)
PY
PIDS+=($!)
for s in nonsense mute liar; do wait_for 60 test -s $s.port || bail 'no fake servers'; done
unset NATS_URL NATS_NKEY
fake() { echo "nats://127.0.0.1:$(cat "$W/$1.port")"; }
one_line 1 'no servers available|no NATS server' 'a server that is no NATS server' nats -s "$(fake nonsense)" pub a b
one_line 1 'no servers available|timed out' 'one that says nothing' nats -s "$(fake mute)" --timeout 500ms pub a b
one_line 1 'is not a JSON object' 'one that answers a JetStream request with nonsense' nats -s "$(fake liar)" stream info X
one_line 1 'not a JSON object|nonsense|no results' 'server list from it' nats -s "$(fake liar)" --timeout 1s server list
one_line 1 'not a JSON object' 'micro ls from it' nats -s "$(fake liar)" --timeout 1s micro ls
fails 2 '^CRITICAL JetStream Crit:JetStream not available' 'a check of it' nats -s "$(fake liar)" --timeout 1s server check jetstream
one_line 1 "scheme 'http'" 'a URL of another scheme' nats -s http://127.0.0.1 pub a b

# ---- streams by sub and pub
JS=$(free_port)
printf 'listen: 127.0.0.1:%s\nhttp: 127.0.0.1:%s\njetstream: {store_dir: "%s/js"}\n' "$JS" "$((JSMON = $(free_port)))" "$W" >js.conf
serve js.conf
wait_for 10 port_open "$JS" || bail 'no JetStream'
j() { nats -s "nats://127.0.0.1:$JS" "$@"; }
wait_for 10 j stream add ST --subjects 'st.>' --defaults || bail 'no stream'
says 'pub -J tells where it is' 'Stored in Stream: ST Sequence: 1$' j pub -J st.a one -H 'Nats-Msg-Id: 1'
says 'a duplicate too' 'Sequence: 1 Duplicate: true$' j pub -J st.a one -H 'Nats-Msg-Id: 1'
j pub -J -q st.b two --count 1 && j pub -J -q st.c 'n {{Count}}' --count 3
one_line 1 'no responders' 'no stream listens' j pub -J -q none x
says 'all messages' '^\[#5\] Received JetStream message: stream: ST seq: 5 / pending: 0 / subject: st.c' j sub --stream ST --all --count 5
is 'the end of the stream' "$(j sub --stream ST --all -T --raw 2>/dev/null | tr '\n' ' ')" 'one two n 1 n 2 n 3 '
is 'the last of each subject' "$(j sub --stream ST --last-per-subject -T --raw 2>/dev/null | tr '\n' ' ')" 'one two n 3 '
is 'the stream of a subject' "$(j sub st.b --last --count 1 --raw 2>/dev/null)" two
is 'from a sequence' "$(j sub --stream ST --start-sequence 4 -T --raw 2>/dev/null | tr '\n' ' ')" 'n 2 n 3 '
is 'an empty one ends too' "$(j sub --stream ST --since 1ms -T --raw 2>/dev/null | wc -l)" 0
one_line 1 'stream not found \(10059\)' 'no such stream' sh -c "'$BIN/signbox' nats -s nats://127.0.0.1:$JS sub --stream NONE --durable d 2>&1 >/dev/null | tail -1 >&2; exit 1"
is 'a durable consumer goes on where it was' "$(for _ in 1 2 3; do j sub --stream ST --durable D --count 1 --raw 2>/dev/null; done | tr '\n' ' ')" 'one two n 1 '
says 'and takes no more than it shows' 'Stream sequence: 3 ' j consumer info ST D
says 'bench js' 'JetStream synchronous publisher stats' j bench js pub sync bj --create --msgs 200 --no-progress
says 'bench js, in batches' 'JetStream asynchronous publisher stats' j bench js pub async bj --msgs 2000 --no-progress
says 'bench kv put' 'JetStream KV putter stats' j bench kv put --msgs 200 --no-progress
says 'bench kv get' 'JetStream KV getter stats' j bench kv get --msgs 200 --no-progress
j bench service serve bsvc --no-progress >serve.out 2>&1 &
SUB=$!
PIDS+=("$SUB")
wait_for 60 listens "$JSMON" bsvc
says 'bench service' 'service requester stats' j bench service request bsvc --msgs 200 --no-progress

# ---- three nodes: contexts with a list of servers go on when one is lost
CMON=$(free_port) C1=$(free_port) C2=$(free_port) C3=$(free_port) R1=$(free_port) R2=$(free_port) R3=$(free_port)
node() { # N PORT ROUTE
	cat >"c$1.conf" <<-CONF
		server_name: c$1
		listen: 127.0.0.1:$2
		cluster: {name: C, listen: "127.0.0.1:$3", routes: ["nats://127.0.0.1:$R1", "nats://127.0.0.1:$R2", "nats://127.0.0.1:$R3"]}
		accounts: {\$SYS: {users: [{user: sys, password: sys}]}, A: {users: [{user: a, password: a}]}}
		no_auth_user: a
		$([ "$1" != 2 ] || echo "http: 127.0.0.1:$CMON")
	CONF
	serve "c$1.conf"
}
node 1 "$C1" "$R1"
FIRST=${PIDS[-1]}
node 2 "$C2" "$R2"
node 3 "$C3" "$R3"
for p in "$C1" "$C2" "$C3"; do wait_for 10 port_open "$p" || bail 'no cluster'; done
ok 'a context of three servers' nats context add three -s "nats://127.0.0.1:$C1,nats://127.0.0.1:$C2,nats://127.0.0.1:$C3"
three() { nats -s "nats://sys:sys@127.0.0.1:$C2" server list 3 --json 2>/dev/null | jq -e 'length == 3'; }
ok 'server list shows three' wait_for 20 three
nats --context three sub 'k.>' --raw >kept 2>kept.err &
SUB=$!
PIDS+=("$SUB")
subscribed() { nats -s "nats://sys:sys@127.0.0.1:$C2" req --raw --replies 3 '$SYS.REQ.SERVER.PING.SUBSZ' '{"subscriptions":true,"test":"k.x"}' --no-templates | jq -es 'any(.[]; .data.total > 0)'; }
wait_for 60 subscribed
kill "$FIRST" && wait "$FIRST" 2>/dev/null
reached() { nats -s "nats://127.0.0.1:$C3" pub k.x survived -q; grep -q survived kept; }
ok 'a subscription survives the loss of a node' wait_for 25 reached
says 'publishing too' 'Published' nats --context three pub a b
says 'latency between two nodes' 'Median Latency' nats latency -s "nats://127.0.0.1:$C2" --server-b "nats://127.0.0.1:$C3" --rate 100 --duration 500ms
says 'bench pub' 'NATS Core NATS publisher stats: [0-9,]+ msgs/sec ~ .*P99.9:' nats -s "nats://127.0.0.1:$C2" bench pub b --msgs 20000 --no-progress
says 'bench with clients' 'aggregated stats' nats -s "nats://127.0.0.1:$C2" bench pub b --msgs 20000 --clients 3 --no-progress --csv b.csv
is 'and figures in a file' "$(wc -l <b.csv)" 4
nats -s "nats://127.0.0.1:$C2" bench sub bs --msgs 500 --no-progress >bs.out 2>&1 &
SUB=$!
wait_for 60 listens "$CMON" bs
nats -s "nats://127.0.0.1:$C2" bench pub bs --msgs 500 --no-progress >/dev/null 2>&1
wait "$SUB"
is 'bench sub ends' $? 0
ok 'with a report' grep -q 'Core NATS subscriber stats' bs.out
"$BIN/signbox" nats -s "nats://sys:sys@127.0.0.1:$C2" events --short >ev.out 2>&1 &
SUB=$!
PIDS+=("$SUB")
connection() { nats -s "nats://127.0.0.1:$C2" pub a b -q && sleep 0.2 && grep -q '\[Client Connect\].* in account A' ev.out; }
ok 'events shows a connection' wait_for 60 connection
done_testing
