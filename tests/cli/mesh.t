#!/bin/bash
# mesh: what it makes, that nothing is ever replaced or lost, however it is interrupted, and
# what it refuses. tests/e2e/mesh.t starts the servers.
# shellcheck disable=SC2319 # ok takes the status of a condition
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
: >log
unset MESH_AUTH MESH_DIR

# mesh ARG…: out, err, rc; all that was ever printed is in `said`
mesh() {
	timeout 60 "$BIN/signbox" mesh "$@" >out 2>err
	rc=$?
	cat out err >>said
}
# made DIR ARG…: a new mesh
made() {
	local d=$1
	shift
	rm -rf "$d"
	mesh -d "$d" init "$@"
	[ $rc = 0 ] || { cat err && exit 1; }
}
refused() { # NAME STATUS TEXT: one line on stderr, nothing on stdout
	[ "$rc" = "$2" ] && [ "$(wc -l <err)" = 1 ] && grep -qF -- "$3" err && [ ! -s out ]
	ok $? "$1"
}
# all of a mesh: names, modes, owners and contents
all() { (cd "$1" && find . \( -type d -printf '%p %m %U\n' \) -o -printf '%p %m %U ' -exec sha256sum {} \; | sort); }
# good DIR: check finds nothing
good() { "$BIN/signbox" mesh -d "$1" check >check 2>&1 || { cat check >>err && return 1; }; }

# ---- what is made
for auth in nkey jwt; do
	made m-$auth --auth $auth
	good m-$auth
	ok $? "$auth: a new mesh, and check finds nothing wrong"
	extra=
	[ $auth = jwt ] && extra='account operator scope-monitor scope-plain scope-service scope-session sys'
	{
		for d in . authority authority/users box box/nats box/nats/context hsm nats-1 nats-2 nats-3; do
			echo "700 $d"
		done
		printf '400 authority/%s\n' ca.key device_key mesh.json route_password unlock_passphrase
		for k in $extra; do echo "400 authority/$k.nk"; done
		echo 444 authority/ca.pem
		printf '400 authority/users/%s.nk\n' admin alice hsm monitor system
		printf '400 box/%s.nk\n' admin alice monitor system
		printf '400 box/%s.creds\n' admin alice monitor system
		printf '444 box/nats/context/%s.json\n' admin alice monitor system
		printf '444 box/%s\n' ca.pem setup.yaml nats/context.txt
		echo 400 box/unlock_passphrase
		printf '444 hsm/%s\n' ca.pem hsm.yaml
		if [ $auth = jwt ]; then login=nats.creds; else login=nats_nkey; fi
		printf '400 hsm/%s\n' device_key $login
		for d in nats-1 nats-2 nats-3; do
			printf "444 $d/%s\n" accounts.conf ca.pem cert.pem
			printf "400 $d/%s\n" key.pem nats-server.conf
		done
	} | sort -k2 >want
	(cd m-$auth && find . -printf '%m %P\n' | sed 's/ $/ ./') | sort -k2 | diff want - >err
	ok $? "$auth: files and modes are these"
	all m-$auth >before
	mesh -d m-$auth init
	all m-$auth | diff before - >log && [ $rc = 0 ] && grep -q ' 0 files written' out
	ok $? "$auth: a second start changes nothing"
	mesh -d m-$auth init --json
	jq -e '.written == 0 and .nodes == 3 and .users == 2 and .changed_nodes == []' out >/dev/null
	ok $? "$auth: --json"
	mesh -d m-$auth check --json
	jq -e '.state == "good" and (.checks | length) == 4 and all(.checks[]; .days >= 364)' out >/dev/null
	ok $? "$auth: check --json"
	made l-$auth --local --auth $auth --jetstream "$tmp/js" --http 8222
	bad=0
	for d in nats-1 nats-2 nats-3; do
		nats-server -t -c l-$auth/$d/nats-server.conf >>log 2>&1 || bad=1
	done
	ok $bad "$auth: nats-server takes the configurations"
	"$BIN/hsmd" -c l-$auth/hsm/hsm.yaml check-config >out 2>err
	ok $? "$auth: hsmd takes its own"
done
for f in ca.key device_key unlock_passphrase route_password users/alice.nk; do
	! cmp -s m-nkey/authority/$f m-jwt/authority/$f || echo "$f" >>err
done
[ ! -s err ]
ok $? 'two meshes have no secret in common'
[ "$(base64 -d <m-nkey/hsm/device_key | wc -c)" = 32 ] && [ "$(tail -c +1 m-nkey/box/unlock_passphrase | wc -c)" = 25 ]
ok $? 'device key of 32 bytes, passphrase of 24 characters'

