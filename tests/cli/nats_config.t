#!/bin/bash
# nats-config: what it writes is taken by the real nats-server, and that one permits
# what it should and nothing more.
# shellcheck disable=SC2016 # $SRV is a subject
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
pid=
stop() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null
	pid=
}
at_end() { stop; }

conf() { # ARG…: nats-config ARG…; out, err, rc
	timeout 20 "$BIN/signbox" nats-config "$@" >out 2>err
	rc=$?
}

accepted() { # NAME: the last output is a configuration that nats-server takes
	local r=$rc
	cp out conf.$n
	[ "$r" = 0 ] && nats-server -t -c conf.$n >out 2>err
	ok $? "$1"
}

refused() { # NAME STATUS TEXT: one line on stderr, nothing on stdout
	[ "$rc" = "$2" ] && [ "$(wc -l <err)" = 1 ] && grep -qF -- "$3" err && [ ! -s out ]
	ok $? "$1"
}

declare -A K=()
for name in hsm alice bob carol mon; do
	"$BIN/signbox" nk -gen user >$name.nk
	K[$name]=$("$BIN/signbox" nk -inkey $name.nk -pubout)
done
X=$("$BIN/signbox" nk -gen curve -pubout | tail -1)
port=$((10240 + RANDOM % 22528))

# ---- configurations that must be taken
conf --hsm "${K[hsm]}"
accepted 'the least'
conf --hsm "${K[hsm]}" -u "${K[alice]}" -u "${K[bob]}:plain" -m "${K[mon]}" --identity "$X" \
	--listen "127.0.0.1:$port" --http 127.0.0.1:8222 --name a-b --max-payload 2097152
accepted 'everything but TLS'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=t -keyout k.pem \
	-out c.pem -days 2 2>/dev/null
