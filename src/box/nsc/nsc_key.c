/* The keystore: KEYS/keys/K/XX/PUBLIC.nk with a seed in each, KEYS/creds/O/A/U.creds; and
 * which key signs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"
#include "nkey/creds.h"

char *nsc_key_path(const struct nsc *n, const char *pub)
{
	uint8_t raw[32];

	/* Signing keys in claims are anybody's text: one may be "../../x", or "". */
	if (nkey_decode(raw, NULL, pub, NULL))
		return NULL;
	return nsc_path("%s/keys/%c/%.2s/%s.nk", n->keys_dir, pub[0], pub + 1, pub);
}

char *nsc_creds_path(const struct nsc *n, const char *account, const char *user)
{
	return nsc_path("%s/creds/%s/%s/%s.creds", n->keys_dir, n->op_name, account, user);
}

/* The original reads key files that others may read, and so does this: volumes of
 * containers often have no modes. */
static int read_secret(const char *path, bool stored, struct secret *s, struct err *e)
{
	/* What -K names may be a pipe; what lies in the keystore may not. */
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (stored ? O_NONBLOCK : 0));
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (stored && !S_ISREG(st.st_mode))
		return err_set(e, ERR_BAD_INPUT, "%s is no regular file", path);
	return secret_read_fd(s, fd, path, NKEY_FILE_MAX, e);
}

int nsc_key_load(const struct nsc *n, const char *pub, struct nkey *k, struct err *e)
{
	CLEAN(free) char *path = NULL;
	char got[NKEY_PUB_LEN];
	struct secret s = {0};
	uint8_t raw[32];

	if (nkey_decode(raw, NULL, pub, e))
		return -1;
	path = nsc_key_path(n, pub);
	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	if (access(path, F_OK) != 0)
		return err_set(e, ERR_NOT_FOUND, "the seed of %s is not in the keystore", pub);
	if (read_secret(path, true, &s, e))
		return -1;
	int r = nkey_from_text(k, path, (const char *)s.p, s.len, e);

	secret_clear(&s);
	if (r)
		return -1;
	nkey_pub_text(k, got);
	if (strcmp(got, pub) != 0) {
		nkey_clear(k);
		return err_set(e, ERR_BAD_NKEY, "%s holds the seed of another key", path);
	}
	return 0;
}

bool nsc_key_has(const struct nsc *n, const char *pub)
{
	CLEAN(nkey) struct nkey k = {0};

	return nsc_key_load(n, pub, &k, NULL) == 0;
}

static int make_keystore(const struct nsc *n, struct err *e)
{
	static const char ignore[] = "# ignore all nk files \n**/*.nk\n\n# ignore all creds "
				     "files\n**/*.creds\n";
	CLEAN(free) char *keys = nsc_path("%s/keys", n->keys_dir);
	CLEAN(free) char *creds = nsc_path("%s/creds", n->keys_dir);
	CLEAN(free) char *file = nsc_path("%s/.gitignore", n->keys_dir);

	if (!keys || !creds || !file)
		return err_set(e, ERR_NOMEM, NULL);
	if (file_mkdirs(keys, 0700, e) || file_mkdirs(creds, 0700, e))
		return -1;
	if (getenv("NSC_NO_GIT_IGNORE") || access(file, F_OK) == 0)
		return 0;
	return file_replace(file, ignore, sizeof(ignore) - 2, 0600, e);
}

