#!/bin/bash
# SIGKILL to every process of the service, at random, while 500 keys are made: what was
# acknowledged is there afterwards, nothing is there twice, and clients see at most that
# the service was away. SEED=N repeats the order of the signals of an earlier run.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

KEYS=500
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
echo "# seed $SEED"

up || bail "the service does not start"
as admin config unattended-boot on || bail "unattended boot"
# from here on the service opens itself by unattended boot alone
sed -i '/unlock_passphrase_file/d' "$W/hsm.yaml"
stop_hsm && start_hsm || bail "restart"
state_is() { [ "$(as admin state --json 2>/dev/null | jq -r .state)" = "$1" ]; }
wait_for 10 state_is operational || bail "unattended boot does not open the service"

# in a random order: hsmd, too, whose children must go with it
victims=$(printf '%s\n' hsm-front hsm-front hsm-front hsm-front hsm-keyd hsm-keyd hsm-keyd \
	hsm-keyd hsm-store hsm-store hsm-store hsm-store hsm-store hsm-store hsmd hsmd hsmd |
	while read -r v; do echo "$RANDOM $v"; done | sort -n | cut -d' ' -f2)

alone() { # no process of the last hsmd is left
	local p
	for p in "$@"; do [ ! -d "/proc/$p" ] || return 1; done
}

killed=0 orphans=0
# strike NAME: kills a process of the service; a new one is waited for first
strike() {
	local children
	if [ "$1" = hsmd ]; then
		children=$(pgrep -P "$HSM_PID")
		kill -9 "$HSM_PID" && killed=$((killed + 1))
		wait "$HSM_PID" 2>/dev/null
		# shellcheck disable=SC2086
		wait_for 5 alone $children || orphans=$((orphans + 1))
		start_hsm || bail "hsmd does not start again"
		return
	fi
	# one that ends with another just now does not count
	wait_for 60 hit "$1" && killed=$((killed + 1))
}
hit() {
	local pid
	pid=$(child "$1")
	[ -n "$pid" ] && kill -9 "$pid"
}

started=$SECONDS
HSM_NKEY=$W/admin.nk NATS_NKEY=$W/admin.nk "$T/e2e/hsm_many" -w 8 -d 240000 -p 35 keys k $KEYS \
	>"$W/made" 2>"$W/made.err" &
client=$!
for v in $victims; do
	sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
	strike "$v"
done
wait $client
echo "# $killed processes killed in $((SECONDS - started)) s; $(grep -cE ' ([2-9]|[0-9]{2,}) [0-9]+ ' "$W/made") requests were sent more than once"

is "every signal hit a process" $killed 17
is "the children of hsmd died with it" $orphans 0
is "every request was answered" "$(sed -n 's/^answered //p' "$W/made")" $KEYS
is "no error but that the service was away" "$(awk '/^k\./ && $2 !~ /^(OK|TIMEOUT|UNAVAILABLE|NO_RESPONDERS|BUSY|SHUTTING_DOWN)$/' "$W/made")" ""
acknowledged=$(grep -c '^k\.[0-9]* OK' "$W/made")
echo "# $acknowledged of $KEYS acknowledged"
grep '^k\.' "$W/made" | grep -v ' OK ' | sed 's/^/# /'
sed 's/^/# /' "$W/made.err"
ok "most of them were made all the same" test "$acknowledged" -gt $((KEYS * 9 / 10))

ok "the service recovers by itself" wait_for 15 state_is operational
as admin key ls --prefix k. --json >"$W/keys.json"
jq -r '.[].name' "$W/keys.json" | sort >"$W/there"
sed -n 's/^\(k\.[0-9]*\) OK .*/\1/p' "$W/made" | sort >"$W/acknowledged"
is "every acknowledged key is there" "$(comm -23 "$W/acknowledged" "$W/there")" ""
grep 'did not happen' "$W/made" | cut -d' ' -f1 | sort >"$W/not"
is "none is there that was said not to be" "$(comm -12 "$W/not" "$W/there")" ""
is "none is there twice" "$(uniq -d "$W/there")" ""
is "none has another's key" "$(jq -r '.[].public | gsub("\n"; "")' "$W/keys.json" | sort | uniq -d)" ""
as admin audit show --from 1 --limit 100000 --json >"$W/audit.json" || bail "audit show"
jq -r '(.entries? // .)[] | select(.op == 20 and .error == 0) | .key' "$W/audit.json" |
	grep '^k\.' | sort >"$W/logged"
is "the audit log has each exactly once" "$(diff "$W/there" "$W/logged")" ""
ok "the audit log verifies" as admin audit verify
for n in 1 $((KEYS / 2)) $KEYS; do
	HSM_NKEY=$W/alice.nk NATS_NKEY=$W/alice.nk "$T/e2e/hsm_many" sign "k.$n" 20 >"$W/signed"
	is "key $n signs" "$(sed -n 's/^OK //p' "$W/signed")" 20
done
stop_hsm
is "hsmd stops in order" $? 0
done_testing
