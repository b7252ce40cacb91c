#include "client/signbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "client/hsm_ops.h"
#include "crypto/crypto.h"
#include "crypto/spki.h"

#define IDENTITY_MAX 256

/* The public header repeats numbers, so that it needs no other. */
#define SAME(code) _Static_assert((int)SIGNBOX_##code == (int)ERR_##code, #code)
SAME(OK);
SAME(BAD_INPUT);
SAME(TOO_LARGE);
SAME(WRONG_STATE);
SAME(UNKNOWN_USER);
SAME(DENIED);
SAME(NOT_FOUND);
SAME(BAD_MODE);
SAME(BUSY);
SAME(TIMEOUT);
SAME(UNAVAILABLE);
SAME(NO_RESPONDERS);
SAME(NOT_VERIFIED);
SAME(EPOCH_BACK);
SAME(WRONG_IDENTITY);
_Static_assert(SIGNBOX_SIGNATURE_MAX == HSM_SIG_MAX, "signature");
_Static_assert(SIGNBOX_RANDOM_MAX == RANDOM_MAX, "random");

struct signbox {
	struct hsm_client *hsm;
};

static int fail(struct signbox_error *out, const struct err *e)
{
	if (out) {
		out->code = (int)e->code;
		(void)snprintf(out->text, sizeof(out->text), "%s", e->text);
	}
	return -1;
}

static int refuse(struct signbox_error *out, const char *text)
{
	struct err e;

	err_set(&e, ERR_BAD_INPUT, "%s", text);
	return fail(out, &e);
}

/* ---- opening ---- */

void signbox_options_env(struct signbox_options *o)
{
	const struct {
		const char **to;
		const char *name;
	} from[] = {
		{&o->server, "NATS_URL"}, {&o->identity, "HSM_IDENTITY"}, {&o->nkey, "HSM_NKEY"},
		{&o->nkey, "NATS_NKEY"},  {&o->creds, "NATS_CREDS"},	  {&o->ca, "NATS_CA"},
		{&o->cert, "NATS_CERT"},  {&o->key, "NATS_KEY"},
	};

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		const char *v = *from[i].to ? NULL : getenv(from[i].name);

		if (v && *v)
			*from[i].to = v;
	}
}

static int take_identity(uint8_t id[static 32], const char *text, struct err *e)
{
	char line[IDENTITY_MAX];
	struct buf b;

	if (!text)
		return err_set(e, ERR_BAD_INPUT,
			       "whose signatures? set the identity of the HSM (X…, as 'hsmd "
			       "identity' shows it) or HSM_IDENTITY");
	if (text[0] == '@') {
		buf_fixed(&b, line, sizeof(line) - 1);
		if (file_read(text + 1, &b, e))
			return -1;
		while (b.len && strchr(" \t\r\n", line[b.len - 1]))
			b.len--;
		line[b.len] = '\0';
		text = line;
	}
	if (nkey_decode_kind(id, NKEY_CURVE, text, e))
		return err_wrap(e, "identity of the HSM (X…, as 'hsmd identity' shows it)");
	return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int ready = -1;

static void init_once(void)
{
	ready = crypto_init();
}

static int open_client(struct hsm_client **out, const struct signbox_options *o, struct err *e)
{
	CLEAN(nkey) struct nkey caller = {0};
	struct hsm_opts h = {
		.conn = {.url = o->server,
			 .creds = o->creds,
			 .nkey = o->creds ? NULL : o->nkey,
			 .ca = o->ca,
			 .cert = o->cert,
			 .key = o->key,
			 .name = "signbox client",
			 .quiet = true},
		.caller = &caller,
		.deadline_ms = o->deadline_ms,
		.in_flight = o->in_flight,
		.epoch_file = o->epoch_file,
	};
	const char *who = o->nkey ? o->nkey : o->creds;

	pthread_once(&once, init_once);
	if (ready)
		return err_set(e, ERR_INTERNAL, "the cryptographic library does not start");
	if (!who)
		return err_set(
			e, ERR_BAD_INPUT,
			"who is calling? set nkey to the file of a user's seed, or HSM_NKEY");
	if (take_identity(h.identity, o->identity, e) || nkey_read_kind(&caller, NKEY_USER, who, e))
		return -1;
	return hsm_open(out, &h, e);
}

int signbox_open(struct signbox **out, const struct signbox_options *o, struct signbox_error *e)
{
	struct signbox *s = calloc(1, sizeof(*s));
	struct err why = {0};

	*out = NULL;
	if (!s) {
		err_set(&why, ERR_NOMEM, NULL);
		return fail(e, &why);
	}
	if (open_client(&s->hsm, o, &why)) {
		free(s);
		return fail(e, &why);
	}
	*out = s;
	return 0;
}

int signbox_close(struct signbox *s, struct signbox_error *e)
{
	struct err why = {0};
	int rc = s ? hsm_close(s->hsm, &why) : 0;

	free(s);
	return rc ? fail(e, &why) : 0;
}

/* ---- requests ---- */

static int take_mode(const char *text, uint8_t *mode, struct signbox_error *e)
{
	const struct mode_row *m = text ? mode_named(text) : NULL;
	struct err why;

	*mode = m ? (uint8_t)m->mode : MODE_DEFAULT;
	if (!text || m)
		return 0;
	err_set(&why, ERR_BAD_MODE, "there is no mode '%.40s'", text);
	return fail(e, &why);
}

int signbox_sign(struct signbox *s, const char *key, const char *mode, const void *message,
		 size_t n, unsigned char *sig, size_t *siglen, struct signbox_error *e)
{
	struct err why = {0};
	uint8_t m;

	if (!key)
		return refuse(e, "no key is named");
	if (take_mode(mode, &m, e))
		return -1;
	return hsm_sign(s->hsm, key, &m, message, n, sig, siglen, &why) ? fail(e, &why) : 0;
}

struct later {
	signbox_done *done;
	void *arg;
};

static void on_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct later *l = arg;
	struct signbox_error why = {0};

	if (e)
		fail(&why, e);
	else if (!r->body.len || r->body.len > SIGNBOX_SIGNATURE_MAX)
		fail(&why, &(struct err){ERR_BAD_REQUEST, "the HSM's answer is no signature"});
	if (why.code)
		l->done(l->arg, NULL, 0, &why);
	else
		l->done(l->arg, r->body.p, r->body.len, NULL);
	free(l);
}

