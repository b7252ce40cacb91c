#!/bin/bash
# A client that is closed while a callback runs: the thread of the callback goes back
# into the client, so closing has to wait for it (once it did not: the heap was damaged,
# mostly at `hsm lock`). Then many short-lived clients beside a service that restarts.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

up || bail "the service does not start"
export HSM_NKEY=$W/admin.nk NATS_NKEY=$W/admin.nk
# freed memory is overwritten, and reused at once
export GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0
is "closing waits for the callback" "$("$T/e2e/hsm_many" close 50)" "rounds 50 closed-early 0"

locks() {
	for _ in $(seq 1 "$1"); do
		as admin lock && as admin unlock --passphrase-file "$W/passphrase" || return
	done
}
states() {
	for _ in $(seq 1 "$1"); do as admin state >/dev/null || return; done
}
states 200 >"$W/states" 2>&1 &
states=$!
ok "30 times lock and unlock" locks 30
# (a subshell, as ok has, may only wait for it once it has ended)
wait $states
is "while 200 clients come and go" "$?: $(sort -u "$W/states")" "0: "
ok "hsmd is there still: lock is no failure of its processes" kill -0 "$HSM_PID"
is "nothing ended but on purpose" "$(grep 'level=\(warn\|error\)' "$W/hsm.log")" ""
done_testing
