#!/bin/bash
# The cluster of compose/ with each compose tool there is: docker compose v2, docker-compose
# 1.29, podman-compose; users by NKeys and by JWTs. Figures are printed, never asserted.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
V2=$SRC/build/rootfs/test/usr/libexec/docker/cli-plugins/docker-compose
LONG=(nats-1 nats-2 nats-3 hsm box)

# begin NAME ENGINE TOOL AUTH: what the functions below work on
begin() {
	NAME=$1 E=$2 AUTH=$4
	export COMPOSE=$3 COMPOSE_PROJECT_NAME=$CT$1 AUTH
	P=$COMPOSE_PROJECT_NAME
	PROJECTS+=("$E $P")
}

PROJECTS=()
remove_projects() {
	local e p kind
	for p in "${PROJECTS[@]}"; do
		read -r e p <<<"$p"
		"$e" ps -aq --filter "label=com.docker.compose.project=$p" | xargs -r "$e" rm -f -v
		for kind in volume network; do
			"$e" $kind ls -q --filter "label=com.docker.compose.project=$p" | xargs -r "$e" $kind rm
		done
	done >/dev/null 2>&1
	remove_made
}
trap remove_projects EXIT

cluster() { compose/cluster "$@"; }
# seen also without V=1
note() { printf '# %s: %s\n' "$NAME" "$*" >&2; }
seconds() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }
id() { "$E" ps -aq --no-trunc --filter "label=com.docker.compose.project=$P" --filter "label=com.docker.compose.service=$1"; }
on() { # SERVICE COMMAND…
	local c
	c=$(id "$1")
	shift
	"$E" exec -i "$c" "$@"
}
pid() { "$E" inspect -f '{{.State.Pid}}' "$(id "$1")"; }
hsm_log() { "$E" logs "$(id hsm)" 2>&1; }
hsm_node() { hsm_log | grep -F 'msg="connected to NATS" server=' | tail -1 | grep -Eo 'nats-[0-9]'; }
# sign NODE: a signature through that node, verified
sign() {
	echo "through $1" >"$W/msg"
	on box hsm --timeout 60 --server "tls://$1:4222" sign demo <"$W/msg" >"$W/sig" &&
		openssl dgst -sha256 -verify "$W/demo.pem" -signature "$W/sig" "$W/msg"
}
other() { for n in nats-3 nats-2 nats-1; do [ "$n" = "$1" ] || { echo $n && return; }; done; }
mountpoint() { "$E" volume inspect -f '{{.Mountpoint}}' "${P}_$1"; }

first_up() {
	local from=$EPOCHREALTIME
	case $COMPOSE in
	podman-compose) ;; # 1.0 has no such command
	*) ok "$NAME: config is valid" $COMPOSE -f compose/compose.yaml config -q ;;
	esac
	ok "$NAME: up" cluster up
	[ $rc = 0 ] || { "$E" ps -a | sed 's/^/# /' && cluster logs 2>&1 | tail -40 | sed 's/^/# /' && return 1; }
	note "$(sed -n 's/^\(ready.*\)\. Next:/\1/p' <<<"$out")"
	on box hsm key pub demo >"$W/demo.pem"
	local node
	node=$(hsm_node)
	like "$NAME: the HSM is on a node" "$node" '^nats-[123]$'
	ok "$NAME: the first signature through another node than the HSM's" sign "$(other "$node")"
	note "first signature through $(other "$node"), the HSM being on $node: $(seconds "$from") s after 'up'"
	ok "$NAME: smoke" cluster smoke
	is "… signs through each node" "$(grep -c 'openssl: Verified OK' <<<"$out")" 3
	ok "$NAME: smoke on a machine without openssl" env PATH="$W/path" compose/cluster smoke
	is "… has the HSM verify" "$(grep -c 'HSM: Verified OK' <<<"$out")" 3
	is "$NAME: users are those of AUTH=$AUTH" \
		"$(grep -c 'BEGIN NATS USER JWT' "$(mountpoint box)/alice.creds")" "$([ "$AUTH" = jwt ] && echo 1 || echo 0)"
}

