#include "box/nats/nats_template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "box/nats/nats_fmt.h"
#include "crypto/crypto.h"
#include "ui/cli.h"

#define RANDOM_MAX 100000000

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* n letters; unbiased, in blocks of random bytes. */
static void random_text(struct buf *out, size_t n)
{
	uint8_t pool[256];
	size_t at = sizeof(pool);

	while (n && !out->bad) {
		if (at == sizeof(pool)) {
			crypto_random(pool, sizeof(pool));
			at = 0;
		}
		uint8_t b = pool[at++];

		if (b >= 248)
			continue;
		buf_u8(out, (uint8_t)letters[b % 62]);
		n--;
	}
}

static int random_call(struct buf *out, const char *args, struct err *e)
{
	unsigned long a, b, t;
	uint64_t r;
	char extra;

	if (sscanf(args, "%lu %lu%c", &a, &b, &extra) != 2)
		return cli_usage(e, "template: Random needs two numbers: {{ Random 10 100 }}");
	if (a > b) {
		t = a;
		a = b;
		b = t;
	}
	if (b > RANDOM_MAX)
		return cli_usage(e, "template: Random makes at most %d characters", RANDOM_MAX);
	crypto_random(&r, sizeof(r));
	random_text(out, a + r % (b - a + 1));
	return 0;
}

/* "3:04PM" */
static void kitchen(struct buf *out, int64_t now)
{
	time_t s = (time_t)(now / NS_S);
	struct tm tm = {0};

	(void)localtime_r(&s, &tm);
	buf_printf(out, "%d:%02d%s", tm.tm_hour % 12 ? tm.tm_hour % 12 : 12, tm.tm_min,
		   tm.tm_hour < 12 ? "AM" : "PM");
}

struct values {
	const char *request;
	size_t rn;
	long long count;
	int64_t now;
};

/* One {{word}}; the word has no blanks around it. */
static int action(struct buf *out, const char *word, const struct values *v, struct err *e)
{
	char stamp[48];

	word += *word == '.' && word[1];
	if (strncmp(word, "Random", 6) == 0 && (word[6] == ' ' || !word[6]))
		return random_call(out, word + 6, e);
	if (strcmp(word, "Count") == 0 || strcmp(word, "Cnt") == 0)
		buf_printf(out, "%lld", v->count);
	else if (strcmp(word, "ID") == 0)
		random_text(out, 22);
	else if (strcmp(word, "Unix") == 0)
		buf_printf(out, "%lld", (long long)(v->now / NS_S));
	else if (strcmp(word, "UnixNano") == 0)
		buf_printf(out, "%lld", (long long)v->now);
	else if (strcmp(word, "TimeStamp") == 0)
		buf_printf(out, "%s", fmt_rfc3339(stamp, v->now, false, false));
	else if (strcmp(word, "Time") == 0)
		kitchen(out, v->now);
	else if (strcmp(word, "Request") == 0 && v->request)
		buf_put(out, v->request, v->rn);
	else if (*word == '"' || *word == '`')
		buf_put(out, word + 1, strlen(word) > 2 ? strlen(word) - 2 : 0);
	else if (strncmp(word, "/*", 2) != 0)
		return cli_usage(e, "template: body:1: function \"%.40s\" not defined", word);
	return 0;
}

int template_fill(struct buf *out, const char *text, size_t n, const char *request, size_t rn,
		  long long count, struct err *e)
{
	const struct values v = {request, rn, count, now_ns()};
	const char *end = text + n;
	size_t start = out->len;

	while (text < end) {
		const char *open = memmem(text, (size_t)(end - text), "{{", 2);
		const char *close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;
		char word[128];

		if (!open) {
			buf_put(out, text, (size_t)(end - text));
			break;
		}
		buf_put(out, text, (size_t)(open - text));
		if (!close) {
			out->len = start;
			return cli_usage(e, "template: body:1: unclosed action");
		}
		const char *a = open + 2, *z = close;

		if (a[0] == '-' && isspace((unsigned char)a[1])) {
			a++;
			while (out->len > start && isspace(out->p[out->len - 1]))
				out->len--;
		}
		text = close + 2;
		if (z - a >= 2 && z[-1] == '-' && isspace((unsigned char)z[-2])) {
			z--;
			while (text < end && isspace((unsigned char)*text))
				text++;
		}
		while (a < z && isspace((unsigned char)*a))
			a++;
		while (z > a && isspace((unsigned char)z[-1]))
			z--;
		(void)snprintf(word, sizeof(word), "%.*s", (int)(z - a), a);
		if (action(out, word, &v, e)) {
			out->len = start;
			return -1;
		}
	}
	return out->bad ? err_set(e, ERR_TOO_LARGE, "the message is too large") : 0;
}
