#include "box/mesh/mesh_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#define PART ".tmp-" /* and six characters: a file that is not yet whole */
#define FILE_MAX ((size_t)16 << 20)
#define LOCK_SECONDS 60

unsigned mesh_mode(enum mesh_kind kind)
{
	return kind == PLACE_PUBLIC ? 0444 : 0400;
}

void mesh_say(const struct mesh *m, const char *fmt, ...)
{
	va_list ap;

	if (m->quiet)
		return;
	va_start(ap, fmt);
	CLEAN(free) char *line = text_vcleaned(fmt, ap);

	va_end(ap);
	fprintf(stderr, "mesh: %s\n", line ? line : "…");
}

/* Root works in directories of others (--owner), who could put a link in the way of a path
 * while it is walked: then what is below the mesh's directory is reached by directories that
 * are none. Kept until the process ends, as the lock is. */
static struct {
	int fd; /* of the mesh's directory, -1: nobody else could */
	size_t len;
	char path[PATH_MAX];
} top = {.fd = -1};

static int hold_top(const struct mesh *m, struct err *e)
{
	if (!m->chown || m->uid == 0)
		return 0;
	top.len = strlen(m->dir);
	memcpy(top.path, m->dir, top.len + 1);
	top.fd = open(m->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return top.fd < 0 ? err_errno(e, ERR_IO, "cannot open %s", m->dir) : 0;
}

/* The directory of a path, held open. */
struct spot {
	int fd;
	char path[PATH_MAX];
};

static inline void cleanup_spot(struct spot *s)
{
	cleanup_fd(&s->fd);
}

/* The path to use for this one, as long as *s is there. One that leads to nothing when a
 * directory is not there, or is a link. */
static const char *reach(struct spot *s, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	const char *below = path + top.len + 1, *slash;
	char dir[PATH_MAX] = ".";

	s->fd = -1;
	if (top.fd < 0 || strncmp(path, top.path, top.len) != 0 || path[top.len] != '/')
		return path;
	slash = strrchr(below, '/');
	if (slash)
		(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - below), below);
	s->fd = (int)syscall(SYS_openat2, top.fd, dir, &how, sizeof(how));
	if (s->fd < 0)
		return errno == ENOENT ? "" : "/dev/null/";
	(void)snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d/%.4000s", s->fd,
		       slash ? slash + 1 : below);
	return s->path;
}

