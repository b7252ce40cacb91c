#include "box/mesh/mesh_keys.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "box/mesh/mesh_place.h"
#include "crypto/crypto.h"

#define SECRET_MAX 4096
#define CA_DAYS 3650

void mesh_keys_free(struct mesh_keys *k)
{
	for (size_t i = 0; i < KEY_SEEDS; i++)
		nkey_clear(&k->seed[i]);
	nkey_clear(&k->hsm);
	nkey_clear(&k->system);
	nkey_clear(&k->monitor);
	secret_clear(&k->device);
	secret_clear(&k->passphrase);
	secret_clear(&k->route);
	buf_free(&k->ca_pem);
	EVP_PKEY_free(k->ca_key);
	X509_free(k->ca);
	memset(k, 0, sizeof(*k));
}

static const struct {
	const char *name;
	enum nkey_kind kind;
} seeds[KEY_SEEDS] = {
	[KEY_OPERATOR] = {"operator.nk", NKEY_OPERATOR},
	[KEY_SYS] = {"sys.nk", NKEY_ACCOUNT},
	[KEY_ACCOUNT] = {"account.nk", NKEY_ACCOUNT},
	[KEY_SCOPE + PERM_SERVICE] = {"scope-service.nk", NKEY_ACCOUNT},
	[KEY_SCOPE + PERM_SESSION] = {"scope-session.nk", NKEY_ACCOUNT},
	[KEY_SCOPE + PERM_PLAIN] = {"scope-plain.nk", NKEY_ACCOUNT},
	[KEY_SCOPE + PERM_MONITOR] = {"scope-monitor.nk", NKEY_ACCOUNT},
};

#define SECRET(name, member, bytes) {name, offsetof(struct mesh_keys, member), bytes}
/* Random bytes, kept as base64. */
static const struct {
	const char *name;
	size_t at, bytes;
} secrets[] = {
	SECRET("device_key", device, 32),
	SECRET("unlock_passphrase", passphrase, 18),
	SECRET("route_password", route, 24),
};
#define NSECRETS (sizeof(secrets) / sizeof(secrets[0]))

const char *mesh_keys_name(const struct mesh *m, size_t i)
{
	if (i == 0)
		return "ca.key";
	if (i <= NSECRETS)
		return secrets[i - 1].name;
	i -= 1 + NSECRETS;
	return m->auth == MESH_JWT && i < KEY_SEEDS ? seeds[i].name : NULL;
}

/* What is done about a secret that is not there. */
enum need {
	MUST,	   /* an error */
	MUST_KEEP, /* an error; owner and mode are put right */
	MAY_MAKE,  /* it is made */
};

/* One that is gone can be made only at the beginning: nothing else has it. */
static enum need need(const struct mesh *m, bool make)
{
	return !make ? MUST : m->ready ? MUST_KEEP : MAY_MAKE;
}

static int look(const struct mesh *m, const char *dir, const char *name, enum need n, bool *there,
		char path[static PATH_MAX], struct err *e)
{
	bool changed = false;

	if (mesh_path(m, path, dir, name, e) || mesh_there(path, there, e))
		return -1;
	if (*there)
		return n == MUST ? 0 : mesh_keep(m, path, PLACE_KEY, &changed, e);
	if (n == MAY_MAKE)
		return 0;
	return err_set(e, ERR_NOT_FOUND,
		       "%s is gone: bring authority/ back from a backup, or begin a new mesh with "
		       "empty directories",
		       path);
}

static int random_secret(const struct mesh *m, struct mesh_keys *k, size_t i, bool make,
			 struct err *e)
{
	struct secret *s = (struct secret *)((char *)k + secrets[i].at);
	char path[PATH_MAX];
	bool there;

	if (look(m, "authority", secrets[i].name, need(m, make), &there, path, e))
		return -1;
	if (!there) {
		uint8_t raw[32];
		char text[ENC_BASE64_LEN(32) + 1];

		crypto_random(raw, secrets[i].bytes);
		/* The URL alphabet suits configurations and URLs; the device key is base64. */
		enc_base64(text, raw, secrets[i].bytes, i == 0 ? ENC_STD : ENC_URL);
		size_t n = strlen(text);

		text[n] = '\n';
		int r = mesh_write(m, path, PLACE_KEY, text, n + 1, e);

		secret_wipe(raw, sizeof(raw));
		secret_wipe(text, sizeof(text));
		if (r)
			return -1;
	}
	if (mesh_secret(path, s, SECRET_MAX, e))
		return -1;
	/* It goes between quotation marks of a configuration. */
	for (size_t c = 0; c < s->len; c++)
		if (s->p[c] <= ' ' || s->p[c] > '~' || s->p[c] == '"' || s->p[c] == '\\')
			return err_set(e, ERR_BAD_INPUT, "%s: bad character", path);
	return s->len >= 10 ? 0 : err_set(e, ERR_BAD_INPUT, "%s is too short", path);
}

static int seed_file(const struct mesh *m, const char *dir, const char *name, enum nkey_kind kind,
		     enum need n, struct nkey *k, struct err *e)
{
	char path[PATH_MAX];
	bool there;

