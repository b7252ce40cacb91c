/* hsm-store: transactions, pages, refusals, and what a full store does. */
#include "unit/store_peer.h"

#include <lmdb.h>

/* ---- tests ---- */

static void test_basic(void **state)
{
	struct bytes blob;
	struct peer s;
	struct buf b;
	unsigned pages;

	(void)state;
	start(&s);
	assert_int_equal(get(&s, STORE_RECORD, "a", 1, &blob), ERR_NOT_FOUND);
	assert_int_equal(scan(&s, STORE_RECORD, 1000, &pages), 0);
	assert_int_equal(put_text(&s, STORE_RECORD, "a", "one"), 0);
	assert_int_equal(put_text(&s, STORE_BOOT, "a", ""), 0);
	assert_int_equal(get(&s, STORE_RECORD, "a", 1, &blob), 0);
	assert_int_equal(blob.len, 3);
	assert_memory_equal(blob.p, "one", 3);
	assert_int_equal(get(&s, STORE_BOOT, "a", 1, &blob), 0);
	assert_int_equal(blob.len, 0);
	assert_int_equal(get(&s, STORE_AUDIT, "a", 1, &blob), ERR_NOT_FOUND);
	/* Later operations of one transaction see the earlier ones. */
	txn(&b);
	store_txn_put(&b, STORE_RECORD, "a", 1, "two", 3);
	store_txn_put(&b, STORE_RECORD, "b", 1, "three", 5);
	store_txn_del(&b, STORE_RECORD, "b", 1);
	store_txn_del(&b, STORE_RECORD, "never was", 9);
	store_txn_put(&b, STORE_AUDIT, "c", 1, "four", 4);
	assert_int_equal(commit(&s, &b), 0);
	txn(&b);
	assert_int_equal(commit(&s, &b), 0);
	assert_int_equal(stop(&s), 0);

	start(&s);
	assert_int_equal(get(&s, STORE_RECORD, "a", 1, &blob), 0);
	assert_memory_equal(blob.p, "two", 3);
	assert_int_equal(get(&s, STORE_RECORD, "b", 1, &blob), ERR_NOT_FOUND);
	assert_int_equal(get(&s, STORE_AUDIT, "c", 1, &blob), 0);
	assert_int_equal(stop(&s), 0);
	assert_int_equal(mode_of(""), 0700);
	assert_int_equal(mode_of("data.mdb"), 0600);
	assert_int_equal(mode_of("lock.mdb"), 0600);
	assert_int_equal(mode_of("lock"), 0600);
}

static void test_stat(void **state)
{
	struct wire_msg m;
	struct peer s;
	struct buf b;

	(void)state;
	start(&s);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(put_num(&s, STORE_BOOT + i % 3, i, 5000), 0);
	buf_init(&b, 16);
	assert_int_equal(ask(&s, W_STAT, W_SIZES, &b, &m), 0);
	assert_int_equal(m.len, 26);
	assert_int_equal(le64_load(m.p + 2), 64u << 20);
	assert_in_range(le64_load(m.p + 10), 250000, 1000000);
	assert_int_equal(le64_load(m.p + 18), 50);
	buf_u8(&b, 0);
	assert_int_equal(ask(&s, W_STAT, W_SIZES, &b, &m), ERR_BAD_REQUEST);
	buf_free(&b);
	assert_int_equal(stop(&s), 0);
}