int nsc_key_store(const struct nsc *n, const struct nkey *k, struct err *e)
{
	CLEAN(nkey) struct nkey there = {0};
	char pub[NKEY_PUB_LEN];

	nkey_pub_text(k, pub);
	CLEAN(free) char *path = nsc_key_path(n, pub);
	CLEAN(free) char *dir = path ? strdup(path) : NULL;

	if (!dir)
		return err_set(e, ERR_NOMEM, NULL);
	*strrchr(dir, '/') = '\0';
	if (make_keystore(n, e) || file_mkdirs(dir, 0700, e))
		return -1;
	if (access(path, F_OK) == 0)
		return nsc_key_load(n, pub, &there, e)
			       ? err_set(e, ERR_EXISTS, "key `%s` already exists and is different",
					 path)
			       : 0;
	char *seed = secret_alloc(NKEY_SEED_LEN);

	if (!seed)
		return err_set(e, ERR_NOMEM, "no locked memory for a seed");
	nkey_seed_text(k, seed);
	int r = file_replace(path, seed, NKEY_SEED_LEN - 1, 0600, e);

	secret_free(seed);
	return r;
}

int nsc_key_remove(const struct nsc *n, const char *pub, struct err *e)
{
	CLEAN(free) char *path = NULL;
	uint8_t raw[32];

	if (nkey_decode(raw, NULL, pub, e))
		return -1;
	path = nsc_key_path(n, pub);
	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : err_errno(e, ERR_IO, "cannot remove %s", path);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	return 1;
}

int nsc_key_make(const struct nsc *n, enum nkey_kind kind, struct nkey *k, struct err *e)
{
	if (nkey_generate(k, kind, e))
		return -1;
	return nsc_key_store(n, k, e);
}

/* A seed or a public key in a text of len characters. */
static int from_text(const struct nsc *n, const char *name, const char *text, size_t len,
		     struct nkey *k, struct err *e)
{
	char line[NKEY_PUB_LEN] = "";

	if (nkey_from_text(k, name, text, len, NULL) == 0)
		return 0;
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (len == NKEY_PUB_LEN - 1)
		memcpy(line, text, len);
	if (nkey_decode(k->pub, &k->kind, line, NULL))
		return err_set(e, ERR_BAD_NKEY, "%s holds no key: a seed or a public key is needed",
			       name);
	if (nsc_key_has(n, line))
		return nsc_key_load(n, line, k, e);
	return 0;
}

int nsc_key_resolve(const struct nsc *n, const char *text, unsigned kind, struct nkey *k,
		    struct err *e)
{
	CLEAN(free) char *path = nsc_expand(text);
	struct secret s = {0};
	int r;

	if (from_text(n, "the key", text, strlen(text), k, e)) {
		/* It may be a mistyped seed: never repeated. */
		if (!path || access(path, R_OK) != 0)
			return err_set(e, ERR_BAD_NKEY,
				       "a key is required: this is no seed, no public key and no "
				       "file that can be read");
		if (read_secret(path, false, &s, e))
			return -1;
		r = from_text(n, path, (const char *)s.p, s.len, k, e);
		secret_clear(&s);
		if (r)
			return -1;
	}
	if (kind != 0xff && k->kind != kind)
		return err_set(e, ERR_WRONG_NKEY,
			       "specified key is not a valid %s nkey: it is of kind %s",
			       nkey_kind_name(kind), nkey_kind_name(k->kind));
	return 0;
}

int nsc_key_option(const struct nsc *n, const char *value, enum nkey_kind kind,
		   char pub[static NKEY_PUB_LEN], struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};

	if (strcmp(value, "generate") == 0 ? nsc_key_make(n, kind, &k, e)
					   : nsc_key_resolve(n, value, kind, &k, e))
		return -1;
	nkey_pub_text(&k, pub);
	return 0;
}

json_t *nsc_signers(const struct nsc *n, enum nkey_kind level)
{
	const struct jwt *by = level == NKEY_OPERATOR ? &n->op : &n->ac;
	bool strict = claims_bool(n->op.nats, "strict_signing_key_usage");
	json_t *keys = json_object_get(by->nats, "signing_keys"), *v;
	json_t *list = json_array();
	size_t i;

	if (!strict)
		json_array_append_new(list, json_string(jwt_str(by, "sub")));
	/* Plain keys first: a scoped one can sign only users without permissions. */
	json_array_foreach(keys, i, v)
	{
		if (json_is_string(v))
			json_array_append(list, v);
	}
	json_array_foreach(keys, i, v)
	{
		if (!json_is_string(v))
			json_array_append_new(list, json_string(claims_signer_key(v)));
	}
	if (level == NKEY_OPERATOR && n->managed && n->ac.root)
		json_array_append_new(list, json_string(jwt_str(&n->ac, "sub")));
	return list;
}

