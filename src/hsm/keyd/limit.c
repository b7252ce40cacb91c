#include "hsm/keyd/limit.h"

#include <string.h>

#define WAIT_MAX_MS (300u * 1000)

static struct {
	pthread_mutex_t lock;
	struct {
		bool busy;
		unsigned wrong;
		uint64_t not_before;
	} caller[BOOTSTRAP_MAX];
} limits = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int index_of(struct keyd *k, const uint8_t nkey[static 32])
{
	for (unsigned i = 0; i < k->nbootstrap; i++)
		if (memcmp(k->bootstrap[i].nkey, nkey, 32) == 0)
			return (int)i;
	return -1;
}

int limit_begin(struct keyd *k, const uint8_t nkey[static 32], struct err *e)
{
	int i = index_of(k, nkey), rc = 0;
	uint64_t now = keyd_ticks();

	if (i < 0)
		return err_set(e, ERR_DENIED, NULL);
	pthread_mutex_lock(&limits.lock);
	if (limits.caller[i].busy)
		rc = err_set(e, ERR_BUSY, "a passphrase of this caller is being checked");
	else if (now < limits.caller[i].not_before)
		rc = err_set(e, ERR_RATE_LIMITED, "wrong passphrase before: wait %llu s",
			     (unsigned long long)(limits.caller[i].not_before - now + 999) / 1000);
	else
		limits.caller[i].busy = true;
	pthread_mutex_unlock(&limits.lock);
	return rc;
}

void limit_end(struct keyd *k, const uint8_t nkey[static 32], bool wrong)
{
	int i = index_of(k, nkey);

	if (i < 0)
		return;
	pthread_mutex_lock(&limits.lock);
	limits.caller[i].busy = false;
	if (wrong) {
		unsigned n = limits.caller[i].wrong++;
		uint64_t wait = n < 9 ? UINT64_C(1000) << n : WAIT_MAX_MS;

		limits.caller[i].not_before =
			keyd_ticks() + (wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS);
	} else {
		limits.caller[i].wrong = 0;
	}
	pthread_mutex_unlock(&limits.lock);
}
