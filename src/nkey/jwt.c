#include "nkey/jwt.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/sha512_256.h"
#include "nkey/jwt_fields.h"

#define HEADER "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}"

/* Kind by kind: the word in the claims, whose subject it has, who may sign it. */
static const struct {
	const char *name;
	enum nkey_kind subject;
	enum nkey_kind issuer[2];
} kinds[] = {
	[JWT_OPERATOR] = {"operator", NKEY_OPERATOR, {NKEY_OPERATOR, NKEY_OPERATOR}},
	[JWT_ACCOUNT] = {"account", NKEY_ACCOUNT, {NKEY_OPERATOR, NKEY_ACCOUNT}},
	[JWT_USER] = {"user", NKEY_USER, {NKEY_ACCOUNT, NKEY_ACCOUNT}},
	[JWT_ACTIVATION] = {"activation", NKEY_ACCOUNT, {NKEY_ACCOUNT, NKEY_OPERATOR}},
	[JWT_AUTH_REQUEST] = {"authorization_request", NKEY_USER, {NKEY_SERVER, NKEY_SERVER}},
	[JWT_AUTH_RESPONSE] = {"authorization_response", NKEY_USER, {NKEY_ACCOUNT, NKEY_ACCOUNT}},
};

const char *jwt_kind_name(enum jwt_kind kind)
{
	return kind < JWT_GENERIC ? kinds[kind].name : "generic";
}

void jwt_clear(struct jwt *j)
{
	json_decref(j->root);
	memset(j, 0, sizeof(*j));
}

const char *jwt_str(const struct jwt *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j->root, key));

	return s ? s : "";
}

const char *jwt_nats_str(const struct jwt *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j->nats, key));

	return s ? s : "";
}

int64_t jwt_int(const struct jwt *j, const char *key)
{
	return json_integer_value(json_object_get(j->root, key));
}

int jwt_check_time(const struct jwt *j, int64_t now, struct err *e)
{
	int64_t exp = jwt_int(j, "exp"), nbf = jwt_int(j, "nbf");
	const char *name = jwt_str(j, "name");

	if (exp > 0 && now > exp)
		return err_set(e, ERR_BAD_INPUT, "%s %.60s is expired", jwt_kind_name(j->kind),
			       *name ? name : jwt_str(j, "sub"));
	if (nbf > now)
		return err_set(e, ERR_BAD_INPUT, "%s %.60s is not yet valid",
			       jwt_kind_name(j->kind), *name ? name : jwt_str(j, "sub"));
	return 0;
}

/* The claims in their order, nats behind them and, last, what is not known. */
static json_t *ordered(const struct jwt *j, struct err *e)
{
	const struct jwt_field *f = jwt_nats_fields(j->kind);
	json_t *nats = f ? jwt_in_order(j->nats, f, "nats", e) : json_incref(j->nats);
	json_t *bare = json_copy(j->root), *out = NULL, *v;
	const char *key;

	if (!nats || !bare || (json_object_del(bare, "nats"), false)) {
		json_decref(nats);
		json_decref(bare);
		return NULL;
	}
	json_t *all = jwt_in_order(bare, jwt_claims_fields, "the claims", e);

	json_decref(bare);
	if (all)
		out = json_object();
	/* jwt_in_order puts unknown members last, but nats must come before them. */
	for (const struct jwt_field *w = jwt_claims_fields; out && w->key; w++) {
		v = json_object_get(all, w->key);
		if (v)
			json_object_set(out, w->key, v);
		json_object_del(all, w->key);
	}
	json_object_set_new(out, "nats", nats);
	if (out)
		json_object_foreach(all, key, v) json_object_set(out, key, v);
	json_decref(all);
	return out;
}

static void use_root(struct jwt *j, json_t *root)
{
	json_decref(j->root);
	j->root = root;
	j->nats = json_object_get(root, "nats");
}

int jwt_new(struct jwt *j, enum jwt_kind kind, const char *subject, struct err *e)
{
	uint8_t raw[32];
	json_t *nats;

	jwt_clear(j);
	if (nkey_decode_kind(raw, kinds[kind].subject, subject, e))
		return -1;
	if (kind == JWT_ACCOUNT)
		nats = json_pack("{s:{s:i,s:i,s:i,s:i,s:i,s:b,s:i,s:i}}", "limits", "subs", -1,
				 "data", -1, "payload", -1, "imports", -1, "exports", -1,
				 "wildcards", 1, "conn", -1, "leaf", -1);
	else if (kind == JWT_USER)
		nats = json_pack("{s:i,s:i,s:i}", "subs", -1, "data", -1, "payload", -1);
	else
		nats = json_object();
	j->kind = kind;
	j->version = 2;
	json_object_set_new(nats, "type", json_string(kinds[kind].name));
	json_object_set_new(nats, "version", json_integer(2));
	use_root(j, json_pack("{s:s,s:o}", "sub", subject, "nats", nats));
	if (!j->root)
		return err_set(e, ERR_NOMEM, NULL);
	return 0;
}