# What the kernel says of the first process, and what the engine was told.
hardened() {
	local s p status bad='' cg told
	for s in "${LONG[@]}"; do
		p=$(pid "$s")
		status=$(cat "/proc/$p/status")
		grep -qE '^Uid:\s+65532\s+65532\s+65532\s+65532' <<<"$status" || bad+="$s: not 65532; "
		[ "$(grep -cE '^Cap(Eff|Prm|Bnd|Inh|Amb):\s+0+$' <<<"$status")" = 5 ] || bad+="$s: has capabilities; "
		grep -qE '^NoNewPrivs:\s+1' <<<"$status" || bad+="$s: may get privileges; "
		grep -qE '^Seccomp:\s+2' <<<"$status" || bad+="$s: no seccomp; "
		awk '$5 == "/" { print $6 }' "/proc/$p/mountinfo" | grep -qE '^ro\b' || bad+="$s: / is writable; "
		cg=$(limits "$p")
		[[ $cg =~ ^[0-9]+\ [0-9]+$ ]] || bad+="$s: no limits of processes and memory ($cg); "
		told=$("$E" inspect "$(id "$s")" | jq -c '.[0] | [.HostConfig.ReadonlyRootfs, .HostConfig.Privileged, .HostConfig.Memory > 0,
			(.HostConfig.PidsLimit // 0) > 0, .Config.User, (.HostConfig.SecurityOpt | tostring | test("no-new-privileges"))]')
		[ "$told" = '[true,false,true,true,"65532:65532",true]' ] || bad+="$s: inspect says $told; "
	done
	is "$NAME: read-only, no capability, no new privileges, seccomp, 65532, limits: in force in all of ${#LONG[@]}" "$bad" ''
}

# limits PID: largest number of processes, memory in bytes
limits() {
	local p m v
	v=$(sed -n 's/^[0-9]*:[^:]*pids[^:]*:/\/sys\/fs\/cgroup\/pids/p' "/proc/$1/cgroup")
	p=$(cat "$v/pids.max" 2>/dev/null)
	v=$(sed -n 's/^[0-9]*:[^:]*memory[^:]*:/\/sys\/fs\/cgroup\/memory/p' "/proc/$1/cgroup")
	m=$(cat "$v/memory.limit_in_bytes" 2>/dev/null)
	v=$(sed -n 's/^0::/\/sys\/fs\/cgroup/p' "/proc/$1/cgroup")
	echo "${p:-$(cat "$v/pids.max" 2>/dev/null)} ${m:-$(cat "$v/memory.max" 2>/dev/null)}"
}

# Each secret line of every volume.
secrets() {
	local v m
	for v in authority nats-1 nats-2 nats-3 hsm box; do
		m=$(mountpoint "$v")
		find "$m" -type f -perm 0400 ! -name '*.json' ! -name '*.conf' -exec cat {} + | grep -E '^[A-Za-z0-9+/=_.-]{20,}$' |
			grep -v -- ------
	done | sort -u
}

secret() {
	local s bad=''
	secrets >"$W/secrets"
	ok "$NAME: the volumes have secrets ($(wc -l <"$W/secrets") lines)" test "$(wc -l <"$W/secrets")" -gt 12
	for s in init provision "${LONG[@]}"; do
		"$E" inspect "$(id "$s")" | grep -qFf "$W/secrets" && bad+="inspect of $s; "
		"$E" logs "$(id "$s")" 2>&1 | grep -qFf "$W/secrets" && bad+="log of $s; "
	done
	is "… and none is in inspect or logs" "$bad" ''
	head -1 "$W/secrets" >"$W/one"
	ok "… self-check: one would be found" grep -qFf "$W/secrets" "$W/one"
	is "$NAME: each service has only its own volumes, read-only" "$(for s in "${LONG[@]}" provision; do
		"$E" inspect "$(id "$s")" | jq -r --arg s "$s" --arg p "${P}_" '.[0].Mounts | map(select(.Type == "volume") |
			(.Name | ltrimstr($p)) + ":" + .Destination + (if .RW then "" else ":ro" end)) | sort | $s + " " + join(" ")'
	done)" "nats-1 nats-1:/mesh:ro
nats-2 nats-2:/mesh:ro
nats-3 nats-3:/mesh:ro
hsm anchor:/anchor data:/data hsm:/run/secrets:ro identity:/identity
box box:/mesh:ro identity:/identity:ro nsc:/nsc
provision box:/mesh:ro identity:/identity:ro nsc:/nsc"
	is "$NAME: only the HSM has the device key" \
		"$(for s in "${LONG[@]}"; do find "/proc/$(pid "$s")/root/" -xdev -name device_key 2>/dev/null
			find "/proc/$(pid "$s")/root/"{mesh,run/secrets,identity,nsc} -name device_key 2>/dev/null | sed "s/.*/$s/"; done)" hsm
}

