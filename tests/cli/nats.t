#!/bin/bash
# nats where no server is needed: help, usage, contexts, keys, passwords, checks of creds.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
export HOME=$W TZ=UTC LANG=C.UTF-8
unset NATS_URL NATS_CONTEXT
nats() { timeout 20 "$BIN/signbox" nats "$@"; }
says() { # NAME PATTERN COMMAND…
	local name=$1 want=$2 out rc
	shift 2
	out=$("$@" 2>&1 </dev/null)
	rc=$?
	TAP_N=$((TAP_N + 1))
	if [ $rc = 0 ] && grep -Eq -- "$want" <<<"$out"; then echo "ok $TAP_N - $name"; else
		printf 'not ok %d - %s\n' "$TAP_N" "$name"
		printf '%s\n' "exit $rc" "$out" | sed 's/^/# /'
	fi
}
bad() { # NAME PATTERN COMMAND…: status 1, one line "nats: error: …", nothing on stdout
	local name=$1 want=$2
	shift 2
	"$@" >"$W/1" 2>"$W/2" </dev/null
	is "$name" "$?:$(wc -c <"$W/1"):$(wc -l <"$W/2"):$(grep -cE -- "^nats: error: .*$want" "$W/2")" 1:0:1:1
	grep -qE -- "$want" "$W/2" || sed 's/^/# /' "$W/2"
}

says 'help lists the commands' '^  publish SUBJECT' nats --help
says 'help of a group' 'check connection' nats server --help
says 'help of a command has examples' 'nats pub test --count 10' nats pub --help
says 'aliases' 'Usage: nats publish' nats help pub
ok 'every command has a line of help' sh -c "'$BIN/signbox' nats --help-json | jq -e '[.commands[] | select((.help // \"\") == \"\")] | length == 0'"
ok 'every option too' sh -c "'$BIN/signbox' nats --help-json | jq -e '[.commands[].options[], .options[] | select((.help // \"\") == \"\")] | length == 0'"
ok 'no command twice' sh -c "'$BIN/signbox' nats --help-json | jq -e '[.commands[].path] | length == (unique | length)'"
ok 'no letter twice in a command' sh -c "'$BIN/signbox' nats --help-json | jq -e '
	[.options[].letter] as \$g | [.commands[] | select(([.options[].letter] + \$g | map(select(. != null)) | length != (unique | length)))] | length == 0'"
bad 'no command' 'a command is missing' nats
bad 'no command of a group' "a command is missing after 'server check'" nats server check
bad 'an unknown one' "unknown command 'servr'" nats servr
bad 'an unknown option' "unknown option '--nope'" nats pub --nope x
bad 'a missing operand' 'missing operand' nats pub
bad 'one too many' 'unexpected operand' nats pub a b c
bad 'a number that is none' 'needs a number' nats pub a b --count x
bad 'a duration that is none' "invalid duration '5'" nats pub a b --timeout 5
bad 'a duration of zero' 'above zero' nats pub a b --timeout 0s
bad '--send-on' 'one of newline,eof' nats pub a --send-on never
bad 'two times of a schedule' 'mutually exclusive' nats pub a b --schedule-dest c --schedule-after 1s --schedule-every 1s
bad 'subjects and a durable' 'cannot specify both' nats sub a --durable d
bad 'a check without its stream' 'required flag --stream' nats server check stream
bad 'a format that is none' 'nagios,json,prometheus,text' nats server check credential --credential x --format xml

