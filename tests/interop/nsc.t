#!/bin/bash
# nsc against the original (tools/go.mod): each command is run by both, each in a home of
# its own, and status, text and the claims of all JWTs must be the same; then each tool
# works in the store of the other. Keys, ids, times and paths are masked.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
REAL=$BUILD/tools/bin/nsc
if ! [ -x "$REAL" ]; then
	echo '1..0 # SKIP not run: no original nsc in build/tools (tests/interop/tools.sh needs Go)'
	exit 0
fi
export HOME=$W TZ=UTC
unset XDG_CONFIG_HOME
ln -s "$BIN/signbox" "$W/nsc"
mkdir "$W/real" "$W/ours" "$W/keys"
COMPARED=0

# real ARG…, ours ARG…: in the home of one tool (HOME_OF overrides it)
real() { run_in "${HOME_OF:-real}" "$REAL" "$@"; }
ours() { run_in "${HOME_OF:-ours}" "$W/nsc" "$@"; }
run_in() {
	local dir=$W/$1
	shift
	(cd "$dir" && env XDG_CONFIG_HOME="$dir/c" XDG_DATA_HOME="$dir/d" timeout 120 "$@" </dev/null)
}

mask() {
	sed -E -e 's/\x1b\[[0-9]*m//g' -e "s#$W/(real|ours)#HOME#g; s#~/(real|ours)#HOME#g" \
		-e 's/S[OAUX][A-Z2-7]{56}/SEED/g; s/\b([OAUX])[A-Z2-7]{55}\b/<\1-key---------------------------------------------------->/g' \
		-e 's/"(jti)": *"[A-Z2-7]{52}"/"\1":"ID"/; s/"(iat|nbf|exp|last_update|[*]|<[OAUX][^"]*)": *1(79|[89][0-9])[0-9]{7}/"\1":0/g; s/[A-Z][a-z]{2}, [0-9 A-Za-z]{11} [0-9:]{8} UTC/DATE/' \
		-e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}( \+0000)? UTC/TIME/g; s/ - in [0-9a-z]+ [a-z]+/ - in TIME/gi; s/[A-Z2-7]{52}====/HASH/; s/("jwt": *)"[^"]*"/\1"JWT"/' \
		-e 's/eyJ[A-Za-z0-9_.-]+/TOKEN/g; s#/keys/([OAUX])/[A-Z2-7]{2}/#/keys/\1/XX/#g' -e 's/[[:space:]]+$//' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

# claims HOME: the claims of all JWTs of a home, masked, in order
claims() {
	local f
	(cd "$W/$1/d/nats/nsc/stores" && find . -name '*.jwt' | LC_ALL=C sort | while read -r f; do
		echo "$f"
		cut -d. -f2 "$f" | tr -- '-_' '+/' | base64 -d 2>/dev/null | jq -cS . | mask
	done)
}
files() { (cd "$W/$1" && find . -path ./c/nats/nsc/nsc.json -prune -o -printf '%y %m %p\n' | mask |
	sed -E 's#^(. [0-9]+ .*/keys/[OAUX])/[A-Z2-7]{2}$#\1/XX#' | LC_ALL=C sort -u); }

verdict() { # NAME CONDITION-STATUS
	TAP_N=$((TAP_N + 1))
	COMPARED=$((COMPARED + 1))
	if [ "$2" = 0 ]; then
		echo "ok $TAP_N - $1"
	else
		echo "not ok $TAP_N - $1"
		diff "$W/r.out" "$W/o.out" | head -40 | sed 's/^/# text: /'
		diff "$W/r.claims" "$W/o.claims" | head -20 | cut -c1-1500 | sed 's/^/# claims: /'
		echo "# status: $rrc (original), $orc"
		head -3 "$W/o.err" | sed 's/^/# err: /'
	fi
}

both() { # runs both; r.out, o.out, rrc, orc
	real "$@" >"$W/r.raw" 2>"$W/r.err"
	rrc=$?
	ours "$@" >"$W/o.raw" 2>"$W/o.err"
	orc=$?
	# lists, tables of env and validate go to stderr there, to stdout here
	cat "$W/r.raw" "$W/r.err" | mask >"$W/r.out"
	cat "$W/o.raw" "$W/o.err" | mask >"$W/o.out"
	claims real >"$W/r.claims" 2>/dev/null
	claims ours >"$W/o.claims" 2>/dev/null
}

