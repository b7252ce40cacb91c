#!/bin/bash
# hsmd's command line and configuration: what is refused, with which words and status.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# hsmd ARG…: a clean environment with $E's assignments; out, err, rc
E=()
hsmd() {
	timeout 20 env -i "${E[@]}" "$BIN/hsmd" "$@" >out 2>err
	rc=$?
}

refused() { # NAME STATUS TEXT: one line on stderr that has TEXT
	[ "$rc" = "$2" ] && [ "$(wc -l <err)" = 1 ] && grep -qF -- "$3" err
	ok $? "$1"
}

key() { head -c 32 /dev/urandom | base64; }

U1=UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4
U2=UAF7JVZRXJLGXNNVUWXJ5ZQUHPYZ2LPX6SMJ5ZAYVGTD5UXJDP4JMP2Z
if ! [ -x "$BIN/signbox" ] || ! "$BIN/signbox" nk -gen user >seed 2>/dev/null; then
	U2=
else
	chmod 600 seed
	U1=$("$BIN/signbox" nk -inkey seed -pubout)
	"$BIN/signbox" nk -gen user >seed2
	chmod 600 seed2
	U2=$("$BIN/signbox" nk -inkey seed2 -pubout)
fi

mkdir data secrets
key >secrets/key
chmod 600 secrets/key
base=(HSM_DATA="$tmp/data" HSM_DEVICE_KEY="$tmp/secrets/key")

# ---- words and help
E=()
hsmd --version
[ $rc = 0 ] && grep -q '^hsmd [0-9]' out
ok $? 'version'
hsmd --help
[ $rc = 0 ] && grep -q check-config out
ok $? 'help'
hsmd frobnicate
refused 'unknown command' 2 frobnicate
hsmd --frobnicate
refused 'unknown option' 2 frobnicate
hsmd health extra
refused 'operand too many' 2 extra

# ---- configuration file
hsmd check-config -c "$tmp/none.yaml"
refused 'file that is not there' 2 "$tmp/none.yaml"

printf 'data: %s\n\nworkerz: 3\n' "$tmp/data" >c.yaml
hsmd check-config -c c.yaml
refused 'unknown key, with its line' 2 "c.yaml:3: unknown key 'workerz'"
printf 'nats:\n  url: nats://h\n  pasword: x\n' >c.yaml
hsmd check-config -c c.yaml
refused 'unknown key below nats' 2 "c.yaml:3: unknown key 'pasword'"
printf 'workers: many\n' >c.yaml
hsmd check-config -c c.yaml
refused 'wrong type' 2 "c.yaml:1: 'workers' must be a whole number"
printf 'data: /d\nworkers: 33\n' >c.yaml
hsmd check-config -c c.yaml
refused 'number over its limit' 2 "c.yaml:2: 'workers' must be from 0 to 32"
printf 'landlock: maybe\n' >c.yaml
hsmd check-config -c c.yaml
refused 'word that is none of the choices' 2 "c.yaml:1: 'landlock' must be required or waived"
printf 'data: /a\ndata: /b\n' >c.yaml
hsmd check-config -c c.yaml
refused 'duplicate key' 2 'c.yaml:2:'
printf 'nats: [a]\n' >c.yaml
hsmd check-config -c c.yaml
refused 'a list where an object belongs' 2 "c.yaml:1: 'nats' must be"
printf 'data: "unfinished\n' >c.yaml
hsmd check-config -c c.yaml
refused 'no YAML' 2 'c.yaml:'
printf 'audit_mib: 600\nstore_map_mib: 1000\n' >c.yaml
hsmd check-config -c c.yaml
refused 'settings that do not fit together' 2 'audit_mib (600)'
head -c 300000 /dev/zero | tr '\0' '#' >c.yaml
hsmd check-config -c c.yaml
refused 'file too large' 2 'larger than'

