#!/bin/bash
# nsc and account servers by HTTP and HTTPS, friendly and hostile ones (account_server.py).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export HOME=$W TZ=UTC
unset XDG_CONFIG_HOME
cd "$W" || exit 1
servers=()
cleanup_servers() {
	local p
	for p in "${servers[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap cleanup_servers EXIT

# at HOME ARG…: nsc in a home of its own
at() {
	local home=$W/$1
	shift
	XDG_CONFIG_HOME=$home/c XDG_DATA_HOME=$home/d "$BIN/signbox" nsc "$@" </dev/null
}
line() { # TEXT NAME HOME ARG…: status 1, one line that says TEXT, nothing on stdout, and no file changed
	local text=$1 name=$2 home=$3 before rc
	shift 3
	before=$(state "$home")
	at "$home" "$@" >out 2>err
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ $rc = 1 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -Eq -- "$text" err &&
		! grep -q $'\x1b' err && [ "$before" = "$(state "$home")" ]; then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		sed 's/^/# /' err out
		echo "# status $rc"
	fi
}
told() { # TEXT NAME HOME ARG…: as line, but it is a report with one [ERR ] that says TEXT
	local text=$1 name=$2 home=$3 before rc
	shift 3
	before=$(state "$home")
	at "$home" "$@" >out 2>err
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ $rc = 1 ] && [ ! -s out ] && grep -E '^ .*\[ERR \]' err | grep -Eq -- "$text" &&
		! grep -q $'\x1b' err && [ "$before" = "$(state "$home")" ]; then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		sed 's/^/# /' err out
		echo "# status $rc"
	fi
}
state() { (cd "$W/$1" 2>/dev/null && find . -type f ! -name nsc.json -exec sha256sum {} + | sort -k2); }
start() { # NAME [CERT KEY]: sets URL_NAME
	mkdir -p "srv/jwt/v1/accounts"
	python3 "$SRC/tests/e2e/account_server.py" srv "$1.port" "${@:2}" >"$1.log" 2>&1 &
	servers+=($!)
	wait_for 20 test -s "$1.port" || bail "the account server does not start"
}
start plain
URL=http://127.0.0.1:$(cat plain.port)
mkdir -p boss app other
at boss add operator Boss --generate-signing-key >/dev/null || bail 'add operator'
at boss edit operator --account-jwt-server-url "$URL/jwt/v1" >/dev/null
B=$W/boss/d/nats/nsc/stores/Boss/Boss.jwt
cp "$B" srv/jwt/v1/operator

# ---- as it should be
at app init -u "$URL/jwt/v1/operator" -n app >out 2>err
is 'init of a managed operator' "$(sed -E 's/[A-Z2-7]{56}/K/; s#`.*`#`P`#' out)" '[ OK ] add managed operator Boss
[ OK ] push jwt to account server:
       [ OK ] pushed account jwt to the account server
       > stored it
[ OK ] pull jwt from account server
[ OK ] created account app
[ OK ] created user "app"
[ OK ] project jwt files created in `P`
[ OK ] user creds file stored in `P`
all jobs succeeded'
A=$W/app/d/nats/nsc/stores/Boss
K=$(at app describe account app -F sub | tr -d '"')
is 'the server has the account' "$(cat "srv/jwt/v1/accounts/$K")" "$(cat "$A/accounts/app/app.jwt")"
ok 'the store is a managed one' grep -q '"managed":true' "$A/.nsc"
is 'all files are private' "$(find app -type f ! -perm 600)" ''
ok 'the base of a server is enough' at other add operator -u "$URL"
is 'with jwt/v1, too' "$(at other add operator -u "$URL/jwt/v1/" -n again | head -1)" '[ OK ] imported operator "again"'
ok 'a well-known operator by name' eval "NSC_Mine_OPERATOR=$URL/jwt/v1/operator at other add operator -u mine -n third"
ok 'and with init' eval "NSC_Mine_OPERATOR=$URL/jwt/v1/operator at known init -o MINE -n x"
line 'was not found' 'one that nobody knows' known init -o nobody -n y
ok 'an edit reaches the server' at app edit account --conns 5
is 'at once' "$(cat "srv/jwt/v1/accounts/$K")" "$(cat "$A/accounts/app/app.jwt")"

# The operator signs it there; the next pull brings it.
sleep 1.1
at boss add account app -k "$K" >/dev/null || bail 'sign by the operator'
cp "$W/boss/d/nats/nsc/stores/Boss/accounts/app/app.jwt" "srv/jwt/v1/accounts/$K"
is 'pull' "$(at app pull -A)" '[ OK ] pulled "Boss" from the account server
[ OK ] pulled "app" from the account server
all jobs succeeded'
is 'takes what the operator signed' "$(cat "$A/accounts/app/app.jwt")" "$(cat "srv/jwt/v1/accounts/$K")"
is 'pull of one account' "$(at app pull -a app)" '[ OK ] pulled "app" from the account server'
is 'push' "$(at app push)" '[ OK ] pushed "app" to account server:
       [ OK ] pushed account jwt to the account server
       > stored it'
