/* The screen of nats-top as text: the same for the terminal, a file and a pipe. */
#ifndef BOX_TOP_TOP_TEXT_H
#define BOX_TOP_TOP_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "box/top/top_stats.h"

#define TOP_HEAD_LINES 6 /* above the empty line */

struct top_look {
	bool raw;	   /* numbers in full */
	bool subs;	   /* with subjects */
	bool rates;	   /* connections: a second instead of since ever */
	const char *error; /* behind the uptime; NULL: none */
};

/* Six lines of header, an empty one, "Connections Polled: N", headings, a line for each
 * connection. Control characters become '?'. */
void top_text(struct buf *b, const struct top_stats *s, const struct top_look *l);
/* The same with delim between the cells. */
void top_text_csv(struct buf *b, const struct top_stats *s, const struct top_look *l,
		  const char *delim);

#endif