/* ---- reading */

struct bytes jwt_find(const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	struct bytes alone = {0};
	bool inside = false;

	while (p < end) {
		const char *s = p, *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl + 1 : end;
		size_t n = (size_t)((nl ? nl : end) - s);

		while (n && strchr(" \t\r", s[n - 1]))
			n--;
		while (n && strchr(" \t", *s)) {
			s++;
			n--;
		}
		if (n >= 3 && memcmp(s, "---", 3) == 0) {
			inside = true;
			continue;
		}
		if (n && inside)
			return (struct bytes){(const uint8_t *)s, n};
		if (n && !alone.len)
			alone = (struct bytes){(const uint8_t *)s, n};
	}
	return alone;
}

struct chunks {
	const char *p[3];
	size_t n[3];
};

static int split(struct chunks *c, const char *token, size_t len)
{
	const char *p = token, *end = token + len;

	for (int i = 0; i < 3; i++) {
		const char *dot = memchr(p, '.', (size_t)(end - p));

		if ((dot != NULL) != (i < 2))
			return -1;
		c->p[i] = p;
		c->n[i] = (size_t)((dot ? dot : end) - p);
		p = dot ? dot + 1 : end;
	}
	return 0;
}

/* jansson's own limit of depth is for its stack; claims are flat. */
static bool too_deep(const uint8_t *p, size_t n)
{
	bool text = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (text && p[i] == '\\')
			i++;
		else if (p[i] == '"')
			text = !text;
		else if (!text && (p[i] == '{' || p[i] == '['))
			depth++;
		else if (!text && (p[i] == '}' || p[i] == ']'))
			depth--;
		if (depth > JWT_DEPTH)
			return true;
	}
	return false;
}

/* The JSON object of a chunk. */
static json_t *chunk_json(const char *name, const char *p, size_t n, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	CLEAN(free) uint8_t *raw = malloc(n + 1);
	size_t got;

	if (!raw) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	if (enc_unbase64(raw, n + 1, &got, p, n, ENC_URL)) {
		err_set(e, ERR_BAD_INPUT, "%s is not a JWT: bad base64", name);
		return NULL;
	}
	if (too_deep(raw, got)) {
		err_set(e, ERR_BAD_INPUT, "%s: the claims are nested too deeply", name);
		return NULL;
	}
	if (json_parse(&d, name, raw, got, e))
		return NULL;
	if (!json_is_object(d.root)) {
		err_set(e, ERR_BAD_INPUT, "%s is not a JWT: an object is needed", name);
		return NULL;
	}
	return json_incref(d.root);
}

/* 1 or 2 for the version that the header stands for; -1: unknown. */
static int header_version(const json_t *h)
{
	const char *typ = json_string_value(json_object_get(h, "typ"));
	const char *alg = json_string_value(json_object_get(h, "alg"));

	if (!typ || !alg || strcasecmp(typ, "JWT") != 0)
		return -1;
	if (strcasecmp(alg, "ed25519-nkey") == 0)
		return 2;
	return strcasecmp(alg, "ed25519") == 0 ? 1 : -1;
}

/* Version 1 had type, tags and issuer_account beside nats, and an activation's "type"
 * was what it activates. */
static void from_v1(struct jwt *j)
{
	static const char *const moved[] = {"tags", "type", "issuer_account"};
	json_t *v = json_object_get(j->nats, "type");

	if (j->kind == JWT_ACTIVATION && v)
		json_object_set(j->nats, "kind", v);
	if (j->kind == JWT_USER)
		json_object_del(j->nats, "max");
	for (size_t i = 0; i < 3; i++) {
		v = json_object_get(j->root, moved[i]);
		if (v)
			json_object_set(j->nats, moved[i], v);
		json_object_del(j->root, moved[i]);
	}
	json_object_set_new(j->nats, "version", json_integer(1));
}

