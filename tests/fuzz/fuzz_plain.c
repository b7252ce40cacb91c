/* The plain surface of the front: subject, headers and body from outside (lines "mode",
 * "signature", subject, then the body), and results that keyd might give. What comes
 * out must be a request that keyd reads back. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hsm/front/plain.h"
#include "hsm/front/subject.h"
#include "proto/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Next line, copied; NULL when it is empty or there is none. */
static char *line(const uint8_t **p, size_t *n)
{
	const uint8_t *end = *n ? memchr(*p, '\n', *n) : NULL;
	size_t len = end ? (size_t)(end - *p) : 0;
	char *s = len ? strndup((const char *)*p, len) : NULL;

	if (end) {
		*n -= len + 1;
		*p = end + 1;
	}
	return s;
}

static void result(struct plain_call *c, const uint8_t *p, size_t n)
{
	CLEAN(buf) struct buf out = {0};
	struct err e = {0};

	buf_init(&out, 1 << 20);
	if (plain_result(c, n % 2 ? ERR_OK : ERR_NOT_VERIFIED, (uint8_t)(n % 20), p, n, &out, &e))
		plain_error(c, &e, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct plain_work work;
	CLEAN(free) char *mode = line(&data, &size);
	CLEAN(free) char *signature = line(&data, &size);
	CLEAN(free) char *subject = line(&data, &size);
	const struct plain_in in = {.subject = subject ? subject : "",
				    .mode = mode,
				    .signature = signature,
				    .body = data,
				    .len = size};
	struct plain_call c;
	struct request q;
	uint8_t nkey[32];
	struct err e = {0};

	plain_work_init(&work, 4096);
	(void)subject_caller(nkey, in.subject, &e);
	size_t n = subject_reply_ok(subject);

	if (n && (strpbrk(subject, " \t\r\n*>") || strstr(subject, "..")))
		abort();
	if (plain_request(&c, &work, &in, &e) == 0) {
		if (request_decode(&q, work.request.p + 32, work.request.len - 32, &e))
			abort();
		if (q.user.len || q.ns.len || q.key_version || q.body.len > 4096)
			abort();
	} else {
		CLEAN(buf) struct buf out = {0};

		buf_init(&out, 65536);
		plain_error(&c, &e, &out);
	}
	result(&c, data, size);
	plain_work_free(&work);
	return 0;
}
