#!/bin/bash
# nsc -i on a terminal (ask.py makes one and types the answers), and away from one.
# tests/interop/nsc.t gives the same answers to the original.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
export HOME=$W TZ=UTC XDG_DATA_HOME=$W/d XDG_CONFIG_HOME=$W/c
cd "$W" || exit 1
nsc() { "$BIN/signbox" nsc "$@" </dev/null; }
S=$W/d/nats/nsc/stores
asked() { # STATUS NAME SCRIPT ARG…: what the terminal shows is in out
	local want=$1 name=$2 script=$3 rc
	shift 3
	python3 "$SRC/tests/cli/ask.py" "$BIN/signbox" nsc "$@" >out <<<"$script"
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ $rc = "$want" ]; then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		sed 's/^/# /' out
		echo "# status $rc"
	fi
}
has() { ok "$1" grep -Eq -- "$2" out; }
claim() { nsc describe "$1" "$2" -F "$3" 2>/dev/null; }
TIMES='valid from=>
valid until=>'

# ---- init: asks who gives nothing, at a terminal
asked 0 'init asks' "configuration directory=>
Select an operator=>
name your operator=>demo" init
has 'and makes an operator of this name' 'created operator demo'
asked 0 'the name of an operator that is there is asked again' "configuration directory=>
Select an operator=>2
name your operator=>demo
already exists=>again" init -i
ok 'init does not ask away from a terminal' nsc init
is 'and with a name it asks nothing' "$(nsc init -n quiet | grep -c 'created operator quiet')" 1
nsc env -o demo -a demo >/dev/null 2>&1

# ---- never on a pipe
for args in 'add operator' 'add account' 'add user' 'edit operator' 'edit account' 'edit user' 'delete account' 'delete user' \
	'revocations add-user' 'push' 'pull' 'add export' init; do
	before=$(find d -type f | sort | xargs sha256sum)
	# shellcheck disable=SC2086
	echo y | "$BIN/signbox" nsc $args -i >out 2>err
	rc=$?
	is "nsc $args -i on a pipe" "$rc $(wc -l <err) $(wc -c <out) $(grep -c 'standard input is none\|no terminal' err)" '1 1 0 1'
	is 'changes nothing' "$(find d -type f | sort | xargs sha256sum)" "$before"
done

# ---- add
asked 0 'add account' "account name=>A
generate an account nkey=>
valid from=>
valid until=>30d" add account -i
is 'with its expiry' "$(($(claim account A exp) > $(date +%s) + 2500000))" 1
nk -gen account >a.nk
asked 0 'add account of a key, by seed in a file; a bad one is asked again' "account name=>
too short=>B
generate an account nkey=>n
path to an account nkey=>/nowhere
path to an account nkey=>$W/a.nk
$TIMES" add account -i
is 'it is that key' "$(claim account B sub)" "\"$(nk -inkey a.nk -pubout)\""
asked 1 'a name that is none' "account name=>../x
generate an account nkey=>
$TIMES" add account -i
has 'is refused' 'cannot contain'
asked 0 'add user' "select account=>A
user name=>u1
generate an user nkey=>
$TIMES" add user -i
ok 'it is there' test -s "$S/demo/accounts/A/users/u1.jwt"
asked 1 'an expiry in the past is asked about' "select account=>A
user name=>late
generate an user nkey=>
valid from=>
valid until=>nonsense
valid until=>2001-01-01
are you sure=>n" add user -i
ok 'and nothing is there' test ! -e "$S/demo/accounts/A/users/late.jwt"
asked 0 'choices by a part of the name, names before numbers' "select account=>S
user name=>1
generate an user nkey=>
$TIMES
select the key to sign the user=>" add user -i
ok 'SYS' test -s "$S/demo/accounts/SYS/users/1.jwt"

# ---- which key signs
nsc edit operator --sk generate >/dev/null
SK=$(nsc describe operator -J | jq -r '.nats.signing_keys[0]')
asked 0 'the key that signs is asked for when there are two' "account name=>C
generate an account nkey=>
$TIMES
select the key to sign the account=>2" add account -i
is 'and signs' "$(claim account C iss)" "\"$SK\""
asked 0 'not with -K' "account name=>D
generate an account nkey=>
$TIMES" add account -i -K "$SK"

# ---- edit
EDIT="select account=>A
add a signing=>n
max connections=>lots
is not a number=>7
max leaf=>
max data=>1k
max exports=>
max imports=>
max payload=>
max subs=>
JetStream limits=>y
edit tier=>
max mem=>1m
max disk=>
max streams=>3
max consumer=>
memory stream=>
disk stream=>
pending acks=>
require max bytes=>
$TIMES
add a tag=>y
enter a=>Blue
add another=>n
select the key=>
Description=>hello
Info=>
tracing=>n"
asked 0 'edit account' "${EDIT//valid until=>/valid until=>0}" edit account -i
is 'limits' "$(nsc describe account A -J | jq -c '.nats | [.limits.conn,.limits.data,.limits.mem_storage,.limits.streams,.tags,.description]')" \
	'[7,1000,1000000,3,["blue"],"hello"]'
