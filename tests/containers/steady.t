#!/bin/bash
# Under a steady load of signing requests, and of some for new keys, containers of the
# cluster are killed, stopped, restarted and cut off the network, one after the other: every
# request gets its signature within its 30 s, each new key is made once. The load is
# tests/e2e/steady.c in a container of its own; its counts are printed for each of them.
# RATE (200 a second) is the load. tests/e2e/steady.t does the same to processes.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"

RATE=${RATE:-200}
declare -A C=() # containers by service
NET='' VOLUME='' ID='' PHASES=() AT=''

# ---- the cluster ----

compose() {
	case $AT in
	podman) COMPOSE=podman-compose compose/cluster "$@" ;;
	*) compose/cluster "$@" ;;
	esac
}
on_box() { "$AT" exec "${C[box]}" "$@"; }
admin() { on_box hsm --nkey /mesh/admin.creds "$@"; }

# users of the broker are NKeys with docker and JWTs with podman
up() {
	local c auth=nkey
	[ "$AT" = docker ] || auth=jwt
	export COMPOSE_PROJECT_NAME=$CT$AT
	AUTH=$auth compose up || return
	for c in init nats-1 nats-2 nats-3 hsm provision box; do
		C[$c]=$("$AT" ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
			--filter "label=com.docker.compose.service=$c" | head -1)
		[ -n "${C[$c]}" ] || return
	done
	NET=$("$AT" inspect -f '{{range $name, $x := .NetworkSettings.Networks}}{{println $name}}{{end}}' "${C[box]}" | head -1)
	VOLUME=$("$AT" inspect -f '{{range .Mounts}}{{if eq .Destination "/mesh"}}{{.Name}}{{end}}{{end}}' "${C[box]}")
	ID=$("$AT" exec "${C[hsm]}" /usr/bin/hsmd identity) || return
	admin config unattended-boot on && admin key gen steady --type ed25519
	echo "# users are: $auth; network $NET, volume $VOLUME"
}
down() { compose down --volumes; }

# ---- the load ----

load_log() { "$AT" logs "$CT-load$AT" 2>/dev/null; }
last() { load_log | tail -1 | jq "$1"; }
flows() { [ "$(last .second)" -gt "$1" ] && [ "$(last .waiting)" -lt "$RATE" ]; }
in_phase() { [ "$(last .phase)" = "$1" ]; }

start_load() {
	start "$1" "load$1" "${hardened[@]}" --network "$NET" -v "$SRC/build/test/e2e/steady:/steady:ro" \
		-v "$VOLUME:/mesh:ro" -e NATS_CA=/mesh/ca.pem -e HSM_IDENTITY="$ID" \
		-e NATS_URL=tls://nats-1:4222,tls://nats-2:4222,tls://nats-3:4222 \
		signbox/static /steady -u /mesh/alice.creds -a /mesh/admin.creds -k steady -r "$RATE" -t 600 -p made
}