ok 'push to another URL, as JSON' eval "at app push -A -u $URL/elsewhere -J | jq -e .ok >/dev/null"
is 'it is there' "$(cat "srv/elsewhere/accounts/$K")" "$(cat "$A/accounts/app/app.jwt")"
sleep 1.1
at boss edit operator --tag new >/dev/null
mkdir -p srv/jwt/v2
cp "$B" srv/jwt/v2/operator
at app pull -A >/dev/null
is 'an operator of version 2 is preferred' "$(at app describe operator -F nats.tags | tr -d '[]" \n')" new
rm -r srv/jwt/v2
at app edit account --rm-js-tier 9 >/dev/null 2>&1
at app add export --subject a.b --private >/dev/null
at app generate activation -s a.b -t "$K" --push >out
ok 'an activation goes there' test -s srv/jwt/v1/activations.jwt
ok 'and is told where it is' grep -q "accessible at \"$URL/jwt/v1/activations/[A-Z2-7]*====\"" out
cp srv/jwt/v1/activations.jwt srv/act
at app add account imp >/dev/null
IMP=$(at app describe account imp -F sub | tr -d '"')
at app generate activation -a app -s a.b -t "$IMP" --push >/dev/null
ok 'and is imported by its URL' at app add import -a imp --token "$URL/jwt/v1/activations.jwt"
at app select account app >/dev/null

# ---- hostile servers
for row in 'redirect:redirects are not followed' 'huge:larger than 2 MB|too large' 'endless:larger than 2 MB|too large' \
	'slow:in time' 'cut:closed|refuses' 'drive:no JWT|not a JWT|chunk|invalid|three' 'denied:401' 'nothing:404'; do
	kind=${row%%:*}
	line "${row#*:}" "add operator: $kind" fresh add operator -u "$URL/$kind/operator"
	is "$kind: no store is left" "$(find fresh -path '*stores/*')" ''
	told "${row#*:}" "pull: $kind" app pull -a app -u "$URL/$kind"
done
line 'refuses' 'nobody listens' fresh add operator -u http://127.0.0.1:1/
line 'URL' 'no host' fresh add operator -u http:///x
line 'no URL|port' 'no port' fresh add operator -u http://127.0.0.1:99999/x
told 'failed to push account to remote server: status 507' 'push: no room' app push -u "$URL/full"
told 'status 401' 'push: denied' app push -u "$URL/denied"
told 'redirects' 'push: redirect' app push -u "$URL/redirect"
at app push -u "$URL/pending" >out 2>err
is 'push: accepted for later is a warning, and drives no terminal' "$(cat out)" '[WARN] push app to account server:
       [WARN] pushed account jwt was accepted by the account server
       > wait?[2J for it
       > really'

# ---- answers that are JWTs, but not the right ones
cp "$W/boss/d/nats/nsc/stores/Boss/accounts/app/app.jwt" acc.jwt
cp "$B" op.jwt
at evil add operator Boss >/dev/null
at evil add account app -k "$K" >/dev/null
at evil add account imp >/dev/null
E=$W/evil/d/nats/nsc/stores/Boss
serve() { cp "$1" "srv/jwt/v1/accounts/$K"; }
serve "$E/accounts/app/app.jwt"
told 'not signed by the operator' 'an account signed by somebody else' app pull -a app -F
serve "$E/accounts/imp/imp.jwt"
told 'account "imp": not stored' 'another account' app pull -a app -F
at evil add account '...app' >/dev/null 2>&1
serve op.jwt
told 'error decoding remote token' 'an operator for an account' app pull -a app
cp "$E/Boss.jwt" srv/jwt/v1/operator
cp acc.jwt "srv/jwt/v1/accounts/$K"
at app pull -A -F >out 2>err
ok 'another operator of the same name' grep -q 'another operator, O.*: not stored' err
is 'is not stored' "$(cat "$A/Boss.jwt")" "$(cat "$B")"
cp acc.jwt srv/jwt/v1/operator
line 'operator' 'an account for an operator' fresh add operator -u "$URL"
at boss edit operator -K "$(at boss describe operator -F 'nats.signing_keys[0]' 2>/dev/null | tr -d '"')" --tag sk >/dev/null 2>&1
sed 's/./x/200' "$B" >srv/jwt/v1/operator
line 'operator' 'a JWT that was changed' fresh add operator -u "$URL"
cp op.jwt srv/jwt/v1/operator
sleep 1.1
at app edit account --conns 7 >/dev/null
cp acc.jwt "srv/jwt/v1/accounts/$K"
told 'newer than remote' 'an older JWT does not come back' app pull -a app
ok 'unless it is wanted' at app pull -a app --overwrite-newer
# What a server makes of an edit is not taken unseen.
at app edit operator --account-jwt-server-url "$URL/x" >/dev/null 2>&1
is 'the operator of a managed store is not edited' "$(at app describe operator -F nats.account_server_url)" "\"$URL/jwt/v1\""

# ---- TLS
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
start tls cert.pem key.pem
S=https://localhost:$(cat tls.port)
cp op.jwt srv/jwt/v1/operator
line 'certificate' 'an unknown certificate' fresh add operator -u "$S"
NATS_CA=cert.pem line 'certificate' 'a name that is not its own' fresh add operator -u "https://127.0.0.1:$(cat tls.port)"
ok 'with $NATS_CA it is known' env NATS_CA=cert.pem bash -c "XDG_CONFIG_HOME=$W/t/c XDG_DATA_HOME=$W/t/d '$BIN/signbox' nsc add operator -u $S"
told 'both' 'half a client certificate' app pull -a app -u "$S/jwt/v1" --ca-cert cert.pem --client-cert cert.pem
ok 'with --ca-cert, too' at app pull -a app -F -u "$S/jwt/v1" --ca-cert cert.pem
line 'TLS|closed|refuses|time' 'https where only http is' fresh add operator -u "https://127.0.0.1:$(cat plain.port)"
done_testing
