/* hsm key */
#include <string.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/hsm/hsm.h"
#include "client/pem.h"
#include "crypto/spki.h"
#include "ui/prompt.h"

static int parse_audit(const char *text, uint8_t *policy, struct err *e)
{
	if (run_audit(text, policy))
		return 0;
	return cli_usage(e, "--audit is 'batched' or 'durable', not '%.40s'", text);
}

/* "a,b" into a mask; all must be of the type. */
static int parse_modes(const char *list, unsigned type, uint32_t *mask, struct err *e)
{
	CLEAN(free) char *copy = strdup(list);
	char *save = NULL;

	if (!copy)
		return err_set(e, ERR_NOMEM, NULL);
	*mask = 0;
	for (char *w = strtok_r(copy, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
		const struct mode_row *m = mode_named(w);

		if (!m)
			return err_set(e, ERR_BAD_MODE, "there is no mode '%.40s'", w);
		if (m->type != type)
			return err_set(e, ERR_BAD_MODE, "mode %s is not for keys of type %s", w,
				       key_type_row(type)->text);
		*mask |= MODE_BIT(m->mode);
	}
	return *mask ? 0 : cli_usage(e, "--modes is empty");
}

/* --modes, --plain and --audit of a new key whose type is known. */
static int new_options(struct cli *c, struct key_new *k, struct err *e)
{
	const char *modes = cli_str(c, "modes"), *plain = cli_str(c, "plain");
	const char *audit = cli_str(c, "audit");
	bool on = false;

	if (modes && parse_modes(modes, k->type, &k->modes, e))
		return -1;
	if (plain && run_on_off("--plain", plain, &on, e))
		return -1;
	k->flags = on ? KEYF_PLAIN : 0;
	return audit ? parse_audit(audit, &k->audit, e) : 0;
}

static json_t *modes_json(uint32_t mask)
{
	json_t *a = json_array();
	const struct mode_row *m;

	for (unsigned i = 0; (m = mode_at(i)); i++)
		if (mask & MODE_BIT(m->mode))
			json_array_append_new(a, json_string(m->text));
	return a;
}

static const char *type_text(unsigned type)
{
	const struct key_type_row *row = key_type_row(type);

	return row ? row->text : "?";
}

static json_t *pem_json(const struct key_info *k)
{
	CLEAN(buf) struct buf pem = {0};

	buf_init(&pem, 4096);
	if (spki_pem(&pem, k->type, k->pub.p, k->pub.len, NULL))
		return json_null();
	return json_stringn((const char *)pem.p, pem.len);
}

static json_t *key_json(const struct key_info *k)
{
	char when[40];

	return json_pack("{s:o, s:I, s:s, s:i, s:o, s:b, s:s, s:s, s:o}", "name",
			 json_bytes(k->name), "version", (json_int_t)k->version, "type",
			 type_text(k->type), "bits", k->bits, "modes", modes_json(k->modes),
			 "plain", k->flags & KEYF_PLAIN, "audit", run_audit_text(k->audit),
			 "created", text_time(when, k->created), "public", pem_json(k));
}

static int show(struct cli *c, const struct key_info *k, struct err *e)
{
	char when[40], name[256], modes[512], type[32], version[16];
	CLEAN(buf) struct buf pem = {0};
	FILE *f;

	if (run_json(c))
		return run_print(c, key_json(k), e);
	buf_init(&pem, 4096);
	if (spki_pem(&pem, k->type, k->pub.p, k->pub.len, e))
		return -1;
	run_modes_text(k->modes, modes, sizeof(modes));
	(void)snprintf(type, sizeof(type), "%s, %u bits", type_text(k->type), k->bits);
	(void)snprintf(version, sizeof(version), "%u", k->version);
	f = run_out(c);
	table_pairs(f, "Name", text_bytes(name, k->name), "Version", version, "Type", type, "Modes",
		    modes, "Plain surface", k->flags & KEYF_PLAIN ? "open" : "closed", "Audit",
		    run_audit_text(k->audit), "Created", text_time(when, k->created), NULL);
	fwrite(pem.p, 1, pem.len, f);
	return 0;
}

static int make(struct cli *c, const struct key_new *k, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct key_info info;
	struct hsm_client *h;

	buf_init(&mem, 8192);
	if (run_open(c, &h, e) || hsm_key_new(h, c->argv[0], k, &mem, &info, e))
		return -1;
	return show(c, &info, e);
}

int hsm_do_key_gen(struct cli *c, struct err *e)
{
	const char *type = cli_str(c, "type") ? cli_str(c, "type") : "ed25519";
	const struct key_type_row *row = key_type_named(type);
	struct key_new k = {0};
	int64_t bits = 0;

	if (!row)
		return err_set(e, ERR_BAD_TYPE,
			       "there is no key type '%.40s': ed25519, p256 or rsa", type);
	if (cli_int(c, "bits", 0, 65535, &bits, e))
		return -1;
	if (bits && (bits < row->min_bits || bits > row->max_bits))
		return err_set(e, ERR_BAD_TYPE, "%s keys have %u to %u bits", type, row->min_bits,
			       row->max_bits);
	k.type = (uint8_t)row->type;
	k.bits = (uint16_t)bits;
	return new_options(c, &k, e) ? -1 : make(c, &k, e);
}

int hsm_do_key_import(struct cli *c, struct err *e)
{
	const char *file = c->argc > 1 ? c->argv[1] : "-";
	bool in = strcmp(file, "-") == 0;
	CLEAN(pem) struct pem_key pem = {0};
	struct secret text = {0};
	struct key_new k = {0};
	int rc = in ? secret_read_fd(&text, STDIN_FILENO, "standard input", PEM_MAX, e)
		    : secret_read_file(&text, file, PEM_MAX, e);

	if (rc == 0)
		rc = pem_parse(&pem, in ? "standard input" : file, text.p, text.len, e);
	secret_clear(&text);
	if (rc)
		return -1;
	k.type = (uint8_t)pem.type;
	k.bits = (uint16_t)pem.bits;
	k.a = (struct bytes){pem.a.p, pem.a.len};
	k.b = (struct bytes){pem.b.p, pem.b.len};
	k.c = (struct bytes){pem.c.p, pem.c.len};
	return new_options(c, &k, e) ? -1 : make(c, &k, e);
}

static int key_page(struct hsm_client *h, const struct list_query *q, struct buf *mem, void *items,
		    size_t *n, bool *more, struct err *e)
{
	return hsm_key_list(h, q, mem, items, n, more, e);
}

static struct bytes add_key(struct table *t, json_t *list, const void *item)
{
	const struct key_info *k = item;
	char when[40], name[256], modes[512];

	run_modes_text(k->modes, modes, sizeof(modes));
	table_text(t, text_bytes(name, k->name));
	table_text(t, type_text(k->type));
	table_num(t, k->bits);
	table_text(t, k->flags & KEYF_PLAIN ? "open" : "closed");
	table_text(t, run_audit_text(k->audit));
	table_text(t, text_time(when, k->created));
	table_text(t, modes);
	json_array_append_new(list, key_json(k));
	return k->name;
}

int hsm_do_key_ls(struct cli *c, struct err *e)
{
	static const struct {
		const char *title;
		unsigned flags;
	} cols[] = {{"NAME", 0},  {"TYPE", 0},	  {"BITS", TABLE_RIGHT}, {"PLAIN", 0},
		    {"AUDIT", 0}, {"CREATED", 0}, {"MODES", TABLE_FLEX}};
	static const struct run_list keys = {"keys", sizeof(struct key_info), key_page, add_key};
	CLEAN(table) struct table *t = table_new();

	for (size_t i = 0; t && i < sizeof(cols) / sizeof(cols[0]); i++)
		table_col(t, cols[i].title, cols[i].flags);
	return run_list(c, &keys, t, e);
}

int hsm_do_key_show(struct cli *c, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct key_info k;
	struct hsm_client *h;

	buf_init(&mem, 8192);
	if (run_open(c, &h, e) || hsm_key_get(h, c->argv[0], &mem, &k, e))
		return -1;
	return show(c, &k, e);
}

int hsm_do_key_pub(struct cli *c, struct err *e)
{
	const char *format = cli_str(c, "format") ? cli_str(c, "format") : "pem";
	bool pem = strcmp(format, "pem") == 0, raw = strcmp(format, "raw") == 0;
	CLEAN(buf) struct buf mem = {0};
	CLEAN(buf) struct buf out = {0};
	struct key_info k;
	struct hsm_client *h;

	buf_init(&mem, 8192);
	buf_init(&out, 8192);
	if (!pem && !raw && strcmp(format, "der") != 0)
		return cli_usage(e, "--format is pem, der or raw, not '%.40s'", format);
	if (run_open(c, &h, e) || hsm_key_get(h, c->argv[0], &mem, &k, e))
		return -1;
	if (run_json(c))
		return run_print(c,
				 json_pack("{s:o, s:s, s:o}", "name", json_bytes(k.name), "type",
					   type_text(k.type), "public", pem_json(&k)),
				 e);
	if (raw && k.type == KEY_RSA)
		return err_set(e, ERR_BAD_TYPE, "RSA keys have no raw form: use pem or der");
	if (raw)
		buf_put(&out, k.pub.p, k.pub.len);
	else if ((pem ? spki_pem : spki_der)(&out, k.type, k.pub.p, k.pub.len, e))
		return -1;
	return run_bytes(c, out.p, out.len, !pem, e);
}

int hsm_do_key_set(struct cli *c, struct err *e)
{
	const char *plain = cli_str(c, "plain"), *audit = cli_str(c, "audit");
	CLEAN(buf) struct buf mem = {0};
	struct key_info k;
	struct hsm_client *h;
	uint8_t policy = 0;
	bool on = false;

	buf_init(&mem, 8192);
	if (!plain && !audit)
		return cli_usage(e, "nothing to change: give --plain or --audit");
	if ((plain && run_on_off("--plain", plain, &on, e)) ||
	    (audit && parse_audit(audit, &policy, e)))
		return -1;
	if (run_open(c, &h, e) || hsm_key_get(h, c->argv[0], &mem, &k, e))
		return -1;
	if (plain)
		k.flags = (uint8_t)((k.flags & ~KEYF_PLAIN) | (on ? KEYF_PLAIN : 0));
	if (audit)
		k.audit = policy;
	if (hsm_key_set(h, c->argv[0], k.flags, k.audit, e))
		return -1;
	if (!run_json(c))
		fprintf(stderr, "%s: plain surface %s, audit %s\n", c->argv[0],
			k.flags & KEYF_PLAIN ? "open" : "closed", run_audit_text(k.audit));
	return run_done(c, "name", c->argv[0], e);
}

int hsm_do_key_rm(struct cli *c, struct err *e)
{
	struct hsm_client *h;
	char question[200];

	(void)snprintf(
		question, sizeof(question),
		"The key is gone for ever. Type its name to remove it (%.128s): ", c->argv[0]);
	if (!cli_has(c, "yes") && prompt_confirm(question, c->argv[0], "give --yes", e))
		return -1;
	if (run_open(c, &h, e) || hsm_key_remove(h, c->argv[0], e))
		return -1;
	if (!run_json(c))
		fprintf(stderr, "removed %s\n", c->argv[0]);
	return run_done(c, "name", c->argv[0], e);
}
