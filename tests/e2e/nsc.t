#!/bin/bash
# What nsc makes, before a real nats-server in operator mode: creds, permissions, scoped
# signing keys, revocation, expiry; a MEMORY resolver, and push to and pull from a full
# one.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export XDG_DATA_HOME=$W/data HOME=$W
nsc() { "$BIN/signbox" nsc "$@"; }
creds() { echo "$W/data/nats/nsc/keys/creds/O/$1/$2.creds"; }
client() { # ACCOUNT USER [pub|sub SUBJECT]…
	local a=$1 u=$2
	shift 2
	python3 "$SRC/tests/e2e/nsc_client.py" "$NATS_PORT" "$(creds "$a" "$u")" "$@"
}
start() { # CONFIGURATION
	NATS_PORT=${NATS_PORT:-$(free_port)}
	{
		echo "listen: 127.0.0.1:$NATS_PORT"
		cat "$1"
	} >"$W/nats.conf"
	run_nats
}

nsc add operator O --sys --generate-signing-key >/dev/null || bail 'add operator'
nsc add account A >/dev/null && nsc add account B >/dev/null || bail 'add account'
nsc add user u -a A >/dev/null || bail 'add user'
nsc add user limited -a A --allow-pub 'ok.>' --allow-sub '_INBOX.>' >/dev/null
nsc add user gone -a A >/dev/null
nsc edit signing-key -a A --sk generate --role hsm --allow-pub 'hsm.as.{{subject()}}.>' \
	--allow-sub '_INBOX.>' >/dev/null || bail 'edit signing-key'
nsc add user scoped -a A -K hsm >/dev/null || bail 'add user -K hsm'
nsc add user b -a B >/dev/null
nsc revocations add-user -a A --name gone >/dev/null || bail revocations
nsc add export -a A --service --subject 'svc.*' --private >/dev/null || bail 'add export'
nsc generate activation -a A -t B --subject svc.x -o "$W/act.jwt" >/dev/null || bail activation
nsc add import -a B --token "$W/act.jwt" --local-subject my.svc >/dev/null || bail 'add import'
ok 'nsc validate finds nothing' nsc validate -A
nsc add user old -a A --expiry 2020-01-01 >/dev/null
nsc add user early -a A --start 2090-01-01 >/dev/null
nsc generate config --mem-resolver --config-file "$W/mem.conf" >/dev/null || bail 'generate config'
start "$W/mem.conf" || bail 'nats-server does not start with the generated configuration'

ok 'a user logs in' client A u pub any.thing sub '>'
ok 'the system user logs in' client SYS sys sub '$SYS.>'
ok 'publishing where it is allowed' client A limited pub ok.x sub _INBOX.1
fails 1 'Permissions Violation for Publish to "no.x"' 'and not elsewhere' client A limited pub no.x
fails 1 'Permissions Violation for Subscription to "x"' 'nor subscribing' client A limited sub x
key=$(nsc describe user scoped -a A -F sub | tr -d '"')
ok "a scoped user publishes below its own key" client A scoped pub "hsm.as.$key.sign.k"
fails 1 'Permissions Violation for Publish' 'not below another' client A scoped pub "hsm.as.${key/U/X}.sign.k"
fails 1 'Permissions Violation for Subscription' 'nor subscribes' client A scoped sub 'hsm.>'
fails 1 'Authorization Violation|revoked' 'a revoked user' client A gone
fails 1 'Authorization Violation|Expired' 'an expired user' client A old
fails 1 'Authorization Violation' 'a user whose time has not come' client A early
ok 'an account imports what its activation allows' client B b pub my.svc sub x
fails 1 'expired' 'nsc validate finds the expired user' nsc validate -a A
stop_nats

# ---- a full resolver: push, pull, prune
nsc generate config --nats-resolver >"$W/full.conf" || bail 'generate config --nats-resolver'
sed -i "s#'./jwt'#'$W/jwt'#; s/allow_delete: false/allow_delete: true/" "$W/full.conf"
start "$W/full.conf" || bail 'nats-server does not start with the full resolver'
url=nats://127.0.0.1:$NATS_PORT
nsc edit operator --account-jwt-server-url "$url" >/dev/null
fails 1 'Authorization Violation' 'before the push the account is not known' client A u
fails 1 'as it has validation issues|unable to push' 'an expired account is not pushed' \
	eval 'nsc add account E >/dev/null; nsc edit account E --expiry 2020-01-01 >/dev/null; nsc push -a E'