# ---- administrators
printf 'bootstrap_admins:\n  - name: alice\n    nkey: %s\n  - bob=%sX\n' "$U1" "$U1" >c.yaml
hsmd check-config -c c.yaml
refused 'bad NKey of an administrator' 2 'c.yaml:4: administrator bob'
printf 'bootstrap_admins:\n  - nkey: SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4\n' >c.yaml
hsmd check-config -c c.yaml
refused 'a seed as an administrator' 2 'c.yaml:2:'
! grep -q SUAI err
ok $? 'the seed is not repeated'
printf 'bootstrap_admins:\n  - nkey: %s\n    role: x\n' "$U1" >c.yaml
hsmd check-config -c c.yaml
refused 'unknown key of an administrator' 2 "unknown key 'role'"
E=("${base[@]}" HSM_BOOTSTRAP_ADMINS="$U1,$U1")
hsmd check-config
refused 'administrator twice' 2 'HSM_BOOTSTRAP_ADMINS: administrators admin and admin-2 have the same NKey'
E=("${base[@]}" HSM_BOOTSTRAP_ADMINS="-x=$U1")
hsmd check-config
refused 'bad name of an administrator' 2 'HSM_BOOTSTRAP_ADMINS: administrator 1'
if [ -n "$U2" ]; then
	E=("${base[@]}" HSM_BOOTSTRAP_ADMINS="$U1,carol=$U2")
	hsmd check-config --json
	jq -e --arg want "admin=$U1,carol=$U2" '.bootstrap_admins.value == $want' out >/dev/null
	ok $? 'administrators of the environment'
fi

# ---- environment
E=("${base[@]}" HSM_WORKERS=x)
hsmd check-config
refused 'bad number in a variable' 2 'HSM_WORKERS must be a whole number'
E=("${base[@]}" DEBUG_LOG=perhaps)
hsmd check-config
refused 'bad boolean in a variable' 2 'DEBUG_LOG must be true or false'
printf 'workers: 5\nmax_message: 5000\nnats:\n  url: nats://file:1\n' >c.yaml
E=("${base[@]}" NATS_URL='nats://me:hunter2@env:2,tls://other' DEBUG_LOG= HSM_CONFIG=c.yaml)
hsmd check-config --json
[ $rc = 0 ] && jq -e '.workers == {"value": "5", "from": "file"} and .data.from == "environment" and
	.["nats.url"].from == "environment" and .debug_log.from == "default" and
	.health_socket.value == "'"$tmp"'/data/health.sock"' out >/dev/null
ok $? 'the environment wins over the file, an empty variable is none'
jq -e '.["nats.url"].value == "nats://…@env:2,tls://other"' out >/dev/null && ! grep -q hunter2 out
ok $? 'the password of a URL is not printed'
hsmd check-config
[ $rc = 0 ] && grep -q '^workers  *5  (file)$' out
ok $? 'table for people'
E=("${base[@]}" NATS_CREDS=/a NATS_NKEY=/b)
hsmd check-config
refused 'two kinds of credentials' 2 'both set'
E=("${base[@]}" NATS_CERT=/a)
hsmd check-config
refused 'certificate without key' 2 'belong together'
E=("${base[@]}" NATS_NKEY="$tmp/none")
hsmd check-config
refused 'credentials file that is not there' 2 "nats.nkey: $tmp/none is not there"
E=("${base[@]}" HSM_ANCHOR="$tmp/none/anchor")
hsmd check-config
refused 'anchor in no directory' 2 'anchor_file: cannot use'

