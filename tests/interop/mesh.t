#!/bin/bash
# What mesh writes, read by the original tools: nsc imports its JWTs and finds no issue,
# natscli takes its contexts and creds, on a node of the mesh.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
TOOLS=$BUILD/tools/bin
if ! [ -x "$TOOLS/nsc" ] || ! [ -x "$TOOLS/nats" ]; then
	echo '1..0 # SKIP not run: no original nsc and nats in build/tools (tests/interop/tools.sh needs Go)'
	exit 0
fi
export HOME=$W XDG_DATA_HOME=$W/d NKEYS_PATH=$W/k
unset MESH_DIR MESH_AUTH NATS_URL NATS_CREDS NATS_NKEY NATS_CA
PID=
trap '[ -z "$PID" ] || { kill "$PID" && wait "$PID"; } 2>/dev/null; cleanup' EXIT
real() { XDG_CONFIG_HOME=$M/box timeout 120 "$TOOLS/nats" --context "$@"; }

for auth in nkey jwt; do
	M=$W/$auth
	PORT=$(free_port) ROUTE=$(free_port)
	ok "$auth: mesh init" "$BIN/signbox" mesh -q -d "$M" init --local --auth $auth --nodes n1 --address "n1=127.0.0.1:$PORT:$ROUTE"
	if [ $auth = jwt ]; then
		sed -n 's/^operator: //p' "$M/n1/accounts.conf" >"$W/operator.jwt"
		sed -n '/resolver_preload/,$s/^  A[A-Z2-7]*: //p' "$M/n1/accounts.conf" | split -l 1 --additional-suffix=.jwt - "$W/account-"
		ok 'nsc takes the operator' "$TOOLS/nsc" add operator -u "$W/operator.jwt"
		for f in "$W"/account-a?.jwt; do ok "nsc takes an account" "$TOOLS/nsc" import account --file "$f"; done
		"$TOOLS/nsc" validate -A >"$W/out" 2>&1
		is 'nsc validate: operator and two accounts without an issue' "$(grep -c 'No issues found' "$W/out")" 3
		for u in alice admin system monitor; do
			ok "nsc reads the creds of $u" "$TOOLS/nsc" describe jwt --file "$M/box/$u.creds"
		done
	fi
	nats-server -c "$M/n1/nats-server.conf" >"$W/$auth.log" 2>&1 &
	PID=$!
	wait_for 10 port_open "$PORT" || bail 'nats-server does not start'
	ok "$auth: natscli, with the context of the system's user" real system server ls
	A=$(nk -inkey "$M/box/alice.nk" -pubout)
	ok "$auth: natscli, with alice's" real alice pub "hsm.as.$A.sign.demo" x
	fails 1 'permissions violation' "$auth: and not with another's name" real admin pub "hsm.as.$A.sign.demo" x
	fails 0 'no responders' "$auth: with her inbox" real alice req "hsm.as.$A.sign.demo" x
	if [ $auth = jwt ]; then
		ok 'jwt: natscli, with creds' env XDG_CONFIG_HOME="$W/none" timeout 120 "$TOOLS/nats" -s "tls://127.0.0.1:$PORT" --tlsca "$M/box/ca.pem" \
			--creds "$M/box/alice.creds" pub hsm.open.X x
	fi
	kill "$PID" && wait "$PID" 2>/dev/null
	PID=
done
done_testing
