/* Reports that both `nats account` and `nats server` make. */
#ifndef BOX_NATS_NATS_REPORT_H
#define BOX_NATS_NATS_REPORT_H

#include "box/nats/nats.h"
#include "box/nats/nats_graph.h"

extern const struct cli_opt report_conn_opts[];

/* Options of all reports of servers: how they are shown, and of which servers. */
#define REPORT_OPTS                                                                                \
	WATCH_OPT, {"reverse", 'R', NULL, "The other way round"},                                  \
		{"host", 0, "NAME", "Only a server"}, {"cluster", 0, "NAME", "Only a cluster"},    \
		{"tags", 0, "TAG", "Only servers with a tag (may be given again)"}

/* Connections as a table or JSON, from the servers that answer on subject. */
int report_connections(struct cli *c, const char *subject, struct err *e);
/* A cell with the strings of an array, ", " between. */
void report_tags(struct nt *t, const json_t *arr);
/* Request to all servers of a system account; *out is an array of their answers
 * {"server":…, "data":…}. options (taken over) goes in the body. */
int report_ask(struct cli *c, const char *subject, json_t *options, int want, json_t **out,
	       struct err *e);
/* The operand [LIMIT] at position i: how many servers answer, 0: all. USAGE. */
int report_limit(struct cli *c, int i, int *want, struct err *e);
/* The operand [EXPECT] of server ls and ping. USAGE. */
int server_expect(struct cli *c, int *want, struct err *e);
/* How many servers there are; -1 with an error. */
int report_servers(struct cli *c, struct err *e);
/* Cuts what all names have in common from behind: n1.a.b, n2.a.b give n1, n2. */
void report_compact(char **names, size_t n);

#endif
