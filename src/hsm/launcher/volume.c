#include "hsm/launcher/volume.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

#define ROOM_MIN ((uint64_t)256 << 10) /* an empty store and its lock file, and some more */

/* Why path cannot be used as access wants it (errno says), and what to do. */
static int cannot(const char *what, const char *path, struct err *e)
{
	const int why = errno;
	struct stat st = {0};
	char dir[PATH_MAX];

	if (why == EROFS)
		return err_set(
			e, ERR_CONFIG,
			"%s: %s is on a read-only file system: mount a volume there, without "
			"ro",
			what, path);
	if (why == ENOSPC || why == EDQUOT)
		return err_set(e, ERR_CONFIG, "%s: no space left for %s: make the volume larger",
			       what, path);
	/* Whose it is: its own, else its nearest directory's, which may be what is closed. */
	(void)snprintf(dir, sizeof(dir), "%s", path);
	while (stat(dir, &st) < 0 && strrchr(dir, '/') > dir)
		*strrchr(dir, '/') = '\0';
	if (why == EACCES || why == EPERM)
		return err_set(e, ERR_CONFIG,
			       "%s: %s belongs to uid %u with mode %04o and this runs as uid %u: "
			       "chown -R %u:%u it",
			       what, dir, st.st_uid, st.st_mode & 07777, geteuid(), geteuid(),
			       getegid());
	errno = why;
	return err_errno(e, ERR_CONFIG, "%s: cannot use %s", what, path);
}

static int usable(const char *what, const char *path, int mode, struct err *e)
{
	return access(path, mode) < 0 ? cannot(what, path, e) : 0;
}

/* A volume comes as its engine made it, an emptyDir of Kubernetes with 0777; with fsGroup it
 * is root's, and written by way of our group. */
static void narrow(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || !(st.st_mode & 022))
		return;
	if (st.st_uid == 0 && !(st.st_mode & 02))
		return;
	if (st.st_uid == geteuid() && chmod(path, st.st_mode & 07777 & ~022U) == 0)
		log_info("others could write into the data directory, now not", "path", path);
	else
		log_warn("others may write into the data directory", "path", path, "do",
			 "chmod go-w it");
}

/* Of a store that somebody else has copied here, its files; else there are none yet. */
static int store_files(const char *store, struct err *e)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "lock"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", store, names[i]) >= (int)sizeof(path))
			return err_set(e, ERR_CONFIG, "data: the directory's name is too long");
		if (access(path, R_OK | W_OK) < 0 && errno != ENOENT)
			return cannot("data", path, e);
	}
	return 0;
}

/* LMDB maps its lock file before it has its blocks: on a full volume the store would die by
 * SIGBUS, as one that is damaged does. */
static int room(const char *data, const char *store, struct err *e)
{
	char file[PATH_MAX], lock[PATH_MAX];
	struct statvfs v;
	struct stat st;

	if (snprintf(file, sizeof(file), "%s/data.mdb", store) >= (int)sizeof(file) ||
	    snprintf(lock, sizeof(lock), "%s/lock.mdb", store) >= (int)sizeof(lock))
		return err_set(e, ERR_CONFIG, "data: the directory's name is too long");
	if (stat(file, &st) == 0 && stat(lock, &st) == 0 && st.st_blocks * 512 >= st.st_size)
		return 0;
	if (statvfs(data, &v) < 0 || (uint64_t)v.f_bavail * v.f_frsize >= ROOM_MIN)
		return 0;
	return err_set(e, ERR_STORE_FULL,
		       "data: no space left in %s (%llu KiB free): make the volume larger, or free "
		       "some",
		       data, (unsigned long long)v.f_bavail * v.f_frsize / 1024);
}

int volume_data(const struct config *c, const char *store, struct err *e)
{
	struct stat st;

	if (stat(c->data, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, "data: %s is no directory", c->data);
	if (file_mkdirs(c->data, 0700, e))
		return cannot("data", c->data, e);
	if (usable("data", c->data, R_OK | W_OK | X_OK, e))
		return -1;
	narrow(c->data);
	if (file_mkdirs(store, 0700, e))
		return cannot("data", store, e);
	return usable("data", store, R_OK | W_OK | X_OK, e) || store_files(store, e) ||
			       room(c->data, store, e)
		       ? -1
		       : 0;
}

/* Files are replaced, so their directories count. */
static int directory_of(const char *what, const char *path, struct err *e)
{
	char dir[PATH_MAX];
	struct stat st;

	if (!path)
		return 0;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (!dir[0])
		dir[0] = '/';
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, "%s: %s is a directory: name a file in it", what,
			       path);
	return usable(what, dir, W_OK | X_OK, e);
}

int volume_files(const struct config *c, struct err *e)
{
	if (directory_of("anchor_file", c->anchor_file, e) ||
	    directory_of("identity_file", c->identity_file, e) ||
	    directory_of("health_socket", c->health_socket, e))
		return -1;
	if (c->anchor_file && access(c->anchor_file, R_OK) < 0 && errno != ENOENT)
		return cannot("anchor_file", c->anchor_file, e);
	return 0;
}
