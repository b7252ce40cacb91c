#!/bin/bash
# What a store must not be: older than it was, another's, of a newer version; and device
# keys, anchors and second starts that are wrong. The anchor (a file outside) and what
# clients remember tell a roll-back of the whole store.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

state() { as admin state --json 2>/dev/null | jq -r "$1"; }
state_is() { [ "$(state .state)" = "$1" ]; }
health_says() { health | grep -Eq " (state=$1 .*problem=none|problem=$1) "; }
# again STATE|PROBLEM: starts and waits for the one or the other
again() {
	hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
	HSM_PID=$!
	wait_for 10 health_says "$1"
	HSM_IDENTITY=$(cat "$W/data/identity")
}
# how often the log says it; it may be behind what clients are told
new_log() { tail -n "+$log_from" "$W/hsm.log"; }
in_log() { new_log | grep "$1"; }
said() { wait_for 60 in_log "level=error.*$1"; new_log | grep -c "level=error.*$1"; }
mark() { log_from=$(($(wc -l <"$W/hsm.log") + 1)); }
# swap DIR: the store at rest becomes a copy of DIR
swap() { rm -rf "$store" && cp -a "$1" "$store"; }
# run_fails STATUS TEXT NAME [ARG…]: hsmd does not run and says why in one line
run_fails() {
	local status=$1 text=$2 name=$3 out rc
	shift 3
	out=$(timeout 120 hsmd -c "${1:-$W/hsm.yaml}" run 2>&1)
	rc=$?
	is "$name: exit status" $rc "$status"
	is "$name: one line" "$(grep -cE '^hsmd: |level=error' <<<"$out")" 1
	ok "$name: it says why" grep -Eq "$text" <<<"$out"
}

up || bail "the service does not start"
store=$W/data/store

# ---- with an anchor ----
as admin key gen a >/dev/null || bail "key gen"
stop_hsm
cp -a "$store" "$W/old"
again operational || bail "restart"
as admin key gen b >/dev/null || bail "key gen"
anchored=$(state .epoch)
stop_hsm
swap "$W/old"
mark
again ROLLED_BACK || bail "no problem is told"
fails 8 'problem=ROLLED_BACK' "health tells a roll-back" health
nats_is() { health | grep -q " nats=$1 "; }
stop_nats
wait_for 30 nats_is down || bail "NATS is still there"
fails 8 'store was rolled back' "health tells it before NATS, which may come back" health
run_nats && wait_for 30 nats_is up || bail "NATS does not come back"
is "the log tells it, once" "$(said 'accept-rollback')" 1
is "state tells it" "$(state .problem)" ROLLED_BACK
is "the service stays locked" "$(state .state)" locked
is "the anchor does not hold" "$(state .anchors.held)" 0
fails 8 'accept-rollback' "unlock refuses a rolled-back store" as admin unlock --passphrase-file "$W/passphrase"
fails 3 'locked' "nobody signs" as alice sign a "$W/hsm.yaml"
fails 3 'locked' "nobody makes keys" as admin key gen c
fails 3 'bootstrap|locked' "an operator cannot accept it" as alice accept-rollback --passphrase-file "$W/passphrase"
fails 4 'wrong passphrase' "nor who does not know the passphrase" as admin accept-rollback --passphrase-file "$W/device_key"
stop_hsm
again ROLLED_BACK
is "a restart does not forget it" "$(state .problem)" ROLLED_BACK
ok "an administrator accepts it" as admin accept-rollback --passphrase-file "$W/passphrase"
is "the service is operational" "$(state .state)" operational
is "no problem is left" "$(state .problem)" null
ok "the epoch is past the anchor's" test "$(state .epoch)" -gt "$anchored"
is "the anchor holds" "$(state .anchors.held)" 1
is "the keys are those of the copy" "$(as admin key ls --json | jq -r '[.[].name] | join(",")')" a
ok "they sign" as alice sign a "$W/hsm.yaml" -o "$W/sig"
ok "the audit log verifies" as admin audit verify
is "and tells that it was accepted" "$(as admin audit show --json | jq '[(.entries? // .)[] | select(.op == 5 and .error == 0)] | length')" 1
stop_hsm
again operational
is "operational after a restart too" "$(state .state)" operational

# ---- without the store ----
stop_hsm
mv "$store" "$W/kept"
mark
again ROLLED_BACK
fails 8 'problem=ROLLED_BACK' "a store that is gone is no first start" health
is "the log tells it, once" "$(said 'empty but it was not before')" 1
is "and what to do, both ways" "$(said 'put the store back.*remove the anchor file')" 1
stop_hsm
swap "$W/kept"
again operational
is "and all is well when it is back" "$(state .state)" operational

# ---- anchors of others ----
stop_hsm
cp "$W/anchor/anchor" "$W/good"
for a in "truncated:$(head -c 40 "$W/good" | base64 -w0)" "random:$(head -c 81 /dev/urandom | base64 -w0)" \
	"one byte:AA=="; do
	base64 -d <<<"${a#*:}" >"$W/anchor/anchor"
	mark
	again ROLLED_BACK
	fails 8 'problem=ROLLED_BACK' "an anchor that is wrong (${a%%:*}) is not believed" health
	is "the log tells it, once" "$(said 'anchor')" 1
	stop_hsm
done
head -c 1000 /dev/urandom >"$W/anchor/anchor"
run_fails 9 'anchor.*larger' "an anchor that is none"
rm "$W/anchor/anchor"
mark
again operational
is "without its anchor file the service runs" "$(state .state)" operational
is "and says that roll-backs could not be seen" "$(wait_for 60 in_log 'level=warn.*anchor'; new_log | grep -c 'level=warn.*anchor')" 1
stop_hsm
ok "it makes a new one" test -s "$W/anchor/anchor"

