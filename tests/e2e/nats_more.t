#!/bin/bash
# nats: what messages of strangers must not do (headers that look like the server's own,
# words for commands, wildcards in names of pieces), batches, direct reads, error codes,
# reports, the exporter, graphs on a terminal. With a real nats-server.
# shellcheck disable=SC2016 # $KV is a subject
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export HOME=$W TZ=UTC LANG=C.UTF-8
unset NATS_CONTEXT
start_js || bail 'no nats-server'
export NATS_URL=nats://a:a@127.0.0.1:$PORT
SYS=nats://sys:sys@127.0.0.1:$PORT
nats() { timeout 120 "$W/nats" "$@"; }
# shows NAME WANTED COMMAND…: standard output, with lines joined by "|"
shows() {
	local name=$1 want=$2
	shift 2
	is "$name" "$("$@" 2>/dev/null </dev/null | tr '\n' '|')" "$want"
}
bad() { # NAME PATTERN COMMAND…: status 1, one line on stderr, nothing on stdout
	local name=$1 want=$2
	shift 2
	"$@" >"$W/1" 2>"$W/2" </dev/null
	is "$name" "$?:$(wc -c <"$W/1"):$(wc -l <"$W/2"):$(grep -cE -- "^nats: error: .*$want" "$W/2")" 1:0:1:1
	grep -qE -- "$want" "$W/2" || sed 's/^/# /' "$W/2"
}
add() { nats stream add "$@" --defaults >/dev/null 2>&1 || bail "stream add $*"; }

# ---- stored messages with the headers of a server
add F --subjects 'f.>'
nats pub -J -q f.a one -H Nats-Sequence:77 -H Nats-Subject:evil -H Nats-Time-Stamp:x
for s in 100 204 404 409; do nats pub -J -q f.x '' -H "Status:$s"; done
nats pub -J -q f.b two
shows 'sub --direct shows all, as they are stored' '1 f.a|2 f.x|3 f.x|4 f.x|5 f.x|6 f.b|' \
	sh -c "'$W/nats' sub --stream F --direct -T --subjects-only | sed -E 's/.*seq ([0-9]+) .subject: ([a-z.]+).*/\1 \2/; s/^\[.*seq ([0-9]+) \/ subject: ([a-z.]+) .*/\1 \2/'"
is 'so does a consumer' "$(nats sub --stream F --all -T --subjects-only 2>/dev/null | wc -l)" 6
is 'and stream view' "$(nats stream view F 2>/dev/null | grep -c '^\[[0-9]*\] Subject: f\.')" 6
nats consumer add F C --pull --defaults >/dev/null 2>&1
is 'and consumer next' "$(nats consumer next F C --count 6 2>/dev/null | grep -c 'subj: f\.')" 6
nats kv add B >/dev/null 2>&1
nats req --raw '$KV.B.k' val -H Nats-Sequence:5 -H Nats-Subject:other >/dev/null 2>&1
nats req --raw '$KV.B.e' '' -H Status:404 >/dev/null 2>&1
is 'the revision of a key is the server'"'"'s' "$(nats kv get B k | grep -c 'revision: 1 ')" 1
ok 'an empty value is there, whatever its headers say' nats kv get B e --raw

# ---- commands of the user, with words of strangers
nats reply 'cmd.*' --command 'printf %s- {{1}} "{{Request}}" end' >/dev/null 2>&1 &
PIDS+=($!)
wait_for 10 nats req cmd.up up
is 'what is asked stays one word' "$(nats req --raw cmd.x 'a b "c" --d {{Count}}' --no-templates 2>/dev/null | head -1)" 'x-a b "c" --d {{Count}}-end-'
add T --subjects 't.>'
nats pub -J -q 't.--help' body
is '--translate: so does the subject' "$(nats stream get T 1 --translate 'printf <%s> {{Subject}} {{ Stream }}' | tail -n +3 | head -1)" '<t.--help><T>'
is 'the body is its standard input' "$(nats sub --stream T --all -T --raw --translate 'tr a-z A-Z' 2>/dev/null)" BODY
is 'a large one too' "$(head -c 900000 /dev/zero | tr '\0' x | nats pub -J -q t.big --force-stdin 2>/dev/null; nats stream get T 2 --translate 'sh -c "sleep 0.1; wc -c"' | tail -n +3 | head -1)" 900000
says=$(nats stream get T 1 --translate 'sh -c "echo no; exit 3"')
is 'one that fails is told' "$(grep -c '^Error while translating msg body: exit status 3$' <<<"$says")" 1
is 'so is one that is not there' "$(nats stream get T 1 --translate /no/such | grep -c 'Error while translating msg body: .*No such file')" 1
is 'a quote that is open' "$(nats stream get T 1 --translate 'echo "a' | grep -c 'not a command line')" 1

