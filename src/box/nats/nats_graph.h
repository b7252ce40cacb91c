/* Graphs on a terminal: plots of the last values, one a second, drawn anew each second
 * until q or Control-C. And commands that repeat their output. */
#ifndef BOX_NATS_NATS_GRAPH_H
#define BOX_NATS_NATS_GRAPH_H

#include "box/nats/nats.h"

enum graph_unit { GRAPH_COUNT, GRAPH_DECIMAL, GRAPH_BYTES };

#define GRAPH_LINES 6	 /* plots on a screen */
#define GRAPH_VALUES 512 /* that are kept: wider terminals show no more */

/* One plot. */
struct graph_line {
	char caption[96];
	enum graph_unit unit;
	bool rate; /* the values are those of a counter: what is shown is its growth a second */
	double v[GRAPH_VALUES], last;
	size_t n;
	bool started;
};

struct graph {
	char title[300];
	size_t nlines;
	struct graph_line line[GRAPH_LINES];
	/* Fills a value for each line. An error is shown, and the next second tries again. */
	int (*sample)(void *arg, double value[GRAPH_LINES], struct err *e);
	void *arg;
	volatile bool *done; /* ends it too; may be NULL */
};

/* Sets line i up: its caption is cut to fit. */
void graph_line(struct graph *g, size_t i, enum graph_unit unit, bool rate, const char *caption);
/* Adds a value; dt: seconds since the one before, for rates. */
void graph_add(struct graph_line *l, double value, double dt);
/* Draws until somebody ends it. USAGE: no terminal, or one that is too small. */
int graph_run(struct graph *g, struct err *e);
/* One plot of n values, line by line; width and height in characters, with axis and
 * caption. */
void graph_plot(const double *v, size_t n, unsigned width, unsigned height, const char *caption,
		enum graph_unit unit, void (*put)(void *arg, const char *line), void *arg);

#define WATCH_OPT {"watch", 0, "SECONDS", "Show it again every so many seconds"}
/* The command with --watch: NAME_watched. */
#define WATCHED(name)                                                                              \
	static int name##_watched(struct cli *c, struct err *e)                                    \
	{                                                                                          \
		return graph_watch(c, name, e);                                                    \
	}
/* Runs draw, and again every option --watch seconds, until a signal. */
int graph_watch(struct cli *c, cli_run *draw, struct err *e);

#endif
