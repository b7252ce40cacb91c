#!/bin/bash
# What stands in the way of a start: secrets, volumes, certificates, servers. Each gives one
# line for people, printed here as "# line: …", and the documented status; what may get better
# by itself is waited for.
# shellcheck source=tests/e2e/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"

more_pids=()
at_exit() {
	local p
	for p in "${more_pids[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	cleanup
}
trap at_exit EXIT

# runs hsmd to its end, as uid 65532 where RUNAS is set; $rc, $W/err, $line
RUNAS=()
attempt() {
	timeout 120 "${RUNAS[@]}" env "$@" "$BIN/hsmd" -c "$W/hsm.yaml" run >"$W/out" 2>"$W/err" </dev/null
	rc=$?
	line=$(grep -E '^hsmd: |level=error' "$W/err" | head -1)
}

# refused STATUS PATTERN NAME [VAR=VALUE…]: one error line that says PATTERN, that status
refused() {
	local want=$1 pattern=$2 name=$3
	shift 3
	attempt "$@"
	TAP_N=$((TAP_N + 1))
	if [ "$rc" = "$want" ] && grep -Eq -- "$pattern" <<<"$line" &&
		[ "$(grep -cE '^hsmd: |level=(error|warn)' "$W/err")" = 1 ]; then
		echo "ok $TAP_N - $name"
	else
		echo "not ok $TAP_N - $name"
		printf '%s\n' "status $rc, expected $want; the line should say: $pattern" | cat - "$W/err" | sed 's/^/# /'
	fi
	echo "# line: $line (status $rc)"
}

# log lines from here on
mark() { log_from=$(($(wc -l <"$W/hsm.log") + 1)); }
new_log() { tail -n "+$log_from" "$W/hsm.log"; }
logged() { new_log | grep -Eq -- "$1"; }

# begin [VAR=VALUE…]: hsmd in the background; end: stopped, and how
begin() {
	touch "$W/hsm.log"
	mark
	env "$@" "$BIN/hsmd" -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1 &
	HSM_PID=$!
}

# waits PATTERN HEALTH NAME [VAR=VALUE…]: it runs on, one line says PATTERN, and health HEALTH
waits() {
	local pattern=$1 want=$2 name=$3
	shift 3
	begin "$@"
	ok "$name" wait_for 12 logged "level=warn .*servers=.*$pattern"
	echo "# line: $(new_log | grep level=warn | head -1)"
	is '… once' "$(new_log | grep -c 'servers=')" 1
	ok '… and health knows it' wait_for 3 health_says "nats_why=$want "
	echo "# health: $(health 2>&1 | tail -1)"
	stop_hsm
	is '… it stops at once' $? 0
}
health_says() { health 2>/dev/null | grep -q -- "$1"; }

new_user hsm && new_user admin || bail 'no users'
NATS_PORT=$(free_port)
export NATS_URL=nats://127.0.0.1:$NATS_PORT
make_secrets
write_config

# ---- 1. secrets
mv "$W/device_key" "$W/key.away"
refused 2 "device key: $W/device_key is not there: put one there, made with 'openssl rand -base64 32'.*HSM_DEVICE_KEY" 'no device key'
mkdir "$W/device_key"
refused 2 'is a directory: it must be a file' 'a directory in its place'
rmdir "$W/device_key" && mkfifo -m 600 "$W/device_key"
refused 2 'is no regular file' 'a FIFO, which is not waited for'
rm "$W/device_key" && (umask 077 && : >"$W/device_key")
refused 2 'is empty' 'an empty one'
head -c 5000 /dev/urandom >"$W/device_key"
refused 2 'is larger than 128 bytes' 'a huge one'
head -c 31 /dev/urandom | base64 >"$W/device_key"
refused 2 'must hold 32 bytes in base64 or hex' 'one of the wrong length'
(cat "$W/key.away" && echo && echo) >"$W/device_key"
refused 2 'must hold 32 bytes in base64 or hex and no more' 'one with two line ends'
cp "$W/key.away" "$W/device_key"
for mode in 0602:changed 0620:changed 0604:read 0640:read; do
	chmod "${mode%:*}" "$W/device_key"
	refused 2 "can be ${mode#*:} by others .mode ${mode%:*}.: chmod 600" "mode ${mode%:*}"
