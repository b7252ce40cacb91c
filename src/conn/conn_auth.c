#include "conn/conn_auth.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "conn/conn.h"
#include "nkey/creds.h"
#include "nkey/jwt.h"
#include "nkey/nkey.h"

#define CREDS_MAX 65536
#define CLOCK_SLACK 60 /* seconds by which two clocks may differ */

struct conn_auth {
	struct nkey key;
	char user[NKEY_PUB_LEN];
	char *creds; /* file, read again for each connection */
	bool any_mode;
	char *jwt;
	pthread_mutex_t lock;
	char refused[sizeof(((struct err *)0)->text)];
};

bool conn_nonce_ok(const char *nonce)
{
	size_t n = strspn(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				 "0123456789-_");

	return n > 0 && n <= 64 && nonce[n] == '\0';
}

static int read_secret(const struct conn_auth *a, struct secret *text, const char *path,
		       struct err *e)
{
	if (!a->any_mode)
		return secret_read_file(text, path, CREDS_MAX, e);
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	return secret_read_fd(text, fd, path, CREDS_MAX, e);
}

/* Replaces key and JWT when the text is right, else keeps them. */
static int take_creds(struct conn_auth *a, const char *name, const char *text, size_t len,
		      struct err *e)
{
	struct nkey k = {0};
	struct bytes jwt;
	char *copy = NULL;
	int r = creds_parse(&jwt, &k, name, text, len, e);

	if (r == 0 && k.kind != NKEY_USER)
		r = err_set(e, ERR_WRONG_NKEY, "%s holds a seed of kind %s: a user's is needed",
			    name, nkey_kind_name(k.kind));
	if (r == 0) {
		copy = strndup((const char *)jwt.p, jwt.len);
		r = copy ? 0 : err_set(e, ERR_NOMEM, NULL);
	}
	if (r) {
		nkey_clear(&k);
		return -1;
	}
	nkey_clear(&a->key);
	a->key = k;
	nkey_pub_text(&a->key, a->user);
	free(a->jwt);
	a->jwt = copy;
	return 0;
}

static int load_creds(struct conn_auth *a, struct err *e)
{
	struct secret text = {0};
	int r = read_secret(a, &text, a->creds, e);

	if (r == 0)
		r = take_creds(a, a->creds, (const char *)text.p, text.len, e);
	secret_clear(&text);
	return r;
}

/* The key of a seed's text; name stands in messages. */
static int take_seed(struct conn_auth *a, const char *name, const char *text, size_t len,
		     struct err *e)
{
	if (nkey_from_text(&a->key, name, text, len, e))
		return -1;
	if (a->key.kind != NKEY_USER)
		return err_set(e, ERR_WRONG_NKEY, "%s holds a seed of kind %s: a user's is needed",
			       name, nkey_kind_name(a->key.kind));
	nkey_pub_text(&a->key, a->user);
	return 0;
}

static int load_seed_file(struct conn_auth *a, const char *path, struct err *e)
{
	struct secret text = {0};
	int r = read_secret(a, &text, path, e);

	if (r == 0)
		r = take_seed(a, path, (const char *)text.p, text.len, e);
	secret_clear(&text);
	return r;
}

/* Creds of a user that has no JWT are its seed alone: who sets this up names one file,
 * whichever way of the two the server takes. One with a broken JWT stays an error. */
static int load_creds_file(struct conn_auth *a, const char *path, struct err *e)
{
	struct secret text = {0};
	bool alone = false;

	if (!read_secret(a, &text, path, NULL) && text.len)
		alone = !memmem(text.p, text.len, "JWT-", 4) &&
			!memmem(text.p, text.len, "eyJ", 3) &&
			!take_seed(a, path, (const char *)text.p, text.len, NULL);
	secret_clear(&text);
	if (alone)
		return 0;
	a->creds = strdup(path);
	return a->creds ? load_creds(a, e) : err_set(e, ERR_NOMEM, NULL);
}

static int load(struct conn_auth *a, const struct conn_opts *o, struct err *e)
{
	if (!!o->creds + !!o->nkey + !!o->creds_text + !!o->jwt > 1)
		return err_set(e, ERR_CONFIG,
			       "both creds and an NKey are set: only one can be used");
	if (o->creds_text)
		return take_creds(a, "creds", o->creds_text, strlen(o->creds_text), e);
	if (o->creds)
		return load_creds_file(a, o->creds, e);
	if (o->nkey && !a->any_mode) {
		if (nkey_read_kind(&a->key, NKEY_USER, o->nkey, e))
			return -1;
		nkey_pub_text(&a->key, a->user);
		return 0;
	}
	if (o->nkey)
		return load_seed_file(a, o->nkey, e);
	if (!o->jwt)
		return 0;
	a->jwt = strdup(o->jwt);
	if (!a->jwt)
		return err_set(e, ERR_NOMEM, NULL);
	return o->seed ? take_seed(a, "the seed", o->seed, strlen(o->seed), e) : 0;
}

