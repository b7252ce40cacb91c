/* stub_keyd FRONT CONFIG LANES: starts FRONT (hsm-front) as hsmd would, with the JSON
 * text CONFIG and LANES channels, and plays keyd on them with canned replies, so that
 * the front can be tested alone. Prints its identity and instance, and at the end
 * "front exited N". SIGTERM is passed on to the front.
 *
 * A sealed message is echoed without the caller's key, unless it begins with
 *   !error N      reply with error N and a text that has a line break
 *   !slow N       echoed after N ms
 *   !never        no reply (openings too)
 *   !big N        reply of N bytes
 *   !hello        new instance
 *   !eof          all channels are closed
 *   !bad          a frame that no front expects
 * It prints "asked !slow" and "asked !never" when these have come. A plain request is
 * answered by its key's name: see plain(). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/enc.h"
#include "nkey/nkey.h"
#include "proto/body.h"
#include "proto/control.h"
#include "proto/mode.h"
#include "proto/op.h"
#include "proto/request.h"
#include "proto/wire.h"

#define MAX_LANES 32
#define FIRST_FD 3

static int lanes[MAX_LANES];
static unsigned nlanes;
static pid_t front;
static struct hello hello = {.state = STATE_OPERATIONAL, .max_message = 1 << 20, .epoch = 7};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_hello(const struct hello *h)
{
	struct buf b, frame;
	struct err e;

	buf_init(&b, 4096);
	buf_init(&frame, 8192);
	hello_put(&b, h);
	wire_put(&frame, W_HELLO, 0, b.p, b.len);
	if (wire_send(lanes[0], &frame, &e))
		fprintf(stderr, "hello: %s\n", e.text);
	buf_free(&b);
	buf_free(&frame);
}

/* As keyd at its start, before the store gave it an identity. */
static void say_hello_early(void)
{
	struct hello early = hello;

	memset(early.identity, 0, sizeof(early.identity));
	send_hello(&early);
	usleep(500000);
}

static void say_hello(void)
{
	char id[NKEY_PUB_LEN], instance[2 * INSTANCE_LEN + 1];

	send_hello(&hello);
	nkey_encode(id, NKEY_CURVE, hello.identity);
	enc_hex(instance, hello.instance, INSTANCE_LEN);
	printf("identity %s\ninstance %s\n", id, instance);
	fflush(stdout);
}

/* One line, at once: whoever waits for it reads a file. */
static void say(const char *line)
{
	puts(line);
	fflush(stdout);
}

static void reply(struct buf *out, uint64_t tag, uint16_t error, uint8_t mode, const void *p,
		  size_t n)
{
	struct buf b;

	buf_init(&b, WIRE_MESSAGE);
	buf_u16(&b, error);
	buf_u8(&b, mode);
	buf_put(&b, p, n);
	wire_put(out, W_REPLY, tag, b.p, b.len);
	buf_free(&b);
}

static bool starts(const uint8_t *p, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(p, with, strlen(with)) == 0;
}

static long number_after(const uint8_t *p, size_t n, size_t at)
{
	char text[16] = {0};

	if (n > at)
		memcpy(text, p + at, n - at < 15 ? n - at : 15);
	return strtol(text, NULL, 10);
}

static void sealed(struct buf *out, uint64_t tag, const uint8_t *p, size_t n)
{
	static const char text[] = "canned error\r\nX-Evil: 1";

	if (n < 1 || p[0] != '!') {
		size_t at = wire_begin(out, W_REPLY, tag);

		if (n + 3 + WIRE_HEAD > WIRE_PACKET) {
			out->len = at;
			reply(out, tag, 0, 0, p, n);
			return;
		}
		buf_u16(out, 0);
		buf_u8(out, 0);
		buf_put(out, p, n);
		wire_end(out, at);
	} else if (starts(p, n, "!error ")) {
		reply(out, tag, (uint16_t)number_after(p, n, 7), 0, text, strlen(text));
	} else if (starts(p, n, "!never")) {
		say("asked !never");
	} else if (starts(p, n, "!slow ")) {
		long ms = number_after(p, n, 6);

		say("asked !slow");
		nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
		reply(out, tag, 0, 0, p, n);
	} else if (starts(p, n, "!big ")) {
		size_t size = (size_t)number_after(p, n, 5);
		uint8_t *big = calloc(1, size + 1);

		reply(out, tag, 0, 0, big, size);
		free(big);
	} else if (starts(p, n, "!hello")) {
		hello.instance[0]++;
		say_hello();
		reply(out, tag, 0, 0, "hello", 5);
	} else if (starts(p, n, "!eof")) {
		for (unsigned i = 0; i < nlanes; i++)
			shutdown(lanes[i], SHUT_RDWR);
	} else if (starts(p, n, "!bad")) {
		wire_put(out, W_REPLY, UINT64_MAX, "xxxx", 4);
	}
}

/* Key names: ed…, p256…, rsa… choose a mode; missing: NOT_FOUND; invalid: verify says
 * no. A signature is 0x5a bytes, its first bytes repeat the request's mode and length. */