# ---- objects: pieces that are named by a stranger
nats object add O >/dev/null 2>&1
for f in one two; do
	echo "$f" >"$W/$f"
	(cd "$W" && nats object put O "$f" --no-progress >/dev/null 2>&1)
done
META=$(nats stream get OBJ_O --last-for "\$O.O.M.$(printf one | base64)" --raw)
nats req --raw "\$O.O.M.$(printf one | base64)" "$(jq -c '.nuid = ">"' <<<"$META")" -H Nats-Rollup:sub --no-templates >/dev/null 2>&1
ok 'an object whose pieces are ">" is not fetched' sh -c "! '$W/nats' object get O one -O '$W/x' --force 2>/dev/null"
nats object del O one --force >/dev/null 2>&1
is 'and removing it takes nothing from others' "$(nats object get O two -O - 2>/dev/null)" two

# ---- JSON, and nothing else, on standard output
is 'consumer edit --json' "$(nats consumer edit F C --description x -f --json 2>"$W/2" | jq -r .config.description)$(grep -c description "$W/2")" x1
is 'and without a difference' "$(nats consumer edit F C --description x -f --json 2>/dev/null | jq -r .config.description)" x
is 'stream edit --json' "$(nats stream edit F --max-msgs 99 -f --json 2>/dev/null | jq .config.max_msgs)" 99
is 'what drives a terminal is escaped in JSON' "$(nats stream edit F --description "$(printf 'a\u202e\u0085\u2066é')" -f --json 2>/dev/null | grep -c '"a\\u202e\\u0085\\u2066é"')" 1

# ---- numbers beyond 64 bits with a sign: the server itself sends them
is 'unlimited reservations are no bad JSON' "$(nats -s "$SYS" server report jetstream --account A 2>&1 | grep -c '│ n1 ')" 1
is 'server report downgrade' "$(nats -s "$SYS" server report downgrade 0 --json | jq -c .)" '{}'

# ---- batches, gaps, error codes
add BA --subjects 'ba.>' --allow-batch
seq 250 | nats pub ba.x --atomic --send-on newline --force-stdin -q 2>"$W/2"
is 'a batch of 250' "$?:$(nats stream info BA --json | jq .state.messages)" 0:250
bad 'an empty batch' 'stdin has no line' sh -c "'$W/nats' pub ba.x --atomic --send-on newline --force-stdin -q </dev/null"
bad 'a batch for a stream that takes none' 'atomic publishing is not allowed for stream F' sh -c "echo a | '$W/nats' pub f.a --atomic --send-on newline --force-stdin -q"
bad 'a batch with a schedule' 'does not support schedules' nats pub ba.x --atomic --schedule-dest x
for i in 2 3 7; do nats stream rmm BA $i -f; done
is 'gaps' "$(nats stream gaps BA -f --json 2>/dev/null | jq -c .)" '[[2,3],[7,7]]'
bad 'gaps want to be asked for' 'use --force' sh -c "'$W/nats' stream gaps BA 2>&1 | grep -v WARNING >&2; exit 1"
is 'errors lookup --json' "$(nats errors lookup 10059 --json | jq -r .constant)" JSStreamNotFoundErr
bad 'errors of a file that is none' 'not an array' sh -c "echo '{}' >'$W/e.json'; '$W/nats' errors ls --errors '$W/e.json'"
bad 'errors of a pattern that is none' 'not a regular expression' nats errors ls '['

# ---- benchmarks
for v in 'pub sync b.x --create --maxbytes 10MB' 'pub async b.x' 'pub batch b.x' ordered consume 'get sync' 'get batch'; do
	# shellcheck disable=SC2086 # several words
	is "bench js $v" "$(nats bench js $v --msgs 20 --no-progress 2>/dev/null | grep -c '^NATS JetStream .* stats: [0-9,]* msgs/sec')" 1
done
bad 'bench js of a policy that is none' 'one of explicit,none,all' sh -c "'$W/nats' bench js consume --acks x 2>&1 | tail -1 >&2; exit 1"
bad 'bench js pub batch for a stream that takes none' 'takes no atomic batches' sh -c "'$W/nats' bench js pub batch f.a --stream F --msgs 1 2>&1 >/dev/null | tail -1 >&2; exit 1"

# ---- account backup: names of a restored directory
is 'account backup and restore' "$(nats account backup "$W/bk" --force >/dev/null 2>&1; for s in $(nats stream ls -n -a); do nats stream rm "$s" -f; done; nats account restore "$W/bk" >/dev/null 2>&1; nats stream info BA --json | jq .state.messages)" 247
mkdir "$W/bk2" "$W/bk2/x"
bad 'a directory that is no backup' 'x is no backup of a stream' nats account restore "$W/bk2"

