#include "ocibuild/online.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/current.h"
#include "ocibuild/fetch.h"
#include "ocibuild/options.h"
#include "ocibuild/resolve.h"
#include "json/json.h"

static void cleanup_fetch(struct fetch *f)
{
	fetch_free(f);
}

static int put_lock(const struct lock *l, const char *path, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, LOCK_MAX_BYTES);
	lock_render(l, &b);
	if (b.bad)
		return err_set(e, ERR_TOO_LARGE, "the lock");
	return file_replace(path, b.p, b.len, 0644, e);
}

/* The keyring to verify with: --keyring, else Debian's; NULL: not verified. */
static const char *keyring(const struct cli *c)
{
	const char *k = cli_str(c, "keyring");

	if (k)
		return strcmp(k, "none") == 0 ? NULL : k;
	return access(MIRROR_KEYRING, R_OK) == 0 ? MIRROR_KEYRING : NULL;
}

/* Resolves the definitions anew and says whether signatures were verified. */
static int resolve(const struct cli *c, const struct current *cur, struct lock *l, struct err *e)
{
	CLEAN(mirror) struct mirror m = {0};
	const char *keys = keyring(c);
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s/apt", cur->build);
	if (mirror_load(&m, e) || resolve_lock(&cur->set, &m, dir, keys, l, e))
		return -1;
	if (keys)
		options_note("the archives' signatures were verified with %s", keys);
	else
		options_note("warning: the archives' signatures were NOT verified%s",
			     cli_has(c, "keyring") ? ""
						   : ": this host has no " MIRROR_KEYRING
						     " (package debian-archive-keyring)");
	return 0;
}

static void describe(const struct lock *l, struct options_changes *ch, const struct lock *old)
{
	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *p = &l->pkg[i], *q = NULL;

		for (size_t k = 0; k < old->npkg && !q; k++)
			if (strcmp(old->pkg[k].name, p->name) == 0 &&
			    strcmp(mirror_archive(old->pkg[k].suite), mirror_archive(p->suite)) ==
				    0 &&
			    strcmp(old->pkg[k].suite, p->suite) == 0)
				q = &old->pkg[k];
		if (!q)
			ch->added++;
		else if (memcmp(q->sha256, p->sha256, 32) != 0)
			ch->changed++;
		ch->total++;
		ch->bytes += p->size;
	}
	for (size_t k = 0; k < old->npkg; k++)
		ch->removed += lock_find(l, old->pkg[k].suite, old->pkg[k].name) == NULL;
}

static int lock_write(struct cli *c, struct current *cur, struct err *e)
{
	CLEAN(lock) struct lock l = {0};
	CLEAN(lock) struct lock old = {0};
	struct options_changes ch = {0};
	char path[4096], relock[4096];

	if (spec_load_all(&cur->set, cur->images, e) || resolve(c, cur, &l, e))
		return -1;
	current_committed_path(cur, path);
	current_relock_path(cur, relock);
	lock_load(&old, path, NULL);
	describe(&l, &ch, &old);
	if (put_lock(&l, path, e))
		return -1;
	unlink(relock);
	return options_print_changes(c, path, &ch, l.date, e);
}

/* Every row is in the cache or on the mirror, and the committed lock is in force. */
static int lock_check(struct cli *c, struct current *cur, struct err *e)
{
	CLEAN(mirror) struct mirror m = {0};
	CLEAN(fetch) struct fetch f = {.lock = &cur->lock, .cache = &cur->cache, .mirror = &m};
	char path[4096];

	cur->locked = true;
	if (current_load(cur, e) || mirror_load(&m, e))
		return -1;
	f.probe = true;
	if (fetch_run(&f, e))
		return -1;
	for (size_t i = 0; i < cur->lock.npkg; i++)
		if (f.gone[i])
			return err_set(e, ERR_LOCK,
				       "%s %s left the mirror and is not in the cache (%zu such): "
				       "run `make lock`",
				       cur->lock.pkg[i].name, cur->lock.pkg[i].version, f.ngone);
	current_committed_path(cur, path);
	return options_print_lock(c, path, &cur->lock, e);
}

int online_lock(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};

	options_current(c, &cur);
	return cli_has(c, "check") ? lock_check(c, &cur, e) : lock_write(c, &cur, e);
}

/* A locked version is gone: resolve again below the build folder, say so. */
static int relock(struct cli *c, struct current *cur, const struct fetch *f, struct err *e)
{
	struct lock l = {0};
	char path[4096];
	const struct lock_pkg *p = cur->lock.pkg;

	for (size_t i = 0; i < cur->lock.npkg; i++)
		if (f->gone[i])
			options_note("warning: %s %s (%s) left the mirror and is not in the cache",
				     p[i].name, p[i].version, p[i].suite);
	if (cur->locked || f->offline)
		return err_set(e, ERR_LOCK, "%zu locked package%s to be had%s", f->ngone,
			       f->ngone == 1 ? " is not" : "s are not",
			       f->offline ? " offline" : "; run `make lock`");
	if (resolve(c, cur, &l, e))
		return -1;
	l.is_relock = true;
	memcpy(l.replaces, cur->committed, 32);
	current_relock_path(cur, path);
	if (put_lock(&l, path, e)) {
		lock_free(&l);
		return -1;
	}
	lock_free(&cur->lock);
	cur->lock = l;
	cur->is_relock = true;
	options_note("warning: locked anew into %s; this build is NOT of the committed lock", path);
	return 0;
}

int online_fetch(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(mirror) struct mirror m = {0};
	struct options_fetched sum = {0};

	options_current(c, &cur);
	if (current_load(&cur, e))
		return -1;
	for (int round = 0;; round++) {
		CLEAN(fetch) struct fetch f = {.lock = &cur.lock,
					       .cache = &cur.cache,
					       .from = cli_str(c, "from"),
					       .offline = cli_has(c, "offline"),
					       .mirror = &m};
		struct fetch look = {.lock = &cur.lock, .cache = &cur.cache, .offline = true};
		int rc = fetch_run(&look, e);
		bool complete = look.ngone == 0;

		fetch_free(&look);
		if (rc)
			return -1;
		/* the host's apt is asked only when something is missing */
		if (!complete && !f.offline && !m.debian[0] && mirror_load(&m, e))
			return -1;
		if (fetch_run(&f, e))
			return -1;
		sum.fetched += f.nfetched;
		sum.cached = f.ncached;
		sum.bytes += f.bytes;
		if (!f.ngone)
			break;
		if (round == 2)
			return err_set(e, ERR_LOCK,
				       "the mirror changes faster than it can be locked");
		if (relock(c, &cur, &f, e))
			return -1;
	}
	sum.relock = cur.is_relock;
	return options_print_fetched(c, &sum, e);
}
