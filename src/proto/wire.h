/* Frames between the processes of the service: front, store and launcher to
 * keyd, over SOCK_SEQPACKET pairs. A packet carries whole fragments; a message
 * is one or more fragments with the same type and tag, MORE set on all but the
 * last, not interleaved with others on the same socket.
 *
 *   fragment: u32 length, u8 type, u8 flags, u16 zero, u64 tag, bytes
 *
 * Anything else closes the channel (docs/PROTOCOL.md, "Between the processes"). */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define WIRE_HEAD 16
#define WIRE_PACKET 65536	/* largest packet in bytes */
#define WIRE_MESSAGE (9u << 20) /* largest message after joining, in bytes */
#define WIRE_MORE 1

enum wire_type {
	/* front to keyd */
	W_OPEN = 1,   /* session opening: bytes of the NATS message */
	W_SEALED = 2, /* caller NKey (32), bytes of the NATS message */
	W_PLAIN = 3,  /* caller NKey (32), request_encode'd request */
	/* keyd to front */
	W_REPLY = 16, /* u16 error; u8 mode used; on error text, else reply bytes */
	W_HELLO = 17, /* struct hello, on lane 0; again whenever it changes */
	/* keyd to store */
	W_TXN = 32,  /* u32 n, n x {u8 kind, u8 table, str8 key, [put: str32 blob]} */
	W_GET = 33,  /* u8 table, str8 key */
	W_SCAN = 34, /* u8 table, str8 after-key (empty: from the start), u32 max bytes */
	W_STAT = 35, /* (nothing) */
	/* store to keyd; first u16 error, then on error text, else: */
	W_DONE = 48,  /* (nothing) */
	W_BLOB = 49,  /* str32 blob; error NOT_FOUND when there is none */
	W_ITEMS = 50, /* u8 more, u32 n, n x {str8 key, str32 blob} */
	W_SIZES = 51, /* u64 map bytes, u64 used bytes, u64 records */
	/* launcher to keyd */
	W_CONFIG = 64,	 /* struct keyd_config (proto/control.h), once, first */
	W_FRONT = 65,	 /* file descriptors of the lanes, lane 0 first */
	W_STORE = 66,	 /* file descriptor of the store */
	W_ANCHORED = 67, /* u16 error, text: the anchor with this tag is (not) durable */
	W_STOP = 68,	 /* flush and exit */
	/* keyd to launcher */
	W_STATUS = 80,	  /* struct hello: state changed or first known */
	W_ANCHOR = 81,	  /* bytes of the anchor file; tag is answered by ANCHORED */
	W_FRONT_BAD = 82, /* text: kill and restart the front */
	W_STORE_BAD = 83, /* text: kill and restart the store */
	W_LOCKED = 84,	  /* lock was asked: keyd exits now, no stored secret reopens it */
	W_UNLOCKED = 85,  /* an administrator unlocked: stored secrets count again */
};

/* Front to launcher, on a channel of its own: packets of three bytes, so that the launcher
 * parses nothing that a captured front could have made: enum wire_link, then why (u16 enum
 * err_code, 0: not known yet), of which it shows the table's name. */
enum wire_link { LINK_DOWN = 0, LINK_UP = 1 };
#define LINK_LEN 3

/* Appends one message to a buffer of fragments that wire_send cuts into packets.
 * Fragments are laid out so that each packet of at most WIRE_PACKET bytes holds
 * whole ones. Too large a message sets b->bad. */
void wire_put(struct buf *b, enum wire_type type, uint64_t tag, const void *p, size_t n);
/* The same in two halves, for callers that build a small message in place (at
 * most WIRE_PACKET - WIRE_HEAD bytes): begin, append, end. */
size_t wire_begin(struct buf *b, enum wire_type type, uint64_t tag);
void wire_end(struct buf *b, size_t at);

/* Sends all fragments of b in as few packets as they fit in, then resets b.
 * Blocks (EAGAIN is waited for). Errors: IO. */
int wire_send(int fd, struct buf *b, struct err *e);
/* The same to a side that may not read: TIMEOUT when there was too little room for ms,
 * counted from the first wait for all packets together: dripping gains nothing.
 * A message may be cut then; the channel is of no use any more. */
int wire_send_for(int fd, struct buf *b, int ms, struct err *e);

/* A joined message: valid until the next call on the same reader. */
struct wire_msg {
	enum wire_type type;
	uint64_t tag;
	const uint8_t *p;
	size_t len;
};

struct wire_reader {
	uint8_t *packet; /* WIRE_PACKET bytes */
	struct rd rd;	 /* rest of the packet */
	struct buf join; /* fragments of an unfinished message */
	uint64_t join_tag;
	uint8_t join_type;
	bool joining;
	size_t max; /* largest message */
};

/* max: largest joined message in bytes, at most WIRE_MESSAGE. secret: what was
 * read is wiped from the reader's memory. Errors: NOMEM. */
int wire_reader_init(struct wire_reader *r, size_t max, bool secret, struct err *e);
void wire_reader_free(struct wire_reader *r);

/* Receives one packet. 1: a packet is there; 0: end of file; -1: IO. With fds
 * not NULL, at most *nfds descriptors are taken along and *nfds says how many. */
int wire_recv(struct wire_reader *r, int fd, int *fds, unsigned *nfds, struct err *e);
/* Next message of the packet: 1 with *m, 0 when the packet is used up, -1 with
 * BAD_FRAME for anything malformed. */
int wire_next(struct wire_reader *r, struct wire_msg *m, struct err *e);

/* Sends one small message with descriptors (SCM_RIGHTS). */
int wire_send_fds(int fd, enum wire_type type, uint64_t tag, const void *p, size_t n,
		  const int *fds, unsigned nfds, struct err *e);

#endif
