#include "box/top/top_ui.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/top/top_poll.h"
#include "ui/term.h"

#define MESSAGE_MS 1000
#define SCREEN_MAX ((size_t)256 << 20)

enum asking { NOTHING, FOR_SORT, FOR_LIMIT };

struct ui {
	struct top_run *r;
	struct top_poll poll;
	struct top_stats now;
	struct err err; /* of the last answer; code OK: none */
	enum asking asking;
	char typed[32];
	char message[80];
	int64_t message_until;
	bool help, quit;
	size_t row, col; /* scrolled */
	int64_t next, count;
};

static const char help_text[] =
	"Command          Description\n"
	"\n"
	"o<option>        Sort the connections by <option>:\n"
	"                 cid start subs pending msgs_to msgs_from bytes_to bytes_from\n"
	"                 last idle uptime stop reason rtt\n"
	"                 (on the command line: -sort)\n"
	"\n"
	"n<limit>         How many connections the server is asked for (-n). The server\n"
	"                 sorts before it cuts: -n 1 -sort subs is the connection with\n"
	"                 the most subscriptions.\n"
	"\n"
	"s                Show or hide the subscriptions of each connection (-u).\n"
	"d                Show names or addresses of the clients (-lookup).\n"
	"b                Show all digits or K, M, G (-b).\n"
	"space            Connections: since the start, or per second.\n"
	"arrows, pages    Scroll.\n"
	"q                Quit.\n"
	"\n"
	"Press any key to continue...\n";

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The seventh line: what is being typed, what was wrong with it, or why there are no new
 * numbers. */
