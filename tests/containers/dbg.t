#!/bin/bash
# Looking into a container that has no shell: by an image mount from the start, by
# debug/dbg in each of its ways, and what of the signing service nobody sees that way.
# The command line for Docker 28 is in tests/cli/dbg.t: this one has no image mount.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
dbg=debug/dbg
# a word that would be many if anything gave it to a shell
odd="a  b'c\"d \$(id) \`id\`; * \\ é"

# what one would look for in a container that misbehaves
looks_around() { # NAME COMMAND… (a shell that takes -c)
	local name=$1
	shift
	run "$@" -c 'PATH=/dbg/bin:$PATH; id -u; ps; ls /proc/1/root/etc/nats; wget -qO- http://127.0.0.1:8222/healthz; exit 7'
	is "$name: a shell, with its status" "$rc" 7
	like '… sees the processes' "$out" '/usr/sbin/nats-server'
	like '… as the same user' "$out" '^65532$'
	like '… and its files' "$out" '^nats-server.conf$'
	like '… and its sockets' "$out" '"status": ?"ok"'
}

# ways ENGINE: containers that run
beside() {
	local e=$1 way='image mount'
	[ "$e" = podman ] || way=sidecar
	dbg "$e"
	start "$e" mounted --read-only "${DBG[@]}" signbox/nats
	start "$e" nats "${hardened[@]}" signbox/nats
	wait_for 10 "$e" exec "$CT-mounted" /dbg/bin/wget -qO- http://127.0.0.1:8222/healthz
	looks_around "$e: exec, with /dbg from the start" "$e" exec "$CT-mounted" /dbg/bin/sh
	run "$e" exec "$CT-mounted" /dbg/bin/sh -c \
		'PATH=/dbg/bin; for l in /dbg/bin/*; do [ -x $l ] || echo dead $l; done; ls /dbg/bin | wc -l; touch /dbg/x'
	like '… with every tool' "$out" '^[12][0-9][0-9]$'
	like '… and cannot be written' "$err" 'Read-only file system'

	fails "$e: the image itself has no shell" 'no such file|not found' "$e" exec "$CT-nats" /bin/sh -c true
	looks_around "$e: dbg" $dbg -e "$e" "$CT-nats" -- sh
	like '… which says its way' "$err" "^dbg: way: $way: "
	if [ "$e" = podman ]; then
		looks_around "$e: dbg --sidecar" $dbg -e podman -s "$CT-nats" -- sh
		like '… which says its way' "$err" '^dbg: way: sidecar: / is signbox/busybox'
		ok 'dbg: by the mount the programs of the image are there' $dbg -q -e podman "$CT-nats" -- nats-server --version
	else
		like '… and why not the other' "$err" '^dbg: no image mount: docker 20.* is older than 28'
	fi
	run $dbg -q -e "$e" "$CT-nats" -- printf '[%s]\n' "$odd" --flag ''
	is 'dbg: words arrive as they are' "$out" "[$odd]"$'\n[--flag]\n[]'
	is '… and --quiet is quiet' "$err" ''
	run $dbg -e "$e" "$CT-nats" -- printf '[%s]\n' "$odd"
	is '… also with notes' "$out" "[$odd]"
	is 'dbg: standard input goes through' "$(echo through | $dbg -q -e "$e" "$CT-nats" -- cat)" through
	run $dbg -q -e "$e" "$CT-nats" -- no-such-tool
	is 'dbg: 127 for a command that is not there' "$rc" 127
	out=$(timeout 60 script -qec "$dbg -e $e $CT-nats" /dev/null < <(printf 'tty\nls -d $TARGET/data; exit 9\n' && sleep 10))
	rc=$?
	is 'dbg: a shell at a terminal' "$(grep -cE '/dev/(pts|console)|/proc/1/root/data' <<<"$out"),$rc" '2,9'
	fails 'dbg: another container is not there' "^dbg: there is no container $CT-none" $dbg -e "$e" "$CT-none"
	is '… with the status of what did not begin' "$rc" 125
	is 'dbg: nothing is left of it' "$("$e" ps -aq --filter label=signbox.dbg | wc -l)" 0
}

