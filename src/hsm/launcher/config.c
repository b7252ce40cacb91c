#include "hsm/launcher/config.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret_file.h"
#include "hsm/launcher/admins.h"
#include "hsm/launcher/volume.h"
#include "json/yaml.h"

static void *place(struct config *c, const struct setting *s)
{
	return (char *)c + s->at;
}

/* ---- one value ---- */

/* Complaints name the place: a line of the file or a variable. */
struct origin {
	enum setting_source source;
	const struct json_doc *doc;
	const json_t *parent;
	const char *key;
};

static int complain(const struct origin *o, const struct setting *s, struct err *e,
		    const char *text)
{
	if (o->source == SOURCE_FILE)
		return json_complain(o->doc, o->parent, o->key, 0, e, "'%s' %s", o->key, text);
	return err_set(e, ERR_CONFIG, "%s %s", s->env ? s->env : s->key, text);
}

static int set_text(char **to, const char *v, struct err *e)
{
	free(*to);
	*to = strdup(v);
	return *to ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int set_path(char **to, const char *v, struct err *e)
{
	char cwd[PATH_MAX];
	char *p = NULL;

	if (v[0] == '/')
		return set_text(to, v, e);
	if (!getcwd(cwd, sizeof(cwd)))
		return err_errno(e, ERR_IO, "cannot find the working directory");
	if (asprintf(&p, "%s/%s", cwd, v) < 0)
		return err_set(e, ERR_NOMEM, NULL);
	free(*to);
	*to = p;
	return 0;
}

static int set_int(int64_t *to, const struct setting *s, int64_t v, const struct origin *o,
		   struct err *e)
{
	char text[100];

	(void)snprintf(text, sizeof(text), "must be from %lld to %lld", (long long)s->min,
		       (long long)s->max);
	if (v < s->min || v > s->max)
		return complain(o, s, e, text);
	*to = v;
	return 0;
}

static int parse_int(int64_t *to, const char *v)
{
	char *end;

	if (!*v || strspn(v, "0123456789") != strlen(v))
		return -1;
	errno = 0;
	*to = strtoll(v, &end, 10);
	return errno || *end ? -1 : 0;
}

static int parse_bool(bool *to, const char *v)
{
	bool on = strcmp(v, "1") == 0 || strcasecmp(v, "true") == 0;
	bool off = strcmp(v, "0") == 0 || strcasecmp(v, "false") == 0;

	*to = on;
	return on || off ? 0 : -1;
}

/* A value that is text where it comes from: environment, default, string of the file. */
static int apply_text(struct config *c, const struct setting *s, const char *v,
		      const struct origin *o, struct err *e)
{
	int64_t n;

	switch (s->kind) {
	case SETTING_TEXT:
		if (!*v)
			return complain(o, s, e, "is empty");
		return set_text(place(c, s), v, e);
	case SETTING_PATH:
		if (!*v)
			return complain(o, s, e, "is empty");
		return set_path(place(c, s), v, e);
	case SETTING_INT:
		if (parse_int(&n, v))
			return complain(o, s, e, "must be a whole number");
		return set_int(place(c, s), s, n, o, e);
	case SETTING_BOOL:
		if (parse_bool(place(c, s), v))
			return complain(o, s, e, "must be true or false (or 1 or 0)");
		return 0;
	case SETTING_CHOICE:
		if (strcmp(v, s->words[0]) != 0 && strcmp(v, s->words[1]) != 0) {
			char text[100];

			(void)snprintf(text, sizeof(text), "must be %s or %s", s->words[0],
				       s->words[1]);
			return complain(o, s, e, text);
		}
		*(bool *)place(c, s) = strcmp(v, s->words[1]) == 0;
		return 0;
	case SETTING_ADMINS:
		if (admins_from_text(c, v, e))
			return err_wrap(e, "%s", s->env);
		return 0;
	}
	return err_set(e, ERR_INTERNAL, NULL);
}

/* ---- file ---- */

static enum json_kind json_kind_of(enum setting_kind k)
{
	switch (k) {
	case SETTING_INT:
		return JSON_IS_INT;
	case SETTING_BOOL:
		return JSON_IS_BOOL;
	case SETTING_ADMINS:
		return JSON_IS_ARR;
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_CHOICE:
		break;
	}
	return JSON_IS_STR;
}

/* "nats.url" below prefix "nats." is "url"; NULL: it belongs to another object. */
static const char *key_below(const struct setting *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(s->key, prefix, n) != 0)
		return NULL;
	return strchr(s->key + n, '.') ? NULL : s->key + n;
}

