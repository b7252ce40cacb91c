#include "hsm/front/plain_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "proto/mode.h"

/* ---- reading ---- */

static int message_get(struct plain_json *j, const char *text, struct err *e)
{
	size_t n = strlen(text), cap = n / 4 * 3 + 3;

	j->message = malloc(cap);
	if (!j->message)
		return err_set(e, ERR_NOMEM, NULL);
	if (enc_unbase64(j->message, cap, &j->message_len, text, n, ENC_STD))
		return json_complain(&j->doc, j->doc.root, "message", 0, e,
				     "'message' is not base64");
	return 0;
}

static int signature_get(struct plain_json *j, const char *text, struct err *e)
{
	if (enc_unbase64(j->signature, sizeof(j->signature), &j->signature_len, text, strlen(text),
			 ENC_STD))
		return json_complain(&j->doc, j->doc.root, "signature", 0, e,
				     "'signature' is not base64 of a signature");
	return 0;
}

int plain_json_read(struct plain_json *j, enum op op, const void *p, size_t n, struct err *e)
{
	const char *message = NULL, *signature = NULL;
	int64_t length = INT64_MIN;
	const struct json_want signing[] = {
		{.key = "message", .kind = JSON_IS_STR, .out = &message, .need = true},
		{.key = "mode", .kind = JSON_IS_STR, .out = &j->mode},
		{0},
	};
	const struct json_want verifying[] = {
		{.key = "message", .kind = JSON_IS_STR, .out = &message, .need = true},
		{.key = "signature", .kind = JSON_IS_STR, .out = &signature, .need = true},
		{.key = "mode", .kind = JSON_IS_STR, .out = &j->mode},
		{0},
	};
	const struct json_want random[] = {
		{.key = "length", .kind = JSON_IS_INT, .out = &length},
		{0},
	};
	const struct json_want none[] = {{0}};
	const struct json_want *want = op == OP_sign	 ? signing
				       : op == OP_verify ? verifying
				       : op == OP_random ? random
							 : none;

	if (json_parse(&j->doc, "request", n ? p : "{}", n ? n : 2, e) ||
	    json_fields(&j->doc, j->doc.root, want, e))
		return -1;
	j->has_length = length != INT64_MIN;
	j->length = length;
	if (message && message_get(j, message, e))
		return -1;
	return signature ? signature_get(j, signature, e) : 0;
}

void plain_json_free(struct plain_json *j)
{
	free(j->message);
	j->message = NULL;
	json_doc_free(&j->doc);
}

/* ---- writing ---- */

static json_t *base64(struct bytes b)
{
	CLEAN(free) char *text = malloc(ENC_BASE64_LEN(b.len));

	if (!text)
		return NULL;
	enc_base64(text, b.p, b.len, ENC_STD);
	return json_string(text);
}

static json_t *modes(uint32_t mask)
{
	json_t *list = json_array();
	const struct mode_row *m;

	for (unsigned i = 0; (m = mode_at(i)) != NULL; i++)
		if (mask & MODE_BIT(m->mode))
			json_array_append_new(list, json_string(m->text));
	return list;
}

static void put_info(json_t *o, const struct key_info *k)
{
	const struct key_type_row *type = key_type_row(k->type);

	json_object_set_new(o, "type", json_string(type ? type->text : "?"));
	json_object_set_new(o, "bits", json_integer(k->bits));
	json_object_set_new(o, "version", json_integer(k->version));
	json_object_set_new(o, "modes", modes(k->modes));
}

int plain_json_write(const struct plain_json_out *j, struct buf *out, struct err *e)
{
	CLEAN(json) json_t *o = json_object();

	if (j->signature.len)
		json_object_set_new(o, "signature", base64(j->signature));
	if (j->verified)
		json_object_set_new(o, "valid", json_boolean(j->valid));
	if (j->random.len)
		json_object_set_new(o, "random", base64(j->random));
	if (j->pem.len)
		json_object_set_new(o, "pem", json_stringn((const char *)j->pem.p, j->pem.len));
	if (j->der.len)
		json_object_set_new(o, "public", base64(j->der));
	if (j->mode)
		json_object_set_new(o, "mode", json_string(j->mode));
	if (j->key && *j->key)
		json_object_set_new(o, "key", json_string(j->key));
	if (j->info)
		put_info(o, j->info);
	return json_text(o, JSON_ONE_LINE, out, e);
}

void plain_json_error(const struct err *err, struct buf *out)
{
	CLEAN(json) json_t *o = json_object();
	json_t *in = json_object();
	json_t *text = json_string(err->text);

	json_object_set_new(in, "code", json_string(err_row(err->code)->name));
	/* A text that is no UTF-8 cannot stand in JSON. */
	json_object_set_new(in, "message", text ? text : json_string(err_row(err->code)->text));
	json_object_set_new(o, "error", in);
	(void)json_text(o, JSON_ONE_LINE, out, NULL);
}