# ---- another domain, with the same device key ----
cp -a "$W/data" "$W/data1"
cp "$W/anchor/anchor" "$W/anchor1"
rm -rf "$W/data" "$W/anchor/anchor"
HSM_IDENTITY=
again unprovisioned
as admin provision --passphrase-file "$W/passphrase" || bail "provision"
stop_hsm
cp "$W/anchor/anchor" "$W/anchor2"
rm -rf "$W/data" && cp -a "$W/data1" "$W/data"
mark
again ROLLED_BACK
fails 8 'problem=ROLLED_BACK' "the anchor of another domain is not believed" health
is "the log tells it, once" "$(said 'another domain')" 1
stop_hsm
cp "$W/anchor1" "$W/anchor/anchor"
again operational
is "and its own is" "$(state .state)" operational

# ---- one at a time ----
sed "\$a health_socket: $W/h2" "$W/hsm.yaml" >"$W/second.yaml"
run_fails 7 'another hsmd' "a second hsmd on the same data" "$W/second.yaml"
ok "the first does not mind" health
ok "it still signs" as alice sign a "$W/hsm.yaml" -o "$W/sig"

# ---- device keys ----
stop_hsm
cp "$W/device_key" "$W/right"
head -c 32 /dev/urandom | base64 -w0 >"$W/device_key"
rm "$W/anchor/anchor"
mark
again WRONG_DEVICE_KEY
fails 8 'problem=WRONG_DEVICE_KEY' "another device key does not open the store" health
is "the log tells it, once" "$(said 'another device key')" 1
stop_hsm
rm "$W/device_key"
run_fails 2 'device_key' "no device key, no start"
(umask 077 && head -c 32 /dev/zero | base64 -w0 >"$W/device_key")
run_fails 2 'zeros' "a device key of zeros"
head -c 31 /dev/urandom | base64 -w0 >"$W/device_key"
run_fails 2 '32 bytes' "a short device key"
cp "$W/right" "$W/device_key" && chmod 644 "$W/device_key"
run_fails 2 'can be read by others' "a device key for everybody"
chmod 600 "$W/device_key"

# ---- a newer version's store ----
swap "$W/kept"
"$T/e2e/store_format" "$store" 2 || bail "store_format"
out=$(timeout 120 hsmd -c "$W/hsm.yaml" run 2>&1)
is "a store of a newer version: exit status" $? 8
ok "it says why" grep -q 'format 2, this program knows up to 1: run the newer version' <<<"$out"
ok "in its first error line" grep -q prog=hsm-store < <(grep -m1 level=error <<<"$out")
ok "and that it gives up" grep -q 'prog=hsmd.*stopping: a process cannot start' <<<"$out"
"$T/e2e/store_format" "$store" 1 || bail "store_format"
again operational
is "the same store of this version opens" "$(state .state)" operational

# ---- without an anchor: what clients remember ----
stop_hsm
sed -i '/^anchor_file/d' "$W/hsm.yaml"
again operational
is "no anchor is warned of" "$(state '.warnings | index("no-anchor") != null')" true
stop_hsm
rm -rf "$W/old" && cp -a "$store" "$W/old"
again operational
as admin key gen d >/dev/null
as alice sign a "$W/hsm.yaml" -o "$W/sig"
stop_hsm
swap "$W/old"
again operational
is "the service cannot know" "$(state .problem)" null
is "its client does" "$(state .rolled_back)" true
fails 8 'rolled back' "an operator's client refuses the answers" as alice sign a "$W/hsm.yaml"
fails 8 'rolled back' "an administrator's too" as admin key ls
epoch_file=$XDG_CONFIG_HOME/signbox/hsm/epoch.$HSM_IDENTITY
fails 8 "rolled back, or .*attack.*administrator.*hsm identity accept-epoch' \\($epoch_file\\)" "they say which file, whom to ask, which command" as alice sign a "$W/hsm.yaml"
# two more clients of the time before: one accepts, one does not want to
cp -r "$XDG_CONFIG_HOME" "$W/second"
seen=$(cat "$epoch_file")
fails 2 'give --yes' "accepting the epoch wants a word" as alice --context "$W/second/signbox/hsm" identity accept-epoch </dev/null
fails 8 'rolled back' "… and without it nothing is accepted" as alice --context "$W/second/signbox/hsm" sign a "$W/hsm.yaml"
ok "a client accepts the epoch" as alice --context "$W/second/signbox/hsm" identity accept-epoch --yes
ok "… and remembers that" test "$(cat "$W/second/signbox/hsm/epoch.$HSM_IDENTITY")" -lt "$seen"
ok "… takes answers" as alice --context "$W/second/signbox/hsm" sign a "$W/hsm.yaml" -o "$W/sig"
fails 0 'nothing to accept' "… and has nothing more to accept" as alice --context "$W/second/signbox/hsm" identity accept-epoch
fails 8 'rolled back' "the first client has accepted nothing" as alice sign a "$W/hsm.yaml"
ok "the administrator locks" as admin lock
wait_for 5 state_is locked
fails 3 'only when it is operational' "a locked HSM tells no epoch" as admin identity accept-epoch --yes
ok "and accepts" as admin accept-rollback --passphrase-file "$W/passphrase"
ok "from then on clients take answers" as alice sign a "$W/hsm.yaml" -o "$W/sig"
is "state tells no more of it" "$(state .rolled_back)" false
stop_hsm
done_testing
