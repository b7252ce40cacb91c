#include "conn/conn_auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "conn/conn.h"
#include "nkey/creds.h"
#include "nkey/nkey.h"

#define CREDS_MAX 65536

struct conn_auth {
	struct nkey key;
	char user[NKEY_PUB_LEN];
	char *creds; /* file, read again for each connection */
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

/* Replaces key and JWT when the file can be read and is right, else keeps them. */
static int load_creds(struct conn_auth *a, struct err *e)
{
	struct secret text = {0};
	struct nkey k = {0};
	struct bytes jwt;
	char *copy = NULL;
	int r = secret_read_file(&text, a->creds, CREDS_MAX, e);

	if (r == 0)
		r = creds_parse(&jwt, &k, a->creds, (const char *)text.p, text.len, e);
	if (r == 0 && k.kind != NKEY_USER)
		r = err_set(e, ERR_WRONG_NKEY, "%s holds a seed of kind %s: a user's is needed",
			    a->creds, nkey_kind_name(k.kind));
	if (r == 0) {
		copy = strndup((const char *)jwt.p, jwt.len);
		r = copy ? 0 : err_set(e, ERR_NOMEM, NULL);
	}
	secret_clear(&text);
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

int conn_auth_load(struct conn_auth **out, const char *creds, const char *nkey, struct err *e)
{
	struct conn_auth *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return err_set(e, ERR_NOMEM, NULL);
	pthread_mutex_init(&a->lock, NULL);
	if (creds && nkey) {
		r = err_set(e, ERR_CONFIG, "both creds and an NKey are set: only one can be used");
	} else if (creds) {
		a->creds = strdup(creds);
		r = a->creds ? load_creds(a, e) : err_set(e, ERR_NOMEM, NULL);
	} else if (nkey) {
		r = nkey_read_kind(&a->key, NKEY_USER, nkey, e);
		if (r == 0)
			nkey_pub_text(&a->key, a->user);
	}
	if (r) {
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
	if (!nonce || !conn_nonce_ok(nonce)) {
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
		*siglen = 64;
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

	if (a->creds)
		s = natsOptions_SetUserCredentialsCallbacks(no, on_jwt, a, on_nonce, a);
	else if (*a->user)
		s = natsOptions_SetNKey(no, a->user, on_nonce, a);
	return conn_err(e, s, "NATS credentials");
}

const char *conn_auth_user(const struct conn_auth *a)
{
	return a->user;
}

const char *conn_auth_error(struct conn_auth *a)
{
	return *a->refused ? a->refused : NULL;
}
