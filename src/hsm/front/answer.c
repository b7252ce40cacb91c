#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "hsm/front/front.h"
#include "proto/session.h"

#define TEXT_MAX 200 /* bytes of an error text */

static void count(struct front *f, enum endpoint ep, uint64_t since, uint64_t now)
{
	struct endpoint_stats *s = &f->stats[ep];

	atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->ns, now > since ? now - since : 0, memory_order_relaxed);
}

/* Texts may quote what a caller sent: outside they are printable ASCII. */
static void printable(char out[static TEXT_MAX], const char *text)
{
	size_t i;

	for (i = 0; i + 1 < TEXT_MAX && text[i]; i++)
		out[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	out[i] = '\0';
}

static void count_error(struct front *f, enum endpoint ep, const struct err *e)
{
	char text[TEXT_MAX];

	printable(text, e->text);
	atomic_fetch_add_explicit(&f->stats[ep].errors, 1, memory_order_relaxed);
	pthread_mutex_lock(&f->mu);
	(void)snprintf(f->last_error[ep], sizeof(f->last_error[ep]), "%d:%s",
		       err_row(e->code)->http, text);
	pthread_mutex_unlock(&f->mu);
}

/* The last message of a batch is sent, which takes the others along in one write: a
 * lone reply leaves at once, a load leaves in batches. */
static natsStatus publish(struct front *f, const char *reply, const void *p, size_t n, bool more)
{
	return (more ? natsConnection_Publish : natsConnection_Send)(f->nc, reply, p, (int)n);
}

static natsStatus publish_msg(struct front *f, natsMsg *msg, bool more)
{
	return (more ? natsConnection_PublishMsg : natsConnection_SendMsg)(f->nc, msg);
}

/* A message with up to three headers; value NULL: no such header. */
static natsStatus publish_headers(struct front *f, const char *reply, const struct buf *body,
				  const char *const h[3][2], bool more)
{
	natsMsg *msg = NULL;
	natsStatus s = natsMsg_Create(&msg, reply, NULL, (const char *)body->p, (int)body->len);

	for (unsigned i = 0; i < 3 && s == NATS_OK; i++)
		if (h[i][1])
			s = natsMsgHeader_Set(msg, h[i][0], h[i][1]);
	if (s == NATS_OK)
		s = publish_msg(f, msg, more);
	natsMsg_Destroy(msg);
	return s;
}

static void send_error(struct front *f, const struct pending *q, const struct plain_call *call,
		       const struct err *e, bool more)
{
	const struct err_row *row = err_row(e->code);
	char http[12], text[TEXT_MAX];
	CLEAN(buf) struct buf body = {0};

	(void)snprintf(http, sizeof(http), "%d", row->http);
	printable(text, e->text);
	buf_init(&body, 8192);
	if (q->ep != EP_PLAIN)
		session_refusal_put(&body, (uint16_t)e->code, text);
	else if (call)
		plain_error(call, e, &body);
	const char *const headers[3][2] = {
		{HDR_ERROR_CODE, http},
		{HDR_ERROR_TEXT, text},
		{HDR_ERROR_NAME, row->name},
	};

	if (publish_headers(f, q->reply, &body, headers, more) != NATS_OK)
		front_drop(f, DROP_PUBLISH);
}

void answer_error(struct front *f, const struct pending *q, const struct plain_call *call,
		  const struct err *e)
{
	count(f, q->ep, q->since, front_ticks());
	count_error(f, q->ep, e);
	send_error(f, q, call, e, false);
}

/* Sets e to the error that keyd gave. */
static void keyd_error(struct err *e, const struct answer *a)
{
	err_set(e, (enum err_code)a->error, "%.*s", (int)(a->len < TEXT_MAX ? a->len : TEXT_MAX),
		(const char *)a->p);
	if (err_row(a->error)->wire != a->error)
		e->code = ERR_INTERNAL;
	if (!e->text[0])
		err_set(e, e->code, NULL);
}

static natsStatus plain_answer(struct front *f, const struct pending *q, const struct answer *a,
			       struct err *e)
{
	const char *const headers[3][2] = {{HDR_MODE, plain_mode(a->mode)}};
	CLEAN(buf) struct buf body = {0};

	buf_init(&body, (size_t)FRONT_MESSAGE_MAX);
	if (plain_result(q->plain, (enum err_code)a->error, a->mode, a->p, a->len, &body, e))
		return NATS_ERR;
	return publish_headers(f, q->reply, &body, headers, a->more);
}

void answer_request(struct front *f, const struct pending *q, const struct answer *a)
{
	struct err e = {0};
	natsStatus s = NATS_OK;

	count(f, q->ep, q->since, a->now);
	if (a->error && !(a->error == ERR_NOT_VERIFIED && q->ep == EP_PLAIN))
		keyd_error(&e, a);
	else if (q->ep == EP_PLAIN)
		s = plain_answer(f, q, a, &e);
	else
		s = publish(f, q->reply, a->p, a->len, a->more);
	if (s == NATS_MAX_PAYLOAD)
		err_set(&e, ERR_TOO_LARGE, "the reply is larger than the NATS server takes");
	if (e.code) {
		count_error(f, q->ep, &e);
		send_error(f, q, q->plain, &e, a->more);
	} else if (s != NATS_OK) {
		front_drop(f, DROP_PUBLISH);
	}
	free(q->plain);
}

void answer_log_drops(struct front *f)
{
	static const char *const texts[DROP_COUNT] = {
		[DROP_NO_REPLY] = "messages without a reply subject were dropped",
		[DROP_BAD_REPLY] = "messages whose reply subject is no inbox were dropped",
		[DROP_SUBJECT] = "messages on subjects of nobody were dropped",
		[DROP_PUBLISH] = "replies could not be published",
	};

	for (unsigned i = 0; i < DROP_COUNT; i++) {
		uint64_t n = atomic_exchange_explicit(&f->drops[i], 0, memory_order_relaxed);

		if (!n)
			continue;
		log_warn(texts[i], "count", LOG_NUM(n));
		/* connected, and yet mute: so an INFO that takes back what the first one said
		 * (max_payload, headers) leaves us. The next connection begins anew. */
		if (i == DROP_PUBLISH && natsConnection_Status(f->nc) == NATS_CONN_STATUS_CONNECTED)
			(void)natsConnection_Reconnect(f->nc);
	}
}