static void plain(struct buf *out, uint64_t tag, const uint8_t *p, size_t n)
{
	static const struct {
		const char *prefix;
		uint8_t mode;
		size_t len;
	} kinds[] = {{"ed", MODE_EDDSA, 64},
		     {"p256", MODE_ECDSA_SHA256, 64},
		     {"rsa", MODE_PSS_SHA256, 256}};
	uint8_t body[4096];
	struct request q;
	struct err e;
	uint8_t mode = 0;
	size_t len = 0;

	if (request_decode(&q, p, n, &e)) {
		reply(out, tag, (uint16_t)e.code, 0, e.text, strlen(e.text));
		return;
	}
	for (size_t i = 0; i < 3; i++)
		if (starts(q.key.p, q.key.len, kinds[i].prefix)) {
			mode = kinds[i].mode;
			len = kinds[i].len;
		}
	if (q.mode)
		mode = q.mode;
	memset(body, 0x5a, sizeof(body));
	if (starts(q.key.p, q.key.len, "missing")) {
		reply(out, tag, ERR_NOT_FOUND, 0, "no such key", 11);
	} else if (q.op == OP_sign) {
		body[0] = q.mode;
		le32_store(body + 1, (uint32_t)q.body.len);
		reply(out, tag, 0, mode, body, len);
	} else if (q.op == OP_verify) {
		struct rd r;

		rd_init(&r, q.body.p, q.body.len);
		struct bytes sig = rd_str16(&r), msg = rd_str32(&r);
		bool ok = rd_end(&r) && sig.len == len && msg.len > 0;

		if (starts(q.key.p, q.key.len, "ed.invalid"))
			ok = false;
		reply(out, tag, ok ? 0 : ERR_NOT_VERIFIED, mode, ok ? "" : "no", ok ? 0 : 2);
	} else if (q.op == OP_random) {
		reply(out, tag, 0, 0, body, q.body.len == 2 ? le16_load(q.body.p) : 0);
	} else {
		uint8_t pub[32];
		struct key_info k = {.name = q.key,
				     .version = 1,
				     .type = KEY_ED25519,
				     .bits = 256,
				     .modes = MODE_BIT(MODE_EDDSA),
				     .pub = {pub, 32}};
		struct buf b;

		memset(pub, 0x42, sizeof(pub));
		buf_init(&b, 4096);
		key_info_put(&b, &k);
		reply(out, tag, 0, 0, b.p, b.len);
		buf_free(&b);
	}
}

static void *serve(void *arg)
{
	unsigned lane = (unsigned)(uintptr_t)arg;
	struct wire_reader r;
	struct buf out;
	struct err e;

	buf_init(&out, 64u << 20);
	if (wire_reader_init(&r, WIRE_MESSAGE, false, &e))
		exit(1);
	while (wire_recv(&r, lanes[lane], NULL, NULL, &e) > 0) {
		struct wire_msg m;
		int rc;

		while ((rc = wire_next(&r, &m, &e)) > 0) {
			if (m.type == W_OPEN && starts(m.p, m.len, "!never"))
				continue;
			if (m.type == W_OPEN)
				reply(&out, m.tag, 0, 0, m.p, m.len);
			else if (m.type == W_SEALED && m.len >= 32)
				sealed(&out, m.tag, m.p + 32, m.len - 32);
			else if (m.type == W_PLAIN && m.len >= 32)
				plain(&out, m.tag, m.p + 32, m.len - 32);
			else
				fprintf(stderr, "stub: bad frame\n");
		}
		if (rc < 0)
			fprintf(stderr, "stub: %s\n", e.text);
		if (wire_send(lanes[lane], &out, &e))
			break;
	}
	return NULL;
}

static void pass_on(int sig)
{
	kill(front, sig);
}

static void start_front(const char *path, const char *config, const int *ends)
{
	char n[16], fd[16];
	int conf[2];

	if (pipe(conf) || write(conf[1], config, strlen(config)) < 0)
		die("pipe");
	close(conf[1]);
	front = fork();
	if (front < 0)
		die("fork");
	if (front) {
		close(conf[0]);
		return;
	}
	/* Numbers above the lanes first: dup2 must not close what is still needed. */
	conf[0] = fcntl(conf[0], F_DUPFD_CLOEXEC, 300);
	for (unsigned i = 0; i < nlanes; i++)
		if (dup2(ends[i], FIRST_FD + (int)i) < 0)
			die("dup2");
	if (dup2(conf[0], FIRST_FD + (int)nlanes) < 0)
		die("dup2");
	snprintf(n, sizeof(n), "%u", nlanes);
	snprintf(fd, sizeof(fd), "%u", FIRST_FD + nlanes);
	execl(path, "hsm-front", "--lanes", n, "--config-fd", fd, (char *)NULL);
	die(path);
}

int main(int argc, char **argv)
{
	int ends[MAX_LANES], status = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: stub_keyd FRONT CONFIG LANES\n");
		return 2;
	}
	nlanes = (unsigned)strtoul(argv[3], NULL, 10);
	if (nlanes < 2 || nlanes > MAX_LANES)
		return 2;
	for (unsigned i = 0; i < nlanes; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			die("socketpair");
		lanes[i] = fcntl(pair[0], F_DUPFD_CLOEXEC, 200);
		ends[i] = fcntl(pair[1], F_DUPFD_CLOEXEC, 100);
		close(pair[0]);
		close(pair[1]);
	}
	memset(hello.identity, 0x11, sizeof(hello.identity));
	memset(hello.instance, 0x22, sizeof(hello.instance));
	start_front(argv[1], argv[2], ends);
	for (unsigned i = 0; i < nlanes; i++)
		close(ends[i]);
	printf("front pid %d\n", (int)front);
	signal(SIGTERM, pass_on);
	if (getenv("STUB_EARLY"))
		say_hello_early();
	say_hello();
	for (unsigned i = 0; i < nlanes; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, serve, (void *)(uintptr_t)i))
			die("thread");
	}
	while (waitpid(front, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		printf("front killed by %d\n", WTERMSIG(status));
	else
		printf("front exited %d\n", WEXITSTATUS(status));
	return 0;
}
