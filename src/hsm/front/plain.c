#include "hsm/front/plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/spki.h"
#include "hsm/front/plain_json.h"
#include "hsm/front/subject.h"
#include "proto/body.h"
#include "proto/mode.h"
#include "proto/request.h"

#define RANDOM_DEFAULT 32

void plain_work_init(struct plain_work *w, uint32_t max_message)
{
	w->max_message = max_message;
	buf_init(&w->body, max_message);
	buf_init(&w->request, 32 + REQUEST_OVERHEAD + (size_t)max_message);
}

void plain_work_free(struct plain_work *w)
{
	buf_free(&w->body);
	buf_free(&w->request);
}

static int mode_of(uint8_t *mode, const char *text, struct err *e)
{
	const struct mode_row *row = text ? mode_named(text) : NULL;

	*mode = row ? (uint8_t)row->mode : MODE_DEFAULT;
	if (text && !row)
		return err_set(e, ERR_BAD_MODE, "mode '%.40s' is not known", text);
	return 0;
}

/* ECDSA signatures are DER outside and raw inside. Without a mode the key's type is
 * not known here, but the lengths tell: raw forms have 64 bytes or at least 256. */
static int put_signature(struct buf *out, const uint8_t *sig, size_t n, uint8_t mode, struct err *e)
{
	const struct mode_row *row = mode_row(mode);
	uint8_t raw[SPKI_ECDSA_RAW];
	struct err unused;

	if (row && row->type == KEY_P256) {
		if (spki_ecdsa_raw(raw, sig, n, e))
			return -1;
		buf_str16(out, raw, sizeof(raw));
	} else if (!row && n != SPKI_ECDSA_RAW && n <= SPKI_ECDSA_DER &&
		   spki_ecdsa_raw(raw, sig, n, &unused) == 0) {
		buf_str16(out, raw, sizeof(raw));
	} else {
		buf_str16(out, sig, n);
	}
	return 0;
}

static int length_of(struct buf *out, int64_t n, struct err *e)
{
	if (n < 1 || n > RANDOM_MAX)
		return err_set(e, ERR_BAD_LENGTH, "random gives 1 to %d bytes", RANDOM_MAX);
	buf_u16(out, (uint16_t)n);
	return 0;
}

/* Decimal text; empty is the default. */
static int raw_random(struct buf *out, const uint8_t *p, size_t n, struct err *e)
{
	int64_t v = n ? 0 : RANDOM_DEFAULT;

	if (n > 4)
		return length_of(out, -1, e);
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return err_set(e, ERR_BAD_REQUEST,
				       "the body is the number of bytes, in decimal digits");
		v = v * 10 + (p[i] - '0');
	}
	return length_of(out, v, e);
}

static int raw_verify(struct buf *out, const struct plain_in *in, uint8_t mode, struct err *e)
{
	uint8_t sig[RSA_MAX_BYTES];
	size_t n, len = in->signature ? strlen(in->signature) : 0;

	if (!len)
		return err_set(e, ERR_BAD_REQUEST, "the signature goes into the header %s, base64",
			       HDR_SIGNATURE);
	if (enc_unbase64(sig, sizeof(sig), &n, in->signature, len, ENC_STD))
		return err_set(e, ERR_BAD_SIGNATURE_FORM, "header %s is not base64 of a signature",
			       HDR_SIGNATURE);
	if (put_signature(out, sig, n, mode, e))
		return -1;
	buf_str32(out, in->body, in->len);
	return 0;
}

static int raw_body(struct buf *out, enum op op, const struct plain_in *in, uint8_t *mode,
		    struct err *e)
{
	if (mode_of(mode, in->mode, e))
		return -1;
	switch (op) {
	case OP_sign:
		buf_put(out, in->body, in->len);
		return 0;
	case OP_verify:
		return raw_verify(out, in, *mode, e);
	case OP_random:
		return raw_random(out, in->body, in->len, e);
	default:
		if (in->len)
			return err_set(e, ERR_BAD_REQUEST, "pub takes an empty body");
		return 0;
	}
}

static int json_body(struct buf *out, enum op op, const struct plain_in *in, uint8_t *mode,
		     struct err *e)
{
	CLEAN(plain_json) struct plain_json j = {0};

	if (plain_json_read(&j, op, in->body, in->len, e) || mode_of(mode, j.mode, e))
		return -1;
	switch (op) {
	case OP_sign:
		buf_put(out, j.message, j.message_len);
		return 0;
	case OP_verify:
		if (put_signature(out, j.signature, j.signature_len, *mode, e))
			return -1;
		buf_str32(out, j.message, j.message_len);
		return 0;
	case OP_random:
		return length_of(out, j.has_length ? j.length : RANDOM_DEFAULT, e);
	default:
		return 0;
	}
}

