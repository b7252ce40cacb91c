#!/bin/bash
# hsm apply against the real service: from nothing to users and keys, a second run that
# changes nothing, what it must refuse, waiting for broker and HSM, a run that was cut.
set -u
BIN=$(realpath "${BIN:-build/bin}")
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
for u in hsm admin alice bob carol; do new_user $u || bail "no NKey"; done
start_nats -u "${NKEY[admin]}" -u "${NKEY[alice]}:plain" -u "${NKEY[bob]}" || bail "no broker"
make_secrets
write_config
cd "$W" || exit 1
mkdir setup
cp passphrase setup/passphrase
echo "${NKEY[bob]}" >setup/bob.pub
apply() { as admin apply "$@"; }
# setup LINE…: the file, which names what lies beside it
setup() { printf '%s\n' "$@" >setup/setup.yaml; }

# --- bad input, without a service: one line with file and line, nothing asked
bad() { # TEXT NAME LINE…
	local text=$1 name=$2
	shift 2
	setup "$@"
	fails 2 "$text" "$name" apply setup/setup.yaml --identity "$XKEY"
	is "… in one line" "$(apply setup/setup.yaml 2>&1 | wc -l)" 1
}
XKEY=$(nk -gen curve | tee x.nk | head -1) && XKEY=$(chmod 600 x.nk && nk -inkey x.nk -pubout)
U=${NKEY[alice]}
bad 'setup.yaml:2: unknown key .uesrs' "an unknown key" 'provision: {}' 'uesrs: []'
bad 'setup.yaml:1: unknown key .pass.' "… of provision" 'provision: {pass: x}'
bad "setup.yaml:2: unknown key 'nkeyfile'" "… of a user" users: "  - {name: a, nkeyfile: x}"
bad 'setup.yaml:3: .alice. stands here twice' "a user twice" users: \
	"  - {name: alice, nkey: $U}" "  - {name: alice, nkey: ${NKEY[bob]}}"
bad 'setup.yaml:3: alice has this NKey too' "an NKey twice" users: \
	"  - {name: alice, nkey: $U}" "  - {name: al, nkey: $U}"
bad 'setup.yaml:2: user .a. needs either' "a user without an NKey" users: '  - {name: a}'
bad 'setup.yaml:2: user .a. needs either' "… with two" users: "  - {name: a, nkey: $U, nkey_file: x}"
bad 'setup.yaml:2: public NKey of a user' "an NKey that is none" users: '  - {name: a, nkey: UABC}'
bad 'setup.yaml:2: public NKey of a user' "… of another kind" users: "  - {name: a, nkey: $XKEY}"
bad 'setup.yaml:2: .*no-such.*No such file' "a missing nkey_file" users: '  - {name: a, nkey_file: no-such}'
bad "setup.yaml:2: 'role' is administrator" "a role" users: "  - {name: a, nkey: $U, role: root}"
bad "setup.yaml:2: 'plain' is on or off" "a switch" users: "  - {name: a, nkey: $U, plain: maybe}"
bad "setup.yaml:2: '_x' is no name" "a name" keys: '  - {name: _x}'
bad "setup.yaml:2: key 'name' is missing" "a missing name" keys: '  - {type: rsa}'
bad 'setup.yaml:2: there is no key type .dsa.' "a type" keys: '  - {name: k, type: dsa}'
bad 'setup.yaml:2: rsa keys have 2048 to 4096' "bits" keys: '  - {name: k, type: rsa, bits: 1024}'
bad 'setup.yaml:2: .*mode pss-sha256 is not for' "a mode of another type" keys: '  - {name: k, type: p256, modes: [pss-sha256]}'
bad 'setup.yaml:2: there is no mode .x.' "a mode" keys: '  - {name: k, type: p256, modes: [x]}'
bad "'modes' is empty" "no mode" keys: '  - {name: k, modes: []}'
bad "setup.yaml:2: 'audit' is batched" "an audit policy" keys: '  - {name: k, audit: never}'
bad 'setup.yaml:3: .k. stands here twice' "a key twice" keys: '  - {name: k}' '  - {name: k}'
bad 'setup.yaml:1: .*identity of the HSM' "an identity" 'identity: XABC'
bad 'setup.yaml:1: .users. must be a list' "a list" 'users: {a: b}'
bad 'setup.yaml' "no YAML" 'users: [' 'a'
fails 1 'no-such' "a missing file" apply no-such.yaml
fails 2 'missing operand' "no file" apply
fails 2 'SECONDS|wait|number' "a bad --wait" apply setup/setup.yaml --wait soon
setup 'identity: "@../data/identity"'
fails 1 'data/identity' "an identity file that is not there" apply setup/setup.yaml

