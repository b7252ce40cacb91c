#!/bin/bash
# The npm libraries nkeys.js, @nats-io/nkeys and @nats-io/jwt (tools/package.json) read
# what nk, nsc and nats auth nkey write, and the other way round.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
NODE=$BUILD/tools/npm/node
if ! [ -d "$BUILD/tools/npm/node_modules/@nats-io/jwt" ] || ! "$NODE" --version >/dev/null 2>&1; then
	echo '1..0 # SKIP not run: no npm libraries in build/tools (tests/interop/tools.sh needs npm and node)'
	exit 0
fi
export HOME=$W XDG_DATA_HOME=$W/d XDG_CONFIG_HOME=$W/c
cd "$W" || exit 1
nsc() { "$BIN/signbox" nsc "$@"; }
js() { # what: each line of the script is a test
	local line
	while read -r line; do
		TAP_N=$((TAP_N + 1))
		case $line in
		'ok '*) echo "ok $TAP_N - ${line#ok }" ;;
		*) echo "not ok $TAP_N - ${line#not ok }" ;;
		esac
	done < <(timeout 200 "$NODE" "$SRC/tests/interop/npm.js" "$1" "$W" 2>&1)
}

printf 'Hello World!\n' >msg
for k in user account operator curve; do
	nk -gen $k -pubout >k
	head -1 k >$k.nk && tail -1 k >$k.pub && chmod 600 $k.nk
	[ $k = curve ] || nk -sign msg -inkey $k.nk >$k.sig
done
js write
nsc add operator 'O & <co>' --sys >/dev/null && nsc add account A >/dev/null && nsc add user u --allow-pub x >/dev/null || bail nsc
nsc edit signing-key --sk generate --role r --allow-pub 'a.{{subject()}}' >/dev/null && nsc add user s -K r >/dev/null || bail scope
for row in 'operator operator' 'account account A' 'user user u' 'scoped user s'; do
	read -r name what which <<<"$row"
	# shellcheck disable=SC2086
	nsc describe $what $which -R >$name.jwt
	# shellcheck disable=SC2086
	nsc describe $what $which -J >$name.json
done
nsc generate creds -n u >u.creds
"$BIN/signbox" nats auth nkey seal msg curve.nk "$(cat js.curve.pub)" --output sealed.b64 >/dev/null 2>sealerr ||
	"$BIN/signbox" nats auth nkey seal msg curve.nk "$(cat js.curve.pub)" >sealed.b64
js read

is "a signature of the library verifies" "$(nk -verify msg -sigfile js.sig -pubin js.user.pub)" 'Verified OK'
is 'its seed gives its public key' "$(nk -inkey js.user.nk -pubout)" "$(cat js.user.pub)"
for f in operator account user act; do
	ok "nsc reads and verifies the library's $f JWT" nsc describe jwt -f js.$f.jwt
done
is 'with its claims' "$(nsc describe jwt -f js.user.jwt -F nats.pub.allow | jq -c .)" '["x.>"]'
is 'names as they are' "$(nsc describe jwt -f js.operator.jwt -F name | jq -r .)" 'JS & <co>'
ok "nsc reads the library's creds" nsc describe jwt -f js.creds
is 'nk too' "$(nk -inkey js.creds -pubout)" "$(cat js.user.pub)"
"$BIN/signbox" nats auth nkey unseal js.sealed.b64 curve.nk "$(cat js.curve.pub)" --output opened >/dev/null 2>&1 ||
	"$BIN/signbox" nats auth nkey unseal js.sealed.b64 curve.nk "$(cat js.curve.pub)" >opened
ok 'nats auth nkey opens what the library sealed' cmp msg opened
ok "the library's operator becomes a store" eval 'nsc add operator -u js.operator.jwt -n js && nsc describe operator js -F name'
done_testing
