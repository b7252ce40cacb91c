#include "ocibuild/current.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"

void current_committed_path(const struct current *c, char out[static 4096])
{
	snprintf(out, 4096, "%s/ocibuild.lock", c->images);
}

void current_relock_path(const struct current *c, char out[static 4096])
{
	snprintf(out, 4096, "%s/ocibuild.lock", c->build);
}

void current_free(struct current *c)
{
	spec_set_free(&c->set);
	lock_free(&c->lock);
}

/* A re-lock counts only for the committed lock that it was made for. */
static int load_relock(struct current *c, struct err *e)
{
	char path[4096];
	struct lock l;
	uint8_t defs[32];

	current_relock_path(c, path);
	if (access(path, F_OK) < 0)
		return 0;
	if (lock_load(&l, path, NULL) || spec_digest(&c->set, defs, e) ||
	    memcmp(l.replaces, c->committed, 32) != 0 || memcmp(l.definitions, defs, 32) != 0) {
		lock_free(&l);
		if (unlink(path) < 0 && errno != ENOENT)
			return err_errno(e, ERR_IO, "cannot remove the stale %s", path);
		return 0;
	}
	lock_free(&c->lock);
	c->lock = l;
	c->is_relock = true;
	if (c->locked)
		return err_set(
			e, ERR_LOCK,
			"the committed lock is replaced by %s, because a package left the "
			"mirror: run `make lock` and commit, or remove that file to try again",
			path);
	return 0;
}

int current_load(struct current *c, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char path[4096];
	uint8_t defs[32];

	buf_init(&b, LOCK_MAX_BYTES);
	current_committed_path(c, path);
	if (spec_load_all(&c->set, c->images, e) || spec_digest(&c->set, defs, e))
		return -1;
	if (access(path, F_OK) < 0)
		return err_set(e, ERR_LOCK, "there is no %s: run `make lock`", path);
	if (file_read(path, &b, e) ||
	    lock_parse(&c->lock, path, b.p ? (void *)b.p : (void *)"", b.len, e))
		return -1;
	if (memcmp(c->lock.definitions, defs, 32) != 0)
		return err_set(
			e, ERR_LOCK,
			"%s was made from other definitions than those in %s: run `make lock`",
			path, c->images);
	sha256(c->committed, b.p, b.len);
	if (load_relock(c, e))
		return -1;
	return cache_open(&c->cache, e);
}