# ---- certificates, as openssl sees them
cert() { openssl x509 -in "$1" -noout "${@:2}" 2>>log; }
good=0
for d in nats-1 nats-2 nats-3; do
	for purpose in sslserver sslclient; do
		openssl verify -x509_strict -purpose $purpose -CAfile m-nkey/box/ca.pem -verify_hostname $d m-nkey/$d/cert.pem >>log 2>&1 || good=1
	done
	openssl verify -CAfile m-nkey/box/ca.pem -verify_hostname localhost m-nkey/$d/cert.pem >>log 2>&1 || good=1
	openssl verify -CAfile m-nkey/box/ca.pem -verify_ip 127.0.0.1 m-nkey/$d/cert.pem >>log 2>&1 || good=1
	[ "$(cert m-nkey/$d/cert.pem -pubkey)" = "$(openssl pkey -in m-nkey/$d/key.pem -pubout 2>>log)" ] || good=1
done
ok $good 'chain, purposes, names and keys of all nodes'
! openssl verify -CAfile m-nkey/box/ca.pem -verify_hostname nats-2 m-nkey/nats-1/cert.pem >>log 2>&1
ok $? 'one node is not another'
! openssl verify -CAfile m-jwt/box/ca.pem m-nkey/nats-1/cert.pem >>log 2>&1
ok $? 'nor is it of another mesh'
[ "$(cert m-nkey/nats-1/cert.pem -ext extendedKeyUsage | tail -1 | xargs)" = 'TLS Web Server Authentication, TLS Web Client Authentication' ] &&
	cert m-nkey/nats-1/cert.pem -ext basicConstraints | grep -q CA:FALSE &&
	cert m-nkey/box/ca.pem -ext basicConstraints | grep -q 'CA:TRUE, pathlen:0' &&
	[ "$(cert m-nkey/nats-1/cert.pem -serial)" != "$(cert m-nkey/nats-2/cert.pem -serial)" ] &&
	[ "$(cat m-nkey/nats-*/key.pem | sort | uniq -d | grep -vc -- -----)" = 0 ] &&
	openssl x509 -in m-nkey/nats-1/cert.pem -noout -text | grep -q 'NIST CURVE: P-256'
ok $? 'extensions; each node has a key and a serial number of its own'
made s --san mesh.example.org --san 10.1.2.3 --san ::1 --san localhost --days 10 -q
[ ! -s err ] && cert s/nats-3/cert.pem -ext subjectAltName | grep -qF 'DNS:nats-3, DNS:localhost, IP Address:127.0.0.1, DNS:mesh.example.org, IP Address:10.1.2.3, IP Address:0:0:0:0:0:0:0:1' &&
	cert s/nats-3/cert.pem -checkend $((9 * 86400)) >/dev/null && ! cert s/nats-3/cert.pem -checkend $((11 * 86400)) >/dev/null
ok $? '--san and --days'

# ---- what is lost is made again, what is there stays
made m
all m/authority >before
cp m/hsm/device_key key0
rm -rf m/nats-2 m/hsm m/box
mesh -d m check
[ $rc = 1 ] && grep -q 'nats-2 .*missing' out
ok $? 'check tells of lost directories'
mesh -d m init
all m/authority | diff before - >err && good m && cmp m/hsm/device_key key0 >>err
ok $? 'lost directories are made again, the authority stays, the device key is the same'
for f in nats-1/cert.pem nats-1/key.pem hsm/hsm.yaml box/alice.nk box/nats/context/admin.json nats-3/accounts.conf authority/ca.pem; do
	rm -f m/$f
	mesh -d m check
	[ $rc = 1 ] || echo "$f is not missed" >>missed
	mesh -d m init
	good m || echo "$f" >>missed
done
[ ! -e missed ]
ok $? 'so are single files'
: >log
cp m/nats-1/key.pem key0
echo x >>m/hsm/hsm.yaml
echo 'Users, 1' >m/nats-2/accounts.conf
chmod 644 m/nats-1/key.pem m/box/admin.nk
chmod 755 m/hsm
mesh -d m check
[ $rc = 1 ] && grep -q 'its mode is 0644, not 0400' out && grep -q 'hsm.yaml .*not what the mesh' out
ok $? 'check tells of changed files and modes'
mesh -d m init
good m && cmp m/nats-1/key.pem key0 2>>err && [ "$(stat -c %a m/hsm)" = 700 ]
ok $? 'and init puts them right'
: >m/nats-1/nats-server.conf.tmp-AbCdEf
mesh -d m init
[ ! -e m/nats-1/nats-server.conf.tmp-AbCdEf ]
ok $? 'parts that a killed mesh left are removed'

