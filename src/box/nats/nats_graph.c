#include "box/nats/nats_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ui/term.h"

#define AXIS 11 /* columns of a label and the axis */
#define ROWS_MAX 200

void graph_line(struct graph *g, size_t i, enum graph_unit unit, bool rate, const char *caption)
{
	struct graph_line *l = &g->line[i];
	CLEAN(free) char *clean = nats_clean(caption);

	l->unit = unit;
	l->rate = rate;
	(void)snprintf(l->caption, sizeof(l->caption), "%s", clean ? clean : "");
	if (g->nlines <= i)
		g->nlines = i + 1;
}

void graph_add(struct graph_line *l, double value, double dt)
{
	double shown = value;

	if (l->rate) {
		/* A counter that begins anew, as after a restart, is no negative rate. */
		shown = l->started && value >= l->last && dt > 0 ? (value - l->last) / dt : 0;
		l->last = value;
		if (!l->started) {
			l->started = true;
			return;
		}
	}
	if (!isfinite(shown) || shown < 0)
		shown = 0;
	if (l->n == GRAPH_VALUES) {
		memmove(l->v, l->v + 1, (GRAPH_VALUES - 1) * sizeof(l->v[0]));
		l->n--;
	}
	l->v[l->n++] = shown;
}

static const char *label(double v, enum graph_unit unit, char out[static 64])
{
	char text[64];

	if (unit == GRAPH_BYTES)
		fmt_bytes(text, v < 1.8e19 ? (uint64_t)v : UINT64_MAX, 1024);
	else if (v >= 1e7)
		(void)snprintf(text, sizeof(text), "%.3g", v);
	else if (unit == GRAPH_COUNT)
		fmt_comma(text, (int64_t)llround(v));
	else
		fmt_commaf(text, v, 1);
	(void)snprintf(out, 64, "%.*s", AXIS - 2, text);
	return out;
}

enum { BLANK, FLAT, UP, TOP_LEFT, TOP_RIGHT, LOW_LEFT, LOW_RIGHT };

static const char *const glyphs[] = {
	[BLANK] = " ",	   [FLAT] = "─",     [UP] = "│",	[TOP_LEFT] = "╭",
	[TOP_RIGHT] = "╮", [LOW_LEFT] = "╰", [LOW_RIGHT] = "╯",
};

/* The line from a value to the next, in the column between them. Row 0 is the lowest. */
static void stroke(uint8_t *cells, size_t cols, size_t x, size_t from, size_t to)
{
	if (from == to) {
		cells[from * cols + x] = FLAT;
		return;
	}
	cells[from * cols + x] = from < to ? LOW_RIGHT : TOP_RIGHT;
	cells[to * cols + x] = from < to ? TOP_LEFT : LOW_LEFT;
	for (size_t y = (from < to ? from : to) + 1; y < (from < to ? to : from); y++)
		cells[y * cols + x] = UP;
}

void graph_plot(const double *v, size_t n, unsigned width, unsigned height, const char *caption,
		enum graph_unit unit, void (*put)(void *arg, const char *line), void *arg)
{
	size_t cols = width > AXIS + 1 ? width - AXIS : 1;
	size_t rows = height > 2 ? height - 1 : 2, skip = n > cols ? n - cols : 0;
	CLEAN(free) uint8_t *cells = NULL;
	CLEAN(buf) struct buf line = {0};
	double max = 0;
	char text[64];

	rows = rows > ROWS_MAX ? ROWS_MAX : rows;
	cells = calloc(rows, cols);
	if (!cells)
		return;
	for (size_t i = skip; i < n; i++)
		max = v[i] > max ? v[i] : max;
	max = max > 0 ? max : 1;
	for (size_t i = skip, before = 0; i < n; i++) {
		size_t y = (size_t)llround(v[i] / max * (double)(rows - 1));

		y = y < rows ? y : rows - 1;
		stroke(cells, cols, cols - (n - i), i == skip ? y : before, y);
		before = y;
	}
	buf_init(&line, 65536);
	for (size_t y = rows; y-- > 0;) {
		buf_reset(&line);
		buf_printf(&line, "%*s ┤", AXIS - 2,
			   label(max * (double)y / (double)(rows - 1), unit, text));
		size_t used = cols;

		while (used && !cells[y * cols + used - 1])
			used--;
		for (size_t x = 0; x < used; x++)
			buf_printf(&line, "%s", glyphs[cells[y * cols + x]]);
		buf_u8(&line, '\0');
		put(arg, line.bad ? "" : (const char *)line.p);
	}
	buf_reset(&line);
	size_t len = strlen(caption), pad = cols > len ? (cols - len) / 2 : 0;

