#include "hsm/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "hsm/store/db_check.h"

/* Room over the map's size for transactions that delete: else a full store could not
 * be emptied, because LMDB writes new pages first. */
#define RESERVE ((size_t)4 << 20)

struct db {
	MDB_env *env;
	MDB_txn *txn; /* write transaction, NULL when none is open */
	size_t map;
	bool fatal;
	MDB_dbi meta;
	MDB_dbi table[STORE_TABLES];
};

static void (*on_damage)(void);

static int db_err(struct db *db, int rc, const char *what, struct err *e)
{
	switch (rc) {
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return err_set(e, ERR_STORE_FULL, "store is full: %s", mdb_strerror(rc));
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_CURSOR_FULL:
	case MDB_PAGE_FULL:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_TXN:
	case MDB_BAD_DBI:
	case MDB_BAD_VALSIZE:
		return err_set(e, ERR_STORE_DAMAGED, "store is damaged: %s", mdb_strerror(rc));
	case MDB_VERSION_MISMATCH:
		return err_set(e, ERR_STORE_NEWER, "store is of another LMDB version");
	case ENOMEM:
		return err_set(e, ERR_NOMEM, "%s: out of memory", what);
	case MDB_PANIC:
		/* The last write of a commit failed: it may be on the disk or not. */
		db->fatal = true;
		/* fallthrough */
	default:
		return err_set(e, ERR_IO, "%s: %s", what, mdb_strerror(rc));
	}
}

static MDB_val val(struct bytes b)
{
	union {
		const uint8_t *c;
		void *v;
	} p = {.c = b.p}; /* LMDB does not write through what it is given */

	return (MDB_val){b.len, p.v};
}

/* ---- opening ---- */

int db_lock_dir(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (file_mkdirs(dir, 0700, e) < 0)
		return -1;
	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return err_set(e, ERR_IO, "path of the data directory is too long");
	CLEAN(fd) int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (d < 0 || fstat(d, &st) < 0)
		return err_errno(e, ERR_IO, "cannot open the data directory %s", dir);
	/* A volume comes as its engine made it; one of another owner stays so. */
	if ((st.st_mode & 077) && fchmod(d, 0700) < 0)
		log_warn("others may enter the data directory", "path", dir);
	CLEAN(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(e, ERR_STORE_IN_USE,
					 "%s is in use by another HSM: stop that one first", dir)
			       : err_errno(e, ERR_IO, "cannot lock %s", path);
	steal_fd(&fd); /* held by the process until its end */
	return 0;
}

static const char *const table_name[STORE_TABLES] = {"boot", "record", "audit"};
static char format_key[] = "format";

static int create(struct db *db, struct err *e)
{
	uint8_t version[4];
	MDB_val k = {sizeof(format_key) - 1, format_key}, v = {sizeof(version), version};
	int rc = mdb_dbi_open(db->txn, "meta", MDB_CREATE, &db->meta);
	MDB_dbi dbi;

	le32_store(version, DB_FORMAT);
	for (int i = 0; rc == 0 && i < STORE_TABLES; i++)
		rc = mdb_dbi_open(db->txn, table_name[i], MDB_CREATE, &dbi);
	if (rc == 0)
		rc = mdb_put(db->txn, db->meta, &k, &v, 0);
	return rc ? db_err(db, rc, "cannot make the store", e) : 0;
}

static int check_format(struct db *db, struct err *e)
{
	MDB_val k = {sizeof(format_key) - 1, format_key}, v;
	int rc = mdb_get(db->txn, db->meta, &k, &v);

	if (rc || v.mv_size != 4 || le32_load(v.mv_data) == 0)
		return err_set(e, ERR_STORE_DAMAGED, "store has no format version");
	uint32_t version = le32_load(v.mv_data);

	if (version > DB_FORMAT)
		return err_set(e, ERR_STORE_NEWER,
			       "store has format %u, this program knows up to %d: run the newer "
			       "version",
			       version, DB_FORMAT);
	return 0;
}

static int begin(struct db *db, struct err *e)
{
	if (db->txn)
		return 0;
	int rc = mdb_txn_begin(db->env, NULL, 0, &db->txn);

	if (rc)
		db->txn = NULL;
	return rc ? db_err(db, rc, "cannot begin a transaction", e) : 0;
}

static int begin_read(struct db *db, MDB_txn **txn, struct err *e)
{
	int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, txn);

	return rc ? db_err(db, rc, "cannot read", e) : 0;
}

static void cleanup_txn(MDB_txn **txn)
{
	if (*txn)
		mdb_txn_abort(*txn);
}

static void abort_txn(struct db *db)
{
	if (db->txn)
		mdb_txn_abort(db->txn);
	db->txn = NULL;
}

static void on_assert(MDB_env *env, const char *msg)
{
	(void)env, (void)msg;
	on_damage();
}

void db_on_damage(void (*damaged)(void))
{
	on_damage = damaged;
}