same() { # ARG…: same text, same claims, status 0; ours says it on stdout
	both "$@"
	[ $rrc = 0 ] && [ $orc = 0 ] && [ ! -s "$W/o.err" ] && cmp -s "$W/r.out" "$W/o.out" &&
		cmp -s "$W/r.claims" "$W/o.claims"
	verdict "nsc $*" $?
}

same_lines() { # ARG…: as same, but the original prints lines in any order
	both "$@"
	sort -o "$W/r.out" "$W/r.out"
	sort -o "$W/o.out" "$W/o.out"
	[ $rrc = 0 ] && [ $orc = 0 ] && cmp -s "$W/r.out" "$W/o.out" && cmp -s "$W/r.claims" "$W/o.claims"
	verdict "nsc $*" $?
}

effect() { # ARG…: same claims and status 0; the text is another one
	both "$@"
	[ $rrc = 0 ] && [ $orc = 0 ] && cmp -s "$W/r.claims" "$W/o.claims"
	verdict "nsc $* (claims)" $?
}

refused() { # ARG…: both refuse, in the same words, and change nothing
	both "$@"
	[ $rrc = 1 ] && [ $orc = 1 ] && [ ! -s "$W/o.raw" ] && [ "$(wc -l <"$W/o.err")" = 1 ] &&
		cmp -s "$W/r.claims" "$W/o.claims" &&
		[ "$(grep -m1 '^Error' "$W/r.out")" = "$(sed 's/; see .nsc --help.$//' "$W/o.out")" ]
	verdict "nsc $*: refused" $?
}

both_refuse() { # ARG…: both refuse; the words differ
	both "$@"
	[ $rrc = 1 ] && [ $orc = 1 ] && [ "$(wc -l <"$W/o.err")" = 1 ] && cmp -s "$W/r.claims" "$W/o.claims"
	verdict "nsc $*: refused by both" $?
}

both_fail() { # ARG…: both end with 1 and a report; claims are the same
	both "$@"
	[ $rrc = 1 ] && [ $orc = 1 ] && [ -s "$W/o.err" ] && cmp -s "$W/r.claims" "$W/o.claims"
	verdict "nsc $*: both fail" $?
}

