#include "hsm/store/db_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proto/store.h"

/* lmdb.h does not give the file's layout (mdb.c: MDB_page, MDB_meta, MDB_db). A meta
 * page is the first and the second page of the file, each with this after its head. */
#define HEAD 16
#define META_MAGIC 0xBEEFC0DE
#define META_VERSION 1
enum meta_at {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_PAGE_SIZE = 24,
	AT_FREE_ROOT = 64,
	AT_MAIN_ROOT = 112,
	AT_LAST = 120,
	AT_TXN = 128,
	META_LEN = 136,
};
#define P_META 0x08
#define NO_PAGE UINT64_MAX
#define UNWRITTEN 65536 /* pages at the end that may be free and not in the file */

static int damaged(struct err *e, const char *what)
{
	return err_set(e, ERR_STORE_DAMAGED,
		       "database file is damaged (%s): restore the data directory from a backup",
		       what);
}

/* One meta page; *txn gets its transaction number. */
static int check_meta(int fd, uint64_t size, uint64_t number, uint32_t *page_size, uint64_t *txn,
		      struct err *e)
{
	uint8_t b[HEAD + META_LEN], *m = b + HEAD;
	uint64_t at = number * *page_size;

	if (pread(fd, b, sizeof(b), (off_t)at) != sizeof(b))
		return damaged(e, "its head is cut off");
	if (!(le16_load(b + 10) & P_META) || le64_load(b) != number ||
	    le32_load(m + AT_MAGIC) != META_MAGIC)
		return damaged(e, "no database");
	if (le32_load(m + AT_VERSION) != META_VERSION)
		return err_set(e, ERR_STORE_NEWER, "database file has LMDB format %u, not %d",
			       le32_load(m + AT_VERSION), META_VERSION);
	uint32_t ps = le32_load(m + AT_PAGE_SIZE);
	uint64_t last = le64_load(m + AT_LAST);

	if (ps < 512 || ps > 65536 || (ps & (ps - 1)) || (*page_size && ps != *page_size))
		return damaged(e, "page size");
	*page_size = ps;
	*txn = le64_load(m + AT_TXN);
	/* The last page may be free and never written, a root may not. */
	for (int i = AT_FREE_ROOT; i <= AT_MAIN_ROOT; i += AT_MAIN_ROOT - AT_FREE_ROOT) {
		uint64_t root = le64_load(m + i);

		if (root != NO_PAGE && (root < 2 || root > last || (root + 1) * ps > size))
			return damaged(e, "a root lies outside of it");
	}
	if (last < 1 || last > size / ps + UNWRITTEN)
		return damaged(e, "it is cut off");
	return 0;
}

int db_check_head(const char *path, struct err *e)
{
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint32_t page_size = 0;
	uint64_t first, second;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return damaged(e, "not a regular file");
	if (st.st_size == 0)
		return 0;
	if (check_meta(fd, (uint64_t)st.st_size, 0, &page_size, &first, e) < 0 ||
	    check_meta(fd, (uint64_t)st.st_size, 1, &page_size, &second, e) < 0)
		return -1;
	/* Each transaction writes the other one of the two. */
	if (first != second && first + 1 != second && second + 1 != first)
		return damaged(e, "its two heads do not belong together");
	return 0;
}

int db_check_order(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

int db_check_table(MDB_txn *txn, MDB_dbi dbi, struct err *e)
{
	uint8_t last[STORE_KEY_MAX];
	struct bytes before = {last, 0};
	volatile uint8_t touch = 0;
	MDB_cursor *c;
	MDB_val k, v, found;
	MDB_stat st;
	uint64_t n = 0;
	int rc;

	if (mdb_stat(txn, dbi, &st) || mdb_cursor_open(txn, dbi, &c))
		return damaged(e, "a table");
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct bytes key = {k.mv_data, k.mv_size};

		if (key.len < 1 || key.len > STORE_KEY_MAX || v.mv_size > STORE_BLOB_MAX ||
		    (n && db_check_order(before, key) >= 0) || mdb_get(txn, dbi, &k, &found) ||
		    found.mv_data != v.mv_data) {
			rc = MDB_CORRUPTED;
			break;
		}
		/* Large items have pages of their own: their end must be there. */
		if (v.mv_size)
			touch = ((const uint8_t *)v.mv_data)[v.mv_size - 1];
		memcpy(last, key.p, key.len);
		before.len = key.len;
		n++;
	}
	(void)touch;
	mdb_cursor_close(c);
	if (rc != MDB_NOTFOUND || n != st.ms_entries)
		return damaged(e, "a table");
	return 0;
}

/* A free page that is in use would be overwritten by the next transaction. */
int db_check_free(MDB_env *env, MDB_txn *txn, struct err *e)
{
	MDB_cursor *c;
	MDB_val k, v;
	MDB_envinfo info;
	int rc;

	if (mdb_env_info(env, &info) || mdb_cursor_open(txn, 0, &c))
		return damaged(e, "list of free pages");
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		const uint8_t *p = v.mv_data;
		uint64_t n = v.mv_size >= 8 ? le64_load(p) : 0, last = info.me_last_pgno + 1;
		bool ok = k.mv_size == 8 && v.mv_size >= 8 && n <= v.mv_size / 8 - 1;

		/* Falling page numbers; the two heads are never free. */
		for (uint64_t i = 1; ok && i <= n; i++) {
			uint64_t page = le64_load(p + 8 * i);

			ok = page >= 2 && page < last;
			last = page;
		}
		if (!ok) {
			rc = MDB_CORRUPTED;
			break;
		}
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : damaged(e, "list of free pages");
}