int mesh_read(const char *path, struct buf *out, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	CLEAN(fd) int fd = open(reach(&at, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	return file_read_fd(fd, path, out, e);
}

int mesh_lock(const struct mesh *m, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	char path[PATH_MAX];
	bool told = false;

	if (mesh_path(m, path, "authority", "", e) || hold_top(m, e))
		return -1;
	int fd = open(reach(&at, path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	/* The descriptor stays open: the lock ends with the process, however it ends. */
	for (int i = 0; i < LOCK_SECONDS * 20; i++) {
		const struct timespec pause = {0, 50000000};

		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		if (!told)
			mesh_say(m, "another mesh is at work in %s: waiting", m->dir);
		told = true;
		(void)nanosleep(&pause, NULL);
	}
	if (errno == EWOULDBLOCK)
		err_set(e, ERR_BUSY, "another mesh is at work in %s: try again later", m->dir);
	else
		err_errno(e, ERR_IO, "cannot lock %s", path);
	close(fd);
	return -1;
}

/* Owner and mode of what is there, by a descriptor: root works in directories of others,
 * who could put a link in its way. */
static int own(const struct mesh *m, const char *path, mode_t mode, bool *changed, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	CLEAN(fd) int fd = open(reach(&at, path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[40];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, ERR_IO, "cannot look at %s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(e, ERR_WRONG_STATE, "%s is a symbolic link: remove it", path);
	if (m->chown && (st.st_uid != m->uid || st.st_gid != m->gid)) {
		if (fchownat(fd, "", m->uid, m->gid, AT_EMPTY_PATH))
			return err_errno(e, ERR_IO, "cannot give %s to %u:%u, its owner is %u:%u",
					 path, m->uid, m->gid, st.st_uid, st.st_gid);
		*changed = true;
	} else if (!m->chown && st.st_uid != m->uid) {
		return err_set(e, ERR_WRONG_STATE,
			       "%s belongs to uid %u and this runs as uid %u: start it as that "
			       "user, or as root with --owner %u:%u",
			       path, st.st_uid, geteuid(), m->uid, m->gid);
	}
	if ((st.st_mode & 07777) == mode)
		return 0;
	*changed = true;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return chmod(self, mode) ? err_errno(e, ERR_IO, "cannot set the mode of %s", path) : 0;
}

int mesh_sweep(const char *path, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	CLEAN(fd) int fd = open(reach(&at, path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEAN(dir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;

	if (!d)
		return err_errno(e, ERR_IO, "cannot read %s", path);
	(void)steal_fd(&fd);
	while ((f = readdir(d))) {
		size_t n = strlen(f->d_name);

		if (n > sizeof(PART) + 5 &&
		    memcmp(f->d_name + n - 6 - (sizeof(PART) - 1), PART, sizeof(PART) - 1) == 0)
			(void)unlinkat(dirfd(d), f->d_name, 0);
	}
	return 0;
}

int mesh_dir(const struct mesh *m, const char *path, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	const char *there = reach(&at, path);
	bool changed = false;
	struct stat st;

	if (mkdir(there, 0700) && errno != EEXIST)
		return err_errno(e, ERR_IO, "cannot make the directory %s", path);
	if (lstat(there, &st))
		return err_errno(e, ERR_IO, "cannot look at %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_WRONG_STATE, "%s is not a directory", path);
	if (own(m, path, 0700, &changed, e))
		return -1;
	if (access(there, R_OK | W_OK | X_OK))
		return err_errno(e, ERR_IO, "cannot write to the directory %s", path);
	return 0;
}

/* Renames, but not over what is there. Not every file system can; the lock is held, and
 * the caller has looked. */
static int rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return rename(from, to);
}

static int write_part(const struct mesh *m, int fd, const char *part, enum mesh_kind kind,
		      const void *p, size_t n, struct err *e)
{
	if (file_write_fd(fd, part, p, n, e))
		return -1;
	if (m->chown && fchown(fd, m->uid, m->gid))
		return err_errno(e, ERR_IO, "cannot give %s to %u:%u", part, m->uid, m->gid);
	if (fchmod(fd, mesh_mode(kind)) || fsync(fd))
		return err_errno(e, ERR_IO, "cannot write %s", part);
	return 0;
}

int mesh_write(const struct mesh *m, const char *path, enum mesh_kind kind, const void *p, size_t n,
	       struct err *e)
{
	char part[PATH_MAX], dir[PATH_MAX];
	CLEAN(spot) struct spot at = {.fd = -1};
	const char *to = reach(&at, path);
	char *slash;

	if (snprintf(part, sizeof(part), "%s" PART "XXXXXX", to) >= (int)sizeof(part))
		return err_set(e, ERR_TOO_LARGE, "path is too long: %s", path);
	CLEAN(fd) int fd = mkostemp(part, O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot write %s", path);
	if (write_part(m, fd, path, kind, p, n, e)) {
		unlink(part);
		return -1;
	}
	if ((kind == PLACE_KEY ? rename_new(part, to) : rename(part, to)) < 0) {
		err_errno(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, "cannot write %s", path);
		unlink(part);
		return -1;
	}
	(void)snprintf(dir, sizeof(dir), "%s", to);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	CLEAN(fd) int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (d < 0 || fsync(d))
		return err_errno(e, ERR_IO, "cannot write the directory of %s", path);
	return 0;
}

int mesh_there(const char *path, bool *there, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	struct stat st;

	*there = lstat(reach(&at, path), &st) == 0;
	if (!*there)
		return errno == ENOENT ? 0 : err_errno(e, ERR_IO, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_WRONG_STATE, "%s is not a regular file: remove it", path);
	return 0;
}

int mesh_keep(const struct mesh *m, const char *path, enum mesh_kind kind, bool *wrote,
	      struct err *e)
{
	bool changed = false;

	if (own(m, path, mesh_mode(kind), &changed, e))
		return -1;
	if (changed)
		mesh_say(m, "%s: owner and mode are right again", path);
	*wrote |= changed;
	return 0;
}

int mesh_put(const struct mesh *m, const char *path, enum mesh_kind kind, const void *p, size_t n,
	     bool *wrote, struct err *e)
{
	CLEAN(buf) struct buf old = {0};
	bool there;

	if (mesh_there(path, &there, e))
		return -1;
	if (there) {
		buf_init(&old, FILE_MAX);
		old.secret = true;
		if (mesh_keep(m, path, kind, wrote, e) || mesh_read(path, &old, e))
			return -1;
		if (old.len == n && (n == 0 || secret_equal(old.p, p, n)))
			return 0;
		if (kind == PLACE_KEY)
			return err_set(e, ERR_EXISTS,
				       "%s is another key than the authority's, and keys are "
				       "never replaced: move away the one that is wrong",
				       path);
	}
	*wrote = true;
	return mesh_write(m, path, kind, p, n, e);
}

int mesh_secret(const char *path, struct secret *s, size_t max, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};
	CLEAN(fd) int fd = open(reach(&at, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_WRONG_STATE, "%s is not a regular file: remove it", path);
	return secret_read_fd(s, fd, path, max, e);
}

int mesh_seed(const char *path, enum nkey_kind kind, struct nkey *k, struct err *e)
{
	struct secret s = {0};
	int r = mesh_secret(path, &s, NKEY_FILE_MAX, e);

	if (r == 0)
		r = nkey_from_text(k, path, (const char *)s.p, s.len, e);
	secret_clear(&s);
	if (r == 0 && k->kind != kind)
		r = err_set(e, ERR_WRONG_NKEY, "%s holds a seed of kind %s, not %s", path,
			    nkey_kind_name(k->kind), nkey_kind_name(kind));
	return r;
}

int mesh_remove(const char *path, bool *removed, struct err *e)
{
	CLEAN(spot) struct spot at = {.fd = -1};

	if (unlink(reach(&at, path)) == 0) {
		*removed = true;
		return 0;
	}
	return errno == ENOENT ? 0 : err_errno(e, ERR_IO, "cannot remove %s", path);
}
