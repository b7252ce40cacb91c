#!/bin/bash
# Under a steady load through three nodes of NATS, each of them and each process of the
# service is killed, and one node stops without a word: every request gets its signature,
# each new key is made once. tests/containers/steady.t does the same to containers.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

RATE=${RATE:-200}
declare -A PORT=() ROUTE=() NODE=()
PHASES=(quiet)
STEADY=

# The nodes and the load are not known to lib.sh
end_all() {
	local p
	for p in "${NODE[@]}" $STEADY; do kill -9 "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap end_all EXIT

node_conf() {
	local i routes=''
	for i in 1 2 3; do routes+="${routes:+, }\"nats-route://127.0.0.1:${ROUTE[$i]}\""; done
	signbox nats-config --hsm "${NKEY[hsm]}" -u "${NKEY[admin]}" -u "${NKEY[alice]}" \
		-l "127.0.0.1:${PORT[$1]}" -n "n$1" -o "$W/n$1.conf" || return
	cat >>"$W/n$1.conf" <<-EOF
		ping_interval: "2s"
		ping_max: 2
		write_deadline: "5s"
		cluster {
		  name: steady
		  listen: "127.0.0.1:${ROUTE[$1]}"
		  no_advertise: true
		  ping_interval: "2s"
		  ping_max: 2
		  routes: [$routes]
		}
	EOF
}

start_node() {
	nats-server -c "$W/n$1.conf" >>"$W/n$1.log" 2>&1 &
	NODE[$1]=$!
	wait_for 10 port_open "${PORT[$1]}"
}

# end_node SIGNAL N
end_node() {
	kill "-$1" "${NODE[$2]}" || return
	wait "${NODE[$2]}" 2>/dev/null
	sleep 1
}

last() { tail -1 "$W/load" | jq "$1"; }
# those of a second may wait: the machine may be slow, and all that counts is that they come
flows() { [ "$(last .second)" -gt "$1" ] && [ "$(last .waiting)" -lt "$RATE" ]; }
in_phase() { [ "$(last .phase)" = "$1" ]; }

# disturb NAME COMMAND…: in a phase of its own, until nothing waits any more
disturb() {
	PHASES+=("$1")
	shift
	kill -USR1 $STEADY
	wait_for 60 in_phase $((${#PHASES[@]} - 1)) || bail "no new phase"
	"$@" || bail "failed: $*"
	wait_for 30 flows $(($(last .second) + 1)) || bail "no flow after: $*"
}

# the node that the service is connected to
home() {
	local port
	port=$(grep -o 'connected to NATS.*server=nats://127.0.0.1:[0-9]*' "$W/hsm.log" | tail -1 | sed 's/.*://')
	for i in 1 2 3; do [ "${PORT[$i]}" != "$port" ] || echo "$i"; done
}

kill_node() { end_node KILL "$1" && start_node "$1"; }
stop_node() { end_node TERM "$1" && start_node "$1"; }
freeze() { kill -STOP "${NODE[$1]}" && sleep 8 && kill -CONT "${NODE[$1]}"; }
kill_child() { kill -9 "$(child "$1")"; }
kill_hsmd() {
	kill -9 "$HSM_PID"
	wait "$HSM_PID" 2>/dev/null
	start_hsm
}
restart_hsmd() { stop_hsm && start_hsm; }

new_user hsm && new_user admin && new_user alice || bail "users"
for i in 1 2 3; do PORT[$i]=$(free_port) ROUTE[$i]=$(free_port); done
for i in 1 2 3; do node_conf $i && start_node $i || bail "node $i does not start"; done
NATS_URL=nats://127.0.0.1:${PORT[1]},nats://127.0.0.1:${PORT[2]},nats://127.0.0.1:${PORT[3]}
export NATS_URL
make_secrets
write_config
start_hsm || bail "the service does not start"
set_up() {
	as admin provision --passphrase-file "$W/passphrase" &&
		as admin user add alice "${NKEY[alice]}" --role operator &&
		as admin config unattended-boot on && as admin key gen release
}
set_up >/dev/null || bail "set-up"
# from here on it opens itself
sed -i '/unlock_passphrase_file/d' "$W/hsm.yaml"
restart_hsmd || bail "restart"

"$T/e2e/steady" -u "$W/alice.nk" -a "$W/admin.nk" -k release -r "$RATE" -t 900 >"$W/load" 2>"$W/load.err" &
STEADY=$!
wait_for 10 test -s "$W/load" || bail "no load: $(cat "$W/load.err")"
wait_for 10 flows 1

for i in 1 2 3; do disturb "kill -9 of node $i" kill_node "$i"; done
disturb "stop and start of the service's node" stop_node "$(home)"
disturb "the service's node freezes for 8 s" freeze "$(home)"
for p in hsm-front hsm-keyd hsm-store; do disturb "kill -9 of $p" kill_child $p; done
disturb "kill -9 of hsmd" kill_hsmd
disturb "stop and start of hsmd" restart_hsmd

# Argon2id takes its time at each start: the service is there, and locked, for a moment
as admin config unattended-boot off >"$W/out" 2>&1 || bail "unattended boot"
echo "unlock_passphrase_file: $W/passphrase" >>"$W/hsm.yaml"
disturb "the service opens itself by its passphrase" restart_hsmd
disturb "kill -9 of hsmd, which does so" kill_hsmd
disturb "kill -9 of hsm-keyd, which does so" kill_child hsm-keyd

kill -TERM $STEADY
wait $STEADY
rc=$?
STEADY=
phase() { jq -c "select($1)" "$W/load"; }
for i in "${!PHASES[@]}"; do
	p=$(phase ".phase == $i and (.second | not)")
	echo "# ${PHASES[$i]}: $(jq -r '"sent \(.sent), signed \(.signed), retries \(.retries), wrong \(.wrong), lost \(.lost), late \(.late); keys \(.asked), made \(.created), refused \(.refused), missing \(.missing), doubled \(.doubled); gap \(.gap_ms) ms, longest \(.max_ms) ms"' <<<"$p")"
	is "${PHASES[$i]}: each request has its signature" \
		"$(jq -c '[.sent > 0, .sent - .signed, .wrong, .lost, .late]' <<<"$p")" '[true,0,0,0,0]'
done
total=$(phase .total)
echo "# $total"
is "no signature is wrong, lost or late" "$(jq -c '[.wrong, .lost, .late, .sent - .signed]' <<<"$total")" '[0,0,0,0]'
is "each new key is there, once" "$(jq -c '[.compared, .asked > 0, .asked - .created, .refused, .missing, .doubled]' <<<"$total")" \
	'[true,true,0,0,0,0]'
is "the load says the same by its status" "$rc" 0
ok "the audit log verifies" as admin audit verify
sed 's/^/# /' "$W/load.err"
stop_hsm
is "hsmd stops in order" $? 0
done_testing
