#!/bin/bash
# debug/dbg with a played engine: what it would run where this machine cannot (Docker 28,
# rootless podman), what it says when something is missing, and that no name of anybody
# becomes a command. Real engines are in tests/containers/dbg.t.
# shellcheck disable=SC2016 # dollars that nobody expands are the point
# shellcheck source=tests/cli/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
mkdir bin none
ID=b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184
OLD=20.10.24+dfsg1 NEW=28.2.2

# The engine: a folder of answers. What it was asked is in `asked`, the last `run` in `ran`
# with one argument a line (and "\n" for a newline in it).
cat >bin/docker <<'END'
#!/bin/bash
cd "${FAKE:?}" || exit 99
me=${0##*/}
printf '%s\n' "$me $*" >>asked
answer() { [ ! -e "$1" ] || cat "$1"; }
if [ -e trouble ]; then
	[ "$1" = --version ] || { cat trouble >&2; exit 1; }
fi
case "$1 ${2-}" in
--version*) answer version ;;
'version --format') answer server ;;
'info --format') answer rootless ;;
'container inspect')
	[ -e "of-$me" ] || [ "$5" = 0 ] || { echo "Error: No such container: $5" >&2; exit 1; }
	case $4 in
	*.Mounts*) answer mounts ;;
	*.Config.Env*) answer env ;;
	*) tr '\n' '\037' <fields ;;
	esac
	;;
'image inspect') grep -qxF -- "$3" images ;;
'cp '*) f=${2##*:/etc/}; [ ! -e "$f" ] || tar -c "$f" ;;
'volume rm') ;;
run*)
	case " $* " in
	*' --entrypoint /dbg/bin/true '*) cat probe >&2; [ ! -s probe ]; exit ;;
	*' cp -a '*) exit "$(cat fill)" ;;
	esac
	printf '%s\n' "${@//$'\n'/\\n}" >ran
	printf 'client: %s %s\n' "${STORAGE_OPTS-none}" "${FAKE_SECRET-none}" >environment
	before=''
	for word; do
		[ "$before" != --env-file ] || cat "$word" >>environment
		before=$word
	done
	cat >input
	exit "$(cat status)"
	;;
*) echo "the played engine does not know: $*" >&2; exit 98 ;;
esac
END
chmod +x bin/docker
export FAKE=$tmp/answers

# engine [docker|podman] [VERSION]: what it has, with one container, hsm
engine() {
	rm -rf answers bin/podman
	mkdir answers
	local kind=${1:-docker} v=${2:-$NEW}
	[ "$kind" = docker ] || ln -s docker bin/podman
	: >"answers/of-$kind"
	if [ "$kind" = podman ]; then echo "podman version $v"; else echo "Docker version $v, build 1"; fi >answers/version
	echo "$v" >answers/server
	echo false >answers/rootless
	printf 'signbox/%s\n' busybox static dev >answers/images
	: >answers/probe
	: >answers/asked
	echo 0 >answers/status
	echo 0 >answers/fill
	# ID name state running restarting status pid user image image-name pid net ipc userns privileged caps drops networks end
	printf '%s\n' $ID /hsm running true false 0 4711 65532:65532 sha256:abc signbox/hsm '' default private '' false '' 'ALL ' 'bridge ' >answers/fields
	printf end >>answers/fields
}
field() { sed -i "$1s/.*/$2/" answers/fields; }