# sign NAME NOT-BEFORE NOT-AFTER DIR [EXTENSIONS]: the node's certificate with other times
sign() {
	openssl req -new -key "$4/$1/key.pem" -subj "/O=signbox mesh/CN=$1" -out csr 2>>log &&
		printf '%s\n' "subjectAltName=${5:-DNS:$1,DNS:localhost,IP:127.0.0.1}" 'extendedKeyUsage=serverAuth,clientAuth' >ext &&
		rm -f "$4/$1/cert.pem" &&
		openssl x509 -req -in csr -CA "$4/authority/ca.pem" -CAkey "$4/authority/ca.key" -extfile ext \
			-not_before "$2" -not_after "$3" -out "$4/$1/cert.pem" 2>>log && chmod 444 "$4/$1/cert.pem"
}
day() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
renewed() { # NAME NODE PATTERN: check says so, and init makes a new one for the same key
	local key
	key=$(cert "m/$2/cert.pem" -pubkey)
	mesh -d m check
	[ $rc = 1 ] && grep -qE "^$2 +cert.pem +$3" out
	ok $? "check: $1"
	mesh -d m init
	[ $rc = 0 ] && good m && openssl verify -CAfile m/box/ca.pem "m/$2/cert.pem" >>log 2>&1 &&
		grep -q "$2: its certificate is made anew" err && [ "$(cert "m/$2/cert.pem" -pubkey)" = "$key" ]
	ok $? "init makes it anew: $1"
}
sign nats-1 "$(day '400 days ago')" "$(day yesterday)" m
renewed 'an expired certificate' nats-1 'wrong .*expired'
sign nats-2 "$(day '90 days ago')" "$(day '10 days')" m
renewed 'one that ends soon' nats-2 'ends soon'
sign nats-3 "$(day tomorrow)" "$(day '300 days')" m
renewed 'one of a clock that was ahead' nats-3 'wrong .*not valid yet'
sign nats-1 "$(day yesterday)" "$(day '300 days')" m DNS:other
renewed 'one for other names' nats-1 'wrong .*for other names'
rm -f m/nats-1/cert.pem && cp m-jwt/nats-1/cert.pem m/nats-1/cert.pem
mesh -d m check
grep -qE 'nats-1 +cert.pem +wrong .*not of this CA' out
ok $? 'check: one of another CA'
echo junk >m-junk && rm -f m/nats-1/cert.pem && cp m-junk m/nats-1/cert.pem && chmod 444 m/nats-1/cert.pem
mesh -d m init
good m
ok $? 'what is no certificate is replaced'
made m --days 30
old=$(cert m/nats-1/cert.pem -serial)
cp m/nats-1/key.pem key0
mesh -d m renew --days 60
[ $rc = 0 ] && good m && [ "$(cert m/nats-1/cert.pem -serial)" != "$old" ] && cmp m/nats-1/key.pem key0 2>>err &&
	cert m/nats-1/cert.pem -checkend $((59 * 86400)) >/dev/null && grep -q 'SIGHUP.*nats-1 nats-2 nats-3' err
ok $? 'renew: new certificates for the same keys, and a word about SIGHUP'
cp m/authority/ca.pem ca0
cp m/nats-1/cert.pem cert0
openssl x509 -in ca0 -signkey m/authority/ca.key -not_before "$(day '9 years ago')" -not_after "$(day '30 days')" -clrext -out ca1 2>>log
openssl req -x509 -key m/authority/ca.key -subj '/O=signbox mesh/CN=signbox CA' -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
	-not_before "$(day '9 years ago')" -not_after "$(day '30 days')" -out ca1 2>>log
rm -f m/authority/ca.pem && cp ca1 m/authority/ca.pem && chmod 444 m/authority/ca.pem
mesh -d m check
[ $rc = 1 ] && grep -qE 'authority +ca.pem +ends soon' out
ok $? "check: the CA's certificate ends soon"
mesh -d m init
good m && cert m/box/ca.pem -checkend $((3649 * 86400)) >/dev/null && openssl verify -CAfile m/box/ca.pem cert0 >>log 2>&1 &&
	openssl verify -CAfile ca0 m/nats-1/cert.pem >>log 2>&1
ok $? 'init makes it anew for the same key: old and new certificates fit'
mesh -d m renew --ca
good m && ! cmp -s ca0 m/box/ca.pem && openssl verify -CAfile m/box/ca.pem cert0 >>log 2>&1
ok $? 'renew --ca'