static void test_pages(void **state)
{
	struct bytes blob;
	unsigned pages;
	struct peer s;
	struct buf b;
	size_t size;

	(void)state;
	start(&s);
	txn(&b);
	for (uint32_t i = 0; i < 500; i++)
		num_put(&b, STORE_AUDIT, i, i % 7 == 0 ? 9000 : i, 1);
	assert_int_equal(commit(&s, &b), 0);
	assert_int_equal(scan(&s, STORE_AUDIT, 64 << 10, &pages), 500);
	assert_in_range(pages, 10, 20);
	assert_int_equal(scan(&s, STORE_AUDIT, 0, &pages), 500);
	assert_int_equal(pages, 500);
	assert_int_equal(scan(&s, STORE_AUDIT, UINT32_MAX, &pages), 500);
	assert_int_equal(pages, 1);
	/* Largest key and blob. */
	uint8_t key[STORE_KEY_MAX];
	CLEAN(free) uint8_t *big = calloc(1, STORE_BLOB_MAX);

	memset(key, 0xff, sizeof(key));
	for (unsigned i = 0; i < 7; i++) {
		key[STORE_KEY_MAX - 1] = (uint8_t)i;
		txn(&b);
		store_txn_put(&b, STORE_AUDIT, key, sizeof(key), big, STORE_BLOB_MAX);
		assert_int_equal(commit(&s, &b), 0);
	}
	assert_int_equal(get(&s, STORE_AUDIT, key, sizeof(key), &blob), 0);
	assert_int_equal(blob.len, STORE_BLOB_MAX);
	assert_int_equal(scan(&s, STORE_AUDIT, UINT32_MAX, &pages), 507);
	assert_int_equal(pages, 3);
	assert_int_equal(get_num(&s, STORE_AUDIT, 7, &size), 0);
	assert_int_equal(size, 9000);
	assert_int_equal(stop(&s), 0);
}

static void test_malformed(void **state)
{
	static const struct {
		const char *what;
		uint8_t p[80];
		size_t n;
	} bad[] = {
		{"nothing", {0}, 0},
		{"no count", {1, 0}, 2},
		{"count too high", {1, 0, 0, 0}, 4},
		{"huge count", {0xff, 0xff, 0xff, 0xff, 2, 1, 1, 'a'}, 8},
		{"kind 0", {1, 0, 0, 0, 0, 1, 1, 'a'}, 8},
		{"kind 3", {1, 0, 0, 0, 3, 1, 1, 'a'}, 8},
		{"table 0", {1, 0, 0, 0, 2, 0, 1, 'a'}, 8},
		{"table 4", {1, 0, 0, 0, 2, 4, 1, 'a'}, 8},
		{"empty key", {1, 0, 0, 0, 2, 1, 0}, 7},
		{"long key", {1, 0, 0, 0, 2, 1, 65}, 72},
		{"cut key", {1, 0, 0, 0, 2, 1, 9, 'a'}, 8},
		{"cut blob", {1, 0, 0, 0, 1, 1, 1, 'a', 5, 0, 0, 0, 'x'}, 13},
		{"more after it", {1, 0, 0, 0, 2, 1, 1, 'a', 0}, 9},
		{"second is bad", {2, 0, 0, 0, 1, 1, 1, 'k', 0, 0, 0, 0, 9, 1, 1, 'a'}, 16},
	};
	struct bytes blob;
	struct wire_msg m;
	struct peer s;
	struct buf b;

	(void)state;
	start(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_init(&b, 1000);
		buf_put(&b, bad[i].p, bad[i].n);
		if (ask(&s, W_TXN, W_DONE, &b, &m) != ERR_BAD_REQUEST)
			fail_msg("%s", bad[i].what);
		if (ask(&s, W_GET, W_BLOB, &b, &m) != ERR_BAD_REQUEST)
			fail_msg("%s", bad[i].what);
		buf_free(&b);
	}
	assert_int_equal(get(&s, STORE_BOOT, "k", 1, &blob), ERR_NOT_FOUND);
	/* A blob over the limit. */
	CLEAN(free) uint8_t *big = calloc(1, STORE_BLOB_MAX + 1);

	txn(&b);
	store_txn_put(&b, STORE_AUDIT, "k", 1, big, STORE_BLOB_MAX + 1);
	assert_int_equal(commit(&s, &b), ERR_BAD_REQUEST);
	assert_int_equal(stop(&s), 0);
}

