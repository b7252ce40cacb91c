/* Subjects from outside, read strictly: the broker is assumed hostile, so nothing
 * is taken for granted because a subscription matched. */
#ifndef HSM_FRONT_SUBJECT_H
#define HSM_FRONT_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/op.h"

#define REPLY_MAX 256 /* longest reply subject that is answered, with its NUL */

#define SUBJECT_OPEN "hsm.open." /* + identity "X…" */
#define SUBJECT_SESSION "hsm.i." /* + instance in hex + "." + caller NKey */
#define SUBJECT_PLAIN "hsm.as."	 /* + caller NKey + "." + form + key's tokens */
#define SUBJECT_PLAIN_ALL "hsm.as.>"
#define QUEUE_GROUP "hsm"

/* Length of a reply subject that may be published to, else 0: it begins with _INBOX.
 * or _R_., has no wildcard, space, control byte or empty token, and is shorter than
 * REPLY_MAX. Without this a caller lets the service publish requests as somebody else.
 * NULL gives 0. */
size_t subject_reply_ok(const char *reply);

/* False when the inbox is that of another user (`_INBOX.<U…>.`, as nats-config gives
 * one to each): a caller does not put bytes there in the service's name. Other inbox
 * names are the broker's to guard. subject is of SUBJECT_SESSION or SUBJECT_PLAIN. */
bool subject_inbox_own(const char *subject, const char *reply);

/* Raw key of the caller of a session message. Errors: BAD_NKEY, WRONG_NKEY,
 * BAD_FRAME for any other subject. */
int subject_caller(uint8_t nkey[static 32], const char *subject, struct err *e);

struct plain_subject {
	uint8_t nkey[32];
	enum op op;
	bool json;	 /* the reply is JSON, also when it is an error */
	const char *key; /* tail of the subject, "" when there is none */
};
/* Errors: BAD_NKEY, WRONG_NKEY, UNKNOWN_OP, BAD_NAME; json is set as far as known. */
int subject_plain(struct plain_subject *s, const char *subject, struct err *e);

#endif
