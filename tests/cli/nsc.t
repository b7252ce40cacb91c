#!/bin/bash
# nsc without a server and without the original: the store on disk, bad input, JSON, and
# what is better here than there. tests/interop/nsc.t compares.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
export HOME=$W TZ=UTC
export XDG_DATA_HOME=$W/d XDG_CONFIG_HOME=$W/c
cd "$W" || exit 1
nsc() { "$BIN/signbox" nsc "$@"; }
S=$W/d/nats/nsc/stores/demo
line() { # STATUS TEXT NAME ARG…: fails with one line that says TEXT, nothing on stdout
	local want=$1 text=$2 name=$3 rc
	shift 3
	nsc "$@" >out 2>err </dev/null
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ $rc = "$want" ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -Eq -- "$text" err; then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		sed 's/^/# /' err out
		echo "# status $rc"
	fi
}
claim() { nsc describe "$1" "$2" -F "$3"; }

# ---- init, as its users type it
nsc init -n demo >init.out || bail 'nsc init'
is 'init says what it made' "$(sed -E 's/[A-Z2-7]{56}/K/; s#`.*`#`P`#' init.out)" '[ OK ] created operator demo
[ OK ] created system_account: name:SYS id:K
[ OK ] created system account user: name:sys id:K
[ OK ] system account user creds file stored in `P`
[ OK ] created account demo
[ OK ] created user "demo"
[ OK ] project jwt files created in `P`
[ OK ] user creds file stored in `P`
> to run a local server using this configuration, enter:
>   nsc generate config --mem-resolver --config-file <path/server.conf>
> then start a nats-server using the generated config:
>   nats-server -c <path/server.conf>
all jobs succeeded'
is 'files are private' "$(find d c -type f ! -perm 600)" ''
is 'so are directories' "$(find d c -type d ! -perm 700)" ''
is 'no temporary file stays' "$(find d c -name '*tmp*')" ''
ok 'a directory and a random name' nsc init -d "$W/other"
is 'the store is where -d says' "$(jq -r .store_root c/nats/nsc/nsc.json)" "$W/other"
ok 'back to the first' nsc env -s "$W/d/nats/nsc/stores" -a demo
line 1 'already exists' 'init does not overwrite' init -n demo
ok 'all in one directory' nsc -H "$W/all" init -n x
is 'with all in it' "$(cd all && find . -maxdepth 2 -name '*.json' -o -maxdepth 1 -type d | sort | tr '\n' ' ')" '. ./creds ./keys ./nsc.json ./x '

# ---- JSON everywhere
for args in 'env' 'list operators' 'list accounts' 'list users' 'list keys' 'describe operator' 'describe account' \
	'describe user' 'validate -A' 'generate nkey -u' 'add user j1' 'edit user j1 --tag x' 'revocations add-user -n j1' \
	'revocations list-users' 'delete user j1' 'select account demo' 'add account J' 'delete account J' 'export keys -d ex' 'generate creds -a demo -n demo' 'generate config --mem-resolver' \
	'add export -a demo --private --subject ex.x' 'generate activation -a demo -t SYS' 'delete export -a demo' 'generate profile nsc://demo'; do
	# shellcheck disable=SC2086
	ok "$args -J is JSON" eval "nsc $args -J | jq -e . >/dev/null"
done
nsc env -a demo >/dev/null
is 'a report as JSON' "$(nsc edit account demo --tag x -J | jq -c '[.ok, (.report[] | .status)]')" '[true,"OK","OK"]'
is 'lists go to stdout' "$(nsc list accounts 2>/dev/null | grep -c demo)" 1

is 'creds in JSON are the creds' "$(nsc generate creds -n demo -J | jq -r .creds)" "$(nsc generate creds -n demo)"
ok 'without a command it shows help' eval 'nsc | grep -q "^Commands"'

