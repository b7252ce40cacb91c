#include "box/hsm/hsm_setup.h"

#include <string.h>

#include "base/file.h"
#include "box/hsm/hsm_run.h"
#include "json/yaml.h"

#define SETUP_MAX ((size_t)4 << 20)

void setup_free(struct setup *s)
{
	free(s->users);
	free(s->keys);
	free(s->dir);
	json_doc_free(&s->doc);
	*s = (struct setup){0};
}

char *setup_path(const struct setup *s, const char *prefix, const char *name)
{
	bool whole = name[0] == '/' || strcmp(s->dir, ".") == 0;
	char *path;

	if (asprintf(&path, "%s%s%s%s", prefix, whole ? "" : s->dir, whole ? "" : "/", name) < 0)
		return NULL;
	return path;
}

/* true, false, "on" or "off"; absent: unsaid. */
static int switch_of(const struct setup *s, const json_t *obj, const char *key, const json_t *v,
		     int *out, struct err *e)
{
	const char *text = json_string_value(v);

	*out = SETUP_UNSAID;
	if (!v)
		return 0;
	*out = json_is_true(v) || (text && strcmp(text, "on") == 0);
	if (!*out && !json_is_false(v) && (!text || strcmp(text, "off") != 0))
		return json_complain(&s->doc, obj, key, 0, e, "'%s' is on or off", key);
	return 0;
}

static int name_of(const struct setup *s, const json_t *obj, const char *name, json_t *seen,
		   struct err *e)
{
	if (!name_valid(name, strlen(name)))
		return json_complain(&s->doc, obj, "name", 0, e,
				     "'%.40s' is no name: 1 to %d of A-Z a-z 0-9 _ . -, starting "
				     "with a letter or digit",
				     name, NAME_MAX_LEN);
	if (json_object_get(seen, name))
		return json_complain(&s->doc, obj, "name", 0, e, "'%.128s' stands here twice",
				     name);
	return json_object_set_new(seen, name, json_true()) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* A public key, or the seed or creds of whose user this is. */
static int nkey_of_file(const struct setup *s, const struct setup_user *u, const char *file,
			uint8_t pub[static 32], struct err *e)
{
	CLEAN(free) char *path = setup_path(s, "", file);
	CLEAN(free) char *at = setup_path(s, "@", file);
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf b = {0};
	const char *text = at;
	struct err why;

	if (!path || !at)
		return err_set(e, ERR_NOMEM, NULL);
	buf_init(&b, NKEY_FILE_MAX);
	b.secret = true;
	if (run_at_file(&text, &b, &why))
		return json_complain(&s->doc, u->at, "nkey_file", 0, e, "%.180s", why.text);
	if (nkey_decode_kind(pub, NKEY_USER, text, NULL) == 0)
		return 0;
	if (nkey_read_kind(&k, NKEY_USER, path, &why))
		return json_complain(&s->doc, u->at, "nkey_file", 0, e, "%.180s", why.text);
	memcpy(pub, k.pub, sizeof(k.pub));
	return 0;
}

static int read_user(struct setup *s, const json_t *obj, json_t *seen, json_t *nkeys, struct err *e)
{
	struct setup_user *u = &s->users[s->nusers++];
	const char *nkey = NULL, *file = NULL, *role = NULL;
	char text[NKEY_PUB_LEN];
	json_t *plain = NULL;
	struct err why;
	uint8_t r;
	const struct json_want want[] = {
		{.key = "name", .kind = JSON_IS_STR, .out = &u->name, .need = true},
		{.key = "nkey", .kind = JSON_IS_STR, .out = &nkey},
		{.key = "nkey_file", .kind = JSON_IS_STR, .out = &file},
		{.key = "role", .kind = JSON_IS_STR, .out = &role},
		{.key = "plain", .kind = JSON_IS_ANY, .out = &plain},
		{0},
	};

	*u = (struct setup_user){.at = obj, .role = SETUP_UNSAID};
	if (json_fields(&s->doc, obj, want, e) || name_of(s, obj, u->name, seen, e) ||
	    switch_of(s, obj, "plain", plain, &u->plain, e))
		return -1;
	if (role && !run_role(role, &r))
		return json_complain(&s->doc, obj, "role", 0, e,
				     "'role' is administrator or operator, not '%.40s'", role);
	if (role)
		u->role = r;
	if (!nkey == !file)
		return json_complain(&s->doc, obj, "name", 0, e,
				     "user '%.128s' needs either nkey or nkey_file", u->name);
	if (nkey && nkey_decode_kind(u->nkey, NKEY_USER, nkey, &why))
		return json_complain(&s->doc, obj, "nkey", 0, e, "public NKey of a user (U…): %s",
				     why.text);
	if (file && nkey_of_file(s, u, file, u->nkey, e))
		return -1;
	nkey_encode(text, NKEY_USER, u->nkey);
	if (json_object_get(nkeys, text))
		return json_complain(&s->doc, obj, "name", 0, e, "%s has this NKey too: one each",
				     json_string_value(json_object_get(nkeys, text)));
	return json_object_set_new(nkeys, text, json_string(u->name)) ? err_set(e, ERR_NOMEM, NULL)
								      : 0;
}

static int read_modes(const struct setup *s, struct setup_key *k, const json_t *list,
		      const struct key_type_row *type, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_item_str(&s->doc, list, i, e);
		const struct mode_row *m = text ? mode_named(text) : NULL;

		if (!text)
			return -1;
		if (!m)
			return json_complain(&s->doc, list, NULL, i, e, "there is no mode '%.40s'",
					     text);
		if (m->type != type->type)
			return json_complain(&s->doc, list, NULL, i, e,
					     "mode %s is not for keys of type %s", text,
					     type->text);
		k->modes |= MODE_BIT(m->mode);
	}
	if (list && !k->modes)
		return json_complain(&s->doc, k->at, "modes", 0, e,
				     "'modes' is empty: leave it out for all that fit");
	return 0;
}

