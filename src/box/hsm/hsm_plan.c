#include "box/hsm/hsm_plan.h"

#include <string.h>

#include "box/hsm/hsm_run.h"
#include "proto/op.h"

static const struct {
	const char *name, *would, *done;
} words[] = {
	[PLAN_PIN] = {"identity-pin", "pin", "pinned"},
	[PLAN_PROVISION] = {"provision", "provision", "provisioned"},
	[PLAN_UNLOCK] = {"unlock", "unlock", "unlocked"},
	[PLAN_UNATTENDED] = {"unattended-boot", "turn", "turned"},
	[PLAN_USER_ADD] = {"user-add", "add", "added"},
	[PLAN_USER_SET] = {"user-set", "set", "set"},
	[PLAN_KEY_NEW] = {"key-gen", "make", "made"},
	[PLAN_KEY_SET] = {"key-set", "set", "set"},
};

const char *plan_name(enum plan_what what)
{
	return words[what].name;
}

const char *plan_object(const struct plan_step *t)
{
	return t->user ? t->user->name : t->key ? t->key->name : NULL;
}

static const char *open_text(uint8_t flags)
{
	return flags ? "open" : "closed";
}

void plan_text(const struct plan_step *t, bool would, char *out, size_t cap)
{
	const struct key_type_row *type =
		t->key ? key_type_row(t->key->type > 0 ? (unsigned)t->key->type : KEY_ED25519)
		       : NULL;
	char rest[200];

	switch (t->what) {
	case PLAN_PIN:
		(void)snprintf(rest, sizeof(rest), "the identity");
		break;
	case PLAN_PROVISION:
	case PLAN_UNLOCK:
		(void)snprintf(rest, sizeof(rest), "the HSM");
		break;
	case PLAN_UNATTENDED:
		(void)snprintf(rest, sizeof(rest), "unattended boot %s", t->flags ? "on" : "off");
		break;
	case PLAN_USER_ADD:
		(void)snprintf(
			rest, sizeof(rest), "user %s as %s", t->user->name,
			role_text(t->user->role > 0 ? (unsigned)t->user->role : ROLE_OPERATOR));
		break;
	case PLAN_USER_SET:
		(void)snprintf(rest, sizeof(rest), "user %s: plain surface %s", t->user->name,
			       open_text(t->flags));
		break;
	case PLAN_KEY_NEW:
		(void)snprintf(rest, sizeof(rest), "key %s (%s)", t->key->name, type->text);
		break;
	case PLAN_KEY_SET:
		(void)snprintf(rest, sizeof(rest), "key %s: plain surface %s, audit %s",
			       t->key->name, open_text(t->flags), run_audit_text(t->audit));
		break;
	}
	(void)snprintf(out, cap, "%s%s %s", would ? "would " : "",
		       would ? words[t->what].would : words[t->what].done, rest);
}

/* The first thing that cannot be changed, and how many there are. */
struct conflicts {
	size_t n;
	struct err first, later;
};

/* Where to say the next one. */
static struct err *conflict(struct conflicts *c)
{
	return c->n++ ? &c->later : &c->first;
}

static struct plan_step *add(struct plan *p, enum plan_what what)
{
	p->steps[p->n] = (struct plan_step){.what = what};
	return &p->steps[p->n++];
}

static const struct plan_user *by_name(const struct plan_have *have, const char *name)
{
	for (size_t i = 0; i < have->nusers; i++)
		if (strcmp(have->users[i].name, name) == 0)
			return &have->users[i];
	return NULL;
}

static const struct plan_user *by_nkey(const struct plan_have *have, const uint8_t nkey[static 32])
{
	for (size_t i = 0; i < have->nusers; i++)
		if (memcmp(have->users[i].nkey, nkey, 32) == 0)
			return &have->users[i];
	return NULL;
}

