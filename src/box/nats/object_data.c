/* object put and get: the pieces. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/nats/nats_msg.h"
#include "box/nats/object.h"
#include "crypto/crypto.h"
#include "crypto/sha256.h"
#include "ui/progress.h"

#define CHUNK 131072
#define CHUNK_MAX (64 << 20)
#define ON_THE_WAY 32 /* pieces without an answer */
#define NUID_LEN 22

struct put {
	natsSubscription *acks;
	char subject[900], nuid[NUID_LEN + 1];
	int64_t size, chunks, waiting;
	struct sha256 hash;
};

/* 22 characters of base62, as nats.go's NUIDs. */
static void make_nuid(char out[static NUID_LEN + 1])
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint8_t raw[NUID_LEN];

	crypto_random(raw, sizeof(raw));
	for (size_t i = 0; i < NUID_LEN; i++)
		out[i] = digits[raw[i] % 62];
	out[NUID_LEN] = '\0';
}

static void digest_text(char out[static 64], const uint8_t hash[static SHA256_LEN])
{
	char raw[ENC_BASE64_LEN(SHA256_LEN)];

	enc_base64(raw, hash, SHA256_LEN, ENC_URL);
	(void)snprintf(out, 64, "SHA-256=%s=", raw);
}

/* One answer to a piece. */
static int take_ack(struct cli *c, struct put *p, struct err *e)
{
	CLEAN(msg) natsMsg *m = NULL;
	natsStatus s = natsSubscription_NextMsg(&m, p->acks, run_of(c)->timeout_ms);

	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS, "nats: no responders available for request");
	if (s != NATS_OK)
		return s == NATS_TIMEOUT ? err_set(e, ERR_TIMEOUT, "nats: timeout")
					 : conn_err(e, s, "nats");
	CLEAN(json) json_t *ack = nats_msg_json(m, 0);
	const json_t *bad = json_object_get(ack, "error");

	if (bad)
		return err_set(e, ERR_INTERNAL, "nats: %.180s (%d)", jstr(bad, "description"),
			       (int)jint(bad, "err_code"));
	if (!*jstr(ack, "stream"))
		return err_set(e, ERR_BAD_JSON, "the answer to a piece is not of JetStream");
	p->waiting--;
	return 0;
}

static int send_piece(struct cli *c, struct put *p, const char *inbox, const void *data, size_t n,
		      struct err *e)
{
	natsStatus s =
		natsConnection_PublishRequest(run_of(c)->nc, p->subject, inbox, data, (int)n);

	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	sha256_update(&p->hash, data, n);
	p->size += (int64_t)n;
	p->chunks++;
	p->waiting++;
	return p->waiting < ON_THE_WAY ? 0 : take_ack(c, p, e);
}

