/* hsm identity, provision, unlock, lock, state, accept-rollback, config. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/hsm/hsm.h"
#include "ui/prompt.h"

int run_pin(struct cli *c, const uint8_t id[static 32], enum pin_how how, bool *was, char *path,
	    size_t cap, struct err *e)
{
	char own[4200], at[4201] = "@", text[NKEY_PUB_LEN + 1];
	uint8_t old[32];

	*was = false;
	if (run_dir(c, how != PIN_LOOK, e) || run_path(c, own, sizeof(own), "identity", "", e))
		return -1;
	if (path)
		(void)snprintf(path, cap, "%s", own);
	(void)snprintf(at + 1, sizeof(at) - 1, "%s", own);
	if (how != PIN_REPLACE && access(own, F_OK) == 0) {
		if (run_identity_parse(old, at, e))
			return -1;
		*was = memcmp(old, id, sizeof(old)) == 0;
		if (!*was)
			return err_set(e, ERR_EXISTS,
				       "another identity is pinned in %s; is this the HSM you "
				       "mean? 'hsm identity pin --replace' takes it",
				       own);
	}
	if (*was || how == PIN_LOOK)
		return 0;
	nkey_encode(text, NKEY_CURVE, id);
	text[NKEY_PUB_LEN - 1] = '\n';
	return file_replace(own, text, NKEY_PUB_LEN, 0600, e);
}

int hsm_do_identity_pin(struct cli *c, struct err *e)
{
	char path[4200], text[NKEY_PUB_LEN];
	uint8_t id[32];
	bool was;

	if (run_identity_parse(id, c->argv[0], e) ||
	    run_pin(c, id, cli_has(c, "replace") ? PIN_REPLACE : PIN_NEW, &was, path, sizeof(path),
		    e))
		return -1;
	nkey_encode(text, NKEY_CURVE, id);
	if (!run_json(c))
		fprintf(stderr, "pinned in %s\n", path);
	return run_done(c, "identity", text, e);
}

int hsm_do_identity_show(struct cli *c, struct err *e)
{
	uint8_t id[32];

	if (run_identity(c, id, e))
		return -1;
	if (run_json(c))
		return run_print(c, json_pack("{s:s}", "identity", run_of(c)->identity), e);
	fprintf(run_out(c), "%s\n", run_of(c)->identity);
	return 0;
}

/* What makes the HSM operational by a passphrase. */
static int with_passphrase(struct cli *c, const char *question, const char *again,
			   int (*ask)(struct hsm_client *h, const struct secret *pass,
				      struct err *e),
			   const char *said, struct err *e)
{
	struct secret pass = {0};
	struct hsm_client *h;
	int rc = run_open(c, &h, e);

	if (rc == 0)
		rc = run_passphrase(c, &pass, question, again, e);
	if (rc == 0)
		rc = ask(h, &pass, e);
	secret_clear(&pass);
	if (rc)
		return -1;
	if (!run_json(c))
		fputs(said, stderr);
	return run_done(c, "state", hsm_state_text(STATE_OPERATIONAL), e);
}

/* The epoch that this client goes on from; *lower: than the one that it remembers. */
static int told_epoch(struct hsm_client *h, uint64_t *epoch, bool *lower, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct state_info s;

	buf_init(&mem, 4096);
	if (hsm_state(h, &mem, &s, lower, e))
		return -1;
	if (s.hello.state != STATE_OPERATIONAL)
		return err_set(e, ERR_WRONG_STATE,
			       "the HSM is %s, and tells its epoch only when it is operational",
			       hsm_state_text(s.hello.state));
	*epoch = s.hello.epoch;
	return 0;
}