static int classify(struct jwt *j, const char *name, struct err *e)
{
	const char *outer = json_string_value(json_object_get(j->root, "type"));
	const char *type = outer ? outer : json_string_value(json_object_get(j->nats, "type"));
	json_int_t version = outer ? 1 : json_integer_value(json_object_get(j->nats, "version"));

	if (!json_is_object(j->nats))
		return err_set(e, ERR_BAD_INPUT, "%s is not a NATS JWT: no 'nats' in it", name);
	if (version > 2)
		return err_set(e, ERR_BAD_VERSION,
			       "%s was made by a newer version (%lld): this program reads 1 and 2",
			       name, (long long)version);
	j->kind = JWT_GENERIC;
	for (unsigned k = 0; type && k < JWT_GENERIC; k++)
		if (strcmp(kinds[k].name, type) == 0)
			j->kind = k;
	j->version = version == 2 ? 2 : 1;
	if (outer)
		from_v1(j);
	return 0;
}

static int check_issuer(const struct jwt *j, const char *name, uint8_t pub[static 32],
			struct err *e)
{
	const char *iss = jwt_str(j, "iss");
	enum nkey_kind kind;

	if (nkey_decode(pub, &kind, iss, NULL) || kind == NKEY_CURVE)
		return err_set(e, ERR_BAD_INPUT, "%s: its issuer is not an NKey", name);
	if (j->kind != JWT_GENERIC && kind != kinds[j->kind].issuer[0] &&
	    kind != kinds[j->kind].issuer[1])
		return err_set(e, ERR_BAD_INPUT, "%s: a key of kind %s cannot issue an %s JWT",
			       name, nkey_kind_name(kind), jwt_kind_name(j->kind));
	return 0;
}

/* Names of files, settings of servers and topics are made of subjects: what is no key is
 * refused here, once for all. */
static int check_subject(const struct jwt *j, const char *name, struct err *e)
{
	const char *sub = jwt_str(j, "sub");
	uint8_t raw[32];

	if (j->kind > JWT_ACTIVATION || (j->kind == JWT_ACTIVATION && strcmp(sub, "public") == 0))
		return 0;
	if (nkey_decode_kind(raw, kinds[j->kind].subject, sub, NULL))
		return err_set(e, ERR_BAD_INPUT, "%s: its subject is not an NKey of kind %s", name,
			       nkey_kind_name(kinds[j->kind].subject));
	return 0;
}

static int decode(struct jwt *j, const char *name, const struct chunks *c, struct err *e)
{
	CLEAN(json) json_t *header = chunk_json(name, c->p[0], c->n[0], e);
	uint8_t sig[72], pub[32];
	size_t got;

	if (!header)
		return -1;
	int ver = header_version(header);

	if (ver < 0)
		return err_set(e, ERR_BAD_INPUT, "%s is not a NATS JWT: unknown type or algorithm",
			       name);
	j->root = chunk_json(name, c->p[1], c->n[1], e);
	if (!j->root)
		return -1;
	j->nats = json_object_get(j->root, "nats");
	if (classify(j, name, e) || check_issuer(j, name, pub, e))
		return -1;
	if (ver != j->version && j->kind != JWT_GENERIC)
		return err_set(e, ERR_BAD_INPUT, "%s: algorithm and version do not fit", name);
	if (enc_unbase64(sig, sizeof(sig), &got, c->p[2], c->n[2], ENC_URL) || got != 64)
		return err_set(e, ERR_BAD_INPUT, "%s: its signature is malformed", name);
	/* Version 1 signed the claims only. */
	const char *start = ver == 1 ? c->p[1] : c->p[0];

	if (nkey_verify(pub, sig, start, (size_t)(c->p[1] + c->n[1] - start), NULL))
		return err_set(e, ERR_NOT_VERIFIED, "%s: its signature does not verify", name);
	json_t *root = ordered(j, e);

	if (!root)
		return err_wrap(e, "%s", name);
	use_root(j, root);
	return check_subject(j, name, e);
}

int jwt_decode(struct jwt *j, const char *name, const char *token, size_t len, struct err *e)
{
	struct chunks c;

	jwt_clear(j);
	if (!len)
		token = "";
	if (len > JWT_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s: a JWT has at most %zu characters", name,
			       JWT_MAX);
	if (split(&c, token, len))
		return err_set(e, ERR_BAD_INPUT,
			       "%s is not a JWT: three parts with dots between are needed", name);
	if (decode(j, name, &c, e) == 0)
		return 0;
	jwt_clear(j);
	return -1;
}

