/* hsm user */
#include <string.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/hsm/hsm.h"

static int parse_role(const char *text, uint8_t *role, struct err *e)
{
	if (run_role(text ? text : "operator", role))
		return 0;
	return cli_usage(e, "--role is 'administrator' or 'operator', not '%.40s'", text);
}

/* U… or the public key of a file that holds nothing else. */
static int parse_nkey(uint8_t pub[static 32], const char *text, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 256);
	if (run_at_file(&text, &b, e))
		return -1;
	if (nkey_decode_kind(pub, NKEY_USER, text, e))
		return err_wrap(e, "public NKey of the user (U…)");
	return 0;
}

static json_t *user_json(const struct user_info *u)
{
	char nkey[NKEY_PUB_LEN], when[40];

	nkey_encode(nkey, NKEY_USER, u->nkey);
	return json_pack("{s:o, s:s, s:s, s:b, s:s}", "name", json_bytes(u->name), "nkey", nkey,
			 "role", role_text(u->role), "plain", u->flags & USER_PLAIN, "created",
			 text_time(when, u->created));
}

static int show(struct cli *c, const struct user_info *u, struct err *e)
{
	char nkey[NKEY_PUB_LEN], when[40], name[256];

	if (run_json(c))
		return run_print(c, user_json(u), e);
	nkey_encode(nkey, NKEY_USER, u->nkey);
	table_pairs(run_out(c), "Name", text_bytes(name, u->name), "NKey", nkey, "Role",
		    role_text(u->role), "Plain surface", u->flags & USER_PLAIN ? "open" : "closed",
		    "Created", text_time(when, u->created), NULL);
	return 0;
}

int hsm_do_user_add(struct cli *c, struct err *e)
{
	struct user_info u = {.name = {(const uint8_t *)c->argv[0], strlen(c->argv[0])}};
	const char *plain = cli_str(c, "plain");
	struct hsm_client *h;
	bool on = false;

	if (parse_role(cli_str(c, "role"), &u.role, e) || parse_nkey(u.nkey, c->argv[1], e) ||
	    (plain && run_on_off("--plain", plain, &on, e)))
		return -1;
	u.flags = on ? USER_PLAIN : 0;
	if (run_open(c, &h, e) || hsm_user_add(h, &u, e))
		return -1;
	if (!run_json(c))
		fprintf(stderr, "added %s as %s\n", c->argv[0], role_text(u.role));
	return run_done(c, "name", c->argv[0], e);
}

static int user_page(struct hsm_client *h, const struct list_query *q, struct buf *mem, void *items,
		     size_t *n, bool *more, struct err *e)
{
	return hsm_user_list(h, q, mem, items, n, more, e);
}

static struct bytes add_user(struct table *t, json_t *list, const void *item)
{
	const struct user_info *u = item;
	char nkey[NKEY_PUB_LEN], when[40], name[256];

	nkey_encode(nkey, NKEY_USER, u->nkey);
	table_text(t, text_bytes(name, u->name));
	table_text(t, role_text(u->role));
	table_text(t, u->flags & USER_PLAIN ? "open" : "closed");
	table_text(t, text_time(when, u->created));
	table_text(t, nkey);
	json_array_append_new(list, user_json(u));
	return u->name;
}

int hsm_do_user_ls(struct cli *c, struct err *e)
{
	static const char *const titles[] = {"NAME", "ROLE", "PLAIN", "CREATED", "NKEY"};
	static const struct run_list users = {"users", sizeof(struct user_info), user_page,
					      add_user};
	CLEAN(table) struct table *t = table_new();

	for (size_t i = 0; t && i < sizeof(titles) / sizeof(titles[0]); i++)
		table_col(t, titles[i], 0);
	return run_list(c, &users, t, e);
}

int hsm_do_user_show(struct cli *c, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct user_info u;
	struct hsm_client *h;

	buf_init(&mem, 1024);
	if (run_open(c, &h, e) || hsm_user_get(h, c->argv[0], &mem, &u, e))
		return -1;
	return show(c, &u, e);
}

int hsm_do_user_rm(struct cli *c, struct err *e)
{
	struct hsm_client *h;

	if (run_open(c, &h, e) || hsm_user_remove(h, c->argv[0], e))
		return -1;
	if (!run_json(c))
		fprintf(stderr, "removed %s\n", c->argv[0]);
	return run_done(c, "name", c->argv[0], e);
}

int hsm_do_user_set(struct cli *c, struct err *e)
{
	const char *plain = cli_str(c, "plain");
	struct hsm_client *h;
	bool on;

	if (!plain)
		return cli_usage(e, "nothing to change: give --plain on or --plain off");
	if (run_on_off("--plain", plain, &on, e) || run_open(c, &h, e) ||
	    hsm_user_set(h, c->argv[0], on ? USER_PLAIN : 0, e))
		return -1;
	if (!run_json(c))
		fprintf(stderr, "%s: plain surface %s\n", c->argv[0], on ? "open" : "closed");
	return run_done(c, "name", c->argv[0], e);
}