int hsm_do_identity_accept(struct cli *c, struct err *e)
{
	char question[300], text[24];
	struct hsm_client *h;
	uint64_t epoch = 0;
	bool lower = false;

	if (run_open(c, &h, e) || told_epoch(h, &epoch, &lower, e))
		return -1;
	(void)snprintf(text, sizeof(text), "%" PRIu64, epoch);
	(void)snprintf(question, sizeof(question),
		       "The HSM is at epoch %s, and was at %" PRIu64
		       ": its store was rolled back, or this is an attack.\nType %s if its "
		       "administrator says that it was meant: ",
		       text, hsm_epoch(h), text);
	if (lower && !cli_has(c, "yes") && prompt_confirm(question, text, "give --yes", e))
		return -1;
	if (lower && hsm_epoch_accept(h, epoch, e))
		return -1;
	if (!run_json(c) && lower)
		fprintf(stderr, "accepted: this client goes on from epoch %s\n", text);
	else if (!run_json(c))
		fprintf(stderr, "nothing to accept: epoch %s is not older than any seen\n", text);
	return run_done(c, "epoch", text, e);
}

int hsm_do_provision(struct cli *c, struct err *e)
{
	return with_passphrase(c, "New unlock passphrase: ", "Once more: ", hsm_provision,
			       "provisioned: the HSM is operational\n", e);
}

int hsm_do_unlock(struct cli *c, struct err *e)
{
	return with_passphrase(c, "Unlock passphrase: ", NULL, hsm_unlock, "unlocked\n", e);
}

int hsm_do_lock(struct cli *c, struct err *e)
{
	struct hsm_client *h;

	if (run_open(c, &h, e) || hsm_lock(h, e))
		return -1;
	if (!run_json(c))
		fputs("locked\n", stderr);
	return run_done(c, "state", hsm_state_text(STATE_LOCKED), e);
}

int hsm_do_accept_rollback(struct cli *c, struct err *e)
{
	struct secret pass = {0};
	struct hsm_client *h;
	uint64_t epoch = 0;
	char text[24];
	int rc = run_open(c, &h, e);

	if (rc == 0)
		rc = run_passphrase(c, &pass, "Unlock passphrase: ", NULL, e);
	if (rc == 0)
		rc = hsm_accept_rollback(h, &pass, &epoch, e);
	secret_clear(&pass);
	if (rc)
		return -1;
	(void)snprintf(text, sizeof(text), "%" PRIu64, epoch);
	if (!run_json(c))
		fprintf(stderr, "accepted: the store counts from epoch %s\n", text);
	return run_done(c, "epoch", text, e);
}

int hsm_do_config(struct cli *c, struct err *e)
{
	struct hsm_client *h;
	bool on;

	if (strcmp(c->argv[0], "show") != 0) {
		if (run_on_off("unattended-boot", c->argv[0], &on, e) || run_open(c, &h, e) ||
		    hsm_config_set(h, on, e))
			return -1;
	} else if (run_open(c, &h, e) || hsm_config_get(h, &on, e)) {
		return -1;
	}
	if (run_json(c))
		return run_print(c, json_pack("{s:b}", "unattended_boot", on), e);
	fprintf(run_out(c), "unattended-boot %s\n", on ? "on" : "off");
	return 0;
}

static const struct {
	enum warning bit;
	const char *name, *text;
} warnings[] = {
	{WARN_MEMLOCK, "memlock",
	 "memory-lock limit too small: keys may be written to swap (raise LimitMEMLOCK or ulimit "
	 "-l)"},
	{WARN_ENTROPY, "entropy", "the kernel's random generator was not ready at start"},
	{WARN_NO_LANDLOCK, "no-landlock", "Landlock is waived: the sandbox is weaker"},
	{WARN_NO_ANCHOR, "no-anchor",
	 "no anchor is configured: a roll-back of the whole store shows only to clients"},
	{WARN_SWAP, "swap", "swap is on and memory is not locked"},
	{WARN_TESTING, "testing",
	 "set up by the test image, which printed its secrets: not for production"},
};

static json_t *warnings_json(uint32_t bits)
{
	json_t *a = json_array();

	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++)
		if (bits & warnings[i].bit)
			json_array_append_new(a, json_string(warnings[i].name));
	return a;
}