static int read_key(struct setup *s, const json_t *obj, json_t *seen, struct err *e)
{
	struct setup_key *k = &s->keys[s->nkeys++];
	const char *type = NULL, *audit = NULL;
	const struct key_type_row *row = key_type_row(KEY_ED25519);
	json_t *plain = NULL, *modes = NULL;
	int64_t bits = 0;
	uint8_t policy;
	const struct json_want want[] = {
		{.key = "name", .kind = JSON_IS_STR, .out = &k->name, .need = true},
		{.key = "type", .kind = JSON_IS_STR, .out = &type},
		{.key = "bits", .kind = JSON_IS_INT, .out = &bits},
		{.key = "modes", .kind = JSON_IS_ARR, .out = &modes},
		{.key = "plain", .kind = JSON_IS_ANY, .out = &plain},
		{.key = "audit", .kind = JSON_IS_STR, .out = &audit},
		{0},
	};

	*k = (struct setup_key){.at = obj, .type = SETUP_UNSAID, .audit = SETUP_UNSAID};
	if (json_fields(&s->doc, obj, want, e) || name_of(s, obj, k->name, seen, e) ||
	    switch_of(s, obj, "plain", plain, &k->plain, e))
		return -1;
	if (type && !(row = key_type_named(type)))
		return json_complain(&s->doc, obj, "type", 0, e,
				     "there is no key type '%.40s': ed25519, p256 or rsa", type);
	if (type)
		k->type = (int)row->type;
	if (json_object_get(obj, "bits") && (bits < row->min_bits || bits > row->max_bits))
		return json_complain(&s->doc, obj, "bits", 0, e, "%s keys have %u to %u bits",
				     row->text, row->min_bits, row->max_bits);
	k->bits = (unsigned)bits;
	if (audit && !run_audit(audit, &policy))
		return json_complain(&s->doc, obj, "audit", 0, e,
				     "'audit' is batched or durable, not '%.40s'", audit);
	if (audit)
		k->audit = policy;
	return read_modes(s, k, modes, row, e);
}

/* Items are objects; their lines are those of the list. */
static int objects(const struct setup *s, const json_t *list, const char *what, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_object(json_array_get(list, i)))
			return json_complain(&s->doc, list, NULL, i, e, "a %s is {name: …, …}",
					     what);
	return 0;
}

static int read_lists(struct setup *s, const json_t *users, const json_t *keys, struct err *e)
{
	CLEAN(json) json_t *user_names = json_object();
	CLEAN(json) json_t *nkeys = json_object();
	CLEAN(json) json_t *key_names = json_object();

	s->users = calloc(json_array_size(users) + 1, sizeof(*s->users));
	s->keys = calloc(json_array_size(keys) + 1, sizeof(*s->keys));
	if (!s->users || !s->keys)
		return err_set(e, ERR_NOMEM, NULL);
	if (objects(s, users, "user", e) || objects(s, keys, "key", e))
		return -1;
	for (size_t i = 0; i < json_array_size(users); i++)
		if (read_user(s, json_array_get(users, i), user_names, nkeys, e))
			return -1;
	for (size_t i = 0; i < json_array_size(keys); i++)
		if (read_key(s, json_array_get(keys, i), key_names, e))
			return -1;
	return 0;
}

int setup_parse(struct setup *s, const char *name, const char *dir, const void *p, size_t n,
		struct err *e)
{
	json_t *provision = NULL, *users = NULL, *keys = NULL, *unattended = NULL;
	const struct json_want want[] = {
		{.key = "identity", .kind = JSON_IS_STR, .out = &s->identity},
		{.key = "provision", .kind = JSON_IS_OBJ, .out = &provision},
		{.key = "users", .kind = JSON_IS_ARR, .out = &users},
		{.key = "keys", .kind = JSON_IS_ARR, .out = &keys},
		{0},
	};
	const struct json_want inner[] = {
		{.key = "passphrase_file", .kind = JSON_IS_STR, .out = &s->passphrase_file},
		{.key = "unattended_boot", .kind = JSON_IS_ANY, .out = &unattended},
		{0},
	};
	uint8_t id[32];
	struct err why;

	s->unattended = SETUP_UNSAID;
	s->dir = strdup(dir);
	if (!s->dir)
		return err_set(e, ERR_NOMEM, NULL);
	if (yaml_parse(&s->doc, name, p, n, e) || json_fields(&s->doc, s->doc.root, want, e))
		return -1;
	if (provision &&
	    (json_fields(&s->doc, provision, inner, e) ||
	     switch_of(s, provision, "unattended_boot", unattended, &s->unattended, e)))
		return -1;
	if (s->identity && s->identity[0] != '@' && run_identity_parse(id, s->identity, &why))
		return json_complain(&s->doc, s->doc.root, "identity", 0, e, "%s", why.text);
	return read_lists(s, users, keys, e);
}

int setup_read(struct setup *s, const char *path, struct err *e)
{
	bool in = strcmp(path, "-") == 0;
	const char *slash = strrchr(path, '/');
	CLEAN(free) char *dir = NULL;
	CLEAN(buf) struct buf b = {0};

	/* The folder of /FILE is the root. */
	dir = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
	if (!dir)
		return err_set(e, ERR_NOMEM, NULL);
	buf_init(&b, SETUP_MAX);
	if (in ? file_read_fd(STDIN_FILENO, "standard input", &b, e) : file_read(path, &b, e))
		return -1;
	return setup_parse(s, in ? "standard input" : path, in ? "." : dir, b.p, b.len, e);
}
