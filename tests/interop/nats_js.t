#!/bin/bash
# stream, consumer, kv and object: each command below is typed into natscli and into ours,
# each with a fresh server of its own; standard output, status and JSON are compared, with
# times, ages and random names masked.
#   =  output and status are the same
#   j  ours has all that theirs has (JSON; new members of the API pass through ours)
#   s  the status is the same, and both or neither say something on stderr
#   -  run, but not compared
# shellcheck disable=SC2034 # lib.sh reads variables
. "$(dirname "$0")/../e2e/lib.sh"
REAL=${BUILD:-build}/tools/bin/nats
if [ ! -x "$REAL" ]; then
	echo "# not run: natscli is missing (build/tools/bin/nats; it needs Go): JetStream commands were not compared"
	echo '1..0 # SKIP no natscli here'
	exit 0
fi
REAL=$(realpath "$REAL")
export TZ=UTC HOME=$W LANG=C.UTF-8
cd "$W" || exit 1

commands() {
	cat <<'LIST'
= stream ls
= stream add S1 --subjects 's1.>' --defaults
= stream add S1 --subjects 's1.>' --defaults
s stream add S1 --subjects 's2.>' --defaults
s stream add a.b --subjects x --defaults
s stream add 'a b' --subjects x --defaults
s stream add 'a/b' --subjects x --defaults
s stream add X1 --subjects s1.x --defaults
s stream add X2 --subjects x2 --defaults --storage bad
s stream add X2 --subjects x2 --defaults --max-age zz
s stream add X2 --defaults
= stream add M1 --subjects m1,m2 --defaults --storage memory --max-msgs 100 --max-bytes 1MB --max-age 1h --max-msg-size 1KB --discard new --dupe-window 30s --retention work --description 'a desc' --metadata a=b --metadata c=d
= stream add M2 --subjects n1 --defaults --retention interest --max-msgs-per-subject 3 --max-consumers 4 --deny-delete --deny-purge --allow-rollup --no-ack --compression s2 --allow-msg-ttl --first-sequence 10
= stream add M4 --subjects o1 --defaults --transform-source o1 --transform-destination o2 --republish-source o1 --republish-destination o3 --republish-headers
s stream add M5 --subjects p1 --defaults --json
= stream report
= stream add MIR --mirror '{"name":"S1"}' --defaults
= stream rm MIR -f
= stream add SRC --source '{"name":"S1"}' --defaults
= stream rm SRC -f
- pub s1.a hello1
- pub s1.a hello2
- pub s1.a hello3
- pub s1.b -H A:b 'with header'
= stream ls -n
= stream ls --json
= stream ls --subject m1
= stream ls --subject none
= stream info S1
= stream info M1
s stream info NOPE
s stream info
= stream state S1
j stream info S1 --json
j stream info M1 --json
= stream get S1 1
= stream get S1 4
s stream get S1 99
= stream get S1 --last-for s1.a
s stream get S1 --last-for none
j stream get S1 4 --json
= stream subjects S1
j stream subjects S1 --json
= stream subjects S1 zz
= stream subjects S1 --names --sort name
s stream rmm S1 2
= stream rmm S1 2 -f
s stream rmm S1 2 -f
s stream purge S1
= stream purge S1 -f --keep 1
= stream purge S1 -f
s stream purge NOPE -f
s stream edit M1 --max-msgs 50
- stream edit M1 --max-msgs 50 -f
= stream edit M1 --max-msgs 50 -f
s stream edit M1 --max-msgs 40 --dry-run
= stream info M1
s stream copy NOPE M3
- stream copy M1 M3 --subjects m3
j stream info M3 --json
= stream seal M3 -f
s stream find --empty
= stream find --empty -n
s stream rm M3
= stream rm M3 -f
s stream rm M3 -f
s stream add --config /nonexist
s stream add X5 --config /dev/null
= stream add C1 --subjects 'c1.>' --defaults
- pub c1.a body1
- pub c1.a body2
- pub c1.a body3
- pub c1.b body4 -H K:v
- pub c1.a body5
= consumer ls C1
= consumer add C1 PULL --pull --defaults
= consumer add C1 PUSH --target out.x --defaults --ack none --deliver new
= consumer add C1 P3 --pull --defaults --filter c1.a --filter c1.b --max-deliver 5 --wait 10s --max-pending 7 --description 'my desc' --replay original --deliver 3 --backoff linear --backoff-steps 3 --backoff-min 1s --backoff-max 10s
= consumer add C1 P5 --pull --defaults --deliver 1h --sample 50 --inactive-threshold 1h --metadata x=y --memory
= consumer add C1 P6 --pull --defaults --filter c1.a --deliver subject --headers-only --max-pull-batch 5 --max-pull-expire 10s --max-pull-bytes 1000
s consumer add NOPE P4 --pull --defaults
s consumer add C1 a.b --pull --defaults
= consumer ls C1
= consumer ls C1 -n
= consumer ls C1 --json
= consumer info C1 P3
= consumer info C1 P6
j consumer info C1 P3 --json
s consumer info C1 NOPE
s consumer info C1
= consumer state C1 PULL
= consumer next C1 PULL
= consumer next C1 PULL --count 2
= consumer next C1 PULL --raw
= consumer next C1 PULL --no-ack --raw
s consumer next C1 PULL --timeout 300ms
s consumer next C1 PUSH
= consumer report C1
= consumer info C1 PULL
= consumer pause C1 PULL 1h -f
= consumer info C1 PULL
= consumer resume C1 PULL -f
s consumer resume C1 PULL -f
- consumer edit C1 PULL --max-deliver 9 -f
= consumer info C1 PULL
= consumer copy C1 PULL PULL2 --max-deliver 2
s consumer rm C1 PULL2
= consumer rm C1 PULL2 -f
s consumer rm C1 PULL2 -f
= stream info C1
= kv ls
= kv add K1 --history 5
= kv add K1 --history 5
= kv add K2 --ttl 1h --storage memory --description 'a d' --max-value-size 1K --max-bucket-size 10K --replicas 1
= kv add K4 --compress --marker-ttl 1m --metadata a=b
s kv add a.b
s kv add 'K 3'
= kv put K1 a one
= kv put K1 a two
= kv put K1 dir/x.y z
= kv get K1 a
= kv get K1 a --raw
= kv get K1 a --revision 1
s kv get K1 nope
s kv get NOPE a
= kv create K1 c1 v
s kv create K1 c1 v
= kv update K1 a three 2
s kv update K1 a four 2
s kv update K1 nope four
s kv put K1 'a b' x
s kv put K1 .a x
s kv put NOPE a x
= kv ls
= kv ls -n
= kv ls K1
= kv ls K1 -v --display-value
= kv ls K1 -v
s kv ls NOPE
= kv history K1 a
s kv history K1 none
s kv del K1 a
= kv del K1 a -f
s kv get K1 a
= kv history K1 a
= kv create K1 a again
= kv purge K1 a -f
= kv history K1 a
= kv info K1
= kv info K4
= kv status K2
s kv info
s kv info NOPE
s kv revert K1 a 1
= kv compact K1 -f
= kv put K1 b 1
= kv put K1 b 2
= kv history K1 b
s kv del K2
= kv del K2 -f
s kv del K2 -f
= kv add K5 --mirror K1
j stream info KV_K5 --json
= kv add K6 --source K1
j stream info KV_K6 --json
j stream info KV_K1 --json
j stream info KV_K4 --json
= kv edit K1 --history 6
= kv info K1
= object ls
= object add B1
s object add B1 --description dd --ttl 1h --max-bucket-size 5M
= object add B2 --storage memory --replicas 1 --description dd --ttl 1h --max-bucket-size 5M --metadata a=b
s object add x.y
= object put B1 f.txt
s object put B1 f.txt
= object put B1 f.txt -f
= object put B1 f.bin --name bin/x --description desc --chunk-size 65536 -H a:b --no-progress
s object put B1 /nonexist
= object ls
= object ls -n
= object ls B1
= object ls B1 -n
s object ls NOPE
= object info B1
= object info B1 bin/x
s object info B1 nope
s object info
= object get B1 f.txt -O out.txt -f --no-progress
s object get B1 f.txt -O out.txt --no-progress
s object get B1 nope
s object del B1 f.txt
= object del B1 f.txt -f
s object get B1 f.txt -f
s object seal B1
= object seal B1 -f
s object put B1 f.txt -f
s object del B2
= object del B2 -f
s object del B2 -f
j stream info OBJ_B1 --json
s stream report
LIST
}

