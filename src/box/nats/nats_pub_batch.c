/* nats publish --atomic: lines of stdin as one batch that a stream takes as a whole or not
 * at all (ADR-50). */
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "box/nats/nats_pub.h"
#include "crypto/crypto.h"

#define BYTES_MAX ((size_t)256 << 20)
#define ACK_EVERY 100 /* messages in flight: the server must not fall behind */

void pub_batch_free(struct pub_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		natsMsg_Destroy(b->v[i]);
	free(b->v);
	memset(b, 0, sizeof(*b));
}

int pub_batch_add(struct pub_batch *b, natsMsg *m, bool quiet, struct err *e)
{
	size_t n = (size_t)natsMsg_GetDataLength(m) + 512;
	natsMsg **bigger = b->v;

	/* What a server takes is less (1,000 messages by default); it says so itself. */
	if (n > BYTES_MAX - b->bytes)
		return err_set(e, ERR_TOO_LARGE, "the batch is larger than %zu MB",
			       BYTES_MAX >> 20);
	if ((b->n & (b->n - 1)) == 0)
		bigger = reallocarray(b->v, b->n ? b->n * 2 : 1, sizeof(natsMsg *));
	if (!bigger)
		return err_set(e, ERR_NOMEM, NULL);
	b->v = bigger;
	if (!quiet) {
		const char *subject = natsMsg_GetSubject(m);
		CLEAN(free) char *quoted = nats_quote(subject, strlen(subject));

		nats_log("Adding %d bytes to batch on subject %s", natsMsg_GetDataLength(m),
			 quoted ? quoted : "?");
	}
	b->bytes += n;
	b->v[b->n++] = m;
	return 0;
}

/* The stream that takes the subject, and whether it takes batches. */
static int check_stream(struct cli *c, const char *subject, struct err *e)
{
	CLEAN(json) json_t *account = NULL, *names = NULL, *info = NULL;

	if (nats_js_request(c, NULL, &account, e, "INFO"))
		return -1;
	if (jint(account, "api.level") < 2)
		return err_set(e, ERR_UNAVAILABLE,
			       "Atomic Batch Publishing requires NATS Server 2.12");
	if (nats_js_request(c, json_pack("{s:s}", "subject", subject), &names, e, "STREAM.NAMES"))
		return -1;
	const char *stream =
		json_string_value(json_array_get(json_object_get(names, "streams"), 0));

	if (!stream)
		return err_set(e, ERR_NOT_FOUND, "nats: no stream matches subject");
	if (nats_js_request(c, NULL, &info, e, "STREAM.INFO.%s", stream))
		return -1;
	if (!jbool(info, "config.allow_atomic"))
		return err_set(e, ERR_WRONG_STATE,
			       "atomic publishing is not allowed for stream %.80s with subject "
			       "%.80s",
			       stream, subject);
	return 0;
}

/* Message i with the headers of a batch. *ack: the answer of the last one. */
static int send_one(struct cli *c, const struct pub_batch *b, size_t i, const char *id,
		    json_t **ack, struct err *e)
{
	struct nats_run *r = run_of(c);
	CLEAN(msg) natsMsg *reply = NULL;
	bool last = i == b->n - 1;
	char number[24];
	natsStatus s;

	(void)snprintf(number, sizeof(number), "%zu", i + 1);
	s = natsMsgHeader_Set(b->v[i], "Nats-Batch-Id", id);
	if (s == NATS_OK)
		s = natsMsgHeader_Set(b->v[i], "Nats-Batch-Sequence", number);
	if (s == NATS_OK && last)
		s = natsMsgHeader_Set(b->v[i], "Nats-Batch-Commit", "1");
	if (s == NATS_OK && !last && i % ACK_EVERY)
		return conn_err(e, natsConnection_PublishMsg(r->nc, b->v[i]), "nats");
	if (s == NATS_OK)
		s = natsConnection_RequestMsg(&reply, r->nc, b->v[i], r->timeout_ms);
	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS, "nats: no response from stream");
	if (s == NATS_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "nats: timeout");
	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	/* Within a batch an empty message is the acknowledgement. */
	if (!last && natsMsg_GetDataLength(reply) == 0)
		return 0;
	CLEAN(json) json_t *j = nats_msg_json(reply, 0);

	if (pub_ack_err(j, e))
		return -1;
	if (!last)
		return err_set(e, ERR_BAD_JSON,
			       "the stream stored a message before the batch "
			       "was complete");
	*ack = STEAL(j);
	return 0;
}

int pub_batch_send(struct cli *c, struct pub_batch *b, bool quiet, struct err *e)
{
	CLEAN(json) json_t *ack = NULL;
	char id[ENC_HEX_LEN(11)];
	uint8_t raw[11];

	if (!b->n)
		return err_set(e, ERR_BAD_INPUT, "stdin has no line: an empty batch is none");
	if (check_stream(c, natsMsg_GetSubject(b->v[0]), e))
		return -1;
	crypto_random(raw, sizeof(raw));
	enc_hex(id, raw, sizeof(raw));
	for (size_t i = 0; i < b->n; i++)
		if (send_one(c, b, i, id, &ack, e))
			return -1;
	/* A server that knows no batches stores the last message and says nothing of one. */
	if (jint(ack, "count") != (int64_t)b->n)
		return err_set(e, ERR_BAD_JSON, "the stream stored %lld of %zu messages",
			       (long long)jint(ack, "count"), b->n);
	if (quiet)
		return 0;
	nats_log("Wrote batch ID: %s Messages: %s Sequence: %s%s%s%s%s%s", jstr(ack, "batch"),
		 COMMA(jint(ack, "count")), COMMA(jint(ack, "seq")),
		 *jstr(ack, "domain") ? " Domain: \"" : "", jstr(ack, "domain"),
		 *jstr(ack, "domain") ? "\"" : "", *jstr(ack, "val") ? " Counter Value: " : "",
		 jstr(ack, "val"));
	return 0;
}