# ---- keys are never replaced
: >log
made m
all m >before
cp m/hsm/device_key key0
for f in hsm/device_key box/unlock_passphrase box/alice.nk; do
	cp m/$f kept
	rm -f m/$f && cp "m-jwt/$f" m/$f
	mesh -d m init
	refused "another $f stays" 6 'keys are never replaced'
	cmp "m-jwt/$f" m/$f >>log
	rm -f m/$f && cp kept m/$f
done
ok "$(wc -l <log)" 'and is left alone'
for f in ca.key device_key users/alice.nk users/hsm.nk route_password; do
	mv m/authority/$f kept
	mesh -d m init
	refused "without authority/$f" 5 'is gone: bring authority/ back'
	mesh -d m check
	[ $rc = 1 ] && grep -q 'is gone' out || echo "check: $f" >>log
	mv kept m/authority/$f
done
ok "$(wc -l <log)" 'check tells it too'
cp m/authority/users/alice.nk kept
rm -f m/authority/users/alice.nk && cp m/authority/users/admin.nk m/authority/users/alice.nk
mesh -d m init
refused "another user's seed" 9 'is not the key that mesh.json has'
rm -f m/authority/users/alice.nk && mv kept m/authority/users/alice.nk
mv m/authority kept
mesh -d m init
refused 'without authority/' 3 'authority/mesh.json is not: bring authority/ back'
rm -rf m/authority && mv kept m/authority
mesh -d m init
[ $rc = 0 ] && all m | diff before - >err
ok $? 'with all of it back nothing has changed'
echo junk >m/nats-1/junk && rm -f m/nats-1/key.pem && cp m/nats-1/junk m/nats-1/key.pem && rm m/nats-1/junk && chmod 400 m/nats-1/key.pem
mesh -d m init
refused 'a key that is none' 9 'm/nats-1/key.pem is not a private key'
rm -f m/nats-1/key.pem