int signbox_sign_async(struct signbox *s, const char *key, const char *mode, const void *message,
		       size_t n, signbox_done *done, void *arg, struct signbox_error *e)
{
	struct hsm_request q = {.op = OP_sign, .key = key, .body = message, .len = n};
	struct later *l;
	struct err why = {0};

	if (!key || !done)
		return refuse(e, key ? "no callback is given" : "no key is named");
	if (take_mode(mode, &q.mode, e))
		return -1;
	l = malloc(sizeof(*l));
	if (!l) {
		err_set(&why, ERR_NOMEM, NULL);
		return fail(e, &why);
	}
	*l = (struct later){done, arg};
	if (hsm_submit(s->hsm, &q, on_done, l, &why) == 0)
		return 0;
	free(l);
	return fail(e, &why);
}

int signbox_wait(struct signbox *s, int64_t ms, struct signbox_error *e)
{
	struct err why = {0};

	return hsm_wait_idle(s->hsm, ms, &why) ? fail(e, &why) : 0;
}

int signbox_verify(struct signbox *s, const char *key, const char *mode, const void *message,
		   size_t n, const unsigned char *sig, size_t siglen, struct signbox_error *e)
{
	struct err why = {0};
	uint8_t m;

	if (!key)
		return refuse(e, "no key is named");
	if (take_mode(mode, &m, e))
		return -1;
	return hsm_verify(s->hsm, key, m, message, n, sig, siglen, &why) ? fail(e, &why) : 0;
}

int signbox_public_key(struct signbox *s, const char *key, char *pem, struct signbox_error *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct key_info k;
	struct buf out;
	struct err why = {0};

	if (!key)
		return refuse(e, "no key is named");
	buf_init(&mem, HSM_REPLY_MAX);
	buf_fixed(&out, pem, SIGNBOX_PEM_MAX - 1);
	if (hsm_key_get(s->hsm, key, &mem, &k, &why) ||
	    spki_pem(&out, k.type, k.pub.p, k.pub.len, &why))
		return fail(e, &why);
	pem[out.len] = '\0';
	return 0;
}

int signbox_random(struct signbox *s, unsigned char *out, size_t n, struct signbox_error *e)
{
	struct err why = {0};

	return hsm_random(s->hsm, out, n, &why) ? fail(e, &why) : 0;
}

size_t signbox_ecdsa_der(const unsigned char *raw, unsigned char *der)
{
	struct buf b;

	buf_fixed(&b, der, SPKI_ECDSA_DER);
	spki_ecdsa_der(&b, raw);
	return b.len;
}

const char *signbox_version(void)
{
	return SIGNBOX_VERSION;
}