# a user by name, root, the host's network, a user namespace
others() {
	local e=$1
	start "$e" named --user nonroot signbox/nats
	run $dbg -e "$e" "$CT-named" -- sh -c 'id -u; ls $TARGET/etc/nats'
	is "$e: dbg: a user that has a name" "$out" $'65532\nnats-server.conf'
	start "$e" root --user 0 signbox/nats
	run $dbg -e "$e" "$CT-root" -- sh -c 'id -u; ls $TARGET/etc/nats'
	is 'dbg: root, and files of root' "$out" $'0\nnats-server.conf'
	run $dbg -e "$e" -u 65532 "$CT-root" -- id -u
	is 'dbg: --user' "$out" 65532
	like '… from where the files of root are not seen, and it says why' "$err" \
		'^dbg:   its process is of user 0:0 and this shell of user 65532:.*--user 0:0$'
	run $dbg -e "$e" -n "$CT-nats" -- sh -c 'id -u; ping -c1 127.0.0.1; traceroute -m1 127.0.0.1; ls $TARGET'
	like 'dbg: --net has ping' "$out" '1 packets received'
	like '… and traceroute' "$out" '^ 1 .*127.0.0.1'
	like '… and not the files' "$err" 'ls: .*Permission denied'
	start "$e" host --network host signbox/busybox -c 'sleep 300'
	run $dbg -e "$e" "$CT-host" -- true
	like 'dbg: tells the network of the host' "$err" "^dbg: $CT-host is in the host's network"
	run $dbg -e "$e" -i signbox/box-compat "$CT-nats" -- sh -c 'ls $TARGET/etc/nats; nats --server 127.0.0.1 pub a b'
	like 'dbg: --image' "$out" '^nats-server.conf'
	[ "$e" = podman ] || return
	start podman uns --uidmap 0:100000:65536 --gidmap 0:100000:65536 signbox/nats
	run $dbg "$CT-uns" -- sh -c 'cat /proc/self/uid_map; ls $TARGET/etc/nats'
	like 'podman: dbg: in the user namespace of the container' "$out" '^ +0 +100000 +65536$'
	like '… with its files' "$out" '^nats-server.conf$'
	like '… without a mount, which podman refuses there' "$err" '^dbg: no image mount: podman .*denied'
}

# looking only: a container that does not run, or is not to be touched
apart() {
	local e=$1 before
	volume "$e" "vol$e"
	start "$e" stopped -v "$CT-vol$e:/data" -e NAME=value signbox/nats --config /nowhere
	wait_for 10 bash -c "[ \$($e inspect -f '{{.State.Running}}' $CT-stopped) = false ]"
	before=$("$e" inspect -f '{{.State.StartedAt}}' "$CT-stopped")
	run $dbg -e "$e" -E "$CT-stopped" -- sh -c 'ls /etc/nats; touch /data/x /etc/x; echo $NAME; ls -ldn /data; ps | grep -c "nats-server --[c]onfig"; exit 5'
	is "$e: dbg: a container that does not run" "$rc" 5
	like '… says so' "$err" "^dbg: $CT-stopped does not run \\((exited|stopped), status 1\\)"
	like '… has the files of its image' "$out" '^nats-server.conf$'
	like '… its environment' "$out" '^value$'
	like '… its volumes' "$out" '^drwx------ .* 65532 +65532 .*/data$'
	is '… which cannot be written, nor can /' "$(grep -c 'Read-only file system' <<<"$err")" 2
	is '… and starts nothing' "$("$e" inspect -f '{{.State.StartedAt}}' "$CT-stopped")" "$before"
	like '… which nothing runs of' "$out" '^0$'
	run $dbg -e "$e" -r "$CT-nats" -- sh -c 'nats-server --version; wget -qO- http://127.0.0.1:8222/healthz; ls /proc/1/root/proc/1; kill -9 1; touch /data/x; ls -d /data/jetstream'
	like 'dbg: --read-only: image, volumes and network' "$out" '^nats-server: v2.*|^/data/jetstream|"ok"'
	like '… which cannot be written' "$err" '/data/x: Read-only file system'
	ok '… and the container lives' "$e" exec "$CT-nats" nats-server --version
	ok '… and its volumes are still there' "$e" volume inspect "$CT-vol$e"
	is '… and none is more' "$("$e" volume ls -q | grep -c signbox-dbg)" 0
}

# ---- what nobody sees of the signing service ----

sidecar() { # ENGINE CONTAINER COMMAND…: with the strongest rights of an ordinary sidecar
	local e=$1 c=$2
	shift 2
	"$e" run --rm --pid "container:$CT-$c" --network "container:$CT-$c" -v "$W/peek:/peek:ro" "$@"
}

PIDS='for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in hsm*) echo ${p#/proc/};; esac; done'
WAYS='environ auxv maps mem vm_read fd getfd root cwd exe ptrace'