	buf_printf(&line, "%*s%s", (int)(AXIS + pad), "", caption);
	buf_u8(&line, '\0');
	put(arg, line.bad ? "" : (const char *)line.p);
}

struct screen {
	struct buf b;
	unsigned cols, left; /* lines that still fit */
};

static void put_line(void *arg, const char *text)
{
	struct screen *s = arg;

	if (!s->left)
		return;
	s->left--;
	term_line(&s->b, text, 0, s->cols);
}

static void draw(const struct graph *g, const char *trouble)
{
	unsigned rows, cols, each;
	struct screen s = {0};

	term_size(&rows, &cols);
	buf_init(&s.b, 4 << 20);
	s.cols = cols;
	s.left = rows > 1 ? rows - 1 : 1;
	each = rows > 2 ? (rows - 2) / (unsigned)g->nlines : 0;
	if (cols < 20 || each < 4) {
		put_line(&s, "please increase terminal dimensions (q ends)");
	} else {
		put_line(&s, *trouble ? trouble : g->title);
		for (size_t i = 0; i < g->nlines; i++) {
			const struct graph_line *l = &g->line[i];

			put_line(&s, "");
			graph_plot(l->v, l->n, cols - 1, each - 1, l->caption, l->unit, put_line,
				   &s);
		}
	}
	term_show(&s.b);
	buf_free(&s.b);
}

/* Whether the person wants out. */
static bool keys(void)
{
	for (int k; (k = term_key()) != TERM_NONE;)
		if (k == 'q' || k == 'Q' || k == 3 || k == TERM_ESC)
			return true;
		else if (k == 26)
			term_suspend();
	return false;
}

static void take(struct graph *g, int64_t *before, char trouble[static 300])
{
	double value[GRAPH_LINES] = {0};
	struct err e = {0};
	int64_t now;

	trouble[0] = '\0';
	if (g->sample(g->arg, value, &e)) {
		(void)snprintf(trouble, 300, "%s", e.text);
		return;
	}
	now = mono_ns();
	for (size_t i = 0; i < g->nlines; i++)
		graph_add(&g->line[i], value[i], (double)(now - *before) / 1e9);
	*before = now;
}

int graph_run(struct graph *g, struct err *e)
{
	int64_t before = mono_ns(), next = before;
	char trouble[300] = "";
	unsigned ev = 0;

	if (!nats_is_terminal())
		return cli_usage(e, "can only graph data on an interactive terminal");
	/* The first answer decides whether there is something to draw at all. */
	double value[GRAPH_LINES] = {0};

	if (g->sample(g->arg, value, e))
		return -1;
	for (size_t i = 0; i < g->nlines; i++)
		graph_add(&g->line[i], value[i], 0);
	if (term_open(e))
		return -1;
	while (!(ev & TERM_QUIT) && !((ev & TERM_INPUT) && keys()) && !nats_stopped() &&
	       !(g->done && __atomic_load_n(g->done, __ATOMIC_ACQUIRE))) {
		int64_t now = mono_ns();

		if (now >= next) {
			take(g, &before, trouble);
			next = now + NS_S;
		}
		draw(g, trouble);
		now = mono_ns();
		ev = term_wait(-1, now >= next ? 0 : (int)((next - now) / NS_MS) + 1);
	}
	term_close();
	return 0;
}

int graph_watch(struct cli *c, cli_run *show, struct err *e)
{
	bool clear = isatty(STDOUT_FILENO);
	int64_t seconds = 0;

	if (cli_int(c, "watch", 1, 86400, &seconds, e))
		return -1;
	if (!seconds)
		return show(c, e);
	nats_catch();
	while (!nats_stopped() && !ferror(stdout)) {
		if (clear)
			fputs("\033[2J\033[H", stdout);
		int r = show(c, e);

		if (r)
			return r;
		(void)fflush(stdout);
		(void)nats_wait(NULL, seconds * NS_S);
	}
	return 0;
}
