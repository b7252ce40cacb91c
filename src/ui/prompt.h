/* Questions to a person at the terminal (/dev/tty, never stdin). */
#ifndef UI_PROMPT_H
#define UI_PROMPT_H

#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"

/* Asks for a passphrase without echo; out is replaced. again: asked a second time
 * with this text and compared, NULL: once. At most max bytes, at least one. The
 * terminal is restored on every way out, signals included. Errors: USAGE when there
 * is no terminal (the text says which option to use: hint), BAD_INPUT. */
int prompt_passphrase(struct secret *out, const char *question, const char *again, size_t max,
		      const char *hint, struct err *e);

/* One line with echo, ended by NUL in out of cap bytes. Errors: as prompt_passphrase. */
int prompt_line(const char *question, char *out, size_t cap, const char *hint, struct err *e);

/* 0 when the answer is word (e.g. "yes"), else -1 with USAGE. */
int prompt_confirm(const char *question, const char *word, const char *hint, struct err *e);

#endif