static void test_bad_frames(void **state)
{
	static const uint8_t reserved[WIRE_HEAD] = {0, 0, 0, 0, W_STAT, 0, 1};
	static const uint8_t cut[5] = {1, 2, 3};
	static const uint8_t unknown[WIRE_HEAD] = {0, 0, 0, 0, 99};
	static const struct bytes bad[] = {{reserved, 16}, {cut, 5}, {unknown, 16}};
	struct wire_msg m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peer s;

		start(&s);
		assert_int_equal(send(s.fd, bad[i].p, bad[i].len, 0), bad[i].len);
		assert_false(receive(&s, &m));
		assert_int_equal(stop(&s), err_row(ERR_BAD_FRAME)->exit);
	}
}

/* Many transactions are on their way at once; one in the middle does not fit. */
static void test_group(void **state)
{
	CLEAN(free) uint8_t *big = calloc(1, STORE_BLOB_MAX);
	struct wire_msg m;
	struct peer s;
	unsigned failed = 0;
	size_t size;

	(void)state;
	start_map(&s, 3);
	for (uint32_t i = 0; i < 100; i++) {
		struct buf b;

		txn(&b);
		num_put(&b, STORE_RECORD, i, 100, 1);
		num_put(&b, STORE_AUDIT, i, 100, 1);
		for (uint32_t j = 0; i == 50 && j < 4; j++)
			store_txn_put(&b, STORE_AUDIT, &"wxyz"[j], 1, big, STORE_BLOB_MAX);
		send_msg(&s, W_TXN, &b);
		buf_free(&b);
	}
	assert_int_equal(wire_send(s.fd, &s.out, NULL), 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(receive(&s, &m));
		assert_int_equal(m.type, W_DONE);
		assert_in_range(m.tag, 1, 100);
		if (m.tag == 51)
			assert_int_equal(error_of(&m), ERR_STORE_FULL);
		else
			assert_int_equal(error_of(&m), ERR_OK);
		failed += error_of(&m) != ERR_OK;
	}
	assert_int_equal(failed, 1);
	for (uint32_t i = 0; i < 100; i++) {
		uint16_t want = i == 50 ? ERR_NOT_FOUND : ERR_OK;

		assert_int_equal(get_num(&s, STORE_RECORD, i, &size), want);
		assert_int_equal(get_num(&s, STORE_AUDIT, i, &size), want);
	}
	assert_int_equal(stop(&s), 0);
}

static uint32_t fill(struct peer *s, uint32_t from)
{
	uint32_t n = from;
	uint16_t error;

	while ((error = put_num(s, STORE_RECORD, n, 10000)) == 0 && n < from + 10000)
		n++;
	/* A write cut short by a limit of the process is told as IO first. */
	assert_true(error == ERR_STORE_FULL || (limit_mib && error == ERR_IO));
	return n;
}

static void test_full(void **state)
{
	struct peer s;
	size_t size;

	(void)state;
	start_map(&s, 2);
	uint32_t n = fill(&s, 0);

	assert_in_range(n, 100, 250);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(get_num(&s, STORE_RECORD, i, &size), 0);
		assert_int_equal(size, 10000);
	}
	assert_int_equal(get_num(&s, STORE_RECORD, n, &size), ERR_NOT_FOUND);
	/* A full store can be emptied, and used again. */
	delete_some(&s, 0, 50);
	assert_true(fill(&s, n) > n + 20);
	assert_int_equal(stop(&s), 0);
	start_map(&s, 2);
	assert_int_equal(s.hello, ERR_OK);
	for (uint32_t i = 0; i < n + 20; i++)
		assert_int_equal(get_num(&s, STORE_RECORD, i, &size),
				 i < 50 ? ERR_NOT_FOUND : ERR_OK);
	assert_int_equal(stop(&s), 0);
	/* More room by configuration. */
	start_map(&s, 8);
	assert_int_equal(put_num(&s, STORE_RECORD, 9999, 1000000), 0);
	assert_int_equal(stop(&s), 0);
}

