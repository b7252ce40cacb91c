/* Commands of the user that messages go through: reply --command, --translate. */
#ifndef BOX_NATS_NATS_CMD_H
#define BOX_NATS_NATS_CMD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "ui/cli.h"

#define TRANSLATE_OPT                                                                              \
	{"translate", 0, "COMMAND", "Show bodies as COMMAND (no shell) makes them of its stdin"}

/* Options of requests: which replies to wait for, what to send, how to show them. */
#define REQUEST_OPTS                                                                               \
	{"reply-timeout", 0, "DURATION", "Longest time between replies (300ms)"},                  \
		{"wait-for-empty", 0, NULL, "Take replies until one is empty"},                    \
		{"force-stdin", 0, NULL, "Read the body from stdin even on a terminal"},           \
		{"send-on", 0, "WHEN", "When stdin is sent: eof (default) or newline"},            \
		TRANSLATE_OPT

/* Fills the templates of one word of a command; out ends with no NUL. */
typedef int cmd_fill(void *arg, const char *word, struct buf *out, struct err *e);

/* Runs a command line without a shell and waits: words by blanks, '…', "…" and \, where
 * {{…}} stays together. Words are filled after they are split, so that what a stranger
 * sends is never more than (a part of) one word. env: NULL for our own. in: standard
 * input, NULL: nothing. Both outputs go to out. TOOL: it cannot be run or its exit status
 * is not 0; out has what it said. */
int cmd_run(const char *line, cmd_fill *fill, void *arg, char **env, const void *in, size_t nin,
	    struct buf *out, struct err *e);

/* What the command of --translate makes of a body; {{Subject}} and {{Stream}} in it are
 * filled. Without that option out is left empty. TOOL. */
int cmd_translate(struct cli *c, const void *p, size_t n, const char *subject, const char *stream,
		  struct buf *out, struct err *e);
/* Prints a body as msg_print_body does, after the command of --translate, if that is
 * given. */
void cmd_print_body(struct cli *c, const void *p, size_t n, const char *subject, const char *stream,
		    bool spaced);

#endif