dbg() {
	rm -f answers/ran
	PATH=$tmp/bin:$PATH "$SRC/debug/dbg" "$@" >out 2>err </dev/null
	rc=$?
}
one_line() { [ "$rc" = 125 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -qE -- "$1" err && [ ! -e answers/ran ]; }
refused() { # PATTERN NAME
	one_line "$1"
	ok $? "$2"
}
ran() { # NAME ARGUMENT…: the engine was given exactly these
	local name=$1
	shift
	diff <(printf '%s\n' "$@") answers/ran >log 2>&1
	ok $? "$name"
	rm -f log
}
has() { grep -qE -- "$1" "${2:-err}"; }

common=(run --rm -i --pull never --no-healthcheck --label "signbox.dbg=$ID" --env 'PS1=[dbg hsm] \w \$ ')
beside=(--pid "container:$ID" --env TARGET=/proc/1/root --network "container:$ID")
plain=(--user 65532:65532 --security-opt no-new-privileges --cap-drop ALL)
path=(--env PATH=/dbg/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)

# ---- the ways

engine docker $NEW
dbg -q hsm
ran 'Docker 28: the image is mounted, the root is the image of the container' \
	"${common[@]}" "${beside[@]}" "${plain[@]}" --mount type=image,source=signbox/busybox,destination=/dbg \
	"${path[@]}" --entrypoint /dbg/bin/sh sha256:abc
has '^docker run --rm --pull never --network none --mount type=image,source=signbox/busybox,destination=/dbg --entrypoint /dbg/bin/true signbox/busybox$' answers/asked
ok $? '… after a trial of such a mount'
dbg hsm -- ps -o pid
has '^dbg: way: image mount: signbox/busybox is at /dbg, / is a new copy of signbox/hsm$'
ok $? '… and it says so'
grep -A99 -xF sha256:abc answers/ran >rest
diff <(printf '%s\n' sha256:abc -c 'eval "$DBG_LOOK"' dbg 1 docker hsm ps -o pid) rest >log
ok $? '… the text that looks around is constant; PID, engine, name and command are its arguments'
rm -f log
look=$(sed -n 's/^DBG_LOOK=//p' answers/ran | sed 's/\\n/\n/g')
sh -c 'eval "$0"' "$look" $$ docker hsm printf '[%s]\n' 'a b' '$(id)' >out 2>err
rc=$?
[ $rc = 0 ] && [ "$(cat out)" = "$(printf '[a b]\n[$(id)]')" ] && cmp -s /dev/null err
ok $? '… which is silent where all is seen, and runs the command'
DBG_LOOK=$look sh -c 'eval "$DBG_LOOK"' dbg 4194304 docker hsm sh -c 'echo "${DBG_LOOK-unset}"; exit 3' >out 2>err
rc=$?
[ $rc = 3 ] && [ "$(cat out)" = unset ] && has '^dbg: process 4194304 is not to be seen: the /proc of the container hides it, or it has just ended$'
ok $? '… and tells of a process that /proc hides'
dbg -q --rootfs signbox/static hsm
has '^signbox/static$' answers/ran
ok $? '--rootfs'
echo 'docker: Error response from daemon: image mounts need the containerd image store.' >answers/probe
dbg hsm -- true
has '^dbg: no image mount: docker 28.2.2 says: .*containerd image store' && has '^dbg: way: sidecar'
ok $? 'Docker 28 without the containerd image store: a sidecar, and why'

engine docker $OLD
dbg -q hsm
ran 'Docker 20.10: a sidecar' "${common[@]}" "${beside[@]}" "${plain[@]}" --entrypoint /bin/sh signbox/busybox
! has type=image answers/asked
ok $? '… without a trial'
dbg -q hsm -- ls 'a b' '$(id)' "it's" '"' ';' '' $'two\nlines'
ran 'words of a command are words of the engine' "${common[@]}" "${beside[@]}" "${plain[@]}" --entrypoint ls signbox/busybox \
	'a b' '$(id)' "it's" '"' ';' '' 'two\nlines'
for s in 0 1 7 126 127 255; do
	echo $s >answers/status
	dbg hsm -- true
	[ $rc = $s ] || break
done
ok $? 'the exit status of the command is that of dbg'

engine podman 4.3.1
field 13 shareable
dbg -q hsm
has '^container:'$ID'$' answers/ran && grep -A1 -x -- --ipc answers/ran | grep -q "container:$ID"
ok $? 'podman: IPC as well, where it is shared'
has '^type=image,source=signbox/busybox,destination=/dbg$' answers/ran && has '^--image-volume$' answers/ran
ok $? '… and the image is mounted'
echo true >answers/rootless
dbg hsm -- true
has '^dbg: podman is rootless'
ok $? 'rootless podman is told'
field 14 private
echo 'Error: mounting: permission denied' >answers/probe
dbg hsm -- true
grep -A1 -x -- --userns answers/ran | grep -qx "container:$ID" && has 'user namespace of its own' && has 'no image mount: podman 4.3.1 says: Error: mounting'
ok $? 'a user namespace is joined, and told'
engine docker "$OLD"
field 14 host
dbg -q hsm
grep -A1 -x -- --userns answers/ran | grep -qx host
ok $? 'docker with remapped users: that of the host'

# podman-docker: the name docker, and podman's ways
engine docker 4.3.1
echo 'podman version 4.3.1' >answers/version
dbg hsm -- true
has '^dbg: docker 4.3.1' && has '^--image-volume$' answers/ran
ok $? 'podman that is called docker is known as podman'

# ---- what the container is like

engine docker $OLD
field 12 host
dbg hsm -- true
grep -A1 -x -- --network answers/ran | grep -qx host && has "^dbg: hsm is in the host's network"
ok $? "the host's network"
field 11 host
dbg hsm -- true
grep -A1 -x -- --pid answers/ran | grep -qx host && has '^TARGET=/proc/4711/root$' answers/ran && has 'sees the processes of the host'
ok $? "the host's processes: its own is told"
field 11 container:other
dbg hsm -- true
has 'among the processes of another container'
ok $? 'the processes of another container'
engine docker $OLD
field 8 ''
field 16 'NET_ADMIN SYS_TIME '
field 17 'CHOWN '
dbg -q hsm
tr '\n' ' ' <answers/ran | grep -qF -- '--user 0:0 --security-opt no-new-privileges --cap-drop CHOWN --cap-add NET_ADMIN --cap-add SYS_TIME --entrypoint'
ok $? "root's shell has the capabilities of its container"
dbg -q -n -c NET_ADMIN hsm
tr '\n' ' ' <answers/ran | grep -qF -- '--user 0:0 --security-opt no-new-privileges --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --entrypoint'
ok $? '--net has NET_RAW only, and what is asked for'
dbg -c SYS_PTRACE hsm -- true
has '^dbg: SYS_PTRACE opens memory'
ok $? 'SYS_PTRACE is warned of'

engine docker $OLD
printf 'root:x:0:0::/:\nsvc:x:1234:99::/:\n' >answers/passwd
printf 'grp:x:77:\n' >answers/group
for t in svc=1234:99 svc:grp=1234:77 svc:5=1234:5 1234=1234:99 4321=4321:0 9:grp=9:77; do
	field 8 "${t%=*}"
	dbg -q hsm
	grep -A1 -x -- --user answers/ran | grep -qx "${t#*=}"
	ok $? "user ${t%=*} is ${t#*=}"
done
field 8 nobody-knows
dbg hsm
refused 'nobody-knows.*give --user UID:GID' 'a user who is in no passwd file'

for s in exited restarting; do
	engine docker $OLD
	field 3 $s
	if [ $s = exited ]; then field 4 false; else field 5 true; fi
	field 6 2
	printf 'volume\037data\037/x\037/data\036bind\037\037/srv/key\037/run/secrets/device_key\036bind\037\037/a,b\037/c\036tmpfs\037\037\037/t\036' >answers/mounts
	dbg hsm -- true
	has "^dbg: hsm does not run \\($s, status 2\\): nothing of it is started"
	ok $? "$s: it is told"
	! grep -qx -- "--pid" answers/ran && grep -qx -- --read-only answers/ran &&
		has '^type=volume,source=data,destination=/data,ro$' answers/ran && grep -A1 -x -- --network answers/ran | grep -qx bridge
	ok $? '… apart, read-only, volumes read-only, in its network'
	! has srv/key answers/ran && has 'left out: /run/secrets/device_key \(--secrets' && has 'left out: /c' && has 'not here: /t, a mount of type tmpfs'
	ok $? '… without secrets; what cannot be mounted is told'
	v=$(sed -n 's/^type=volume,source=\(signbox-dbg-[0-9]*-[0-9]*\),destination=\/dbg,ro$/\1/p' answers/ran)
	has "^docker run .*type=volume,source=$v,destination=/dbg signbox/busybox -c cp -a /bin /usr /dbg$" answers/asked &&
		[ "$(tail -1 answers/asked)" = "docker volume rm $v" ]
	ok $? '… the tools in a volume, which is removed'
done
echo 9 >answers/status
dbg hsm -- true
[ $rc = 9 ] && tail -1 answers/asked | grep -q '^docker volume rm signbox-dbg-'
ok $? '… and the status is handed through'
echo 1 >answers/fill
dbg -q hsm -- true
refused 'could not put the tools into a volume' '… no volume, no shell'
engine docker $OLD
printf 'bind\037\037/srv/key\037/run/secrets/key\036bind\037\037/srv/x\037/var/run/secrets/x\036bind\037\037/srv/y\037/run/secrets2\036' >answers/mounts
dbg -V hsm -- true
has '^type=bind,source=/srv/y,destination=/run/secrets2,ro$' answers/ran && ! has 'srv/key|srv/x' answers/ran
ok $? '--volumes leaves out what is below /run/secrets, and nothing else'
dbg --secrets hsm -- true
has '^type=bind,source=/srv/key,destination=/run/secrets/key,ro$' answers/ran && has srv/x answers/ran
ok $? '--secrets does not'
printf 'PATH=/evil\036FAKE_SECRET=hush hush\036STORAGE_OPTS=overlay.mount_program=/evil\036engine=/evil\036IFS=x\036BASH_ENV=/evil\036a b=c\036LD_PRELOAD=evil\036TWO=1\n2\036BARE\036' >answers/env
dbg -E hsm -- true
has '^FAKE_SECRET=hush hush$' answers/environment && has '^engine=/evil$' answers/environment && ! grep -q 'hush\|evil' answers/ran answers/asked
ok $? '--env: no value in any argument'
has '^client: none none$' answers/environment
ok $? '… and none in the environment of the engine itself'
! has '^(PATH|IFS|BASH_ENV|LD_PRELOAD|TWO|BARE|2)' answers/environment && has 'left out of the environment: a' && has 'left out of the environment: TWO, whose'
ok $? '… and nothing that changes the tools, or would be two lines'
dbg -p -q -E hsm -- true
! grep -q 'hush\|evil' out && has ' --env FAKE_SECRET ' out
ok $? '… nor in what --print shows'
dbg -q hsm -- true
! has FAKE_SECRET= answers/environment
ok $? '… not without --env'
dbg -q -i signbox/dev hsm -- true
has '^signbox/dev$' answers/ran
ok $? '--image'

# ---- --print

engine docker $OLD
field 4 false
dbg -q -p hsm -- ls 'a b' '$(touch x)'
[ $rc = 0 ] && [ ! -e answers/ran ] && ! grep -q '^docker run\|volume rm' answers/asked && [ "$(wc -l <out)" = 3 ]
ok $? '--print runs nothing, and shows all three commands'
cp out script
PATH=$tmp/bin:$PATH bash ./script </dev/null && [ ! -e x ] && tail -3 answers/ran | cmp -s - <(printf '%s\n' sha256:abc 'a b' '$(touch x)')
ok $? '… as a shell would take them'

# ---- errors: one line, status 125, nothing run

engine docker $OLD
for c in 'a b' '$(id)' "x'y" '..' '-x' 'x;y' $'x\ny' '*' 'ü' 'a/b'; do
	dbg -- "$c" 2>/dev/null
	dbg "$c"
	[ ! -s answers/asked ] && one_line 'no name of a container|there is no option|which container'
	ok $? "$(printf 'no name: %q' "$c"): no engine is asked"
done
field 2 '\/$(touch owned)'
dbg hsm -- true
[ $rc = 0 ] && has "^PS1=.dbg ${ID:0:12}. " answers/ran && [ ! -e owned ]
ok $? 'a name that the engine should not have had is not used'
engine docker $OLD
field 8 "65532'\$(touch owned)"
dbg hsm -- true
refused 'give --user' 'nor is such a user'
for o in '--nothing' '-x' '--print=1'; do
	dbg $o hsm
	refused 'there is no option .*--help' "an unknown option: $o"
done
for o in --engine -u --cap -i --rootfs; do
	dbg hsm $o
	refused 'needs a value' "$o without a value"
done
for o in '--engine=nerdctl' '--cap=a;b' '--image=a b' '--user=$(id)' '--rootfs=-x'; do
	dbg "$o" hsm
	refused '^dbg: .* is (docker or podman|no )' "$o"
done
dbg hsm ps
refused 'comes after --: dbg hsm -- ps' 'a command without --'
dbg hsm --
refused 'no command after --' 'no command after --'
dbg
refused 'which container' 'no container'
dbg -n -u 5 hsm
refused '--net is root' '--net with a user'
dbg other
: >answers/ran
rm -f answers/of-docker answers/ran
dbg other
refused '^dbg: there is no container other: docker ps -a lists them$' 'a container that is not there'
ln -s docker bin/podman
dbg other
refused 'docker ps -a lists them, and so does podman' '… in either engine'
: >answers/of-podman
field 8 65532:65532
dbg -q other -- true
[ $rc = 0 ] && grep -q '^podman run' answers/asked
ok $? 'a container that only podman has'
dbg -e docker other
refused 'there is no container other' '… is not asked for by --engine docker'
rm bin/podman
dbg -e podman hsm
refused 'neither.*podman was asked for|podman is not here' 'an engine that is not installed'
PATH=$tmp/none:/usr/bin:/bin "$SRC/debug/dbg" hsm >out 2>err
rc=$?
refused 'neither docker nor podman' 'no engine at all'
engine docker $OLD
echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >answers/trouble
dbg hsm
refused 'docker is installed, but does not run here' 'an engine that does not run'
echo 'Got permission denied while trying to connect to the Docker daemon socket' >answers/trouble
dbg hsm
refused 'docker does not permit it: run dbg as root' 'an engine that does not permit it'
engine docker $OLD
: >answers/images
dbg hsm
refused 'signbox/busybox is not in docker: `make load`, or `build/bin/ocibuild load --into docker busybox`' 'the tools are not loaded'
dbg -i example/x hsm
refused 'example/x is not in docker, and dbg pulls nothing' 'another image is not there'
engine docker $OLD
field 19 more
dbg hsm
refused 'does not understand' 'an answer that is not as it should be'

dbg --help
[ $rc = 0 ] && [ ! -s err ] && for o in $(grep -oE '^\s+-[-a-zA-Z| ]+\)' "$SRC/debug/dbg" | grep -oE -- '--?[a-zA-Z][a-z-]*'); do
	grep -qE -- "(^|[ ,])$o([ ,]|$)" out || { echo "# $o" && false; } || break
done
ok $? '--help has every option'
[ "$("$BIN/ocibuild" load --help 2>&1 | grep -c -- --into)" -gt 0 ]
ok $? 'the command that it advises exists'
echo "1..$n"