# --- one apply waits for the service that is started beside it
full=('identity: "@../data/identity"' 'provision: {passphrase_file: passphrase, unattended_boot: on}'
	'users:' "  - {name: alice, nkey: $U, role: operator, plain: on}" '  - {name: bob, nkey_file: bob.pub}'
	'keys:' '  - {name: release, type: p256, audit: durable}'
	'  - {name: app.web, plain: on}' '  - {name: old, type: rsa, modes: [pss-sha256, pss-sha256-digest]}')
setup "${full[@]}"
stop_nats
apply setup/setup.yaml --wait 120 >applied 2>waited &
waiter=$!
wait_for 60 grep -q 'waiting: ' waited
run_nats || bail "no broker"
start_hsm || bail "no service"
wait $waiter
is "apply waits for the identity, the broker and the service" $? 0
ok "… and says for what" grep -q 'waiting: .*data/identity' waited
unset HSM_IDENTITY
is "… prints each step" "$(cat applied)" "pinned the identity
provisioned the HSM
turned unattended boot on
added user alice as Operator
added user bob as Operator
made key release (p256)
made key app.web (ed25519)
made key old (rsa)"
state() { as admin state --json | jq -c "[.state,.unattended_boot,.users,.keys]"; }
is "… which are done" "$(state)" '["operational",true,3,3]'
is "… with what the file says" "$(as admin key show old --json | jq -c '[.type,.bits,.modes,.plain,.audit]')" \
	'["rsa",2048,["pss-sha256","pss-sha256-digest"],false,"batched"]'
is "… of users too" "$(as admin user ls --json | jq -c '[.[]|[.name,.role,.plain]]')" \
	'[["admin","Administrator",false],["alice","Operator",true],["bob","Operator",false]]'
echo message >msg
ok "alice signs" as alice sign release msg -o sig

# --- again: nothing
seq() { as admin state --json | jq .audit_seq; }
before=$(as admin key show release --json; seq)
is "a second run has nothing to do" "$(apply setup/setup.yaml)" "nothing to do"
is "… in JSON" "$(apply setup/setup.yaml --json | jq -c '[.changed,.steps]')" '[false,[]]'
is "… and nothing was changed" "$(as admin key show release --json; seq)" "$before"
is "the same as JSON" "$(python3 - <<-END | apply - --identity @data/identity
	import json
	print(json.dumps({"users": [{"name": "alice", "nkey": "$U", "role": "operator", "plain": True}],
	    "keys": [{"name": "release", "type": "p256"}], "provision": {"unattended_boot": True}}))
END
)" "nothing to do"
is "what is not said stays" "$(printf 'users: [{name: alice, nkey: %s}]\nkeys: [{name: release}]\n' "$U" | apply -)" \
	"nothing to do"

# --- what can change, changes; a dry run only says so
setup "${full[@]/audit: durable/audit: batched, plain: on}"
sed -i 's/unattended_boot: on/unattended_boot: off/; s/operator, plain: on/operator, plain: off/' setup/setup.yaml
before=$(seq)
is "dry run" "$(apply setup/setup.yaml --dry-run)" "would turn unattended boot off
would set user alice: plain surface closed
would set key release: plain surface open, audit batched"
is "… changes nothing" "$(seq)" "$before"
is "the real one, in JSON" "$(apply setup/setup.yaml --json | jq -c '[.changed,.dry_run,[.steps[]|.step,.name]]')" \
	'[true,false,["unattended-boot",null,"user-set","alice","key-set","release"]]'
is "… changes it" "$(as admin key show release --json | jq -c '[.plain,.audit]')" '[true,"batched"]'
is "… once" "$(apply setup/setup.yaml)" "nothing to do"

# --- what cannot change is told before anything is changed
conflict() { # TEXT NAME LINE…
	local text=$1 name=$2 before after
	shift 2
	setup "$@" 'provision: {unattended_boot: on}'
	before=$(seq)
	fails 6 "$text" "$name" apply setup/setup.yaml
	after=$(seq)
	is "… and nothing is changed" "$after" "$before"
}
conflict "setup.yaml:3: key 'release' is p256 in the HSM and ed25519 here" "another type" keys: \
	'  - {name: new}' '  - {name: release, type: ed25519}'
