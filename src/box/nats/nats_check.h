/* What `nats server check …` gathers and how monitoring systems read it: nagios, json,
 * prometheus and text, exit status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. */
#ifndef BOX_NATS_NATS_CHECK_H
#define BOX_NATS_NATS_CHECK_H

#include <stdio.h>

#include "box/nats/nats.h"

struct check {
	struct cli *c;
	const char *suite; /* "connections": part of the metrics' names */
	char name[300];
	json_t *ok, *warn, *crit; /* arrays of texts */
	json_t *pd;		  /* array of metrics */
};

/* Starts a check; check_end prints it and gives the exit status. */
void check_init(struct check *k, struct cli *c, const char *suite, const char *name_fmt, ...)
	__attribute__((format(printf, 4, 5)));
int check_end(struct check *k, struct err *e);

void check_ok(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_warn(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void check_crit(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A metric; warn and crit 0: no threshold. unit "" or "s", "B", "%". */
void check_pd(struct check *k, const char *name, double value, double warn, double crit,
	      const char *unit, const char *help);

/* Values of options: seconds of a duration, a number; dflt when absent. What is wrong is
 * an error of usage. */
int check_seconds(struct cli *c, const char *name, double dflt, double *out, struct err *e);
int check_number(struct cli *c, const char *name, double dflt, double *out, struct err *e);
/* Connects; false: the check says why not. */
bool check_connect(struct check *k);
/* Whether text matches the regular expression of option name; an error is critical. */
bool check_regex(struct check *k, const char *name, const char *text, size_t n);

extern const struct cli_opt check_stream_opts[], check_consumer_opts[], check_message_opts[],
	check_js_opts[], check_kv_opts[];
cli_run check_stream, check_consumer, check_message, check_js, check_kv;

/* --format of the checks that the exporter runs: JSON with the help of each metric. */
#define CHECK_EXPORTER "exporter"
/* A label's value in the Prometheus format; a quote becomes a dot, as in natscli. */
void check_label(const char *text, FILE *f);
/* A number in the shortest form that reads back. */
void check_value(double v, FILE *f);

extern const struct cli_opt exporter_opts[];
cli_run exporter_run;

/* Each table of options begins with these. */
#define CHECK_OPTS                                                                                 \
	{"format", 0, "FORMAT", "nagios (default), json, prometheus or text"},                     \
		{"namespace", 0, "NAME",                                                           \
		 "Namespace of the Prometheus metrics (nats_server_check)"},                       \
		{"outfile", 0, "FILE", "Write to a file"}

#endif
