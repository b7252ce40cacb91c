/* hsm-store as keyd sees it: a process behind a channel. The real executable runs here
 * in its sandbox; with sanitizers its loop runs in a child of the test instead. */
#ifndef TESTS_STORE_PEER_H
#define TESTS_STORE_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "hsm/store/db.h"
#include "hsm/store/serve.h"
#include "proto/store.h"
#include "proto/wire.h"

#define WAIT_MS 20000
#define NO_ANSWER 0xffff /* in place of an error number: the channel ended */

static char dir[64];

struct peer {
	pid_t pid;
	int fd;
	uint64_t tag;
	struct wire_reader r;
	uint16_t hello; /* error of the first word */
	struct buf out;
};

/* ---- the other side of the channel ---- */

#ifdef SANITIZE
static inline void child(unsigned map_mib)
{
	struct err e = {.code = ERR_OK};
	struct db *db = NULL;
	int rc = db_lock_dir(dir, &e) || db_open(&db, dir, (size_t)map_mib << 20, &e);

	serve_hello(3, &e);
	rc = rc ? rc : serve(3, db, &e);
	_exit(rc ? err_exit(&e) : 0);
}
#else
static inline void child(unsigned map_mib)
{
	const char *bin = getenv("BIN");
	char path[512], mib[16];

	(void)snprintf(path, sizeof(path), "%s/hsm-store", bin ? bin : "build/bin");
	(void)snprintf(mib, sizeof(mib), "%u", map_mib);
	execl(path, path, "--no-landlock", "--map-mib", mib, dir, (char *)NULL);
	_exit(127);
}
#endif

static int limit_mib; /* of file sizes, 0: none */

static inline void spawn(struct peer *s, unsigned map_mib)
{
	int sv[2];

	memset(s, 0, sizeof(*s));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		struct rlimit l = {(rlim_t)limit_mib << 20, (rlim_t)limit_mib << 20};
		int null = open("/dev/null", O_WRONLY);

		/* Its log is noise here: the tests that want an error look at the channel. */
		if (!getenv("V") && dup2(null, 2) < 0)
			_exit(126);
		if (sv[1] == 3 ? fcntl(3, F_SETFD, 0) : dup2(sv[1], 3) != 3)
			_exit(126);
		if (limit_mib &&
		    (setrlimit(RLIMIT_FSIZE, &l) || signal(SIGXFSZ, SIG_IGN) == SIG_ERR))
			_exit(126);
		child(map_mib);
	}
	close(sv[1]);
	s->fd = sv[0];
	buf_init(&s->out, WIRE_MESSAGE + WIRE_PACKET);
	assert_int_equal(wire_reader_init(&s->r, WIRE_MESSAGE, false, NULL), 0);
}

/* Next message, or false at the end of the channel. Fails the test on a hang. */
static inline bool receive(struct peer *s, struct wire_msg *m)
{
	int rc;

	while ((rc = wire_next(&s->r, m, NULL)) == 0) {
		struct pollfd pf = {.fd = s->fd, .events = POLLIN};

		if (poll(&pf, 1, WAIT_MS) <= 0)
			fail_msg("no answer in %d ms", WAIT_MS);
		if (wire_recv(&s->r, s->fd, NULL, NULL, NULL) <= 0)
			return false;
	}
	assert_int_equal(rc, 1);
	return true;
}

static inline uint16_t error_of(const struct wire_msg *m)
{
	assert_true(m->len >= 2);
	return le16_load(m->p);
}

static inline void start_map(struct peer *s, unsigned map_mib)
{
	struct wire_msg m;

	spawn(s, map_mib);
	s->hello = NO_ANSWER;
	if (receive(s, &m)) {
		assert_int_equal(m.type, W_DONE);
		assert_int_equal(m.tag, 0);
		s->hello = error_of(&m);
	}
}

static inline void start(struct peer *s)
{
	start_map(s, 64);
	assert_int_equal(s->hello, ERR_OK);
}