done
chmod 600 "$W/device_key"
if [ "$(id -u)" = 0 ] && chown 65532 "$W/device_key" 2>/dev/null; then
	refused 2 'belongs to uid 65532, who can read and change it: chown it to uid 0' 'one that belongs to another user'
	chown 0 "$W/device_key"
fi
printf '%s\r\n' "$(cat "$W/key.away")" >"$W/device_key"
ok 'one line end, also of Windows, does not count' hsmd -c "$W/hsm.yaml" check-config
mkdir "$W/..data" && mv "$W/device_key" "$W/..data/device_key" && ln -s ..data/device_key "$W/device_key"
ok 'a symbolic link as Kubernetes makes it' hsmd -c "$W/hsm.yaml" check-config
rm "$W/device_key" && mv "$W/key.away" "$W/device_key"

printf 'short\n' >"$W/passphrase.short" && chmod 600 "$W/passphrase.short"
PASSPHRASE_FILE=$W/passphrase.short write_config
refused 2 'unlock passphrase: .*holds 5 bytes; a passphrase has 10 to 200' 'a passphrase that is too short'
refused 2 'unlock passphrase: UNLOCKPW holds 3 bytes' '… in the environment' UNLOCKPW=abc
PASSPHRASE_FILE=$W/none write_config
refused 2 'unlock passphrase: .*/none is not there: .*unlock_passphrase_file' 'a passphrase file that is not there'
write_config
refused 2 "nats.nkey: $W/none is not there: put a seed there, made with 'signbox nk -gen user'" 'no NKey' NATS_NKEY="$W/none"
sed -i '/nkey:.*hsm.nk/d' "$W/hsm.yaml"
refused 2 'nats.creds: .*is not there: put the service.s creds file there' 'no creds' NATS_CREDS="$W/none"
cp "$W/hsm.nk" "$W/open.nk" && chmod 644 "$W/open.nk"
refused 2 'nats.nkey: .*can be read by others' 'an NKey for everybody' NATS_NKEY="$W/open.nk"
echo hello >"$W/no.nk" && chmod 600 "$W/no.nk"
refused 2 'prog=hsm-front .*no.nk' 'an NKey file with something else' NATS_NKEY="$W/no.nk"
refused 2 'prog=hsm-front .*no.nk' 'a creds file with something else' NATS_CREDS="$W/no.nk"

# ---- 2. volumes
write_config
refused 2 'data: cannot use /proc/self/none' 'a data directory that cannot be made' HSM_DATA=/proc/self/none
: >"$W/file"
refused 2 "data: $W/file is no directory" 'a file in its place' HSM_DATA="$W/file"
refused 2 "anchor_file: .*cannot use $W/none" 'an anchor in no directory' HSM_ANCHOR="$W/none/anchor"
refused 2 'anchor_file: .*is a directory: name a file in it' 'a directory as anchor' HSM_ANCHOR="$W/anchor"
mkdir -p "$W/ro"
if mount --bind "$W/ro" "$W/ro" 2>/dev/null && mount -o remount,bind,ro "$W/ro" 2>/dev/null; then
	refused 2 "data: $W/ro is on a read-only file system: mount a volume there, without ro" 'a read-only volume' HSM_DATA="$W/ro"
	refused 2 "anchor_file: $W/ro is on a read-only" 'a read-only volume for the anchor' HSM_ANCHOR="$W/ro/anchor"
	umount "$W/ro"
else
	echo '# not here: mounts; tests/containers/start.t has the read-only volumes'
fi

