#include "box/nk/nk_vanity.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/x25519.h"
#include "ui/progress.h"

#define MAX_THREADS 64
#define STEP 256 /* tries between two looks at the shared counter */

struct search {
	enum nkey_kind kind;
	char want[NKEY_PUB_LEN];
	size_t n;
	atomic_long left;
	atomic_bool done;
	uint8_t *seed; /* 32 bytes of the pair found; written once, under lock */
	pthread_mutex_t lock;
	struct progress progress;
};

static bool try_one(const struct search *s, uint8_t sk[static 64])
{
	char text[NKEY_PUB_LEN];
	uint8_t pub[32];

	if (s->kind == NKEY_CURVE) {
		crypto_random(sk, 32);
		x25519_public(pub, sk);
	} else {
		ed25519_generate(pub, sk);
	}
	nkey_encode(text, s->kind, pub);
	return memcmp(text + 1, s->want, s->n) == 0;
}

static void *worker(void *arg)
{
	struct search *s = arg;
	uint8_t sk[64];

	while (!s->done) {
		long tries = atomic_fetch_sub(&s->left, STEP);

		if (tries <= 0)
			break;
		for (long i = 0; i < STEP && i < tries && !s->done; i++) {
			if (!try_one(s, sk))
				continue;
			pthread_mutex_lock(&s->lock);
			if (!s->done)
				memcpy(s->seed, sk, 32);
			s->done = true;
			pthread_mutex_unlock(&s->lock);
		}
		progress_add(&s->progress, STEP);
	}
	secret_wipe(sk, sizeof(sk));
	return NULL;
}

static int check_want(struct search *s, const char *want, struct err *e)
{
	s->n = strlen(want);
	if (s->n > 50)
		return err_set(e, ERR_BAD_INPUT, "-pre takes at most 50 characters");
	for (size_t i = 0; i < s->n; i++) {
		s->want[i] = (char)toupper((unsigned char)want[i]);
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", s->want[i]))
			return err_set(e, ERR_BAD_INPUT,
				       "Can not generate base32 encoded strings to match '%.50s'",
				       want);
	}
	/* The kind's byte ends in three zero bits, which begin the second character. */
	if (s->want[0] > 'D')
		return err_set(e, ERR_BAD_INPUT,
			       "no key begins so: the second character is always A, B, C or D");
	return 0;
}

int nk_vanity(struct nkey *k, enum nkey_kind kind, const char *want, long max, struct err *e)
{
	struct search s = {.kind = kind, .left = max};
	pthread_t threads[MAX_THREADS];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	long n = 0;
	int r;

	if (check_want(&s, want, e))
		return -1;
	s.seed = secret_alloc(32);
	if (!s.seed)
		return err_set(e, ERR_NOMEM, "no locked memory for a seed");
	pthread_mutex_init(&s.lock, NULL);
	progress_start(&s.progress, "computing", (uint64_t)(max > 0 ? max : 0), PROGRESS_COUNT);
	for (; n < cores && n < MAX_THREADS; n++)
		if (pthread_create(&threads[n], NULL, worker, &s))
			break;
	if (n == 0)
		worker(&s);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	progress_end(&s.progress);
	r = s.done ? nkey_from_raw(k, kind, s.seed, e)
		   : err_set(e, ERR_NOT_FOUND, "Failed to generate prefix after %ld attempts", max);
	secret_free(s.seed);
	pthread_mutex_destroy(&s.lock);
	return r;
}
