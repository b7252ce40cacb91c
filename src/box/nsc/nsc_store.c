/* The store: ROOT/OPERATOR/{.nsc,OPERATOR.jwt,accounts/A/A.jwt,accounts/A/users/U.jwt}. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

int nsc_name(const char *kind, const char *name, struct err *e)
{
	CLEAN(free) char *clean = text_cleaned(name);
	size_t len = strlen(name);

	if (!clean)
		return err_set(e, ERR_NOMEM, NULL);
	if (len == 0)
		return err_set(e, ERR_BAD_NAME, "%s name is required", kind);
	if (strchr(name, '/') || strchr(name, '\\'))
		return err_set(e, ERR_BAD_NAME, "name cannot contain '/' or '\\'");
	if (name[0] == '.' || len > 200)
		return err_set(e, ERR_BAD_NAME,
			       "%s name cannot begin with '.' or be longer than 200 characters",
			       kind);
	if (strcmp(clean, name) != 0)
		return err_set(e, ERR_BAD_NAME,
			       "%s name has a control character, a direction mark or what is not "
			       "UTF-8 in it",
			       kind);
	return 0;
}

char *nsc_jwt_path(const struct nsc *n, const char *account, const char *user)
{
	if (user)
		return nsc_path("%s/%s/accounts/%s/users/%s.jwt", n->root, n->op_name, account,
				user);
	if (account)
		return nsc_path("%s/%s/accounts/%s/%s.jwt", n->root, n->op_name, account, account);
	return nsc_path("%s/%s/%s.jwt", n->root, n->op_name, n->op_name);
}

bool nsc_has(const struct nsc *n, const char *account, const char *user)
{
	CLEAN(free) char *path = nsc_jwt_path(n, account, user);

	return path && access(path, F_OK) == 0;
}

int nsc_read_file(const char *path, struct buf *out, struct err *e)
{
	/* A pipe that somebody put there must not make it wait. */
	CLEAN(fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_BAD_INPUT, "%s is no regular file", path);
	return file_read_fd(fd, path, out, e);
}

int nsc_read(struct nsc *n, struct jwt *j, const char *account, const char *user, struct buf *raw,
	     struct err *e)
{
	enum jwt_kind kind = user ? JWT_USER : account ? JWT_ACCOUNT : JWT_OPERATOR;
	CLEAN(free) char *path = NULL;
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX + 4096);
	if ((account && nsc_name("account", account, e)) || (user && nsc_name("user", user, e)))
		return -1;
	path = nsc_jwt_path(n, account, user);
	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	if (access(path, F_OK) != 0)
		return err_set(e, ERR_NOT_FOUND, "%s %s does not exist%s", jwt_kind_name(kind),
			       user	 ? user
			       : account ? account
					 : n->op_name,
			       user	 ? " in the current account"
			       : account ? " in the current "
					   "operator"
					 : "");
	if (nsc_read_file(path, &text, e))
		return -1;
	struct bytes token = jwt_find((const char *)text.p, text.len);

	if (jwt_decode_kind(j, kind, path, (const char *)token.p, token.len, e))
		return -1;
	if (raw)
		buf_put(raw, token.p, token.len);
	return 0;
}

int nsc_write_raw(struct nsc *n, const char *token, size_t len, const char *account,
		  const char *user, struct err *e)
{
	CLEAN(free) char *path = nsc_jwt_path(n, account, user);
	CLEAN(free) char *dir = path ? strdup(path) : NULL;

	if ((account && nsc_name("account", account, e)) || (user && nsc_name("user", user, e)))
		return -1;
	if (!dir)
		return err_set(e, ERR_NOMEM, NULL);
	*strrchr(dir, '/') = '\0';
	if (file_mkdirs(dir, 0700, e))
		return -1;
	return file_replace(path, token, len, 0600, e);
}

int nsc_write(struct nsc *n, struct jwt *j, const struct nkey *signer, const char *account,
	      const char *user, struct err *e)
{
	CLEAN(buf) struct buf token = {0};

	buf_init(&token, JWT_MAX);
	if (jwt_encode(j, signer, n->now, &token, e))
		return -1;
	return nsc_write_raw(n, (const char *)token.p, token.len, account, user, e);
}

json_t *nsc_entries(const char *dir, const char *suffix,
		    bool (*keep)(const char *dir, const char *name), struct err *e)
{
	CLEAN(json) json_t *o = json_object();
	json_t *list = o ? claims_arr(o, "names") : NULL;
	CLEAN(dir) DIR *d = dir ? opendir(dir) : NULL;
	size_t cut = strlen(suffix), have;
	struct dirent *de;

	if (!list || !dir) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	if (!d && errno != ENOENT && errno != ENOTDIR) {
		err_errno(e, ERR_IO, "cannot read the directory %s", dir);
		return NULL;
	}
	while (d && (errno = 0, de = readdir(d)) != NULL) {
		size_t len = strlen(de->d_name);

		if (de->d_name[0] == '.' || len <= cut ||
		    strcmp(de->d_name + len - cut, suffix) != 0 || (keep && !keep(dir, de->d_name)))
			continue;
		/* JWTs take UTF-8 only, and so does jansson. */
		if (json_array_append_new(list, json_stringn(de->d_name, len - cut))) {
			err_set(e, ERR_BAD_NAME, "a name in %s is not UTF-8: \"%s\"", dir,
				de->d_name);
			return NULL;
		}
	}
	if (d && errno) {
		err_errno(e, ERR_IO, "cannot read the directory %s", dir);
		return NULL;
	}
	have = json_array_size(list);
	claims_sort(o, "names");
	list = json_object_get(o, "names");
	if (json_array_size(list) != have) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	return json_incref(list);
}