# Identity of the containers that stay, and what the HSM has.
facts() {
	local s
	for s in "${LONG[@]}"; do "$E" inspect -f '{{.Id}} {{.State.StartedAt}}' "$(id "$s")"; done
	on box hsm --nkey /mesh/admin.creds key ls --json | jq -c '[.[] | [.name, .public]]'
	on box hsm --nkey /mesh/admin.creds user ls --json | jq -c '[.[] | [.name, .nkey]]'
}

second_up() {
	local before
	before=$(facts)
	ok "$NAME: a second up" cluster up
	is "… changes nothing: containers, keys, users" "$(facts)" "$before"
	like "… the one-shot had nothing to do" "$("$E" logs "$(id provision)" 2>&1 | tail -1)" '^nothing to do$'
}

moves_on() {
	local node from
	node=$(hsm_node)
	keep_gateway "$E" "${P}_mesh" || diag
	"$E" stop -t 5 "$(id "$node")" >/dev/null
	from=$EPOCHREALTIME
	ok "$NAME: the HSM's node $node is stopped: a signature through another" sign "$(other "$node")"
	note "signature $(seconds "$from") s after $node was stopped"
	fails "… smoke says which node it is" "^$node +FAILED" cluster smoke
	is "… and that the others sign" "$(grep -c 'Verified OK' <<<"$out")" 2
	ok "… the HSM has moved on" wait_for 20 eval '[ "$(hsm_node)" != '"$node"' ]'
	"$E" start "$(id "$node")" >/dev/null
	ok "… and it is a node again when it is back" wait_for 20 sign "$node"
}

second_hsm() {
	local image status
	image=$("$E" inspect -f '{{.Config.Image}}' "$(id hsm)")
	MADE+=("$E container $P-second")
	run "$E" run --name "$P-second" "${hardened[@]}" --volumes-from "$(id hsm)" -e HSM_CONFIG=/run/secrets/hsm.yaml \
		-e HSM_RESTART_DELAY=1 "$image"
	status=$rc
	"$E" rm -f "$P-second" >/dev/null
	like "$NAME: a second HSM on the same volume says why it does not start" "$out$err" \
		'another hsmd runs on /data: stop it, or give this one a directory of its own'
	is "… with status 7" "$status" 7
	ok "… and the first goes on" sign nats-1
}

down_and_up() {
	local key ca
	key=$(cat "$W/demo.pem")
	ca=$(sha256sum <"$(mountpoint nats-1)/ca.pem")
	ok "$NAME: down" cluster down
	is "… leaves no container" "$("$E" ps -aq --filter "label=com.docker.compose.project=$P")" ''
	ok "… and the volumes" test -e "$(mountpoint authority)/ca.pem"
	ok "$NAME: the volume nats-2 is lost" "$E" volume rm "${P}_nats-2"
	ok "$NAME: up again" cluster up
	is "… the HSM unlocks itself" "$(on box hsm state --json | jq -r .state)" operational
	is "… and has the key" "$(on box hsm key pub demo)" "$key"
	ok "… which signs" sign nats-3
	is "… nats-2 has a new certificate of the same CA" "$(sha256sum <"$(mountpoint nats-2)/ca.pem")" "$ca"
	ok "… and the HSM signs through it" wait_for 20 sign nats-2
}

clean() {
	ok "$NAME: down --volumes" cluster down --volumes
	is "… leaves nothing" "$(
		"$E" ps -aq --filter "label=com.docker.compose.project=$P"
		"$E" volume ls -q --filter "label=com.docker.compose.project=$P"
		"$E" network ls -q --filter "label=com.docker.compose.project=$P"
	)" ''
}

# ---- production: secrets are files of the host, the broker is another's ----

# prod ARG…: with the HSM of compose/production.yaml, on the broker's network
prod() {
	SECRETS=$S NATS_URL=tls://broker:4222 HSM_BOOTSTRAP_ADMINS=admin=$ADMIN \
		$COMPOSE -p "$P" -f compose/production.yaml -f "$W/$E.yaml" "$@"
}

