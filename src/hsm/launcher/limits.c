#include "hsm/launcher/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

/* Argon2id takes 64 MiB; the rest was measured at 35 MiB with 1000 sessions. */
#define NEED_MIB 104
/* hsmd, hsm-store, the threads of hsm-keyd and hsm-front that are not lanes, and some air. */
#define NEED_TASKS 24
#define TASKS_A_WORKER 2

/* -1: no limit, or none that can be read. */
static int64_t number_in(const char *const paths[2])
{
	for (int i = 0; i < 2; i++) {
		CLEAN(buf) struct buf b = {0};
		char *end;
		int64_t n;

		buf_init(&b, 64);
		if (file_read(paths[i], &b, NULL))
			continue;
		buf_u8(&b, '\0');
		if (b.bad)
			continue;
		errno = 0;
		n = strtoll((const char *)b.p, &end, 10);
		/* "max", or a number that is none: the old kind's highest. */
		return errno || end == (const char *)b.p || n >= INT64_MAX >> 10 ? -1 : n;
	}
	return -1;
}

int limits_check(const struct config *c, struct err *e)
{
	static const char *const memory[2] = {"/sys/fs/cgroup/memory.max",
					      "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
	static const char *const tasks[2] = {"/sys/fs/cgroup/pids.max",
					     "/sys/fs/cgroup/pids/pids.max"};
	const int64_t mib = NEED_MIB + c->key_mib, need = NEED_TASKS + TASKS_A_WORKER * c->workers;
	int64_t has = number_in(memory);

	if (has >= 0 && has >> 20 < mib)
		return err_set(
			e, ERR_CONFIG,
			"the memory limit of %lld MiB is too small: %lld MiB are needed, most "
			"of them to unlock (--memory, mem_limit; key_memory_mib is %lld of them)",
			(long long)(has >> 20), (long long)mib, (long long)c->key_mib);
	has = number_in(tasks);
	if (has >= 0 && has < need)
		return err_set(
			e, ERR_CONFIG,
			"the limit of %lld processes is too small: %lld are needed with %lld "
			"workers (--pids-limit, pids_limit, workers)",
			(long long)has, (long long)need, (long long)c->workers);
	return 0;
}