static bool keep_operator(const char *dir, const char *name)
{
	CLEAN(free) char *path = nsc_path("%s/%s/.nsc", dir, name);

	return path && access(path, F_OK) == 0;
}

static bool keep_account(const char *dir, const char *name)
{
	CLEAN(free) char *path = nsc_path("%s/%s/%s.jwt", dir, name, name);

	return path && access(path, F_OK) == 0;
}

json_t *nsc_operators(const struct nsc *n, struct err *e)
{
	return nsc_entries(n->root, "", keep_operator, e);
}

json_t *nsc_accounts(const struct nsc *n, struct err *e)
{
	CLEAN(free) char *dir = nsc_path("%s/%s/accounts", n->root, n->op_name);

	return nsc_entries(dir, "", keep_account, e);
}

json_t *nsc_users(const struct nsc *n, const char *account, struct err *e)
{
	CLEAN(free) char *dir = nsc_path("%s/%s/accounts/%s/users", n->root, n->op_name, account);

	return nsc_entries(dir, ".jwt", NULL, e);
}

char *nsc_only_user(const struct nsc *n, const char *account, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, account, e);
	char *name = NULL;

	if (!users)
		return NULL;
	name = strdup(json_array_size(users) == 1 ? json_string_value(json_array_get(users, 0))
						  : "");
	if (!name)
		err_set(e, ERR_NOMEM, NULL);
	return name;
}

#define FLAGS (O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* Waits for a minute: others hold it for as long as an account server may take. */
static int lock_fd(int fd, const char *path, struct err *e)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(e, ERR_IO, "cannot lock %s", path);
		if (i == 3000)
			return err_set(
				e, ERR_TIMEOUT,
				"another program has locked %s for a minute: end it, and try "
				"again",
				path);
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int nsc_lock_file(const char *path, int *held, struct err *e)
{
	struct stat mine, there;

	*held = -1;
	for (;;) {
		CLEAN(fd) int fd = open(path, O_RDWR | FLAGS);

		if (fd < 0 && (errno == EACCES || errno == EROFS))
			fd = open(path, O_RDONLY | FLAGS);
		if (fd < 0)
			return errno == ENOENT ? 0 : err_errno(e, ERR_IO, "cannot open %s", path);
		if (fstat(fd, &mine) < 0 || !S_ISREG(mine.st_mode))
			return err_set(e, ERR_BAD_INPUT, "%s is no regular file", path);
		if (lock_fd(fd, path, e))
			return -1;
		/* Who held it may have put another file there. */
		if (stat(path, &there) < 0 || there.st_ino != mine.st_ino ||
		    there.st_dev != mine.st_dev)
			continue;
		*held = fd;
		fd = -1;
		return 0;
	}
}

int nsc_lock(struct nsc *n, struct err *e)
{
	CLEAN(free) char *path = nsc_path("%s/%s/.nsc", n->root, n->op_name);
	int fd;

	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_lock_file(path, &fd, e))
		return -1;
	n->lock = fd + 1;
	return 0;
}

static int drop(const char *path, const struct stat *st, int what, struct FTW *where)
{
	(void)st;
	(void)what;
	(void)where;
	return remove(path);
}

void nsc_drop_store(const struct nsc *n, const char *name)
{
	CLEAN(free) char *dir = nsc_path("%s/%s", n->root, name);

	if (dir)
		(void)nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static int fill_store(const char *dir, const struct buf *info, struct err *e)
{
	CLEAN(free) char *accounts = nsc_path("%s/accounts", dir);
	CLEAN(free) char *file = nsc_path("%s/.nsc", dir);

	if (!accounts || !file)
		return err_set(e, ERR_NOMEM, NULL);
	return file_mkdirs(accounts, 0700, e) || file_replace(file, info->p, info->len, 0600, e)
		       ? -1
		       : 0;
}

int nsc_make_store(struct nsc *n, const char *name, bool managed, struct err *e)
{
	CLEAN(free) char *dir = nsc_path("%s/%s", n->root, name);
	CLEAN(free) char *fresh = nsc_path("%s/.new-XXXXXX", n->root);
	CLEAN(json) json_t *v = json_pack("{s:b,s:s,s:s,s:s}", "managed", managed, "name", name,
					  "kind", "operator", "version", "1");
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, 4096);
	if (!dir || !fresh || !v || json_text(v, JSON_ONE_LINE, &text, e))
		return err_set(e, ERR_NOMEM, NULL);
	if (file_mkdirs(n->root, 0700, e))
		return -1;
	if (!mkdtemp(fresh))
		return err_errno(e, ERR_IO, "cannot make a directory in %s", n->root);
	/* In one step: another that makes it, or fails to, finds all of it or nothing. An
	 * empty directory is all right, as it is for the original. */
	if (fill_store(fresh, &text, e) == 0) {
		if (rename(fresh, dir) == 0)
			return 0;
		err_set(e, ERR_EXISTS, "operator \"%s\" already exists in `%s`", name, n->root);
	}
	nsc_drop_store(n, fresh + strlen(n->root) + 1);
	return -1;
}