/* Unknown keys and wrong types of one object, before its values are taken. */
static int check_object(const struct json_doc *d, const json_t *obj, const char *prefix,
			json_t **below, struct err *e)
{
	struct json_want want[NSETTINGS + 2] = {{0}};
	union {
		const char *s;
		int64_t i;
		bool b;
		json_t *j;
	} scratch[NSETTINGS] = {{0}};
	size_t n = 0;

	for (size_t i = 0; i < NSETTINGS; i++) {
		const char *key = key_below(&settings[i], prefix);

		if (!key)
			continue;
		want[n].key = key;
		want[n].kind = json_kind_of(settings[i].kind);
		want[n].out = &scratch[n];
		n++;
	}
	if (below) {
		want[n].key = "nats";
		want[n].kind = JSON_IS_OBJ;
		want[n].out = below;
	}
	return json_fields(d, obj, want, e);
}

static int apply_json(struct config *c, const struct setting *s, const json_t *v,
		      const struct origin *o, struct err *e)
{
	switch (s->kind) {
	case SETTING_INT:
		return set_int(place(c, s), s, json_integer_value(v), o, e);
	case SETTING_BOOL:
		*(bool *)place(c, s) = json_is_true(v);
		return 0;
	case SETTING_ADMINS:
		return admins_from_json(c, o->doc, v, e);
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_CHOICE:
		break;
	}
	return apply_text(c, s, json_string_value(v), o, e);
}

static int apply_object(struct config *c, const struct json_doc *d, const json_t *obj,
			const char *prefix, json_t **below, struct err *e)
{
	if (check_object(d, obj, prefix, below, e))
		return -1;
	for (size_t i = 0; i < NSETTINGS; i++) {
		const char *key = key_below(&settings[i], prefix);
		const json_t *v = key ? json_object_get(obj, key) : NULL;
		const struct origin o = {SOURCE_FILE, d, obj, key};

		if (!v || json_is_null(v))
			continue;
		if (apply_json(c, &settings[i], v, &o, e))
			return -1;
		c->source[i] = SOURCE_FILE;
	}
	return 0;
}

static int load_file(struct config *c, const char *file, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	json_t *nats = NULL;

	if (yaml_parse_file(&d, file, CONFIG_FILE_MAX, e)) {
		if (e->code != ERR_NOMEM)
			e->code = ERR_CONFIG;
		return -1;
	}
	if (apply_object(c, &d, d.root, "", &nats, e))
		return -1;
	if (nats && apply_object(c, &d, nats, "nats.", NULL, e))
		return -1;
	return set_text(&c->file, file, e);
}

/* ---- environment and defaults ---- */

static int load_env(struct config *c, struct err *e)
{
	for (size_t i = 0; i < NSETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *v = s->env ? getenv(s->env) : NULL;
		const struct origin o = {.source = SOURCE_ENV};

		/* Empty is unset: compose files pass ${VAR:-} through. */
		if (!v || !*v)
			continue;
		if (apply_text(c, s, v, &o, e))
			return -1;
		c->source[i] = SOURCE_ENV;
	}
	return 0;
}

static int load_default(struct config *c, size_t i, struct err *e)
{
	const struct origin o = {.source = SOURCE_DEFAULT};
	const struct setting *s = &settings[i];
	char path[PATH_MAX];

	if (!s->def || c->source[i] != SOURCE_NONE)
		return 0;
	c->source[i] = SOURCE_DEFAULT;
	if (strncmp(s->def, "DATA/", 5) != 0)
		return apply_text(c, s, s->def, &o, e);
	/* The table has data in its first row: it is set by now. */
	if (snprintf(path, sizeof(path), "%s/%s", c->data, s->def + 5) >= (int)sizeof(path))
		return err_set(e, ERR_CONFIG, "the data directory's name is too long");
	return apply_text(c, s, path, &o, e);
}

static int default_libexec(struct config *c, struct err *e)
{
	char self[PATH_MAX];
	ssize_t n;

	if (c->libexec_dir)
		return 0;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return err_errno(e, ERR_IO, "cannot find hsmd's own directory (is /proc there?)");
	self[n] = '\0';
	char *slash = strrchr(self, '/');

	if (slash)
		slash[slash == self ? 1 : 0] = '\0';
	return set_text(&c->libexec_dir, self, e);
}

static int64_t cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > 32 ? 32 : n;
}

static int check_together(const struct config *c, struct err *e)
{
	const char *slash = strrchr(c->health_socket, '/');

	if (c->nats_creds && c->nats_nkey)
		return err_set(e, ERR_CONFIG,
			       "nats.creds (NATS_CREDS) and nats.nkey (NATS_NKEY) are both set: "
			       "set one of them");
	if (!c->nats_cert != !c->nats_key)
		return err_set(e, ERR_CONFIG,
			       "nats.cert (NATS_CERT) and nats.key (NATS_KEY) belong together: "
			       "set both or neither");
	if (c->audit_mib * 2 > c->map_mib)
		return err_set(e, ERR_CONFIG,
			       "audit_mib (%lld) must be at most half of store_map_mib (%lld)",
			       (long long)c->audit_mib, (long long)c->map_mib);
	if (strlen(c->health_socket) > 107 || !slash || !slash[1])
		return err_set(e, ERR_CONFIG,
			       "health_socket %.100s… is too long: a socket's path has at most 107 "
			       "bytes",
			       c->health_socket);
	return 0;
}