# ---- device key
E=(HSM_DATA="$tmp/data" HSM_DEVICE_KEY="$tmp/secrets/none")
hsmd check-config
refused 'no device key' 2 "device key: $tmp/secrets/none is not there"
hsmd run
refused 'no start without one' 2 "device key: $tmp/secrets/none is not there"
! find data -mindepth 1 | grep -q .
ok $? 'and nothing was written'
bad_key() { # NAME TEXT: content of the file on stdin
	cat >secrets/bad
	chmod 600 secrets/bad
	E=(HSM_DATA="$tmp/data" HSM_DEVICE_KEY="$tmp/secrets/bad")
	hsmd run
	refused "$1" 2 "$2"
}
bad_key 'short device key' 'must hold 32 bytes' < <(key | head -c 40)
bad_key 'device key of 31 bytes' 'must hold 32 bytes' < <(head -c 31 /dev/urandom | base64)
bad_key 'empty device key' 'is empty' </dev/null
bad_key 'device key of zeros' 'zeros only' < <(head -c 32 /dev/zero | base64)
bad_key 'device key of zeros in hex' 'zeros only' < <(printf '%064d\n' 0)
bad_key 'long device key' 'larger than' < <(head -c 500 /dev/zero)
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >secrets/hex
chmod 600 secrets/hex
E=(HSM_DATA="$tmp/data" HSM_DEVICE_KEY="$tmp/secrets/hex")
hsmd check-config
ok $rc 'device key in hex'
chmod 644 secrets/hex
hsmd check-config
refused 'device key that others may read' 2 'can be read by others'
secret=$(key)
E=(HSM_DATA="$tmp/data" HSM_DEVICE_KEY="$secret")
hsmd check-config
refused 'the key itself in place of its path' 2 'is a key'
! grep -qF "$secret" err
ok $? 'and it is not printed'

# ---- passphrase
E=("${base[@]}" UNLOCKPW="$(printf '%0201d' 0)")
hsmd check-config
refused 'UNLOCKPW too long' 2 'UNLOCKPW is longer than 200'
printf 'unlock_passphrase_file: %s/none\n' "$tmp" >c.yaml
E=("${base[@]}" HSM_CONFIG=c.yaml)
hsmd check-config
refused 'passphrase file that is not there' 2 "unlock passphrase: $tmp/none is not there"
: >secrets/empty
chmod 600 secrets/empty
printf 'unlock_passphrase_file: %s/secrets/empty\n' "$tmp" >c.yaml
hsmd check-config
refused 'empty passphrase file' 2 'is empty'

# ---- without a running service
E=("${base[@]}")
hsmd health
refused 'health of none' 7 'hsmd does not run'
hsmd identity
refused 'identity before the first start' 7 'start the service once'
printf 'UABC\n' >data/identity
hsmd identity
refused 'identity file that holds something else' 9 "$tmp/data/identity"
rm data/identity
E=("${base[@]}" HSM_DATA=/proc/none)
hsmd run
[ $rc = 2 ] && grep -q 'data: cannot use /proc/none' err
ok $? 'a data directory that cannot be'
mkdir empty
printf 'bootstrap_admins: [%s]\nlibexec_dir: %s/empty\nnats: {url: "nats://u@127.0.0.1:1"}\n' "$U1" "$tmp" >c.yaml
E=("${base[@]}" HSM_CONFIG=c.yaml)
hsmd run
[ $rc = 1 ] && grep -q "cannot start $tmp/empty/hsm-keyd: No such file" err
ok $? 'executables that are not there'
[ ! -e data/health.sock ]
ok $? 'no socket is left'

# ---- the table, the example file
E=()
hsmd settings --json
jq -r '.[].key' out | sort >keys
# Its comments are prose, except those that look like "key: value" or "key:".
sed -nE -e 's/^(# )?([a-z_]+):( [^ ]+)?$/\2/p' -e 's/^  (# )?([a-z]+): [^ ]+$/nats.\2/p' \
	"$SRC/rootfs/hsm/etc/signbox/hsm.yaml" | grep -vx nats | sort >example
diff keys example >out
ok $? 'the example file has every setting and no other'
E=("${base[@]}")
hsmd check-config --no-secrets -c "$SRC/rootfs/hsm/etc/signbox/hsm.yaml"
ok $rc 'the example file is accepted'
E=()
hsmd settings
[ $rc = 0 ] && grep -q '^nats.url' out
ok $? 'settings for people'

# the first process of a container waits before it ends, but never for longer than it may
HSM_RESTART_DELAY=999 timeout -s TERM 2 unshare --user --map-root-user --pid --fork --kill-child "$BIN/hsmd" run >out 2>err
grep -q '^hsmd: HSM_RESTART_DELAY must be from 0 to 300$' err && grep -q ' seconds=5 setting="restart_delay' err
ok $? 'a delay that is refused is not kept'

echo "1..$n"