# ---- the exporter
EP=$(free_port)
printf 'checks:\n- {name: "a\\"b", kind: connection}\n- {name: c, kind: kv, properties: {bucket: NONE}}\n- {name: d, kind: credential, properties: {file: /none}}\n' >"$W/c.yaml"
"$W/nats" server check exporter --config "$W/c.yaml" --port "$EP" --address 127.0.0.1 --timeout 60s >"$W/exp" 2>&1 &
EXP=$!
PIDS+=("$EXP")
wait_for 10 port_open "$EP"
get() { (exec 3<>"/dev/tcp/127.0.0.1/$EP" && printf '%s %s HTTP/1.0\r\n\r\n' "$1" "$2" >&3 && timeout 60 cat <&3) | tr -d '\r'; }
get GET /metrics >"$W/metrics"
is 'metrics: one head for each' "$(grep '^# HELP' "$W/metrics" | cut -d ' ' -f 3 | sort | uniq -d)" ''
is 'and the state of each check' "$(grep -o 'status_code{.*' "$W/metrics" | sort | tr '\n' '|')" 'status_code{item="a.b",status="OK"} 0|status_code{item="c",status="CRITICAL"} 2|status_code{item="d",status="CRITICAL"} 2|'
is 'another path' "$(get GET /x | head -1 | cut -d ' ' -f 2)" 404
is 'another method' "$(get POST /metrics | head -1 | cut -d ' ' -f 2 | grep -c '^[45]')" 1
kill "$EXP" && wait "$EXP"
is 'SIGTERM ends it well' $? 0
bad 'a kind that is none' "unknown kind 'nope'" sh -c "printf 'checks:\n- {name: a, kind: nope}\n' >'$W/c.yaml'; '$W/nats' server check exporter --config '$W/c.yaml'"
bad 'a property that is none, with its line' "c.yaml:5: check 'kv' has no property 'buckett'" sh -c "printf 'checks:\n- name: a\n  kind: kv\n  properties:\n    buckett: x\n' >'$W/c.yaml'; '$W/nats' server check exporter --config '$W/c.yaml'"
bad 'a number that is none' "must be a whole number" sh -c "printf 'checks:\n- name: a\n  kind: kv\n  properties:\n    values_warning: x\n' >'$W/c.yaml'; '$W/nats' server check exporter --config '$W/c.yaml'"
printf 'checks:\n- {name: a, kind: connection}\n' >"$W/c.yaml"
bad 'half of a certificate' 'go together' nats server check exporter --config "$W/c.yaml" --https-key x

# ---- reports that repeat, and graphs
"$W/nats" -s "$SYS" server report cpu --watch 1 >"$W/watched" 2>/dev/null &
WATCH=$!
PIDS+=("$WATCH")
twice() { [ "$(grep -c n1 "$W/watched")" -ge 2 ]; }
ok '--watch shows it again' wait_for 60 twice
kill -TERM "$WATCH"
wait "$WATCH"
is 'until a signal' "$?" 0
bad 'a graph without a terminal' 'interactive terminal' nats stream graph BA
bad 'too many graphs' 'maximum 4' nats sub a b c d e --graph
if command -v tmux >/dev/null; then
	export TMUX_TMPDIR=$W
	tm() { tmux -L "nats$$-$size" -f /dev/null "$@"; }
	for size in 80x24 200x50; do
		tm new-session -d -x "${size%x*}" -y "${size#*x}" "$W/nats stream graph BA; echo ended \$?; sleep 900"
		screen() { tm capture-pane -p; }
		stored() { screen | grep -q 'Messages Stored / second' && screen | grep -q '247 ┤'; }
		narrow() { screen | wc -L | awk '{ exit !($1 <= 60) }' && screen | grep -q 'Messages Stored'; }
		wait_for 60 stored
		is "stream graph at $size" "$(screen | grep -cE '^ *[0-9.,]+ ┤|Messages (Stored|Removed)|Stream Statistics for BA' | awk '{ print ($1 >= 15) }')" 1
		is "and no line is wider" "$(screen | wc -L | awk -v w="${size%x*}" '{ print ($1 <= w) }')" 1
		[ $size = 200x50 ] || { tm resize-window -x 60 -y 30 && ok 'it follows the size' wait_for 60 narrow; }
		tm send-keys q
		ended() { screen | grep -q '^ended 0'; }
		ok "q ends it at $size" wait_for 10 ended
		tm kill-server 2>/dev/null
	done
else
	echo '# not run: graphs on a terminal: no tmux'
fi
done_testing
