#include "box/nats/nats_ctx.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "box/nats/nats_out.h"
#include "json/json.h"

#define CTX_MAX (1 << 20)
#define SELECTED "context.txt"
#define PREVIOUS "previous-context.txt"

/* In the order of the file. */
const struct ctx_field ctx_fields[] = {
	{.key = "description"},
	{.key = "url", .option = "server", .env = "NATS_URL"},
	{.key = "socks_proxy", .option = "socks-proxy", .env = "NATS_SOCKS_PROXY"},
	{.key = "token", .kind = CTX_TOKEN, .option = "token", .env = "NATS_TOKEN", .secret = true},
	{.key = "user", .kind = CTX_PASSWORD, .option = "user", .env = "NATS_USER"},
	{.key = "password",
	 .kind = CTX_PASSWORD,
	 .option = "password",
	 .env = "NATS_PASSWORD",
	 .secret = true},
	{.key = "creds", .kind = CTX_CREDS, .option = "creds", .env = "NATS_CREDS", .path = true},
	{.key = "nkey", .kind = CTX_NKEY, .option = "nkey", .env = "NATS_NKEY", .path = true},
	{.key = "cert", .option = "tlscert", .env = "NATS_CERT", .path = true},
	{.key = "key", .option = "tlskey", .env = "NATS_KEY", .path = true},
	{.key = "ca", .option = "tlsca", .env = "NATS_CA", .path = true},
	{.key = "nsc", .kind = CTX_NSC},
	{.key = "jetstream_domain", .option = "js-domain"},
	{.key = "jetstream_api_prefix", .option = "js-api-prefix"},
	{.key = "jetstream_event_prefix", .option = "js-event-prefix"},
	{.key = "inbox_prefix", .option = "inbox-prefix", .env = "NATS_INBOX_PREFIX"},
	{.key = "user_jwt", .kind = CTX_JWT, .option = "jwt", .env = "NATS_JWT"},
	{.key = "user_seed", .kind = CTX_JWT, .option = "seed", .env = "NATS_SEED", .secret = true},
	{.key = "color_scheme", .option = "colors", .env = "NATS_COLOR"},
	{.key = "tls_first", .option = "tlsfirst", .flag = true},
	{.key = "windows_cert_store"},
	{.key = "windows_cert_match_by"},
	{.key = "windows_cert_match"},
	{0},
};

/* The one member that is a list; only for another system. */
#define LIST_KEY "windows_ca_certs_match"

static const struct ctx_field *field(const char *key)
{
	for (const struct ctx_field *f = ctx_fields; f->key; f++)
		if (strcmp(f->key, key) == 0)
			return f;
	return NULL;
}

void ctx_clear(struct nats_ctx *x)
{
	json_decref(x->j);
	free(x->name);
	free(x->path);
	memset(x, 0, sizeof(*x));
}

int ctx_new(struct nats_ctx *x, const char *name, struct err *e)
{
	ctx_clear(x);
	x->name = strdup(name);
	x->j = json_object();
	bool bad = !x->name || !x->j;

	for (const struct ctx_field *f = ctx_fields; !bad && f->key; f++)
		bad = json_object_set_new(x->j, f->key, f->flag ? json_false() : json_string(""));
	if (!bad)
		bad = json_object_set_new(x->j, LIST_KEY, json_null());
	return bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

bool ctx_name_ok(const char *name)
{
	CLEAN(free) char *clean = text_cleaned(name);

	return *name && !strstr(name, "..") && !strpbrk(name, "/\\") && strlen(name) < 200 &&
	       clean && strcmp(clean, name) == 0;
}

/* $XDG_CONFIG_HOME/nats or ~/.config/nats, and what follows. */
static int config_path(char *out, size_t cap, const char *sub, const char *name, struct err *e)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct passwd *pw = NULL;
	int n;

	if (!home || !*home) {
		pw = getpwuid(getuid());
		home = pw ? pw->pw_dir : NULL;
	}
	if (xdg && *xdg)
		n = snprintf(out, cap, "%s/nats/%s%s", xdg, sub, name);
	else if (home && *home)
		n = snprintf(out, cap, "%s/.config/nats/%s%s", home, sub, name);
	else
		return err_set(e, ERR_CONFIG,
			       "cannot determine home directory: set "
			       "XDG_CONFIG_HOME or HOME");
	if (n < 0 || (size_t)n >= cap)
		return err_set(e, ERR_CONFIG, "the path of the contexts is too long");
	return 0;
}

int ctx_path(char *out, size_t cap, const char *name, struct err *e)
{
	char file[256];

	if (!ctx_name_ok(name))
		return err_set(e, ERR_BAD_NAME, "invalid context name \"%.80s\"", name);
	(void)snprintf(file, sizeof(file), "%s.json", name);
	return config_path(out, cap, "context/", file, e);
}

bool ctx_known(const char *name)
{
	char path[4096];
	struct err e;

	return ctx_path(path, sizeof(path), name, &e) == 0 && access(path, F_OK) == 0;
}