is 'what was confirmed is as it was' "$(nsc describe account A -J | jq -c '.nats.limits | [.leaf,.exports,.subs]')" '[-1,-1,-1]'
asked 0 'edit user' "select account=>A
max payload=>100
$TIMES
add a tag=>n" edit user -i
nsc env -a A >/dev/null
is 'payload' "$(claim user u1 nats.payload)" 100
asked 0 'edit operator' "$TIMES
add a tag=>n
account jwt server=>nats://localhost:4222
add a service=>y
operator service=>http://no
operator service=>tls://localhost:4223
another service=>n
remove any=>y
select service=>1
Set system=>n
add a signing=>n
select the key to use=>" edit operator -i
is 'URLs' "$(nsc describe operator -J | jq -c '.nats | [.account_server_url,.operator_service_urls]')" \
	'["nats://localhost:4222",["tls://localhost:4223"]]'

# ---- exports
KEY='select the key to use=>'
asked 0 'add export' "select account=>A
export type=>service
subject=>a b
subject=>q.*
name=>
private service=>n
latency=>n
response type=>
threshold=>
allow tracing=>n
$KEY" add export -i
is 'a service' "$(nsc describe account A -J | jq -c '.nats.exports[0] | [.name,.subject,.type,.response_type]')" '["q.*","q.*","service","Singleton"]'
asked 0 'edit export' "select account=>A
export to edit=>
export type=>
name=>queries
private service=>y
latency=>n
response type=>Chunked
threshold=>
$KEY
Description=>
Info=>" edit export -i
is 'edited' "$(nsc describe account A -J | jq -c '.nats.exports[0] | [.name,.token_req,.response_type]')" '["queries",true,"Chunked"]'
asked 0 'generate activation' "select account=>A
select the export=>
subject=>
target-account=>B
$TIMES" generate activation -i -o act.jwt
ok 'is written' test -s act.jwt
asked 0 'revoke an activation' "select account=>A
is service=>y
select service=>
target-account=>*
created before=>
$KEY" revocations add_activation -i
asked 0 'and let it in again' "select account=>A
is service=>y
select service=>
account revocation=>
$KEY" revocations delete_activation -i
is 'both are done' "$(nsc describe account A -J | jq -c '.nats.exports[0].revocations // {}')" '{}'
asked 0 'delete export' "select account=>A
export to delete=>
$KEY" delete export -i
is 'it is gone' "$(nsc describe account A -J | jq -c '.nats.exports // []')" '[]'

# ---- revocations
nsc add user u2 >/dev/null
asked 0 'revoke a user by name' "select account=>A
by name=>
select user=>u2
created before=>
$KEY" revocations add-user -i
U2=$(claim user u2 sub)
is 'it is revoked' "$(nsc describe account A -J | jq -c --argjson k "$U2" '.nats.revocations | has($k)')" true
asked 0 'revoke all' "select account=>A
by name=>n
user-public-key=>nobody
user-public-key=>*
created before=>0
$KEY" revocations add-user -i
asked 0 'let one in again' "select account=>A
revoked user to clear=>u2
$KEY" revocations delete-user -i
is 'the other stays' "$(nsc describe account A -J | jq -c '.nats.revocations | keys')" '["*"]'

# ---- delete
asked 1 'delete is not done without a yes' "select account=>A
select users=>1
revoke user=>
associated nkey=>
creds file=>
cannot be undone=>" delete user -i
has 'and says so' 'delete cancelled'
ok 'the user is there' test -s "$S/demo/accounts/A/users/u1.jwt"
asked 0 'delete users, with the keys of the original menu' "select account=>A
select users=> \e[B 
revoke users=>y
nkeys=>y
creds files=>y
cannot be undone=>y
$KEY" delete user -i
is 'both are gone' "$(ls "$S/demo/accounts/A/users")" ''
is 'with their creds' "$(find d -name 'u[12].creds')" ''
asked 0 'delete account' "select account=>D
revoke all=>
nkeys=>
creds=>
cannot be undone=>yes" delete account -i
ok 'it is gone' test ! -e "$S/demo/accounts/D"

# ---- servers
asked 1 'push asks for the URL' "select account=>A
Account Server URL=>ftp://x
Account Server URL=>http://127.0.0.1:1/jwt/v1" push -i
has 'and goes there' '127.0.0.1:1 refuses'
asked 1 'push to nats-servers asks for the user of the system account' "select account=>A
Account Server URL=>nats://127.0.0.1:1
select account=>SYS
select user=>sys" push -i
has 'and says that nobody is there' 'no NATS server answers'
asked 1 'pull asks what' "all accounts=>n
select account=>B" pull -i -u http://127.0.0.1:1/jwt/v1
has 'and pulls that' 'pull "B" from'

# ---- a person who goes, and one who never gets it right
asked 1 'the end of input is no answer' 'account name=>\d' add account -i
has 'and says so' 'no answer'
printf 'import operator=>what\n%.0s' {1..20} >never
asked 1 'twenty wrong answers are enough' "$(cat never)" add operator -i
has 'with the reason' 'yes or no'
asked 0 'completion asks nothing' '' __complete add user -i -a ''
has 'and has the names' '^(SYS|demo)'
ok 'other commands ask nothing' eval "nsc list accounts -i >/dev/null"
# While somebody thinks, others are not kept waiting, and nothing of theirs is lost.
asked 0 'an edit while another thinks' "select account=>A
add a signing=>n
max connections=>8
max leaf=>!'$BIN/signbox' nsc edit account A --tag meanwhile --conns 9 >/dev/null
max data=>
max exports=>
max imports=>
max payload=>
max subs=>
JetStream=>
$TIMES
remove tags=>
add another tags=>
$KEY
Description=>
Info=>
tracing=>" edit account -i
is 'neither is lost' "$(nsc describe account A -J | jq -c '.nats | [.limits.conn,.limits.data,.tags]')" '[8,1000,["blue","meanwhile"]]'
done_testing