conf --hsm "${K[hsm]}" --tls-cert c.pem --tls-key k.pem --tls-ca c.pem
accepted 'TLS with client certificates'
conf --hsm "${K[hsm]}" -u "${K[alice]}" -o written
[ $rc = 0 ] && [ ! -s out ] && nats-server -t -c written >/dev/null 2>&1
ok $? '-o writes the file'
nats-server -t -c "$SRC/nats/example.conf" >out 2>err
ok $? 'nats/example.conf is taken'
# It is what the command of nats/README.md writes.
# shellcheck disable=SC2046 # the words of the command
conf $(sed -n 's/^# nats-config //p' "$SRC/nats/example.conf")
diff <(grep -v '^# nats-config' "$SRC/nats/example.conf") out >err
ok $? 'nats/example.conf is what its command writes'
secrets='^[^#]*password|(^|[^A-Z2-7])S[UAONCX][A-Z2-7]{56}'
! grep -iE "$secrets" "$SRC"/nats/* >err && [ "$(cat hsm.nk <(echo 'password: x') | grep -ciE "$secrets")" = 2 ]
ok $? 'no password and no seed in nats/'
echo 'listen: "x' >broken.conf
! nats-server -t -c broken.conf >/dev/null 2>&1
ok $? 'self-check: nats-server refuses a broken file'

# ---- refusals
conf
refused 'without the service' 2 '--hsm is missing'
conf --hsm "$X"
refused 'an identity is no user' 9 '--hsm: this is a key of kind curve'
conf --hsm "${K[hsm]}" -u "${K[hsm]}"
refused 'one key for the service and a user' 2 'is given twice'
conf --hsm "${K[hsm]}" -u "${K[alice]}" -m "${K[alice]}"
refused 'one key twice' 2 'is given twice'
conf --hsm "${K[hsm]}" -u "${K[alice]}:Plain"
refused 'a misspelt :plain' 2 "only ':plain'"
conf --hsm "${K[hsm]}" -u "${K[alice]/U/A}"
refused 'a mistyped key' 9 '--user number 1: not an NKey'
conf --hsm "$(cat hsm.nk)"
refused 'a seed' 9 '--hsm: not an NKey'
! grep -q "$(cut -c1-20 hsm.nk)" err
ok $? 'and the seed is not repeated'
conf --hsm "${K[hsm]}" --tls-cert c.pem
refused 'a certificate without its key' 2 'belong together'
conf --hsm "${K[hsm]}" --listen 4222
refused 'an address without host' 2 'HOST:PORT'
conf --hsm "${K[hsm]}" --listen 127.0.0.1:99999
refused 'a port that is none' 2 'HOST:PORT'
conf --hsm "${K[hsm]}" --name $'x"\nauthorization{}'
refused 'a name that would write configuration' 2 'bad character'
conf --hsm "${K[hsm]}" --name 'a b'
refused 'a name that nats-server would not take' 2 '--name takes no blanks'
conf --hsm "${K[hsm]}" --identity "${K[alice]}"
refused 'a user is no identity' 9 '--identity'
conf --hsm "${K[hsm]}" -o /nonexistent/f
refused 'a place that cannot be written' 1 '/nonexistent'

# ---- permissions, asked of a running server over the bare protocol
conf --hsm "${K[hsm]}" -u "${K[alice]}" -u "${K[bob]}:plain" -m "${K[mon]}" --listen "127.0.0.1:$port"
cp out run.conf
nats-server -c run.conf >server.log 2>&1 &
pid=$!
for _ in $(seq 100); do
	(exec 5<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
	sleep 0.1
done

# session NAME LINE…: connects with NAME.nk, sends the lines, prints what comes back
session() {
	local name=$1 info nonce
	shift
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return
	read -r info <&3
	nonce=${info#*'"nonce":"'}
	printf %s "${nonce%%'"'*}" >nonce
	trap '' PIPE # the server hangs up on who it does not know
	printf 'CONNECT {"verbose":false,"pedantic":false,"nkey":"%s","sig":"%s","headers":true,"no_responders":true,"lang":"sh","version":"1","protocol":1}\r\n' \
		"${K[$name]}" "$("$BIN/signbox" nk -sign nonce -inkey "${SEED:-$name.nk}")" >&3
	printf '%s\r\n' "$@" PING >&3 2>/dev/null
	while read -r -t 10 info <&3; do
		[[ $info == PONG* ]] && break
		[[ $info == INFO* ]] || printf '%s\n' "${info%$'\r'}"
	done >out 2>/dev/null
	exec 3>&-
}

may() { # NAME pub|sub SUBJECT
	if [ "$2" = pub ]; then session "$1" "PUB $3 1" x; else session "$1" "SUB $3 1"; fi
	! grep -q . out
	ok $? "$1 may $2 $3"
}
may_not() { # NAME pub|sub SUBJECT
	if [ "$2" = pub ]; then session "$1" "PUB $3 1" x; else session "$1" "SUB $3 1"; fi
	grep -q 'Permissions Violation' out
	ok $? "$1 may not $2 $3"
}

a=${K[alice]} b=${K[bob]}
: >err
may alice pub "hsm.open.$X"
may alice pub "hsm.i.inst.$a"
may alice sub "_INBOX.$a.>"
may_not alice pub "hsm.i.inst.$b"
may_not alice pub "hsm.as.$a.sign.k"
may_not alice pub "_INBOX.$b.x"
may_not alice pub "\$SRV.PING"
may_not alice sub "_INBOX.$b.>"
may_not alice sub '_INBOX.>'
may_not alice sub 'hsm.>'
may_not alice sub '>'
may bob pub "hsm.as.$b.sign.k"
may_not bob pub "hsm.as.$a.sign.k"
may hsm sub "hsm.i.inst.*"
may hsm sub "hsm.open.$X"
may hsm sub '$SRV.PING'
may hsm pub "_INBOX.$a.x"
may hsm pub '_R_.x'
may_not hsm pub "hsm.as.$b.sign.k"
may_not hsm pub "hsm.open.$X"
may_not hsm sub "_INBOX.$a.>"
may mon pub '$SRV.STATS'
may mon sub "_INBOX.${K[mon]}.>"
may_not mon pub "hsm.open.$X"
K[mallory]=${K[alice]}
SEED=bob.nk session mallory "PUB hsm.open.$X 1" x
grep -q 'Authorization Violation' out
ok $? 'a key without its seed does not connect'
SEED=carol.nk session carol "PUB hsm.open.$X 1" x
grep -q 'Authorization Violation' out
ok $? 'a stranger does not connect'
stop
echo "1..$n"