# disturb NAME COMMAND…: in a phase of its own, until nothing waits any more
disturb() {
	local e=$AT second
	PHASES+=("$1")
	"$e" kill -s USR1 "$CT-load$e" >/dev/null
	wait_for 60 in_phase $((${#PHASES[@]} - 1)) || result 1 "$e: a new phase"
	second=$(last .second)
	run "${@:2}"
	[ "$rc" = 0 ] || { result 1 "$e: $1" || diag; }
	wait_for 40 flows $((second + 1)) || result 1 "$e: $1: requests flow again" || load_log | tail -3 | sed 's/^/# /'
}

# ---- what is done to it ----

pid_of() { "$AT" inspect -f '{{.State.Pid}}' "${C[$1]}"; }
# the node that the service is connected to
home() {
	"$AT" logs "${C[hsm]}" 2>&1 | grep -oE 'server=[a-z]+://nats-[0-9]' | tail -1 | grep -oE 'nats-[0-9]'
}
# another than that
other() { printf '%s\n' nats-1 nats-2 nats-3 | grep -vx "$(home)" | head -1; }

kill_container() {
	"$AT" kill -s KILL "${C[$1]}" || return
	sleep 1
	"$AT" start "${C[$1]}"
}
stop_container() {
	"$AT" stop -t 10 "${C[$1]}" || return
	sleep 1
	"$AT" start "${C[$1]}"
}
child() { pgrep -P "$(pid_of hsm)" -f "/$1"; }
kill_child() { kill -9 "$(child "$1")"; }
runs_again() { [ "$(pid_of hsm)" != "$1" ] && [ "$(pid_of hsm)" != 0 ]; }
# the container ends with its first process; its restart policy brings it back
kill_first() {
	local was
	was=$(pid_of hsm)
	kill -9 "$was" && wait_for 20 runs_again "$was"
}
# those that have ended start again too, and end again: what they make is there already
has_ended() { [ "$("$AT" inspect -f '{{.State.Status}} {{.State.ExitCode}}' "${C[$1]}")" = 'exited 0' ]; }
restart_all() {
	local c
	for c in init nats-1 nats-2 nats-3 hsm provision box; do
		"$AT" restart -t 10 "${C[$c]}" || return
		case $c in init | provision) wait_for 30 has_ended "$c" || return ;; esac
		wait_for 30 flows $(($(last .second) + 1)) || return
	done
}
# packets vanish, in both directions, and nobody is told
cut() {
	local p i
	p=$(pid_of "$1")
	for i in "-A INPUT ! -i lo" "-A OUTPUT ! -o lo"; do
		# shellcheck disable=SC2086
		nsenter -t "$p" -n iptables $i -j DROP || return
	done
	sleep 10
	nsenter -t "$p" -n iptables -F
}
unplug() {
	"$AT" network disconnect "$NET" "${C[$1]}" || return
	sleep 10
	"$AT" network connect --alias "$1" "$NET" "${C[$1]}"
}

counts() { # PHASE: its line
	jq -r 'select('"$1"') | "sent \(.sent), signed \(.signed), retries \(.retries), wrong \(.wrong), lost \(.lost), late \(.late); " +
		"keys asked \(.asked), made \(.created), refused \(.refused), missing \(.missing), doubled \(.doubled); " +
		"gap \(.gap_ms) ms, p50 \(.p50_ms) ms, p99 \(.p99_ms) ms, longest \(.max_ms) ms"' <"$W/load"
}

ends() { [ "$("$AT" inspect -f '{{.State.Running}}' "$CT-load$AT")" = false ]; }

steady() {
	local e=$1 i p n
	AT=$e PHASES=(quiet) C=()
	up >"$W/up" 2>&1
	result $? "$e: the cluster is up" || { sed 's/^/# /' "$W/up" && return; }
	keep_gateway "$AT" "$NET" || result 1 "$e: the bridge keeps its address"
	start_load "$e" || return
	wait_for 20 flows 2 || { result 1 "$e: the load runs" || load_log | sed 's/^/# /'; return; }

	for n in nats-1 nats-2 nats-3; do disturb "kill -9 of $n" kill_container $n; done
	n=$(home)
	disturb "stop and start of $n, which the HSM is connected to" stop_container "$n"
	disturb "kill -9 of the HSM's container" kill_container hsm
	disturb "kill -9 of hsmd, its first process" kill_first
	for p in hsm-front hsm-keyd hsm-store; do disturb "kill -9 of $p" kill_child $p; done
	n=$(home)
	disturb "$n, which the HSM is connected to, cut off for 10 s: packets vanish" cut "$n"
	n=$(other)
	disturb "$n unplugged from the network for 10 s" unplug "$n"
	disturb "restart of all containers, one by one" restart_all

	"$e" kill -s TERM "$CT-load$e" >/dev/null
	wait_for 60 ends
	load_log >"$W/load"
	for i in "${!PHASES[@]}"; do
		p=".phase == $i and (.second | not)"
		is "$e: ${PHASES[$i]}" "$(jq -c "select($p) | [.sent > 0, .sent - .signed, .wrong, .lost, .late]" "$W/load")" \
			'[true,0,0,0,0]'
		echo "# $e, ${PHASES[$i]}: $(counts "$p")"
	done
	echo "# $e, all: $(counts .total)"
	echo "# errors: $(jq -c 'select(.total) | [.errors, .create_errors]' "$W/load")"
	is "$e: no signature is wrong, lost or late" \
		"$(jq -c 'select(.total) | [.sent - .signed, .wrong, .lost, .late]' "$W/load")" '[0,0,0,0]'
	is "$e: each new key was made, once" \
		"$(jq -c 'select(.total) | [.compared, .asked > 0, .asked - .created, .refused, .missing, .doubled]' "$W/load")" \
		'[true,true,0,0,0,0]'
	is "$e: the load says the same by its status" "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-load$e")" 0
	# why, if there is a why
	jq -e 'select(.total) | .signed == .sent and .created == .asked' "$W/load" >/dev/null ||
		"$e" logs "${C[hsm]}" 2>&1 | tail -60 | sed 's/^/# hsm: /'
	ok "$e: the audit log verifies" admin audit verify
	ok "$e: a signature through each node" compose smoke
	"$e" rm -f "$CT-load$e" >/dev/null
	ok "$e: the cluster goes" down
	AT=
}
# also when it is interrupted
trap '[ -z "$AT" ] || { "$AT" rm -f "$CT-load$AT"; down; } >/dev/null 2>&1; remove_made' EXIT
for_engines steady
done_testing
