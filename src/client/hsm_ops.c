#include "client/hsm_ops.h"

#include <string.h>

#include "base/cleanup.h"

#define MALFORMED "the HSM's answer is malformed: are client and service of one version?"

static int call(struct hsm_client *c, enum op op, const char *key, const struct buf *body,
		struct buf *mem, struct hsm_result *r, struct err *e)
{
	struct hsm_request q = {.op = op, .key = key};

	if (body && body->bad)
		return err_set(e, ERR_TOO_LARGE, NULL);
	if (body) {
		q.body = body->p;
		q.len = body->len;
	}
	if (mem)
		buf_reset(mem);
	return hsm_call(c, &q, mem, r, e);
}

static void reader(struct rd *r, const struct hsm_result *res)
{
	rd_init(r, res->body.p, res->body.len);
}

int hsm_state(struct hsm_client *c, struct buf *mem, struct state_info *s, bool *epoch_back,
	      struct err *e)
{
	struct hsm_request q = {.op = OP_state, .flags = HSM_ANY_EPOCH};
	struct hsm_result r;

	buf_reset(mem);
	if (hsm_call(c, &q, mem, &r, e))
		return -1;
	if (state_info_get(s, r.body.p, r.body.len, e))
		return err_set(e, ERR_BAD_REQUEST, MALFORMED);
	*epoch_back = r.state == STATE_OPERATIONAL && r.epoch < hsm_epoch(c);
	return 0;
}

/* Body of a passphrase, wiped with the buffer. */
static int with_passphrase(struct hsm_client *c, enum op op, unsigned flags,
			   const struct secret *pass, struct hsm_result *r, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	struct hsm_request q = {.op = op, .flags = flags};

	buf_init(&b, PASSPHRASE_MAX + 2);
	b.secret = true;
	buf_str16(&b, pass->p, pass->len);
	if (b.bad || pass->len < PASSPHRASE_MIN)
		return err_set(e, ERR_BAD_LENGTH, "a passphrase has %d to %d bytes", PASSPHRASE_MIN,
			       PASSPHRASE_MAX);
	q.body = b.p;
	q.len = b.len;
	return hsm_call(c, &q, NULL, r, e);
}

int hsm_provision(struct hsm_client *c, const struct secret *pass, struct err *e)
{
	struct hsm_result r;

	return with_passphrase(c, OP_provision, 0, pass, &r, e);
}

int hsm_unlock(struct hsm_client *c, const struct secret *pass, struct err *e)
{
	struct hsm_result r;
	struct err own;
	int rc = with_passphrase(c, OP_unlock, 0, pass, &r, &own);

	if (rc && own.code == ERR_WRONG_STATE && r.tries > 1 && r.state == STATE_OPERATIONAL)
		return 0;
	if (rc && e)
		*e = own;
	return rc;
}

int hsm_lock(struct hsm_client *c, struct err *e)
{
	struct hsm_result r;
	struct err own;
	int rc = call(c, OP_lock, NULL, NULL, NULL, &r, &own);

	/* The service restarts with its answer: a try after a lost one finds it locked. */
	if (rc && own.code == ERR_WRONG_STATE && r.tries > 1 && r.state == STATE_LOCKED)
		return 0;
	if (rc && e)
		*e = own;
	return rc;
}

int hsm_accept_rollback(struct hsm_client *c, const struct secret *pass, uint64_t *epoch,
			struct err *e)
{
	struct hsm_result r;

	if (with_passphrase(c, OP_accept_rollback, HSM_ANY_EPOCH, pass, &r, e))
		return -1;
	*epoch = r.epoch;
	return hsm_epoch_accept(c, r.epoch, e);
}

int hsm_config_get(struct hsm_client *c, bool *unattended, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct hsm_result r;
	struct rd rd;

	buf_init(&mem, 64);
	if (call(c, OP_config_get, NULL, NULL, &mem, &r, e))
		return -1;
	reader(&rd, &r);
	*unattended = rd_u8(&rd) != 0;
	return rd_end(&rd) ? 0 : err_set(e, ERR_BAD_REQUEST, MALFORMED);
}

static int flags_call(struct hsm_client *c, enum op op, const char *key, const char *name,
		      const uint8_t *flags, size_t nflags, struct err *e)
{
	uint8_t mem[NAME_MAX_LEN + 8];
	struct hsm_result r;
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	if (name)
		buf_str8(&b, name, strlen(name));
	buf_put(&b, flags, nflags);
	if (b.bad)
		return err_set(e, ERR_BAD_NAME, NULL);
	return call(c, op, key, &b, NULL, &r, e);
}

int hsm_config_set(struct hsm_client *c, bool unattended, struct err *e)
{
	uint8_t v = unattended;

	return flags_call(c, OP_config_set, NULL, NULL, &v, 1, e);
}