# denied NAME OUTPUT: of the four processes nothing is seen
denied() {
	is "$1" "$(grep -cE "^[0-9]+ hsm(d|-front|-keyd|-store) .*" <<<"$2"): $(grep -oE " (${WAYS// /|})=yes" <<<"$2")" '4: '
	[ "$(grep -oE " (${WAYS// /|})=E(PERM|ACCES)" <<<"$2" | wc -l)" = 44 ]
	result $? '… by 11 ways, each denied' || printf '%s\n' "$2" | sed 's/^/# /'
}

secrets() {
	local e=$1 pids keyd all='' w
	head -c 32 /dev/urandom | base64 >"$W/key$e"
	chmod 400 "$W/key$e"
	chown 65532:65532 "$W/key$e"
	chmod 755 "$W"
	start "$e" hsm "${hardened[@]}" --network "container:$CT-nats" -v "$W/key$e:/run/secrets/device_key:ro" \
		-e NATS_URL=nats://127.0.0.1:4222 -e UNLOCKPW=a-word-to-be-searched-for \
		-e HSM_BOOTSTRAP_ADMINS="admin=$("$e" run --rm signbox/box nk -gen user -pubout | tail -1)" signbox/hsm || return
	wait_for 60 "$e" exec "$CT-hsm" hsmd health || return
	pids=$($dbg -q -e "$e" "$CT-hsm" -- sh -c "$PIDS")
	is "$e: the debug container sees four processes of the service" "$(wc -w <<<"$pids")" 4
	# shellcheck disable=SC2086 # numbers
	run sidecar "$e" hsm --user 65532:65532 --entrypoint /peek signbox/busybox $pids
	denied '… and nothing in them, as the same user' "$out"
	is '… but can signal them' "$(grep -o signal=yes <<<"$out" | wc -l)" 4
	# shellcheck disable=SC2086
	run sidecar "$e" hsm --user 0 --entrypoint /peek signbox/busybox $pids
	denied '… nor as root with the usual capabilities' "$out"
	run $dbg -e "$e" "$CT-hsm" -- sh -c 'ls $TARGET/run/secrets; grep -rl a-word-to /proc/[0-9]*/environ; cat /proc/*/root/run/secrets/device_key'
	is '… so no secret, by dbg' "$(grep -cF -e a-word-to -e "$(cat "$W/key$e")" <<<"$out$err")" 0
	like '… which says why' "$err" '^dbg:   its process is not dumpable'
	like '… and what works' "$err" "^dbg:   what works: .*$e exec $CT-hsm hsmd health"
	run $dbg -e "$e" -V "$CT-hsm" -- sh -c 'ls /data /run/secrets; echo x >/data/x'
	like 'dbg: --volumes: the data' "$out" '^store$'
	like '… without the secrets' "$err" '^dbg: left out: /run/secrets/device_key'
	like '… which are not there' "$err" '/run/secrets: No such file'
	like '… and not to be written' "$err" '/data/x: Read-only file system'
	run $dbg -e "$e" --secrets "$CT-hsm" -- cat /run/secrets/device_key
	is 'dbg: --secrets, when it is asked for' "$out" "$(cat "$W/key$e")"

	# the check itself: a process that does not protect itself
	run sidecar "$e" nats --user 65532:65532 --entrypoint /peek signbox/busybox 1
	for w in environ maps fd root cwd exe; do all+="$w=yes "; done
	is 'self-check: nats-server can be looked into' "$(grep -oE ' (environ|maps|fd|root|cwd|exe)=yes' <<<"$out" | tr -d '\n') " " $all"
	# and somebody who may do everything, which is what docs/THREATS.md says of engines
	# shellcheck disable=SC2086
	run sidecar "$e" hsm --user 0 --cap-add SYS_PTRACE --entrypoint /peek signbox/busybox $pids
	is 'whoever may give CAP_SYS_PTRACE can look into all four' \
		"$(grep -oE " (environ|maps|mem|fd|root|ptrace)=yes" <<<"$out" | wc -l)" 24
	run $dbg -e "$e" -u 0 -c SYS_PTRACE -c DAC_OVERRIDE "$CT-hsm" -- sh -c 'cat $TARGET/run/secrets/device_key; grep -c a-word-to /proc/*/environ'
	like '… and has the device key' "$out" "^$(sed 's/[+]/\\&/g' "$W/key$e")$"
	like '… which dbg warns of' "$err" '^dbg: SYS_PTRACE opens memory'
	is '… but no passphrase in any environment' "$(grep -c ':[1-9]' <<<"$out")" 0

	# an executable that its user cannot read: born not dumpable, so that there is no moment
	# in which a neighbour could open its memory
	run $dbg -q -e "$e" -r "$CT-hsm" -- sh -c 'for f in /usr/bin/hsm*; do [ -x $f ] && ! [ -r $f ] && echo $f; done'
	is 'the executables of the service cannot be read' "$(wc -l <<<"$out")" 4
	for w in 755 711; do
		install -m $w "$W/peek" "$W/wait$e$w"
		start "$e" "wait$w" --user 65532:65532 -v "$W/wait$e$w:/wait:ro" --entrypoint /wait signbox/busybox wait
		run sidecar "$e" "wait$w" --user 65532:65532 --entrypoint /peek signbox/busybox 1
		like "… and so mode $w is $([ $w = 755 ] && echo open || echo closed) from the beginning" "$out" \
			"maps=$([ $w = 755 ] && echo yes || echo EACCES)"
	done

	keyd=$($dbg -q -e "$e" "$CT-hsm" -- pidof hsm-keyd)
	ok 'the same user can kill keyd' $dbg -q -e "$e" "$CT-hsm" -- kill -9 "$keyd"
	wait_for 10 bash -c "p=\$($dbg -q -e $e $CT-hsm -- pidof hsm-keyd) && [ \"\$p\" != $keyd ]"
	ok '… which then is started again' wait_for 60 "$e" exec "$CT-hsm" hsmd health
}

peek_made() {
	local e=${ENGINES%% *}
	"$e" run --rm --user 0 --network none -v "$SRC/tests/containers:/src:ro" -v "$W:/w" --entrypoint gcc signbox/dev \
		-Wall -Werror -O2 -static -o /w/peek /src/peek.c
}

ok 'the program that peeks' peek_made
for_engines beside
for_engines others
for_engines apart
for_engines secrets
done_testing
