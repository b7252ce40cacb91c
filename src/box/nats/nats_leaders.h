/* The table of who leads how many Raft groups, for reports of streams, consumers, servers. */
#ifndef BOX_NATS_NATS_LEADERS_H
#define BOX_NATS_NATS_LEADERS_H

#include <jansson.h>
#include <stdint.h>

#define LEADERS_OPT {"leaders", 'l', NULL, "Show who leads how many"}

/* Adds n groups of a server; all is an object that only these two know. No name: nothing. */
void leaders_add(json_t *all, const char *server, const char *cluster, int64_t n);
/* title: of the column, "Streams". */
void leaders_print(const json_t *all, const char *title);

#endif
