#!/bin/bash
# nk and the multi-call binary: published vectors, Go's flag syntax, texts and statuses.
# shellcheck disable=SC2319 # ok takes the status of the condition before it
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

run() { # PROGRAM ARG…: out, err, rc
	timeout 30 "$@" >out 2>err
	rc=$?
}

gives() { # NAME STDOUT ARG…: nk ARG… prints exactly this and succeeds
	local name=$1 want=$2
	shift 2
	run "$BIN/signbox" nk "$@"
	[ $rc = 0 ] && [ "$(cat out)" = "$want" ] && [ ! -s err ]
	ok $? "$name"
}

fails() { # NAME TEXT ARG…: status 1, one line on stdout that begins with TEXT
	local name=$1 want=$2
	shift 2
	run "$BIN/signbox" nk "$@"
	[ $rc = 1 ] && [ "$(wc -l <out)" = 1 ] && [[ $(cat out) == "$want"* ]] && [ ! -s err ]
	ok $? "$name"
}

# ---- vectors of nats-io/nkeys and of another publisher
seed=SUAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZY
pub=UD466L6EBCM3YY5HEGHJANNTN4LSKTSUXTH7RILHCKEQMQHTBNLHJJXT
sig=0CK1XmkxNfUGfudxliWTWeoETgIo23m9qowS9yTfYFSrjR8HgAW63jQ3NxPU_jG38hZPW61IZSun37N690CkDg
echo $seed >u.nk
echo $pub >u.pub
echo $sig >u.sig
echo 'Hello World!' >msg
echo SUANNIZCTANZEW77UEJRG27W2FKBVE5F5R75OQPY5CIKIQFKKU6B6ICSC4 >v.nk
gives 'public key of a seed' $pub -inkey u.nk -pubout
gives 'public key of another seed' UD6RJ4LKRG7LSTKFG7CDJZH4UMAWULYTJF43XPOA2WENA6SQAHUBZK5C -inkey v.nk -pubout
gives 'signature of the published message' $sig -sign msg -inkey u.nk
gives 'flags with two dashes and =' $sig --sign=msg --inkey=u.nk
gives 'verify with the seed' 'Verified OK' -verify msg -sigfile u.sig -inkey u.nk
gives 'verify with the public key' 'Verified OK' -verify msg -sigfile u.sig -pubin u.pub
tr _- /+ <u.sig | tr -d '\n' >std.sig
echo '==' >>std.sig
gives 'verify the padded standard form of old versions' 'Verified OK' -verify msg -sigfile std.sig -pubin u.pub
printf '%s\r\n' "$sig" >crlf.sig
gives 'verify with CRLF' 'Verified OK' -verify msg -sigfile crlf.sig -pubin u.pub
printf -- '-----BEGIN NATS USER JWT-----\neyJ0.eyJ0.c2ln\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n' $seed >u.creds
gives 'a creds file is a key file' $pub -inkey u.creds -pubout
# ---- every kind
for kind in user:U account:A server:N cluster:C operator:O curve:X x25519:X; do
	run "$BIN/signbox" nk -gen "${kind%:*}" -pubout
	[ $rc = 0 ] && [[ $(head -1 out) =~ ^S${kind#*:}[A-Z2-7]{56}$ ]] &&
		[[ $(tail -1 out) =~ ^${kind#*:}[A-Z2-7]{55}$ ]] && [ "$(wc -l <out)" = 2 ]
	ok $? "-gen ${kind%:*} -pubout"
	head -1 out >k.nk
	tail -1 out >k.pub
	gives "its seed gives its public key" "$(cat k.pub)" -inkey k.nk -pubout
done
run "$BIN/signbox" nk -gen user
[ $rc = 0 ] && [ "$(wc -l <out)" = 1 ]
ok $? 'without -pubout only the seed'
run "$BIN/signbox" nk -gen USER
[ $rc = 0 ] && [[ $(cat out) == SU* ]]
ok $? 'kinds in either case'

# ---- entropy and vanity
printf '0123456789abcdef0123456789abcdefmore' >ent
gives 'the entropy file decides the key' "$("$BIN/signbox" nk -gen user -e ent)" -gen user -e ent
printf 'short' >short
fails 'a short entropy file' 'Error creating user' -gen user -e short
run "$BIN/signbox" nk -gen account -pre c2
[ $rc = 0 ] && [[ $(tail -1 out) == AC2* ]] && [ "$(wc -l <out)" = 2 ]
ok $? '-pre finds a key that begins so, and shows it'
tail -1 out >k.pub
head -1 out >k.nk
gives 'and the seed belongs to it' "$(cat k.pub)" -inkey k.nk -pubout
fails '-pre gives up' 'Failed to generate prefix after 10 attempts' -gen user -pre AAAAAAAAAA -maxpre 10
fails '-pre outside base32' 'Can not generate base32' -gen user -pre A1
fails '-pre that no key can have' 'no key begins so' -gen user -pre z2

# ---- refusals
echo other >other
fails 'another message' 'nkeys: signature verification failed' -verify other -sigfile u.sig -pubin u.pub
fails 'no signature' 'other holds no signature' -verify msg -sigfile other -pubin u.pub
fails 'no such message' 'cannot open nosuch' -verify nosuch -sigfile u.sig -pubin u.pub
fails 'no seed in the file' 'Could not find a valid key' -inkey other -pubout
fails 'a public key is no seed' 'Could not find a valid key' -inkey u.pub -pubout
fails 'a seed is no public key' 'Could not find a valid key' -verify msg -sigfile u.sig -pubin u.nk
tr A B <u.nk >crc.nk
fails 'a seed with a wrong checksum' 'Could not find a valid key' -inkey crc.nk -pubout
"$BIN/signbox" nk -gen curve >x.nk
fails 'a curve key does not sign' 'nkeys: curve key is not valid for sign/verify' -sign msg -inkey x.nk
fails 'sign without a key' 'Sign requires a seed/private key via -inkey <file>' -sign msg
fails 'verify without a key' 'Verify requires a seed key via -inkey or a public key' -verify msg -sigfile u.sig
fails 'verify without a signature' 'Verify requires a signature via -sigfile' -verify msg -pubin u.pub
fails 'an unknown kind' 'Usage: nk -gen [user|account' -gen root
fails '-e without -gen' 'Entropy file only used when creating keys with -gen' -e ent
run "$BIN/signbox" nk -verify msg -sigfile u.sig -pubin u.nk
! grep -q SUAK out err
ok $? 'a refusal does not show the seed'

flag() { # NAME STDERR ARG…: the reason on stderr, usage on stdout, status 1
	local name=$1 want=$2
	shift 2
	run "$BIN/signbox" nk "$@"
	[ $rc = 1 ] && [ "$(cat err)" = "$want" ] && head -1 out | grep -qx 'Usage: nk \[options\]'
	ok $? "$name"
}
flag 'an unknown flag' 'flag provided but not defined: -foo' -foo
flag 'a flag without its value' 'flag needs an argument: -gen' -gen
flag 'three dashes' 'bad flag syntax: ---x' ---x
flag 'a bool that is none' 'invalid boolean value "maybe" for -pubout: parse error' -pubout=maybe
flag 'no flag at all' ''
run "$BIN/signbox" nk -h
[ $rc = 0 ] && head -1 out | grep -q '^Usage: nk'
ok $? '-h shows help'
run "$BIN/signbox" nk -v
[ $rc = 0 ] && grep -qx 'nk version .*' out
ok $? '-v shows the version'

# ---- closed and full standard output
run bash -c "'$BIN/signbox' nk -gen user >/dev/full"
[ $rc = 1 ] && [ "$(wc -l <err)" = 1 ]
ok $? 'a full disk: status 1 and one line'
run bash -c "'$BIN/signbox' nk -gen user >&-"
[ $rc = 1 ] && [ "$(wc -l <err)" = 1 ]
ok $? 'a closed standard output: status 1 and one line'

# ---- the multi-call binary
run "$BIN/signbox" --list
[ $rc = 0 ] && [ "$(tr '\n' ' ' <out)" = 'hsm mesh nats nats-config nats-top nk nsc pause ' ]
ok $? '--list'
ln -s "$BIN/signbox" nk
run ./nk -inkey u.nk -pubout
[ $rc = 0 ] && [ "$(cat out)" = $pub ]
ok $? 'called by the name of an applet'
for args in '-sign msg -inkey u.nk' '-inkey u.creds -pubout' '-verify msg -sigfile other -pubin u.pub' '-foo' '-h'; do
	# shellcheck disable=SC2086
	run "$BIN/signbox" nk $args
	mv out multi.out && mv err multi.err && multi=$rc
	# shellcheck disable=SC2086
	run "$BIN/nk" $args
	[ $rc = $multi ] && cmp -s out multi.out && cmp -s err multi.err
	ok $? "the executable nk is the same: $args"
done
run "$BIN/nk" -gen curve -pubout
[ $rc = 0 ] && [[ $(tail -1 out) == X* ]] && head -1 out >k.nk && tail -1 out >k.pub
ok $? 'the executable nk makes curve keys'
gives 'which are the same keys' "$(cat k.pub)" -inkey k.nk -pubout
run "$BIN/signbox" --help
[ $rc = 0 ] && grep -q 'nats-config' out
ok $? '--help'
run "$BIN/signbox" --version
[ $rc = 0 ] && grep -qx 'signbox .*' out
ok $? '--version'
for words in '' nosuch; do
	# shellcheck disable=SC2086
	run "$BIN/signbox" $words
	[ $rc = 2 ] && [ "$(wc -l <err)" = 1 ] && [ ! -s out ]
	ok $? "usage error: signbox $words"
done
echo "1..$n"