conflict "key 'old' has 2048 bits in the HSM and 3072 here" "other bits" keys: '  - {name: old, type: rsa, bits: 3072}'
conflict 'modes pss-sha256,pss-sha256-digest in the HSM and pss-sha384 here' "other modes" keys: \
	'  - {name: old, type: rsa, modes: [pss-sha384]}'
conflict "user 'alice' is Operator in the HSM and Administrator here" "another role" users: \
	"  - {name: alice, nkey: $U, role: administrator}"
conflict "user 'alice' has NKey $U in the HSM and ${NKEY[carol]} here" "another NKey" users: \
	"  - {name: alice, nkey: ${NKEY[carol]}}"
conflict "NKey of 'al' here as user 'alice'" "an NKey of another user" users: "  - {name: al, nkey: $U}"
conflict 'old.*1 more like it' "two of them" keys: '  - {name: old, type: p256}' '  - {name: release, type: rsa}'
fails 4 'Operator' "an operator may not" as bob apply setup/setup.yaml
setup "identity: $XKEY"
fails 6 'another identity is pinned' "another HSM than the pinned one" apply setup/setup.yaml
setup "${full[@]}"
fails 6 'name two HSMs' "another one by option" apply setup/setup.yaml --identity "$XKEY"

# --- locked
as admin lock 2>/dev/null
setup 'identity: "@../data/identity"'
fails 3 'locked.*passphrase_file' "a locked HSM without a passphrase" apply setup/setup.yaml
fails 3 'waiting: .*locked' "… is waited for" apply setup/setup.yaml --wait 1
sed 's/passphrase_file: passphrase/passphrase_file: wrong/' <(printf '%s\n' "${full[@]}") >setup/setup.yaml
(umask 077 && echo another-passphrase >setup/wrong)
fails 4 'unlock: wrong passphrase' "a wrong passphrase" apply setup/setup.yaml
mv setup/wrong wrong
fails 1 'wrong' "a missing passphrase file" apply setup/setup.yaml
setup "${full[@]}"
is "dry run of a locked HSM" "$(apply setup/setup.yaml --dry-run 2>/dev/null)" "would unlock the HSM"
wrong_thrice wrong || bail "no wrong passphrase"
fails 4 'wrong passphrase before: wait' "a right one soon after a wrong one" apply setup/setup.yaml
is "… is waited with, and what differs is set" "$(apply setup/setup.yaml --wait 120)" "unlocked the HSM
turned unattended boot on
set user alice: plain surface open
set key release: plain surface open, audit durable"
rm setup/passphrase
is "an open HSM needs no passphrase" "$(apply setup/setup.yaml)" "nothing to do"

# --- a run that was cut in the middle is completed by the next
{
	printf '%s\n' "${full[@]}"
	for i in {1..40}; do echo "  - {name: many.k$i, type: rsa, bits: 2048}"; done
} >setup/setup.yaml
for _ in 1 2 3 4 5; do # once more, when all is done before the signal
	HSM_NKEY=$W/admin.nk NATS_NKEY=$W/admin.nk "$BIN/signbox" hsm apply setup/setup.yaml --timeout 60 >part 2>&1 &
	killed=$!
	wait_for 60 grep -q many.k2 part
	kill -KILL $killed
	wait $killed 2>/dev/null
	made=$(as admin key ls --prefix many. --json | jq length)
	[ "$made" = 40 ] || break
	for i in {1..40}; do as admin key rm "many.k$i" --yes >/dev/null; done
done
ok "a run that is killed leaves some undone ($made of 40 keys made)" test "$made" -ge 2 -a "$made" -lt 40
ok "the next completes it" apply setup/setup.yaml
is "… all are there" "$(as admin key ls --prefix many. --json | jq length)" 40
is "… and nothing is left to do" "$(apply setup/setup.yaml)" "nothing to do"

# --- nobody there
stop_hsm
fails 7 'no HSM answers' "no service" apply setup/setup.yaml --timeout 1
stop_nats
fails 7 'no NATS server answers' "no broker" apply setup/setup.yaml
fails 7 'waiting: ' "… and --wait ends" apply setup/setup.yaml --wait 1
done_testing
