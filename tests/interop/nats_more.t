#!/bin/bash
# nats against natscli, the second part: benchmarks, batches, balance, gaps, direct reads,
# reports, backups, certificates, the exporter, error codes. As nats_core.t.
# shellcheck disable=SC2016,SC2034,SC2209 # $SYS is a subject; nats_lib.sh reads variables, also one that is `sort`
# shellcheck source=tests/interop/nats_lib.sh
. "$(dirname "$0")/nats_lib.sh"
URL=$A

# ---- error codes: comments are in our words
LEFT='s/│ +([0-9]+) +│ +([0-9]+) +│ ([^│]*)│[^│]*│ ([A-Za-z0-9]+) +│/\1 \2 \3 \4/; /^[╭╰├]/d; /NATS Errors|NATS Code/d; s/ +/ /g'
MASK=$LEFT same 'errors ls' errors ls
MASK=$LEFT same 'errors ls of some' errors ls 'stream.*create'
MASK=$LEFT same 'errors ls, reversed' err list consumer code -R
same 'errors lookup' errors lookup 10059
error 'errors ls of none' 'no errors found matching regular expression nonono' errors ls nonono
error 'errors lookup of none' 'no error matches code 1' errors lookup 1
cat >"$W/errors.json" <<'J'
[{"constant":"A","code":400,"error_code":10001,"description":"a {x}","comment":"","help":"","url":"","deprecates":""},
 {"constant":"BF","code":0,"error_code":1,"description":"{x}","comment":"","help":"","url":"","deprecates":""}]
J
same 'errors validate' errors validate "$W/errors.json"

# ---- benchmarks: figures are masked, their lines are not
FIGURES='s/[0-9,]+DUR/DUR/g; s/[0-9.,]+ msgs.sec/N msgs\/sec/g; s/[0-9.,]+ [KMG]?i?B.sec/N B\/sec/g; s/[0-9][0-9.,]*us/Nus/g; s/(min|avg|max|stddev) [0-9.,]+/\1 N/g; s/  +/ /g'
for v in 'pub sync' 'pub async --batch 50' 'pub batch --batch 50'; do
	STATUS=0 MASK=$FIGURES same "bench js $v" bench js $v b.x --create --maxbytes 10MB --purge --msgs 300 --no-progress
done
STATUS=0 MASK=$FIGURES same 'bench js pub sync of two' bench js pub sync b.x --msgs 200 --clients 2 --no-progress
STATUS=0 MASK=$FIGURES same 'bench js pub with ids' bench js pub async b.x --purge --msgs 300 --dedup --no-progress -H A:b
for v in 'ordered --batch 100' 'consume --batch 100' 'fetch --batch 100' 'get sync' 'get batch --batch 100'; do
	# each of them reads the stream through a consumer of the same name
	STATUS=0 MASK=$FIGURES same "bench js $v" bench js $v --msgs 150 --no-progress
	ours -s "$A" consumer rm benchstream nats-bench -f >/dev/null 2>&1
done
STATUS=0 MASK=$FIGURES same 'bench js ordered of two' bench js ordered --msgs 300 --clients 2 --no-progress --filter 'b.>'
error 'bench js of no stream' 'stream not found' bench js ordered --stream NONE --msgs 1
error 'bench js pub of no stream' 'stream not found' bench js pub sync b.x --stream NONE --msgs 1
for tool in real ours; do
	"$tool" -s "$URL" bench js get batch --msgs 300 --batch 100 --no-progress --csv "$W/$tool.csv" >/dev/null 2>&1
done
COMPARED=$((COMPARED + 1))
is 'the CSV has the same head' "$(head -1 "$W/ours.csv")" "$(head -1 "$W/real.csv")"
is 'and as many rows and columns' "$(awk -F, '{ print NF }' "$W/ours.csv")" "$(awk -F, '{ print NF }' "$W/real.csv")"
ours -s "$A" stream rm benchstream -f

