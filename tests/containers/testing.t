#!/bin/bash
# The test image: one `run` and nothing else gives a service that can be asked. The
# production image: it does not start without its secrets, nor on a store of the other. And
# the manifests for Kubernetes, as far as `podman kube play` goes.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"

msg=$W/msg
printf 'hello' >"$msg"
chmod 755 "$W"

in_it() { "$1" exec -i "$CT-$2$1" "${@:3}"; }
# only what is printed for people: secrets and commands
printed() { "$1" logs "$CT-$2$1" 2>/dev/null; }
seeds() { printed "$1" "$2" | grep -oE '\bSU[A-Z2-7]{56}\b|^  (device key|unlock passphrase) +.*' | sort; }

# verified ENGINE CONTAINER KEY SIGNATURE: by openssl, with the public key that it gives
verified() {
	in_it "$1" "$2" hsm --timeout 60 key pub "$3" >"$W/pub.pem" || return
	case $3 in
	demo-ed25519) openssl pkeyutl -verify -pubin -inkey "$W/pub.pem" -rawin -in "$msg" -sigfile "$4" ;;
	demo-rsa) openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$W/pub.pem" -signature "$4" "$msg" ;;
	*) openssl dgst -sha256 -verify "$W/pub.pem" -signature "$4" "$msg" ;;
	esac
}

signs() { # ENGINE CONTAINER [nats options]: by session and by the plain surface
	local e=$1 c=$2 k user
	shift 2
	user=$(in_it "$e" "$c" nk -inkey /data/testing/operator.nk -pubout)
	for k in demo-ed25519 demo-p256 demo-rsa; do
		in_it "$e" "$c" hsm --timeout 60 sign "$k" <"$msg" >"$W/sig" 2>"$W/err"
		ok "$e: hsm sign $k, verified by openssl" verified "$e" "$c" "$k" "$W/sig"
		"$e" exec "$CT-$c$e" nats "$@" --timeout 60s req "hsm.as.$user.sign-json.$k" \
			"{\"message\":\"$(base64 -w0 <"$msg")\"}" --raw >"$W/reply" 2>"$W/reply.err"
		jq -r .signature "$W/reply" | base64 -d >"$W/sig2"
		ok '… nats req, too' verified "$e" "$c" "$k" "$W/sig2"
		[ "$rc" = 0 ] || sed 's/^/# /' "$W/reply" "$W/reply.err"
	done
	printf 'another' | dd of="$W/sig" conv=notrunc status=none
	fails '… self-check: not what is another signature' . verified "$e" "$c" demo-rsa "$W/sig"
}

