#include "hsm/store/serve.h"

#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/store.h"
#include "proto/wire.h"

/* Waiting transactions: u64 tag, str32 body each. */
#define GROUP_MAX (2 * WIRE_MESSAGE)

struct server {
	int fd;
	struct db *db;
	struct wire_reader reader;
	struct buf out, body, group;
};

static void cleanup_server(struct server *s)
{
	wire_reader_free(&s->reader);
	buf_free(&s->out);
	buf_free(&s->body);
	buf_free(&s->group);
}

static void put_error(struct buf *b, const struct err *e)
{
	buf_u16(b, (uint16_t)e->code);
	if (e->code != ERR_OK)
		buf_put(b, e->text, strlen(e->text));
}

void serve_hello(int fd, const struct err *e)
{
	uint8_t body[2 + sizeof(e->text)], frame[WIRE_HEAD + sizeof(body)];
	struct buf b, out;

	buf_fixed(&b, body, sizeof(body));
	put_error(&b, e);
	buf_fixed(&out, frame, sizeof(frame));
	wire_put(&out, W_DONE, 0, b.p, b.len);
	(void)wire_send(fd, &out, NULL);
}

static void answer(struct server *s, enum wire_type type, uint64_t tag, const struct err *e)
{
	if (e->code != ERR_OK) {
		buf_reset(&s->body);
		put_error(&s->body, e);
	}
	wire_put(&s->out, type, tag, s->body.p, s->body.len);
}

static bool next_waiting(struct rd *r, uint64_t *tag, struct bytes *body)
{
	if (r->left == 0)
		return false;
	*tag = rd_u64(r);
	*body = rd_str32(r);
	return true;
}

static void done(struct server *s, uint64_t tag, const struct err *e)
{
	buf_reset(&s->body);
	put_error(&s->body, e);
	answer(s, W_DONE, tag, e);
}

/* All or none of what waits, in one commit. */
static int commit_together(struct server *s, struct err *e)
{
	struct bytes body;
	uint64_t tag;
	struct rd r;

	rd_init(&r, s->group.p, s->group.len);
	while (next_waiting(&r, &tag, &body))
		if (db_apply(s->db, body.p, body.len, e) < 0)
			return -1;
	return db_commit(s->db, e);
}

/* Commits what waits. When that fails, each alone: one that does not fit must not take
 * the others with it. -1: nobody knows what is on the disk, and no answer is right. */
static int flush(struct server *s, struct err *e)
{
	struct err ok = {.code = ERR_OK}, one;
	struct bytes body;
	uint64_t tag;
	struct rd r;

	if (s->group.len == 0)
		return 0;
	bool together = commit_together(s, e) == 0;

	rd_init(&r, s->group.p, s->group.len);
	while (!db_fatal(s->db) && next_waiting(&r, &tag, &body)) {
		if (together || db_alone(s->db, body.p, body.len, &one) == 0) {
			done(s, tag, &ok);
		} else {
			done(s, tag, &one);
			*e = one;
		}
	}
	buf_reset(&s->group);
	return db_fatal(s->db) ? -1 : 0;
}

static int on_txn(struct server *s, const struct wire_msg *m, struct err *e)
{
	struct store_txn t;
	struct err bad;

	if (store_txn_open(&t, NULL, m->p, m->len, &bad) < 0) {
		done(s, m->tag, &bad);
		return 0;
	}
	if (s->group.len + 12 + m->len > GROUP_MAX && flush(s, e) < 0)
		return -1;
	buf_u64(&s->group, m->tag);
	buf_str32(&s->group, m->p, m->len);
	return s->group.bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static void read_sizes(struct server *s, struct err *e)
{
	struct db_sizes sizes;

	if (db_sizes(s->db, &sizes, e) < 0)
		return;
	buf_u64(&s->body, sizes.map);
	buf_u64(&s->body, sizes.used);
	buf_u64(&s->body, sizes.records);
}

/* A read sees every transaction before it. */
static int on_read(struct server *s, const struct wire_msg *m, enum wire_type reply, struct err *e)
{
	struct err result = {.code = ERR_OK};
	struct store_query q;

	if (flush(s, e) < 0)
		return -1;
	buf_reset(&s->body);
	buf_u16(&s->body, ERR_OK);
	if (m->type == W_STAT) {
		if (m->len)
			err_set(&result, ERR_BAD_REQUEST, "malformed query");
		else
			read_sizes(s, &result);
	} else if (store_query_get(&q, m->type == W_SCAN, m->p, m->len, &result) == 0) {
		if (m->type == W_SCAN) {
			db_scan(s->db, &q, &s->body, &result);
		} else {
			uint8_t *len = buf_space(&s->body, 4);

			if (len && db_get(s->db, &q, &s->body, &result) == 0)
				le32_store(s->body.p + 2, (uint32_t)(s->body.len - 6));
		}
	}
	answer(s, reply, m->tag, &result);
	return 0;
}

static int on_message(struct server *s, const struct wire_msg *m, struct err *e)
{
	switch (m->type) {
	case W_TXN:
		return on_txn(s, m, e);
	case W_GET:
		return on_read(s, m, W_BLOB, e);
	case W_SCAN:
		return on_read(s, m, W_ITEMS, e);
	case W_STAT:
		return on_read(s, m, W_SIZES, e);
	default:
		return err_set(e, ERR_BAD_FRAME, "unknown request %u on the channel", m->type);
	}
}

static bool more_waits(int fd)
{
	struct pollfd pf = {.fd = fd, .events = POLLIN};

	return poll(&pf, 1, 0) > 0;
}

int serve(int fd, struct db *db, struct err *e)
{
	CLEAN(server) struct server s = {.fd = fd, .db = db};
	struct wire_msg m;
	int rc;

	buf_init(&s.out, 2 * WIRE_MESSAGE);
	buf_init(&s.body, WIRE_MESSAGE);
	buf_init(&s.group, GROUP_MAX + 16);
	if (wire_reader_init(&s.reader, WIRE_MESSAGE, false, e) < 0)
		return -1;
	while ((rc = wire_recv(&s.reader, fd, NULL, NULL, e)) > 0) {
		while ((rc = wire_next(&s.reader, &m, e)) > 0)
			if (on_message(&s, &m, e) < 0)
				return -1;
		if (rc < 0)
			return -1;
		if (s.group.len && more_waits(fd))
			continue;
		if (flush(&s, e) < 0)
			return -1;
		if (s.out.len && wire_send(fd, &s.out, e) < 0)
			return -1;
	}
	return rc;
}