/* Types as they must be; keys that nobody knows are told once a context. */
static int check(const char *where, const json_t *j, struct err *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		const struct ctx_field *f = field(key);
		bool list = strcmp(key, LIST_KEY) == 0;

		if (!f && !list && strcmp(key, "name") != 0) {
			if (!*where)
				continue;
			CLEAN(free) char *clean = nats_clean(key);

			fprintf(stderr, "nats: note: %s: unknown key '%.60s' is ignored\n", where,
				clean ? clean : "?");
		} else if (!json_is_null(v) &&
			   ((f && f->flag && !json_is_boolean(v)) ||
			    (f && !f->flag && !json_is_string(v)) || (list && !json_is_array(v)))) {
			return err_set(e, ERR_BAD_JSON, "%s: key '%s' must be %s", where, key,
				       list	 ? "a list"
				       : f->flag ? "true or false"
						 : "a string");
		}
	}
	return 0;
}

int ctx_parse(struct nats_ctx *x, const char *where, const void *p, size_t n, struct err *e)
{
	json_error_t je;
	CLEAN(json) json_t *j = json_loadb(p, n, 0, &je);
	const char *key;
	json_t *v;

	/* jansson's message quotes the text, which may be a password. */
	if (!json_is_object(j))
		return err_set(e, ERR_BAD_JSON, "%s:%d: not a context: malformed JSON", where,
			       j ? 1 : je.line);
	if (check(where, j, e))
		return -1;
	json_object_foreach(j, key, v) if (!json_is_null(v) && strcmp(key, "name") != 0)
		json_object_set(x->j, key, v);
	return 0;
}

int ctx_load(struct nats_ctx *x, const char *name, struct err *e)
{
	size_t n = strlen(name);
	char path[4096], where[300];
	CLEAN(buf) struct buf b = {0};
	bool file = n > 5 && strcmp(name + n - 5, ".json") == 0 && access(name, F_OK) == 0;

	if (file)
		(void)snprintf(path, sizeof(path), "%s", name);
	else if (ctx_path(path, sizeof(path), name, e))
		return -1;
	if (!file && access(path, F_OK))
		return err_set(e, ERR_NOT_FOUND, "unknown context \"%.80s\"", name);
	if (ctx_new(x, name, e))
		return -1;
	buf_init(&b, CTX_MAX);
	b.secret = true;
	if (file_read(path, &b, e))
		return -1;
	(void)snprintf(where, sizeof(where), "context file %.200s", path);
	if (ctx_parse(x, where, b.len ? b.p : (const void *)"", b.len, e))
		return -1;
	x->path = strdup(path);
	return x->path ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int ctx_validate(const struct nats_ctx *x, struct err *e)
{
	static const char *const kinds[] = {"user", "creds", "nkey", "nsc", "user_jwt"};
	int n = 0;

	if (!ctx_name_ok(x->name))
		return err_set(e, ERR_BAD_NAME, "invalid context name \"%.80s\"", x->name);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		n += *ctx_get(x, kinds[i]) != '\0';
	if (n > 1)
		return err_set(e, ERR_CONFIG,
			       "too many types of credentials. Choose only one from "
			       "'user/token', 'creds', 'nkey', 'nsc'");
	return 0;
}

int ctx_save(struct nats_ctx *x, struct err *e)
{
	char path[4096], dir[4096];
	CLEAN(buf) struct buf b = {0};

	if (ctx_validate(x, e) || ctx_path(path, sizeof(path), x->name, e) ||
	    config_path(dir, sizeof(dir), "context", "", e) || file_mkdirs(dir, 0700, e))
		return -1;
	buf_init(&b, CTX_MAX);
	b.secret = true;
	if (json_text(x->j, JSON_INDENTED, &b, e) || file_replace(path, b.p, b.len, 0600, e))
		return -1;
	free(x->path);
	x->path = strdup(path);
	return x->path ? 0 : err_set(e, ERR_NOMEM, NULL);
}

/* "~/x" and "$HOME/x"; NULL without memory. */
static char *expand(const char *text)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 65536);
	for (const char *s = text; *s;) {
		char name[128];
		size_t n = *s == '$' ? strspn(s + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
						     "abcdefghijklmnopqrstuvwxyz0123456789")
				     : 0;
		bool brace = s[0] == '$' && s[1] == '{' && strchr(s, '}');

		if (brace)
			n = strcspn(s + 2, "}");
		if (n && n < sizeof(name)) {
			(void)snprintf(name, sizeof(name), "%.*s", (int)n, s + 1 + brace);
			const char *v = getenv(name);

			buf_printf(&b, "%s", v ? v : "");
			s += 1 + n + 2 * (size_t)brace;
		} else if (*s == '~' && s == text) {
			const char *home = getenv("HOME");

			buf_printf(&b, "%s", home ? home : "~");
			s++;
		} else {
			buf_u8(&b, (uint8_t)*s++);
		}
	}
	buf_u8(&b, 0);
	return b.bad ? NULL : (char *)STEAL(b.p);
}

