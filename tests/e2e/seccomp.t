#!/bin/bash
# The lists of system calls (src/hsm/*/syscalls.def) against what strace sees while the
# service works: (a) each call that a process makes after its filter is in its list;
# (b) each call of a list is made, or its row says "rare: …" and why it stays.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# start_hsm runs `hsmd … run`: under strace, which is a process beside it (-D).
hsmd() {
	if [ "${*: -1}" = run ]; then
		exec strace -D -f -qq -e signal=none -s 64 -o "$W/trace.$TRACE" "$BIN/hsmd" "$@"
	fi
	"$BIN/hsmd" "$@"
}

TRACE=1
up 'workers: 2' 'sessions_per_user: 1024' || bail 'the service does not start under strace'

workload() {
	local t
	head -c 300 /dev/urandom >"$W/message"
	head -c 300000 /dev/urandom >"$W/large"
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$W/rsa.pem" 2>/dev/null
	for t in ed25519 p256 rsa; do
		as admin key gen "k.$t" --type $t || return 1
		as alice sign "k.$t" "$W/message" -o "$W/$t.sig" || return 1
		as alice verify "k.$t" "$W/message" --signature "$W/$t.sig" || return 1
	done
	as admin key import imported "$W/rsa.pem" || return 1
	as alice sign k.ed25519 "$W/large" -o "$W/large.sig" || return 1
	as alice random 4096 -o "$W/random" || return 1
	as admin user set alice --plain on && as admin key set k.p256 --plain on || return 1
	"$T/e2e/nats_req" -t 60000 "$W/alice.nk" "hsm.as.${NKEY[alice]}.sign.k.p256" "$W/message" "$W/plain.sig" || return 1
	as admin key ls && as admin user ls && as admin audit verify && as admin key rm imported --yes
}

refusals() {
	as alice key gen nope && return 1
	as admin unlock --passphrase-file "$W/passphrase" && return 1
	as alice sign none "$W/message" && return 1
	return 0
}

operational() { as admin state --json | jq -e '.state == "operational"'; }
locked() { as admin state --json | jq -e '.state == "locked"'; }

lock_and_unlock() {
	as admin lock && wait_for 20 health && wait_for 20 locked || return 1
	head -c 20 /dev/urandom | base64 -w0 >"$W/wrong"
	as admin unlock --passphrase-file "$W/wrong" && return 1
	# a right one has to wait after a wrong one
	wait_for 60 as admin unlock --passphrase-file "$W/passphrase" && wait_for 60 operational
}

# Without the broker for a while, over a name that has to be resolved.
reconnect() {
	stop_nats
	sleep 1
	run_nats && wait_for 20 health && wait_for 20 operational
}

new_front() {
	local old
	old=$(child hsm-front)
	kill -KILL "$old" && wait_for 20 health && wait_for 20 operational
}

new_store() {
	kill -KILL "$(child hsm-store)"
	wait_for 20 health && wait_for 20 operational || return 1
	# What was under way when the store went may have failed: then it did not happen.
	wait_for 20 as admin key gen after.restart --type ed25519
}

restart() {
	stop_hsm || return 1
	TRACE=2
	start_hsm && wait_for 20 operational && as alice sign k.ed25519 "$W/message" -o "$W/again.sig"
}

ok 'keys, signatures, users, audit' workload
ok 'refusals' refusals
ok 'lock and unlock' lock_and_unlock
ok 'front restarted' new_front
ok 'store restarted' new_store
ok 'NATS restarted' reconnect
# by name, not by number: the resolver is part of the front
sed -i 's|nats://127.0.0.1:|nats://localhost:|' "$W/hsm.yaml"
restart
ok 'restart of all' operational
stop_hsm
is 'stops well' $? 0
! grep -q 'does not allow' "$W/hsm.log"
is 'nothing was killed for a system call' $? 0

cat >"$W/compare.py" <<'E2'
import re, sys

def rows(path):
    text = open(path).read()
    found = re.findall(r'^SYS(?:_IF)?\((\w+),(?:\s*[A-Z_]+,)?\s*"(.*)"\)$', text, re.M)
    assert len(found) == len(re.findall(r'^SYS', text, re.M)), path
    return dict(found)