int config_load(struct config *c, const char *file, struct err *e)
{
	const char *env = getenv("HSM_CONFIG");

	memset(c, 0, sizeof(*c));
	if (!file && env && *env)
		file = env;
	if (!file && access(CONFIG_FILE, F_OK) == 0)
		file = CONFIG_FILE;
	if ((file && load_file(c, file, e)) || load_env(c, e)) {
		config_free(c);
		return -1;
	}
	for (size_t i = 0; i < NSETTINGS; i++)
		if (load_default(c, i, e)) {
			config_free(c);
			return -1;
		}
	if (c->workers == 0)
		c->workers = cpus();
	if (default_libexec(c, e) || check_together(c, e)) {
		config_free(c);
		return -1;
	}
	return 0;
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < NSETTINGS; i++)
		if (settings[i].kind == SETTING_TEXT || settings[i].kind == SETTING_PATH)
			free(*(char **)place(c, &settings[i]));
	free(c->file);
	memset(c, 0, sizeof(*c));
}

/* ---- checks and text ---- */

static int need_file(const char *what, const char *path, struct err *e)
{
	struct stat st;

	if (!path)
		return 0;
	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return err_errno(e, ERR_CONFIG, "%s: cannot read %s", what, path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, "%s: %s is a directory", what, path);
	return 0;
}

static int need_secret(const char *what, const char *path, const char *how, struct err *e)
{
	if (!path)
		return 0;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return err_set(e, ERR_CONFIG, "%s: %s is not there: %s", what, path, how);
	if (secret_file_check(path, e) == 0)
		return 0;
	e->code = ERR_CONFIG;
	return err_wrap(e, "%s", what);
}

/* What the test image made, it made with secrets that stand in its log. */
static int no_test_store(const struct config *c, struct err *e)
{
	char mark[PATH_MAX];

	if (c->testing ||
	    snprintf(mark, sizeof(mark), "%s/testing", c->data) >= (int)sizeof(mark) ||
	    access(mark, F_OK) < 0)
		return 0;
	return err_set(e, ERR_CONFIG,
		       "%s holds a store that the test image made, with secrets that it printed: "
		       "start with an empty volume",
		       c->data);
}

int config_check_files(const struct config *c, struct err *e)
{
	/* how: of a secret, where it comes from. */
	const struct {
		const char *key, *path, *how;
	} files[] = {
		{"nats.creds", c->nats_creds, "put the service's creds file there (NATS_CREDS)"},
		{"nats.nkey", c->nats_nkey,
		 "put a seed there, made with 'signbox nk -gen user' (NATS_NKEY)"},
		{"nats.ca", c->nats_ca, NULL},
		{"nats.cert", c->nats_cert, NULL},
		{"nats.key", c->nats_key, "put the private key of nats.cert there (NATS_KEY)"},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i].how ? need_secret(files[i].key, files[i].path, files[i].how, e)
				 : need_file(files[i].key, files[i].path, e))
			return -1;
	return no_test_store(c, e) || volume_files(c, e) ? -1 : 0;
}

/* nats://user:password@host: the part before the @ stays out of what is printed. */
static void put_urls(const char *urls, struct buf *out)
{
	for (const char *u = urls; *u;) {
		size_t n = strcspn(u, ",");
		const char *host = strstr(u, "://"), *at = memrchr(u, '@', n);

		host = host && host < u + n ? host + 3 : u;
		if (at && at >= host) {
			buf_printf(out, "%.*s…@", (int)(host - u), u);
			buf_put(out, at + 1, (size_t)(u + n - at) - 1);
		} else {
			buf_put(out, u, n);
		}
		u += n;
		if (*u)
			buf_put(out, u++, 1);
	}
}

void config_value_text(const struct config *c, const struct setting *s, struct buf *out)
{
	const void *p = (const char *)c + s->at;
	const char *text;

	switch (s->kind) {
	case SETTING_TEXT:
	case SETTING_PATH:
		text = *(char *const *)p;
		if (text && strcmp(s->key, "nats.url") == 0)
			put_urls(text, out);
		else if (text)
			buf_put(out, text, strlen(text));
		break;
	case SETTING_INT:
		buf_printf(out, "%lld", (long long)*(const int64_t *)p);
		break;
	case SETTING_BOOL:
		buf_printf(out, "%s", *(const bool *)p ? "true" : "false");
		break;
	case SETTING_CHOICE:
		buf_printf(out, "%s", s->words[*(const bool *)p ? 1 : 0]);
		break;
	case SETTING_ADMINS:
		admins_text(c, out);
		break;
	}
}

const char *const *config_env_names(void)
{
	static const char *names[NSETTINGS + 4];
	size_t n = 0;

	for (size_t i = 0; i < NSETTINGS; i++)
		if (settings[i].env)
			names[n++] = settings[i].env;
	names[n++] = "HSM_CONFIG";
	names[n++] = "UNLOCKPW";
	names[n] = NULL;
	return names;
}
