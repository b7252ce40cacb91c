#!/bin/bash
# nats stream, consumer, kv and object against a real JetStream, on one node and on three;
# over restarts; backups that the other tool reads; servers that are none.
# shellcheck disable=SC2016,SC2034 # $KV is a subject; lib.sh reads variables
. "$(dirname "$0")/lib.sh"
PIDS=() SOCK=js0
PORT=$(free_port)
TOOLS=${BUILD:-build}/tools/bin
export TZ=UTC HOME=$W LANG=C.UTF-8

finish() {
	local p
	tmux -L "$SOCK" kill-server 2>/dev/null
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap finish EXIT

run_server() { # NAME CONFIG: LAST is its process
	nats-server -c "$2" >>"$W/$1.log" 2>&1 &
	LAST=$!
	PIDS+=("$LAST")
}
stop() { kill "$1" && wait "$1" 2>/dev/null; }
n() { timeout 120 "$BIN/signbox" nats -s "nats://127.0.0.1:$PORT" "$@"; }
# in the background, where $! is its own process
here() { exec "$BIN/signbox" nats -s "nats://127.0.0.1:$PORT" "$@"; }
shows() { # NAME PATTERN ARG…: nats ARG… succeeds and prints it
	local name=$1 want=$2 out
	shift 2
	out=$(n "$@" 2>&1 </dev/null)
	is "$name" "$?:$(grep -cE -- "$want" <<<"$out" | sed 's/^[1-9].*/found/')" 0:found
	grep -qE -- "$want" <<<"$out" || sed 's/^/# /' <<<"$out"
}
refuses() { # NAME PATTERN ARG…: status 1, one line on stderr that says it, nothing on stdout
	local name=$1 want=$2 rc
	shift 2
	n "$@" >"$W/out" 2>"$W/err" </dev/null
	rc=$?
	is "$name" "$rc:$(wc -l <"$W/err"):$(wc -c <"$W/out"):$(grep -cE -- "$want" "$W/err")" 1:1:0:1
	grep -qE -- "$want" "$W/err" || sed 's/^/# /' "$W/err"
}
js() { n "$@" </dev/null | jq -r "$JQ"; }

cat >"$W/one.conf" <<EOF
listen: 127.0.0.1:$PORT
server_name: one
jetstream: {store_dir: "$W/one", max_mem: 64M, max_file: 1G}
EOF
run_server one "$W/one.conf"
ONE=$LAST
wait_for 10 port_open "$PORT" || bail 'nats-server does not start'
wait_for 10 n stream ls || bail 'no JetStream'

# ---- streams
shows 'add' '^Stream ORDERS was created$' stream add ORDERS --subjects 'orders.>' --defaults
shows 'add again: the same configuration is fine' 'ORDERS was created' str add ORDERS --subjects 'orders.>' --defaults
refuses 'another configuration is not' 'different configuration \(10058\)' stream add ORDERS --subjects x --defaults
shows 'every limit' 'Maximum Age: 1h30m0s' s add LIMITS --subjects l1,l2 --storage memory --retention work \
	--max-msgs 10 --max-bytes 1MB --max-age 1h30m --max-msg-size 1K --discard new --dupe-window 30s \
	--max-msgs-per-subject 3 --max-consumers 4 --deny-delete --no-allow-direct --no-ack \
	--metadata a=b --description 'with "quotes"' --defaults
JQ='[.config | .max_msgs,.max_bytes,.max_age,.max_msg_size,.discard,.duplicate_window,.max_msgs_per_subject,.max_consumers,.deny_delete,.allow_direct,.no_ack,.storage,.retention,.description,.metadata.a]|tostring'
is 'the server has them all' "$(js stream info LIMITS --json)" \
	'[10,1048576,5400000000000,1024,"new",30000000000,3,4,true,false,true,"memory","workqueue","with \"quotes\"","b"]'
n stream add LIMITS --output "$W/cfg.json" --subjects other --defaults >/dev/null
JQ=".subjects[0]"
is '--output writes a configuration' "$(jq -r "$JQ" "$W/cfg.json")" other
jq '.name="FROMFILE" | .unknown_field_of_later=1' "$W/cfg.json" >"$W/cfg2.json"
n stream info FROMFILE >/dev/null 2>&1
is 'and makes nothing' $? 1
jq '.name="FROMFILE"' "$W/cfg.json" >"$W/cfg2.json"
shows '--config FILE' '^Stream FROMFILE was created' stream add --config "$W/cfg2.json"
shows 'a name beside --config' '^Stream OTHER was created' stream add OTHER --config "$W/cfg2.json" --subjects other2
for i in 1 2 3 4 5; do n pub orders.new "order $i" -H "Key:v$i" >/dev/null 2>&1; done
n pub orders.old 'old' 2>/dev/null
shows 'ls' '│ ORDERS ' stream ls
is 'ls -n' "$(n stream ls -n | tr '\n' ' ')" 'FROMFILE LIMITS ORDERS OTHER '
JQ='tostring'
is 'ls --json' "$(js stream ls --json)" '["FROMFILE","LIMITS","ORDERS","OTHER"]'
is 'ls --subject' "$(n stream ls -n --subject orders.new)" ORDERS
is 'ls as CSV' "$(NATS_TABLE_FORMAT=csv n stream ls | grep -c '^ORDERS,')" 1
shows 'info' 'Messages: 6' stream info ORDERS
shows 'state' '^State for Stream ORDERS' stream state ORDERS
shows 'subjects' '2 Subjects in stream ORDERS' stream subjects ORDERS
is 'subjects --json' "$(js stream subjects ORDERS --json)" '{"orders.new":5,"orders.old":1}'
shows 'get by sequence' '^order 2$' stream get ORDERS 2
is 'get --raw' "$(n stream get ORDERS 2 --raw)" 'order 2'
shows 'get --last-for' '^Item: ORDERS#5 ' stream get ORDERS --last-for orders.new
JQ='.data|@base64d'
is 'get --json' "$(js stream get ORDERS 3 --json)" 'order 3'
is 'view without a terminal: all of it' "$(n stream view ORDERS 2>/dev/null | grep -c '^order ')" 5
is 'view --raw from a sequence' "$(n stream view ORDERS --raw --id 5 2>/dev/null | tr '\n' ' ')" 'order 5 old '
is 'view --subject' "$(n stream view ORDERS --raw --subject orders.old 2>/dev/null)" old
is 'view SIZE' "$(n stream view ORDERS 2 --raw 2>/dev/null | wc -l)" 2
shows 'report' 'ORDERS +│ File ' stream report
shows 'find' 'ORDERS' stream find --subject orders.new
is 'find --invert' "$(n stream find --empty --invert -n)" ORDERS
shows 'edit shows what it changes' '^\+ max_msgs: 3$' stream edit ORDERS --max-msgs 3 -f
shows 'edit: nothing to do' '^No difference in configuration$' stream edit ORDERS --max-msgs 3 -f
n stream edit ORDERS --max-msgs 2 --dry-run >/dev/null
is 'edit --dry-run: status 1' $? 1
shows 'and does nothing' 'Maximum Messages: 3' stream info ORDERS
shows 'copy' '^Stream COPY was created' stream copy ORDERS COPY --subjects 'copy.>'
shows 'rmm' '' stream rmm ORDERS 5 -f
refuses 'rmm again' 'sequence 5 not found \(10043\)' stream rmm ORDERS 5 -f
shows 'purge --keep' '^Purged 1 messages from ORDERS' stream purge ORDERS -f --keep 1
shows 'purge' '^Purged 1 messages from ORDERS' stream purge ORDERS -f
shows 'seal' 'Sealed: true' stream seal COPY -f
refuses 'a sealed stream is not purged' 'sealed stream' stream purge COPY -f
shows 'mirror' 'Mirror: ORDERS' stream add MIRROR --mirror ORDERS --defaults
shows 'sources' 'Sources: ORDERS' stream add SOURCED --source ORDERS --source '{"name":"OTHER","filter_subject":"other2"}' --defaults
shows 'report: replication' 'Replication Report' stream report
refuses 'rm asks' 'cannot ask for confirmation without a terminal' stream rm COPY
shows 'rm -f' '' stream rm COPY -f
refuses 'rm again' 'stream not found \(10059\)' stream rm COPY -f

# ---- consumers
for i in 1 2 3 4 5 6; do n pub orders.c "c$i" >/dev/null 2>&1; done
n stream edit ORDERS --max-msgs 100 -f >/dev/null
for i in 1 2 3; do n pub orders.c "d$i" >/dev/null 2>&1; done
shows 'consumer add' '^Information for Consumer ORDERS > PULL' consumer add ORDERS PULL --pull --defaults
shows 'all of a consumer' 'Backoff: 1s, 4s, 7s' con add ORDERS FULL --pull --filter orders.c,orders.d --max-deliver 5 --wait 10s \
	--max-pending 7 --replay original --deliver 2 --backoff linear --backoff-steps 3 --backoff-min 1s --backoff-max 10s \
	--sample 20 --memory --replicas 1 --inactive-threshold 1h --max-pull-batch 3 --headers-only --metadata k=v
JQ='[.config|.filter_subjects,.max_deliver,.max_ack_pending,.replay_policy,.deliver_policy,.sample_freq,.mem_storage,.inactive_threshold,.max_batch,.headers_only,.metadata.k]|tostring'
is 'the server has it' "$(js consumer info ORDERS FULL --json)" \
	'[["orders.c","orders.d"],5,7,"original","by_start_sequence","20",true,3600000000000,3,true,"v"]'
shows 'push' 'Delivery Subject: out.x' consumer add ORDERS PUSH --target out.x --defaults
is 'ls -n' "$(n consumer ls ORDERS -n | tr '\n' ' ')" 'FULL PULL PUSH '
shows 'ls' '│ PULL ' c ls ORDERS
is 'next --raw' "$(n consumer next ORDERS PULL --raw)" c4
shows 'next' '^Acknowledged message$' consumer next ORDERS PULL
is 'next --count' "$(n consumer next ORDERS PULL --raw --count 3 | tr '\n' ' ')" 'c6 d1 d2 '
is 'nak: it comes again' "$(n consumer next ORDERS PULL --raw --nak; n consumer next ORDERS PULL --raw)" $'d3\nd3'
refuses 'nothing is left' 'no message received: nats: timeout' consumer next ORDERS PULL --timeout 300ms
refuses 'next of a push consumer' 'push based' consumer next ORDERS PUSH
here consumer sub ORDERS PUSH --raw >"$W/pushed" 2>/dev/null &
SUB=$!
PIDS+=("$SUB")
wait_for 10 grep -q d3 "$W/pushed"
ok 'sub: a push consumer' grep -q '^d3$' "$W/pushed"
kill $SUB 2>/dev/null
shows 'report' 'Consumer report for ORDERS with 3 consumers' consumer report ORDERS
shows 'pause' '^Paused ORDERS > PULL until ' consumer pause ORDERS PULL 1h -f
shows 'paused' 'Paused Until' consumer info ORDERS PULL
shows 'resume' 'was resumed' consumer resume ORDERS PULL -f
refuses 'resume again' 'not paused' consumer resume ORDERS PULL -f
shows 'edit' 'Maximum Deliveries: 9' consumer edit ORDERS PULL --max-deliver 9 -f
shows 'copy' 'ORDERS > PULL2' consumer copy ORDERS PULL PULL2
is 'find' "$(n consumer find ORDERS --push)" PUSH
shows 'rm' '' consumer rm ORDERS PULL2 -f
refuses 'rm again' 'consumer not found \(10014\)' consumer rm ORDERS PULL2 -f

# ---- kv
shows 'kv add' 'History Kept: 5' kv add B --history 5
shows 'put' '^one$' kv put B a one
is 'put from stdin, binary' "$(printf 'x\0\377y' | n kv put B bin; n kv get B bin --raw | od -An -tx1)" $'\n 78 00 ff 79'
shows 'get' '^B > a revision: 1 created @ ' kv get B a
shows 'a binary value is base64 without --raw' '^eAD/eQ==$' kv get B bin
shows 'create' '^v$' kv create B new v
refuses 'create again' 'key exists' kv create B new v
shows 'update' '^two$' kv update B a two 1
refuses 'update: another revision' 'wrong last sequence' kv update B a three 1
shows 'history' '│ a   │ +4 │ PUT ' kv history B a
is 'get --revision' "$(n kv get B a --raw --revision 1)" one
shows 'del' '' kv del B new -f
refuses 'it is gone' 'nats: key not found' kv get B new
shows 'create after del' '^w$' kv create B new w
shows 'revert' '│ one ' kv revert B a 1 -f
is 'reverted' "$(n kv get B a --raw)" one
is 'ls' "$(n kv ls B | sort | tr '\n' ' ')" 'a bin new '
shows 'ls -v --display-value' '│ one ' kv ls B -v --display-value
shows 'ls: buckets' '│ B ' kv ls
is 'ls KEY' "$(n kv ls B 'b*' 2>/dev/null)$(n kv ls B 'bin')" 'No keys found in bucketbin'
is 'ls --json' "$(n kv ls B bin --json --display-value | jq -c '.[0] | [.key, .revision > 0, (.created | type), (.value | type)]')" '["bin",true,"string","string"]'
here kv watch B >"$W/watch" 2>"$W/watch.err" &
WATCH=$!
PIDS+=("$WATCH")
wait_for 10 grep -q 'PUT B > new: w' "$W/watch"
n kv put B late 1 >/dev/null
wait_for 10 grep -q 'PUT B > late: 1' "$W/watch"
ok 'watch: what is there and what comes' grep -q 'PUT B > late: 1' "$W/watch"
shows 'purge' '' kv purge B a -f
is 'purge: one revision is left' "$(n kv history B a | grep -c PURGE)" 1
shows 'compact' '' kv compact B -f
shows 'info' 'Bucket Name: B' kv info B
shows 'status' 'History Kept: 5' kv status B
shows 'edit' 'History Kept: 7' kv edit B --history 7
shows 'a mirror' 'Origin Bucket: B' kv add BM --mirror B
wait_for 10 n kv get BM late
is 'its values' "$(n kv get BM late --raw)" 1
n kv put BM through x >/dev/null
is 'writes go to the origin' "$(n kv get B through --raw)" x

# ---- objects
head -c 20971520 /dev/urandom >"$W/big"
shows 'object add' 'Bucket Name: O' object add O
shows 'put 20 MB' 'Size: 20 MiB' object put O "$W/big" --name dir/big --description d -H a:b
is 'digest' "$(n object info O dir/big | sed -n 's/.*Digest: SHA-256 //p')" "$(sha256sum "$W/big" | cut -d' ' -f1)"
shows 'get' '^Wrote: 20 MiB to ' object get O dir/big -O "$W/back"
ok 'the same bytes' cmp "$W/big" "$W/back"
ok 'through a pipe' cmp "$W/big" <(n object get O dir/big -O -)
refuses 'get asks before it replaces' 'cannot ask for confirmation' object get O dir/big -O "$W/back"
is 'from stdin' "$(echo hi | n object put O --name s >/dev/null; n object get O s -O -)" hi
is 'ls -n' "$(n object ls O -n | sort | tr '\n' ' ')" 'dir/big s '
shows 'ls' '│ dir/big │ 20 MiB ' obj ls O
fails 1 'cannot ask for confirmation' 'put asks before it replaces' n object put O "$W/err" --name s
(cd "$W" && echo new >s2 && n object put O s2 --name s -f >/dev/null)
is 'put -f replaces' "$(n object get O s -O -)" new
before=$(n stream info OBJ_O --json | jq .state.bytes)
shows 'del' '^Removed O > dir/big$' object del O dir/big -f
after=$(n stream info OBJ_O --json | jq .state.bytes)
ok 'its pieces are gone' test "$((before - after))" -gt 20000000
refuses 'it is gone' 'nats: object not found' object get O dir/big
n object put O "$W/big" --name big >/dev/null

# ---- at a terminal: questions, pages, binary values
export TMUX_TMPDIR=$W
term() { # COMMAND: in a terminal of 80x24
	SOCK=js$((++TN))
	tmux -L "$SOCK" -f /dev/null new-session -d -s t -x 80 -y 24 "$BIN/signbox nats -s nats://127.0.0.1:$PORT $1; echo status=\$?; exec sleep 900"
}
TN=0
on_screen() { tmux -L "$SOCK" capture-pane -p -t t | grep -qF -- "$1"; }
type_keys() { tmux -L "$SOCK" send-keys -t t "$@"; }
sees() { # NAME TEXT
	wait_for 10 on_screen "$2"
	ok "$1" on_screen "$2"
	on_screen "$2" || tmux -L "$SOCK" capture-pane -p -t t | sed 's/^/# /'
}
term 'stream add'
sees 'add asks for the name' 'Stream Name:'
type_keys ASKED Enter
sees 'and for subjects' 'Subjects:'
type_keys 'asked.>' Enter
sees 'and takes the rest by default' 'status=0'
is 'what was typed' "$(n stream ls -n --subject asked.x)" ASKED
tmux -L "$SOCK" kill-server
term 'stream rm ASKED'
sees 'rm asks' 'Really delete Stream ASKED'
type_keys no Enter
sees 'no is no' 'status=1'
ok 'the stream is there' n stream info ASKED
tmux -L "$SOCK" kill-server
term 'stream rm ASKED'
sees 'rm asks again' 'Really delete Stream ASKED'
type_keys yes Enter
sees 'yes is yes' 'status=0'
tmux -L "$SOCK" kill-server
printf '\033]0;owned\007\033[31mred' | n kv put B evil >/dev/null
term 'kv get B evil --raw'
sees 'a binary value cannot drive the terminal' '\x1b]0;owned\x07\x1b[31mred'
tmux -L "$SOCK" kill-server
term 'object get O s -O -'
sees 'an object is not written to a terminal' 'may be binary'
tmux -L "$SOCK" kill-server
for i in 1 2 3; do n pub orders.page "page$i" >/dev/null 2>&1; done
term 'stream view ORDERS 2 --subject orders.page'
sees 'view: the first page' 'Next Page?'
is 'and no more' "$(tmux -L "$SOCK" capture-pane -p -t t | grep -c '^page')" 2
type_keys Enter
sees 'the next' 'page3'
sees 'and the end' 'status=0'
tmux -L "$SOCK" kill-server

# ---- over a restart
stop "$ONE"
sleep 0.3
run_server one "$W/one.conf"
ONE=$LAST
wait_for 20 n kv get B late
is 'kv after a restart' "$(n kv get B late --raw)" 1
n object get O big -O "$W/back" -f >/dev/null
ok 'object after a restart' cmp "$W/big" "$W/back"
n kv put B afterwards 2 >/dev/null
wait_for 30 grep -q 'PUT B > afterwards: 2' "$W/watch"
is 'watch goes on after a restart, each change once' "$(grep -c 'PUT B > afterwards: 2' "$W/watch"):$(grep -c 'PUT B > late: 1' "$W/watch")" 1:1
kill $WATCH 2>/dev/null

# a piece that is damaged is found, and nothing is left
nuid=$(n stream get OBJ_O --last-for "\$O.O.M.$(printf big | base64 | tr +/ -_)" --raw | jq -r .nuid)
n pub "\$O.O.C.$nuid" 'one piece too many' 2>/dev/null
n stream get OBJ_O --last-for "\$O.O.M.$(printf big | base64 | tr +/ -_)" --raw |
	jq -c '.digest="SHA-256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="' >"$W/meta"
n pub "\$O.O.M.$(printf big | base64 | tr +/ -_)" -H Nats-Rollup:sub --force-stdin <"$W/meta" 2>/dev/null
rm -f "$W/back"
refuses 'a wrong digest' 'object is damaged' object get O big -O "$W/back"
is 'leaves no file' "$(find "$W" -name 'back*')" ''

# ---- backup and restore
n pub orders.backup last >/dev/null 2>&1
shows 'backup' '^Received .* compressed data in' stream backup ORDERS "$W/bk"
refuses 'restore: it is there' 'Stream "ORDERS" already exist' stream restore "$W/bk"
n stream rm ORDERS -f
shows 'restore' '^Restored stream "ORDERS" in ' stream restore "$W/bk"
is 'its messages' "$(n stream get ORDERS --last-for orders.backup --raw)" last
is 'its consumers, but not one in memory' "$(n consumer ls ORDERS -n | tr '\n' ' ')" 'PULL PUSH '
if [ -x "$TOOLS/nats" ]; then
	real() { timeout 60 "$TOOLS/nats" -s "nats://127.0.0.1:$PORT" "$@" </dev/null; }
	n stream rm ORDERS -f
	real stream restore "$W/bk" --no-progress >/dev/null 2>&1
	is "natscli restores our backup" "$(n stream get ORDERS --last-for orders.backup --raw)" last
	real stream backup ORDERS "$W/bk2" --no-progress >/dev/null 2>&1
	n stream rm ORDERS -f
	n stream restore "$W/bk2" >/dev/null
	is "we restore natscli's" "$(n stream get ORDERS --last-for orders.backup --raw)" last
	head -c 3000000 /dev/urandom >"$W/mid"
	n object put O "$W/mid" --name 'ours é' >/dev/null
	real object get O 'ours é' -O "$W/mid2" --no-progress >/dev/null
	ok "natscli reads our object" cmp "$W/mid" "$W/mid2"
	(cd "$W" && real object put O mid --no-progress >/dev/null)
	ok "we read natscli's" cmp "$W/mid" <(n object get O mid -O -)
else
	echo "# not run: crossing with natscli: $TOOLS/nats is missing"
fi
echo '{"config":' >"$W/bk/backup.json"
refuses 'a broken backup' 'restore failed' stream restore "$W/bk"
refuses 'no backup' 'restore failed' stream restore "$W/nosuch"

# ---- names and other bad input
for bad in 'a.b' 'a b' 'a/b' 'a*' ''; do
	refuses "a stream called '$bad'" 'not a valid stream name' stream info "$bad"
	refuses "a bucket called '$bad'" 'nats: invalid bucket name' kv get "$bad" k
done
for bad in 'a b' .a a. 'a..b' 'a*' ''; do
	refuses "a key called '$bad'" 'nats: invalid key' kv put B "$bad" v
done
refuses 'a consumer with a dot' 'not a valid consumer name' consumer info ORDERS a.b
refuses 'no such stream' 'stream not found \(10059\)' stream info NOSUCH
refuses 'no such consumer' 'consumer not found \(10014\)' consumer info ORDERS NOSUCH
refuses 'no such bucket' 'nats: bucket not found' kv get NOSUCH k
refuses 'no such object store' 'nats: bucket not found' object ls NOSUCH
refuses 'no name' 'cannot pick a Stream without a terminal' stream info
refuses 'a wrong number' 'needs a number' stream add X --subjects x --max-msgs many --defaults
refuses 'a wrong duration' 'invalid maximum age limit format' stream add X --subjects x --max-age zz --defaults
refuses 'a wrong size' "max-bytes" stream add X --subjects x --max-bytes 1ZB --defaults
refuses 'a wrong word' 'must be one of file' stream add X --subjects x --storage disk --defaults
refuses 'a file that is no JSON' 'invalid input' stream add --config "$W/one.conf"
refuses 'no such file' 'cannot open' object put O "$W/nosuch"
refuses 'history 0' '1 to 64' kv add H --history 0
n stream ls >/dev/full 2>"$W/err"
is 'a full disk: status 1 and one line' "$?:$(wc -l <"$W/err")" 1:1
n stream info ORDERS >&- 2>"$W/err"
is 'a closed standard output: status 1 and one line' "$?:$(wc -l <"$W/err")" 1:1
stop "$ONE"
refuses 'no server' 'no servers available' stream ls

# ---- a server without JetStream, and one that answers nonsense or never
MON=$(free_port)
printf 'listen: 127.0.0.1:%s\nhttp: 127.0.0.1:%s\n' "$PORT" "$MON" >"$W/plain.conf"
run_server plain "$W/plain.conf"
wait_for 60 port_open "$PORT" && wait_for 60 port_open "$MON"
for what in 'stream ls' 'stream info S' 'consumer ls S' 'kv ls' 'kv get B k' 'object ls' 'consumer next S C'; do
	# shellcheck disable=SC2086
	refuses "no JetStream: $what" 'no responders|JetStream' $what
done
for answer in '' '{' '[]' '{"streams":7,"total":99}' '{"error":{"code":500}}' 'never'; do
	if [ "$answer" = never ]; then
		here sub '$JS.API.>' >"$W/answers" 2>&1 &
	else
		here reply '$JS.API.>' "$answer" >"$W/answers" 2>&1 &
	fi
	R=$!
	PIDS+=("$R")
	wait_for 60 listens "$MON" '$JS.API.STREAM.INFO.S'
	for what in 'stream ls' 'stream info S' 'consumer info S C' 'kv get B k' 'object get B o'; do
		# shellcheck disable=SC2086
		timeout 60 "$BIN/signbox" nats -s "nats://127.0.0.1:$PORT" $what --timeout 500ms >"$W/out" 2>"$W/err" </dev/null
		rc=$?
		if [ $rc = 0 ]; then ok "answer '$answer' to $what" grep -q . "$W/out"; else
			is "answer '$answer' to $what" "$rc:$(wc -l <"$W/err")" 1:1
		fi
	done
	kill $R 2>/dev/null
	wait $R 2>/dev/null
	wait_for 60 deaf "$MON" '$JS.API.STREAM.INFO.S'
done
stop "$LAST"

# ---- permissions of a client library, and a domain
cat >"$W/perm.conf" <<EOF
listen: 127.0.0.1:$PORT
server_name: hub
jetstream: {store_dir: "$W/hub", max_mem: 64M, max_file: 1G, domain: hub}
accounts: {A: {jetstream: enabled, users: [
  {user: admin, password: a},
  {user: app, password: b, permissions: {subscribe: ["_INBOX.>"], publish: ["\$KV.P.>", "\$JS.API.STREAM.INFO.KV_P",
    "\$JS.API.DIRECT.GET.KV_P.\$KV.P.>", "\$JS.API.DIRECT.GET.KV_P", "\$JS.API.CONSUMER.CREATE.KV_P.*.\$KV.P.>",
    "\$JS.API.CONSUMER.DELETE.KV_P.>", "\$JS.FC.KV_P.>"]}}]}}
EOF
run_server hub "$W/perm.conf"
wait_for 10 port_open "$PORT"
as_user() {
	local user=$1
	shift
	NATS_USER=$user NATS_PASSWORD=$([ "$user" = admin ] && echo a || echo b) n "$@" </dev/null
}
wait_for 10 as_user admin kv add P --history 3
ok 'put with the permissions of a client library' as_user app kv put P k one
is 'get' "$(as_user app kv get P k --raw)" one
is 'get --revision' "$(as_user app kv get P k --raw --revision 1)" one
ok 'history' as_user app kv history P k
is 'ls' "$(as_user app kv ls P)" k
as_user app kv get P none >"$W/out" 2>"$W/err"
is 'no such key' "$?:$(cat "$W/err")" '1:nats: error: nats: key not found'
as_user app --timeout 500ms kv del P -f >"$W/out" 2>"$W/err"
is 'more is not permitted: status 1 and one line' "$?:$(wc -l <"$W/err")" 1:1
is 'by the domain: put and get' "$(as_user admin --js-domain hub kv put P d dom >/dev/null; as_user admin --js-domain hub kv get P d --raw)" dom
is 'by the domain: objects' "$(as_user admin --js-domain hub object add D >/dev/null
	as_user admin --js-domain hub object put D "$W/err" --name e >/dev/null
	as_user admin --js-domain hub object get D e -O - | cmp - "$W/err" && echo same)" same
