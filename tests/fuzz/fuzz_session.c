/* Openings at the HSM, answers and sealed messages at a client, replay windows: nothing
 * that a fuzzer makes is proof of anything. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "crypto/x25519.h"
#include "proto/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t hsm_secret[32] = {1, 2, 3}, hsm_public[32], client_secret[32] = {4, 5, 6};
static struct noise opening;

static void prepare(void)
{
	static bool done;
	struct err e;
	struct buf b;

	if (done)
		return;
	done = true;
	buf_init(&b, 1024);
	x25519_public(hsm_public, hsm_secret);
	if (crypto_init() || session_open(&opening, client_secret, hsm_public, &b, &e))
		abort();
	buf_free(&b);
}

static void client(const uint8_t *data, size_t size)
{
	static const uint8_t key[32] = {7};
	struct noise st = opening;
	struct noise_keys keys;
	struct session_grant g;
	struct seal_head h;
	struct err e;
	uint8_t *plain = malloc(size + 1);

	if (!plain)
		abort();
	if (session_opened(&st, data, size, &g, &keys, &e) == 0)
		abort();
	if (e.code == ERR_OK || memchr(e.text, 0, sizeof(e.text)) == NULL)
		abort();
	if (memcmp(&st, &opening, sizeof(st)) != 0)
		abort();
	(void)seal_head_get(&h, data, size, &e);
	if (seal_open(key, data, size, plain, &e) == 0)
		abort();
	free(plain);
}

/* Counters from the input against a list of those that were accepted. */
static void window(const uint8_t *data, size_t size)
{
	static uint64_t seen[512];
	static struct replay r;
	size_t n = 0;

	memset(&r, 0, sizeof(r));
	for (; size >= 3 && n < 512; data += 3, size -= 3) {
		uint64_t c = le16_load(data), top = r.top;
		bool want;

		c = data[2] & 1 ? top + (c >> (data[2] >> 4)) : top > c ? top - c : c;
		want = c && (c > top || top - c < REPLAY_BITS - 64);
		for (size_t i = 0; i < n && want; i++)
			want = seen[i] != c;
		if (replay_accept(&r, c) != want)
			abort();
		if (want)
			seen[n++] = c;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct noise st;
	struct err e;

	prepare();
	/* An opening of an unknown client is honest all the same: it may succeed when the
	 * fuzzer replays a corpus, but only with the right length. */
	if (session_accept_who(&st, hsm_secret, hsm_public, data, size, &e) == 0 &&
	    session_accept_rest(&st, data, size, &e) == 0 && size != OPEN_LEN)
		abort();
	client(data, size);
	window(data, size);
	return 0;
}
