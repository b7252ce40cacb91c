#include "ocibuild/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"

#define DAY ((time_t)24 * 3600)

static void remove_old(const char *dir)
{
	CLEAN(dir) DIR *d = opendir(dir);
	time_t now = time(NULL);
	struct dirent *ent;
	struct stat st;

	while (d && (ent = readdir(d)) != NULL)
		if (strncmp(ent->d_name, "get-", 4) == 0 &&
		    fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    now - st.st_mtime > DAY)
			unlinkat(dirfd(d), ent->d_name, 0);
}

int cache_open(struct cache *c, struct err *e)
{
	const char *own = getenv("SIGNBOX_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char tmp[4096];
	int n;

	if (own && *own)
		n = snprintf(c->dir, sizeof(c->dir), "%s", own);
	else if (xdg && *xdg == '/')
		n = snprintf(c->dir, sizeof(c->dir), "%s/signbox", xdg);
	else if (home && *home)
		n = snprintf(c->dir, sizeof(c->dir), "%s/.cache/signbox", home);
	else
		return err_set(e, ERR_CONFIG, "no cache directory: set SIGNBOX_CACHE or HOME");
	if (n >= (int)sizeof(c->dir))
		return err_set(e, ERR_CONFIG, "the cache directory's name is too long");
	snprintf(tmp, sizeof(tmp), "%s/tmp", c->dir);
	if (file_mkdirs(tmp, 0755, e))
		return err_wrap(e, "cache");
	remove_old(tmp);
	return 0;
}

void cache_path(const struct cache *c, const uint8_t sha256[static 32], char out[static 4096])
{
	char hex[65];

	enc_hex(hex, sha256, 32);
	snprintf(out, 4096, "%s/sha256/%.2s/%s", c->dir, hex, hex);
}

bool cache_has(const struct cache *c, const uint8_t sha256[static 32], uint64_t size)
{
	char path[4096];
	struct stat st;

	cache_path(c, sha256, path);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int cache_put_start(const struct cache *c, struct cache_put *p, uint64_t want, struct err *e)
{
	*p = (struct cache_put){.fd = -1, .want = want};
	snprintf(p->tmp, sizeof(p->tmp), "%s/tmp/get-XXXXXX", c->dir);
	p->fd = mkostemp(p->tmp, O_CLOEXEC);
	if (p->fd < 0)
		return err_errno(e, ERR_IO, "cannot create %s", p->tmp);
	sha256_init(&p->md);
	return 0;
}

int cache_put_write(struct cache_put *p, const void *data, size_t n, struct err *e)
{
	if (n > p->want - p->size)
		return err_set(e, ERR_DIGEST, "it has more than the %llu bytes that the lock names",
			       (unsigned long long)p->want);
	sha256_update(&p->md, data, n);
	p->size += n;
	return file_write_fd(p->fd, p->tmp, data, n, e);
}

void cache_put_abort(struct cache_put *p)
{
	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	unlink(p->tmp);
}

static int check(struct cache_put *p, const char *what, const uint8_t *sha256, struct err *e)
{
	uint8_t got[32];
	char want_hex[65], got_hex[65];

	if (p->size != p->want)
		return err_set(e, ERR_DIGEST, "%s: %llu bytes, the lock says %llu", what,
			       (unsigned long long)p->size, (unsigned long long)p->want);
	sha256_final(&p->md, got);
	if (memcmp(got, sha256, 32) == 0)
		return 0;
	enc_hex(want_hex, sha256, 32);
	enc_hex(got_hex, got, 32);
	return err_set(e, ERR_DIGEST, "%s: sha256 is %s, the lock says %s; refused", what, got_hex,
		       want_hex);
}

int cache_put_commit(const struct cache *c, struct cache_put *p, const char *what,
		     const uint8_t sha256[static 32], struct err *e)
{
	char path[4096];
	char *slash;
	int rc = check(p, what, sha256, e);

	cache_path(c, sha256, path);
	if (rc == 0) {
		slash = strrchr(path, '/');
		*slash = '\0';
		rc = file_mkdirs(path, 0755, e);
		*slash = '/';
	}
	if (rc == 0 &&
	    (fchmod(p->fd, 0644) < 0 || fdatasync(p->fd) < 0 || rename(p->tmp, path) < 0))
		rc = err_errno(e, ERR_IO, "cannot put %s into the cache", what);
	cache_put_abort(p); /* after the rename there is nothing left to unlink */
	return rc;
}

int cache_import(const struct cache *c, const char *path, const char *what,
		 const uint8_t sha256[static 32], uint64_t size, struct err *e)
{
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct cache_put p;
	uint8_t chunk[65536];
	ssize_t n;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 1;
	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (cache_put_start(c, &p, size, e))
		return -1;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err_errno(e, ERR_IO, "cannot read %s", path);
		if (n < 0 || cache_put_write(&p, chunk, (size_t)n, e)) {
			cache_put_abort(&p);
			return err_wrap(e, "%s", what);
		}
	}
	return cache_put_commit(c, &p, what, sha256, e);
}

int cache_digest_fd(int fd, const char *name, uint8_t out[static 32], struct err *e)
{
	uint8_t chunk[65536];
	struct sha256 md;
	ssize_t n = -1;

	sha256_init(&md);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, ERR_IO, "cannot read %s", name);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, ERR_IO, "cannot read %s", name);
		sha256_update(&md, chunk, (size_t)n);
	}
	sha256_final(&md, out);
	return lseek(fd, 0, SEEK_SET) < 0 ? err_errno(e, ERR_IO, "cannot read %s", name) : 0;
}