const char *ctx_get(const struct nats_ctx *x, const char *key)
{
	const struct ctx_field *f = field(key);
	const char *v = json_string_value(json_object_get(x->j, key));

	if (!v || !f || !f->path || !strpbrk(v, "~$"))
		return v ? v : "";
	CLEAN(free) char *full = expand(v);

	if (full && strcmp(full, v) != 0)
		ctx_set((struct nats_ctx *)(uintptr_t)x, key, full);
	return json_string_value(json_object_get(x->j, key));
}

bool ctx_flag(const struct nats_ctx *x, const char *key)
{
	return json_is_true(json_object_get(x->j, key));
}

void ctx_set(struct nats_ctx *x, const char *key, const char *value)
{
	const struct ctx_field *f = field(key);

	if (f && f->flag)
		(void)json_object_set_new(x->j, key, json_boolean(strcmp(value, "true") == 0));
	else
		(void)json_object_set_new(x->j, key, json_string_nocheck(value));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **ctx_names(size_t *n)
{
	char dir[4096], path[4600];
	struct err e;
	char **names = calloc(1, sizeof(*names));
	struct dirent *d;

	*n = 0;
	if (config_path(dir, sizeof(dir), "context", "", &e))
		return names;
	CLEAN(dir) DIR *folder = opendir(dir);

	while (names && folder && (d = readdir(folder))) {
		size_t len = strlen(d->d_name);
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
		if (len <= 5 || strcmp(d->d_name + len - 5, ".json") != 0 || stat(path, &st) ||
		    S_ISDIR(st.st_mode) || st.st_size == 0)
			continue;
		char **more = realloc(names, (*n + 2) * sizeof(*names));

		if (!more)
			break;
		names = more;
		names[*n] = strndup(d->d_name, len - 5);
		names[*n + 1] = NULL;
		if (names[*n] && ctx_name_ok(names[*n]))
			++*n;
		else
			free(STEAL(names[*n]));
	}
	if (names)
		qsort(names, *n, sizeof(*names), by_name);
	return names;
}

void ctx_names_free(char **names)
{
	for (char **s = names; s && *s; s++)
		free(*s);
	free(names);
}

static void read_name(char out[static 256], const char *file)
{
	char path[4096];
	CLEAN(buf) struct buf b = {0};
	struct err e;
	size_t from = 0;

	out[0] = '\0';
	buf_init(&b, 255);
	if (config_path(path, sizeof(path), file, "", &e) || file_read(path, &b, &e))
		return;
	while (b.len && strchr(" \t\r\n", b.p[b.len - 1]))
		b.len--;
	while (from < b.len && strchr(" \t\r\n", b.p[from]))
		from++;
	if (b.len > from && !memchr(b.p, 0, b.len))
		(void)snprintf(out, 256, "%.*s", (int)(b.len - from), (const char *)b.p + from);
	if (!ctx_name_ok(out))
		out[0] = '\0';
}

void ctx_selected(char out[static 256])
{
	read_name(out, SELECTED);
}

void ctx_previous(char out[static 256])
{
	read_name(out, PREVIOUS);
}

static int write_name(const char *file, const char *name, struct err *e)
{
	char path[4096], dir[4096];

	if (!*name)
		return 0;
	if (config_path(dir, sizeof(dir), "context", "", e) || file_mkdirs(dir, 0700, e) ||
	    config_path(path, sizeof(path), file, "", e))
		return -1;
	return file_replace(path, name, strlen(name), 0600, e);
}

int ctx_select(const char *name, struct err *e)
{
	char current[256];

	if (!ctx_name_ok(name))
		return err_set(e, ERR_BAD_NAME, "invalid context name \"%.80s\"", name);
	if (!ctx_known(name))
		return err_set(e, ERR_NOT_FOUND, "unknown context");
	ctx_selected(current);
	if (write_name(PREVIOUS, current, e))
		return -1;
	return write_name(SELECTED, name, e);
}

static int remove_file(const char *path, struct err *e)
{
	if (unlink(path) && errno != ENOENT)
		return err_errno(e, ERR_IO, "cannot remove %s", path);
	return 0;
}

int ctx_unselect(struct err *e)
{
	char current[256], path[4096];

	ctx_selected(current);
	if (!*current)
		return 0;
	if (write_name(PREVIOUS, current, e) || config_path(path, sizeof(path), SELECTED, "", e))
		return -1;
	return remove_file(path, e);
}

int ctx_delete(const char *name, struct err *e)
{
	char current[256], path[4096];
	size_t n;

	if (ctx_path(path, sizeof(path), name, e))
		return -1;
	ctx_selected(current);
	ctx_names_free(ctx_names(&n));
	if (strcmp(current, name) == 0 && n > 1)
		return err_set(e, ERR_WRONG_STATE, "cannot remove the current active context");
	if (remove_file(path, e))
		return -1;
	return strcmp(current, name) == 0 ? ctx_unselect(e) : 0;
}