static void plan_one_user(struct plan *p, const struct setup *s, const struct setup_user *u,
			  const struct plan_have *have, struct conflicts *c)
{
	const struct plan_user *is = by_name(have, u->name), *other = by_nkey(have, u->nkey);
	char there[NKEY_PUB_LEN], here[NKEY_PUB_LEN];
	struct plan_step *t;

	nkey_encode(here, NKEY_USER, u->nkey);
	if (other && other != is) {
		json_complain(&s->doc, u->at, "name", 0, conflict(c),
			      "the HSM knows the NKey of '%.30s' here as user '%.30s': remove one, "
			      "or use its name",
			      u->name, other->name);
		return;
	}
	if (is && memcmp(is->nkey, u->nkey, 32) != 0) {
		nkey_encode(there, NKEY_USER, is->nkey);
		json_complain(&s->doc, u->at, "name", 0, conflict(c),
			      "user '%.20s' has NKey %s in the HSM and %s here", u->name, there,
			      here);
		return;
	}
	if (is && u->role != SETUP_UNSAID && u->role != is->role) {
		json_complain(&s->doc, u->at, "role", 0, conflict(c),
			      "user '%.40s' is %s in the HSM and %s here; a role cannot change: "
			      "'hsm user rm' first",
			      u->name, role_text(is->role), role_text((unsigned)u->role));
		return;
	}
	if (is && (u->plain == SETUP_UNSAID || (is->flags & USER_PLAIN) == u->plain))
		return;
	t = add(p, is ? PLAN_USER_SET : PLAN_USER_ADD);
	t->user = u;
	t->flags = u->plain == 1 ? USER_PLAIN : 0;
}

static const char *type_text(int type)
{
	const struct key_type_row *row = key_type_row((unsigned)type);

	return row ? row->text : "?";
}

/* What of a key that is there cannot become what it should be. */
static bool key_conflict(const struct setup *s, const struct setup_key *k,
			 const struct plan_key *is, struct conflicts *c)
{
	if (k->type != SETUP_UNSAID && k->type != is->type) {
		json_complain(&s->doc, k->at, "type", 0, conflict(c),
			      "key '%.60s' is %s in the HSM and %s here; a type cannot change: use "
			      "another name",
			      k->name, type_text(is->type), type_text(k->type));
	} else if (k->bits && k->bits != is->bits) {
		json_complain(&s->doc, k->at, "bits", 0, conflict(c),
			      "key '%.60s' has %u bits in the HSM and %u here; bits cannot change: "
			      "use another name",
			      k->name, is->bits, k->bits);
	} else if (k->modes && k->modes != is->modes) {
		char there[60], here[60];

		run_modes_text(is->modes, there, sizeof(there));
		run_modes_text(k->modes, here, sizeof(here));
		json_complain(&s->doc, k->at, "modes", 0, conflict(c),
			      "key '%.30s' has modes %s in the HSM and %s here; they cannot change",
			      k->name, there, here);
	} else {
		return false;
	}
	return true;
}

static void plan_one_key(struct plan *p, const struct setup *s, const struct setup_key *k,
			 const struct plan_key *is, struct conflicts *c)
{
	uint8_t plain = is->flags & KEYF_PLAIN, audit = is->audit;
	struct plan_step *t;

	if (is->there && key_conflict(s, k, is, c))
		return;
	if (k->plain != SETUP_UNSAID)
		plain = k->plain ? KEYF_PLAIN : 0;
	if (k->audit != SETUP_UNSAID)
		audit = (uint8_t)k->audit;
	if (is->there && plain == (is->flags & KEYF_PLAIN) && audit == is->audit)
		return;
	t = add(p, is->there ? PLAN_KEY_SET : PLAN_KEY_NEW);
	t->key = k;
	t->flags = (uint8_t)((is->flags & ~KEYF_PLAIN) | plain);
	t->audit = audit;
}

int plan_make(struct plan *p, const struct setup *s, const struct plan_have *have, struct err *e)
{
	struct conflicts c = {0};

	p->n = 0;
	p->steps = calloc(1 + s->nusers + s->nkeys, sizeof(*p->steps));
	if (!p->steps)
		return err_set(e, ERR_NOMEM, NULL);
	if (s->unattended != SETUP_UNSAID && have->unattended != (s->unattended == 1))
		add(p, PLAN_UNATTENDED)->flags = s->unattended == 1;
	for (size_t i = 0; i < s->nusers; i++)
		plan_one_user(p, s, &s->users[i], have, &c);
	for (size_t i = 0; i < s->nkeys; i++)
		plan_one_key(p, s, &s->keys[i], &have->keys[i], &c);
	if (c.n == 0)
		return 0;
	if (c.n == 1)
		return err_set(e, ERR_EXISTS, "%s", c.first.text);
	return err_set(e, ERR_EXISTS, "%.230s (%zu more like it)", c.first.text, c.n - 1);
}
