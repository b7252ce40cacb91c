#include "ocibuild/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/deb.h"
#include "ocibuild/pack.h"
#include "ocibuild/run.h"
#include "ocibuild/scratch.h"
#include "ocibuild/tree.h"

/* Counted up when the same inputs give another rootfs. */
#define ROOTFS_FORM 3

struct rootfs_work {
	struct rootfs *r;
	char dir[2048];	 /* absolute */
	char repo[2200]; /* flat repository, temporary */
	char tmp[2200];	 /* for mmdebstrap */
	char stamp[65];	 /* digest of the inputs */
};

/* Packages of the image that are installed; slices are not. */
static bool is_slice(const struct spec *s, const struct lock_pkg *p)
{
	for (size_t i = 0; i < s->nslices; i++)
		if (spec_slice_of(&s->slices[i], p->suite, p->name))
			return true;
	return false;
}

int rootfs_inputs(const struct rootfs *r, char out[static 65], struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	const char *group;
	json_t *number;
	uint8_t d[32];

	buf_init(&b, 16u << 20);
	buf_printf(&b, "form %d\ndate %lld\n", ROOTFS_FORM, (long long)r->lock->date);
	for (size_t i = 0; i < r->lock->npkg; i++)
		if (lock_pkg_in(&r->lock->pkg[i], r->spec->name))
			buf_put(&b, r->lock->pkg[i].sha256, 32);
	for (size_t i = 0; i < r->spec->image.nusers; i++) {
		const struct image_user *u = &r->spec->image.users[i];

		buf_printf(&b, "user %s %d %d %s\n", u->name, (int)u->uid, (int)u->gid, u->home);
	}
	json_object_foreach(r->spec->image.groups, group, number)
		buf_printf(&b, "group %s %d\n", group, (int)json_integer_value(number));
	for (size_t i = 0; i < r->spec->nslices; i++) {
		const struct spec_slice *sl = &r->spec->slices[i];

		buf_printf(&b, "slice %s %s\n", sl->suite, sl->package);
		for (size_t k = 0; k < sl->nfiles; k++)
			buf_printf(&b, "file %s\n", sl->files[k]);
	}
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	sha256(d, b.p, b.len);
	enc_hex(out, d, 32);
	return 0;
}

static bool up_to_date(const struct rootfs_work *w)
{
	CLEAN(buf) struct buf b = {0};
	char path[2400];

	buf_init(&b, 64);
	snprintf(path, sizeof(path), "%s/%s.tar.sha256", w->dir, w->r->spec->name);
	if (access(path, F_OK) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s.stamp", w->dir, w->r->spec->name);
	return file_read(path, &b, NULL) == 0 && b.len == 64 && memcmp(b.p, w->stamp, 64) == 0;
}

/* One package into the flat repository, checked, and its paragraph of the index. */
static int repo_package(struct rootfs_work *w, const struct lock_pkg *p, struct buf *index,
			struct err *e)
{
	char from[4096], to[4096], hex[65];
	uint8_t digest[32];

	cache_path(w->r->cache, p->sha256, from);
	enc_hex(hex, p->sha256, 32);
	CLEAN(fd) int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, ERR_FETCH, "%s %s is not in the cache: run `ocibuild fetch`",
			       p->name, p->version);
	if (cache_digest_fd(fd, from, digest, e))
		return -1;
	if (memcmp(digest, p->sha256, 32) != 0)
		return err_set(e, ERR_DIGEST, "%s was changed in the cache: remove %s", p->name,
			       from);
	struct deb_src src = {.name = p->name, .fd = fd};

	if (deb_control(&src, index, e))
		return -1;
	buf_printf(index, "Filename: ./%s.deb\nSize: %llu\nSHA256: %s\n\n", hex,
		   (unsigned long long)p->size, hex);
	snprintf(to, sizeof(to), "%s/%s.deb", w->repo, hex);
	if (link(from, to) == 0 || errno == EEXIST)
		return 0;
	const char *const argv[] = {"cp", "--", from, to, NULL};
	struct run r = {.argv = argv};

	return run_program(&r, e);
}

