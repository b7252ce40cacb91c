/* hsm-store: killed at any moment it keeps what it acknowledged; a damaged file gives
 * one clear error, or is served, and never hangs. */
#include "unit/store_peer.h"

/* ---- kill -9 ---- */

/* Transactions i = from, from + 1, …: two records each, until the kill. Returns the
 * number after the last one that was acknowledged. */
static uint32_t write_until_killed(struct peer *s, uint32_t from, unsigned after)
{
	uint32_t next = from, acked = from;
	struct wire_msg m;

	while (acked - from < after) {
		for (; next < acked + 8; next++) {
			struct buf b;

			txn(&b);
			num_put(&b, STORE_RECORD, next, 50 + next % 5000, 3);
			num_put(&b, STORE_AUDIT, next, 100, 4);
			send_msg(s, W_TXN, &b);
			buf_free(&b);
		}
		assert_int_equal(wire_send(s->fd, &s->out, NULL), 0);
		assert_true(receive(s, &m));
		assert_int_equal(error_of(&m), 0);
		acked++;
	}
	kill(s->pid, SIGKILL);
	/* What was answered before the kill counts too. */
	while (receive(s, &m))
		acked++;
	return acked;
}

static void test_kill(void **state)
{
	uint32_t have = 0;
	struct peer s;
	size_t size;

	(void)state;
	srand(7);
	for (unsigned round = 0; round < 40; round++) {
		start(&s);
		uint32_t acked = write_until_killed(&s, have, (unsigned)rand() % 40);

		assert_int_equal(stop(&s), -SIGKILL);
		start(&s);
		for (uint32_t i = round % 4 ? have : 0; i < acked; i++) {
			assert_int_equal(get_num(&s, STORE_RECORD, i, &size), 0);
			assert_int_equal(size, 50 + i % 5000);
			assert_int_equal(get_num(&s, STORE_AUDIT, i, &size), 0);
		}
		/* Unacknowledged ones are there as a whole or not at all. */
		for (have = acked; get_num(&s, STORE_RECORD, have, &size) == 0; have++)
			assert_int_equal(get_num(&s, STORE_AUDIT, have, &size), 0);
		assert_int_equal(get_num(&s, STORE_AUDIT, have, &size), ERR_NOT_FOUND);
		assert_int_equal(stop(&s), 0);
	}
}

/* ---- damage ---- */

static void make_sample(struct buf *out)
{
	char path[128];
	struct peer s;

	start(&s);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(put_num(&s, STORE_BOOT + i % 3, i, i % 10 == 0 ? 9000 : 150), 0);
	delete_some(&s, 40, 60);
	assert_int_equal(stop(&s), 0);
	buf_init(out, 64u << 20);
	in_dir(path, "data.mdb");
	assert_int_equal(file_read(path, out, NULL), 0);
}

/* Uses what is there as keyd does; what comes back must be an answer or an end. */
static void use(struct peer *s)
{
	unsigned pages;

	for (int t = STORE_BOOT; t <= STORE_AUDIT; t++)
		if (scan(s, t, 64 << 10, &pages) < 0)
			return;
	for (uint32_t i = 0; i < 20; i++) {
		uint16_t error = put_num(s, STORE_RECORD, 5000 + i, i * 300);

		if (error == NO_ANSWER)
			return;
	}
}

static void damage(struct buf *b, unsigned round)
{
	size_t page = 4096, pages = b->len / page;

	switch (round % 5) {
	case 0: /* one byte anywhere */
		b->p[(size_t)rand() % b->len] ^= (uint8_t)(1 + rand() % 255);
		break;
	case 1: /* some bytes in the heads */
		for (int i = 0; i < 4; i++)
			b->p[(size_t)(rand() % 2) * page + (size_t)rand() % 160] = (uint8_t)rand();
		break;
	case 2: /* heads of pages */
		for (int i = 0; i < 10; i++)
			b->p[(size_t)rand() % pages * page + (size_t)rand() % 64] = (uint8_t)rand();
		break;
	case 3: /* a page of noise */
		for (size_t i = 0, at = (size_t)rand() % pages * page; i < page; i++)
			b->p[at + i] = (uint8_t)rand();
		break;
	case 4: /* cut off */
		b->len = (size_t)rand() % b->len;
		break;
	}
}

static void test_damage(void **state)
{
	unsigned refused = 0, served = 0, died = 0;
	const int damaged = err_row(ERR_STORE_DAMAGED)->exit;
	CLEAN(buf) struct buf good = {0};
	char path[128], lock[128];

	(void)state;
#ifdef SANITIZE
	skip(); /* LMDB may die here, and the sanitizer is not the handler */
#endif
	make_sample(&good);
	in_dir(path, "data.mdb");
	in_dir(lock, "lock.mdb");
	srand(42);
	for (unsigned round = 0; round < 250; round++) {
		CLEAN(buf) struct buf b = {0};
		struct peer s;

		buf_init(&b, good.len);
		buf_put(&b, good.p, good.len);
		damage(&b, round);
		assert_int_equal(file_replace(path, b.p, b.len, 0600, NULL), 0);
		start_map(&s, 64);
		if (s.hello == ERR_OK)
			use(&s);
		int hello = s.hello, status = stop(&s);

		if (hello == ERR_OK && status == 0) {
			served++;
		} else if (hello == ERR_OK && status == damaged) {
			died++;
		} else {
			/* One clear error, and the status that says the same. */
			if ((hello != ERR_STORE_DAMAGED && hello != ERR_STORE_NEWER) ||
			    status != damaged)
				fail_msg("round %u: first word %d, exit %d", round, hello, status);
			refused++;
		}
	}
	print_message("# damaged files: %u refused, %u served, %u ended later\n", refused, served,
		      died);
	assert_true(refused > 80);
	assert_true(served > 10);
}

/* The file shrinks while it is in use. */
static void test_cut_while_open(void **state)
{
	const int damaged = err_row(ERR_STORE_DAMAGED)->exit;
	CLEAN(buf) struct buf good = {0};
	char path[128];
	unsigned pages;
	struct peer s;

	(void)state;
#ifdef SANITIZE
	skip();
#endif
	make_sample(&good);
	start(&s);
	in_dir(path, "data.mdb");
	assert_int_equal(truncate(path, 8192), 0);
	assert_int_equal(scan(&s, STORE_RECORD, 1000, &pages), -1 - ERR_STORE_DAMAGED);
	assert_int_equal(stop(&s), damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kill),
		TEST(test_damage),
		TEST(test_cut_while_open),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
