#!/bin/bash
# What commands do with lists of an HSM that has its identity and gives wrong lists
# (list_fake.c): without end, in a circle, out of order.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

start_server() {
	NATS_PORT=$(free_port)
	export NATS_URL=nats://127.0.0.1:$NATS_PORT
	cat >"$W/nats.conf" <<-EOF
		listen: 127.0.0.1:$NATS_PORT
		authorization: {users: [{nkey: ${NKEY[admin]}}, {user: fake, password: fake}]}
	EOF
	nats-server -c "$W/nats.conf" >"$W/nats.log" 2>&1 &
	NATS_PID=$!
	wait_for 30 port_open "$NATS_PORT"
}

# fake HOW [N]: a false HSM instead of the one before
fake() {
	[ -z "${FAKE:-}" ] || { exec {FAKE}>&- && wait "$HSM_PID"; }
	mkfifo "$W/in.$1$2" && : >"$W/identity"
	"$T/e2e/list_fake" "nats://fake:fake@127.0.0.1:$NATS_PORT" "$@" <"$W/in.$1$2" >"$W/identity" &
	HSM_PID=$!
	exec {FAKE}>"$W/in.$1$2"
	wait_for 30 test -s "$W/identity" || bail "list_fake"
	export HSM_IDENTITY
	HSM_IDENTITY=$(cat "$W/identity")
}

# One that never ends is ended.
hsm_60() { timeout 60 "$BIN/signbox" hsm --nkey "$W/admin.nk" "$@"; }

new_user admin
new_user alice
start_server || bail "nats-server"
cat >"$W/setup.yaml" <<-EOF
	users: [{name: alice, nkey: ${NKEY[alice]}, role: operator}]
EOF

fake end 450
is "users over pages" "$(as admin user ls --json | jq -c '[length, .[0].name, .[449].name]')" '[450,"u00000000","u00000449"]'
is "keys over pages" "$(as admin key ls --json | jq -c '[length, .[0].name, .[449].name]')" '[450,"u00000000","u00000449"]'
is "a prefix" "$(as admin key ls --prefix u --json | jq length)" 450
is "apply" "$(as admin apply --dry-run "$W/setup.yaml")" "would add user alice as Operator"

for how in circle back; do
	fake "$how" ''
	fails 9 'not in the order of names' "$how: user ls" hsm_60 user ls
	fails 9 'not in the order of names' "$how: key ls" hsm_60 key ls
	fails 9 'not in the order of names' "$how: apply" hsm_60 apply --dry-run "$W/setup.yaml"
done
fake stranger ''
fails 9 'not in the order of names' "names without the prefix" hsm_60 key ls --prefix u
fake empty ''
fails 9 'malformed' "an empty page that promises more" hsm_60 user ls

fake forever ''
fails 9 'more than 1000000 users' "apply: users without end" hsm_60 apply --dry-run "$W/setup.yaml"
done_testing
