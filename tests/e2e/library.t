#!/bin/bash
# The client library as somebody else's program has it: one header, one archive, what
# pkg-config says, and the example of docs/examples/sign, against the real service.
# shellcheck source=tests/e2e/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
LIB=$SRC/build/lib
mkdir -p "$W/include/signbox"
cp "$SRC/src/client/signbox.h" "$W/include/signbox/client.h"
export PKG_CONFIG_PATH=$LIB
# shellcheck disable=SC2046
compiled() { # OUT SOURCE OPTION…
	local out=$1 source=$2
	shift 2
	gcc -Wall -Wextra -Werror -O2 -fPIE -static-pie -I"$W/include" "$@" -o "$out" "$source" -L"$LIB" \
		$(pkg-config --static --cflags --libs signbox-client)
}

# ---- the header and the archive
echo '#include <signbox/client.h>' >"$W/h.c"
ok 'the header stands alone, in strict C99' gcc -std=c99 -pedantic -Wall -Wextra -Werror -I"$W/include" -fsyntax-only "$W/h.c"
is 'it includes nothing but the standard' "$(sed -n 's/^#include //p' "$SRC/src/client/signbox.h" | tr '\n' ' ')" '<stddef.h> <stdint.h> '
declared=$(sed -n '/^typedef/d; s/^[^ #*].*[ *]\(signbox_[a-z_]*\)(.*/\1/p' "$SRC/src/client/signbox.h" | sort)
is 'the archive defines what the header declares, and no other name' \
	"$(nm -g --defined-only "$LIB/libsignbox-client.a" | awk 'NF == 3 { print $3 }' | sort)" "$declared"
is '… which are some' "$([ "$(wc -l <<<"$declared")" -ge 10 ] && echo yes)" yes
is '… without debug information or paths of the build' \
	"$(readelf -SW "$LIB/libsignbox-client.a" | grep -c ' \.debug_'; strings "$LIB/libsignbox-client.a" | grep -c "$SRC/")" $'0\n0'
is 'pkg-config knows its version' "$(pkg-config --modversion signbox-client)" "$(cat "$SRC/VERSION")"
mkdir "$W/again"
ok 'made twice it is the same' bash -c "cd '$SRC' && src/client/library.sh x src/client/signbox.h '$W/again/l.a' \
	build/obj/lib/{client,conn,proto,nkey,json,crypto,base}.a && cmp '$W/again/l.a' '$LIB/libsignbox-client.a'"

# ---- a program that uses all of it, with functions that are called like ours inside
cat >"$W/app.c" <<'END'
#include <signbox/client.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

int err_set(void), buf_init(void), sha256(void), conn_open(void), secret_alloc(void);
int err_set(void) { return 1; }
int buf_init(void) { return 1; }
int sha256(void) { return 1; }
int conn_open(void) { return 1; }
int secret_alloc(void) { return 1; }

static atomic_int good, bad;
static void done(void *arg, const unsigned char *sig, size_t n, const struct signbox_error *e)
{
	if (!e && sig && n == 64 && arg == &good)
		good++;
	else
		bad++;
}

#define CHECK(what, cond) printf("%s - %s%s%s\n", (cond) ? "good" : "BAD", what, e.code ? ": " : "", e.text), e = none
int main(void)
{
	static const struct signbox_error none;
	struct signbox_error e = none;
	struct signbox_options o = {0};
	unsigned char sig[SIGNBOX_SIGNATURE_MAX], der[72], r[64] = {0}, zero[64] = {0};
	char pem[SIGNBOX_PEM_MAX];
	struct signbox *s = NULL;
	size_t n, k;

	CHECK("nothing given", signbox_open(&s, &o, &e) == -1 && e.code == SIGNBOX_BAD_INPUT && !s);
	signbox_options_env(&o);
	o.identity = "XNOTONE";
	CHECK("a wrong identity", signbox_open(&s, &o, &e) == -1 && e.code == 81);
	o.identity = NULL;
	signbox_options_env(&o);
	o.deadline_ms = 60000;
	CHECK("open", signbox_open(&s, &o, &e) == 0);
	CHECK("sign", signbox_sign(s, "ed", NULL, "m", 1, sig, &n, &e) == 0 && n == 64);
	CHECK("verify", signbox_verify(s, "ed", "eddsa", "m", 1, sig, n, &e) == 0);
	CHECK("not verified", signbox_verify(s, "ed", NULL, "x", 1, sig, n, &e) == -1 && e.code == SIGNBOX_NOT_VERIFIED);
	CHECK("no such key", signbox_sign(s, "gone", NULL, "m", 1, sig, &n, &e) == -1 && e.code == SIGNBOX_NOT_FOUND);
	CHECK("no key", signbox_sign(s, NULL, NULL, "m", 1, sig, &n, &e) == -1 && e.code == SIGNBOX_BAD_INPUT);
	CHECK("no such mode", signbox_sign(s, "ed", "rot13", "m", 1, sig, &n, &e) == -1 && e.code == SIGNBOX_BAD_MODE);
	CHECK("a mode of another key", signbox_sign(s, "ed", "pss-sha256", "m", 1, sig, &n, &e) == -1 && e.code == SIGNBOX_BAD_MODE);
	CHECK("errors may be left out", signbox_sign(s, "gone", NULL, "m", 1, sig, &n, NULL) == -1);
	CHECK("public key", signbox_public_key(s, "ec", pem, &e) == 0 && strstr(pem, "-----BEGIN PUBLIC KEY-----\n") == pem);
	CHECK("sign with P-256", signbox_sign(s, "ec", NULL, "a message\n", 10, sig, &n, &e) == 0 && n == 64);
	k = signbox_ecdsa_der(sig, der);
	CHECK("its DER form", k >= 68 && k <= 72 && der[0] == 0x30 && der[1] == k - 2);
	CHECK("random", signbox_random(s, r, sizeof(r), &e) == 0 && memcmp(r, zero, 64));
	CHECK("too much random", signbox_random(s, r, SIGNBOX_RANDOM_MAX + 1, &e) == -1 && e.code == SIGNBOX_TOO_LARGE);
	for (int i = 0; i < 1000; i++)
		if (signbox_sign_async(s, "ed", NULL, &i, sizeof(i), done, &good, &e))
			bad++;
	CHECK("wait", signbox_wait(s, 60000, &e) == 0);
	CHECK("1000 at a time", good == 1000 && bad == 0);
	CHECK("refused at once", signbox_sign_async(s, "ed", "rot13", "", 0, done, &good, &e) == -1 && bad == 0);
	CHECK("close", signbox_close(s, &e) == 0 && signbox_close(NULL, &e) == 0);
	FILE *f = fopen("sig.der", "wb"), *p = fopen("pub.pem", "w");
	fwrite(der, 1, k, f), fputs(pem, p), fclose(f), fclose(p);
	return puts(signbox_version()) < 0;
}
END
ok 'a program is compiled and linked' compiled "$W/app" "$W/app.c" -std=gnu11
ok 'the example, too' compiled "$W/sign" "$SRC/docs/examples/sign/sign.c" -std=c11 -pedantic