for k in operator:O1 account:A1 account:A2 account:S1 account:S2 account:S3 user:U1 user:U2; do
	nk -gen "${k%:*}" | tr -d "\n" >"$W/keys/${k#*:}.nk"
	printf -v "${k#*:}" %s "$(nk -inkey "$W/keys/${k#*:}.nk" -pubout)"
done
# shellcheck disable=SC2154 # set by printf -v
true "$O1" "$A1" "$A2" "$S1" "$S2" "$S3" "$U1" "$U2"
K=$W/keys

# ---- operators
both_refuse list accounts
both_refuse add account X
refused add operator 'a/b'
same add operator O --sys --generate-signing-key
refused add operator O --force
same env -o O
same list operators
same list operators -J
same describe operator
same describe operator -J
same describe operator -F nats.type
same edit operator --service-url nats://localhost:4222,tls://example.com
same edit operator --rm-service-url tls://example.com --tag Blue --tag red
same edit operator --account-jwt-server-url nats://localhost:4222
refused edit operator --service-url http://example.com
refused edit operator
same edit operator --sk "$K/O1.nk" --expiry 1y
same edit operator --rm-sk "$O1" --rm-tag red --expiry 0

# ---- accounts
same add account A -k "$K/A1.nk"
same add account B
refused add account A
refused add account a
refused add account 'x/y'
same list accounts
same list accounts -J
same list account
same describe account A
same describe account -n A -J
same describe account A -F nats.limits
same describe account A -F nats.limits.conn
same edit account A --conns 10 --data 1MiB --payload 64k --subscriptions 100 --leaf-conns 0
same edit account A --description 'an "account" <&>' --info-url https://example.com/x
same edit account A --imports 10 --exports 10 --disallow-bearer
same edit account A --wildcard-exports=false --disallow-bearer=false
same edit account A --wildcard-exports
same edit account A --tag one,two --rm-tag one
same edit account A --allow-pub 'a.>,b' --deny-sub x --allow-pub-response --response-ttl 5s
same edit account A --rm 'a.>' --rm-response-perms
same edit account A --js-disk-storage 1G --js-mem-storage -1 --js-streams 5 --js-consumer 7
same describe account A
same edit account A --js-disable
same edit account B --js-enable 0
refused edit account B --js-enable 0
same edit account B --js-disable
same edit account B --js-tier 1 --js-disk-storage 10M --js-max-ack-pending 100
same edit account B --rm-js-tier 1
refused edit account B --rm-js-tier 1 --js-streams 3
refused edit account B --js-disable --js-streams 3
same edit account A --trace-context-subject trace.x --trace-context-sampling 10
refused edit account A --trace-context-subject 'trace.*'
same edit account A --trace-context-subject ''
refused edit account
refused edit account nosuch --conns 1
both_refuse edit account A --conns many
same edit account A --start 2020-01-01 --expiry 2090-12-31
same edit account A --start 0 --expiry 0
same edit account A --sk "$S1" --sk "$S2"
same edit account A --rm-sk "$S2"

# ---- signing keys with a scope
effect import keys --dir "$K"
same edit signing-key --account A --sk "$K/S1.nk" --role hsm --allow-pub 'hsm.as.{{subject()}}.>' --subs 5 --data 1k
same describe account A
same edit signing-key -a A --sk hsm --deny-sub '>' --conn-type standard,mqtt --bearer --source-network 10.0.0.0/8
same edit signing-key -a A --role hsm --description 'for the service' --time 01:00:00-02:00:00
refused edit signing-key -a A

# ---- users
same add user u -a A -k "$K/U1.nk"
same add user v -a A --allow-pub 'q.>' --allow-sub '_INBOX.>,z work' --deny-pub q.x --tag T1,t2 --source-network 127.0.0.1/32 --expiry 2d
same add user w -a B --bearer --allow-pub-response=3
same add user s -a A -K hsm
same describe user s -a A
both_refuse add user s2 -a A -K hsm --allow-pub x
refused add user u -a A
refused add user 'u/u' -a A
refused add user z -a nosuch
same list users -a A
same list users -a A -J
same list user
same describe user u -a A
same describe user v -a A
same describe user v -a A -J
same describe user -n w -a B
refused describe user nosuch -a A
same edit user v -a A --allow-pubsub both --rm 'q.>' --payload 10k --data 1M --subs 3
same edit user v -a A --tag x --rm-tag t2 --expiry 4h --conn-type WEBSOCKET --rm-source-network 127.0.0.1/32
same edit user v -a A --time 10:00:00-12:00:00 --locale Europe/Berlin --bearer
same edit user v -a A --rm-time 10:00:00 --rm-conn-type websocket --bearer=false --expiry 0
same edit account A --disallow-bearer
both_refuse add user b -a A --bearer
both_refuse edit user v -a A --bearer
same edit account A --disallow-bearer=false
# where the original forgets what it was not told again
ours edit account A --disallow-bearer >/dev/null && ours edit account A --tag two >/dev/null
is 'an edit keeps --disallow-bearer' "$(ours describe account A -F nats.limits.disallow_bearer)" true
both edit account A --disallow-bearer=false --tag two
refused edit user v -a A --conn-type radio
refused edit user v -a A --allow-pub 'a b'
refused edit user -a A -n u
both_refuse edit user v -a A --expiry soon
refused edit user nosuch -a A --tag x

# ---- exports, imports, mappings
same add export -a A --subject 'pub.*' --name one
same add export -a A --service --subject svc --response-type Stream --response-threshold 2s --latency lat.x --sampling 50
same add export -a A --private --subject 'priv.>'
same add export -a A --subject 'acc.*.x' --account-token-position 2 --allow-trace=false
refused add export -a A
refused add export -a A --subject 'pub.a'
refused add export -a A --subject 'q.*' --response-type Stream
refused add export -a A --subject 'pos.*' --private --account-token-position 2
same edit export -a A --subject 'pub.*' --description 'a service' --info-url https://example.com --name one2
same describe account A
same add import -a B --src-account A --remote-subject 'pub.x' --local-subject in.x
same add import -a B --src-account "$A1" --remote-subject svc --service --share --name svc
refused add import -a B --src-account A --remote-subject 'pub.x'
refused add import -a B --src-account A
refused add import -a A --src-account A --remote-subject x
same describe account B
same describe account B -W
both generate activation -a A -t B -o act.jwt
[ $rrc = 0 ] && [ $orc = 0 ] && cmp -s "$W/r.out" "$W/o.out"
verdict 'nsc generate activation -o' $?
same describe jwt -f act.jwt
same describe jwt -f act.jwt -F nats.kind
same add import -a B --token act.jwt --local-subject 'local.>'
refused add import -a A --token act.jwt
same generate activation -a A -t B --subject priv.a.b --expiry 1y
same add mapping -a A --from a.b --to c.d
same add mapping -a A --from a.b --to c.d --weight 50
same add mapping -a A --from a.b --to e.f --weight 40 --cluster x
both_refuse add mapping -a A --from a.b --to g.h --weight 60
refused add mapping -a A --from a.b
effect delete mapping -a A --from a.b --to e.f --cluster x
same delete mapping -a A --from a.b
same delete import -a B --subject pub.x
refused delete import -a B --subject nosuch
same delete export -a A --subject 'acc.*.x'
refused delete export -a A --subject nosuch

# ---- revocations
refused revocations delete-user -a A --name u
same revocations add-user -a A --name u
same revocations add-user -a A -u "$U2" --at 1700000000
same revocations add-user -a A -u '*' --at 2023-01-02T03:04:05Z
same revocations delete-user -a A -u '*'
same_lines revocations list-users -a A
refused revocations add-user -a A --name nosuch
both_refuse revocations add-user -a A --name v --at yesterday
same revocations delete-user -a A --name u
same revocations add_activation -a A -t B --subject 'priv.>'
same revocations list_activations -a A --subject 'priv.>'
same revocations delete_activation -a A -t B --subject 'priv.>'
refused revocations list_activations -a A --subject 'priv.>'

# ---- what is made of it
same generate creds -a A -n u
effect generate creds -a A -n u -o u.creds
refused generate creds -a A -n nosuch
same describe jwt -f u.creds
same describe jwt -f u.creds -R
effect generate config --mem-resolver
effect generate config --nats-resolver
refused generate config
refused generate config --mem-resolver --nats-resolver
same generate nkey --user
same generate nkey --account --store
same generate profile 'nsc://O/A/u?names&keys&seeds'
same generate profile 'nsc://O/A?key&name'
refused generate profile http://x
same list keys
same list keys -A
same list keys -a --filter "${A1:5:12}"
same list keys --all -J
same validate -a A
same validate -A
same export keys --all --dir out --include-jwts
both_fail export keys --all --dir out
refused export keys
both_refuse import keys --dir nosuch
same env -a B
refused env -a nosuch
refused env -o nosuch

# ---- -i: the same answers to both, on a terminal
asked() { # SCRIPT ARG…: same claims and status 0
	local script=$1
	shift
	run_asked real "$script" "$REAL" "$@" >"$W/r.out" 2>&1
	rrc=$?
	run_asked ours "$script" "$W/nsc" "$@" >"$W/o.out" 2>&1
	orc=$?
	claims real >"$W/r.claims" 2>/dev/null
	claims ours >"$W/o.claims" 2>/dev/null
	[ $rrc = 0 ] && [ $orc = 0 ] && cmp -s "$W/r.claims" "$W/o.claims"
	verdict "nsc $* with answers" $?
}
run_asked() {
	local dir=$W/$1 script=$2
	shift 2
	(cd "$dir" && env XDG_CONFIG_HOME="$dir/c" XDG_DATA_HOME="$dir/d" timeout 120 \
		python3 "$SRC/tests/cli/ask.py" "$@" <<<"$script")
}
TIMES='valid from=>
valid until=>'
asked "account name=>asked
generate an account=>
$TIMES
select the key to sign=>" add account -i
asked "select account=>asked
user name=>one
generate an user=>
$TIMES" add user -i
asked "select account=>asked
add a signing=>n
max connections=>7
max leaf=>
max data=>1k
max exports=>
max imports=>
max payload=>
max subs=>
JetStream=>n
$TIMES
add a tag=>y
enter a=>Blue
add another=>n
select the key=>
Description=>hello
Info=>
tracing=>n" edit account -i
asked "select account=>asked
max payload=>100
$TIMES
add a tag=>n" edit user -i -n one
asked "select account=>asked
export type=>
subject=>in.>
name=>
private stream=>n
select the key=>" add export -i
asked "account name=>importer
generate an account=>
$TIMES
select the key to sign=>" add account -i
asked "select account=>importer
pick from locally=>n
is the export public=>y
src-account public key=>$A1
remote subject=>far.away
is import a service=>y
name=>
local subject=>near
select the key=>" add import -i
asked "select account=>importer
pick from locally=>y
select the export=>in.>
name=>
local subject=>
allow tracing=>n
select the key=>" add import -i
asked "select account=>importer
import to delete=>in.>
select the key=>" delete import -i
asked "select account=>asked
export to delete=>
select the key=>" delete export -i
asked "select account=>asked
by name=>
=>one
created before=>
select the key=>" revocations add-user -i
asked "select account=>asked
clear=>
select the key=>" revocations delete-user -i
asked "select account=>asked
select users=>\e[B\e[A 
revoke=>y
nkey=>
creds=>
continue=>y
select the key=>" delete user -i
asked "select account=>asked
revoke=>
nkeys=>
creds=>
continue=>y" delete account -i

# ---- deletion
same delete user w -a B --revoke --rm-nkey --rm-creds
same delete user -n v -a A
refused delete user nosuch -a A
refused delete user -a A
same delete account B --rm-nkey
refused delete account nosuch
files real >"$W/r.out"
files ours >"$W/o.out"
orc=0 rrc=0
cmp -s "$W/r.out" "$W/o.out"
verdict 'the same files with the same modes' $?

# ---- init
rm -rf "$W"/{real,ours}
mkdir "$W/real" "$W/ours"
same init -n demo
same describe account demo
same list keys

# ---- an account server by HTTP
rm -rf "$W"/{real,ours}
mkdir -p "$W/real" "$W/ours" "$W/boss" "$W/srv/jwt/v1/accounts"
python3 "$SRC/tests/e2e/account_server.py" "$W/srv" "$W/port" >"$W/srv.log" 2>&1 &
HSM_PID=$!
wait_for 20 test -s "$W/port" || bail 'account server'
U=http://127.0.0.1:$(cat "$W/port")
run_in boss "$W/nsc" add operator Boss >/dev/null
run_in boss "$W/nsc" edit operator -u "$U/jwt/v1" >/dev/null
cp "$W/boss/d/nats/nsc/stores/Boss/Boss.jwt" "$W/srv/jwt/v1/operator"
same init -u "$U/jwt/v1/operator" -n app
same add account two
same edit account two --conns 5
same push -a two
same push -A
same pull -A
same pull -a two
both_fail push -a two -u "$U/full"
same add export -a two --subject a.b --private
same generate activation -a two -s a.b -t app --push
same add operator -u "$U/jwt/v1/operator" --force -n Other
both_refuse add operator -u "$U/jwt/v1/nothing"
rm -rf "$W"/{real,ours}
mkdir "$W/real" "$W/ours"
real init -n demo >/dev/null
ours init -n demo >/dev/null

# ---- each in the store of the other
cross() { # ARG…: the original and ours print the same of one store
	COMPARED=$((COMPARED + 1))
	real "$@" >"$W/r.raw" 2>"$W/r.err" && ours "$@" >"$W/o.raw" 2>"$W/o.err"
	cat "$W/r.raw" "$W/r.err" | sed -E 's/\x1b\[[0-9]*m//g; s/[[:space:]]*$//' >"$W/r.out"
	sed 's/[[:space:]]*$//' "$W/o.raw" >"$W/o.out"
	[ -s "$W/r.out" ] && diff -q <(sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$W/r.out") <(sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$W/o.out") >/dev/null
	verdict "store of $HOME_OF: nsc $*" $?
	COMPARED=$((COMPARED - 1))
}
: >"$W/r.claims"
: >"$W/o.claims"
orc=0 rrc=0
for HOME_OF in real ours; do
	cross env
	cross list operators -J
	cross list accounts
	cross list users -a demo
	cross list keys --all --show-seeds
	cross describe operator
	cross describe account SYS
	cross describe user demo -a demo
	cross describe user -n demo -a demo -R
	cross generate creds -a demo -n demo
	cross generate config --mem-resolver
	cross generate profile 'nsc://demo/demo/demo?seeds'
	cross validate -A
	ok "store of $HOME_OF: ours adds a user, the original edits it" \
		eval 'ours add user x -a demo && real edit user x -a demo --tag t && ours describe user x -a demo -F nats.tags | grep -qx "\[\"t\"\]"'
	ok "store of $HOME_OF: the original adds an account, ours edits it" \
		eval 'real add account Y && ours edit account Y --sk generate --conns 3 && real describe account Y -F nats.limits.conn | grep -qx 3'
	ok "store of $HOME_OF: the original finds it valid" real validate -A
	ok "store of $HOME_OF: so does ours" ours validate -A
done
unset HOME_OF
echo "# $COMPARED commands compared with the original nsc"
done_testing
