/* The group `nats consumer`, in several files. */
#ifndef BOX_NATS_CONSUMER_H
#define BOX_NATS_CONSUMER_H

#include "box/nats/js.h"

cli_run consumer_ls, consumer_report, consumer_find, consumer_next, consumer_sub;
cli_run consumer_graph, consumer_balance;

/* The consumers of a stream that the options of `find` fit. */
int consumer_query(struct cli *c, const char *stream, json_t **out, struct err *e);

/* The page of natscli about a consumer; state: only the last section. */
void consumer_show(const json_t *info, bool state);
/* Prints it, or JSON with --json. */
int consumer_print(struct cli *c, const json_t *info, bool state, struct err *e);
/* Operands i and i + 1: a stream and a consumer that is there. */
int consumer_operands(struct cli *c, int i, const char **stream, const char **name, json_t **info,
		      struct err *e);

#endif