# ---- 3. certificates and servers
ecdsa=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
ca() {
	openssl req -x509 "${ecdsa[@]}" -keyout "$W/$1.key" -out "$W/$1.pem" -subj "/CN=$1" -days 30 2>/dev/null
}
# leaf NAME CA SAN [NOT_BEFORE NOT_AFTER]: times as date(1) takes them
leaf() {
	openssl req -new "${ecdsa[@]}" -keyout "$W/$1.key" -out "$W/$1.csr" -subj "/CN=$1" 2>/dev/null
	openssl x509 -req -in "$W/$1.csr" -CA "$W/$2.pem" -CAkey "$W/$2.key" -out "$W/$1.pem" \
		-not_before "$(date -ud "${4:--1 hour}" +%Y%m%d%H%M%SZ)" \
		-not_after "$(date -ud "${5:-+1 day}" +%Y%m%d%H%M%SZ)" \
		-extfile <(echo "subjectAltName=$3") 2>/dev/null
}
# server CERT|- [more lines of its configuration]: on $NATS_PORT
server() {
	{
		cat "$W/nats.base"
		[ "$1" = - ] || echo "tls { cert_file: $W/$1.pem, key_file: $W/$1.key, ca_file: $W/ca.pem, timeout: 20${2:+, $2} }"
	} >"$W/nats.conf"
	run_nats
}
ca ca && ca other && leaf good ca IP:127.0.0.1,DNS:localhost && leaf old ca IP:127.0.0.1 '-2 days' '-1 hour' &&
	leaf future ca IP:127.0.0.1 '+1 hour' '+2 days' && leaf name ca DNS:elsewhere.example &&
	leaf stranger other IP:127.0.0.1 && leaf mine ca DNS:hsm || bail 'no certificates'
signbox nats-config --hsm "${NKEY[hsm]}" -u "${NKEY[admin]}" -l "127.0.0.1:$NATS_PORT" -o "$W/nats.base" || bail 'no configuration'
tls=(NATS_URL="tls://127.0.0.1:$NATS_PORT" NATS_CA="$W/ca.pem")

refused 2 "nats.cert: $W/old.pem: certificate expired on 20.*Z and the clock here says 20.*Z: renew it, or set the clock" \
	'an own certificate that expired' "${tls[@]}" NATS_CERT="$W/old.pem" NATS_KEY="$W/old.key"
refused 2 "nats.cert: $W/future.pem: certificate is valid only from 20.*Z and the clock here says 20.*Z: set the clock" \
	'one that is not valid yet: a clock an hour late' "${tls[@]}" NATS_CERT="$W/future.pem" NATS_KEY="$W/future.key"
refused 2 'certificate .* and key .* do not fit' 'key and certificate that do not fit' "${tls[@]}" NATS_CERT="$W/mine.pem" NATS_KEY="$W/good.key"
chmod 644 "$W/mine.key"
refused 2 'nats.key: .*can be read by others' 'a TLS key for everybody' "${tls[@]}" NATS_CERT="$W/mine.pem" NATS_KEY="$W/mine.key"
chmod 600 "$W/mine.key"
refused 2 'nats.ca: no certificate in|no usable CA certificate' 'a CA file with something else' "${tls[@]}" NATS_CA="$W/mine.key"

waits "127.0.0.1:$NATS_PORT: .*it refuses connections" UNAVAILABLE 'nobody listens there'
waits 'nosuch.invalid:4222: no address is known for this name' UNKNOWN_HOST 'a name that nobody knows' NATS_URL=nats://nosuch.invalid:4222
server good 'verify: true'
waits 'wants a certificate of ours: set nats.cert and nats.key' TLS 'a server that wants a certificate' "${tls[@]}"
waits 'refuses our certificate' CERT_UNTRUSTED 'an own certificate of another CA' "${tls[@]}" NATS_CERT="$W/stranger.pem" NATS_KEY="$W/stranger.key"
stop_nats
server old
waits "certificate expired on 20.*Z and the clock here says" CERT_EXPIRED "a server's certificate that expired" "${tls[@]}"
stop_nats
server future
waits "certificate is valid only from 20.*: set the clock" CERT_EARLY "a server's that is not valid yet" "${tls[@]}"
stop_nats
server name
waits 'certificate is for another name' CERT_UNTRUSTED 'one for another name' "${tls[@]}"
stop_nats
server stranger
waits 'certificate is of no CA that we trust.*set nats.ca to the CA that signed it' CERT_UNTRUSTED 'one of another CA' "${tls[@]}"
stop_nats
server good
cp "$W/other.pem" "$W/renewed.pem"
begin "${tls[@]}" NATS_CA="$W/renewed.pem"
ok 'a CA of before' wait_for 10 logged 'certificate is of no CA'
cp "$W/ca.pem" "$W/renewed.new" && mv "$W/renewed.new" "$W/renewed.pem"
ok '… is renewed: it connects without a restart of hsmd' wait_for 15 health
stop_hsm
stop_nats
server stranger
waits 'certificate is of no CA that we trust' CERT_UNTRUSTED 'TLS that only the server asks for'
stop_nats
server -
waits 'offers no TLS' TLS 'a server without TLS' "${tls[@]}"
waits 'ends TLS|speaks no TLS|offers no TLS' TLS 'TLS where the server has none' "${tls[@]}"
new_user stranger
waits 'refuses our credentials' DENIED 'an NKey that the server does not know' NATS_NKEY="$W/stranger.nk"
stop_nats

