#include "box/hsm/hsm_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "conn/conn.h"
#include "ui/prompt.h"

#define FILE_TEXT_MAX 4096

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static const char *option_or_env(const struct cli *c, const char *option, const char *variable)
{
	const char *v = cli_str(c, option);

	return v ? v : env(variable);
}

FILE *run_out(struct cli *c)
{
	struct hsm_run *r = run_of(c);

	r->file = cli_str(c, "output");
	if (!r->out)
		r->out = open_memstream(&r->text, &r->len);
	/* Without memory the output goes where it was meant to go anyway. */
	return r->out ? r->out : stdout;
}

int run_print(struct cli *c, json_t *j, struct err *e)
{
	CLEAN(json) json_t *own = j;

	if (!own)
		return err_set(e, ERR_NOMEM, NULL);
	return json_print(own, run_out(c), e);
}

int run_bytes(struct cli *c, const void *p, size_t n, bool binary, struct err *e)
{
	FILE *f = run_out(c);
	CLEAN(free) char *text = NULL;

	if (!cli_has(c, "base64") || !binary) {
		fwrite(p, 1, n, f);
		run_of(c)->binary = binary;
		return 0;
	}
	text = malloc(ENC_BASE64_LEN(n));
	if (!text)
		return err_set(e, ERR_NOMEM, NULL);
	enc_base64(text, p, n, ENC_STD);
	fprintf(f, "%s\n", text);
	return 0;
}

int run_done(struct cli *c, const char *key, const char *value, struct err *e)
{
	if (run_json(c))
		return run_print(c, json_pack("{s:b, s:s}", "done", 1, key, value), e);
	return 0;
}

int run_dir(struct cli *c, bool make, struct err *e)
{
	struct hsm_run *r = run_of(c);
	const char *given = option_or_env(c, "context", "HSM_CONTEXT");
	const char *xdg = env("XDG_CONFIG_HOME"), *home = env("HOME");
	int n;

	if (given)
		n = snprintf(r->dir, sizeof(r->dir), "%s", given);
	else if (xdg)
		n = snprintf(r->dir, sizeof(r->dir), "%s/signbox/hsm", xdg);
	else if (home)
		n = snprintf(r->dir, sizeof(r->dir), "%s/.config/signbox/hsm", home);
	else
		return err_set(e, ERR_CONFIG,
			       "neither XDG_CONFIG_HOME nor HOME is set: give "
			       "--context DIR");
	if (n < 0 || (size_t)n >= sizeof(r->dir)) {
		r->dir[0] = '\0';
		return err_set(e, ERR_CONFIG, "the path of the context is too long");
	}
	return make ? file_mkdirs(r->dir, 0700, e) : 0;
}

int run_path(struct cli *c, char *out, size_t cap, const char *prefix, const char *name,
	     struct err *e)
{
	struct hsm_run *r = run_of(c);
	int n;

	if (!*r->dir && run_dir(c, false, e))
		return -1;
	n = snprintf(out, cap, "%s/%s%s", r->dir, prefix, name);
	if (n < 0 || (size_t)n >= cap)
		return err_set(e, ERR_CONFIG, "the path of the context is too long");
	return 0;
}

/* A short text file without the newline at its end. */
static int read_line(const char *path, char *out, size_t cap, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, FILE_TEXT_MAX);
	if (file_read(path, &b, e))
		return -1;
	while (b.len && strchr(" \t\r\n", b.p[b.len - 1]))
		b.len--;
	if (b.len >= cap || memchr(b.p ? b.p : (uint8_t *)"", 0, b.len))
		return err_set(e, ERR_BAD_INPUT, "%s does not hold one short line", path);
	if (b.len)
		memcpy(out, b.p, b.len);
	out[b.len] = '\0';
	return 0;
}

int run_identity_parse(uint8_t id[static 32], const char *text, struct err *e)
{
	char line[128];

	if (text[0] == '@') {
		if (read_line(text + 1, line, sizeof(line), e))
			return -1;
		text = line;
	}
	if (nkey_decode_kind(id, NKEY_CURVE, text, e))
		return err_wrap(e, "identity of the HSM (X…, as 'hsmd identity' shows it)");
	return 0;
}

bool run_identity_given(const struct cli *c)
{
	return option_or_env(c, "identity", "HSM_IDENTITY") != NULL;
}

int run_identity(struct cli *c, uint8_t id[static 32], struct err *e)
{
	struct hsm_run *r = run_of(c);
	const char *given = option_or_env(c, "identity", "HSM_IDENTITY");
	char path[4200], at[4201] = "@";

	if (!given) {
		if (run_path(c, path, sizeof(path), "identity", "", e))
			return -1;
		if (access(path, F_OK) && errno == ENOENT)
			return err_set(e, ERR_USAGE,
				       "no HSM identity is pinned: give --identity X…, or pin it "
				       "once with 'hsm identity pin X…'");
		(void)snprintf(at + 1, sizeof(at) - 1, "%s", path);
		given = at;
	}
	if (run_identity_parse(id, given, e))
		return -1;
	nkey_encode(r->identity, NKEY_CURVE, id);
	return 0;
}