is 'by the domain: watch and keys' "$(as_user admin --js-domain hub kv ls P | sort | tr '\n' ' ')" 'd k '
as_user admin --js-domain other stream ls >"$W/out" 2>"$W/err"
is 'another domain: status 1 and one line' "$?:$(wc -l <"$W/err")" 1:1
stop "$LAST"

# ---- three nodes
C1=$(free_port) C2=$(free_port) C3=$(free_port)
P1=$(free_port) P2=$(free_port) P3=$(free_port)
i=0
NODES=()
for p in "$P1" "$P2" "$P3"; do
	i=$((i + 1))
	c=C$i
	cat >"$W/n$i.conf" <<-EOF
		listen: 127.0.0.1:$p
		server_name: n$i
		jetstream: {store_dir: "$W/n$i", max_mem: 64M, max_file: 1G}
		cluster: {name: mesh, listen: "127.0.0.1:${!c}", no_advertise: true,
		  routes: ["nats://127.0.0.1:$C1", "nats://127.0.0.1:$C2", "nats://127.0.0.1:$C3"]}
	EOF
	run_server "n$i" "$W/n$i.conf"
	NODES[i]=$LAST
done
PORT=$P1
wait_for 30 n stream add R3 --subjects 'r3.>' --replicas 3 --defaults || bail 'no cluster'
JQ='.config.num_replicas, (.cluster.replicas|length)'
is 'three replicas' "$(js stream info R3 --json | tr '\n' ' ')" '3 2 '
shows 'info shows the cluster' 'Replica: n[123], (current|outdated)' stream info R3
shows 'report shows it' 'n[123]\*' stream report
for i in 1 2 3; do n pub r3.x "m$i" -J >/dev/null 2>&1; done
old=$(n stream info R3 --json | jq -r .cluster.leader)
shows 'step-down' 'Information for Stream R3' stream cluster step-down R3
new=$(n stream info R3 --json | jq -r .cluster.leader)
ok "another leader: $old, then $new" test "$old" != "$new"
wait_for 20 n kv add K3 --replicas 3 --history 3
n kv put K3 k v1 >/dev/null
# a read may be answered by a node that is a little behind
value_is() { [ "$(n kv get K3 k --raw)" = "$1" ]; }
wait_for 20 n object add O3 --replicas 3
n object put O3 "$W/mid" --name o >/dev/null 2>&1 || { head -c 3000000 /dev/urandom >"$W/mid" && n object put O3 "$W/mid" --name o >/dev/null; }
stop "${NODES[3]}"
wait_for 60 n kv put K3 k v2
ok 'kv with a node less' wait_for 60 value_is v2
wait_for 30 n object get O3 o -O "$W/o3" -f
ok 'object with a node less' cmp "$W/mid" "$W/o3"
run_server n3 "$W/n3.conf"
NODES[3]=$LAST
PORT=$P3
ok 'the node is back and has it' wait_for 60 value_is v2
messages() { [ "$(n stream view R3 --raw 2>/dev/null | tr '\n' ' ')" = 'm1 m2 m3 ' ]; }
ok 'and the messages' wait_for 60 messages
shows 'consumer on three nodes' 'Information for Consumer R3 > C' consumer add R3 C --pull --replicas 3 --defaults
wait_for 20 n consumer next R3 C --raw
ok 'consumer step-down' wait_for 30 n consumer cluster step-down R3 C
done_testing
