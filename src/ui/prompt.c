#include "ui/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
#define NCAUGHT (sizeof(caught) / sizeof(caught[0]))

static volatile sig_atomic_t arrived[NSIG];

static void on_signal(int sig)
{
	arrived[sig] = 1;
}

struct tty {
	int fd;
	struct termios saved;
	struct sigaction old[NCAUGHT];
	sigset_t mask; /* as it was; in force only while waiting for input */
};

/* Echo off, and signals interrupt the read instead of ending the process with the
 * terminal silent. */
static int tty_quiet(struct tty *t, bool echo, struct err *e)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART */
	struct termios quiet;

	sigset_t block;

	if (tcgetattr(t->fd, &t->saved) < 0)
		return err_errno(e, ERR_IO, "cannot read the terminal's settings");
	sigemptyset(&sa.sa_mask);
	/* Blocked except in ppoll(): a signal just before it would be slept over. Those of
	 * background jobs stay open, for the kernel lets a process that blocks them
	 * change the terminal of another job. */
	sigemptyset(&block);
	for (size_t i = 0; i < NCAUGHT; i++)
		if (caught[i] != SIGTTIN && caught[i] != SIGTTOU)
			sigaddset(&block, caught[i]);
	sigprocmask(SIG_BLOCK, &block, &t->mask);
	for (size_t i = 0; i < NCAUGHT; i++) {
		arrived[caught[i]] = 0;
		sigaction(caught[i], &sa, &t->old[i]);
	}
	quiet = t->saved;
	if (!echo)
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	quiet.c_lflag |= ICANON | ISIG;
	/* What was typed before the question is not the answer to it. */
	while (tcsetattr(t->fd, TCSAFLUSH, &quiet) < 0 && errno == EINTR && !arrived[SIGTTOU])
		;
	return 0;
}

/* Restores everything, then delivers what arrived. True: the question is asked again
 * (the process was stopped and continued). */
static bool tty_restore(struct tty *t)
{
	bool again = false;

	while (tcsetattr(t->fd, TCSAFLUSH, &t->saved) < 0 && errno == EINTR && !arrived[SIGTTOU])
		;
	for (size_t i = 0; i < NCAUGHT; i++)
		sigaction(caught[i], &t->old[i], NULL);
	for (size_t i = 0; i < NCAUGHT; i++) {
		if (!arrived[caught[i]])
			continue;
		kill(getpid(), caught[i]);
		again |= caught[i] == SIGTSTP || caught[i] == SIGTTIN || caught[i] == SIGTTOU;
	}
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
	return again;
}

/* Reads one line byte by byte, so that nothing of the answer stays in a stdio buffer.
 * Length; -1: too long, -2: interrupted, -3: end of input or an error. */
static ssize_t read_line(const struct tty *t, uint8_t *p, size_t max)
{
	struct pollfd wait = {.fd = t->fd, .events = POLLIN};
	size_t n = 0;
	bool over = false;
	uint8_t ch;

	for (;;) {
		if (arrived[SIGTTIN] || arrived[SIGTTOU] ||
		    (ppoll(&wait, 1, NULL, &t->mask) < 0 && errno == EINTR))
			return -2;
		ssize_t r = read(t->fd, &ch, 1);

		if (r < 0)
			return errno == EINTR ? -2 : -3;
		if (r == 0)
			return -3;
		if (ch == '\n' || ch == '\r')
			break;
		if (n < max)
			p[n++] = ch;
		else
			over = true;
	}
	secret_wipe(&ch, sizeof(ch));
	return over ? -1 : (ssize_t)n;
}

static int ask(const char *question, bool echo, uint8_t *p, size_t max, const char *hint,
	       size_t *len, struct err *e)
{
	CLEAN(fd) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct tty t = {.fd = fd};
	ssize_t n;
	bool again;

	if (fd < 0)
		return err_set(e, ERR_USAGE, "no terminal to ask at: %s", hint);
	do {
		if (tty_quiet(&t, echo, e))
			return -1;
		if (file_write_fd(fd, "the terminal", question, strlen(question), e)) {
			(void)tty_restore(&t);
			return -1;
		}
		n = read_line(&t, p, max);
		if (!echo)
			(void)file_write_fd(fd, "the terminal", "\n", 1, NULL);
		again = tty_restore(&t);
	} while (n == -2 && again);
	if (n == -1)
		return err_set(e, ERR_BAD_INPUT, "longer than %zu bytes", max);
	if (n < 0)
		return err_set(e, ERR_BAD_INPUT, "no answer");
	*len = (size_t)n;
	return 0;
}

/* Asks once into secret memory. */
static int ask_secret(struct secret *out, const char *question, size_t max, const char *hint,
		      struct err *e)
{
	uint8_t *p = secret_alloc(max);
	size_t n = 0;

	if (!p)
		return err_set(e, ERR_NOMEM, "no locked memory for a passphrase");
	if (ask(question, false, p, max, hint, &n, e)) {
		secret_free(p);
		return -1;
	}
	if (n == 0) {
		secret_free(p);
		return err_set(e, ERR_BAD_INPUT, "the passphrase is empty");
	}
	secret_clear(out);
	out->p = p;
	out->len = n;
	return 0;
}

int prompt_passphrase(struct secret *out, const char *question, const char *again, size_t max,
		      const char *hint, struct err *e)
{
	struct secret second = {0};
	bool same;

	if (ask_secret(out, question, max, hint, e))
		return -1;
	if (!again)
		return 0;
	if (ask_secret(&second, again, max, hint, e)) {
		secret_clear(out);
		return -1;
	}
	same = second.len == out->len && secret_equal(second.p, out->p, out->len);
	secret_clear(&second);
	if (same)
		return 0;
	secret_clear(out);
	return err_set(e, ERR_BAD_INPUT, "the two passphrases differ");
}

int prompt_confirm(const char *question, const char *word, const char *hint, struct err *e)
{
	uint8_t answer[64];
	size_t n = 0;

	if (ask(question, true, answer, sizeof(answer), hint, &n, e))
		return -1;
	if (n == strlen(word) && memcmp(answer, word, n) == 0)
		return 0;
	return err_set(e, ERR_USAGE, "not confirmed: the answer was not '%s'", word);
}

int prompt_line(const char *question, char *out, size_t cap, const char *hint, struct err *e)
{
	size_t n = 0;

	if (ask(question, true, (uint8_t *)out, cap - 1, hint, &n, e))
		return -1;
	out[n] = '\0';
	return memchr(out, '\0', n) ? err_set(e, ERR_BAD_INPUT, "the answer has a NUL in it") : 0;
}