static void status_line(const struct ui *u, char *out, size_t cap)
{
	const struct top_ask *a = &u->r->ask;

	out[0] = '\0';
	if (u->asking == FOR_SORT)
		(void)snprintf(out, cap, "sort by [%s]: %s", a->sort, u->typed);
	else if (u->asking == FOR_LIMIT)
		(void)snprintf(out, cap, "limit   [%lld]: %s", (long long)a->limit, u->typed);
	else if (u->message_until > now_ms())
		(void)snprintf(out, cap, "%s", u->message);
	else if (u->err.code != ERR_OK)
		(void)snprintf(out, cap, "%s", u->err.text);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* Lines from the seventh on: status, number polled, headings, as many rows as fit. */
static void draw_rows(struct ui *u, struct buf *b, char *lines, unsigned rows, unsigned cols)
{
	char status[300], *save = NULL;
	size_t n = 0, first = u->row, room = rows > 9 ? rows - 9 : 0;

	status_line(u, status, sizeof(status));
	if (u->now.nconn <= room)
		first = 0;
	else if (first > u->now.nconn - room)
		first = u->now.nconn - room;
	u->row = first;
	for (char *l = strtok_r(lines, "\n", &save); l; l = strtok_r(NULL, "\n", &save), n++) {
		/* strtok_r skips the empty line: six of header come first */
		if (n == TOP_HEAD_LINES && rows > TOP_HEAD_LINES)
			term_line(b, status, 0, cols);
		size_t line = n < TOP_HEAD_LINES ? n : n + 1;

		if (n <= TOP_HEAD_LINES + 1) {
			if (line < rows)
				term_line(b, l, n == TOP_HEAD_LINES + 1 ? u->col : 0, cols);
		} else if (n - TOP_HEAD_LINES - 2 >= first &&
			   n - TOP_HEAD_LINES - 2 < first + room) {
			term_line(b, l, u->col, cols);
		}
	}
}

static void draw(struct ui *u)
{
	CLEAN(buf) struct buf text = {0}, screen = {0};
	unsigned rows, cols;

	buf_init(&text, SCREEN_MAX);
	buf_init(&screen, SCREEN_MAX);
	term_size(&rows, &cols);
	if (u->help) {
		const char *p = help_text;

		for (unsigned i = 0; *p && i < rows; i++) {
			size_t n = strcspn(p, "\n");
			char line[128];

			(void)snprintf(line, sizeof(line), "%.*s", (int)n, p);
			term_line(&screen, line, 0, cols);
			p += n + 1;
		}
	} else {
		top_text(&text, &u->now, &u->r->look);
		buf_u8(&text, 0);
		if (!text.bad)
			draw_rows(u, &screen, (char *)text.p, rows, cols);
	}
	term_show(&screen);
}

static void accept_typed(struct ui *u)
{
	struct top_ask *a = &u->r->ask;
	char *end;

	if (u->asking == FOR_SORT && top_sort_ok(u->typed)) {
		(void)snprintf(a->sort, sizeof(a->sort), "%.15s", u->typed);
	} else if (u->asking == FOR_SORT) {
		(void)snprintf(u->message, sizeof(u->message), "invalid order: %s", u->typed);
		u->message_until = now_ms() + MESSAGE_MS;
	} else {
		errno = 0;
		long long n = strtoll(u->typed, &end, 10);

		if (!errno && end != u->typed && !*end && n > 0) {
			a->limit = n;
		} else {
			(void)snprintf(u->message, sizeof(u->message), "invalid limit: %s",
				       u->typed);
			u->message_until = now_ms() + MESSAGE_MS;
		}
	}
	u->asking = NOTHING;
	u->next = 0; /* the new order at once */
}

static void on_typed(struct ui *u, int key)
{
	size_t n = strlen(u->typed);

	if (key == TERM_ENTER) {
		accept_typed(u);
	} else if (key == TERM_ESC) {
		u->asking = NOTHING;
	} else if (key == TERM_BACKSPACE) {
		if (n)
			u->typed[n - 1] = '\0';
	} else if (key >= 0x20 && key < 0x7f && n + 1 < sizeof(u->typed)) {
		u->typed[n] = (char)key;
		u->typed[n + 1] = '\0';
	}
}

static void ask_for(struct ui *u, enum asking what)
{
	u->asking = what;
	u->typed[0] = '\0';
}

static void scroll(struct ui *u, int key)
{
	unsigned rows, cols;
	size_t page;

	term_size(&rows, &cols);
	page = rows > 10 ? rows - 10 : 1;
	switch (key) {
	case TERM_UP:
		u->row -= u->row > 0;
		break;
	case TERM_DOWN:
		u->row++;
		break;
	case TERM_PAGE_UP:
		u->row -= u->row > page ? page : u->row;
		break;
	case TERM_PAGE_DOWN:
		u->row += page;
		break;
	case TERM_LEFT:
		u->col -= u->col > 8 ? 8 : u->col;
		break;
	case TERM_RIGHT:
		u->col += u->col < 4096 ? 8 : 0;
		break;
	case TERM_HOME:
		u->row = u->col = 0;
		break;
	case TERM_END:
		u->row = u->now.nconn;
		break;
	default:
		break;
	}
}

static void on_key(struct ui *u, int key)
{
	struct top_run *r = u->r;

	if (key == 3) {
		u->quit = true;
	} else if (key == 26) {
		term_suspend();
	} else if (u->asking) {
		on_typed(u, key);
	} else if (key == 'q') {
		u->quit = true;
	} else if (u->help) {
		u->help = false;
	} else if (key == '?' || key == 'h') {
		u->help = true;
	} else if (key == 'o') {
		ask_for(u, FOR_SORT);
	} else if (key == 'n') {
		ask_for(u, FOR_LIMIT);
	} else if (key == 's') {
		r->look.subs = r->ask.subs = !r->ask.subs;
		u->next = 0;
	} else if (key == 'd') {
		r->ask.lookup = !r->ask.lookup;
		u->next = 0;
	} else if (key == 'b') {
		r->look.raw = !r->look.raw;
	} else if (key == ' ') {
		r->look.rates = !r->look.rates;
	} else {
		scroll(u, key);
	}
}

static void take_answer(struct ui *u)
{
	struct top_stats fresh = {0};
	struct err e;
	int got = top_poll_take(&u->poll, &fresh, &e);

	if (got < 0)
		u->err = e;
	if (got <= 0)
		return;
	/* Within a fraction of a second ("s" was pressed) rates would be noise. */
	top_stats_rates(&fresh, &u->now);
	u->err.code = ERR_OK;
	top_stats_free(&u->now);
	u->now = fresh;
	u->count++;
	if (u->r->refreshes > 0 && u->count >= u->r->refreshes)
		u->quit = true;
}

int top_ui(struct top_run *r, struct err *e)
{
	static struct ui u; /* the thread outlives this function */

	u.r = r;
	if (term_open(e))
		return -1;
	if (top_poll_start(&u.poll, &r->src, e)) {
		term_close();
		return -1;
	}
	draw(&u);
	while (!u.quit) {
		int64_t now = now_ms(), until = u.next;

		if (now >= u.next) {
			top_poll_ask(&u.poll, &r->ask);
			until = u.next = now + r->delay * 1000;
		}
		/* A message goes away by itself. */
		if (u.message_until > now && u.message_until < until)
			until = u.message_until;
		unsigned got = term_wait(u.poll.fd, (int)(until - now < 1000 ? until - now : 1000));

		if (got & TERM_QUIT)
			break;
		if (got & TERM_FD)
			take_answer(&u);
		if (got & TERM_INPUT)
			for (int key; !u.quit && (key = term_key()) != TERM_NONE;)
				on_key(&u, key);
		draw(&u);
	}
	term_close();
	return 0;
}

int top_plain(struct top_run *r, struct err *e)
{
	CLEAN(top_stats) struct top_stats now = {0};
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, SCREEN_MAX);
	for (int64_t i = 0; r->refreshes <= 0 || i < r->refreshes; i++) {
		struct top_stats fresh = {0};
		struct err why;

		if (i)
			(void)sleep((unsigned)r->delay);
		buf_reset(&text);
		if (top_src_get(&r->src, &r->ask, &fresh, &why)) {
			fprintf(stderr, "nats-top: %s\n", why.text);
			top_stats_free(&fresh);
			continue;
		}
		top_stats_rates(&fresh, &now);
		top_stats_free(&now);
		now = fresh;
		top_text(&text, &now, &r->look);
		if (text.bad)
			return err_set(e, ERR_NOMEM, NULL);
		printf("%s%.*s", i ? "\n" : "", (int)text.len, (const char *)text.p);
		if (fflush(stdout))
			return 0; /* cli_finish says why */
	}
	return 0;
}
