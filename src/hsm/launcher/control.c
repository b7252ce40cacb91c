#include "hsm/launcher/control.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "hsm/launcher/identity.h"
#include "proto/op.h"

#define LOCK_GRACE_MS 5000

int control_config(struct supervise *s, struct err *e)
{
	const struct config *cfg = s->cfg;
	CLEAN(secret) uint8_t *memory = secret_alloc(WIRE_PACKET);
	struct keyd_config *c = secret_alloc(sizeof(*c));
	struct buf b;
	size_t at;

	if (!memory || !c) {
		secret_free(c);
		return err_set(e, ERR_NOMEM, "no locked memory for keyd's configuration");
	}
	buf_fixed(&b, memory, WIRE_PACKET);
	b.secret = true;
	memcpy(c->device_key, s->boot->device_key, sizeof(c->device_key));
	c->passphrase = s->boot->passphrase.p;
	c->passphrase_len = s->boot->passphrase.len;
	c->may_unlock = s->may_unlock;
	c->debug = cfg->debug;
	c->no_sandbox_landlock = cfg->landlock_waived;
	c->warnings = s->warnings;
	c->workers = (unsigned)cfg->workers;
	c->sessions_user = (unsigned)cfg->sessions_user;
	c->max_message = (uint32_t)cfg->max_message;
	c->key_mib = (uint32_t)cfg->key_mib;
	c->audit_mib = (uint32_t)cfg->audit_mib;
	c->nbootstrap = cfg->nbootstrap;
	memcpy(c->bootstrap, cfg->bootstrap, sizeof(c->bootstrap));
	c->has_anchor = s->anchor.path != NULL;
	c->anchor_len = s->anchor.len;
	memcpy(c->anchor, s->anchor.bytes, sizeof(c->anchor));
	at = wire_begin(&b, W_CONFIG, 0);
	keyd_config_put(&b, c);
	wire_end(&b, at);
	secret_free(c);
	return wire_send(s->control, &b, e);
}

int control_fds(struct supervise *s, enum wire_type type, const int *fds, unsigned n, struct err *e)
{
	return wire_send_fds(s->control, type, 0, NULL, 0, fds, n, e);
}

static int send_small(struct supervise *s, enum wire_type type, uint64_t tag,
		      const struct buf *body, struct err *e)
{
	uint8_t memory[1024];
	struct buf b;

	buf_fixed(&b, memory, sizeof(memory));
	wire_put(&b, type, tag, body->p, body->len);
	return wire_send(s->control, &b, e);
}

int control_stop(struct supervise *s, struct err *e)
{
	const struct buf nothing = {0};

	return send_small(s, W_STOP, 0, &nothing, e);
}

/* ---- what keyd says ---- */

static void note_identity(struct supervise *s, const struct hello *h)
{
	static const uint8_t none[32];
	const char *path = s->cfg->identity_file;
	char was[NKEY_PUB_LEN], now[NKEY_PUB_LEN];
	struct err e;

	/* Public: no constant time needed. */
	if (memcmp(h->identity, none, sizeof(none)) == 0)
		return;
	nkey_encode(now, NKEY_CURVE, h->identity);
	if (identity_write(path, h->identity, was, &e))
		log_error("identity file is not up to date", "error", e.text);
	else if (was[0])
		log_warn("this is another HSM than before: clients that pinned the old identity "
			 "will refuse it",
			 "old", was, "new", now, "file", path);
	if (!s->known || memcmp(s->hello.identity, h->identity, sizeof(none)) != 0)
		log_info("identity", "identity", now, "file", path);
}

static int on_status(struct supervise *s, const struct wire_msg *m, struct err *e)
{
	struct hello h;

	if (hello_get(&h, m->p, m->len, e))
		return -1;
	note_identity(s, &h);
	if (!s->known || s->hello.state != h.state || s->hello.problem != h.problem)
		log_info("state", "state", hsm_state_text(h.state), "problem",
			 h.problem ? err_row(h.problem)->name : "none");
	s->hello = h;
	s->known = true;
	s->was_operational |= h.state == STATE_OPERATIONAL;
	return 0;
}

static int on_anchor(struct supervise *s, const struct wire_msg *m, struct err *e)
{
	uint8_t memory[300];
	struct err why = {0};
	struct buf b;

	if (anchor_save(&s->anchor, m->p, m->len, &why))
		log_error("anchor is not written", "error", why.text);
	buf_fixed(&b, memory, sizeof(memory));
	buf_u16(&b, (uint16_t)why.code);
	buf_put(&b, why.text, strlen(why.text));
	/* Who asked may have ended, with more to be read behind this: no failure. */
	if (send_small(s, W_ANCHORED, m->tag, &b, e))
		log_debug("keyd is not told of its anchor", "error", e->text);
	return 0;
}

/* Text of keyd's, cut and terminated; the log escapes it. */
static void text_of(const struct wire_msg *m, char out[static 200])
{
	size_t n = m->len < 199 ? m->len : 199;

	if (n)
		memcpy(out, m->p, n);
	out[n] = '\0';
}

static void on_bad(struct supervise *s, const struct wire_msg *m, enum proc_id id)
{
	char why[200];

	text_of(m, why);
	log_warn("keyd found a channel broken: process is killed and started again", "process",
		 supervise_name(id), "why", why);
	supervise_kill(s, id);
}

static int dispatch(struct supervise *s, const struct wire_msg *m, struct err *e)
{
	switch (m->type) {
	case W_STATUS:
		return on_status(s, m, e);
	case W_ANCHOR:
		return on_anchor(s, m, e);
	case W_FRONT_BAD:
		on_bad(s, m, PROC_FRONT);
		return 0;
	case W_STORE_BAD:
		on_bad(s, m, PROC_STORE);
		return 0;
	case W_LOCKED:
		log_info("locked: stored secrets count no more until unlock or a restart of hsmd");
		s->may_unlock = false;
		s->locking = true;
		s->proc[PROC_KEYD].kill_at = supervise_now() + LOCK_GRACE_MS;
		return 0;
	case W_UNLOCKED:
		s->may_unlock = true;
		return 0;
	default:
		return err_set(e, ERR_BAD_FRAME, "message of type %d is not for hsmd", m->type);
	}
}

int control_receive(struct supervise *s, struct err *e)
{
	struct wire_msg m;
	int rc = wire_recv(&s->reader, s->control, NULL, NULL, e);

	if (rc <= 0)
		return rc < 0 ? -1 : 1;
	while ((rc = wire_next(&s->reader, &m, e)) > 0)
		if (dispatch(s, &m, e))
			return -1;
	return rc;
}