# ---- batches
ours -s "$A" stream add AT --subjects 'at.>' --allow-batch --replicas 3 --defaults >/dev/null 2>&1 || bail 'no stream'
ours -s "$A" stream add NA --subjects 'na.>' --defaults >/dev/null 2>&1
printf 'a\nb {{Count}}\nc\n' >"$W/lines"
said() { sed -E 's/^[0-9:]{8} //; s/ID: [A-Za-z0-9]+/ID/; s/Sequence: .*/SEQ/' "$W/$1.err"; }
STDIN=$W/lines same 'pub --atomic' pub at.x --atomic --send-on newline --force-stdin
is 'and what it says' "$(said o)" "$(said r)"
is 'all six are stored' "$(ours -s "$A" stream info AT --json | jq .state.messages)" 6
STDIN=$W/lines same 'pub --atomic to a stream that takes none' pub na.x --atomic --send-on newline --force-stdin
is 'and why' "$(tail -1 "$W/o.err")" "$(tail -1 "$W/r.err")"
STDIN=$W/lines same 'pub --atomic to no stream' pub no.x --atomic --send-on newline --force-stdin
error 'pub --atomic of one body' 'requires JetStream and STDIN with --send-on=newline' pub at.x x --atomic
seq 1500 >"$W/many"
is 'more than a stream takes: nothing is stored' \
	"$(ours -s "$A" pub at.x --atomic --send-on newline --force-stdin -q <"$W/many" 2>/dev/null || ours -s "$A" stream info AT --json | jq .state.messages)" 6

# ---- gaps, direct reads, translations
seq 40 | ours -s "$A" pub na.y -J -q --send-on newline --force-stdin 2>/dev/null
same 'gaps, none' stream gaps NA -f --no-progress
for i in 3 4 5 9 30; do ours -s "$A" stream rmm NA "$i" -f; done
same 'gaps' stream gaps NA -f --no-progress
SORT='jq -c .' same 'gaps as JSON' stream gaps NA -f --json
is 'no gaps are JSON too' "$(ours -s "$A" stream gaps AT -f --json)" '[]'
ours -s "$A" stream add WQ --subjects 'wq.>' --retention work --defaults >/dev/null 2>&1
for i in 1 2 3; do ours -s "$A" pub -J -q wq.x "m$i"; done
# ours asks for many messages at a time, and the server numbers them
MASK='/^Nats-Last-Sequence/d' SORT=sort same 'sub --direct' sub --stream AT --direct --all --count 3
same 'sub --direct raw' sub --stream AT --direct --all --count 6 --raw
SORT=sort same 'sub --direct from a sequence' sub at.x --direct --start-sequence 4 --count 1
same 'sub of a work queue reads it directly' sub --stream WQ --all --count 3 --raw
is 'and takes nothing away' "$(ours -s "$A" stream info WQ --json | jq .state.messages)" 3
error 'sub --direct with a durable' 'cannot use direct get when a durable name is supplied' sub --stream AT --direct --durable x
ours -s "$A" stream edit NA --no-allow-direct -f >/dev/null 2>&1
error 'sub --direct of a stream without' 'allow_direct is not set to true for stream NA' sub --stream NA --direct
SORT=sort same 'get --translate' stream get AT 1 --translate 'tr a-z A-Z'
SORT=sort same 'get --translate that fails' stream get AT 1 --translate 'sh -c "cat; echo {{Subject}} {{Stream}}; exit 3"'
SORT=sort same 'get --translate of no command' stream get AT 1 --translate 'sh -c "exit 3"'
same 'sub --translate' sub --stream AT --direct --all --count 2 --raw --translate 'wc -c'

# ---- counters
ours -s "$A" stream add CT --subjects 'ct.>' --allow-counter --defaults >/dev/null 2>&1
# both tools add
MASK='s/^[0-9]+$/N/' same 'counter increment' counter increment ct.a 5
MASK='s/^[0-9]+$/N/' same 'counter increment by alias' ctr incr ct.a 12345678901234567890123
is 'the value has all its digits' "$(ours -s "$A" counter get ct.a)" 24691357802469135780256
same 'counter get' counter get ct.a
same 'counter view' counter view ct.a
same 'counter list' counter ls --stream CT
same 'counter list as JSON' counter ls 'ct.>' --json
error 'counter get of none' 'counter not initialized' counter get ct.none
error 'counter of another stream' '"NA" is not a valid counter stream' counter get na.x
error 'counter increment by no number' 'invalid value' counter increment ct.a x
error 'counter list of nothing' 'no stream or subject specified' counter ls
ours -s "$A" stream rm CT -f