refuses() { # PATTERN NAME: it starts, says so, and starts again for ever
	prod up -d >"$W/up" 2>&1
	wait_for 20 eval 'hsm_log | grep -qE -- "'"$1"'"'
	like "$NAME: $2" "$(hsm_log)" "$1"
	prod down >/dev/null 2>&1
}

# A broker with TLS, and secrets as somebody else would make them.
broker() {
	local m=$W/$E.mesh
	mkdir "$m"
	chown 65532:65532 "$m"
	chmod 755 "$W"
	"$E" run --rm -v "$m:/mesh" signbox/box mesh -q init --nodes broker >/dev/null
	ADMIN=$(sed -n 's/.*name: "admin", nkey: \(U[A-Z2-7]*\).*/\1/p' "$m/hsm/hsm.yaml")
	network "$E" "net$E"
	start "$E" "broker$E" "${hardened[@]}" --network "$CT-net$E" --network-alias broker \
		-v "$m/broker:/mesh:ro" signbox/nats --config /mesh/nats-server.conf
	S=$W/$E.secrets
	mkdir -m 755 "$S"
	# where the test's broker is; and less time between two starts
	printf 'services: {hsm: {environment: {HSM_RESTART_DELAY: "1"}}}\nnetworks: {default: {external: true, name: %s}}\n' \
		"$CT-net$E" >"$W/$E.yaml"
}

production() {
	begin "$1prod" "$2" "$3" nkey
	broker
	prod up -d >"$W/up" 2>&1
	is "$NAME: without secrets it does not come up" "$([ -z "$(id hsm)" ] || "$E" inspect -f '{{.State.Running}}' "$(id hsm)" | grep -v false)" ''
	note "it says: $(grep -Ei 'no such file|not exist|not found' "$W/up" | tail -1 | cut -c1-150)"
	prod down >/dev/null 2>&1

	cp "$W/$E.mesh/hsm/ca.pem" "$S/ca.pem"
	cp "$W/$E.mesh/hsm/nats_nkey" "$S/nats_creds"
	: >"$S/device_key"
	chmod 444 "$S"/*
	refuses 'device_key.* empty' 'an empty device key is refused'
	cp "$W/$E.mesh/hsm/device_key" "$S/device_key"
	chmod 666 "$S/device_key"
	refuses 'device_key can be changed by others .mode 0666.: chmod' 'one that all may write is refused'
	chmod 400 "$S/device_key" && chown 1234 "$S/device_key"
	refuses 'cannot read .*device_key: it belongs to uid 1234 .*chown' 'one that is somebody else'"'"'s is told'
	chown 65532 "$S/device_key"
	ok "$NAME: device key of 65532 with 0400, the others of root with 0444: it comes up" prod up -d
	ok '… and is healthy' wait_for 30 "$E" exec "$(id hsm)" hsmd health
	[ $rc = 0 ] || hsm_log | tail -5 | sed 's/^/# /'
	like '… unprovisioned: nothing was generated' "$("$E" exec "$(id hsm)" hsmd health)" 'state=unprovisioned'
	is '… no secret in inspect' "$("$E" inspect "$(id hsm)" | grep -cF -e "$(cat "$S/device_key")" -e "$(cat "$S/nats_creds")")" 0
	prod down -v >/dev/null 2>&1
}

whole() { # NAME ENGINE TOOL AUTH
	begin "$@"
	first_up || return
	hardened
	secret
	second_up
	moves_on
	second_hsm
	down_and_up
	clean
	production "$@"
}

short() {
	begin "$@"
	first_up || return
	second_up
	clean
}

# the programs of this machine but openssl
mkdir "$W/path"
ln -s /usr/sbin/* /usr/bin/* "$W/path/" 2>/dev/null
ln -sf "$CT_DIR"/bin/* "$W/path/" 2>/dev/null
rm "$W/path/openssl"
ok 'docker compose v2 is in the test rootfs' test -x "$V2"
for e in $ENGINES; do
	case $e in
	docker)
		whole v2 docker "$V2" nkey
		short v1 docker docker-compose jwt
		;;
	podman)
		whole pc podman podman-compose jwt
		;;
	esac
done
done_testing