# ---- contexts
says 'no context' '^No known contexts$' nats ctx ls
bad 'none is selected' 'no default context' nats ctx info
# shellcheck disable=SC2088 # for nats to expand
ok 'add' nats ctx add prod --server nats://n1,nats://n2 --creds '~/c.creds' --description 'the one'
mkdir -p "$W/d" && cp "$W/config/nats/context/prod.json" "$W/d/file.json"
is 'show by JSON' "$(nats ctx info prod --json | jq -r '.name,.url,.description' | tr '\n' '|')" 'prod|nats://n1,nats://n2|the one|'
says '~ is expanded, and a missing file told' "Credentials: $W/c.creds \(ERROR\)" nats ctx info prod
bad 'validate' 'validation failed' sh -c "'$BIN/signbox' nats ctx validate prod >/dev/null"
bad 'two kinds of credentials' 'too many types of credentials' nats ctx add two --nkey a --creds b
is 'are not written' "$(nats ctx ls --names)" prod
says 'a table' '│ prod │ the one +│' nats ctx ls
is 'select by a file' "$(nats --context "$W/d/file.json" pub a b 2>&1 | grep -c c.creds)" 1
says 'select' 'Context "prod"' nats ctx select prod
says 'is marked' 'prod\*' nats ctx ls
bad 'it cannot go' 'cannot remove the selected context' nats ctx rm prod
bad 'without a terminal nobody can say yes' 'terminal' sh -c "'$BIN/signbox' nats ctx unselect >/dev/null; '$BIN/signbox' nats ctx rm prod"
ok 'with force' nats ctx rm prod --force
bad 'and again' 'unknown context' nats ctx rm prod --force
is 'nothing is left' "$(find "$W/config/nats" -name '*prod*')" ''

# ---- keys
ok 'a seed in a file' nats auth nkey gen user --output "$W/u.nk"
is 'for its user only' "$(stat -c %a "$W/u.nk")" 600
is 'its public key' "$(nats auth nkey show "$W/u.nk" | cut -c1):$(nats auth nkey show "$W/u.nk" | wc -c)" U:57
printf data >"$W/data"
nats auth nkey sign "$W/data" "$W/u.nk" >"$W/sig"
is 'nk verifies what it signs' "$("$BIN/signbox" nk -verify "$W/data" -sigfile "$W/sig" -inkey "$W/u.nk")" 'Verified OK'
tr -- '-_' '+/' <"$W/sig" | tr -d '\n' >"$W/sig2" && echo '==' >>"$W/sig2"
says 'the older form of signatures verifies' '^Verified OK$' nats auth nkey verify "$W/data" "$W/sig2" "$W/u.nk"
head -c 40 "$W/sig" >"$W/sig3"
bad 'half a signature' 'signature verification failed' nats auth nkey verify "$W/data" "$W/sig3" "$W/u.nk"
bad 'a key that is none' 'data' nats auth nkey show "$W/data"
bad 'a user key seals nothing' 'curve' nats auth nkey seal "$W/data" "$W/u.nk" "$(nats auth nkey show "$W/u.nk")"
nats auth nkey gen curve --output "$W/x.nk"
X=$(nats auth nkey show "$W/x.nk")
nats auth nkey seal "$W/data" "$W/x.nk" "$X" --output "$W/sealed"
is 'seal and unseal' "$(nats auth nkey unseal "$W/sealed" "$W/x.nk" "$X")" data
nats auth nkey seal "$W/data" "$W/x.nk" "$X" --no-b64 --output "$W/raw"
is 'raw, with its mark in front' "$(head -c 4 "$W/raw"):$(wc -c <"$W/raw")" xkv1:48
is 'and back' "$(nats auth nkey unseal "$W/raw" "$W/x.nk" "$X" --no-b64)" data
bad 'what is not sealed' 'base64|sealed' nats auth nkey unseal "$W/data" "$W/x.nk" "$X"

# ---- passwords
says 'a bcrypt hash' '^\$2a\$11\$[./A-Za-z0-9]{53}$' nats server passwd --pass 'a long password'
says 'its cost' '^\$2a\$04\$' nats server passwd --pass 'a long password' --cost 4
says 'one that is made' '^Generated password: .{22}$' nats server passwd --generate --cost 4
bad 'too short' 'at least 10' nats server passwd --pass short
bad 'too long for bcrypt' '72 bytes' nats server passwd --pass "$(printf 'x%.0s' {1..73})"
bad 'without a terminal' 'password' nats server passwd
hash=$(nats server passwd --pass 'a long password' --cost 4)
is 'crypt agrees' "$(perl -e 'print crypt("a long password", $ARGV[0]) eq $ARGV[0] ? "yes" : "no"' "$hash")" yes
done_testing