up || bail 'the service does not start'
as admin key gen ed --type ed25519 >/dev/null && as admin key gen ec --type p256 >/dev/null
export HSM_NKEY=$W/alice.nk
cd "$W" || exit 1
"$W/app" >"$W/app.out" 2>&1
is 'it ends well' "$?" 0
while read -r verdict _ what; do is "library: $what" "$verdict" good; done < <(grep ' - ' "$W/app.out")
is '… all of it' "$(grep -c ' - ' "$W/app.out")" 20
is 'the version of the library' "$(tail -1 "$W/app.out")" "$(cat "$SRC/VERSION")"
printf 'a message\n' >"$W/msg"
ok 'openssl verifies the P-256 signature' openssl dgst -sha256 -verify "$W/pub.pem" -signature "$W/sig.der" "$W/msg"

# ---- the example
export SIGN_DEADLINE=60
as alice key pub ed >"$W/ed.pem"
ok 'sign' "$W/sign" ed "$W/msg" "$W/msg.sig"
ok '… openssl verifies' openssl pkeyutl -verify -rawin -pubin -inkey "$W/ed.pem" -in "$W/msg" -sigfile "$W/msg.sig"
status() { "$@" >"$W/o" 2>&1; echo $?; }
is 'no arguments: 2' "$(status "$W/sign")" 2
is 'no such file: 1' "$(status "$W/sign" ed "$W/none" "$W/x")" 1
is 'no such key: 1' "$(status "$W/sign" gone "$W/msg" "$W/x")" 1
is 'a folder that is not there: 1' "$(status "$W/sign" ed "$W/msg" "$W/no/x")" 1
is 'a deadline that is none: 2' "$(SIGN_DEADLINE=soon status "$W/sign" ed "$W/msg" "$W/x")" 2
head -c 900001 /dev/zero >"$W/large"
is 'too large: 1' "$(status "$W/sign" ed "$W/large" "$W/x")" 1
head -c 900000 /dev/zero >"$W/large"
is '… the largest: 0' "$(status "$W/sign" ed "$W/large" "$W/large.sig")" 0
as admin lock >/dev/null
is 'locked: 7' "$(SIGN_DEADLINE=3 status "$W/sign" ed "$W/msg" "$W/x")" 7
is '… in one line' "$(wc -l <"$W/o")" 1
as admin unlock --passphrase-file "$W/passphrase" >/dev/null
kill -STOP "$HSM_PID" && pkill -STOP -P "$HSM_PID"
is 'no answer: 7 at the deadline' "$(SIGN_DEADLINE=2 status "$W/sign" ed "$W/msg" "$W/x")" 7
kill -CONT "$HSM_PID" && pkill -CONT -P "$HSM_PID"
is '… afterwards: 0' "$(status "$W/sign" ed "$W/msg" "$W/y")" 0
stop_nats
is 'no broker: 7' "$(SIGN_DEADLINE=2 status "$W/sign" ed "$W/msg" "$W/x")" 7
is 'nothing was written by those that failed' "$(find "$W" -name 'x*' -printf '%f\n' | grep -cxE 'x|x.new')" 0
done_testing