int hsm_user_add(struct hsm_client *c, const struct user_info *u, struct err *e)
{
	struct user_info info = *u;
	uint8_t mem[NAME_MAX_LEN + 64];
	struct hsm_result r;
	struct buf b;

	info.created = 0;
	buf_fixed(&b, mem, sizeof(mem));
	user_info_put(&b, &info);
	if (b.bad)
		return err_set(e, ERR_BAD_NAME, NULL);
	return call(c, OP_user_add, NULL, &b, NULL, &r, e);
}

int hsm_user_get(struct hsm_client *c, const char *name, struct buf *mem, struct user_info *u,
		 struct err *e)
{
	uint8_t body[NAME_MAX_LEN + 1];
	struct hsm_result r;
	struct buf b;
	struct rd rd;

	buf_fixed(&b, body, sizeof(body));
	buf_str8(&b, name, strlen(name));
	if (b.bad)
		return err_set(e, ERR_BAD_NAME, NULL);
	if (call(c, OP_user_get, NULL, &b, mem, &r, e))
		return -1;
	reader(&rd, &r);
	if (user_info_get(u, &rd, e) || !rd_end(&rd))
		return err_set(e, ERR_BAD_REQUEST, MALFORMED);
	return 0;
}

int hsm_user_set(struct hsm_client *c, const char *name, uint8_t flags, struct err *e)
{
	return flags_call(c, OP_user_set, NULL, name, &flags, 1, e);
}

int hsm_user_remove(struct hsm_client *c, const char *name, struct err *e)
{
	return flags_call(c, OP_user_remove, NULL, name, NULL, 0, e);
}

/* Asks for one page; the cursor stands at its first item. */
static int page(struct hsm_client *c, enum op op, const struct list_query *q, struct buf *mem,
		struct rd *rd, size_t *n, bool *more, struct err *e)
{
	uint8_t body[2 * NAME_MAX_LEN + 8];
	struct hsm_result r;
	struct buf b;

	buf_fixed(&b, body, sizeof(body));
	list_query_put(&b, q);
	if (b.bad)
		return err_set(e, ERR_BAD_NAME, NULL);
	if (call(c, op, NULL, &b, mem, &r, e))
		return -1;
	reader(rd, &r);
	*more = rd_u8(rd) != 0;
	*n = rd_u16(rd);
	/* A page without items that promises more would be asked for for ever. */
	if (rd->bad || *n > LIST_MAX || (*more && *n == 0))
		return err_set(e, ERR_BAD_REQUEST, MALFORMED);
	return 0;
}

