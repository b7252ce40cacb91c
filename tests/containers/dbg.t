#!/bin/bash
# Looking into a container that has no shell: busybox at /dbg, by an image mount where the
# engine has it, by a folder elsewhere.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"

# what one would look for in a container that misbehaves
looks_around() { # NAME COMMAND…
	local name=$1
	shift
	ok "$name: a shell" "$@" -c true
	run "$@" -c '/dbg/bin/ps'
	like '… sees the processes' "$out" '/usr/sbin/nats-server'
	run "$@" -c 'echo PATH=/dbg/bin; PATH=/dbg/bin; id -u; ls /proc/1/root/etc/nats'
	like '… as the same user' "$out" '^65532$'
	like '… and its files' "$out" '^nats-server.conf$'
	run "$@" -c 'PATH=/dbg/bin; wget -qO- http://127.0.0.1:8222/healthz'
	like '… and its sockets' "$out" '"status": ?"ok"'
	run "$@" -c 'PATH=/dbg/bin; for l in /dbg/bin/*; do [ -x $l ] || echo dead $l; done; ls /dbg/bin | wc -l'
	like '… with every tool' "$out" '^[12][0-9][0-9]$'
}

podman_dbg() {
	local mount=(--mount 'type=image,source=signbox/busybox,destination=/dbg')
	start podman plain --read-only "${mount[@]}" signbox/nats
	wait_for 10 podman exec "$CT-plain" /dbg/bin/wget -qO- http://127.0.0.1:8222/healthz
	looks_around 'podman exec, mounted from the start' podman exec "$CT-plain" /dbg/bin/sh
	fails '… /dbg cannot be written' 'Read-only file system' podman exec "$CT-plain" /dbg/bin/touch /dbg/x

	start podman bare "${hardened[@]}" signbox/nats
	fails 'podman: the image itself has no shell' 'no such file|not found' podman exec "$CT-bare" /bin/sh -c true
	wait_for 10 podman run --rm --network "container:$CT-bare" signbox/busybox -c 'wget -qO- http://127.0.0.1:8222/healthz'
	looks_around 'podman, a second container beside the first' podman run --rm --pid "container:$CT-bare" \
		--network "container:$CT-bare" "${mount[@]}" --entrypoint /dbg/bin/sh signbox/static
}

docker_dbg() {
	dbg docker
	start docker plain --read-only "${DBG[@]}" signbox/nats
	wait_for 10 docker exec "$CT-plain" /dbg/bin/wget -qO- http://127.0.0.1:8222/healthz
	looks_around 'docker exec, mounted from the start' docker exec "$CT-plain" /dbg/bin/sh

	start docker bare "${hardened[@]}" signbox/nats
	fails 'docker: the image itself has no shell' 'no such file|not found' docker exec "$CT-bare" /bin/sh -c true
	wait_for 10 docker run --rm --network "container:$CT-bare" signbox/busybox -c 'wget -qO- http://127.0.0.1:8222/healthz'
	looks_around 'docker, a second container beside the first' docker run --rm --pid "container:$CT-bare" \
		--network "container:$CT-bare" "${DBG[@]}" --entrypoint /dbg/bin/sh signbox/static
}
for e in $ENGINES; do "${e}_dbg"; done
done_testing
