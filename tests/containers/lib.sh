# What the tests on engines share. They are started by tests/containers/run, which gives
# them running engines with every image loaded as signbox/IMAGE:latest, and a directory.
# Sourced by bash scripts that print TAP.
#
#   for_engines FUNCTION [ARG…]    calls FUNCTION ENGINE [ARG…] for each engine to test
#   images                         names of the images, as `ocibuild ls` has them
#   hardened                       array: the options that every runtime image must bear
#
# Containers, networks and volumes are made by these, with names that start with $CT; at
# the end of the script they are removed, also when it failed:
#
#   start ENGINE NAME ARG…         run -d --name $CT-NAME ARG…
#   network ENGINE NAME            a network with names (its name: $CT-NAME)
#   volume ENGINE NAME             a volume with that name
#   logs ENGINE NAME               what a container has printed, both streams
#   dbg ENGINE                     array DBG: options that mount the image busybox at /dbg
#   wait_for SECONDS COMMAND…      until it succeeds; a minute at least
#   wait_healthy ENGINE NAME [S]   until the image's own health check succeeds (120 s)
#   keep_gateway ENGINE NETWORK    before containers on it are stopped and others go on
#
# Checks, each one line of TAP; after a failure come the outputs:
#
#   run COMMAND…                   runs it: $rc, $out, $err (files $W/out, $W/err)
#   ok NAME COMMAND…               it succeeds
#   fails NAME PATTERN COMMAND…    it does not, and its words match
#   is NAME GOT WANTED             equal texts
#   like NAME TEXT PATTERN         extended regular expression, any line
#   check NAME                     of the last run: status 0
#   done_testing                   at the end: the plan
# shellcheck shell=bash disable=SC2034
set -u
: "${CT_DIR:?tests/containers/run starts these tests}"
CT=t$$
W=$(mktemp -d)
cd "$SRC" || exit 1
MADE=()
hardened=(--read-only --cap-drop ALL --security-opt no-new-privileges)

remove_made() {
	local i e kind name
	for ((i = ${#MADE[@]} - 1; i >= 0; i--)); do
		read -r e kind name <<<"${MADE[i]}"
		case $kind in
		container) "$e" rm -f -v "$name" ;;
		*) "$e" "$kind" rm -f "$name" || "$e" "$kind" rm "$name" ;;
		esac >/dev/null 2>&1
	done
	rm -rf "$W"
}
trap remove_made EXIT
trap 'exit 1' INT TERM

for_engines() {
	local e f=$1
	shift
	for e in $ENGINES; do "$f" "$e" "$@"; done
}

images() { "$BIN/ocibuild" ls --json | jq -r '.[] | select(.manifest) | .name'; }

start() {
	local e=$1 name=$CT-$2
	shift 2
	MADE+=("$e container $name")
	run "$e" run -d --name "$name" "$@"
	[ "$rc" = 0 ] || diag
	return "$rc"
}

network() {
	MADE+=("$1 network $CT-$2")
	"$1" network create "$CT-$2" >/dev/null
}

volume() {
	MADE+=("$1 volume $CT-$2")
	"$1" volume create "$CT-$2" >/dev/null
}

logs() { "$1" logs "$CT-$2" 2>&1; }

# Docker before 28 has no image mount: there it is a folder with the image's files.
dbg() {
	if [ "$1" = podman ]; then
		DBG=(--mount 'type=image,source=signbox/busybox,destination=/dbg')
		return
	fi
	if ! [ -d "$CT_DIR/dbg" ]; then
		mkdir "$CT_DIR/dbg"
		local c
		c=$("$1" create signbox/busybox)
		"$1" export "$c" | tar -x -C "$CT_DIR/dbg"
		"$1" rm "$c" >/dev/null
	fi
	DBG=(-v "$CT_DIR/dbg:/dbg:ro")
}

# a busy machine gets a minute at least
wait_for() {
	local until=$((SECONDS + ($1 > 60 ? $1 : 60)))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.1
	done
}

# podman runs health checks by systemd's timers, so here it is asked to run one
is_healthy() {
	case $1 in
	podman) podman healthcheck run "$CT-$2" ;;
	*) [ "$("$1" inspect -f '{{.State.Health.Status}}' "$CT-$2")" = healthy ] ;;
	esac
}
wait_healthy() { wait_for "${3:-120}" is_healthy "$1" "$2"; }

# podman's bridge takes the lowest hardware address of those on it: when that container goes,
# the name server behind the old address is lost for up to 40 s, until the others ask for it
# anew; and containers that start again have other addresses, which nobody learns then. That
# is not what is tested here: the bridge keeps the one it has.
pin_bridge() { ip link set dev "$1" address "$(ip -j link show "$1" | jq -r '.[0].address')"; }
# all bridges of podman that there are, for networks that commands of guides make
keep_gateways() {
	local bridge
	for bridge in $(ip -j link show type bridge | jq -r '.[].ifname | select(startswith("podman"))'); do
		pin_bridge "$bridge" 2>/dev/null # it may just go
	done
}
keep_gateway() {
	local bridge
	[ "$1" = podman ] || return 0
	bridge=$(podman network inspect "$2" | jq -r '.[0].network_interface')
	pin_bridge "$bridge"
}

# ---- TAP ----

TAP_N=0
rc=0 out='' err=''
run() {
	"$@" >"$W/out" 2>"$W/err" </dev/null
	rc=$?
	out=$(tr -d '\0' <"$W/out")
	err=$(tr -d '\0' <"$W/err")
	return 0
}

diag() {
	printf '# status %s\n' "$rc"
	printf '%s\n' "$out" | tail -15 | sed 's/^/# out: /'
	printf '%s\n' "$err" | tail -15 | sed 's/^/# err: /'
}

result() { # STATUS NAME
	TAP_N=$((TAP_N + 1))
	[ "$1" = 0 ] || printf 'not '
	printf 'ok %s - %s\n' "$TAP_N" "$2"
	return "$1"
}

check() { result "$rc" "$1" || diag; }

ok() {
	local name=$1
	shift
	run "$@"
	check "$name"
}

fails() {
	local name=$1 pattern=$2
	shift 2
	run "$@"
	[ "$rc" != 0 ] && grep -qEi -- "$pattern" "$W/out" "$W/err"
	result $? "$name" || diag
}

is() {
	[ "$2" = "$3" ]
	result $? "$1" || printf '# got:    %s\n# wanted: %s\n' "${2//$'\n'/ | }" "${3//$'\n'/ | }"
}

like() {
	grep -qE -- "$3" <<<"$2"
	result $? "$1" || { printf '# no line like: %s\n' "$3" && printf '%s\n' "$2" | tail -15 | sed 's/^/# /'; }
}

done_testing() { echo "1..$TAP_N"; }
