#!/bin/bash
# What stands in the way of the service in a container: secrets as engines bring them, volumes
# of others, limits, and how often an engine starts what cannot start. Each case prints the
# line that a person reads ("# line: …").
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
chmod 755 "$W"
ADMIN=$("$BIN/signbox" nk -gen user -pubout | tail -1)

# podman has lines of its own
LINE='^hsmd: |level=error prog=' LINES='^hsmd: |level=(error|warn) prog='

# hsmd ENGINE OPTION… -- ARGUMENT…: a hardened container to its end; $rc, $line
hsmd() {
	local e=$1 opts=()
	shift
	while [ "$1" != -- ]; do
		opts+=("$1")
		shift
	done
	shift
	run timeout 120 "$e" run --rm "${hardened[@]}" -e HSM_RESTART_DELAY=0 \
		-e HSM_BOOTSTRAP_ADMINS="$ADMIN" "${opts[@]}" signbox/hsm "$@"
	line=$(grep -hE "$LINE" "$W/err" "$W/out" | head -1)
}

# refused STATUS PATTERN NAME: the last run, by one error line
refused() {
	[ "$rc" = "$1" ] && grep -Eq -- "$2" <<<"$line" && [ "$(grep -hcE "$LINES" "$W/err")" = 1 ]
	result $? "$3" || diag
	echo "# line: $line (status $rc)"
}

said() { logs "$1" "$2" | grep -q -- "$3"; }

# key FILE MODE OWNER: a new device key
key() {
	head -c 32 /dev/urandom | base64 >"$1"
	chmod "$2" "$1"
	chown "$3" "$1"
}

secrets() {
	local e=$1 S=$W/secrets-$1
	mkdir -m 755 "$S"
	hsmd "$e" --
	refused 2 "device key: /run/secrets/device_key is not there: put one there, made with 'openssl rand" "$e: no secret at all"
	key "$S/key" 644 1000:1000
	hsmd "$e" -v "$S/key:/run/secrets/device_key:ro" -- check-config
	check "$e: a file of the host below /run/secrets, with the host's owner, for everybody"
	hsmd "$e" -v "$S/key:/etc/device_key:ro" -e HSM_DEVICE_KEY=/etc/device_key --
	refused 2 '/etc/device_key can be read by others .mode 0644.' "$e: the same elsewhere"
	chmod 666 "$S/key"
	hsmd "$e" -v "$S/key:/run/secrets/device_key:ro" --
	refused 2 'can be changed by others .mode 0666.' "$e: one that anybody may change"
	chmod 600 "$S/key"
	hsmd "$e" -v "$S/key:/run/secrets/device_key:ro" --
	refused 2 'belongs to uid 1000 with mode 0600 and this runs as uid 65532: chown it to that uid' "$e: one that only its owner may read"
	chown 65532:65532 "$S/key"
	chmod 400 "$S/key"
	hsmd "$e" -v "$S/key:/etc/device_key:ro" -e HSM_DEVICE_KEY=/etc/device_key -- check-config
	check "$e: the service's own, anywhere"
	mkdir -p "$S/none"
	hsmd "$e" -v "$S/none:/run/secrets/device_key:ro" --
	refused 2 'is a directory: it must be a file' "$e: -v of a file that the host does not have"

	# in the image's own layer it is no engine's secret
	local c=$CT-layer$e
	MADE+=("$e container $c")
	mkdir -p "$S/root/run/secrets" && key "$S/root/run/secrets/device_key" 644 0:0
	"$e" create --name "$c" -e HSM_RESTART_DELAY=0 signbox/hsm >/dev/null
	tar -C "$S/root" -c run/secrets | "$e" cp - "$c:/"
	run "$e" start -a "$c"
	line=$(grep -h '^hsmd: ' "$W/err" "$W/out" | head -1)
	refused 2 'can be read by others .mode 0644.: chmod 600' "$e: a secret for everybody in the container's own files"
}

# secrets of podman, and of a compose file
engine_secrets() {
	local e=$1 S=$W/secrets-$1
	if [ "$e" = podman ]; then
		key "$S/made" 600 0:0
		MADE+=("podman secret $CT-key")
		podman secret create "$CT-key" "$S/made" >/dev/null
		# podman 4.3 with runc cannot make the mount point of a secret in a read-only root
		run timeout 120 podman run --rm --cap-drop ALL --security-opt no-new-privileges --secret "$CT-key,target=device_key" \
			-e HSM_BOOTSTRAP_ADMINS="$ADMIN" signbox/hsm check-config
		check 'podman: a secret of podman'
		return
	fi
	mkdir -p "$S/compose" && key "$S/compose/key" 444 1000:1000
	cat >"$S/compose/compose.yaml" <<-EOF2
		version: "3.8"
		services:
		  hsm:
		    image: signbox/hsm
		    command: [check-config]
		    read_only: true
		    secrets: [device_key]
		secrets:
		  device_key: {file: ./key}
	EOF2
	run docker-compose -p "$CT" -f "$S/compose/compose.yaml" run --rm hsm
	check 'docker: a file secret of a compose file, with the host'"'"'s owner'
	run docker-compose -p "$CT" -f "$S/compose/compose.yaml" down -v
}

