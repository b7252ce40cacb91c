#!/bin/bash
# nk against the original (tools/go.mod): the same status and the same standard output,
# for signatures and keys byte for byte; then each reads what the other wrote.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
REAL=$BUILD/tools/bin/nk
if ! [ -x "$REAL" ]; then
	echo '1..0 # SKIP not run: no original nk in build/tools (tests/interop/tools.sh needs Go)'
	exit 0
fi
OURS=$BIN/nk
cd "$W" || exit 1
compared=0

mask() { sed -E 's/S([UANCOX])[A-Z2-7]{56}/S\1-seed/; s/^([UANCOX])[A-Z2-7]{55}$/\1-key/'; }

same() { # ARG…: same status and stdout; keys that are made anew are masked
	local r=2 i
	# with -pre it ends now and then in a deadlock of its own (status 2)
	for ((i = 0; r == 2 && i < 10; i++)); do
		"$REAL" "$@" </dev/null >r.raw 2>r.err
		r=$?
		grep -aq 'fatal error:' r.err || break
	done
	timeout 60 "$OURS" "$@" </dev/null >o.raw 2>o.err
	local o=$?
	mask <r.raw >r.out
	mask <o.raw >o.out
	compared=$((compared + 1))
	TAP_N=$((TAP_N + 1))
	# usage on an error of the command line: the reason and the first line
	if [ "$(head -1 r.out)" = 'Usage: nk [options]' ]; then
		head -1 r.out >r.cut && head -1 o.out >o.cut
	else
		cp r.out r.cut && cp o.out o.cut
	fi
	# it draws a wheel while it looks for a prefix
	grep -q computing r.err && : >r.err
	if [ $r = $o ] && cmp -s r.cut o.cut && [ "$(head -1 r.err)" = "$(head -1 o.err)" ]; then
		echo "ok $TAP_N - nk $*"
	else
		echo "not ok $TAP_N - nk $*"
		diff r.cut o.cut | sed 's/^/# /'
		echo "# status $r (original), $o; $(head -1 r.err) / $(head -1 o.err)"
	fi
}

echo 'Hello World!' >msg
: >empty
head -c 100000 /dev/urandom >large
head -c 64 /dev/urandom >ent
printf 'short' >short
for k in user account server cluster operator curve; do
	"$REAL" -gen $k -pubout >$k.both
	head -1 $k.both >$k.nk
	tail -1 $k.both >$k.pub
done
printf -- '-----BEGIN NATS USER JWT-----\neyJ0.eyJ0.c2ln\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n' \
	"$(cat user.nk)" >user.creds
tr 'A' 'B' <user.nk >bad.nk

for k in user account server cluster operator curve x25519 User; do
	same -gen $k
	same -gen $k -pubout
done
for k in user account server cluster operator curve; do
	same -inkey $k.nk -pubout
done
same --inkey=user.nk --pubout=true
same -inkey user.creds -pubout
same -gen user -e ent -pubout
same -gen account -e ent
"$REAL" -gen user -e ent -pubout >r.raw
"$OURS" -gen user -e ent -pubout >o.raw
ok 'the same key of the same entropy' cmp r.raw o.raw
for f in msg empty large; do
	same -sign $f -inkey user.nk
	"$REAL" -sign $f -inkey user.nk >$f.rsig
	"$OURS" -sign $f -inkey user.nk >$f.osig
	ok "the same signature of $f" cmp $f.rsig $f.osig
	same -verify $f -sigfile $f.osig -pubin user.pub
	same -verify $f -sigfile $f.rsig -inkey user.nk
done
same -sign msg -inkey operator.nk
same -verify msg -sigfile large.osig -pubin user.pub
same -verify large -sigfile msg.osig -pubin user.pub
same -verify msg -sigfile msg.osig -pubin account.pub
same -sign msg -inkey curve.nk
same -sign msg
same -verify msg -sigfile msg.osig
same -verify msg -pubin user.pub
same -gen nosuch
same -e ent
same -pre AA
same -gen user -pre A1
same -gen user -pre AAAAAAAAA -maxpre 5
same -gen user -pre A
same -gen account -pre AB
same -nosuch
same --nosuch=1
same -gen
same ---x
same -pubout=maybe
same
for pair in "$REAL:$OURS" "$OURS:$REAL"; do
	"${pair%%:*}" -gen user -pubout >k
	head -1 k >k.nk
	tail -1 k >k.pub
	"${pair##*:}" -sign large -inkey k.nk >k.sig
	is 'a key and a signature go from one to the other' "$("${pair%%:*}" -verify large -sigfile k.sig -pubin k.pub)" 'Verified OK'
	is 'a creds file too' "$(sed "s/S[A-Z2-7]\{57\}/$(cat k.nk)/" user.creds >k.creds && "${pair##*:}" -inkey k.creds -pubout)" "$(cat k.pub)"
done
is 'signbox nk is the same' "$("$BIN/signbox" nk -sign large -inkey user.nk)" "$(cat large.rsig)"
echo "# $compared commands compared with the original nk"
done_testing