alone() {
	local e=$1 identity
	volume "$e" "v$e"
	start "$e" "one$e" -v "$CT-v$e:/data" "${hardened[@]}" -p 127.0.0.1::4222 signbox/hsm:testing || return
	ok "$e: alone, read-only, without capabilities, it gets healthy" wait_healthy "$e" "one$e" || logs "$e" "one$e" | tail -20
	like '… and warns' "$(logs "$e" "one$e")" 'NOT FOR PRODUCTION'
	is '… its state has the warning' "$(in_it "$e" one hsm state --json | jq -c '[.state, (.warnings | index("testing") != null)]')" '["operational",true]'
	seeds "$e" one >"$W/first"
	is '… its secrets are printed' "$(wc -l <"$W/first")" 5
	is '… it runs as' "$(in_it "$e" one /usr/bin/hsmd check-config --json | jq -r .testing.value) $("$e" top "$CT-one$e" -o pid,user 2>/dev/null | awk 'NR > 1 { print $2 }' | sort -u | tr '\n' ' ')" \
		"true $(if [ "$e" = docker ]; then echo '65532 '; fi)"
	signs "$e" one

	# from outside, at the published port, with the seed that was printed
	local port
	port=$("$e" port "$CT-one$e" 4222 | sed 's/.*://')
	grep 'SU' "$W/first" >"$W/seeds"
	printed "$e" one | sed -n 's/^  NKey of the operator *//p' >"$W/operator.nk"
	chmod 600 "$W/operator.nk"
	identity=$(in_it "$e" one hsmd identity)
	run env HSM_NKEY="$W/operator.nk" XDG_CONFIG_HOME="$W/config" "$BIN/signbox" hsm --timeout 60 -s "nats://127.0.0.1:$port" \
		--identity "$identity" sign demo-p256 "$msg" -o "$W/sig"
	check '… from outside: at its published port, with the seed that it printed'
	ok '… and openssl says so' verified "$e" one demo-p256 "$W/sig"

	# killed from outside of the container's own processes
	local p
	for p in nats-server hsmd hsm-front hsm-keyd; do
		kill -KILL "$(of_container "$e" "one$e" "$p")"
		ok "$e: $p is killed: it is healthy again" wait_for 30 answers "$e" one
	done
	is '… and nobody was left to be reaped' "$(zombies "$e" "one$e")" 0

	run "$e" stop -t 10 "$CT-one$e"
	is "$e: SIGTERM ends it with status 0" "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-one$e")" 0
	run "$e" start "$CT-one$e"
	ok '… started again, it gets healthy' wait_healthy "$e" "one$e"
	ok '… and warns again' wait_for 5 bash -c "[ \$($e logs $CT-one$e 2>&1 | grep -c 'NOT FOR PRODUCTION') = 2 ]"
	seeds "$e" one >"$W/second"
	ok '… and prints no secret again' cmp "$W/first" "$W/second"
	is '… being the same one' "$(in_it "$e" one hsmd identity)" "$identity"
	is '… with its keys' "$(in_it "$e" one hsm key ls --json | jq length)" 3
	run "$e" rm -f "$CT-one$e"
	start "$e" "two$e" -v "$CT-v$e:/data" "${hardened[@]}" signbox/hsm:testing
	ok '… another container on its volume, too' wait_healthy "$e" "two$e"
	is '… prints none' "$(seeds "$e" two)" ''
	is '… and is who it was' "$(in_it "$e" two hsmd identity)" "$identity"
	"$e" rm -f "$CT-two$e" >/dev/null
}

# process ids as this name space has them
of_container() {
	local main p
	main=$("$1" inspect -f '{{.State.Pid}}' "$CT-$2")
	for p in $(pgrep -x "$3"); do
		[ "$(readlink "/proc/$p/ns/pid")" = "$(readlink "/proc/$main/ns/pid")" ] && echo "$p"
	done
}
zombies() {
	local main p n=0
	main=$("$1" inspect -f '{{.State.Pid}}' "$CT-$2")
	for p in $(pgrep -r Z .); do
		[ "$(readlink "/proc/$p/ns/pid" 2>/dev/null)" = "$(readlink "/proc/$main/ns/pid")" ] && n=$((n + 1))
	done
	echo "$n"
}
answers() { in_it "$1" "$2" hsm sign demo-ed25519 <"$msg"; }

own_broker() {
	local e=$1 d=$W/own-$1
	mkdir "$d"
	network "$e" "n$e"
	volume "$e" "w$e"
	# its NKeys are there after the first start, wherever the broker is
	start "$e" "hsm$e" -v "$CT-w$e:/data" --network "$CT-n$e" "${hardened[@]}" -e NATS_URL="nats://$CT-nats$e:4222" signbox/hsm:testing
	ok "$e: with NATS_URL, set up before that broker is there" wait_for 30 bash -c "$e logs $CT-hsm$e 2>&1 | grep -q 'Ask it'"
	is '… and not ready' "$(if is_healthy "$e" "hsm$e" >/dev/null 2>&1; then echo ready; else echo no; fi)" no
	local service operator
	service=$(in_it "$e" hsm nk -inkey /data/testing/service.nk -pubout)
	operator=$(in_it "$e" hsm nk -inkey /data/testing/operator.nk -pubout)
	"$e" run --rm signbox/box nats-config --hsm "$service" -u "$operator:plain" -l 0.0.0.0:4222 >"$d/nats.conf"
	start "$e" "nats$e" "${hardened[@]}" --network "$CT-n$e" -v "$d/nats.conf:/etc/nats/nats-server.conf:ro" signbox/nats
	ok '… then the broker comes' wait_healthy "$e" "hsm$e"
	is '… it has none of its own' "$(of_container "$e" "hsm$e" nats-server)" ''
	signs "$e" hsm -s "nats://$CT-nats$e:4222"
	run "$e" stop -t 10 "$CT-hsm$e"
	is '… SIGTERM ends it with status 0' "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-hsm$e")" 0
}

