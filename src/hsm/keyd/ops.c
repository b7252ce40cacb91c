/* The operations: who may do what, when, and which function does it. The rows of
 * proto/op.def say the first two, the table here the third. */
#include <string.h>

#include "base/secret.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"

static const struct handler handlers[] = {
	[OP_state] = {.lane = lane_state},
	[OP_provision] = {.slow = slow_new_passphrase, .commit = commit_provision},
	[OP_unlock] = {.slow = slow_passphrase, .commit = commit_unlock},
	[OP_lock] = {.commit = commit_lock},
	[OP_accept_rollback] = {.slow = slow_passphrase, .commit = commit_accept_rollback},
	[OP_config_get] = {.lane = lane_config_get},
	[OP_config_set] = {.commit = commit_config_set},
	[OP_close] = {.lane = lane_close},
	[OP_user_add] = {.commit = commit_user_add},
	[OP_user_list] = {.lane = lane_user_list},
	[OP_user_get] = {.lane = lane_user_get},
	[OP_user_remove] = {.commit = commit_user_remove},
	[OP_user_set] = {.commit = commit_user_set},
	[OP_key_generate] = {.slow = slow_key_generate, .commit = commit_key_new},
	[OP_key_import] = {.slow = slow_key_import, .commit = commit_key_new},
	[OP_key_list] = {.lane = lane_key_list},
	[OP_key_get] = {.lane = lane_key_get},
	[OP_key_remove] = {.commit = commit_key_remove},
	[OP_key_set] = {.commit = commit_key_set},
	[OP_sign] = {.lane = lane_sign, .commit = commit_sign},
	[OP_verify] = {.lane = lane_verify},
	[OP_random] = {.lane = lane_random},
	[OP_audit_head] = {.lane = lane_audit_head},
	[OP_audit_read] = {.commit = commit_audit_read},
};

const struct handler *op_handler(enum op op)
{
	const struct handler *h =
		op < sizeof(handlers) / sizeof(handlers[0]) ? &handlers[op] : NULL;

	return h && (h->lane || h->commit) ? h : NULL;
}

static void set_name(struct call *c, const void *name, size_t n)
{
	c->name_len = (uint8_t)n;
	memcpy(c->name, name, n);
}

/* Whose NKey it is: a user's after unlock, a bootstrap administrator's before. */
static int resolve(struct call *c, struct err *e)
{
	struct keyd *k = c->k;

	if (k->state == STATE_OPERATIONAL) {
		struct object *o = find_user_nkey(&k->objects, c->nkey);

		if (!o)
			return err_set(e, ERR_UNKNOWN_USER, NULL);
		c->role = o->user.role;
		c->user_flags = o->user.flags;
		set_name(c, o->name, o->name_len);
		return 0;
	}
	for (unsigned i = 0; i < k->nbootstrap; i++)
		if (memcmp(k->bootstrap[i].nkey, c->nkey, 32) == 0) {
			c->role = ROLE_BOOTSTRAP;
			set_name(c, k->bootstrap[i].name, strlen(k->bootstrap[i].name));
			return 0;
		}
	if (k->unlocking)
		return err_set(e, ERR_BUSY, CALL_STARTING);
	return err_set(e, ERR_WRONG_STATE, "%s: only bootstrap administrators are known",
		       hsm_state_text(k->state));
}

static bool has_idem(const struct request *q)
{
	static const uint8_t none[IDEM_LEN];

	return memcmp(q->idem, none, IDEM_LEN) != 0;
}

/* Sessions only: what mutates is nowhere else, and the front cannot ask for it. The id of
 * another request opens nothing: this one is checked like all. */
static bool was_done(const struct call *c)
{
	const struct object *o = NULL;
	uint8_t digest[32];

	if ((c->op->flags & OPF_MUTATES) && c->surface == SURFACE_SESSION &&
	    c->k->state == STATE_OPERATIONAL)
		o = find_idem(&c->k->objects, c->nkey, c->q.idem);
	if (!o)
		return false;
	request_digest(digest, &c->q);
	return secret_equal(digest, o->idem.digest, sizeof(digest));
}

int call_check(struct call *c, struct err *e)
{
	const struct request *q = &c->q;
	struct keyd *k = c->k;

	c->op = op_row(q->op);
	if (!c->op || !op_handler(c->op->op))
		return err_set(e, ERR_UNKNOWN_OP, "operation %u is not known", q->op);
	if (c->surface == SURFACE_SESSION && memcmp(q->boot_id, k->boot_id, BOOT_ID_LEN) != 0)
		return err_set(e, ERR_STALE_BOOT, NULL);
	if (resolve(c, e))
		return -1;
	if (q->user.len &&
	    (q->user.len != c->name_len || memcmp(q->user.p, c->name, c->name_len) != 0))
		return err_set(e, ERR_UNKNOWN_USER, "the session is not of that user");
	if ((c->op->flags & OPF_MUTATES) && !has_idem(q))
		return err_set(e, ERR_IDEM_MISSING, NULL);
	if (was_done(c))
		return 0;
	/* What was sent before a restart is not lost by coming a second too early. */
	if (!(c->op->states & k->state) && k->unlocking && (c->op->states & STATE_OPERATIONAL))
		return err_set(e, ERR_BUSY, CALL_STARTING);
	if (!(c->op->states & k->state))
		return err_set(e, ERR_WRONG_STATE, "%s is not possible while %s", c->op->name,
			       hsm_state_text(k->state));
	if (!(c->op->roles & c->role))
		return err_set(e, ERR_DENIED, "%s is not for the role %s", c->op->name,
			       role_text(c->role));
	if (c->surface == SURFACE_PLAIN &&
	    (!(c->op->flags & OPF_PLAIN) || !(c->user_flags & USER_PLAIN)))
		return err_set(e, ERR_SESSION_ONLY,
			       "%s is not open on the plain surface for this user", c->op->name);
	if (q->ns.len)
		return err_set(e, ERR_NO_SUCH_NAMESPACE, NULL);
	return 0;
}

int call_no_body(const struct call *c, struct err *e)
{
	return c->q.body.len ? err_set(e, ERR_BAD_REQUEST, "%s has no body", c->op->name) : 0;
}

int call_list(const struct call *c, enum blob_kind kind,
	      void (*put)(struct buf *out, const struct object *o), struct buf *out, struct err *e)
{
	struct object *page[LIST_MAX];
	struct list_query q;
	bool more;
	size_t n;

	if (list_query_get(&q, c->q.body.p, c->q.body.len, e))
		return -1;
	n = objects_page(&c->k->objects, kind, q.prefix, q.after, page, q.limit, &more);
	buf_u8(out, more);
	buf_u16(out, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		put(out, page[i]);
	return 0;
}
