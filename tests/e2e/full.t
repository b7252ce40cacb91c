#!/bin/bash
# A store that is full, by its configured size and by its disk (a limit of the file
# size): the error is clear, what was acknowledged stays, removing makes room, nothing
# is half there, and what cannot be audited is not signed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

state_is() { [ "$(as admin state --json 2>/dev/null | jq -r .state)" = "$1" ]; }
there() { as admin key ls --json | jq -r '.[].name' | grep -v '^x[.]' | sort; }
acknowledged() { sed -n 's/^\(f[.0-9]*\) OK .*/\1/p' "$W/made" | sort; }
fill() { # fill COUNT: keys with long names, to be quick
	HSM_NKEY=$W/admin.nk NATS_NKEY=$W/admin.nk "$T/e2e/hsm_many" keys "$prefix" "$1" -w 64 \
		-d 240000 >"$W/made" 2>"$W/made.err"
}
# The last large record that did not fit leaves room for small ones: these fill it.
top_up() {
	for i in $(seq 400); do as admin key gen "x.$i" >"$W/top" 2>&1 || return 0; done
	return 1
}
prefix=f.$(printf '%0110d' 7)

# full KIND: the checks of both
full() {
	echo "# $1: $(acknowledged | wc -l) keys"
	is "$1: every request was answered" "$(sed -n 's/^answered //p' "$W/made")" "$2"
	# a write that the limit cuts short is EIO and the disk has room: that is IO
	is "$1: by done or STORE_FULL" "$(sed -n 's/^\([A-Z_]*\) [0-9]*$/\1/p' "$W/made" |
		sed "/^IO$/{s/.*/$3/;/^$/d}" | sort | tr '\n' ' ')" "OK STORE_FULL "
	ok "$1: sooner or later no key is made" top_up
	ok "$1: and the error says so" grep -Eq 'store is full|store: input/output error' "$W/top"
	sed 's/^/# refused: /' "$W/top"
	is "$1: all that was acknowledged is there, nothing else" "$(diff <(acknowledged) <(there))" ""
	sig=$(as alice sign "$prefix.1" "$W/hsm.yaml" --base64 2>&1)
	case $? in
	0 | 7) ok "$1: signing works or says that it cannot be audited" \
		grep -Eq '^[A-Za-z0-9+/=]{88}$|audit log cannot be written' <<<"$sig" ;;
	*) is "$1: signing" "$sig" "a signature, or AUDIT" ;;
	esac
	ok "$1: health still answers" health
	stop_hsm
	is "$1: it stops in order" $? 0
}

# after KIND: there is room again
after() {
	ok "$1: a key is made" as admin key gen fresh
	ok "$1: keys sign" as alice sign "$prefix.9" "$W/hsm.yaml" -o "$W/sig"
	ok "$1: the audit log verifies" as admin audit verify
	is "$1: what was acknowledged is there but what was removed" \
		"$(diff <(acknowledged | grep -v '\.[123]$') <(there | grep -v fresh))" ""
}

# ---- the disk ----
up 'audit_mib: 8' 'store_map_mib: 16' || bail "the service does not start"
stop_hsm
limited() { # as start_hsm, with a limit for files
	(ulimit -f 3072 && exec hsmd -c "$W/hsm.yaml" run >>"$W/hsm.log" 2>&1) &
	HSM_PID=$!
	wait_for 10 health
}
limited || bail "no start with a limit of 3 MiB"
wait_for 10 state_is operational
fill 6000
full "disk full" 6000 ""
limited
wait_for 10 state_is operational
ok "disk full: after a restart it is operational" state_is operational
is "disk full: with every key" "$(diff <(acknowledged) <(there))" ""
stop_hsm
start_hsm || bail "restart"
wait_for 10 state_is operational
for i in 1 2 3; do ok "with more disk: a key is removed" as admin key rm "$prefix.$i" --yes; done
after "with more disk"

# ---- the configured size ----
stop_hsm
rm -rf "$W/data" "$W/anchor/anchor" "$XDG_CONFIG_HOME"
start_hsm || bail "start"
as admin provision --passphrase-file "$W/passphrase" && as admin user add alice "${NKEY[alice]}" --role operator ||
	bail "provision"
fill 18000
full "store full" 18000 "IO: not here"
start_hsm || bail "restart"
wait_for 10 state_is operational
ok "store full: after a restart it is operational" state_is operational
is "store full: with every key" "$(diff <(acknowledged) <(there))" ""
for i in 1 2 3; do ok "a key is removed from the full store" as admin key rm "$prefix.$i" --yes; done
after "room again"
done_testing