# ---- names
for name in a/b '../x' '.' '..' '.hidden' "$(printf 'a\nb')" "$(printf '%0300d' 1)"; do
	line 1 "cannot|control|required" "no account named '${name:0:10}'" add account "$name"
	line 1 "cannot|control|required" "no user named '${name:0:10}'" add user "$name"
	line 1 "cannot|control|required|not in accounts" "no account read as '${name:0:10}'" describe account "$name"
done
line 1 'cannot contain' 'no operator with a slash' add operator 'a/b'
ok 'dots inside are fine' nsc add user first.last@example.com
line 1 'exists' 'no account twice' add account DEMO

# ---- expiry
now=$(date +%s)
for row in 30m:1800 4h:14400 2d:172800 1w:604800; do
	nsc add user "t${row%:*}" --expiry "${row%:*}" >/dev/null
	d=$(($(claim user "t${row%:*}" exp) - now - ${row#*:}))
	ok "expiry ${row%:*}" [ $d -ge 0 -a $d -lt 60 ]
done
nsc add user ty --expiry 1y >/dev/null
is 'one year, by the calendar' "$(date -u -d "@$(claim user ty exp)" +%Y)" $(($(date -u +%Y) + 1))
nsc edit user ty --expiry 2031-02-03 >/dev/null
is 'a date' "$(claim user ty exp)" "$(date -u -d 2031-02-03 +%s)"
nsc edit user ty --expiry 0 >/dev/null
is '0 is for ever' "$(claim user ty exp)" null
for t in tomorrow 1.5d 2x 99999999999999y 2031-13-01 d; do
	line 1 'invalid' "no expiry $t" edit user ty --expiry "$t"
done

# ---- numbers, permissions
nsc edit account demo --data 1k --payload 1KiB --conns 5 >/dev/null
is 'units' "$(claim account demo nats.limits | jq -c '[.data, .payload, .conn]')" '[1000,1024,5]'
for v in x 1z '' 1e99 0x10; do line 1 'number' "no number '$v'" edit account demo --conns "$v"; done
line 1 'illegal space' 'no space in what is published' add user p --allow-pub 'a b'
line 1 'unknown connection type' 'no such connection type' edit user ty --conn-type radio
nsc edit user ty --conn-type mqtt,websocket,standard >/dev/null
nsc edit user ty --rm-conn-type mqtt,websocket >/dev/null
is 'each connection type of a list is removed' "$(claim user ty nats.allowed_connection_types)" '["STANDARD"]'
line 1 'specify an edit option' 'an edit of nothing' edit user ty
nsc add user perms --allow-pub 'b,a' --allow-pub c --deny-sub z --allow-pub-response >/dev/null
is 'lists with commas and repeated options, in order' "$(claim user perms nats.pub)" '{"allow":["a","b","c"]}'
is 'an option with an optional value' "$(claim user perms nats.resp.max)" 1
nsc edit user perms --allow-pub-response=4 --response-ttl 1m30s >/dev/null
is 'and with it' "$(claim user perms nats.resp)" '{"max":4,"ttl":90000000000}'

# ---- keys that sign
nk -gen operator >other.nk
line 1 'invalid signer' 'a foreign operator cannot sign' edit account demo --tag y -K other.nk
line 1 'a key is required' 'a key that is none' edit account demo --tag y -K nosuch
line 1 'a key is required' 'a mistyped seed is not repeated' edit account demo --tag y -K SOAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZY
! grep -q SOAKY err
is 'really not' $? 0
nsc edit account demo --sk generate >/dev/null
sk=$(claim account demo 'nats.signing_keys[0]' | tr -d '"')
nsc edit signing-key --sk "$sk" --role r1 --allow-pub x >/dev/null || bail signing-key
ok 'a user of a role' nsc add user scoped -K r1
is 'has no limits of its own' "$(claim user scoped nats | jq -c 'del(.issuer_account)')" '{"pub":{},"sub":{},"type":"user","version":2}'
line 1 'scoped users require no permissions' 'and may have none' add user scoped2 -K r1 --allow-pub y
ok 'a role is enough to edit its key' nsc edit signing-key --role r1 --allow-sub z
line 1 'signing key is required' 'but a role that is not there is not' edit signing-key --role nosuch
nsc edit operator --sk generate >/dev/null
line 1 'needs to be issued with a signing key' 'strict only when all is signed so' edit operator --require-signing-keys
line 1 'no signing key of it' 'a key that is not there cannot be removed' edit account demo --rm-sk "$(nk -inkey other.nk -pubout)"
find d/nats/nsc/keys -name 'O*.nk' -exec mv {} {}.away \;
line 1 'unable to resolve any of the following signing keys' 'no key of the operator' add account late
is 'nothing is left of it' "$(nsc list accounts -J | jq -r '.[].name' | tr '\n' ' ')" 'SYS demo '
find d/nats/nsc/keys -name '*.away' | while read -r f; do mv "$f" "${f%.away}"; done

# ---- a damaged store: one line, with the file's name
cp "$S/accounts/demo/demo.jwt" keep.jwt
for bad in 'not a jwt' 'a.b.c' '' "$(tr 'A' 'B' <keep.jwt)" "$(cat "$S/demo.jwt")"; do
	printf %s "$bad" >"$S/accounts/demo/demo.jwt"
	line 1 'demo.jwt' "an account's JWT is '${bad:0:12}'" describe account demo
done
cp keep.jwt "$S/accounts/demo/demo.jwt"
cp "$S/.nsc" keep.nsc
echo '{' >"$S/.nsc"
line 1 '.nsc' 'the .nsc is broken' describe user demo
cp keep.nsc "$S/.nsc"
cp c/nats/nsc/nsc.json keep.json
echo 'x' >c/nats/nsc/nsc.json
line 1 'nsc.json' 'nsc.json is broken' list users
jq '. + {later: 1}' keep.json >c/nats/nsc/nsc.json
ok 'nsc.json may have members of later versions' nsc env -a demo
is 'and they stay' "$(jq .later c/nats/nsc/nsc.json)" 1
u=$(nsc describe user demo -F sub | tr -d '"')
f=$W/d/nats/nsc/keys/keys/U/${u:1:2}/$u.nk
cp "$f" keep.nk
nk -gen user >"$f"
line 1 'seed of another key' 'a key file with another seed' generate creds -n demo
echo x >"$f"
line 1 'no NKey seed' 'a key file without a seed' generate creds -n demo
rm "$f"
line 1 'not in the keystore' 'no key file' generate creds -n demo
cp keep.nk "$f"
line 1 'does not exist' 'no such user' describe user nosuch
line 1 'unknown command' 'no such command' frobnicate
line 1 'unknown option' 'no such option' add user x --nosuch
line 1 'three parts' 'a file that is no JWT' describe jwt -f keep.json
creds=d/nats/nsc/keys/creds/demo/demo/demo.creds
nsc describe jwt -f $creds -J >out
is 'a creds file is described without its seed' "$(jq -r .name out) $(grep -c "$(grep -A1 'BEGIN USER NKEY' $creds | tail -1)" out)" 'demo 0'
line 1 'already exists' 'generate config does not overwrite' generate config --mem-resolver --config-file keep.json
ok 'unless told' nsc generate config --mem-resolver --config-file keep2.conf --force
fails 1 'cannot write' 'a full disk' eval 'nsc list accounts >/dev/full'
line 1 'an operator JWT is needed' "an account's JWT is no operator's" add operator -u keep.jwt

mkdir ro && chmod 500 ro
[ "$(id -u)" = 0 ] && rmdir ro && touch ro
fails 1 'ro' 'a keystore that cannot be written' nsc --keystore-dir "$W/ro" --data-dir "$W/d2" add operator half
is 'leaves no half of an operator' "$(find d2 -name .nsc 2>/dev/null)" ''

# ---- an operator whose keys are elsewhere
nsc describe operator -R >op.jwt
line 1 'cannot contain' 'add operator -u under a path' add operator -u op.jwt -n ../x
ok 'add operator -u FILE' nsc -H "$W/managed" add operator -u op.jwt
is 'is a managed store' "$(jq .managed managed/demo/.nsc)" true
ok 'its accounts sign themselves' eval 'nsc -H "$W/managed" add account M | grep -q WARN'
is 'by their own key' "$(nsc -H "$W/managed" describe account M -J | jq '.iss == .sub')" true

# ---- the working directory decides
is 'inside a store' "$(cd "$S/accounts/SYS" && nsc env -J | jq -c '[.operator, .account, .from_cwd]')" '["demo","SYS",true]'
is 'NSC_CWD_ONLY' "$(cd "$S" && NSC_CWD_ONLY=1 nsc env -J | jq -c '[.operator, .from_cwd]')" '["demo",true]'
for w in '' add 'add user' list; do
	# shellcheck disable=SC2086
	ok "--help: nsc $w" eval "nsc $w --help | grep -q Usage"
done

# ---- JWTs of strangers: signed here with any claims
b64() { base64 -w0 | tr '+/' '-_' | tr -d '='; }
forge() { # SEEDFILE CLAIMS: iss is put in
	local t pub
	pub=$(nk -inkey "$1" -pubout)
	t=$(printf '{"typ":"JWT","alg":"ed25519-nkey"}' | b64).$(jq -jc --arg i "$pub" '. + {iss: $i, iat: (.iat // 1790000000)}' <<<"$2" | b64)
	printf %s "$t" >forge.in
	printf %s.%s "$t" "$(nk -inkey "$1" -sign forge.in | tr '+/' '-_' | tr -d '=\n')"
}
pub() { nk -inkey "$1" -pubout; }
for k in operator account user; do nk -gen $k >f_$k.nk; done
nsc env -s "$W/d/nats/nsc/stores" -o demo -a demo >/dev/null
op=$(claim operator demo sub | tr -d '"')
opkey=$W/d/nats/nsc/keys/keys/O/${op:1:2}/$op.nk
ok 'what forge makes is a JWT' eval 'forge f_account.nk "{\"sub\": \"$(pub f_user.nk)\", \"name\": \"x\", \"nats\": {\"type\": \"user\", \"version\": 2}}" >f.jwt; nsc describe jwt f.jwt'
for sub in ../../x $'X\nhttp: 0.0.0.0:1\n#' '' "$op"; do
	forge f_account.nk "$(jq -nc --arg s "$sub" '{sub: $s, name: "x", nats: {type: "user", version: 2}}')" >f.jwt
	line 1 'subject is not an NKey' "a user's subject is '${sub:0:6}'" describe jwt f.jwt
done
evil=$'E\nhttp: 0.0.0.0:9\n\u202e\u009b31m'
forge f_operator.nk "$(jq -nc --arg s "$(pub f_operator.nk)" --arg n "$evil" '{sub: $s, name: $n, nats: {type: "operator", version: 2, system_account: "A\nhttp: 1\n#"}}')" >f.jwt
ok 'an operator with a hostile name gets another' nsc -H "$W/evil" add operator -u f.jwt -n good
mkdir -p evil/good/accounts/S
forge f_operator.nk "$(jq -nc --arg s "$(pub f_account.nk)" --arg n "$evil" '{sub: $s, name: $n, nats: {type: "account", version: 2}}')" >evil/good/accounts/S/S.jwt
line 1 'system account of operator' 'a system account that is no key' -H "$W/evil" generate config --nats-resolver
for how in --nats-resolver --mem-resolver; do
	nsc -H "$W/evil" generate config $how --sys-account S >evil.conf
	is "names are comments, $how" "$(grep -c '^http' evil.conf) $(grep -c 'E?http' evil.conf)" '0 2'
	ok 'and drive no terminal' eval "! LC_ALL=C grep -q $'\xc2\x9b\|\xe2\x80\xae' evil.conf"
done
for name in $'c\u009b31m' $'r\u202etxt' $'\xff'; do
	line 1 'direction mark' "no user named '$(printf %q "$name")'" add user "$name"
done
nsc -H "$W/evil" describe account S >out
ok 'nor does a table' eval "grep -q 'E http' out && ! LC_ALL=C grep -q $'\xc2\x9b\|\xe2\x80\xae' out"
forge f_operator.nk "$(jq -nc --arg s "$op" --arg k "$(pub f_operator.nk)" '{sub: $s, name: "forged", nats: {type: "operator", version: 2, signing_keys: [$k]}}')" >forged.jwt
line 1 'is not signed by the operator' 'an operator whose JWT another key signed' -H "$W/h5" add operator -u forged.jwt
is 'is not stored' "$(find h5 -name '*.jwt')" ''
line 1 'is not signed by the operator' 'nor over the one that is there' -H "$W/managed" add operator -u forged.jwt -n demo --force
osk=$(claim operator demo 'nats.signing_keys[0]' | tr -d '"')
forge "$W/d/nats/nsc/keys/keys/O/${osk:1:2}/$osk.nk" "$(nsc describe operator -J | jq -c 'del(.iat)')" >renewed.jwt
line 1 'is not signed by the operator' 'one by a signing key, for the first time' -H "$W/h5" add operator -u renewed.jwt
ok 'a signing key that the stored JWT lists may' nsc -H "$W/managed" add operator -u renewed.jwt --force

# signing keys that are paths
mkdir -p "$S/accounts/V/users"
echo keep >d/nats/nsc/victim.nk
nk -gen account >v.nk
forge "$opkey" "$(jq -nc --arg s "$(pub v.nk)" '{sub: $s, name: "V", nats: {type: "account", version: 2, signing_keys: ["", "../../victim"]}}')" >"$S/accounts/V/V.jwt"
ok 'signing keys that are no keys are listed' nsc list keys --all -J
ok 'and deleted with their account' nsc delete account V --rm-nkey
is 'what they name stays' "$(cat d/nats/nsc/victim.nk)" keep
nsc env -a demo >/dev/null

# ---- many names: none is left out
mkdir -p "$S/accounts/MANY/users" many
nk -gen account >m.nk
forge "$opkey" "$(jq -nc --arg s "$(pub m.nk)" '{sub: $s, name: "MANY", nats: {type: "account", version: 2}}')" >"$S/accounts/MANY/MANY.jwt"
python3 - "$S/accounts/MANY" <<-'EOF'
	import sys
	for i in range(4200): open(f"{sys.argv[1]}/users/u{i}.jwt", "w").close()
	for i in range(1100): open(f"many/U{i}.nk", "w").close()
EOF
is '4200 users' "$(nsc list users -a MANY -J | jq length)" 4200
line 1 'is not a JWT' 'that cannot be read are not deleted with their account' delete account MANY
rm -r "$S/accounts/MANY"
mkdir -p md/keys/keys/U && mv many md/keys/keys/U/00
is '1100 keys' "$(nsc --keystore-dir md/keys list keys --all --not-referenced -J | jq '[.[] | select(.name == "?")] | length')" 1100
mkdir "$S/accounts/bad"$'\xff' && touch "$S/accounts/bad"$'\xff/bad\xff.jwt'
line 1 'not UTF-8' 'an account that cannot be named is an error' list accounts
rm -r "$S/accounts/bad"$'\xff' md
nsc env -a demo >/dev/null

# ---- at the same time
before=$(nsc revocations list-users -J | jq length)
pubs=()
for i in $(seq 20); do
	nk -gen user >p.nk
	pubs+=("$(pub p.nk)")
done
for p in "${pubs[@]}"; do nsc revocations add-user -a demo -u "$p" >>par.out 2>&1 & done
for i in 1 2 3; do nsc env -a SYS -J >>par.out 2>&1 & nsc add account "P$i" >>par.out 2>&1 & done
wait
is '20 revocations at once are 20' $(($(nsc revocations list-users -a demo -J | jq length) - before)) 20
is 'nsc.json is whole' "$(jq -r '.operator, .later' c/nats/nsc/nsc.json | tr '\n' ' ')" 'demo 1 '
nsc env -a demo >/dev/null

# ---- where output goes
mkfifo fifo
timeout 10 cat fifo >got &
ok 'a pipe is written to' timeout 10 "$BIN/signbox" nsc generate creds -n demo -o fifo
wait $!
is 'and stays one' "$([ -p fifo ] && grep -c BEGIN got)" 2
: >target && ln -s target link && ln -s /dev/null null && ln -s nowhere new
ok 'a link is followed' nsc generate creds -n demo -o link
is 'and stays' "$([ -L link ] && grep -c BEGIN target)" 2
ok 'so is one to a device' eval 'nsc generate creds -n demo -o null && nats() { "$BIN/signbox" nats "$@"; } && nats auth nkey gen user --output null'
is 'which stays too' "$([ -L null ] && [ -c null ] && echo yes)" yes
ok 'and one to nothing yet' nsc generate creds -n demo -o new
is 'of a private file' "$(stat -c %a nowhere)" 600
fails 1 directory 'a directory is none' nsc generate creds -n demo -o d

# ---- deleting: revoked first
nsc add user carol >/dev/null && nsc add user dave >/dev/null
fails 1 'cannot write' 'a disk that is full at the account' eval '(ulimit -f 0; trap "" XFSZ; nsc delete user carol --revoke 2>&1) | cat >&2; exit "${PIPESTATUS[0]}"'
ok 'leaves the user' nsc describe user carol
nsc revocations add-user -n carol --at 1000 >/dev/null
cpub=$(claim user carol sub | tr -d '"')
ok 'a user that was issued after its revocation' nsc delete user carol --revoke
ok 'is revoked anew' [ "$(claim account demo nats.revocations | jq ".$cpub")" -gt 1000 ]
line 1 'does not exist' 'one of two is not there' delete user -n dave -n nosuch
ok 'so none is deleted' nsc describe user dave

# ---- validate
asc=$W/d/nats/nsc/keys/keys/A/${sk:1:2}/$sk.nk
forge "$asc" "$(jq -nc --arg s "$(pub f_user.nk)" --arg a "$(claim account demo sub | tr -d '"')" '{sub: $s, name: "sc", nats: {type: "user", version: 2, issuer_account: $a, pub: {allow: [">"]}}}')" >"$S/accounts/demo/users/sc.jwt"
fails 1 'validation found errors' 'validate: a scoped user with permissions' eval 'nsc validate -a demo >val.out'
ok 'is named' grep -q 'user "sc" has permissions or limits of its own' val.out
ok 'described as scoped, with them' eval 'nsc describe user sc | tee out | grep -q "Issuer Scoped" && grep -q "Pub Allow" out'
rm "$S/accounts/demo/users/sc.jwt"
nsc revocations add-user -n dave >/dev/null
ok 'a revoked user is told' eval 'nsc validate -a demo | grep -q "user \"dave\" is revoked"'
python3 - <<-'EOF' >big.json
	import json
	print(json.dumps({"sub": "A", "name": "big", "nats": {"type": "account", "version": 2, "signing_keys": ["A%d" % i for i in range(3000)],
	    "exports": [{"subject": ">", "type": "stream"}] * 900}}))
EOF
forge f_account.nk "$(jq -c --arg s "$(pub f_account.nk)" '.sub = $s' big.json)" >big.jwt
is 'many faults are told in few lines' "$(nsc validate -f big.jwt -J 2>/dev/null | jq '.[0].issues | length')" 201

# ---- edits keep what they do not name
nsc edit account demo --disallow-bearer --wildcard-exports=false >/dev/null
nsc edit account demo --description d >/dev/null
is 'no bearer tokens, no wildcards' "$(claim account demo nats.limits | jq -c '[.disallow_bearer, .wildcards]')" '[true,null]'

# ---- secrets in the wrong place are not repeated
seed=$(cat f_account.nk)
hidden() {
	local name=$1
	shift
	nsc "$@" >out 2>err </dev/null
	is "$name" "$? $(grep -c -e "${seed:2:30}" -e s3cret out err | tr '\n' ' ')" '1 out:0 err:0 '
}
hidden 'a seed at --rm-sk' edit account demo --rm-sk "$seed"
hidden 'at --sk, one letter wrong' edit account demo --sk "${seed%?}"
hidden 'at --src-account' add import --src-account "$seed" --remote-subject a
hidden 'at -u' revocations add-user -u "$seed"
hidden 'as a name' describe user "$seed"
hidden 'a password in push -u' push -u nats://bob:s3cret@127.0.0.1:1
hidden 'in a URL of another kind' push -u http://bob:s3cret@127.0.0.1:1

# ---- what is not there
fails 1 'HOME is not set' 'without HOME nothing is made in /' env -u HOME -u XDG_DATA_HOME -u XDG_CONFIG_HOME "$BIN/signbox" nsc env
line 1 'not a number' 'no time after the end of time' revocations add-user -n dave --at 99999999999999999999
fails 1 'ro' 'an operator whose system account cannot be made' nsc --keystore-dir "$W/ro" --data-dir "$W/d3" add operator half2 --sys -K f_operator.nk
is 'leaves nothing' "$(find d3 -name 'half2*')" ''
fails 1 'ro' 'nor does init' nsc --keystore-dir "$W/ro" --data-dir "$W/d3" init -n half3
is 'leave anything' "$(find d3 -name 'half3*')" ''

# ---- what validate cannot read does not hide the rest
nsc -H "$W/v" init -n v >/dev/null
nsc -H "$W/v" add account a1 >/dev/null
nsc -H "$W/v" add account a2 >/dev/null
nsc -H "$W/v" add user -a a2 u2 >/dev/null
echo nonsense >v/v/accounts/a1/a1.jwt
echo eyJ.x.y >v/v/accounts/a2/users/u2.jwt
nsc -H "$W/v" validate -A >out 2>err
is 'validate: status, and one line on stderr' "$? $(wc -l <err)" '1 1'
for name in a1 a2 SYS v; do ok "validate tells about $name" grep -q "Account \"$name\"" out; done
is 'both issues' "$(grep -c '| ! |' out)" 2
nsc -H "$W/v" validate -a a1 >out 2>err
ok 'an account alone' grep -q '| ! |' out
{ nsc -H "$W/v" describe account -R v; echo broken; nsc -H "$W/v" describe account -R SYS; } >jwts 2>/dev/null
nsc -H "$W/v" validate -f jwts >out 2>err
is 'a file: three sections, one issue' "$(grep -c '^| *\(Account\|JWT\)' out) $(grep -c '| ! |' out)" '3 1'

# ---- hostile stores
hostile() { nsc -H "$W/h" "$@"; }
hostile init -n h >/dev/null
hostile add account victim >/dev/null
H=$W/h/h
# A JWT whose own name leads elsewhere.
python3 - "$(hostile describe account -R victim | tr -d '\n')" >evil.json <<'EOF'
import base64, json, sys
print(json.dumps(json.loads(base64.urlsafe_b64decode(sys.argv[1].split(".")[1] + "=="))))
EOF
cp "$H/accounts/victim/victim.jwt" good.jwt
cp "$H/accounts/h/h.jwt" "$H/accounts/victim/victim.jwt"
line 1 'another name in it: "h"' 'a JWT of another name is not edited' -H "$W/h" edit account victim --conns 1
is 'and nothing of the other is written' "$(nsc -H "$W/h" describe account h -F nats.limits.conn)" -1
rm "$H/accounts/victim/victim.jwt"
mkfifo "$H/accounts/victim/victim.jwt"
line 1 'no regular file' 'a pipe in the place of a JWT' -H "$W/h" describe account victim
ok 'does not stop validate' eval "hostile validate -A | grep -q 'no regular file'"
rm "$H/accounts/victim/victim.jwt"
ln -s /dev/zero "$H/accounts/victim/victim.jwt"
line 1 'no regular file' 'a device' -H "$W/h" describe account victim
rm "$H/accounts/victim/victim.jwt"
mkdir "$H/accounts/victim/victim.jwt"
line 1 'no regular file' 'a directory' -H "$W/h" describe account victim
rmdir "$H/accounts/victim/victim.jwt"
head -c 3000000 /dev/zero | tr '\0' e >"$H/accounts/victim/victim.jwt"
line 1 'larger than' 'a JWT of 3 MB' -H "$W/h" describe account victim
printf 'ey\0J.a.b' >"$H/accounts/victim/victim.jwt"
line 1 'victim.jwt' 'a JWT with a NUL' -H "$W/h" describe account victim
cp good.jwt "$H/accounts/victim/victim.jwt"
mv "$H/.nsc" nsc.saved
mkfifo "$H/.nsc"
line 1 'no regular file' 'a pipe in the place of .nsc' -H "$W/h" edit account victim --conns 1
rm "$H/.nsc"
mv nsc.saved "$H/.nsc"
KEY=$(hostile list keys -J | jq -r '.[] | select(.name=="victim") | .key_path')
mv "$KEY" key.saved
mkfifo "$KEY"
line 1 'keystore|resolve|regular' 'a pipe in the place of a seed' -H "$W/h" add user -a victim x
rm "$KEY"
mv key.saved "$KEY"
# A store of somebody else as the working directory.
if [ "$(id -u)" = 0 ]; then
	cp -r "$W/h/h" "$W/h2" && mkdir foreign && mv h2 foreign/h && chown -R 12345 foreign
	(cd foreign/h/accounts/victim && nsc --config-dir "$W/h" --keystore-dir "$W/h" edit account --conns 1) >out 2>err
	is 'a working directory of somebody else does not choose what is signed' "$? $(grep -c 'another user (12345)' err)" '1 1'
	is 'it can be read' "$(cd foreign/h/accounts/victim && nsc --config-dir "$W/h" --keystore-dir "$W/h" describe account -F name)" '"victim"'
	ok 'and meant' nsc --config-dir "$W/h" --keystore-dir "$W/h" --data-dir "$W/foreign" edit account victim --conns 1
else
	echo '# not run: stores of another user need root'
fi

# ---- killed while it worked
mkdir -p "$W/k/k/accounts" && echo '{"managed":false,"name":"k","kind":"operator","version":"1"}' >"$W/k/k/.nsc"
line 1 'cut short. Remove' 'an operator that was not finished' -H "$W/k" add operator k
touch "$H/accounts/victim/victim.jwt.tmp-abcdef"
is 'what a killed writer left is not listed' "$(hostile list accounts -J | jq -r 'map(.name) | join(" ")')" 'SYS h victim'
ok 'and does not keep an account' hostile delete account victim
ok 'whose directory is gone' test ! -e "$H/accounts/victim"
for i in 1 2 3 4 5 6 7 8; do hostile edit account h --tag "t$i" >/dev/null & done
wait
is 'of eight at once none is lost' "$(hostile describe account h -J | jq -c '.nats.tags | length')" 8
for i in 1 2 3 4 5 6; do
	timeout -s KILL "0.0$i" "$BIN/signbox" nsc -H "$W/h" edit account h --conns "$i" >/dev/null 2>&1 &
	wait $! 2>/dev/null
	hostile describe account h >/dev/null || break
done 2>/dev/null
ok 'a killed edit leaves the old account or the new one' hostile validate -a h
is 'all files are private, as before' "$(find h -type f ! -perm 600 ! -name '*.tmp-*')" ''
done_testing