# a server that speaks no NATS, one that says nothing, one that hangs up: Python's
fake() { # WHAT
	python3 -c '
import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[2])))
keep = []
while True:
    c, _ = s.accept()
    if sys.argv[1] == "http": c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    if sys.argv[1] == "mute": keep.append(c)
    else: c.close()' "$1" "$NATS_PORT" &
	NATS_PID=$!
	wait_for 10 port_open "$NATS_PORT"
}
fake http
waits 'is no NATS server' NOT_NATS 'a server that speaks something else'
stop_nats
fake mute
waits 'takes connections but says nothing: is that a NATS server' NOT_NATS 'one that says nothing'
stop_nats
fake close
waits 'closes the connection at once' UNAVAILABLE 'one that hangs up'
stop_nats

# ---- 4. user JWTs
nsc() { signbox nsc -H "$W/nsc" "$@" >/dev/null 2>&1; }
nsc add operator O && nsc add account A && nsc add user late --expiry 2020-01-01 && nsc add user early --start 1h &&
	signbox nsc -H "$W/nsc" generate creds -n late -o "$W/late.creds" >/dev/null 2>&1 &&
	signbox nsc -H "$W/nsc" generate creds -n early -o "$W/early.creds" >/dev/null 2>&1 || bail 'no creds'
chmod 600 "$W"/*.creds
sed -i '/nkey:.*hsm.nk/d' "$W/hsm.yaml"
refused 2 "$W/late.creds: its user JWT expired on 2020-01-01.* and the clock here says 20.*: renew it, or set the clock" 'a user JWT that expired' NATS_CREDS="$W/late.creds"
refused 2 "$W/early.creds: its user JWT is of 20.* and the clock here says 20.*: set the clock" 'one of the future: a clock an hour late' NATS_CREDS="$W/early.creds"
write_config

# ---- 5. it waits for NATS, and a seed server may be down
begin
ok 'without NATS it starts' wait_for 10 logged 'state=unprovisioned'
is '… and is not healthy' "$(health 2>/dev/null | grep -o 'nats=[a-z]*')" nats=down
server -
ok 'and it is healthy when NATS comes' wait_for 15 health
stop_hsm
begin NATS_URL="nats://127.0.0.1:1,nats://nosuch.invalid:1,$NATS_URL"
ok 'two of three servers are not there: it is healthy' wait_for 15 health
ok '… and it says which, in one line' wait_for 10 logged 'level=warn .*servers that cannot be used.*127.0.0.1:1: it refuses.*nosuch.invalid:1: no address'
echo "# line: $(new_log | grep level=warn)"
is '… once' "$(new_log | grep -c level=warn)" 1
mark
stop_nats
ok 'the server goes: one line with all three' wait_for 20 logged 'trying on.*; .*; .*: it refuses'
echo "# line: $(new_log | grep 'trying on')"
server -
ok '… and connects again when it comes back' wait_for 20 health
is '… after that one line' "$(new_log | grep -c 'trying on')" 1

# ---- 6. a second HSM on the same data
first=$HSM_PID
refused 7 "another hsmd runs on $W/data: stop it, or give this one a directory of its own" 'a second HSM on the same volume'
ok '… does not disturb the first' health
HSM_PID=$first
stop_hsm

echo "1..$TAP_N"
