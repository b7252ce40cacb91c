#include "box/nats/nats_cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/nats/nats.h"
#include "box/nats/nats_msg.h"

#define OUTPUT_MAX ((size_t)64 << 20)
#define MAX_WORDS 128

extern char **environ;

/* The end of a word that begins at s; its text goes to `to`, without quotes. NULL: a
 * quote is not closed. */
static const char *one_word(const char *s, char **to)
{
	char quote = 0;

	for (; *s && (quote || !strchr(" \t\n", *s)); s++) {
		const char *end = strncmp(s, "{{", 2) == 0 ? strstr(s, "}}") : NULL;

		if (end) {
			while (s < end + 2)
				*(*to)++ = *s++;
			s--;
		} else if (*s == '\\' && quote != '\'' && s[1]) {
			*(*to)++ = *++s;
		} else if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
		} else {
			*(*to)++ = *s;
		}
	}
	*(*to)++ = '\0';
	return quote ? NULL : s;
}

/* Number of words in text (as large as line and twice as many NULs), -1: bad. */
static int split(const char *line, char *text, char **words)
{
	int n = 0;

	for (const char *s = line + strspn(line, " \t\n"); *s; s += strspn(s, " \t\n")) {
		if (n == MAX_WORDS - 1)
			return -1;
		words[n++] = text;
		s = one_word(s, &text);
		if (!s)
			return -1;
	}
	words[n] = NULL;
	return n;
}

/* A file in memory: unlike a pipe it neither fills up nor breaks. */
static int stdin_of(const void *in, size_t n, struct err *e)
{
	int fd = in ? memfd_create("body", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	const char *p = in;

	if (fd < 0)
		return err_errno(e, ERR_TOOL, "standard input of a command");
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			close(fd);
			return err_errno(e, ERR_TOOL, "standard input of a command");
		}
		p += w;
		n -= (size_t)w;
	}
	(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

static int run(char **words, char **env, int in, struct buf *out, struct err *e)
{
	posix_spawn_file_actions_t fa;
	int fd[2], status = 0, rc;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC))
		return err_errno(e, ERR_TOOL, "pipe");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
	posix_spawn_file_actions_adddup2(&fa, fd[1], 2);
	rc = posix_spawnp(&pid, words[0], &fa, NULL, words, env ? env : environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fd[1]);
	if (rc) {
		close(fd[0]);
		return err_set(e, ERR_TOOL, "%.100s: %s", words[0], strerror(rc));
	}
	/* When it says too much, the closed pipe ends it. */
	rc = file_read_fd(fd[0], "the command's output", out, e);
	close(fd[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return rc;
	return err_set(e, ERR_TOOL, "exit status %d",
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int cmd_run(const char *line, cmd_fill *fill, void *arg, char **env, const void *in, size_t nin,
	    struct buf *out, struct err *e)
{
	CLEAN(free) char *text = malloc(strlen(line) * 2 + 2);
	char *words[MAX_WORDS] = {0};
	int n = text ? split(line, text, words) : -1, rc = 0, filled = 0, fd;

	if (n < 1)
		return err_set(e, ERR_TOOL, "not a command line: %.150s", line);
	for (; filled < n && rc == 0; filled++) {
		CLEAN(buf) struct buf b = {0};

		buf_init(&b, OUTPUT_MAX);
		rc = fill(arg, words[filled], &b, e);
		buf_u8(&b, '\0');
		if (rc == 0 && b.bad)
			rc = err_set(e, ERR_TOO_LARGE, "a word of the command is too long");
		words[filled] = rc ? NULL : (char *)STEAL(b.p);
	}
	fd = rc ? -1 : stdin_of(in, nin, e);
	rc = fd < 0 ? -1 : run(words, env, fd, out, e);
	if (fd >= 0)
		close(fd);
	while (filled-- > 0)
		free(words[filled]);
	return rc;
}

struct about {
	const char *subject, *stream;
};

static int fill_about(void *arg, const char *word, struct buf *out, struct err *e)
{
	const struct about *a = arg;

	(void)e;
	while (*word) {
		char name[16];
		int n = 0;

		if (sscanf(word, "{{ %15[A-Za-z] }}%n", name, &n) == 1 && n &&
		    (strcmp(name, "Subject") == 0 || strcmp(name, "Stream") == 0)) {
			const char *v = name[1] == 'u' ? a->subject : a->stream;

			buf_put(out, v, strlen(v));
			word += n;
		} else {
			buf_u8(out, (uint8_t)*word++);
		}
	}
	return 0;
}

int cmd_translate(struct cli *c, const void *p, size_t n, const char *subject, const char *stream,
		  struct buf *out, struct err *e)
{
	const char *command = cli_str(c, "translate");
	struct about about = {subject, stream};

	if (!command)
		return 0;
	return cmd_run(command, fill_about, &about, NULL, p ? p : "", n, out, e);
}

void cmd_print_body(struct cli *c, const void *p, size_t n, const char *subject, const char *stream,
		    bool spaced)
{
	CLEAN(buf) struct buf out = {0};
	struct err e;

	if (!cli_has(c, "translate")) {
		msg_print_body(p, n, spaced);
		return;
	}
	buf_init(&out, OUTPUT_MAX);
	(void)fflush(stdout);
	if (cmd_translate(c, p, n, subject, stream, &out, &e) == 0) {
		if (out.len)
			msg_print_body(out.p, out.len, spaced);
		else
			fputs(spaced ? "\n\n\n" : "\n", stdout);
		return;
	}
	CLEAN(free) char *quoted = nats_quote(out.len ? (const char *)out.p : "", out.len);

	printf("%s\nError while translating msg body: %s\n\n", quoted ? quoted : "?", e.text);
}
