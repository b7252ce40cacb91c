/* Raw cost of signatures on one core, without NATS, sessions or processes: one line
 * per key type and operation, "alg=… op=… per_second=… us=…". `make bench` takes the
 * raw figure of its ratio from here. Argument: milliseconds per line (default 500). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "hsm/keyd/alg/alg.h"

#define MESSAGE 128 /* bytes, as in the end-to-end bench */

struct subject {
	struct alg_key *key;
	struct alg_thread *thread;
	enum sign_mode mode;
	uint8_t msg[MESSAGE];
	uint8_t sig[SIGNATURE_MAX];
	size_t sig_len;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int once(struct subject *s, bool verify, struct err *e)
{
	struct bytes m = {s->msg, sizeof(s->msg)};

	if (verify)
		return alg_verify(s->key, s->thread, s->mode, m, (struct bytes){s->sig, s->sig_len},
				  e);
	return alg_sign(s->key, s->thread, s->mode, m, s->sig, &s->sig_len, e);
}

static int measure(struct subject *s, const char *name, bool verify, double seconds, struct err *e)
{
	double start = now(), took;
	unsigned long n = 0;

	do {
		for (int i = 0; i < 8; i++, n++)
			if (once(s, verify, e) < 0)
				return -1;
		took = now() - start;
	} while (took < seconds);
	printf("alg=%s op=%s per_second=%.0f us=%.2f\n", name, verify ? "verify" : "sign",
	       (double)n / took, took / (double)n * 1e6);
	return 0;
}

static int bench(enum key_type type, unsigned bits, const char *name, double seconds, struct err *e)
{
	struct subject s = {.mode = key_type_row(type)->default_mode};
	CLEAN(buf) struct buf priv = {0};
	CLEAN(buf) struct buf pub = {0};
	int rc = -1;

	buf_init(&priv, ALG_PRIV_MAX);
	priv.secret = true;
	buf_init(&pub, ALG_PUB_MAX);
	if (alg_generate(type, bits, &priv, &pub, e) == 0 &&
	    alg_load(type, (struct bytes){priv.p, priv.len}, &s.key, e) == 0 &&
	    (s.thread = alg_thread_new(MESSAGE, e)) && measure(&s, name, false, seconds, e) == 0)
		rc = measure(&s, name, true, seconds, e);
	alg_unload(s.key);
	alg_thread_free(s.thread);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct {
		enum key_type type;
		unsigned bits;
		const char *name;
	} rows[] = {
		{KEY_ED25519, 0, "ed25519"},
		{KEY_P256, 0, "p256"},
		{KEY_RSA, 2048, "rsa-2048"},
		{KEY_RSA, 4096, "rsa-4096"},
	};
	double seconds = argc > 1 ? (double)strtoul(argv[1], NULL, 10) / 1000 : 0.5;
	struct err e;

	if (alg_init(4u << 20, &e) < 0) {
		fprintf(stderr, "bench_alg: %s\n", e.text);
		return err_exit(&e);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (bench(rows[i].type, rows[i].bits, rows[i].name, seconds, &e) < 0) {
			fprintf(stderr, "bench_alg: %s: %s\n", rows[i].name, e.text);
			return err_exit(&e);
		}
	return 0;
}