# ---- reports
SORT=sort same 'stream report with leaders' stream report --leaders
for c in C1 C2 C3; do ours -s "$A" consumer add AT $c --pull --defaults >/dev/null 2>&1; done
SORT=sort same 'consumer report with leaders' consumer report AT --leaders
same 'consumer find by API level' consumer find AT --api-level 1
same 'consumer find, pinned' consumer find AT --pinned
ours -s "$A" stream add MI --mirror '{"name":"AT"}' --defaults >/dev/null 2>&1
ours -s "$A" stream report --dot "$W/o.dot" >/dev/null && real -s "$A" stream report --dot "$W/r.dot" >/dev/null
COMPARED=$((COMPARED + 1))
is 'the graph of mirrors has as many edges' "$(grep -c -- '->' "$W/o.dot")" "$(grep -c -- '->' "$W/r.dot")"
URL=$S
NUMBERS='s/[0-9.]+ [KMG]?i?B/SIZE/g; s/\b[0-9,.]+\b/N/g; s/ +/ /g'
MASK="$NUMBERS; s/\*+//" SORT=sort same 'report jetstream with leaders' server report jetstream 3 --sort name --leaders
# natscli lists in the order in which servers answer
SORT=sort same 'report downgrade' server report downgrade 0
SORT=sort same 'report downgrade, all' server report downgrade 0 --all
SORT='jq -cS .streams|=sort' same 'report downgrade as JSON' server report downgrade 0 --json
same 'report downgrade, nothing' server report downgrade 99
mkdir "$W/prof"
MASK='s#[0-9]{8}-[0-9]{6}#T#g' SORT=sort same 'request profile' server request profile heap "$W/prof"
is 'both wrote three files' "$(find "$W/prof" -name 'heap-*-n?.test' -size +1 | wc -l | awk '{ print ($1 == 3 || $1 == 6) }')" 1
error 'request profile of nothing' 'one of allocs' server request profile nope
SORT='jq -cS .data|keys' same 'request gateways with subscriptions' server request gateways 3 --filter-account A --subscriptions

# ---- balance: all leaders on one server first
URL=$A
for i in 1 2 3 4 5 6; do
	ours -s "$A" stream add "BA$i" --subjects "ba$i" --replicas 3 --defaults >/dev/null 2>&1
	ours -s "$A" stream cluster step-down "BA$i" --preferred n1.test >/dev/null 2>&1
done
leaders() { ours -s "$A" stream report --leaders | awk -F'│' '/\*/ && NF == 6 { gsub(/ /, ""); print $4 }' | sort -n | tr '\n' ' '; }
even() { leaders | awk '{ exit !($NF - $1 <= 2) }'; }
ours -s "$A" stream cluster balance >"$W/bal" 2>"$W/bal.err"
is 'balance says how many it moved' "$(grep -cE '^Balanced [1-9][0-9]* streams\.$' "$W/bal")" 1
wait_for 20 even
is 'the leaders are spread' "$(even && echo even || leaders)" even
same 'balance of what is even' stream cluster balance --server-name nobody
same 'balance of consumers on an empty stream' consumer cluster balance NA
for i in 1 2 3 4 5 6; do ours -s "$A" stream rm "BA$i" -f; done