# Times, ages, durations of this moment, and what only shifts columns because of them.
mask() {
	sed -E 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(\.[0-9]+)?(Z| \+0000 UTC)?/TIME/g
		s/[0-9]+(\.[0-9]+)?(ms|µs|ns)\b/AGO/g
		s/\b[0-9]+\.[0-9]{2}s ago/AGO ago/g
		s/│ (never|AGO|[0-9.]+s) +│$/│ AGO │/
		s/\[[0-9:]{8}\]/[CLOCK]/g
		s/\([0-9.]+s\) on/(AGO) on/
		s/(Host Version: ).*/\1V/
		s/ +│/ │/g; s/│ +/│ /g; s/─+/─/g; s/in [0-9.]+s$/in AGO/'
}

# One tool: each command's output, errors and status in DIR/N.*
run_all() {
	local dir=$1 tool=$2 line i=0 port pid
	shift 2
	mkdir -p "$dir" && cd "$dir" || exit 1
	echo hi >f.txt
	seq 60000 >f.bin
	port=$(free_port)
	printf 'listen: 127.0.0.1:%s\nserver_name: one\njetstream: {store_dir: "%s/store", max_mem: 64M, max_file: 1G}\n' \
		"$port" "$dir" >server.conf
	nats-server -c server.conf >server.log 2>&1 &
	pid=$!
	wait_for 10 port_open "$port"
	while read -r line; do
		i=$((i + 1))
		eval "timeout 120 $tool -s nats://127.0.0.1:$port ${line#? }" >"$i.out" 2>"$i.err" </dev/null
		echo $? >"$i.rc"
	done < <(commands)
	kill "$pid" && wait "$pid" 2>/dev/null
	sed -i "s|$dir|DIR|g" ./*.out
	cd "$W" || exit 1
}
run_all "$W/theirs" "$REAL"
run_all "$W/ours" "$BIN/signbox nats"

same() { # N MODE
	local a=theirs/$1 b=ours/$1
	case $2 in
	=)
		mask <"$a.out" >a.txt
		mask <"$b.out" >b.txt
		diff a.txt b.txt || return 1
		;;
	j)
		jq -S . "$a.out" | mask >a.txt
		jq -S . "$b.out" | mask >b.txt
		# what their struct writes for "unset"
		jq -en --slurpfile a a.txt --slurpfile b b.txt '
			$a[0] | if type == "object" then del((.config.pause_until | select(. == "TIME")), .state.bytes, .state.consumer_count) else . end
			| . as $x | $b[0] | contains($x)' >/dev/null || { diff a.txt b.txt || return 1; }
		;;
	s) [ -s "$a.err" ] && [ ! -s "$b.err" ] && echo 'ours says nothing' && return 1 ;;
	esac
	[ "$(cat "$a.rc")" = "$(cat "$b.rc")" ] || { echo "status: theirs $(cat "$a.rc"), ours $(cat "$b.rc"): $(head -1 "$b.err")" && return 1; }
}
i=0 compared=0
while read -r line; do
	i=$((i + 1))
	[ "${line%% *}" = - ] && continue
	compared=$((compared + 1))
	ok "nats ${line#? } (${line%% *})" same "$i" "${line%% *}"
done < <(commands)
ok "at least 60 commands were compared: $compared" test "$compared" -ge 60
done_testing