int jwt_decode_kind(struct jwt *j, enum jwt_kind kind, const char *name, const char *token,
		    size_t len, struct err *e)
{
	if (jwt_decode(j, name, token, len, e))
		return -1;
	if (j->kind == kind)
		return 0;
	err_set(e, ERR_WRONG_NKEY, "%s is an %s JWT: an %s JWT is needed", name,
		jwt_kind_name(j->kind), jwt_kind_name(kind));
	jwt_clear(j);
	return -1;
}

/* ---- writing */

/* The id covers the claims without nats and without itself. */
static int set_id(struct jwt *j, struct err *e)
{
	char id[ENC_BASE32_LEN(SHA512_256_LEN)];
	CLEAN(json) json_t *bare = json_object();
	uint8_t digest[SHA512_256_LEN];
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX);
	for (const struct jwt_field *w = jwt_claims_fields; bare && w->key; w++) {
		json_t *v = json_object_get(j->root, w->key);

		if (v && strcmp(w->key, "jti") != 0)
			json_object_set(bare, w->key, v);
	}
	if (bare)
		jwt_json(&text, bare, false);
	if (!bare || text.bad)
		return err_set(e, ERR_NOMEM, NULL);
	sha512_256(digest, text.p, text.len);
	enc_base32(id, digest, sizeof(digest));
	json_object_set_new(j->root, "jti", json_string(id));
	return 0;
}

struct item {
	json_t *v;
	size_t at;
};

static int by_subject(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	const char *s = json_string_value(json_object_get(x->v, "subject"));
	const char *t = json_string_value(json_object_get(y->v, "subject"));
	int r = strcmp(s ? s : "", t ? t : "");

	return r ? r : (x->at > y->at) - (x->at < y->at);
}

/* Equal subjects keep their order. */
static int sort_list(json_t *list, struct err *e)
{
	size_t n = json_array_size(list);
	CLEAN(free) struct item *all = calloc(n + 1, sizeof(*all));

	if (!all)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < n; i++)
		all[i] = (struct item){json_incref(json_array_get(list, i)), i};
	qsort(all, n, sizeof(*all), by_subject);
	for (size_t i = 0; i < n; i++)
		json_array_set_new(list, i, all[i].v);
	return 0;
}

static void put_base64(struct buf *out, const void *p, size_t n)
{
	size_t len = ENC_BASE64_LEN(n);
	char *to = (char *)buf_space(out, len);

	if (!to)
		return;
	enc_base64(to, p, n, ENC_URL);
	out->len -= len - strlen(to);
}

int jwt_encode(struct jwt *j, const struct nkey *issuer, int64_t now, struct buf *out,
	       struct err *e)
{
	CLEAN(buf) struct buf text = {0};
	char pub[NKEY_PUB_LEN];
	size_t start = out->len;
	uint8_t sig[64];

	buf_init(&text, JWT_MAX);
	if (j->kind != JWT_GENERIC && issuer->kind != kinds[j->kind].issuer[0] &&
	    issuer->kind != kinds[j->kind].issuer[1])
		return err_set(e, ERR_WRONG_NKEY, "a key of kind %s cannot issue an %s JWT",
			       nkey_kind_name(issuer->kind), jwt_kind_name(j->kind));
	nkey_pub_text(issuer, pub);
	json_object_set_new(j->root, "iss", json_string(pub));
	json_object_set_new(j->root, "iat", json_integer(now));
	json_object_set_new(j->nats, "version", json_integer(2));
	if (j->kind == JWT_ACCOUNT && (sort_list(json_object_get(j->nats, "imports"), e) ||
				       sort_list(json_object_get(j->nats, "exports"), e)))
		return -1;
	if (set_id(j, e))
		return -1;
	json_t *root = ordered(j, e);

	if (!root)
		return -1;
	use_root(j, root);
	jwt_json(&text, root, false);
	put_base64(out, HEADER, sizeof(HEADER) - 1);
	buf_u8(out, '.');
	if (!text.bad)
		put_base64(out, text.p, text.len);
	if (text.bad || out->bad)
		return err_set(e, ERR_TOO_LARGE, "the JWT is larger than %zu bytes", JWT_MAX);
	if (nkey_sign(issuer, sig, out->p + start, out->len - start, e))
		return -1;
	j->version = 2;
	buf_u8(out, '.');
	put_base64(out, sig, sizeof(sig));
	return out->bad ? err_set(e, ERR_TOO_LARGE, "the JWT is larger than %zu bytes", JWT_MAX)
			: 0;
}
