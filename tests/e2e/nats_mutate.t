#!/bin/bash
# nats behind a server that says nonsense (nats_mutate.py, between it and a real server):
# each command ends in time, by itself, with a status and a word about it, and writes nothing
# but where it was told to.
# SEEDS: how many times; NATS: the program (one with sanitizers, when something is looked for)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
HERE=$(realpath "$(dirname "$0")")
export HOME=$W TZ=UTC LANG=C.UTF-8
unset NATS_URL NATS_CONTEXT
start_js || bail 'no nats-server'
NATS=${NATS:-$W/nats}
good() { "$W/nats" -s "nats://a:a@127.0.0.1:$PORT" "$@" >/dev/null 2>&1; }
good stream add ST --subjects 'st.>' --defaults || bail 'no stream'
for i in 1 2 3 4 5 6; do good pub -J -q st.a "m$i" -H A:b; done
good stream rmm ST 3 -f
good consumer add ST C --pull --defaults
good kv add B --history 5 && good kv put B k v && good kv put B k v2
good object add O && echo hello >"$W/f" && (cd "$W" && good object put O f --no-progress -f)
good account backup "$W/bk0" --force
"$W/nats" -s "nats://a:a@127.0.0.1:$PORT" service serve echo >/dev/null 2>&1 &
PIDS+=($!)

# who (A: the account, S: the system's), and the command
commands() {
	sed "s#@#$W/out/#g" <<'LIST'
A stream ls
A stream ls --json
A stream report --leaders --dot @x.dot
A stream info ST
A stream info ST --json
A stream state ST
A stream subjects ST
A stream find --empty
A stream find --server-name n --invert
A stream gaps ST -f
A stream gaps ST -f --json
A stream get ST 1
A stream get ST --last-for st.a
A stream view ST
A stream edit ST --max-msgs 1000 -f
A stream edit ST --max-msgs 1001 -f --json
A stream copy ST ST2 --subjects zz --json
A stream backup ST @bk
A stream cluster balance
A stream purge ST2 -f
A consumer ls ST
A consumer report ST --leaders
A consumer info ST C
A consumer info ST C --json
A consumer state ST C
A consumer find ST --pending 3 --pinned
A consumer next ST C --count 2
A consumer edit ST C --description x -f
A consumer cluster balance ST
A consumer pause ST C 1h -f
A consumer resume ST C -f
A kv ls
A kv ls B
A kv ls B --verbose
A kv info B
A kv get B k
A kv history B k
A kv put B k v3
A kv edit B --description x
A kv compact B -f
A object ls
A object ls O
A object info O
A object info O f
A object get O f -O @of --force
A sub --stream ST --all -T
A sub --stream ST --all -T --last-per-subject
A sub st.a --direct -T
A sub --stream ST --direct -T --last-per-subject --dump=-
A pub -J st.a x
A account info
A account report connections
A account report statistics
A account backup @ab --force
A service ls
A service info echo
A service stats echo --json
A service ping echo
A service request echo echo x
A bench js ordered --stream ST --msgs 3 --no-progress
A bench js get sync --stream ST --msgs 3 --no-progress
A bench js get batch --stream ST --msgs 3 --no-progress
A bench js fetch --stream ST --msgs 3 --no-progress
A bench js pub async st.b --stream ST --msgs 5 --no-progress
A bench kv put --msgs 3 --bucket B --no-progress
A bench kv get --msgs 1 --bucket B --no-progress
A server check stream --stream ST
A server check consumer --stream ST --consumer C
A server check message --stream ST --subject st.a
A server check jetstream
A server check kv --bucket B --key k
A server check connection
A rtt 1
S server list 1
S server ping 1 --graph
S server info n1
S server report accounts
S server report connections
S server report cpu
S server report mem
S server report health
S server report jetstream --leaders
S server report jetstream --account A --leaders
S server report leafnodes
S server report routes
S server report gateways
S server report downgrade 0 --all
S server request jetstream
S server request profile heap /tmp
S server request connections --filter-empty
S server check meta --expect 1 --lag-critical 1 --seen-critical 1s
S server check server --name n1
S account info
LIST
}
# one SEED: all commands through a proxy of its own; says what went wrong
one() {
	local who cmd url status
	python3 "$HERE/nats_mutate.py" "$PORT" "$1" >"$W/port" &
	local proxy=$!
	PIDS+=("$proxy")
	wait_for 10 test -s "$W/port" || bail 'no proxy'
	mkdir -p "$W/out" "$W/cwd"
	while read -r who cmd; do
		url=a:a
		[ "$who" = A ] || url=sys:sys
		# shellcheck disable=SC2086 # several words
		(cd "$W/cwd" && timeout 60 "$NATS" -s "nats://$url@127.0.0.1:$(cat "$W/port")" --timeout 300ms $cmd) </dev/null >"$W/1" 2>"$W/2"
		status=$?
		[ "$status" -lt 124 ] || [ "$status" = 130 ] || echo "status $status: $cmd"
		grep -aqE 'Sanitizer|runtime error' "$W/2" && echo "$cmd:" && grep -aE 'Sanitizer|runtime error|#[0-9]+ .* src/' "$W/2" | head -20
		[ "$status" = 0 ] || [ -s "$W/1" ] || [ -s "$W/2" ] || echo "no word: $cmd"
		[ -z "$(ls -A "$W/cwd")" ] || echo "a file in the current folder: $cmd: $(ls -A "$W/cwd")"
	done < <(commands)
	kill "$proxy" && wait "$proxy" 2>/dev/null
	: >"$W/port"
}
before=$(find "$W" -maxdepth 1 | wc -l)
for seed in $(seq "${SEEDS:-2}"); do
	is "nonsense $seed: each of $(commands | wc -l) commands ends well" "$(one "$seed")" ''
done
is 'nothing was written outside' "$(find "$W" -maxdepth 1 ! -name 1 ! -name 2 ! -name port ! -name out ! -name cwd | wc -l)" "$before"
ok 'the server is as it was' good stream info ST
done_testing
