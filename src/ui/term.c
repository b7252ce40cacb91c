#include "ui/term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ui/table.h"

/* alternate screen, no cursor, no wrapping; and back */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct termios before;
static volatile sig_atomic_t is_open, resized, quit;
static sigset_t outside; /* the mask before term_open */
static unsigned char in[256];
static size_t in_at, in_len;

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int crashing[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static void out(const char *s, size_t n)
{
	while (n) {
		ssize_t w = write(STDOUT_FILENO, s, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return;
		s += w;
		n -= (size_t)w;
	}
}

/* Only functions that a signal handler may call. */
static void leave(void)
{
	if (!is_open)
		return;
	is_open = 0;
	out(LEAVE, sizeof(LEAVE) - 1);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

static void enter(void)
{
	struct termios raw = before;

	raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	out(ENTER, sizeof(ENTER) - 1);
	is_open = 1;
}

static void on_signal(int sig)
{
	if (sig == SIGWINCH || sig == SIGCONT)
		resized = 1;
	else
		quit = 1;
}

static void on_crash(int sig)
{
	leave();
	/* SA_RESETHAND: the default action, with its exit status, comes now. */
	(void)raise(sig);
}

int term_open(struct err *e)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
	sigset_t block;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before))
		return err_set(e, ERR_USAGE, "standard input and output must be a terminal");
	sigemptyset(&block);
	sigaction(SIGWINCH, &sa, NULL);
	sigaction(SIGCONT, &sa, NULL);
	sigaddset(&block, SIGWINCH);
	sigaddset(&block, SIGCONT);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		sigaction(ending[i], &sa, NULL);
		sigaddset(&block, ending[i]);
	}
	for (size_t i = 0; i < sizeof(crashing) / sizeof(crashing[0]); i++)
		sigaction(crashing[i], &crash, NULL);
	sigprocmask(SIG_BLOCK, &block, &outside);
	(void)atexit(leave);
	enter();
	return 0;
}

void term_close(void)
{
	leave();
}

void term_suspend(void)
{
	leave();
	/* ISIG is off, so that Control-Z is ours to obey: the whole job, as a shell expects. */
	(void)kill(0, SIGTSTP);
	enter();
	resized = 1;
}

unsigned term_wait(int fd, int ms)
{
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	unsigned got = 0;

	if (in_at < in_len)
		return TERM_INPUT;
	int n = ppoll(p, 2, ms < 0 ? NULL : &ts, &outside);

	if (n > 0) {
		ssize_t r = p[0].revents ? read(STDIN_FILENO, in, sizeof(in)) : 0;

		in_at = 0;
		in_len = r > 0 ? (size_t)r : 0;
		if (in_len)
			got |= TERM_INPUT;
		/* The terminal is gone: nobody can ask us to end any more. */
		else if (p[0].revents && (r == 0 || errno != EINTR))
			quit = 1;
		if (p[1].revents)
			got |= TERM_FD;
	}
	if (resized) {
		resized = 0;
		if (!is_open)
			enter();
		got |= TERM_RESIZED;
	}
	return got | (quit ? TERM_QUIT : 0);
}

/* After ESC: one of the sequences that keys send. */
static int sequence(void)
{
	static const struct {
		const char *text;
		int key;
	} table[] = {
		{"[A", TERM_UP},	 {"OA", TERM_UP},    {"[B", TERM_DOWN},
		{"OB", TERM_DOWN},	 {"[C", TERM_RIGHT}, {"OC", TERM_RIGHT},
		{"[D", TERM_LEFT},	 {"OD", TERM_LEFT},  {"[5~", TERM_PAGE_UP},
		{"[6~", TERM_PAGE_DOWN}, {"[H", TERM_HOME},  {"OH", TERM_HOME},
		{"[1~", TERM_HOME},	 {"[F", TERM_END},   {"OF", TERM_END},
		{"[4~", TERM_END},
	};
	size_t left = in_len - in_at;

	if (!left || (in[in_at] != '[' && in[in_at] != 'O'))
		return TERM_ESC;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t n = strlen(table[i].text);

		if (n <= left && memcmp(in + in_at, table[i].text, n) == 0) {
			in_at += n;
			return table[i].key;
		}
	}
	/* One that is not known is swallowed whole, so that its letters are no commands. */
	for (in_at++; in_at < in_len;) {
		unsigned char c = in[in_at++];

		if (c >= 0x40 && c <= 0x7e)
			break;
	}
	return TERM_NONE;
}

int term_key(void)
{
	while (in_at < in_len) {
		int c = in[in_at++];
		int key = c == 27     ? sequence()
			  : c == '\n' ? TERM_ENTER
			  : c == 8    ? TERM_BACKSPACE
				      : c;

		if (key != TERM_NONE)
			return key;
	}
	return TERM_NONE;
}

void term_size(unsigned *rows, unsigned *cols)
{
	struct winsize ws;
	bool ok = ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col;

	*rows = ok ? ws.ws_row : 24;
	*cols = ok ? ws.ws_col : 80;
}

void term_line(struct buf *b, const char *text, size_t skip, unsigned cols)
{
	size_t width = 0;

	/* Character by character: a cut must not leave half of one. */
	while (*text) {
		size_t n = 1;
		char one[8] = {0};

		while (((unsigned char)text[n] & 0xc0) == 0x80 && n < 4)
			n++;
		memcpy(one, text, n);
		size_t w = table_text_width(one);

		if (width >= skip && width + w - skip <= cols)
			buf_put(b, text, n);
		width += w;
		text += n;
	}
	buf_printf(b, "\033[K\r\n");
}

void term_show(struct buf *b)
{
	/* No newline after the last line: it would scroll a full screen. */
	while (b->len && (b->p[b->len - 1] == '\n' || b->p[b->len - 1] == '\r'))
		b->len--;
	buf_printf(b, "\033[J");
	out("\033[H", 3);
	if (!b->bad)
		out((const char *)b->p, b->len);
	buf_reset(b);
}