static int step_repo(struct rootfs_work *w, struct err *e)
{
	const struct lock *l = w->r->lock;
	CLEAN(buf) struct buf index = {0};
	char path[2400];

	buf_init(&index, 64u << 20);
	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *p = &l->pkg[i];

		if (!lock_pkg_in(p, w->r->spec->name) || is_slice(w->r->spec, p))
			continue;
		if (repo_package(w, p, &index, e))
			return -1;
	}
	if (index.bad)
		return err_set(e, ERR_NOMEM, NULL);
	snprintf(path, sizeof(path), "%s/Packages", w->repo);
	return file_replace(path, index.p, index.len, 0644, e);
}

/* "name=version,…" of everything that is installed. */
static int include_list(const struct rootfs_work *w, struct buf *out, struct err *e)
{
	const struct lock *l = w->r->lock;

	buf_printf(out, "--include=");
	for (size_t i = 0, n = 0; i < l->npkg; i++) {
		const struct lock_pkg *p = &l->pkg[i];

		if (lock_pkg_in(p, w->r->spec->name) && !is_slice(w->r->spec, p))
			buf_printf(out, "%s%s=%s", n++ ? "," : "", p->name, p->version);
	}
	buf_u8(out, '\0');
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* Reads mmdebstrap's tar as it comes and writes the master. */
static int install_and_pack(struct rootfs_work *w, struct run *run, const char *tar, struct err *e)
{
	struct pack pack = {w->r->spec, w->r->lock, w->r->cache, w->r->lock->date};
	struct err pack_err = {0};
	char rest[4096];
	struct run_child c;
	int packed, ran;

	if (run_start(run, &c, e))
		return -1;
	packed = pack_rootfs(&pack, c.out_fd, tar, &pack_err);
	while (packed == 0 && read(c.out_fd, rest, sizeof(rest)) > 0)
		; /* padding: mmdebstrap must not see a closed pipe */
	close(c.out_fd);
	c.out_fd = -1;
	ran = run_wait(run, &c, e);
	if (ran == 0 && packed == 0)
		return 0;
	unlink(tar);
	/* a damaged stream is only the consequence when mmdebstrap failed */
	if (packed && (ran == 0 || pack_err.code == ERR_IO))
		*e = pack_err;
	return -1;
}

static int step_install(struct rootfs_work *w, struct err *e)
{
	CLEAN(buf) struct buf include = {0};
	struct buf piped;
	char epoch[64], source[2400], log[2400], tar[2400], tmp[2400];
	/* an ordinary user's build directory is closed to the ids of the name space */
	const char *const env[] = {epoch, geteuid() == 0 ? tmp : NULL, NULL};

	buf_init(&include, 1u << 20);
	if (include_list(w, &include, e) || run_remove_tree(w->tmp, e) ||
	    file_mkdirs(w->tmp, 0755, e))
		return -1;
	snprintf(epoch, sizeof(epoch), "SOURCE_DATE_EPOCH=%lld", (long long)w->r->lock->date);
	snprintf(tmp, sizeof(tmp), "TMPDIR=%s", w->tmp);
	snprintf(source, sizeof(source), "deb [trusted=yes] copy://%s ./", w->repo);
	snprintf(log, sizeof(log), "%s/%s.log", w->dir, w->r->spec->name);
	snprintf(tar, sizeof(tar), "%s/%s.tar.new", w->dir, w->r->spec->name);
	const char *const argv[] = {"mmdebstrap",
				    "--variant=custom",
				    "--format=tar",
				    "--architectures=amd64",
				    (char *)include.p,
				    "",
				    "-",
				    source,
				    NULL};
	struct run run = {.argv = argv, .env = env, .log = log, .out = &piped, .own_mounts = true};

	if (install_and_pack(w, &run, tar, e))
		return -1;
	return run_remove_tree(w->repo, e) || run_remove_tree(w->tmp, e) ? -1 : 0;
}

/* Places that a sandbox binds over; they are not in the master. */
static int add_mount_points(const char dir[static 2400], struct err *e)
{
	static const char hosts[] = "127.0.0.1 localhost\n::1 localhost\n";
	char path[2600];

	snprintf(path, sizeof(path), "%s/src", dir);
	if (file_mkdirs(path, 0755, e))
		return -1;
	snprintf(path, sizeof(path), "%s/etc/hosts", dir);
	return file_replace(path, hosts, sizeof(hosts) - 1, 0644, e);
}

static int step_unpack(struct rootfs_work *w, struct err *e)
{
	CLEAN(tree) struct tree t = {.root = -1};
	struct archive *a = archive_read_new();
	char tar[2400], dir[2400];
	int rc;

	snprintf(tar, sizeof(tar), "%s/%s.tar.new", w->dir, w->r->spec->name);
	snprintf(dir, sizeof(dir), "%s/%s.new", w->dir, w->r->spec->name);
	if (!a)
		return err_set(e, ERR_NOMEM, NULL);
	archive_read_support_format_tar(a);
	if (run_remove_tree(dir, e) || tree_open(&t, dir, e))
		rc = -1;
	else if (archive_read_open_filename(a, tar, 1u << 16) != ARCHIVE_OK)
		rc = err_set(e, ERR_IO, "cannot open %s", tar);
	else {
		t.owner = t.setid = geteuid() == 0;
		t.skip_devices = true;
		rc = tree_extract(&t, a, e);
	}
	archive_read_free(a);
	return rc ? -1 : add_mount_points(dir, e);
}

/* In the form that `sha256sum -c` reads. */
static int put_digest(const struct rootfs_work *w, struct err *e)
{
	const char *name = w->r->spec->name;
	char path[2400], line[2600], hex[65];
	uint8_t d[32];

	snprintf(path, sizeof(path), "%s/%s.tar", w->dir, name);
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (cache_digest_fd(fd, path, d, e))
		return -1;
	enc_hex(hex, d, 32);
	snprintf(line, sizeof(line), "%s  %s.tar\n", hex, name);
	snprintf(path, sizeof(path), "%s/%s.tar.sha256", w->dir, name);
	return file_replace(path, line, strlen(line), 0644, e);
}

/* The stamp goes first and comes last: whoever sees it sees a whole rootfs. */
static int step_publish(struct rootfs_work *w, struct err *e)
{
	static const char *const what[] = {"", ".tar"};
	const char *name = w->r->spec->name;
	char from[2400], to[2400];

	snprintf(to, sizeof(to), "%s/%s.stamp", w->dir, name);
	if (unlink(to) < 0 && errno != ENOENT)
		return err_errno(e, ERR_IO, "cannot remove %s", to);
	for (size_t i = 0; i < 2; i++) {
		snprintf(from, sizeof(from), "%s/%s%s.new", w->dir, name, what[i]);
		snprintf(to, sizeof(to), "%s/%s%s", w->dir, name, what[i]);
		if (i == 0 && run_remove_tree(to, e))
			return -1;
		if (rename(from, to) < 0)
			return err_errno(e, ERR_IO, "cannot rename %s", from);
	}
	if (put_digest(w, e))
		return -1;
	snprintf(to, sizeof(to), "%s/%s.stamp", w->dir, name);
	return file_replace(to, w->stamp, 64, 0644, e);
}

const struct rootfs_step rootfs_steps[] = {
	{"repo", "a flat repository of the cached packages, each checked", step_repo},
	{"install", "mmdebstrap installs them; leaks are dropped, slices added", step_install},
	{"unpack", "the tree for bubblewrap", step_unpack},
	{"publish", "rename, and the stamp last", step_publish},
	{NULL, NULL, NULL},
};

static int choose_places(struct rootfs_work *w, struct err *e)
{
	const char *name = w->r->spec->name;

	if (file_mkdirs(w->r->dir, 0755, e))
		return -1;
	CLEAN(free) char *abs = realpath(w->r->dir, NULL);

	if (!abs || strlen(abs) >= sizeof(w->dir) || strpbrk(abs, " \t[]"))
		return err_set(e, ERR_CONFIG, "unusable directory name: %s", w->r->dir);
	memcpy(w->dir, abs, strlen(abs) + 1);
	snprintf(w->tmp, sizeof(w->tmp), "%s/%s.tmp", w->dir, name);
	snprintf(w->repo, sizeof(w->repo), "%s/%s.repo", w->dir, name);
	return 0;
}

/* The repository must be readable for the ids of a user name space: an ordinary
 * user's goes below /tmp, where it must stay the folder that was made: another who made one
 * by its name would choose what is installed. */
static int open_repo(struct rootfs_work *w, struct scratch *scratch, struct err *e)
{
	if (geteuid() == 0)
		return run_remove_tree(w->repo, e) || file_mkdirs(w->repo, 0755, e) ? -1 : 0;
	if (scratch_open(scratch, "/tmp", 0755, e))
		return -1;
	snprintf(w->repo, sizeof(w->repo), "%.100s", scratch->dir);
	return 0;
}

/* Two runs at the same time: the second waits, then finds it up to date. What we
 * start inherits the lock, so that it also waits for what a killed run left behind. */
static int lock_dir(const struct rootfs_work *w, int how, struct err *e)
{
	char path[2400];
	int fd;

	snprintf(path, sizeof(path), "%s/.%s.lock", w->dir, w->r->spec->name);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (fd >= 0 && flock(fd, how) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_errno(e, ERR_IO, "cannot lock %s", path);
}

int rootfs_build(struct rootfs *r, struct err *e)
{
	CLEAN(scratch) struct scratch scratch = {0};
	struct rootfs_work w = {.r = r};

	r->made = false;
	if (choose_places(&w, e) || rootfs_inputs(r, w.stamp, e))
		return -1;
	CLEAN(fd) int held = lock_dir(&w, LOCK_EX, e);

	if (held < 0)
		return -1;
	if (up_to_date(&w))
		return 0;
	if (open_repo(&w, &scratch, e))
		return -1;
	for (const struct rootfs_step *s = rootfs_steps; s->name; s++)
		if (s->run(&w, e)) {
			run_remove_tree(w.repo, NULL);
			run_remove_tree(w.tmp, NULL);
			return err_wrap(e, "%s, step %s", r->spec->name, s->name);
		}
	r->made = true;
	return 0;
}

void rootfs_close(struct rootfs_master *m)
{
	if (m->fd >= 0)
		close(m->fd);
	if (m->held >= 0)
		close(m->held);
	m->fd = m->held = -1;
}

static int open_master(const struct rootfs_work *w, struct rootfs_master *m, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char path[2400], hex[65] = "";

	buf_init(&b, 4096);
	snprintf(path, sizeof(path), "%s/%s.tar.sha256", w->dir, w->r->spec->name);
	if (file_read(path, &b, e))
		return -1;
	if (b.len > 64)
		memcpy(hex, b.p, 64);
	if (enc_unhex(m->sha256, 32, hex))
		return err_set(e, ERR_DIGEST, "%s is damaged: remove it", path);
	snprintf(path, sizeof(path), "%s/%s.tar", w->dir, w->r->spec->name);
	m->fd = open(path, O_RDONLY | O_CLOEXEC);
	return m->fd < 0 ? err_errno(e, ERR_IO, "cannot open %s", path) : 0;
}

int rootfs_open(struct rootfs *r, struct rootfs_master *m, struct err *e)
{
	struct rootfs_work w = {.r = r};

	*m = (struct rootfs_master){.fd = -1, .held = -1};
	if (choose_places(&w, e) || rootfs_inputs(r, w.stamp, e))
		return -1;
	/* it may be replaced between being made and being locked for reading */
	for (int i = 0; i < 3; i++) {
		m->held = lock_dir(&w, LOCK_SH, e);
		if (m->held < 0)
			return -1;
		if (up_to_date(&w)) {
			int rc = open_master(&w, m, e);

			if (rc)
				rootfs_close(m);
			return rc;
		}
		rootfs_close(m);
		if (rootfs_build(r, e))
			return -1;
	}
	return err_set(e, ERR_IO, "%s/%s: another build replaces it again and again", w.dir,
		       r->spec->name);
}