static int not_resolved(json_t *list, struct err *e)
{
	char text[600] = "";
	size_t i, len = 0;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		if (len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						i ? ", " : "", json_string_value(v));
	}
	return err_set(e, ERR_NOT_FOUND,
		       "unable to resolve any of the following signing keys in the keystore: %s",
		       text);
}

/* -K: a role, a public key, a seed or a file. */
static int chosen(struct nsc *n, const char *text, const json_t *list, struct nkey *k,
		  struct err *e)
{
	const char *role = n->ac.root ? claims_role_key(n->ac.nats, text) : NULL;
	CLEAN(json) json_t *o = json_object();
	char pub[NKEY_PUB_LEN];

	if (role ? nsc_key_load(n, role, k, e) : nsc_key_resolve(n, text, 0xff, k, e))
		return -1;
	nkey_pub_text(k, pub);
	if (!k->secret)
		return err_set(e, ERR_NOT_FOUND, "the seed of %s is not in the keystore", pub);
	/* The original signs with whatever it is given; servers then refuse the JWT. */
	json_object_set(o, "list", (json_t *)(uintptr_t)list);
	if (!claims_has(o, "list", pub))
		return err_set(e, ERR_WRONG_NKEY,
			       "invalid signer: %s is not among the keys that may sign this", pub);
	return 0;
}

int nsc_signer(struct nsc *n, enum nkey_kind level, const char *prefer, struct nkey *k,
	       struct err *e)
{
	CLEAN(json) json_t *list = nsc_signers(n, level);
	const char *text = cli_str(n->c, "private-key");
	json_t *v;
	size_t i;

	if (text && *text)
		return chosen(n, text, list, k, e);
	if (level == NKEY_ACCOUNT && json_array_size(list) == 0)
		return err_set(e, ERR_NOT_FOUND,
			       "unable to issue users when operator requires signing keys and the "
			       "account has none");
	json_array_foreach(list, i, v)
	{
		if (prefer && strcmp(json_string_value(v), prefer) == 0 &&
		    nsc_key_load(n, prefer, k, NULL) == 0)
			return 0;
	}
	json_array_foreach(list, i, v)
	{
		if (nsc_key_load(n, json_string_value(v), k, NULL) == 0)
			return 0;
	}
	return not_resolved(list, e);
}

int nsc_creds(struct nsc *n, const char *account, const char *user, struct buf *out, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf token = {0};

	buf_init(&token, JWT_MAX);
	out->secret = true;
	if (nsc_read(n, &j, account, user, &token, e) || nsc_key_load(n, jwt_str(&j, "sub"), &k, e))
		return -1;
	return creds_format(out, (const char *)token.p, token.len, &k, e);
}

int nsc_write_creds(struct nsc *n, const char *account, const char *user, struct err *e)
{
	CLEAN(free) char *path = nsc_creds_path(n, account, user);
	CLEAN(free) char *shown = path ? nsc_abbrev(path) : NULL;
	CLEAN(free) char *dir = path ? strdup(path) : NULL;
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX + 4096);
	text.secret = true;
	if (!shown || !dir)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_read(n, &j, account, user, NULL, e))
		return -1;
	if (!nsc_key_has(n, jwt_str(&j, "sub"))) {
		nsc_ok(n, "skipped generating creds file - user private key is not available");
		return 0;
	}
	*strrchr(dir, '/') = '\0';
	if (nsc_creds(n, account, user, &text, e) || file_mkdirs(dir, 0700, e) ||
	    file_replace(path, text.p, text.len, 0600, e))
		return -1;
	nsc_ok(n, "generated user creds file `%s`", shown);
	return 0;
}