LINE = re.compile(r'^(\d+) +(<\.\.\. )?(\w+)(.*)$')

def whole(path):
    """Lines (thread, call, rest, begins), a call that strace cut in two joined at its end."""
    open_calls = {}
    for m in map(LINE.match, open(path, errors='replace')):
        if not m:
            continue
        tid, tail, call, rest = m.groups()
        if rest.endswith(' <unfinished ...>'):
            open_calls[tid] = rest[:-len(' <unfinished ...>')]
            yield tid, call, '', True
        elif tail:
            yield tid, call, open_calls.pop(tid, '') + rest.replace(' resumed>', '', 1), False
        else:
            yield tid, call, rest, True

def trace(path):
    """Calls of each process after its filter: {name: {call: number}}."""
    lines = list(whole(path))
    parent, starts, filtered, seen = {}, {}, set(), {}
    for tid, call, rest, begins in lines:
        made = re.search(r'= (\d+)$', rest)
        if call in ('clone', 'clone3', 'fork', 'vfork') and made:
            parent[made.group(1)] = tid
        run = re.match(r'\(".*/(hsm-\w+)"', rest) if call == 'execve' else None
        if run:
            starts[tid] = run.group(1)
    def process(tid):
        while tid not in starts and tid in parent:
            tid = parent[tid]
        return tid
    for tid, call, rest, begins in lines:
        pid = process(tid)
        if pid not in starts:
            continue
        if pid in filtered and begins:
            calls = seen.setdefault(starts[pid], {})
            calls[call] = calls.get(call, 0) + 1
        # libseccomp first tries what the kernel can do, without a filter (NULL).
        if call == 'seccomp' and re.search(r'SECCOMP_SET_MODE_FILTER.*len=.*= 0$', rest):
            filtered.add(pid)
    return seen

src, traces = sys.argv[1], sys.argv[2:]
total = {}
for t in traces:
    for name, calls in trace(t).items():
        for c, n in calls.items():
            d = total.setdefault(name, {})
            d[c] = d.get(c, 0) + n
for name in ('keyd', 'store', 'front'):
    listed, used = rows(f'{src}/src/hsm/{name}/syscalls.def'), total.get('hsm-' + name, {})
    print(f'# {name}: {sum(used.values())} calls of {len(used)} kinds, {len(listed)} listed')
    print('#   seen:', *(f'{c}={n}' for c, n in sorted(used.items())))
    for c in sorted(set(used) - set(listed)):
        print(f'{name} unlisted {c}')
    for c in sorted(set(listed) - set(used)):
        if 'rare: ' not in listed[c]:
            print(f'{name} unseen {c}')
    for c in sorted(set(listed) & set(used)):
        if listed[c].startswith('rare: '):
            print(f'# {name}: {c} is called rare and was seen {used[c]} times')
    if not used:
        print(f'{name} untraced -')
E2
python3 "$W/compare.py" "${SRC:-.}" "$W"/trace.* >"$W/result" 2>&1
is 'the traces were compared' $? 0
grep '^#' "$W/result"
for name in keyd store front; do
	is "$name: every call that was seen is listed" "$(grep -E "^$name (unlisted|untraced)" "$W/result")" ''
	is "$name: every call that was not seen says why it stays" "$(grep "^$name unseen" "$W/result")" ''
done
# The comparison itself finds what is wrong.
mkdir -p "$W/src/hsm/keyd" "$W/src/hsm/store" "$W/src/hsm/front"
for name in keyd store front; do
	grep -v '^SYS(futex' "${SRC:-.}/src/hsm/$name/syscalls.def" >"$W/src/hsm/$name/syscalls.def"
	echo 'SYS(swapon, "no reason")' >>"$W/src/hsm/$name/syscalls.def"
done
python3 "$W/compare.py" "$W" "$W"/trace.* >"$W/result2" 2>&1
is 'self-check: a missing row is found' "$(grep -c 'unlisted futex' "$W/result2")" 2
is 'self-check: a row too many is found' "$(grep -c 'unseen swapon' "$W/result2")" 3
done_testing