/* The map has room, the disk has not: a limit of file sizes stands for it. */
static void test_disk_full(void **state)
{
	struct peer s;
	size_t size;

	(void)state;
	limit_mib = 1;
	start(&s);
	uint32_t n = fill(&s, 0);

	assert_in_range(n, 50, 120);
	fill(&s, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(get_num(&s, STORE_RECORD, i, &size), 0);
	assert_int_equal(stop(&s), 0);
	limit_mib = 0;
	start(&s);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(get_num(&s, STORE_RECORD, i, &size), 0);
	assert_int_equal(put_num(&s, STORE_RECORD, n, 10000), 0);
	assert_int_equal(stop(&s), 0);
}

static void test_second(void **state)
{
	struct peer one, two;

	(void)state;
	start(&one);
	start_map(&two, 64);
	assert_int_equal(two.hello, ERR_STORE_IN_USE);
	assert_int_equal(stop(&two), err_row(ERR_STORE_IN_USE)->exit);
	assert_int_equal(put_text(&one, STORE_BOOT, "k", "v"), 0);
	assert_int_equal(stop(&one), 0);
	start(&two);
	assert_int_equal(stop(&two), 0);
}

static void set_format(uint32_t version)
{
	uint8_t v4[4];
	char name[] = "format";
	MDB_val k = {6, name}, v = {4, v4};
	MDB_env *env;
	MDB_txn *t;
	MDB_dbi dbi;

	le32_store(v4, version);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &t), 0);
	assert_int_equal(mdb_dbi_open(t, "meta", 0, &dbi), 0);
	assert_int_equal(version ? mdb_put(t, dbi, &k, &v, 0) : mdb_del(t, dbi, &k, NULL), 0);
	assert_int_equal(mdb_txn_commit(t), 0);
	mdb_env_close(env);
}

static void test_format(void **state)
{
	struct peer s;

	(void)state;
	start(&s);
	assert_int_equal(stop(&s), 0);
	set_format(DB_FORMAT + 1);
	start_map(&s, 64);
	assert_int_equal(s.hello, ERR_STORE_NEWER);
	assert_int_equal(stop(&s), err_row(ERR_STORE_NEWER)->exit);
	set_format(0);
	start_map(&s, 64);
	assert_int_equal(s.hello, ERR_STORE_DAMAGED);
	assert_int_equal(stop(&s), err_row(ERR_STORE_DAMAGED)->exit);
}

static void test_foreign(void **state)
{
	static const char text[10000] = "not a database";
	char path[128];
	struct peer s;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	in_dir(path, "data.mdb");
	assert_int_equal(file_replace(path, text, sizeof(text), 0600, NULL), 0);
	start_map(&s, 64);
	assert_int_equal(s.hello, ERR_STORE_DAMAGED);
	assert_int_equal(stop(&s), err_row(ERR_STORE_DAMAGED)->exit);
	assert_int_equal(mode_of(""), 0700);
	/* What was there is still there. */
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, sizeof(text));
}

#ifndef SANITIZE
static int run_store(const char *const args[static 4])
{
	const char *bin = getenv("BIN");
	char path[512];
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		close(3); /* not a channel */
		(void)snprintf(path, sizeof(path), "%s/hsm-store", bin ? bin : "build/bin");
		execl(path, path, args[0], args[1], args[2], args[3], (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#endif

static void test_usage(void **state)
{
	(void)state;
#ifdef SANITIZE
	skip();
#else
	static const char *const bad[][4] = {
		{NULL},
		{"/a", "/b"},
		{"--map-mib", "0", "/a"},
		{"--map-mib", "1x", "/a"},
		{"--map-mib", "", "/a"},
		{"--map-mib", "-1", "/a"},
		{"--unknown", "/a"},
		{"--map-mib"},
		{"/tmp/no-channel"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(run_store(bad[i]), 2);
	assert_int_equal(run_store((const char *const[4]){"--version"}), 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_basic),      TEST(test_stat),	  TEST(test_pages),   TEST(test_malformed),
		TEST(test_bad_frames), TEST(test_group),  TEST(test_full),    TEST(test_disk_full),
		TEST(test_second),     TEST(test_format), TEST(test_foreign), TEST(test_usage),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