static int compare(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* Names that go round in a circle would be asked for for ever. */
static int in_order(struct bytes *last, struct bytes prefix, struct bytes name, struct err *e)
{
	bool fits = name.len >= prefix.len &&
		    (!prefix.len || memcmp(name.p, prefix.p, prefix.len) == 0);

	if (!fits || !name.len || compare(name, *last) <= 0)
		return err_set(e, ERR_BAD_REQUEST,
			       "the HSM's list is not in the order of names: it is damaged, or "
			       "not what it says to be");
	*last = name;
	return 0;
}

int hsm_user_list(struct hsm_client *c, const struct list_query *q, struct buf *mem,
		  struct user_info *list, size_t *n, bool *more, struct err *e)
{
	struct bytes last = q->after;
	struct rd rd;

	if (page(c, OP_user_list, q, mem, &rd, n, more, e))
		return -1;
	for (size_t i = 0; i < *n; i++) {
		if (user_info_get(&list[i], &rd, e))
			return err_set(e, ERR_BAD_REQUEST, MALFORMED);
		if (in_order(&last, q->prefix, list[i].name, e))
			return -1;
	}
	return rd_end(&rd) ? 0 : err_set(e, ERR_BAD_REQUEST, MALFORMED);
}

int hsm_key_list(struct hsm_client *c, const struct list_query *q, struct buf *mem,
		 struct key_info *list, size_t *n, bool *more, struct err *e)
{
	struct bytes last = q->after;
	struct rd rd;

	if (page(c, OP_key_list, q, mem, &rd, n, more, e))
		return -1;
	for (size_t i = 0; i < *n; i++) {
		if (key_info_get(&list[i], &rd, e))
			return err_set(e, ERR_BAD_REQUEST, MALFORMED);
		if (in_order(&last, q->prefix, list[i].name, e))
			return -1;
	}
	return rd_end(&rd) ? 0 : err_set(e, ERR_BAD_REQUEST, MALFORMED);
}

static int key_reply(struct key_info *info, const struct hsm_result *r, struct err *e)
{
	struct rd rd;

	reader(&rd, r);
	if (key_info_get(info, &rd, e) || !rd_end(&rd))
		return err_set(e, ERR_BAD_REQUEST, MALFORMED);
	return 0;
}

int hsm_key_new(struct hsm_client *c, const char *name, const struct key_new *k, struct buf *mem,
		struct key_info *info, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	struct hsm_result r;

	buf_init(&b, 4 * RSA_MAX_BYTES);
	b.secret = true;
	key_new_put(&b, k);
	if (call(c, k->a.len ? OP_key_import : OP_key_generate, name, &b, mem, &r, e))
		return -1;
	return key_reply(info, &r, e);
}

int hsm_key_get(struct hsm_client *c, const char *name, struct buf *mem, struct key_info *info,
		struct err *e)
{
	struct hsm_result r;

	if (call(c, OP_key_get, name, NULL, mem, &r, e))
		return -1;
	return key_reply(info, &r, e);
}

int hsm_key_set(struct hsm_client *c, const char *name, uint8_t flags, uint8_t audit, struct err *e)
{
	return flags_call(c, OP_key_set, name, NULL, (uint8_t[]){flags, audit}, 2, e);
}

int hsm_key_remove(struct hsm_client *c, const char *name, struct err *e)
{
	return flags_call(c, OP_key_remove, name, NULL, NULL, 0, e);
}

int hsm_sign(struct hsm_client *c, const char *key, uint8_t *mode, const void *m, size_t n,
	     uint8_t sig[static HSM_SIG_MAX], size_t *siglen, struct err *e)
{
	struct hsm_request q = {.op = OP_sign, .key = key, .mode = *mode, .body = m, .len = n};
	struct hsm_result r;
	struct buf out;

	buf_fixed(&out, sig, HSM_SIG_MAX);
	if (hsm_call(c, &q, &out, &r, e))
		return -1;
	if (!out.len)
		return err_set(e, ERR_BAD_REQUEST, MALFORMED);
	*siglen = out.len;
	*mode = r.mode;
	return 0;
}

int hsm_verify(struct hsm_client *c, const char *key, uint8_t mode, const void *m, size_t n,
	       const uint8_t *sig, size_t siglen, struct err *e)
{
	struct hsm_request q = {.op = OP_verify, .key = key, .mode = mode};
	struct hsm_result r;
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, n + siglen + 16);
	buf_str16(&b, sig, siglen);
	buf_str32(&b, m, n);
	if (b.bad)
		return err_set(e, ERR_TOO_LARGE, NULL);
	q.body = b.p;
	q.len = b.len;
	return hsm_call(c, &q, NULL, &r, e);
}

int hsm_random(struct hsm_client *c, uint8_t *out, size_t n, struct err *e)
{
	struct hsm_request q = {.op = OP_random, .len = 2};
	struct hsm_result r;
	uint8_t len[2];
	struct buf b;

	if (n > RANDOM_MAX)
		return err_set(e, ERR_TOO_LARGE, "at most %d bytes at a time", RANDOM_MAX);
	le16_store(len, (uint16_t)n);
	q.body = len;
	buf_fixed(&b, out, n);
	if (hsm_call(c, &q, &b, &r, e))
		return -1;
	return b.len == n ? 0 : err_set(e, ERR_BAD_REQUEST, MALFORMED);
}

int hsm_audit_head(struct hsm_client *c, struct audit_head *h, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct hsm_result r;

	buf_init(&mem, 4096);
	if (call(c, OP_audit_head, NULL, NULL, &mem, &r, e))
		return -1;
	return audit_head_get(h, r.body.p, r.body.len, NULL)
		       ? err_set(e, ERR_BAD_REQUEST, MALFORMED)
		       : 0;
}

int hsm_audit_read(struct hsm_client *c, uint64_t seq, uint32_t max,
		   int (*each)(void *arg, struct bytes entry, struct err *e), void *arg, size_t *n,
		   bool *more, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	uint8_t body[12];
	struct hsm_result r;
	struct buf b;
	struct rd rd;

	buf_fixed(&b, body, sizeof(body));
	buf_u64(&b, seq);
	buf_u32(&b, max);
	buf_init(&mem, HSM_REPLY_MAX);
	if (call(c, OP_audit_read, NULL, &b, &mem, &r, e))
		return -1;
	reader(&rd, &r);
	*more = rd_u8(&rd) != 0;
	*n = rd_u16(&rd);
	for (size_t i = 0; i < *n; i++) {
		struct bytes entry = rd_str16(&rd);

		if (rd.bad)
			break;
		if (each(arg, entry, e))
			return -1;
	}
	return rd_end(&rd) ? 0 : err_set(e, ERR_BAD_REQUEST, MALFORMED);
}
