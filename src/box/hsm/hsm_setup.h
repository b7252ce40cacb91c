/* The file of `hsm apply`: what a service should be like. YAML, of which JSON is a part;
 * unknown keys are refused, messages have file and line.
 *
 *	identity: "@identity"           # X… or @FILE
 *	provision: {passphrase_file: passphrase, unattended_boot: on}
 *	users:
 *	  - {name: alice, nkey: U…, role: operator, plain: off}     # or nkey_file
 *	keys:
 *	  - {name: release, type: p256, plain: off, audit: durable} # also bits, modes
 *
 * File names are relative to the folder of the file. What is not said stays as it is; a
 * new user or key gets what `user add` and `key gen` give. */
#ifndef BOX_HSM_SETUP_H
#define BOX_HSM_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"

#define SETUP_UNSAID -1 /* of the small numbers below */

struct setup_user {
	const json_t *at; /* in the document, for messages */
	const char *name;
	uint8_t nkey[32];
	int role;  /* enum role */
	int plain; /* 0 or 1 */
};

struct setup_key {
	const json_t *at;
	const char *name;
	int type;	/* enum key_type */
	unsigned bits;	/* 0: unsaid */
	uint32_t modes; /* 0: unsaid */
	int plain, audit;
};

/* Start with {0}. */
struct setup {
	struct json_doc doc;
	char *dir;		     /* of the file, "." without one */
	const char *identity;	     /* "X…" or "@FILE", NULL: unsaid */
	const char *passphrase_file; /* NULL: unsaid */
	int unattended;
	struct setup_user *users;
	struct setup_key *keys;
	size_t nusers, nkeys;
};

void setup_free(struct setup *s);
static inline void cleanup_setup(struct setup *s)
{
	setup_free(s);
}

/* From a text; name stands in messages, dir is the folder of relative names. Key files of
 * users are read. Errors: CONFIG with "name:line: text", NOMEM, those of the files. */
int setup_parse(struct setup *s, const char *name, const char *dir, const void *p, size_t n,
		struct err *e);
/* From a file, "-": standard input. Errors: also IO, TOO_LARGE. */
int setup_read(struct setup *s, const char *path, struct err *e);
/* prefix || name, with the folder before a relative name; to be freed, NULL: no memory. */
char *setup_path(const struct setup *s, const char *prefix, const char *name);

#endif