static int open_env(struct db *db, const char *dir, struct err *e)
{
	int rc = mdb_env_create(&db->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(db->env, STORE_TABLES + 1);
	if (rc == 0)
		rc = mdb_env_set_mapsize(db->env, db->map);
	if (rc == 0 && on_damage)
		rc = mdb_env_set_assert(db->env, on_assert);
	if (rc == 0)
		rc = mdb_env_open(db->env, dir, MDB_NOTLS, 0600);
	if (rc)
		return db_err(db, rc, "cannot open the database", e);
	return 0;
}

/* Opens the tables; makes them in a new file. */
static int open_tables(struct db *db, struct err *e)
{
	MDB_stat st;
	int rc = mdb_dbi_open(db->txn, "meta", 0, &db->meta);

	if (rc == MDB_NOTFOUND) {
		if (mdb_env_stat(db->env, &st) || st.ms_entries)
			return err_set(e, ERR_STORE_DAMAGED, "database file is not a store");
		if (create(db, e) < 0)
			return -1;
	} else if (rc) {
		return db_err(db, rc, "cannot open the store", e);
	}
	if (check_format(db, e) < 0)
		return -1;
	for (int i = 0; i < STORE_TABLES; i++)
		if (mdb_dbi_open(db->txn, table_name[i], 0, &db->table[i]))
			return err_set(e, ERR_STORE_DAMAGED, "store has no table '%s'",
				       table_name[i]);
	return db_commit(db, e);
}

/* LMDB lets only readers look at its free pages. */
static int check_all(struct db *db, struct err *e)
{
	CLEAN(txn) MDB_txn *txn = NULL;

	if (begin_read(db, &txn, e) < 0 || db_check_free(db->env, txn, e) < 0)
		return -1;
	for (int i = 0; i < STORE_TABLES; i++)
		if (db_check_table(txn, db->table[i], e) < 0)
			return -1;
	return 0;
}

int db_open(struct db **out, const char *dir, size_t map_bytes, struct err *e)
{
	char path[PATH_MAX];
	struct db *db;

	if (snprintf(path, sizeof(path), "%s/data.mdb", dir) >= (int)sizeof(path))
		return err_set(e, ERR_IO, "path of the data directory is too long");
	if (db_check_head(path, e) < 0)
		return -1;
	db = calloc(1, sizeof(*db));
	if (!db)
		return err_set(e, ERR_NOMEM, NULL);
	db->map = map_bytes;
	if (open_env(db, dir, e) < 0 || begin(db, e) < 0 || open_tables(db, e) < 0 ||
	    check_all(db, e) < 0) {
		db_close(db);
		return -1;
	}
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	abort_txn(db);
	if (db->env)
		mdb_env_close(db->env);
	free(db);
}

/* ---- changing ---- */

static int apply_ops(struct db *db, const void *p, size_t n)
{
	struct store_txn t;
	struct store_op op;
	int rc = store_txn_open(&t, NULL, p, n, NULL) ? EINVAL : 0;

	while (rc == 0 && store_txn_next(&t, &op)) {
		MDB_dbi dbi = db->table[op.table - STORE_BOOT];
		MDB_val k = val(op.key), v = val(op.blob);

		if (op.kind == STORE_PUT) {
			rc = mdb_put(db->txn, dbi, &k, &v, 0);
			continue;
		}
		rc = mdb_del(db->txn, dbi, &k, NULL);
		if (rc == MDB_NOTFOUND)
			rc = 0;
	}
	return rc;
}

int db_apply(struct db *db, const void *p, size_t n, struct err *e)
{
	if (begin(db, e) < 0)
		return -1;
	int rc = apply_ops(db, p, n);

	if (rc == 0)
		return 0;
	abort_txn(db);
	return db_err(db, rc, "cannot write", e);
}

/* LMDB tells a write that was cut short, as by a full disk, as EIO. */
static bool disk_full(struct db *db)
{
	struct statvfs fs;
	int fd;

	return mdb_env_get_fd(db->env, &fd) == 0 && fstatvfs(fd, &fs) == 0 &&
	       fs.f_bavail * fs.f_frsize < RESERVE;
}

int db_commit(struct db *db, struct err *e)
{
	MDB_txn *txn = STEAL(db->txn);
	int rc = txn ? mdb_txn_commit(txn) : 0;

	if (rc == 0)
		return 0;
	if (rc == EIO && disk_full(db))
		rc = ENOSPC;
	db_err(db, rc, "cannot commit", e);
	/* Before its last step a commit leaves nothing behind. Whether it was the last
	 * that failed, which cannot be undone, only the next transaction says. */
	struct err panic;

	if (begin(db, &panic) == 0)
		abort_txn(db);
	return -1;
}

static bool deletes(const void *p, size_t n)
{
	struct store_txn t;
	struct store_op op;

	if (store_txn_open(&t, NULL, p, n, NULL) < 0)
		return false;
	while (store_txn_next(&t, &op))
		if (op.kind == STORE_DEL)
			return true;
	return false;
}

int db_alone(struct db *db, const void *p, size_t n, struct err *e)
{
	int rc = db_apply(db, p, n, e) < 0 || db_commit(db, e) < 0 ? -1 : 0;

	if (rc == 0 || e->code != ERR_STORE_FULL || !deletes(p, n))
		return rc;
	if (mdb_env_set_mapsize(db->env, db->map + RESERVE))
		return rc;
	rc = db_apply(db, p, n, e) < 0 || db_commit(db, e) < 0 ? -1 : 0;
	/* LMDB takes it as "not below what is in use". */
	(void)mdb_env_set_mapsize(db->env, db->map);
	return rc;
}

bool db_fatal(const struct db *db)
{
	return db->fatal;
}

/* ---- reading ---- */

int db_get(struct db *db, const struct store_query *q, struct buf *out, struct err *e)
{
	CLEAN(txn) MDB_txn *txn = NULL;
	MDB_val k = val(q->key), v;

	if (begin_read(db, &txn, e) < 0)
		return -1;
	int rc = mdb_get(txn, db->table[q->table - STORE_BOOT], &k, &v);

	if (rc == MDB_NOTFOUND)
		return err_set(e, ERR_NOT_FOUND, "no such item");
	if (rc == 0 && v.mv_size > STORE_BLOB_MAX)
		rc = MDB_CORRUPTED;
	if (rc)
		return db_err(db, rc, "cannot read", e);
	buf_put(out, v.mv_data, v.mv_size);
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* Stands on the first item after key. */
static int seek(MDB_cursor *c, struct bytes key, MDB_val *k, MDB_val *v)
{
	if (key.len == 0)
		return mdb_cursor_get(c, k, v, MDB_FIRST);
	*k = val(key);
	int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);

	if (rc == 0 && k->mv_size == key.len && memcmp(k->mv_data, key.p, key.len) == 0)
		rc = mdb_cursor_get(c, k, v, MDB_NEXT);
	return rc;
}

static int scan(MDB_cursor *c, const struct store_query *q, struct buf *out)
{
	size_t start = out->len, max = q->max < STORE_SCAN_MAX ? q->max : STORE_SCAN_MAX;
	struct bytes before = q->key;
	uint32_t n = 0;
	MDB_val k, v;
	int rc;

	buf_u8(out, 0);
	buf_u32(out, 0);
	for (rc = seek(c, q->key, &k, &v); rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		struct bytes key = {k.mv_data, k.mv_size};

		if (key.len > STORE_KEY_MAX || v.mv_size > STORE_BLOB_MAX ||
		    db_check_order(before, key) >= 0)
			return MDB_CORRUPTED;
		before = key;
		if (n && out->len - start + k.mv_size + v.mv_size > max)
			break;
		buf_str8(out, k.mv_data, k.mv_size);
		buf_str32(out, v.mv_data, v.mv_size);
		n++;
	}
	if (rc && rc != MDB_NOTFOUND)
		return rc;
	if (out->bad)
		return ENOMEM;
	out->p[start] = rc == 0;
	le32_store(out->p + start + 1, n);
	return 0;
}

int db_scan(struct db *db, const struct store_query *q, struct buf *out, struct err *e)
{
	CLEAN(txn) MDB_txn *txn = NULL;
	MDB_cursor *c;

	if (begin_read(db, &txn, e) < 0)
		return -1;
	int rc = mdb_cursor_open(txn, db->table[q->table - STORE_BOOT], &c);

	if (rc == 0) {
		rc = scan(c, q, out);
		mdb_cursor_close(c);
	}
	return rc ? db_err(db, rc, "cannot read", e) : 0;
}

/* Pages on LMDB's free list. */
static int free_pages(MDB_txn *txn, uint64_t *n)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, 0, &c);

	if (rc)
		return rc;
	*n = 0;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0 && v.mv_size >= 8)
		*n += le64_load(v.mv_data);
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc ? rc : MDB_CORRUPTED;
}

int db_sizes(struct db *db, struct db_sizes *s, struct err *e)
{
	CLEAN(txn) MDB_txn *txn = NULL;
	MDB_envinfo info;
	MDB_stat st;
	uint64_t unused = 0;

	if (begin_read(db, &txn, e) < 0)
		return -1;
	int rc = mdb_env_info(db->env, &info);

	if (rc == 0)
		rc = free_pages(txn, &unused);
	s->map = db->map;
	s->records = 0;
	for (int i = 0; rc == 0 && i < STORE_TABLES; i++) {
		rc = mdb_stat(txn, db->table[i], &st);
		s->records += st.ms_entries;
	}
	if (rc)
		return db_err(db, rc, "cannot read", e);
	s->used = (info.me_last_pgno + 1 - unused) * st.ms_psize;
	return 0;
}