/* Who calls, and how to log in to NATS: creds where there are some, else the NKey. */
static int credentials(struct cli *c, struct conn_opts *o, struct nkey *k, struct err *e)
{
	const char *creds = option_or_env(c, "creds", "NATS_CREDS");
	const char *file = option_or_env(c, "nkey", "HSM_NKEY");

	if (!file)
		file = env("NATS_NKEY");
	/* Creds may be a seed alone, and the caller's file may hold a JWT for the server. */
	o->creds = creds ? creds : file;
	o->nkey = NULL;
	if (!file)
		file = creds;
	if (!file)
		return err_set(e, ERR_USAGE,
			       "who is calling? give --nkey FILE with the seed of a user, or set "
			       "HSM_NKEY");
	return nkey_read_kind(k, NKEY_USER, file, e);
}

static void conn_settings(struct cli *c, struct conn_opts *o)
{
	const struct {
		const char **to;
		const char *option;
	} from[] = {
		{&o->url, "server"},
		{&o->ca, "ca"},
		{&o->cert, "cert"},
		{&o->key, "key"},
	};

	conn_opts_env(o);
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		if (cli_str(c, from[i].option))
			*from[i].to = cli_str(c, from[i].option);
	o->name = "signbox hsm";
	o->quiet = true;
}

int run_open(struct cli *c, struct hsm_client **out, struct err *e)
{
	uint8_t id[32];

	return run_identity(c, id, e) ? -1 : run_open_to(c, id, out, e);
}

int run_open_to(struct cli *c, const uint8_t id[static 32], struct hsm_client **out, struct err *e)
{
	struct hsm_run *r = run_of(c);
	CLEAN(nkey) struct nkey k = {0};
	struct hsm_opts o = {0};
	char epoch[4400];
	int64_t seconds = 0;
	struct err why;

	if (cli_has(c, "passphrase"))
		return cli_usage(e, "a passphrase as an argument can be seen by everybody: use "
				    "--passphrase-file, --passphrase-fd or the prompt");
	if (cli_int(c, "timeout", 1, 3600, &seconds, e))
		return -1;
	memcpy(o.identity, id, sizeof(o.identity));
	nkey_encode(r->identity, NKEY_CURVE, id);
	conn_settings(c, &o.conn);
	if (credentials(c, &o.conn, &k, e))
		return -1;
	o.caller = &k;
	o.deadline_ms = seconds * 1000;
	/* Where nothing can be kept (a read-only container), nothing is. */
	if (run_dir(c, true, &why) ||
	    run_path(c, epoch, sizeof(epoch), "epoch.", r->identity, &why))
		fprintf(stderr, "hsm: note: the epoch is not remembered: %s\n", why.text);
	else
		o.epoch_file = epoch;
	if (hsm_open(&r->client, &o, e))
		return -1;
	*out = r->client;
	return 0;
}

int run_passphrase(struct cli *c, struct secret *out, const char *question, const char *again,
		   struct err *e)
{
	const char *file = cli_str(c, "passphrase-file");
	int64_t fd = -1;

	if (cli_int(c, "passphrase-fd", 0, 1 << 20, &fd, e))
		return -1;
	if (file && fd >= 0)
		return cli_usage(e, "--passphrase-file and --passphrase-fd exclude each other");
	if (file)
		return secret_read_file(out, file, PASSPHRASE_MAX + 2, e);
	if (fd >= 0)
		return secret_read_fd(out, (int)fd, "the passphrase", PASSPHRASE_MAX + 2, e);
	return prompt_passphrase(out, question, again, PASSPHRASE_MAX,
				 "give --passphrase-file FILE or --passphrase-fd N", e);
}

int run_listed(size_t *total, size_t n, const char *what, struct err *e)
{
	*total += n;
	if (*total <= RUN_LIST_MAX)
		return 0;
	return err_set(e, ERR_TOO_LARGE,
		       "the HSM lists more than %d %s, and this program takes no more: can that "
		       "be? ('ls --prefix' shows a part)",
		       RUN_LIST_MAX, what);
}

int run_on_off(const char *option, const char *text, bool *out, struct err *e)
{
	*out = strcmp(text, "on") == 0;
	if (!*out && strcmp(text, "off") != 0)
		return cli_usage(e, "%s is 'on' or 'off', not '%.40s'", option, text);
	return 0;
}

bool run_role(const char *text, uint8_t *role)
{
	*role = strcmp(text, "operator") == 0 ? ROLE_OPERATOR : ROLE_ADMIN;
	return *role == ROLE_OPERATOR || strcmp(text, "administrator") == 0 ||
	       strcmp(text, "admin") == 0;
}