int plain_request(struct plain_call *c, struct plain_work *w, const struct plain_in *in,
		  struct err *e)
{
	struct plain_subject s;
	struct request q = {.cred = CRED_NKEY};
	int rc = subject_plain(&s, in->subject, e);

	memset(c, 0, sizeof(*c));
	c->op = s.op;
	c->json = s.json;
	if (rc)
		return -1;
	(void)snprintf(c->key, sizeof(c->key), "%s", s.key);
	buf_reset(&w->body);
	/* In JSON a message is a third longer. */
	if (in->len > w->max_message + (s.json ? w->max_message / 2 : 0))
		return err_set(e, ERR_TOO_LARGE, "a request has at most %u bytes", w->max_message);
	if ((s.json ? json_body : raw_body)(&w->body, s.op, in, &q.mode, e))
		return -1;
	if (w->body.bad)
		return err_set(e, ERR_TOO_LARGE, "a request has at most %u bytes", w->max_message);
	q.op = (uint16_t)s.op;
	q.key = (struct bytes){(const uint8_t *)c->key, strlen(c->key)};
	q.body = (struct bytes){w->body.p, w->body.len};
	buf_reset(&w->request);
	buf_put(&w->request, s.nkey, sizeof(s.nkey));
	request_encode(&w->request, &q);
	return w->request.bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

const char *plain_mode(uint8_t mode)
{
	const struct mode_row *row = mode ? mode_row(mode) : NULL;

	return row ? row->text : NULL;
}

/* Appends a signature in its outer form. */
static void signature_out(struct buf *out, uint8_t mode, const uint8_t *p, size_t n)
{
	const struct mode_row *row = mode_row(mode);

	if (row && row->type == KEY_P256 && n == SPKI_ECDSA_RAW)
		spki_ecdsa_der(out, p);
	else
		buf_put(out, p, n);
}

/* The key of keyd's answer, and its public part in an outer form (spki_der, spki_pem). */
static int key_out(struct key_info *k, struct buf *out,
		   int (*form)(struct buf *, unsigned, const uint8_t *, size_t, struct err *),
		   const uint8_t *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	if (key_info_get(k, &r, e) || !rd_end(&r))
		return err_set(e, ERR_INTERNAL, "malformed key from the service");
	return form(out, k->type, k->pub.p, k->pub.len, e);
}

static int raw_result(const struct plain_call *c, enum err_code code, uint8_t mode,
		      const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
	struct key_info k;

	switch (c->op) {
	case OP_sign:
		signature_out(out, mode, p, n);
		return 0;
	case OP_verify:
		buf_printf(out, "%s", code == ERR_OK ? "true" : "false");
		return 0;
	case OP_key_get:
		return key_out(&k, out, spki_pem, p, n, e);
	default:
		buf_put(out, p, n);
		return 0;
	}
}

static int json_result(const struct plain_call *c, enum err_code code, uint8_t mode,
		       const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
	struct plain_json_out j = {.key = c->key, .mode = plain_mode(mode)};
	CLEAN(buf) struct buf text = {0}, der = {0};
	struct key_info k;

	buf_init(&text, FRONT_PLAIN_RESULT);
	buf_init(&der, FRONT_PLAIN_RESULT);
	switch (c->op) {
	case OP_sign:
		signature_out(&text, mode, p, n);
		j.signature = (struct bytes){text.p, text.len};
		break;
	case OP_verify:
		j.verified = true;
		j.valid = code == ERR_OK;
		break;
	case OP_key_get:
		if (key_out(&k, &text, spki_pem, p, n, e) || key_out(&k, &der, spki_der, p, n, e))
			return -1;
		j.info = &k;
		j.pem = (struct bytes){text.p, text.len};
		j.der = (struct bytes){der.p, der.len};
		break;
	default:
		j.random = (struct bytes){p, n};
	}
	if (text.bad || der.bad)
		return err_set(e, ERR_INTERNAL, "result of the service is too large");
	return plain_json_write(&j, out, e);
}

int plain_result(const struct plain_call *c, enum err_code code, uint8_t mode, const uint8_t *p,
		 size_t n, struct buf *out, struct err *e)
{
	int rc = c->json ? json_result(c, code, mode, p, n, out, e)
			 : raw_result(c, code, mode, p, n, out, e);

	if (rc == 0 && out->bad)
		return err_set(e, ERR_INTERNAL, "result of the service is too large");
	return rc;
}

void plain_error(const struct plain_call *c, const struct err *err, struct buf *out)
{
	if (c->json)
		plain_json_error(err, out);
}
