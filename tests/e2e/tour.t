#!/bin/bash
# The tour of README.md, as it stands there: every command in the marked blocks, in
# order, each of which must succeed; then the lines that README.md promises, in order.
# Only the port and the folders differ, so that it disturbs nobody.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
readme=$SRC/README.md

# blocks MARK: the fenced blocks between <!-- MARK --> and the next comment, or the next
# heading
blocks() {
	awk -v mark="<!-- $1 -->" '
		$0 == mark { on = 1; next }
		/^<!-- / || /^## / { on = 0 }
		on && /^```/ { inside = !inside; next }
		on && inside' "$2"
}

port=$(free_port)
here() { sed "s#127\.0\.0\.1/4222#127.0.0.1/$port#g; s#/tmp/tour#$W/tour#g; s#/src/#$SRC/#g"; }

{
	# what the tour starts ends with it, by its process id
	# shellcheck disable=SC2016
	echo 'set -e; trap '\''for p in $(jobs -p); do kill $p || true; done 2>/dev/null'\'' EXIT'
	# SIGTERM is the last that the tour does: whom hsmd had started by then is noted before
	# shellcheck disable=SC2016
	echo 'kill() { [ "$1" != "${HSMD:-}" ] || pgrep -P "$1" >"$PIDS"; command kill "$@"; }'
	blocks tour "$readme" | here | sed "
		s#nats://127\.0\.0\.1:4222#nats://127.0.0.1:$port#
		s#nats-config #&--listen 127.0.0.1:$port #"
} >"$W/tour.sh"
blocks 'tour output' "$readme" >"$W/promised"

# in_order FILE LINES-FILE: each line is in FILE, in this order
in_order() {
	awk 'NR == FNR { want[++n] = $0; next } $0 == want[at + 1] { at++ }
		END { if (at < n) { print "not there: " want[at + 1]; exit 1 } }' "$2" "$1"
}

ok 'the tour is found in README.md' test "$(wc -l <"$W/tour.sh")" -gt 30
ok 'and what it promises' test "$(wc -l <"$W/promised")" -gt 5
PIDS=$W/pids timeout 400 bash "$W/tour.sh" >"$W/out" 2>&1 </dev/null
rc=$?
[ $rc = 0 ] || tail -n 30 "$W/out" "$W"/tour/*.log | sed 's/^/# /'
is 'every command succeeds' $rc 0
ok 'what is promised comes' in_order "$W/out" "$W/promised"
printf 'locked\nVerified OK\n' >"$W/wrong"
fails 1 'not there' 'self-check: another order is found' in_order "$W/out" "$W/wrong"
is 'the service had three processes' "$(wc -l <"$W/pids")" 3
all_gone() { ! ps -o pid= -p "$(paste -sd, "$W/pids")"; }
ok 'none of them is left running' wait_for 60 all_gone
done_testing