	if (look(m, dir, name, n, &there, path, e))
		return -1;
	if (!there) {
		char *text = nkey_generate(k, kind, e) ? NULL : secret_alloc(NKEY_SEED_LEN);

		if (!text)
			return err_set(e, ERR_NOMEM, "no locked memory for a seed");
		nkey_seed_text(k, text);
		text[NKEY_SEED_LEN - 1] = '\n';
		int r = mesh_write(m, path, PLACE_KEY, text, NKEY_SEED_LEN, e);

		secret_free(text);
		nkey_clear(k);
		if (r)
			return -1;
	}
	return mesh_seed(path, kind, k, e);
}

int mesh_user_key(const struct mesh *m, const char *name, const char *nkey, bool make,
		  struct nkey *k, struct err *e)
{
	char file[MESH_NAME + 4], pub[NKEY_PUB_LEN];
	/* New users come when the mesh is ready, too. */
	enum need n = !make ? MUST : *nkey ? MUST_KEEP : MAY_MAKE;

	(void)snprintf(file, sizeof(file), "%s.nk", name);
	if (seed_file(m, "authority/users", file, NKEY_USER, n, k, e))
		return -1;
	nkey_pub_text(k, pub);
	if (*nkey && strcmp(pub, nkey) != 0)
		return err_set(e, ERR_WRONG_NKEY,
			       "authority/users/%s is not the key that mesh.json has for that "
			       "user: bring both back from one backup",
			       file);
	return 0;
}

static int read_ca(const struct mesh *m, struct mesh_keys *k, bool *there, struct err *e)
{
	char path[PATH_MAX];

	if (mesh_path(m, path, "authority", "ca.pem", e) || mesh_there(path, there, e))
		return -1;
	if (!*there)
		return 0;
	buf_reset(&k->ca_pem);
	if (mesh_read(path, &k->ca_pem, e))
		return -1;
	X509_free(k->ca);
	k->ca = x509_read(path, &k->ca_pem, e);
	return k->ca ? 0 : -1;
}

int mesh_ca_renew(const struct mesh *m, struct mesh_keys *k, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char path[PATH_MAX], name[MESH_NAME + 8];
	bool wrote = false, there;

	buf_init(&b, SECRET_MAX);
	(void)snprintf(name, sizeof(name), "%.55s CA", m->cluster);
	if (x509_ca_make(&b, k->ca_key, name, time(NULL), CA_DAYS, e) ||
	    mesh_path(m, path, "authority", "ca.pem", e) ||
	    mesh_put(m, path, PLACE_PUBLIC, b.p, b.len, &wrote, e))
		return -1;
	return read_ca(m, k, &there, e);
}

static int ca(const struct mesh *m, struct mesh_keys *k, bool make, struct err *e)
{
	CLEAN(buf) struct buf key = {0};
	char path[PATH_MAX];
	bool there, due = false;
	const char *fault;

	buf_init(&k->ca_pem, SECRET_MAX);
	buf_init(&key, SECRET_MAX);
	key.secret = true;
	if (look(m, "authority", "ca.key", need(m, make), &there, path, e))
		return -1;
	if (there ? mesh_read(path, &key, e)
		  : x509_key_make(&key, e) || mesh_write(m, path, PLACE_KEY, key.p, key.len, e))
		return -1;
	k->ca_key = x509_key_read(path, &key, e);
	if (!k->ca_key || read_ca(m, k, &there, e))
		return -1;
	/* It can be made again of the key, in any mesh. */
	if (!there && !make)
		return err_set(e, ERR_NOT_FOUND, "authority/ca.pem is gone: 'mesh init' makes it");
	if (!there)
		return mesh_ca_renew(m, k, e);
	fault = x509_ca_fault(k->ca, k->ca_key, time(NULL), &due);
	if (!make || !(due || *fault))
		return 0;
	mesh_say(m, "the CA's certificate is made anew: it %s", *fault ? fault : "ends soon");
	return mesh_ca_renew(m, k, e);
}

int mesh_keys(const struct mesh *m, struct mesh_keys *k, bool make, struct err *e)
{
	if (ca(m, k, make, e))
		return -1;
	for (size_t i = 0; i < NSECRETS; i++)
		if (random_secret(m, k, i, make, e))
			return -1;
	for (size_t i = 0; m->auth == MESH_JWT && i < KEY_SEEDS; i++)
		if (seed_file(m, "authority", seeds[i].name, seeds[i].kind, need(m, make),
			      &k->seed[i], e))
			return -1;
	struct {
		const char *name;
		struct nkey *k;
	} users[] = {{m->hsm, &k->hsm}, {MESH_SYSTEM, &k->system}, {MESH_MONITOR, &k->monitor}};

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		char file[MESH_NAME + 4];

		(void)snprintf(file, sizeof(file), "%s.nk", users[i].name);
		if (seed_file(m, "authority/users", file, NKEY_USER, need(m, make), users[i].k, e))
			return -1;
	}
	return 0;
}