/* Closes the channel and gives the exit status, -signal when it was killed. */
static inline int stop(struct peer *s)
{
	int status = -1, waited = 0;

	close(s->fd);
	wire_reader_free(&s->r);
	buf_free(&s->out);
	while (waitpid(s->pid, &status, WNOHANG) == 0) {
		if (waited++ > WAIT_MS / 10) {
			kill(s->pid, SIGKILL);
			fail_msg("store does not end");
		}
		usleep(10000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void send_msg(struct peer *s, enum wire_type type, const struct buf *body)
{
	assert_false(body->bad);
	wire_put(&s->out, type, ++s->tag, body->p, body->len);
}

/* Sends and waits for the answer to it; its error, NO_ANSWER, or STORE_DAMAGED when
 * those were the store's last words. */
static inline uint16_t ask(struct peer *s, enum wire_type type, enum wire_type reply,
			   const struct buf *body, struct wire_msg *m)
{
	send_msg(s, type, body);
	if (wire_send(s->fd, &s->out, NULL) || !receive(s, m))
		return NO_ANSWER;
	if (m->tag == 0) {
		assert_int_equal(m->type, W_DONE);
		return error_of(m);
	}
	assert_int_equal(m->tag, s->tag);
	assert_int_equal(m->type, reply);
	return error_of(m);
}

static inline uint16_t commit(struct peer *s, struct buf *txn)
{
	struct wire_msg m;
	uint16_t error = ask(s, W_TXN, W_DONE, txn, &m);

	buf_free(txn);
	return error;
}

static inline void txn(struct buf *b)
{
	buf_init(b, WIRE_MESSAGE);
	store_txn_begin(b);
}

static inline void num_put(struct buf *b, enum store_table table, uint32_t n, size_t size, int fill)
{
	CLEAN(free) uint8_t *blob = malloc(size + 4);
	uint8_t key[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	memset(blob, fill, size + 4);
	le32_store(blob, n);
	store_txn_put(b, table, key, 4, blob, size + 4);
}

static inline uint16_t put_num(struct peer *s, enum store_table table, uint32_t n, size_t size)
{
	struct buf b;

	txn(&b);
	num_put(&b, table, n, size, 0x5a);
	return commit(s, &b);
}

static inline uint16_t put_text(struct peer *s, enum store_table table, const char *key,
				const char *blob)
{
	struct buf b;

	txn(&b);
	store_txn_put(&b, table, key, strlen(key), blob, strlen(blob));
	return commit(s, &b);
}

static inline uint16_t get(struct peer *s, enum store_table table, const void *key, size_t n,
			   struct bytes *blob)
{
	struct store_query q = {.table = (uint8_t)table, .key = {key, n}};
	uint8_t body[128];
	struct wire_msg m;
	struct buf b;
	struct rd r;

	buf_fixed(&b, body, sizeof(body));
	store_query_put(&b, &q, false);
	uint16_t error = ask(s, W_GET, W_BLOB, &b, &m);

	if (error)
		return error;
	rd_init(&r, m.p + 2, m.len - 2);
	*blob = rd_str32(&r);
	assert_true(rd_end(&r));
	return 0;
}

static inline uint16_t get_num(struct peer *s, enum store_table table, uint32_t n, size_t *size)
{
	uint8_t key[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	struct bytes blob;
	uint16_t error = get(s, table, key, 4, &blob);

	if (error)
		return error;
	assert_true(blob.len >= 4);
	assert_int_equal(le32_load(blob.p), n);
	*size = blob.len - 4;
	return 0;
}

/* Number of items after key, in pages of max bytes; -1 - error when it fails. */
static inline long scan(struct peer *s, enum store_table table, uint32_t max, unsigned *pages)
{
	uint8_t last[64], body[128];
	struct bytes after = {last, 0};
	long total = 0;

	for (*pages = 1;; ++*pages) {
		struct store_query q = {.table = (uint8_t)table, .key = after, .max = max};
		struct wire_msg m;
		struct buf b;
		struct rd r;

		buf_fixed(&b, body, sizeof(body));
		store_query_put(&b, &q, true);
		uint16_t error = ask(s, W_SCAN, W_ITEMS, &b, &m);

		if (error)
			return -1 - error;
		rd_init(&r, m.p + 2, m.len - 2);
		uint8_t more = rd_u8(&r);
		uint32_t n = rd_u32(&r);

		assert_true(n || !more);
		for (uint32_t i = 0; i < n; i++, total++) {
			struct bytes key = rd_str8(&r), blob = rd_str32(&r);

			assert_false(r.bad);
			assert_in_range(key.len, 1, 64);
			assert_true(blob.len <= STORE_BLOB_MAX);
			int c = memcmp(key.p, last, key.len < after.len ? key.len : after.len);

			assert_true(c > 0 || (c == 0 && key.len > after.len));
			memcpy(last, key.p, key.len);
			after.len = key.len;
		}
		assert_true(rd_end(&r));
		if (!more)
			return total;
	}
}

/* ---- directories ---- */

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static inline int fresh(void **state)
{
	char name[] = "/tmp/test_store-XXXXXX";

	(void)state;
	if (!mkdtemp(name))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/data", name);
	return 0;
}

static inline int clean(void **state)
{
	(void)state;
	*strrchr(dir, '/') = 0;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void in_dir(char out[static 128], const char *name)
{
	(void)snprintf(out, 128, "%s/%s", dir, name);
}

static inline unsigned mode_of(const char *name)
{
	char path[128];
	struct stat st;

	in_dir(path, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static inline void delete_some(struct peer *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		uint8_t key[4] = {0, 0, (uint8_t)(i >> 8), (uint8_t)i};
		struct buf b;

		txn(&b);
		store_txn_del(&b, STORE_RECORD, key, 4);
		/* Administration writes as it deletes. */
		num_put(&b, STORE_AUDIT, i, 200, 2);
		assert_int_equal(commit(s, &b), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

#endif