volumes() {
	local e=$1 S=$W/secrets-$1 V=$W/volumes-$1
	# (the user of the broker: there is none, and it comes last)
	local key=(-v "$S/key:/run/secrets/device_key:ro" -e NATS_URL=nats://user@127.0.0.1:4222)
	mkdir -m 755 "$V" "$V/root" "$V/old" "$V/wide" "$V/full" "$V/anchor"
	hsmd "$e" "${key[@]}" -v "$V/root:/data" --
	refused 2 'data: /data belongs to uid 0 with mode 0755 and this runs as uid 65532: chown -R 65532:65532 it' "$e: a volume of another uid"
	chown 65532:65532 "$V/root"
	hsmd "$e" "${key[@]}" -v "$V/root:/data:ro" --
	refused 2 'data: /data is on a read-only file system: mount a volume there, without ro' "$e: a read-only volume"
	hsmd "$e" "${key[@]}" -v "$V/root:/volume" -e HSM_DATA=/nowhere/data --
	refused 2 'data: /nowhere/data is on a read-only file system' "$e: no volume"
	mkdir "$V/old/store" && : >"$V/old/store/data.mdb" && chmod 600 "$V/old/store/data.mdb" && chown 65532:65532 "$V/old" "$V/old/store"
	hsmd "$e" "${key[@]}" -v "$V/old:/data" --
	refused 2 'data: /data/store/data.mdb belongs to uid 0 with mode 0600 .*chown -R 65532:65532 it' "$e: a store that root has copied there"
	hsmd "$e" "${key[@]}" -v "$V/root:/data" -v "$V/anchor:/anchor" -e HSM_ANCHOR=/anchor/anchor --
	refused 2 'anchor_file: /anchor belongs to uid 0 with mode 0755' "$e: an anchor's volume of another uid"
	chown 65532:65532 "$V/anchor"
	hsmd "$e" "${key[@]}" -v "$V/root:/data" -v "$V/anchor:/anchor:ro" -e HSM_ANCHOR=/anchor/anchor --
	refused 2 'anchor_file: /anchor is on a read-only' "$e: a read-only volume for the anchor"
	: >"$V/anchor/anchor" && chmod 600 "$V/anchor/anchor"
	hsmd "$e" "${key[@]}" -v "$V/root:/data" -v "$V/anchor:/anchor" -e HSM_ANCHOR=/anchor/anchor --
	refused 2 'anchor_file: /anchor/anchor belongs to uid 0 with mode 0600' "$e: an anchor that cannot be read"
	if mount -t tmpfs -o size=64k,mode=700,uid=65532,gid=65532 none "$V/full"; then
		head -c 70000 /dev/zero >"$V/full/ballast" 2>/dev/null
		hsmd "$e" "${key[@]}" -v "$V/full:/data" --
		refused 7 'data: no space left in /data .0 KiB free.: make the volume larger' "$e: a full volume"
		umount "$V/full"
	fi
	hsmd "$e" "${key[@]}" -v "$V/root:/data" --memory 64m --
	refused 2 'the memory limit of 64 MiB is too small: 108 MiB are needed' "$e: too little memory"
	hsmd "$e" "${key[@]}" -v "$V/root:/data" --pids-limit 10 -e HSM_WORKERS=2 --
	refused 2 'the limit of 10 processes is too small: 28 are needed with 2 workers' "$e: too few processes"

	# a volume for everybody is narrowed, and a second HSM does not disturb the first
	chmod 777 "$V/wide" && chown 65532:65532 "$V/wide"
	start "$e" "first$e" "${hardened[@]}" "${key[@]}" -e HSM_BOOTSTRAP_ADMINS="$ADMIN" -v "$V/wide:/data" signbox/hsm
	wait_for 20 test -S "$V/wide/health.sock"
	is "$e: a data directory for everybody is closed" "$(stat -c %a "$V/wide")" 755
	hsmd "$e" "${key[@]}" -v "$V/wide:/data" --
	refused 7 'another hsmd runs on /data: stop it, or give this one a directory of its own' "$e: a second HSM on the same volume"
	run "$e" exec "$CT-first$e" /usr/bin/hsmd health
	like '… the first one goes on' "$out" 'state=unprovisioned .*keyd=up store=up front=up'
}

# how often an engine starts what cannot start, in 8 s or some more
restarts() {
	local e=$1 n how from=$SECONDS took
	for how in default 0; do
		local env=()
		[ "$how" = default ] || env=(-e "HSM_RESTART_DELAY=$how")
		start "$e" "again$e$how" "${hardened[@]}" --restart=always "${env[@]}" signbox/hsm
	done
	for how in default 0; do wait_for 60 said "$e" "again$e$how" 'device key'; done
	sleep 8
	n=$(logs "$e" "again${e}default" | grep -c '^hsmd: device key')
	took=$((SECONDS - from))
	# each start lasts its 5 s
	ok "$e: --restart=always starts it a few times at most" test "$n" -ge 1 -a "$n" -le $((took / 5 + 2))
	echo "# starts in $took s: $n, without the delay $(logs "$e" "again${e}0" | grep -c '^hsmd: device key')"
	like '… and it says that it waits' "$(logs "$e" "again${e}default")" 'waits before it ends.*HSM_RESTART_DELAY'
	run "$e" run --rm -t "${hardened[@]}" signbox/hsm
	like "$e: somebody at a terminal does not wait" "$out" 'device key: /run/secrets/device_key is not there'
	is '… and reads nothing of it' "$(grep -c 'waits before' "$W/out")" 0
	start "$e" "stop$e" "${hardened[@]}" -e HSM_RESTART_DELAY=300 signbox/hsm
	wait_for 20 said "$e" "stop$e" 'waits before'
	run "$e" stop -t 60 "$CT-stop$e"
	is "$e: SIGTERM ends the wait, with the status of the error" "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-stop$e")" 2
}

for_engines secrets
for_engines engine_secrets
for_engines volumes
for_engines restarts
done_testing
