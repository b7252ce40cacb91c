/* hsm apply: sets a service up as a file says, and changes nothing when it is so. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "box/hsm/hsm.h"
#include "box/hsm/hsm_plan.h"
#include "proto/op.h"

#define RACES_MAX 5

/* between two attempts */
static const struct timespec pause_step = {0, 250000000};

struct apply {
	struct cli *c;
	const struct setup *s;
	bool dry;
	int64_t until; /* the time of --wait is over */
	struct hsm_client *h;
	uint8_t identity[32];
	bool have_identity, pinned, raced;
	struct state_info state;
	struct buf mem; /* state points into it */
	json_t *steps;	/* borrowed by the caller's CLEAN */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A step was done, or in a dry run would be: people see it at once, also when a later one
 * fails; programs get all of them at the end. */
static int tell(struct apply *a, const struct plan_step *t, struct err *e)
{
	const char *object = plan_object(t);
	char text[256];

	plan_text(t, a->dry, text, sizeof(text));
	if (!run_json(a->c)) {
		FILE *f = cli_str(a->c, "output") ? run_out(a->c) : stdout;

		fprintf(f, "%s\n", text);
		fflush(f);
	}
	if (json_array_append_new(a->steps,
				  json_pack("{s:s, s:s*, s:s}", "step", plan_name(t->what), "name",
					    object, "text", text)))
		return err_set(e, ERR_NOMEM, NULL);
	return 0;
}

static int tell_simple(struct apply *a, enum plan_what what, struct err *e)
{
	return tell(a, &(struct plan_step){.what = what}, e);
}

/* The identity that the file, an option or the pin names; *later: its file is not there
 * yet, the service may still write it. */
static int resolve_identity(struct apply *a, bool *later, struct err *e)
{
	const char *text = a->s->identity;
	CLEAN(free) char *at = NULL;
	uint8_t given[32];

	if (!text)
		return run_identity(a->c, a->identity, e);
	if (text[0] == '@') {
		at = setup_path(a->s, "@", text + 1);
		if (!at)
			return err_set(e, ERR_NOMEM, NULL);
		*later = access(at + 1, F_OK) < 0 && errno == ENOENT;
		text = at;
	}
	if (run_identity_parse(a->identity, text, e))
		return -1;
	if (run_identity_given(a->c)) {
		if (run_identity(a->c, given, e))
			return -1;
		if (memcmp(given, a->identity, sizeof(given)) != 0)
			return err_set(e, ERR_EXISTS,
				       "%.100s and --identity (HSM_IDENTITY) name two HSMs: leave "
				       "one out",
				       a->s->doc.name);
	}
	return run_pin(a->c, a->identity, PIN_LOOK, &a->pinned, NULL, 0, e);
}

/* One attempt to learn the state of the HSM. */
static int reach(struct apply *a, bool *later, struct err *e)
{
	bool back;

	if (!a->have_identity && resolve_identity(a, later, e))
		return -1;
	a->have_identity = true;
	if (!a->h && run_open_to(a->c, a->identity, &a->h, e))
		return -1;
	if (hsm_state(a->h, &a->mem, &a->state, &back, e))
		return -1;
	if (a->state.hello.problem)
		return err_set(e, a->state.hello.problem,
			       "the HSM has a problem: %s (see 'hsm state')",
			       err_row(a->state.hello.problem)->text);
	if (back)
		return err_set(
			e, ERR_EPOCH_BACK,
			"the HSM's epoch is older than one seen before: its store was rolled "
			"back, or this is an attack (see 'hsm identity accept-epoch --help')");
	return 0;
}

/* Errors that time may heal. */
static bool may_pass(const struct err *e)
{
	switch (e->code) {
	case ERR_BUSY:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
	case ERR_SHUTTING_DOWN:
	case ERR_NO_RESPONDERS:
	case ERR_STALE_BOOT:
		return true;
	default:
		return false;
	}
}

/* What can be done with the state it is in. */
static int usable(const struct apply *a, struct err *e)
{
	const char *state = a->state.hello.state == STATE_LOCKED ? "locked" : "not provisioned";

	if (a->state.hello.state == STATE_OPERATIONAL || a->s->passphrase_file)
		return 0;
	return err_set(e, ERR_WRONG_STATE,
		       "the HSM is %s and %.100s has no provision.passphrase_file", state,
		       a->s->doc.name);
}

/* reach() until it works or the time of --wait is over. */
static int reach_in_time(struct apply *a, struct err *e)
{
	enum err_code told = ERR_OK;

	for (;;) {
		bool later = false;
		int rc = reach(a, &later, e);

		if (rc == 0)
			rc = usable(a, e);
		else if (!later && !may_pass(e))
			return -1;
		if (rc == 0 || now_ms() >= a->until)
			return rc;
		if (e->code == ERR_WRONG_STATE && a->state.hello.state == STATE_UNPROVISIONED)
			return -1;
		if (e->code != told)
			fprintf(stderr, "hsm: waiting: %s\n", e->text);
		told = e->code;
		nanosleep(&pause_step, NULL);
	}
}

static int passphrase(struct apply *a, struct secret *out, struct err *e)
{
	CLEAN(free) char *path = setup_path(a->s, "", a->s->passphrase_file);

	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	return secret_read_file(out, path, PASSPHRASE_MAX + 2, e);
}

/* Wrong passphrases before are a reason to wait. */
static int give_passphrase(struct apply *a, bool fresh, struct err *e)
{
	struct secret pass = {0};
	int rc = passphrase(a, &pass, e);

	while (rc == 0) {
		rc = fresh ? hsm_provision(a->h, &pass, e) : hsm_unlock(a->h, &pass, e);
		if (rc == 0 || e->code != ERR_RATE_LIMITED || now_ms() >= a->until)
			break;
		rc = nanosleep(&pause_step, NULL);
	}
	secret_clear(&pass);
	return rc;
}

/* Provisions or unlocks; another that did so meanwhile is fine. */
static int open_up(struct apply *a, struct err *e)
{
	bool fresh = a->state.hello.state == STATE_UNPROVISIONED, later;
	int rc;

	if (!a->dry) {
		rc = give_passphrase(a, fresh, e);
		if (rc && e->code == ERR_WRONG_STATE && reach(a, &later, e) == 0 &&
		    a->state.hello.state == STATE_OPERATIONAL)
			return 0;
		if (rc)
			return err_wrap(e, "%s", fresh ? "provision" : "unlock");
	}
	return tell_simple(a, fresh ? PLAN_PROVISION : PLAN_UNLOCK, e);
}

static int all_users(struct apply *a, struct plan_have *have, struct err *e)
{
	CLEAN(free) struct user_info *page = calloc(LIST_MAX, sizeof(*page));
	struct list_query q = {.limit = LIST_MAX};
	CLEAN(buf) struct buf mem = {0};
	char last[256];
	bool more = true;
	size_t n, total = 0;

	buf_init(&mem, HSM_REPLY_MAX);
	if (!page)
		return err_set(e, ERR_NOMEM, NULL);
	while (more) {
		struct plan_user *u;

		if (hsm_user_list(a->h, &q, &mem, page, &n, &more, e) ||
		    run_listed(&total, n, "users", e))
			return -1;
		u = reallocarray(have->users, have->nusers + n + 1, sizeof(*u));
		if (!u)
			return err_set(e, ERR_NOMEM, NULL);
		have->users = u;
		u += have->nusers;
		for (size_t i = 0; i < n; i++) {
			u[i] = (struct plan_user){.role = page[i].role, .flags = page[i].flags};
			memcpy(u[i].nkey, page[i].nkey, sizeof(u[i].nkey));
			(void)snprintf(u[i].name, sizeof(u[i].name), "%s",
				       text_bytes(last, page[i].name));
		}
		have->nusers += n;
		if (n)
			q.after = (struct bytes){(const uint8_t *)last, strlen(last)};
	}
	return 0;
}

static int wanted_keys(struct apply *a, struct plan_have *have, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct key_info k;

	buf_init(&mem, 8192);
	for (size_t i = 0; i < a->s->nkeys; i++) {
		if (hsm_key_get(a->h, a->s->keys[i].name, &mem, &k, e) == 0)
			have->keys[i] = (struct plan_key){.there = true,
							  .type = k.type,
							  .flags = k.flags,
							  .audit = k.audit,
							  .bits = k.bits,
							  .modes = k.modes};
		else if (e->code != ERR_NOT_FOUND)
			return err_wrap(e, "key %.60s", a->s->keys[i].name);
	}
	return 0;
}

static int do_step(struct apply *a, const struct plan_step *t, struct err *e)
{
	struct user_info u = {.flags = t->flags, .role = ROLE_OPERATOR};
	struct key_new k = {.type = KEY_ED25519, .flags = t->flags, .audit = t->audit};
	const char *name = plan_object(t);
	CLEAN(buf) struct buf mem = {0};
	struct key_info info;

	buf_init(&mem, 8192);
	switch (t->what) {
	case PLAN_UNATTENDED:
		return hsm_config_set(a->h, t->flags, e);
	case PLAN_USER_ADD:
		u.name = (struct bytes){(const uint8_t *)name, strlen(name)};
		memcpy(u.nkey, t->user->nkey, sizeof(u.nkey));
		if (t->user->role != SETUP_UNSAID)
			u.role = (uint8_t)t->user->role;
		return hsm_user_add(a->h, &u, e);
	case PLAN_USER_SET:
		return hsm_user_set(a->h, name, t->flags, e);
	case PLAN_KEY_NEW:
		if (t->key->type != SETUP_UNSAID)
			k.type = (uint8_t)t->key->type;
		k.bits = (uint16_t)t->key->bits;
		k.modes = t->key->modes;
		return hsm_key_new(a->h, name, &k, &mem, &info, e);
	case PLAN_KEY_SET:
		return hsm_key_set(a->h, name, t->flags, t->audit, e);
	default:
		return 0;
	}
}

/* Users, keys and settings, which only an open HSM tells and changes. */
static int settle(struct apply *a, struct plan_have *have, struct err *e)
{
	CLEAN(plan) struct plan p = {0};
	char text[256];

	if (a->dry && a->state.hello.state == STATE_LOCKED) {
		fputs("hsm: note: what else differs can be seen only when it is unlocked\n",
		      stderr);
		return 0;
	}
	/* In a dry run of a new HSM there is nothing to ask. */
	if (!(a->dry && a->state.hello.state == STATE_UNPROVISIONED) &&
	    (hsm_config_get(a->h, &have->unattended, e) || all_users(a, have, e) ||
	     wanted_keys(a, have, e)))
		return -1;
	if (plan_make(&p, a->s, have, e))
		return -1;
	for (size_t i = 0; i < p.n; i++) {
		if (!a->dry && do_step(a, &p.steps[i], e)) {
			a->raced = e->code == ERR_EXISTS;
			plan_text(&p.steps[i], true, text, sizeof(text));
			return err_wrap(e, "%.100s", text + strlen("would "));
		}
		if (tell(a, &p.steps[i], e))
			return -1;
	}
	return 0;
}

static int apply(struct apply *a, struct err *e)
{
	struct plan_have have;
	int rc = 0;

	if (reach_in_time(a, e))
		return -1;
	if (a->s->identity && !a->pinned) {
		if (!a->dry && run_pin(a->c, a->identity, PIN_NEW, &a->pinned, NULL, 0, e))
			return -1;
		if (tell_simple(a, PLAN_PIN, e))
			return -1;
	}
	if (a->state.hello.state != STATE_OPERATIONAL && open_up(a, e))
		return -1;
	/* What another made since we looked (or an apply that was killed, whose last request
	 * was on its way) is looked at again. */
	for (unsigned tries = 0; tries < RACES_MAX; tries++) {
		have = (struct plan_have){.keys = calloc(a->s->nkeys + 1, sizeof(*have.keys))};
		a->raced = false;
		rc = have.keys ? settle(a, &have, e) : err_set(e, ERR_NOMEM, NULL);
		free(have.keys);
		free(have.users);
		if (!rc || !a->raced)
			break;
	}
	return rc;
}

int hsm_do_apply(struct cli *c, struct err *e)
{
	CLEAN(setup) struct setup s = {0};
	CLEAN(json) json_t *steps = json_array();
	struct apply a = {.c = c, .s = &s, .dry = cli_has(c, "dry-run"), .steps = steps};
	int64_t wait = 0;
	int rc;

	if (!steps)
		return err_set(e, ERR_NOMEM, NULL);
	if (cli_int(c, "wait", 0, 86400, &wait, e) || setup_read(&s, c->argv[0], e))
		return -1;
	buf_init(&a.mem, 4096);
	a.until = now_ms() + wait * 1000;
	rc = apply(&a, e);
	buf_free(&a.mem);
	if (rc)
		return -1;
	if (run_json(c))
		return run_print(c,
				 json_pack("{s:s, s:b, s:b, s:O}", "identity", run_of(c)->identity,
					   "changed", json_array_size(steps) > 0 && !a.dry,
					   "dry_run", a.dry, "steps", steps),
				 e);
	if (json_array_size(steps) == 0)
		fputs("nothing to do\n", run_out(c));
	return 0;
}