static json_t *state_json(const struct hsm_run *r, const struct state_info *s, bool back)
{
	const struct hello *h = &s->hello;

	return json_pack(
		"{s:s, s:s, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:{s:i, s:i, s:I}, s:b, s:I, "
		"s:I, s:o, s:s?, s:b}",
		"state", hsm_state_text(h->state), "identity", r->identity, "instance",
		json_hex(h->instance, INSTANCE_LEN), "boot_id", json_hex(h->boot_id, BOOT_ID_LEN),
		"epoch", (json_int_t)h->epoch, "version", json_bytes(s->version), "uptime",
		(json_int_t)s->uptime, "sessions", (json_int_t)s->sessions, "users",
		(json_int_t)s->users, "keys", (json_int_t)s->keys, "anchors", "configured",
		s->anchors, "held", s->anchors_held, "epoch", (json_int_t)s->anchor_epoch,
		"unattended_boot", s->unattended, "audit_seq", (json_int_t)s->audit_seq,
		"max_message", (json_int_t)h->max_message, "warnings", warnings_json(h->warnings),
		"problem", h->problem ? err_row(h->problem)->name : NULL, "rolled_back", back);
}

static void state_table(struct cli *c, const struct state_info *s, bool back)
{
	const struct hello *h = &s->hello;
	char instance[ENC_HEX_LEN(INSTANCE_LEN)], epoch[32], up[48], users[16], keys[16];
	char sessions[16], anchor[80] = "none", audit[24], version[256], max[32];
	bool open = h->state == STATE_OPERATIONAL;
	FILE *f = run_out(c);

	enc_hex(instance, h->instance, INSTANCE_LEN);
	(void)snprintf(epoch, sizeof(epoch), "%" PRIu64, h->epoch);
	(void)snprintf(up, sizeof(up), "%" PRIu64 " s", s->uptime);
	(void)snprintf(users, sizeof(users), "%u", s->users);
	(void)snprintf(keys, sizeof(keys), "%u", s->keys);
	(void)snprintf(sessions, sizeof(sessions), "%u", s->sessions);
	(void)snprintf(audit, sizeof(audit), "%" PRIu64, s->audit_seq);
	(void)snprintf(max, sizeof(max), "%u bytes", h->max_message);
	if (s->anchors)
		(void)snprintf(anchor, sizeof(anchor), "%u of %u hold, epoch %" PRIu64,
			       s->anchors_held, s->anchors, s->anchor_epoch);
	table_pairs(f, "State", hsm_state_text(h->state), "Identity", run_of(c)->identity,
		    "Version", text_bytes(version, s->version), "Instance", instance, "Uptime", up,
		    "Epoch", open ? epoch : NULL, "Anchors", anchor, "Users", open ? users : NULL,
		    "Keys", open ? keys : NULL, "Sessions", sessions, "Audit entries",
		    open ? audit : NULL, "Unattended boot", s->unattended ? "on" : "off",
		    "Largest request", max, NULL);
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++)
		if (h->warnings & warnings[i].bit)
			fprintf(f, "warning: %s\n", warnings[i].text);
	if (h->problem)
		fprintf(f, "problem: %s (%s)\n", err_row(h->problem)->text,
			err_row(h->problem)->name);
	if (back)
		fputs("problem: the epoch is older than one seen before: the store was rolled "
		      "back, or this is an attack (see 'hsm identity accept-epoch --help')\n",
		      f);
}

int hsm_do_state(struct cli *c, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct state_info s;
	struct hsm_client *h;
	bool back;

	buf_init(&mem, 4096);
	if (run_open(c, &h, e) || hsm_state(h, &mem, &s, &back, e))
		return -1;
	if (run_json(c))
		return run_print(c, state_json(run_of(c), &s, back), e);
	state_table(c, &s, back);
	return 0;
}
