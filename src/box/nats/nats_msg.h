/* Messages: made from words and templates, read from stdin, shown. For pub, req, reply,
 * sub and what shows messages of streams. */
#ifndef BOX_NATS_NATS_MSG_H
#define BOX_NATS_NATS_MSG_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "ui/cli.h"

/* Where bodies come from: the operand, or stdin, whole or line by line. */
struct msg_source {
	bool use_stdin; /* no body was given, and there is something to read or to type */
	bool lines;	/* --send-on newline */
	bool templates; /* not --no-templates */
	bool done;
	struct buf body;
};

/* Looks at operand i (the body), --force-stdin, --send-on and --templates. */
int msg_source_init(struct msg_source *s, struct cli *c, int i, struct err *e);
/* Next body into s->body: 1, 0 at the end, -1. With use_stdin it may be called again. */
int msg_source_next(struct msg_source *s, struct err *e);
static inline void cleanup_msg_source(struct msg_source *s)
{
	buf_free(&s->body);
}

/* A message with templates filled in in subject and body (when templates), and in the
 * values of the -H options. count: {{Count}}. What a template does wrong in body or
 * subject is logged and sent as it is; in a header it is an error. */
int msg_make(natsMsg **out, struct cli *c, const char *subject, const char *reply,
	     const struct buf *body, bool templates, long long count, struct err *e);
/* Adds the headers "K:V" of option --header. request: for {{Request}}, or NULL. */
int msg_headers(natsMsg *m, struct cli *c, long long count, struct err *e);

/* Subjects and wildcards: whether one may be published to, or subscribed to. USAGE. */
int msg_subject_ok(const char *subject, bool wildcards, struct err *e);
/* Whether a subject fits a pattern with * and >. */
bool msg_subject_match(const char *pattern, const char *subject);

/* Calls f for each header value. */
void msg_each_header(natsMsg *m, void (*f)(void *arg, const char *key, const char *value),
		     void *arg);
bool msg_has_headers(natsMsg *m);
/* Value of a header, "" without. */
const char *msg_header(natsMsg *m, const char *key);
/* The last value: a server puts its own headers behind those that a stored message came
 * with, which may have the same names. */
const char *msg_header_last(natsMsg *m, const char *key);
/* The status that a server's own message carries ("404"), "" for any other: a stored
 * message may have a header of that name too, but comes with its sequence or an address
 * for its acknowledgement. */
const char *msg_status(natsMsg *m);
/* "K: V" lines and an empty line on stdout; nothing without headers. */
void msg_print_headers(natsMsg *m);
/* The body on stdout as natscli shows it: "nil body" when empty, a newline at the end;
 * spaced: two empty lines follow. */
void msg_print_body(const void *p, size_t n, bool spaced);
/* What a JetStream message's reply subject ($JS.ACK.…) tells. */
struct msg_meta {
	char stream[256], consumer[256];
	uint64_t delivered, stream_seq, consumer_seq, pending;
	int64_t time_ns;
};
/* False when reply is none. */
bool msg_meta(const char *reply, struct msg_meta *m);

/* The message as the JSON that natscli dumps: Subject, Reply, Header, Data (base64). */
int msg_dump(natsMsg *m, struct buf *out, struct err *e);

#endif