# refuses ENGINE NAME PATTERN ARG…: ends by itself with status 2, says PATTERN
refuses() {
	local e=$1 name=$2 pattern=$3 c=r$TAP_N$1
	shift 3
	start "$e" "$c" "${hardened[@]}" "$@"
	wait_for 15 bash -c "[ \"\$($e inspect -f '{{.State.Running}}' $CT-$c)\" = false ]"
	is "$e: $name: status" "$("$e" inspect -f '{{.State.ExitCode}}' "$CT-$c")" 2
	like '… and says why' "$(logs "$e" "$c")" "$pattern"
	echo "# $(logs "$e" "$c" | grep -E '^hsm(d|-testing): ')"
}

refusals() {
	local e=$1 s=$W/secret-$1
	mkdir -m 755 "$s"
	head -c 32 /dev/urandom | base64 >"$s/device_key"
	"$BIN/nk" -gen user >"$s/nkey"
	chmod 400 "$s"/*
	chown 65532:65532 "$s/device_key"
	refuses "$e" 'production without a device key' 'device.key' signbox/hsm:latest
	volume "$e" "e$e"
	refuses "$e" 'production without administrators, the first time' 'HSM_BOOTSTRAP_ADMINS' \
		-v "$CT-e$e:/data" -v "$s/device_key:/run/secrets/device_key:ro" signbox/hsm:latest
	refuses "$e" 'production with a key of its own for the store of the test image' 'store that the test image made' \
		-v "$CT-v$e:/data" -v "$s/device_key:/run/secrets/device_key:ro" signbox/hsm:latest
	refuses "$e" '… whatever variables say' 'store that the test image made' \
		-v "$CT-v$e:/data" -v "$s/device_key:/run/secrets/device_key:ro" -e TESTING=1 -e HSM_TESTING=true signbox/hsm:latest
	run "$e" run --rm "${hardened[@]}" --entrypoint /usr/bin/hsm-testing signbox/hsm:latest
	[ "$rc" != 0 ] && grep -qiE 'no such file|not found' "$W/err"
	result $? "$e: production has nothing in it that sets itself up" || diag
	refuses "$e" 'the test image with secrets' 'HSM_DEVICE_KEY is set' -e HSM_DEVICE_KEY=/run/secrets/device_key signbox/hsm:testing
	chown 65532:65532 "$s/nkey"
	local admin
	admin=$("$BIN/nk" -inkey "$s/nkey" -pubout)
	refuses "$e" 'production without a NATS user' 'no NATS user of the service' -e HSM_BOOTSTRAP_ADMINS="$admin" \
		-v "$CT-e$e:/data" -v "$s/device_key:/run/secrets/device_key:ro" signbox/hsm:latest
	volume "$e" "p$e"
	start "$e" "prod$e" "${hardened[@]}" -v "$CT-p$e:/data" -v "$s/device_key:/run/secrets/device_key:ro" \
		-v "$s/nkey:/run/secrets/nats_nkey:ro" -e NATS_NKEY=/run/secrets/nats_nkey \
		-e HSM_BOOTSTRAP_ADMINS="$admin" signbox/hsm:latest
	ok "$e: production with its secrets starts" wait_for 10 "$e" exec "$CT-prod$e" hsmd identity
	"$e" rm -f "$CT-prod$e" >/dev/null
	refuses "$e" 'the test image on the store of production' 'did not make' -v "$CT-p$e:/data" signbox/hsm:testing
	for n in hsm hsm-testing; do
		is "$e: $n: what its variant is" "$("$e" image inspect -f '{{index .Config.Labels "signbox.variant"}}' "signbox/$n")" \
			"$([ "$n" = hsm ] && echo runtime || echo testing)"
	done
	is "$e: signbox/hsm:testing is hsm-testing" "$("$e" image inspect -f '{{.Id}}' signbox/hsm:testing)" "$("$e" image inspect -f '{{.Id}}' signbox/hsm-testing:latest)"
	is "$e: … and :latest is :$(cat VERSION)" "$("$e" image inspect -f '{{.Id}}' signbox/hsm:latest)" "$("$e" image inspect -f '{{.Id}}' "signbox/hsm:$(cat VERSION)")"
}

for_engines alone
for_engines own_broker
for_engines refusals

# ---- Kubernetes, as podman plays it: its Secrets, ConfigMaps, claims, and the pod's security
kube() {
	local k=$W/kube s=$W/kube/s u
	mkdir -p "$s"
	for u in hsm admin alice; do "$BIN/nk" -gen user >"$s/$u.nk"; done
	chmod 600 "$s"/*.nk
	head -c 32 /dev/urandom | base64 -w0 >"$s/device_key"
	head -c 18 /dev/urandom | base64 >"$s/passphrase"
	pub() { "$BIN/nk" -inkey "$s/$1.nk" -pubout; }
	cat >"$k/given.yaml" <<-END
		apiVersion: v1
		kind: Secret
		metadata: {name: hsm-secrets, namespace: signbox}
		data:
		  device_key: $(base64 -w0 <"$s/device_key")
		  nats_nkey: "$(base64 -w0 <"$s/hsm.nk")"
		---
		apiVersion: v1
		kind: ConfigMap
		metadata: {name: hsm-admins, namespace: signbox}
		data: {admins: "admin=$(pub admin)"}
		---
	END
	# the Deployment and what it names are played as they are; the broker's name is another here
	sed "s,nats://nats:4222,nats://$CT-knats:4222," compose/kubernetes/hsm.yaml >>"$k/given.yaml"
	network podman kn
	"$BIN/signbox" nats-config --hsm "$(pub hsm)" -u "$(pub admin)" -u "$(pub alice)" -l 0.0.0.0:4222 >"$k/nats.conf"
	start podman knats "${hardened[@]}" --network "$CT-kn" -v "$k/nats.conf:/etc/nats/nats-server.conf:ro" signbox/nats
	MADE+=("podman pod hsm-pod-0")
	MADE+=("podman volume hsm-data" "podman volume hsm-anchor" "podman volume hsm-secrets" "podman volume hsm-config" "podman secret hsm-secrets")
	sed -i 's,signbox/hsm:,localhost/&,' "$k/given.yaml"
	podman tag "signbox/hsm:$(cat VERSION)" "localhost/signbox/hsm:$(cat VERSION)"
	ok 'podman plays the Deployment' podman kube play --network "$CT-kn" "$k/given.yaml"
	local v f c
	v=$(podman volume inspect -f '{{.Mountpoint}}' hsm-secrets)
	if [ "$(base64 -d <"$v/device_key")" = "$(cat "$s/device_key")" ]; then
		echo '# this podman leaves Secrets in base64: decoded in its volume by hand'
		for f in device_key nats_nkey; do base64 -d <"$v/$f" >"$W/decoded" && cat "$W/decoded" >"$v/$f"; done
	fi
	c=$(podman ps -a --format '{{.Names}}' | grep '^hsm-pod.*-hsm$') || return
	ok '… its container runs, and hsmd is well' wait_for 60 podman exec "$c" hsmd health
	[ "$rc" = 0 ] || podman logs "$c" 2>&1 | tail -20 | sed 's/^/# /'
	is '… read-only, without capabilities or new privileges' \
		"$(podman inspect -f '{{.HostConfig.ReadonlyRootfs}} {{.EffectiveCaps}} {{.Config.User}}' "$c")" 'true [] 65532:65532'
	like '… confined' "$(podman exec "$c" hsmd check-config)" '^landlock +required'
	chown -R 65532:65532 "$s"
	cp compose/kubernetes/provision.yaml "$k/"
	sed -n '/^  setup.yaml: |/,/^---/{s/^    //p}' "$k/provision.yaml" >"$s/setup.yaml"
	like '… its set-up' "$(cat "$s/setup.yaml")" 'passphrase_file: /run/secrets/passphrase'
	ok '… the set-up of provision.yaml makes it operational' podman run --rm --network "$CT-kn" "${hardened[@]}" --tmpfs /tmp \
		-v "$s:/run/secrets:ro" -e NATS_URL="nats://$CT-knats:4222" -e HSM_NKEY=/run/secrets/admin.nk -e XDG_CONFIG_HOME=/tmp \
		-e HSM_IDENTITY="$(podman exec "$c" hsmd identity)" signbox/box hsm apply /run/secrets/setup.yaml --wait 60
	ok '… so its readiness probe succeeds' wait_for 20 podman exec "$c" /usr/bin/hsmd health --ready
	ok '… and podman takes it away' podman kube down "$k/given.yaml"
}
case " $ENGINES " in
*' podman '*) kube ;;
*) echo '# podman is not tested: the manifests for Kubernetes were not played' ;;
esac
done_testing
