/* nats server check exporter: the checks of a file, run as processes of their own, as
 * metrics for Prometheus. */
#ifndef BOX_NATS_NATS_EXPORTER_H
#define BOX_NATS_NATS_EXPORTER_H

#include <stdio.h>

#include "box/nats/nats.h"

/* One check of the file: the command that makes it. */
struct exporter_check {
	char *name, *kind;
	char **argv; /* NULL at the end */
	size_t argc;
};

struct exporter {
	const char *ns; /* --namespace */
	int64_t timeout_ms;
	struct exporter_check *checks;
	size_t n;
};

void exporter_free(struct exporter *x);
static inline void cleanup_exporter(struct exporter *x)
{
	exporter_free(x);
}
/* Reads the YAML file; what is wrong in it is an error with its line. CONFIG. */
int exporter_load(struct exporter *x, const char *path, struct err *e);
/* Runs all checks at the same time and writes their metrics. A check that does not end,
 * or says nothing that can be read, counts as critical. */
int exporter_collect(const struct exporter *x, FILE *f, struct err *e);

#endif