int conn_auth_load(struct conn_auth **out, const struct conn_opts *o, struct err *e)
{
	struct conn_auth *a = calloc(1, sizeof(*a));

	if (!a)
		return err_set(e, ERR_NOMEM, NULL);
	pthread_mutex_init(&a->lock, NULL);
	a->any_mode = o->any_mode;
	if (load(a, o, e)) {
		conn_auth_free(a);
		return -1;
	}
	*out = a;
	return 0;
}

void conn_auth_free(struct conn_auth *a)
{
	if (!a)
		return;
	nkey_clear(&a->key);
	free(a->creds);
	free(a->jwt);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* nats.c calls this before the signature handler of the same connection. */
static natsStatus on_jwt(char **jwt, char **why, void *arg)
{
	struct conn_auth *a = arg;

	(void)why;
	pthread_mutex_lock(&a->lock);
	/* Renewed creds are taken; a sandbox or a half-written file leaves the old. */
	if (a->creds)
		(void)load_creds(a, NULL);
	*jwt = strdup(a->jwt);
	pthread_mutex_unlock(&a->lock);
	return *jwt ? NATS_OK : NATS_NO_MEMORY;
}

/* A server chooses what is signed here and may be hostile: only what looks like a
 * nonce is, which is no message of Signbox (FF 00 "signbox" …) and no JWT (a dot). */
static natsStatus on_nonce(char **why, unsigned char **sig, int *siglen, const char *nonce,
			   void *arg)
{
	struct conn_auth *a = arg;
	natsStatus s = NATS_ERR;
	struct err e = {0};

	*sig = NULL;
	pthread_mutex_lock(&a->lock);
	if (!*a->user) {
		/* A bearer token needs no signature. */
		*sig = calloc(1, 1);
		s = *sig ? NATS_OK : NATS_NO_MEMORY;
	} else if (!nonce || !conn_nonce_ok(nonce)) {
		err_set(&e, ERR_DENIED,
			"the NATS server asks for a signature of something that is no nonce");
	} else {
		*sig = malloc(64);
		if (!*sig)
			err_set(&e, ERR_NOMEM, NULL);
		else if (nkey_sign(&a->key, *sig, nonce, strlen(nonce), &e) == 0)
			s = NATS_OK;
	}
	if (s == NATS_OK) {
		*siglen = *a->user ? 64 : 0;
	} else {
		free(*sig);
		*sig = NULL;
		(void)snprintf(a->refused, sizeof(a->refused), "%s", e.text);
		*why = strdup(e.text);
	}
	pthread_mutex_unlock(&a->lock);
	return s;
}

int conn_auth_apply(struct conn_auth *a, natsOptions *no, struct err *e)
{
	natsStatus s = NATS_OK;

	if (a->jwt)
		s = natsOptions_SetUserCredentialsCallbacks(no, on_jwt, a, on_nonce, a);
	else if (*a->user)
		s = natsOptions_SetNKey(no, a->user, on_nonce, a);
	return conn_err(e, s, "NATS credentials");
}

static void date(char out[static 24], int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm = {0};

	out[0] = '\0';
	if (gmtime_r(&t, &tm))
		(void)strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* iat is no limit, but who was made in the future was made by another clock. */
static int jwt_time(const struct conn_auth *a, struct err *e)
{
	const char *where = a->creds ? a->creds : "the user JWT";
	CLEAN(jwt) struct jwt j = {0};
	int64_t now = time(NULL), exp, nbf, iat;
	char limit[24], here[24];

	if (!strchr(a->jwt, '.'))
		return err_set(
			e, ERR_CONFIG,
			"%s holds no user JWT (is it an NKey's seed alone? then it belongs to "
			"nats.nkey)",
			where);
	/* One that cannot be read is the server's to refuse. */
	if (jwt_decode(&j, where, a->jwt, strlen(a->jwt), NULL))
		return 0;
	exp = jwt_int(&j, "exp");
	nbf = jwt_int(&j, "nbf");
	iat = jwt_int(&j, "iat");
	nbf = nbf ? nbf : iat;
	date(here, now);
	date(limit, exp && exp < now ? exp : nbf);
	if (exp && exp < now)
		return err_set(e, ERR_CONFIG,
			       "%s: its user JWT expired on %s and the clock here says %s: renew "
			       "it, or set the clock",
			       where, limit, here);
	if (nbf > now + CLOCK_SLACK)
		return err_set(e, ERR_CONFIG,
			       "%s: its user JWT is of %s and the clock here says %s: set the "
			       "clock",
			       where, limit, here);
	return 0;
}

int conn_auth_time(struct conn_auth *a, struct err *e)
{
	int rc = 0;

	if (!a)
		return 0;
	pthread_mutex_lock(&a->lock);
	if (a->jwt)
		rc = jwt_time(a, e);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

const char *conn_auth_user(const struct conn_auth *a)
{
	return a->user;
}

const char *conn_auth_error(struct conn_auth *a)
{
	return *a->refused ? a->refused : NULL;
}
