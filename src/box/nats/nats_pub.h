/* What publishing one message and publishing a batch share. */
#ifndef BOX_NATS_NATS_PUB_H
#define BOX_NATS_NATS_PUB_H

#include "box/nats/nats.h"

/* Messages that are stored together. Start with {0}. */
struct pub_batch {
	natsMsg **v;
	size_t n, bytes;
};

void pub_batch_free(struct pub_batch *b);
static inline void cleanup_pub_batch(struct pub_batch *b)
{
	pub_batch_free(b);
}
/* Takes m over on success. TOO_LARGE. */
int pub_batch_add(struct pub_batch *b, natsMsg *m, bool quiet, struct err *e);
/* Sends all of them and waits for the stream's word. Errors: NOT_FOUND, WRONG_STATE (the
 * stream takes no batches), TIMEOUT; then nothing is stored. */
int pub_batch_send(struct cli *c, struct pub_batch *b, bool quiet, struct err *e);
/* An acknowledgement of JetStream that is none, or an error, as an error. */
int pub_ack_err(const json_t *ack, struct err *e);

#endif