# ---- what cannot be
mesh -d m init --auth jwt
refused 'another way of authentication' 3 'was made with --auth nkey'
MESH_AUTH=jwt mesh -d m init
refused 'also by the environment' 3 'was made with --auth nkey'
MESH_AUTH='' mesh -d m init
ok $rc 'an empty variable says nothing'
mesh -d m init --nodes nats-1,nats-2
refused 'fewer nodes' 3 "leaves out 'nats-3'"
mesh -d m init --hsm vault
refused 'another name of the HSM' 3 "is called 'hsm'"
mesh -d m init --local
refused '--local for a mesh of containers' 3 'without --local'
mesh -d two init --local --hsm data --data /elsewhere
[ $rc = 0 ] && [ -s two/data/hsm.yaml ] && grep -q '^data: "*/elsewhere' two/data/hsm.yaml
ok $? "an HSM called data, whose database is elsewhere"
mesh -d two init --data "$PWD/two/data/"
refused '… and comes back' 9 'would be two things'
mesh -d two init --data "$PWD/two/nats-2"
refused '… or into a node' 9 'the directory of a node'
mesh -d m init --user alice:administrator
refused 'another role' 3 "'alice' is an operator and stays so"
mesh -d m init --nodes nats-1,nats-2,nats-3,nats-4
good m && [ -s m/nats-4/key.pem ] && grep -q nats-4 m/hsm/hsm.yaml && [ "$(grep -c 'nats-4:6222' m/nats-1/nats-server.conf)" = 1 ]
ok $? 'one node more'
cp -r m/authority kept
sed 's/"version": 1/"version": 2/' kept/mesh.json >x && rm -f m/authority/mesh.json && cp x m/authority/mesh.json
mesh -d m init
refused 'state of another version' 9 "'version' must be"
sed 's/"nats-2"/"nats\\"2"/' kept/mesh.json >m/authority/mesh.json
mesh -d m init
refused 'state with a name that is none' 9 'is no name of a node'
rm -rf kept
while IFS='|' read -r status text args; do
	# shellcheck disable=SC2086 # the words of the command line
	mesh -d new ${args//HERE/$PWD}
	refused "refused: $args" "$status" "$text"
	[ ! -e new ] || echo "$args" >>log
done <<'EOF'
2|--auth (or MESH_AUTH) is nkey or jwt|init --auth password
9|'a_b' is no name of a node|init --nodes a_b
9|'' is no name of a node|init --nodes a,,b
9|'Nats' is no name|init --nodes Nats
9|is no name of a node|init --nodes ../x
6|'a' is given twice|init --nodes a,a
9|that directory is taken|init --nodes box,b
9|that directory is taken|init --nodes hsm,b
9|take a name|init --hsm ../x
9|take a name|init --hsm box
9|take a name|init --cluster a"b
9|/new/data would be two things: the directory of --hsm, and the HSM's --data|init --local --hsm data
9|the directory of --hsm, and the HSM's --anchor|init --local --hsm anchor
9|the directory of --hsm, and the HSM's --identity: take another name, or give --identity PATH|init --local --hsm identity
9|the directory of --hsm, and the HSM's --identity|init --local --identity HERE/new//hsm/./identity
9|the directory of --hsm, and the HSM's --data|init --local --data HERE/new/hsm/data
2|administrator|init --user bob
9|has a user 'system' of its own|init --user system:administrator
9|has a user 'hsm' of its own|init --user hsm:administrator
9|is no name of a user|init --user ../x:administrator
9|is no name of a user|init --user :administrator
9|is no name of a user|init --user admin:administrator --user a.tmp-abc
2|--user is NAME|init --user bob:king
2|--san is a DNS name|init --san a/b
2|--days|init --days 0
2|--days|init --days 3651
2|--http|init --http 65536
2|--bind is an IPv4 address|init --bind eth0
2|--address is NODE=HOST|init --address nats-1
2|there is no node 'nats-9'|init --address nats-9=h:1
2|ports are 1 to 65535|init --address nats-1=h:0
2|ports are 1 to 65535|init --address nats-1=h:1:2:3:4
2|--mount is|init --mount box=mesh
2|--mount is|init --mount moon=/x
2|begins with '/'|init --data data
2|--owner is UID:GID|init --owner me
2|--owner is UID:GID|init --owner -1:5
2|--owner is UID:GID|init --owner 5:
2|--unattended is on or off|init --unattended maybe
5|there is no mesh in|check
5|there is no mesh in|renew
5|there is no mesh in|user add bob
5|there is no mesh in|user ls
2|nothing to change|user set bob
2|--role is|user add bob --role king
EOF
ok "$(wc -l <log)" 'and nothing is made by them'
: >log

# ---- directories that are not right
made m
rm m/hsm/hsm.yaml && ln -s /etc/passwd m/hsm/hsm.yaml
mesh -d m init
refused 'a link in the place of a file' 3 'not a regular file'
rm m/hsm/hsm.yaml && mkdir m/hsm/hsm.yaml
mesh -d m init
refused 'a directory in the place of a file' 3 'not a regular file'
rmdir m/hsm/hsm.yaml
mv m/box there && ln -s there m/box
mesh -d m init
refused 'a link in the place of a directory' 3 'not a directory'
rm m/box && mv there m/box
echo >file
mesh -d file init
[ $rc != 0 ] && [ "$(wc -l <err)" = 1 ] && grep -q 'Not a directory' err
ok $? 'a file for --dir'

# in a mount namespace of its own: at DIR a file system of KIB, which is read-only with ro
mounted() { # DIR KIB rw|ro COMMAND…
	unshare -r -m python3 - "$@" <<'PY'
import ctypes, os, sys
d, kib, how, *argv = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def mount(flags, data):
    if libc.mount(b'none', d.encode(), b'tmpfs', flags, data):
        sys.exit(f'mount: {os.strerror(ctypes.get_errno())}')
mount(0, f'size={kib}k,mode=700'.encode())
if how == 'ro':
    os.mkdir(d + '/authority', 0o700)
    mount(1 | 32, b'')
sys.exit(os.waitstatus_to_exitcode(os.system(f'exec {" ".join(argv)}')))
PY
}
mkdir full
if mounted full 64 rw true 2>err; then
	mounted full 48 rw "$BIN/signbox" mesh -d full init >out 2>err
	rc=$?
	cat out err >>said
	refused 'a full disk' 1 'No space left on device'
	# a second start with room goes on with the keys that are there
	mounted full 48 rw sh -c "'$BIN/signbox mesh -d full init; sha256sum full/authority/ca.key >sum; mv full/authority kept-full'" >out 2>&1
	mkdir went && cp -r kept-full went/authority && "$BIN/signbox" mesh -d went init >out 2>err &&
		[ "$(sha256sum <went/authority/ca.key | cut -c1-64)" = "$(cut -c1-64 sum)" ] && good went
	ok $? 'with room it goes on, with the same CA'
	mounted full 512 ro "$BIN/signbox" mesh -d full init >out 2>err
	rc=$?
	refused 'a read-only file system' 1 'Read-only file system'
else
	echo "# not run: full and read-only disks: $(cat err)"
fi

# ---- owners
if [ "$(id -u)" = 0 ] && chown 65532:65532 out 2>/dev/null; then
	chmod 711 . && mkdir -p own && cp "$BIN/signbox" own/
	made own/m --owner 65532:65532
	[ "$(find own/m -printf '%U:%G\n' | sort -u)" = 65532:65532 ]
	ok $? 'root gives all to --owner'
	mesh -d own/m init
	[ $rc = 0 ] && [ "$(find own/m -printf '%U:%G\n' | sort -u)" = 65532:65532 ] && good own/m
	ok $? 'and later to the owner of the directory'
	setpriv --reuid 65532 --regid 65532 --clear-groups own/signbox mesh -d own/m init >out 2>err
	ok $? 'who goes on without root'
	setpriv --reuid 65533 --regid 65533 --clear-groups own/signbox mesh -d own/m init >out 2>err
	rc=$?
	[ $rc != 0 ] && [ "$(wc -l <err)" = 1 ] && grep -Eq 'Permission denied|belongs to uid 65532' err
	ok $? 'another user is refused'
	mkdir -p own/n/authority && chmod 777 own/n own/n/authority
	setpriv --reuid 65533 --regid 65533 --clear-groups own/signbox mesh -d own/n init >out 2>err
	rc=$?
	refused "somebody else's directory" 3 'belongs to uid 0 and this runs as uid 65533'
	chown 0:0 own/m/hsm/device_key
	setpriv --reuid 65532 --regid 65532 --clear-groups own/signbox mesh -d own/m init >out 2>err
	rc=$?
	refused "somebody else's file" 3 'device_key belongs to uid 0'
	mesh -d own/m check
	[ $rc = 1 ] && grep -q 'belongs to uid 0, not 65532' out
	ok $? 'check tells it'
	# root is at work there, and who owns it puts a link in its way, to where only root may write
	mesh -d own/m init
	mkdir elsewhere && chmod 711 .
	cat >own/swap <<-'END'
		cd "$1/own/m" && old=$(stat -c %i authority/mesh.json)
		for ((i = 0; i < 5000; i++)); do
			[ "$(stat -c %i authority/mesh.json 2>/dev/null || echo "$old")" = "$old" ] || break
		done
		mv nats-1 away && ln -s "$1/elsewhere" nats-1
	END
	setpriv --reuid 65532 --regid 65532 --clear-groups bash own/swap "$PWD" &
	swap=$!
	timeout 60 strace -f -qq -o strace -e trace=rename -e inject=rename:delay_exit=300000 \
		"$BIN/signbox" mesh -d own/m user add carol >out 2>err
	rc=$?
	wait $swap
	[ -L own/m/nats-1 ] && [ $rc != 0 ] && [ "$(wc -l <err)" = 1 ] && [ -z "$(ls elsewhere)" ]
	ok $? 'root does not follow a link that comes in its way'
	rm own/m/nats-1 && mv own/m/away own/m/nats-1
	mesh -d own/m init
	[ $rc = 0 ] && good own/m && [ -s own/m/box/carol.nk ]
	ok $? '… and goes on when it is gone'
	setpriv --reuid 65532 --regid 65532 --clear-groups own/signbox mesh -d own/q init --owner 0:0 >out 2>err
	rc=$?
	refused 'only root gives files away' 4 'only root can give files'
else
	made m
	mesh -d m init --owner 65532:65532
	refused 'who cannot give files away says so' 1 'to 65532:65532'
fi

# ---- users
made m
mesh -d m user add carol --plain
[ $rc = 0 ] && good m && grep -q 'SIGHUP' err && [ -s m/box/carol.nk ] && grep -q '"carol", .*role: operator, plain: on' m/box/setup.yaml &&
	[ "$(grep -c "hsm.as.$("$BIN/signbox" nk -inkey m/box/carol.nk -pubout)" m/nats-3/accounts.conf)" = 1 ]
ok $? 'user add'
cp m/box/carol.nk carol0
mesh -d m user add carol
refused 'a user who is there' 6 "there is a user 'carol' already"
mesh -d m user add dave --role administrator
mesh -d m user ls
[ "$(awk '{print $1, $2, $3}' out | paste -sd,)" = 'Name Role Plain,admin administrator off,alice operator on,carol operator on,dave administrator off' ]
ok $? 'user ls'
mesh -d m user ls --json
jq -e '.[2] | .name == "carol" and .plain and (.nkey | startswith("U"))' out >/dev/null
ok $? 'user ls --json'
mesh -d m user set carol --plain=off
[ $rc = 0 ] && good m && ! grep -q "hsm.as.$("$BIN/signbox" nk -inkey carol0 -pubout)" m/nats-1/accounts.conf && cmp carol0 m/box/carol.nk 2>>err
ok $? 'user set: without the plain surface, with the same key'
mesh -d m init --user carol --user erin:plain
[ $rc = 0 ] && good m && [ -s m/box/erin.nk ] && cmp carol0 m/box/carol.nk 2>>err
ok $? 'init adds users, and keeps those that are there'
mesh -d m user rm carol erin
[ $rc = 0 ] && good m && [ -z "$(find m -name 'carol*' -o -name 'erin*')" ] && ! grep -q carol m/nats-*/accounts.conf m/box/setup.yaml
ok $? 'user rm'
mesh -d m user rm carol
refused 'a user who is not there' 5 "no user 'carol'"
mesh -d m user rm admin dave
refused 'the last administrators' 6 'the last administrator stays'
mesh -d m user add carol
[ $rc = 0 ] && good m && ! cmp -s carol0 m/box/carol.nk
ok $? 'who comes again gets another key'
made m --auth jwt
mesh -d m user add carol --plain
[ $rc = 0 ] && good m && ! grep -q SIGHUP err && [ -s m/box/carol.creds ]
ok $? 'jwt: the servers need not know of a new user'
mesh -d m user set carol --plain=off
[ $rc = 0 ] && good m && grep -q SIGHUP err
ok $? 'jwt: but of what he may no longer do'
# claims OF-TOKEN
claims() { cut -d. -f2 | tr '_-' '/+' | python3 -c 'import base64, sys; t = sys.stdin.read().strip(); print(base64.b64decode(t + "=" * (-len(t) % 4)).decode())'; }
hsm_account() { grep -A1 '# HSM' m/nats-1/accounts.conf | tail -1 | sed 's/.*: //' | claims; }
pub=$("$BIN/signbox" nk -inkey m/box/carol.nk -pubout)
hsm_account >account
sed -n 2p m/box/carol.creds | claims >carol
jq -e --arg u "$pub" --slurpfile c carol '.nats.revocations[$u] | . != null and . < $c[0].iat' account >out && jq -e '(.nats.pub // {}) == {} and (.nats.subs // 0) == 0' carol >out
ok $? 'jwt: the token before is revoked, the new one is not, and has no rights of its own'
jq -e '[.nats.signing_keys[] | .role] | sort == ["monitor", "plain", "service", "session"]' account >out &&
	jq -e '.nats.signing_keys[] | select(.role == "plain") | .template | .pub.allow == ["hsm.open.>", "hsm.i.*.{{subject()}}", "hsm.as.{{subject()}}.>"] and .sub.allow == ["_INBOX.{{subject()}}.>"]' account >out
ok $? 'jwt: scoped signing keys with the templates'
mesh -d m user rm carol
hsm_account | jq -e --arg u "$pub" --slurpfile c carol '.nats.revocations[$u] >= $c[0].iat' >out && good m && [ -z "$(find m -name 'carol*')" ]
ok $? 'jwt: user rm revokes'

# ---- interrupted: killed at each step that changes something on the disk
keys() { (cd k 2>/dev/null && [ -d authority ] && find authority \( -name '*.nk' -o -name '*key' -o -name "*pass*" \) ! -name "*.tmp-*" -exec sha256sum {} +); }
interrupted() { # CALLS N ARG…: mesh ARG… killed before its N-th of these calls; k.out
	# the shell that tells of it is not this one
	(
		timeout 60 strace -f -qq -o strace -e trace="$1" -e inject="$1:signal=KILL:when=$2" \
			"$BIN/signbox" mesh -d k "${@:3}" >k.out 2>&1
		exit $?
	) 2>/dev/null
}
points() { # CALLS: mesh STEP killed before its N-th of them, N from 1 on, until it ends by itself
	local n=0 status
	while :; do
		n=$((n + 1))
		rm -rf k
		"${before[@]}"
		interrupted "$1" $n "${step[@]}"
		status=$?
		cat k.out >>said
		[ $status != 0 ] || break
		[ $status = 137 ] || { echo "# $1 $n: status $status: $(cat k.out)" && return 1; }
		keys >keys0
		"$BIN/signbox" mesh -d k "${again[@]}" >k.out 2>&1 || { echo "# $1 $n: $(cat k.out)" && return 1; }
		cat k.out >>said
		good k || { echo "# $1 $n: $(cat check)" && return 1; }
		keys >keys1
		if [ "${step[0]}" = init ] && grep -vxFf keys1 keys0 >lost; then
			echo "# $1 $n: a key was replaced: $(cat lost)"
			return 1
		fi
		"${after[@]}" || { echo "# $1 $n: afterwards: $(cat check)" && return 1; }
		[ $n -lt 400 ] || { echo "# $1: no end" && return 1; }
	done
	echo "# $1: killed $((n - 1)) times"
	[ $n -gt 2 ]
}
killed() { # CALLS NAME
	points "$1"
	ok $? "$2"
}
before=(true) after=(true) step=(init --auth jwt) again=(init --auth jwt)
for calls in fsync rename,renameat2 mkdir,fchmod; do
	killed $calls "killed at each $calls of init: the next start goes on"
done
copy() { cp -r m k; }
before=(copy) step=(user rm alice) again=(init)
# either he is there, or nothing of him; and who is added again has another key
no_old_key() {
	[ ! -e k/box/alice.nk ] || "$BIN/signbox" mesh -q -d k user rm alice >>k.out || return 1
	[ -z "$(find k -name 'alice*')" ] && "$BIN/signbox" mesh -q -d k user add alice >>k.out &&
		good k && ! cmp -s m/box/alice.nk k/box/alice.nk
}
after=(no_old_key)
killed fsync,unlink 'killed while a user is removed: the next start ends it, or he is still there'
points_add() { # interrupted, then added at once: a key that is revoked is not taken up
	local n
	for n in $(seq 1 40); do
		rm -rf k && copy
		interrupted fsync,unlink "$n" user rm alice && break
		"$BIN/signbox" mesh -q -d k user add alice >k.out 2>&1
		case $? in
		0) good k && ! cmp -s m/box/alice.nk k/box/alice.nk && ! cmp -s m/box/alice.creds k/box/alice.creds || return 1 ;;
		6) grep "there is a user 'alice' already" k.out && cmp m/box/alice.nk k/box/alice.nk || return 1 ;;
		*) return 1 ;;
		esac
	done
	[ "$n" -gt 2 ]
}
points_add >log 2>&1
ok $? 'killed while a user is removed, who is added again at once'
step=(user set alice --plain=off) again=(user set alice --plain=off) after=(true)
killed fsync 'killed while a user is changed'

