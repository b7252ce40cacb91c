#include "hsm/front/subject.h"

#include <string.h>

#include "nkey/nkey.h"
#include "proto/control.h"

#define NKEY_CHARS (NKEY_PUB_LEN - 1)
#define INSTANCE_CHARS (2 * INSTANCE_LEN)

static size_t prefix_len(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? n : 0;
}

size_t subject_reply_ok(const char *reply)
{
	char before = '.';
	size_t n;

	if (!reply || !(prefix_len(reply, "_INBOX.") || prefix_len(reply, "_R_.")))
		return 0;
	for (n = 0; n < REPLY_MAX && reply[n]; n++) {
		char c = reply[n];

		if (c <= ' ' || c > '~' || c == '*' || c == '>' || (c == '.' && before == '.'))
			return 0;
		before = c;
	}
	return n < REPLY_MAX && before != '.' ? n : 0;
}

bool subject_inbox_own(const char *subject, const char *reply)
{
	size_t skip = prefix_len(subject, SUBJECT_PLAIN);
	size_t at = prefix_len(reply, "_INBOX.");

	if (!at || reply[at] != 'U' || strcspn(reply + at, ".") != NKEY_CHARS)
		return true;
	if (!skip && prefix_len(subject, SUBJECT_SESSION)) {
		skip = sizeof(SUBJECT_SESSION) - 1;
		skip += strcspn(subject + skip, ".");
		skip += subject[skip] == '.';
	}
	return strncmp(reply + at, subject + skip, NKEY_CHARS) == 0;
}

/* Decodes the token at s, which must end in end ('.' or NUL). */
static int caller(uint8_t nkey[static 32], const char *s, char end, struct err *e)
{
	char text[NKEY_PUB_LEN] = {0};
	size_t n = strcspn(s, ".");

	if (n != NKEY_CHARS || s[n] != end)
		return err_set(e, ERR_BAD_NKEY, "the subject has no user NKey in its place");
	memcpy(text, s, n);
	return nkey_decode_kind(nkey, NKEY_USER, text, e);
}

/* Callers that were decoded lately: base32 and CRC were an eighth of the front's time on
 * a session message (measured). By thread, so that nobody waits. */
#define RECENT 64
static _Thread_local struct recent {
	char text[NKEY_CHARS];
	uint8_t nkey[32];
} recent[RECENT];

static int caller_again(uint8_t nkey[static 32], const char *s, struct err *e)
{
	if (strnlen(s, NKEY_CHARS + 1) != NKEY_CHARS)
		return err_set(e, ERR_BAD_NKEY, "the subject has no user NKey in its place");
	/* The characters before the last ones hold the CRC. */
	unsigned at = ((unsigned char)s[NKEY_CHARS - 2] * 31u + (unsigned char)s[NKEY_CHARS - 3]) %
		      RECENT;
	struct recent *r = &recent[at];

	if (memcmp(r->text, s, NKEY_CHARS) != 0) {
		if (caller(nkey, s, '\0', e))
			return -1;
		memcpy(r->text, s, NKEY_CHARS);
		memcpy(r->nkey, nkey, 32);
		return 0;
	}
	memcpy(nkey, r->nkey, 32);
	return 0;
}

int subject_caller(uint8_t nkey[static 32], const char *subject, struct err *e)
{
	size_t at = prefix_len(subject, SUBJECT_SESSION);

	if (!at || strcspn(subject + at, ".") != INSTANCE_CHARS)
		return err_set(e, ERR_BAD_FRAME, "subject of no session");
	at += INSTANCE_CHARS;
	if (!subject[at])
		return err_set(e, ERR_BAD_FRAME, "subject of no session");
	return caller_again(nkey, subject + at + 1, e);
}

/* The forms of the plain surface. */
static const struct form {
	const char *name;
	enum op op;
	bool json;
	bool key; /* the subject goes on with a key's name */
} forms[] = {
	{"sign", OP_sign, false, true},	     {"sign-json", OP_sign, true, true},
	{"verify", OP_verify, false, true},  {"verify-json", OP_verify, true, true},
	{"pub", OP_key_get, false, true},    {"pub-json", OP_key_get, true, true},
	{"random", OP_random, false, false}, {"random-json", OP_random, true, false},
};

static const struct form *form_named(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strlen(forms[i].name) == n && memcmp(forms[i].name, s, n) == 0)
			return &forms[i];
	return NULL;
}

int subject_plain(struct plain_subject *s, const char *subject, struct err *e)
{
	size_t at = prefix_len(subject, SUBJECT_PLAIN);
	const struct form *f;

	memset(s, 0, sizeof(*s));
	s->key = "";
	if (!at)
		return err_set(e, ERR_UNKNOWN_OP, "subject of no plain request");
	const char *op = strchr(subject + at, '.');

	if (!op)
		return err_set(e, ERR_UNKNOWN_OP, "the subject is hsm.as.<user NKey>.<form>.<key>");
	op++;
	size_t n = strcspn(op, ".");
	const char *tail = op[n] ? op + n + 1 : "";

	f = form_named(op, n);
	if (!f)
		return err_set(e, ERR_UNKNOWN_OP,
			       "forms are sign, verify, pub and random, each also with -json");
	s->op = f->op;
	s->json = f->json;
	if (caller(s->nkey, subject + at, '.', e))
		return -1;
	if (!f->key && op[n])
		return err_set(e, ERR_BAD_NAME, "%s takes no key in its subject", f->name);
	if (f->key && !name_valid(tail, strlen(tail)))
		return err_set(e, ERR_BAD_NAME,
			       "after %s the subject needs a key's name: letters, digits, _ . -",
			       f->name);
	s->key = tail;
	return 0;
}