bool run_audit(const char *text, uint8_t *policy)
{
	*policy = strcmp(text, "durable") == 0 ? AUDIT_DURABLE : AUDIT_BATCHED;
	return *policy == AUDIT_DURABLE || strcmp(text, "batched") == 0;
}

const char *run_audit_text(uint8_t policy)
{
	return policy == AUDIT_DURABLE ? "durable" : "batched";
}

void run_modes_text(uint32_t mask, char *out, size_t cap)
{
	const struct mode_row *m;
	struct buf b;

	buf_fixed(&b, out, cap);
	for (unsigned i = 0; (m = mode_at(i)); i++)
		if (mask & MODE_BIT(m->mode))
			buf_printf(&b, "%s%s", b.len ? "," : "", m->text);
	out[b.len < cap ? b.len : cap - 1] = '\0';
}

json_t *json_bytes(struct bytes b)
{
	/* Names are ASCII; anything else is told apart by its hex. */
	json_t *j = json_stringn(b.len ? (const char *)b.p : "", b.len);

	return j ? j : json_hex(b.p, b.len);
}

json_t *json_hex(const void *p, size_t n)
{
	CLEAN(free) char *hex = malloc(ENC_HEX_LEN(n));

	if (!hex)
		return NULL;
	enc_hex(hex, p, n);
	return json_string(hex);
}

const char *text_bytes(char out[static 256], struct bytes b)
{
	size_t n = b.len < 255 ? b.len : 255;

	if (n)
		memcpy(out, b.p, n);
	out[n] = '\0';
	return out;
}

const char *text_time(char out[static 40], uint64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (ms / 1000 > INT32_MAX * UINT64_C(60) || !gmtime_r(&t, &tm) ||
	    !strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm))
		(void)snprintf(out, 40, "?");
	return out;
}

/* What was gathered goes to -o FILE in one step, or to stdout. */
static int flush(struct hsm_run *r, struct err *e)
{
	if (!r->out)
		return 0;
	if (fclose(r->out)) {
		r->out = NULL;
		return err_set(e, ERR_NOMEM, NULL);
	}
	r->out = NULL;
	if (r->file && strcmp(r->file, "-") != 0)
		return file_replace(r->file, r->text, r->len, 0644, e);
	if (r->binary && isatty(STDOUT_FILENO))
		return err_set(e, ERR_USAGE,
			       "the output is binary: give -o FILE or --base64, or redirect it");
	fwrite(r->text, 1, r->len, stdout);
	return 0;
}

int run_end(struct hsm_run *r, const char *prog, int status)
{
	struct err e;

	/* Verified or not is an answer; after an error there is none. */
	if ((status == 0 || status == err_row(ERR_NOT_VERIFIED)->exit) && flush(r, &e)) {
		fprintf(stderr, "%s: %s\n", prog, e.text);
		status = err_exit(&e);
	}
	if (r->out)
		fclose(r->out);
	if (r->text)
		secret_wipe(r->text, r->len);
	free(r->text);
	if (hsm_close(r->client, &e))
		fprintf(stderr, "%s: note: the epoch is not remembered: %s\n", prog, e.text);
	conn_library_close();
	return cli_finish(prog, status);
}

int run_at_file(const char **text, struct buf *b, struct err *e)
{
	if ((*text)[0] != '@')
		return 0;
	if (file_read(*text + 1, b, e))
		return -1;
	while (b->len && (b->p[b->len - 1] == '\n' || b->p[b->len - 1] == '\r'))
		b->len--;
	buf_u8(b, 0);
	if (b->bad)
		return err_set(e, ERR_BAD_INPUT, "%s is too long", *text + 1);
	*text = (const char *)b->p;
	return 0;
}

int run_list(struct cli *c, const struct run_list *l, struct table *t, struct err *e)
{
	const char *prefix = cli_str(c, "prefix") ? cli_str(c, "prefix") : "";
	struct list_query q = {{(const uint8_t *)prefix, strlen(prefix)}, {0}, LIST_MAX};
	CLEAN(free) char *items = calloc(LIST_MAX, l->size);
	CLEAN(json) json_t *list = json_array();
	CLEAN(buf) struct buf mem = {0};
	struct bytes name = {0};
	char last[256];
	struct hsm_client *h;
	bool more = true;
	size_t n, total = 0;

	buf_init(&mem, HSM_REPLY_MAX);
	if (!items || !t || !list)
		return err_set(e, ERR_NOMEM, NULL);
	if (run_open(c, &h, e))
		return -1;
	while (more) {
		if (l->page(h, &q, &mem, items, &n, &more, e) || run_listed(&total, n, l->what, e))
			return -1;
		for (size_t i = 0; i < n; i++)
			name = l->add(t, list, items + i * l->size);
		if (n)
			q.after = (struct bytes){(const uint8_t *)text_bytes(last, name), name.len};
	}
	if (run_json(c))
		return run_print(c, STEAL(list), e);
	table_print(t, run_out(c));
	return 0;
}