nsc delete account E >/dev/null
ok 'nsc push --all' nsc push --all
ok 'now the user logs in' client A u pub x
is 'push says what it did, as JSON' "$(nsc push -a A -J | jq -c '[.ok, .report[0].status]')" '[true,"OK"]'
nsc revocations add-user -a A --name u >/dev/null
ok 'push of a revocation' nsc push -a A
fails 1 'Authorization Violation|revoked' 'the revoked user is out' client A u
cp "$W/data/nats/nsc/stores/O/accounts/A/A.jwt" "$W/A.jwt"
nsc edit account A --tag local >/dev/null
fails 1 'newer than remote' 'pull does not overwrite what is newer' nsc pull --all
ok 'unless told' nsc pull --all --overwrite-newer
ok 'pull brings back what was pushed' cmp "$W/A.jwt" "$W/data/nats/nsc/stores/O/accounts/A/A.jwt"
rm -rf "$W/data/nats/nsc/stores/O/accounts/B"
ok 'push --diff shows what only the server has' eval 'nsc push --diff | grep -q "only exists in server"'
ok 'push --prune deletes it there' nsc push --prune
fails 1 'Authorization Violation' 'and its user is out' client B b
ok 'push --account-removal' nsc push --account-removal A
fails 1 'Authorization Violation' 'that account is gone too' client A limited
ok 'push by a given system user' nsc push -a A --system-user sys
stop_nats
start "$W/full.conf" || bail nats-server
ok 'and A is back' client A limited pub ok.x
stop_nats

# ---- strangers: what they leave at the server, what they are called
nk -gen account >"$W/x.nk"
x=$(nk -inkey "$W/x.nk" -pubout)
b64() { base64 -w0 | tr '+/' '-_' | tr -d '='; }
{
	printf '{"typ":"JWT","alg":"ed25519-nkey"}' | b64
	printf .
	printf '{"sub":"%s","iss":"%s","iat":%d,"name":"innocent","nats":{"type":"account","version":2}}' "$x" "$x" "$(date +%s)" | b64
} >"$W/x.in"
printf '%s.%s' "$(cat "$W/x.in")" "$(nk -inkey "$W/x.nk" -sign "$W/x.in" | tr '+/' '-_' | tr -d '=\n')" >"$W/jwt/$x.jwt"
cp "$W/data/nats/nsc/stores/O/.nsc" "$W/keep.nsc"
jq -c '.managed = true' "$W/keep.nsc" >"$W/data/nats/nsc/stores/O/.nsc"
{
	echo 'trace: true'
	printf 'server_name: "gnp.exe\u202e\u009b31m"\n'
	cat "$W/full.conf"
} >"$W/trace.conf"
lines=$(wc -l <"$W/nats.log")
start "$W/trace.conf" || bail 'nats-server with a strange name'
fails 1 '"innocent" is not signed by the operator: not stored' 'an account that signed itself is not pulled, in a managed store too' nsc pull --all --overwrite-newer
is 'nothing of it is here' "$(find "$W/data" -name 'innocent*')" ''
cp "$W/keep.nsc" "$W/data/nats/nsc/stores/O/.nsc"
nsc push -a A >"$W/push.out"
nsc push -a A --diff >>"$W/push.out"
ok "the server's name is shown" grep -q gnp.exe "$W/push.out"
ok 'and drives no terminal' eval '! LC_ALL=C grep -q "$(printf "\u202e\|\u009b")" "$W/push.out"'
tail -n +"$lines" "$W/nats.log" | grep -o '<<- \[SUB _INBOX[^ ]*' >"$W/inboxes"
is 'each request has an inbox of its own' "$(sort -u "$W/inboxes" | wc -l) $(grep -c 'INBOX.nsc' "$W/inboxes")" "$(wc -l <"$W/inboxes") 0"
ok 'of which there are some' [ "$(wc -l <"$W/inboxes")" -ge 3 ]
stop_nats
rm "$W/jwt/$x.jwt"

fails 1 'failed to connect' 'no server: one line' nsc push -a A -u nats://127.0.0.1:1
is 'of one line only' "$(nsc push -a A -u nats://127.0.0.1:1 2>&1 | wc -l)" 1
start <(echo 'authorization {users: [{user: a, password: b}]}') || bail nats-server
fails 1 'failed to connect|Authorization' 'a server that does not know the operator' nsc push -a A -u "$url"
stop_nats
start /dev/null || bail nats-server
fails 1 'no server with a NATS resolver|no responders|no nonce' 'a server without a resolver' nsc push -a A -u "$url"
stop_nats
done_testing