# ---- backups of accounts
ours -s "$A" account backup "$W/b.o" --force >"$W/ab.o" 2>&1
real -s "$A" account backup "$W/b.r" --force >"$W/ab.r" 2>&1
COMPARED=$((COMPARED + 2))
is 'account backup: the same files' "$(cd "$W/b.o" && find . -type f | sort)" "$(cd "$W/b.r" && find . -type f | sort)"
is 'and the same configurations' "$(cd "$W/b.o" && jq -cS '.config | del(.compression, .allow_msg_ttl)' -- */backup.json)" "$(cd "$W/b.r" && jq -cS .config -- */backup.json)"
error 'account restore over streams' 'stream "[A-Z]+" exists already' account restore "$W/b.r"
for s in AT NA WQ MI; do ours -s "$A" stream rm $s -f; done
ours -s "$A" account restore "$W/b.r" >/dev/null 2>"$W/err" || sed 's/^/# /' "$W/err"
is 'ours restores what the original backed up' "$(ours -s "$A" stream ls -n | tr '\n' ' ')$(ours -s "$A" stream info AT --json | jq .state.messages)" 'AT MI NA WQ 6'
for s in AT NA WQ MI; do ours -s "$A" stream rm $s -f; done
real -s "$A" account restore "$W/b.o" --timeout 30s >"$W/rr.out" 2>"$W/err" || sed 's/^/# /' "$W/err" "$W/rr.out"
is 'the original restores what ours backed up' "$(ours -s "$A" stream ls -n | tr '\n' ' ')$(ours -s "$A" stream info AT --json | jq .state.messages)" 'AT MI NA WQ 6'

# ---- certificates
(
	cd "$W" || exit
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj '/O=Acme, Inc/CN=Test CA' -days 30
	openssl req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj '/O=Q/CN=srv'
	echo 'subjectAltName=DNS:localhost,DNS:x.y,IP:127.0.0.1,IP:::1,URI:http://a,email:a@b' >ext
	openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -out s.pem -days 3 -extfile ext
) >/dev/null 2>&1
TLS_PORT=$(free_port)
nats-server -a 127.0.0.1 -p "$TLS_PORT" --tls --tlscert "$W/s.pem" --tlskey "$W/s.key" >"$W/tls.log" 2>&1 &
PIDS+=($!)
wait_for 10 port_open "$TLS_PORT"
URL=tls://127.0.0.1:$TLS_PORT
same 'account tls' account tls --tlsca "$W/ca.pem"
same 'account tls without certificates' account tls --no-pem --expire-warn 1d --tlsca "$W/ca.pem"
is 'and as JSON' "$(ours -s "$URL" account tls --json --tlsca "$W/ca.pem" | jq -r '.[1].subject')" 'CN=Test CA,O=Acme\, Inc'
URL=$A error 'account tls without TLS' 'connection is not tls' account tls

# ---- the exporter: names and labels of its metrics
cat >"$W/checks.yaml" <<-Y
	context: ex
	checks:
	  - name: conn
	    kind: connection
	    properties: {connect_time_warning: 0.5, connect_time_critical: 5}
	  - name: AT
	    kind: stream
	    properties: {stream_name: AT, messages_critical: 100}
	  - name: acct
	    kind: jetstream
	    properties: {memory_warning: 50, memory_critical: 90}
	  - name: none
	    kind: kv
	    properties: {bucket: NONE}
Y
scrape() { # PORT
	exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3
	exec 3<&-
}
for tool in real ours; do
	"$tool" context add ex -s "$A" >/dev/null 2>&1
	port=$(free_port)
	"$tool" server check exporter --config "$W/checks.yaml" --port "$port" >"$W/$tool.exp" 2>&1 &
	PIDS+=($!)
	wait_for 10 port_open "$port"
	scrape "$port" | tr -d '\r' | grep -E '^(# (HELP|TYPE) )?nats_server_check_' | sed -E 's/\} .*/}/' | sort >"$W/$tool.metrics"
done
COMPARED=$((COMPARED + 1))
if [ -s "$W/real.metrics" ]; then
	is 'the exporter has the same metrics' "$(diff "$W/real.metrics" "$W/ours.metrics")" ''
else
	echo "# not run: the original's exporter says nothing: $(head -3 "$W/real.exp")"
fi
is 'and says how each check went' "$(grep -c 'status_code{item="[A-Za-z]*",status="[A-Z]*"}' "$W/ours.metrics")" 4

echo "# $COMPARED commands compared with $("$REAL" --version 2>&1)"
done_testing