# ---- several at once
rounds=0
for _ in 1 2 3; do
	rm -rf m
	pids=
	for j in 1 2 3 4; do
		"$BIN/signbox" mesh -d m init --auth jwt >out.$j 2>err.$j &
		pids="$pids $!"
	done
	bad=0
	for p in $pids; do wait "$p" || bad=1; done
	cat out.? err.? >>said
	cat err.? >err
	[ $bad = 0 ] && good m && [ "$(grep -h -o '[0-9]* files written' out.? | grep -vc '^0 ')" = 1 ] || break
	rounds=$((rounds + 1))
done
[ $rounds = 3 ]
ok $? 'four at once: one makes it, the others find it'
flock m/authority sleep 1 &
sleep 0.2
mesh -d m init
wait $!
[ $rc = 0 ] && grep -q 'another mesh is at work' err
ok $? 'who waits says so'

# ---- nothing secret was ever printed
: >err
for d in m m-* l-* s went; do
	[ -d $d ] || continue
	find $d \( -name '*.nk' -o -name device_key -o -name unlock_passphrase -o -name route_password \) -exec cat {} + | grep -E '.{16}' >secrets
	grep -hv -- ----- $d/nats-*/key.pem $d/authority/ca.key >>secrets
	grep -Fqf secrets said && echo "of $d" >>err
done
[ -s said ] && [ -s secrets ] && [ ! -s err ]
ok $? 'no secret in any output'
head -1 secrets >>said
grep -Fqf secrets said
ok $? 'self-check: one would be found'

# ---- pause
for sig in TERM INT; do
	"$BIN/signbox" pause >out 2>err &
	pid=$!
	sleep 0.2
	kill -$sig $pid
	wait $pid
	ok $? "pause ends with SIG$sig, status 0"
done
bash -c 'sleep 0.3 & echo $! >child; exec "$BIN/signbox" pause' &
pid=$!
for _ in $(seq 100); do
	[ -s child ] && [ ! -e "/proc/$(cat child)" ] && break
	sleep 0.1
done
[ ! -e "/proc/$(cat child)" ] && kill -0 $pid
ok $? 'pause reaps what is left to it'
kill $pid
wait $pid
timeout 20 "$BIN/signbox" pause x >out 2>err
[ $? = 2 ] && [ "$(wc -l <err)" = 1 ]
ok $? 'pause takes no operand'
echo "1..$n"