/* Fills a piece as far as the input goes. */
static ssize_t fill(int fd, uint8_t *piece, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t r = read(fd, piece + n, cap - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}

static int send_all(struct cli *c, struct put *p, int fd, const char *what, size_t cap,
		    const char *inbox, struct err *e)
{
	CLEAN(free) uint8_t *piece = malloc(cap);
	struct stat st = {0};
	struct progress bar;
	int r = piece ? 0 : err_set(e, ERR_NOMEM, NULL);

	(void)fstat(fd, &st);
	progress_start(&bar, "putting", (uint64_t)st.st_size, PROGRESS_BYTES);
	while (r == 0) {
		ssize_t n = fill(fd, piece, cap);

		if (n < 0)
			r = err_errno(e, ERR_IO, "cannot read %.200s", what);
		if (n <= 0)
			break;
		if (nats_stopped())
			r = err_set(e, ERR_INTERNAL, "stopped by a signal");
		else
			r = send_piece(c, p, inbox, piece, (size_t)n, e);
		progress_add(&bar, (uint64_t)n);
	}
	while (r == 0 && p->waiting > 0)
		r = take_ack(c, p, e);
	progress_end(&bar);
	return r;
}

static int put_headers(struct cli *c, json_t *meta, struct err *e)
{
	CLEAN(json) json_t *all = json_object();

	for (size_t i = 0; i < cli_count(c, "header"); i++) {
		const char *text = cli_nth(c, "header", i), *colon = strchr(text, ':');
		char key[256];

		if (!colon || colon == text || (size_t)(colon - text) >= sizeof(key))
			return cli_usage(e, "invalid header \"%.80s\"", text);
		(void)snprintf(key, sizeof(key), "%.*s", (int)(colon - text), text);
		json_t *list = json_object_get(all, key);

		if (!list) {
			list = json_array();
			(void)json_object_set_new(all, key, list);
		}
		(void)json_array_append_new(list, json_string(colon + 1 + strspn(colon + 1, " ")));
	}
	if (json_object_size(all))
		(void)json_object_set(meta, "headers", all);
	return 0;
}

static json_t *make_meta(struct cli *c, const struct obj_bucket *b, const char *name, struct put *p,
			 size_t cap, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	char digest[64];
	json_t *meta;

	sha256_final(&p->hash, hash);
	digest_text(digest, hash);
	meta = json_pack("{s:s, s:{s:I}, s:s, s:s, s:I, s:s, s:I, s:s}", "name", name, "options",
			 "max_chunk_size", (json_int_t)cap, "bucket", b->name, "nuid", p->nuid,
			 "size", (json_int_t)p->size, "mtime", "0001-01-01T00:00:00Z", "chunks",
			 (json_int_t)p->chunks, "digest", digest);
	if (!meta) {
		err_set(e, ERR_BAD_NAME, "the name of an object must be UTF-8");
		return NULL;
	}
	if (cli_str(c, "description"))
		(void)json_object_set_new(meta, "description",
					  json_string(cli_str(c, "description")));
	if (put_headers(c, meta, e)) {
		json_decref(meta);
		return NULL;
	}
	return meta;
}

static int put_from(struct cli *c, const struct obj_bucket *b, const char *name, int fd,
		    const char *what, const json_t *before, struct err *e)
{
	struct put p = {0};
	CLEAN(json) json_t *meta = NULL;
	int64_t cap = CHUNK;
	struct err ignored;
	int r;

	if (nats_opt_bytes(c, "chunk-size", &cap, e))
		return -1;
	if (cap < 1 || cap > CHUNK_MAX || cap > natsConnection_GetMaxPayload(run_of(c)->nc))
		return cli_usage(e, "option --chunk-size: from 1 byte to what a message may hold");
	CLEAN(free) char *inbox = nats_inbox(c);

	make_nuid(p.nuid);
	sha256_init(&p.hash);
	(void)snprintf(p.subject, sizeof(p.subject), "$O.%.200s.C.%s", b->name, p.nuid);
	natsStatus s = inbox ? natsConnection_SubscribeSync(&p.acks, run_of(c)->nc, inbox)
			     : NATS_NO_MEMORY;

	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	r = send_all(c, &p, fd, what, (size_t)cap, inbox, e);
	natsSubscription_Destroy(p.acks);
	if (r == 0) {
		meta = make_meta(c, b, name, &p, (size_t)cap, e);
		r = meta ? obj_publish_meta(c, b, meta, e) : -1;
	}
	/* Half an object is removed; so are the pieces of the one that was there before. */
	if (r && p.chunks)
		(void)obj_purge(c, b, p.nuid, &ignored);
	if (r == 0 && before && *jstr(before, "nuid"))
		(void)obj_purge(c, b, jstr(before, "nuid"), &ignored);
	return r;
}

int object_put(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	CLEAN(json) json_t *before = NULL;
	CLEAN(json) json_t *after = NULL;
	const char *file = c->argc > 1 ? c->argv[1] : NULL, *name = cli_str(c, "name");
	CLEAN(fd) int fd = -1;
	struct err none;

	if (!name)
		name = file;
	if (!name)
		return cli_usage(e, "--name is needed for an object that comes from stdin");
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	if (file && (fd = open(file, O_RDONLY | O_CLOEXEC)) < 0)
		return err_errno(e, ERR_IO, "cannot open %.200s", file);
	nats_catch();
	if (obj_open(c, &b, e))
		return -1;
	if (obj_info(c, &b, name, true, &before, &none) == 0 && !jbool(before, "deleted") &&
	    !cli_has(c, "force")) {
		obj_show(b.name, before);
		putchar('\n');
		if (js_force(c, e, "Replace existing file %s > %s", b.name, name))
			return -1;
	}
	if (put_from(c, &b, name, file ? fd : STDIN_FILENO, file ? file : "stdin", before, e) ||
	    obj_info(c, &b, name, false, &after, e))
		return -1;
	putchar('\n');
	obj_show(b.name, after);
	return 0;
}

/* ---- get ---- */

static int receive(struct cli *c, struct js_feed *f, const json_t *meta, int fd, const char *to,
		   struct err *e)
{
	int64_t size = 0, chunks = jint(meta, "chunks");
	uint8_t hash[SHA256_LEN];
	struct sha256 sha;
	struct progress bar;
	char digest[64];
	int r = 1;

	sha256_init(&sha);
	progress_start(&bar, "getting", (uint64_t)jint(meta, "size"), PROGRESS_BYTES);
	for (int64_t i = 0; i < chunks && r > 0; i++) {
		CLEAN(msg) natsMsg *m = NULL;
		struct js_meta at;

		r = js_feed_next(c, f, run_of(c)->timeout_ms * NS_MS, &m, e);
		if (r == 0)
			r = err_set(e, ERR_TIMEOUT,
				    nats_stopped() ? "stopped by a signal" : "nats: timeout");
		if (r < 0)
			break;
		if (js_meta(m, &at) || at.consumer_seq != i + 1) {
			r = err_set(e, ERR_STORE_DAMAGED,
				    "nats: a piece of the object was lost on the way");
			break;
		}
		size_t n = (size_t)natsMsg_GetDataLength(m);

		sha256_update(&sha, natsMsg_GetData(m), n);
		size += (int64_t)n;
		if (file_write_fd(fd, to, natsMsg_GetData(m), n, e))
			r = -1;
		progress_add(&bar, n);
	}
	progress_end(&bar);
	sha256_final(&sha, hash);
	if (r < 0)
		return -1;
	digest_text(digest, hash);
	if (size != jint(meta, "size") || strcmp(digest, jstr(meta, "digest")) != 0)
		return err_set(
			e, ERR_DIGEST,
			"nats: the object is damaged: its digest or size is another than stored");
	return 0;
}

static int fetch(struct cli *c, const struct obj_bucket *b, const json_t *meta, int fd,
		 const char *to, struct err *e)
{
	char subject[600];
	struct js_feed f = {0};
	int r;

	if (jint(meta, "chunks") > 0 && obj_nuid_ok(jstr(meta, "nuid"), e))
		return -1;
	(void)snprintf(subject, sizeof(subject), "$O.%.200s.C.%.200s", b->name, jstr(meta, "nuid"));
	if (js_feed_open(c, &f, b->stream, json_pack("{s:s}", "filter_subject", subject), e))
		return -1;
	r = f.pending < jint(meta, "chunks")
		    ? err_set(e, ERR_STORE_DAMAGED, "nats: pieces of the object are missing")
		    : receive(c, &f, meta, fd, to, e);
	js_feed_close(c, &f);
	return r;
}

/* Into a file beside the target, which is renamed when all came and the digest fits. */
static int fetch_file(struct cli *c, const struct obj_bucket *b, const json_t *meta,
		      const char *out, struct err *e)
{
	CLEAN(free) char *part = NULL;
	int64_t start = mono_ns();

	if (asprintf(&part, "%s.part", out) < 0) {
		part = NULL;
		return err_set(e, ERR_NOMEM, NULL);
	}
	CLEAN(fd) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot write %.200s", part);
	if (fetch(c, b, meta, fd, part, e) ||
	    (rename(part, out) && err_errno(e, ERR_IO, "cannot write %.200s", out))) {
		(void)unlink(part);
		return -1;
	}
	CLEAN(free) char *full = realpath(out, NULL);
	int64_t took = mono_ns() - start, size = jint(meta, "size");

	printf("Wrote: %s to %s in %s", IBYTES(size), full ? full : out, DURATION(took));
	if (took > 2 * NS_S)
		printf(" average %s/s", IBYTES((double)size / ((double)took / 1e9)));
	putchar('\n');
	return 0;
}

int object_get(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	CLEAN(json) json_t *meta = NULL;
	const char *name = c->argv[1], *out = cli_str(c, "output");

	nats_catch();
	if (obj_open(c, &b, e) || obj_info(c, &b, name, false, &meta, e))
		return -1;
	if (json_is_object(jget(meta, "options.link")))
		return err_set(e, ERR_BAD_INPUT,
			       "nats: %.100s is a link to %.60s > %.60s: get that", name,
			       jstr(meta, "options.link.bucket"), jstr(meta, "options.link.name"));
	/* A stored name must not choose a directory. */
	if (!out)
		out = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	if (strcmp(out, "-") == 0 && isatty(STDOUT_FILENO))
		return cli_usage(
			e, "the object may be binary: redirect standard output, or give -O FILE");
	if (strcmp(out, "-") == 0)
		return fetch(c, &b, meta, STDOUT_FILENO, "standard output", e);
	if (!*out || strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
		return cli_usage(e, "the object's name is no file name: give -O FILE");
	if (access(out, F_OK) == 0 && js_force(c, e, "Replace existing target file %s", out))
		return -1;
	return fetch_file(c, &b, meta, out, e);
}
