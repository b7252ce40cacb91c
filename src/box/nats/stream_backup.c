/* stream backup and restore: a directory with backup.json (configuration and state) and
 * stream.tar.s2 (the server's snapshot as it comes), as jsm.go has it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "box/nats/nats_msg.h"
#include "box/nats/stream.h"
#include "ui/progress.h"

#define PATH_CAP 4096
#define CHUNK 524288
#define META_MAX ((size_t)4 << 20)

struct backup {
	char data[PATH_CAP], part[PATH_CAP + 8], meta[PATH_CAP];
	int64_t bytes, chunks, started;
};

static int paths(struct backup *b, const char *dir, struct err *e)
{
	if (strlen(dir) > PATH_CAP - 32)
		return err_set(e, ERR_BAD_INPUT, "the path of the backup is too long");
	(void)snprintf(b->data, sizeof(b->data), "%s/stream.tar.s2", dir);
	(void)snprintf(b->part, sizeof(b->part), "%s/stream.tar.s2.part", dir);
	(void)snprintf(b->meta, sizeof(b->meta), "%s/backup.json", dir);
	return 0;
}

/* One piece of the snapshot. 1: the end. */
static int chunk(struct cli *c, struct backup *b, natsMsg *m, int fd, struct err *e)
{
	const char *status = msg_header(m, "Status"), *reply = natsMsg_GetReply(m);
	size_t n = (size_t)natsMsg_GetDataLength(m);

	if (*status && strcmp(status, "204") != 0)
		return err_set(e, ERR_UNAVAILABLE, "the server ended the snapshot: %.20s %.120s",
			       status, msg_header(m, "Description"));
	if (n == 0)
		return 1;
	if (file_write_fd(fd, b->part, natsMsg_GetData(m), n, e))
		return -1;
	b->bytes += (int64_t)n;
	b->chunks++;
	/* The server sends on only when it hears that this came. */
	if (reply && *reply)
		(void)natsConnection_PublishString(run_of(c)->nc, reply, "");
	return 0;
}

static int receive(struct cli *c, struct backup *b, natsSubscription *sub, int fd, int64_t expected,
		   struct err *e)
{
	struct progress p;
	int r = 0;

	progress_start(&p, "receiving the snapshot", (uint64_t)expected, PROGRESS_BYTES);
	while (r == 0) {
		CLEAN(msg) natsMsg *m = NULL;
		natsStatus s = natsSubscription_NextMsg(
			&m, sub, run_of(c)->timeout_ms > 5000 ? run_of(c)->timeout_ms : 5000);

		if (s == NATS_TIMEOUT)
			r = err_set(e, ERR_TIMEOUT,
				    "backup timed out after receiving no data for a long period");
		else if (s != NATS_OK)
			r = conn_err(e, s, "snapshot");
		else
			r = chunk(c, b, m, fd, e);
		if (r == 0)
			progress_add(&p, (uint64_t)natsMsg_GetDataLength(m));
	}
	progress_end(&p);
	return r < 0 ? -1 : 0;
}

static json_t *snapshot_request(struct cli *c, const char *inbox, struct err *e)
{
	json_t *req = json_pack("{s:s, s:b}", "deliver_subject", inbox, "no_consumers",
				cli_off(c, "consumers"));
	int64_t size = 0, window = 0;

	if (nats_opt_bytes(c, "chunk-size", &size, e) ||
	    nats_opt_bytes(c, "window-size", &window, e)) {
		json_decref(req);
		return NULL;
	}
	if (size > 0)
		(void)json_object_set_new(req, "chunk_size", json_integer(size));
	if (window > 0)
		(void)json_object_set_new(req, "window_size", json_integer(window));
	if (cli_has(c, "check"))
		(void)json_object_set_new(req, "jsck", json_true());
	return req;
}

static int snapshot(struct cli *c, struct backup *b, const char *stream, const char *inbox,
		    natsSubscription *sub, struct err *e)
{
	json_t *req = snapshot_request(c, inbox, e);
	CLEAN(json) json_t *reply = NULL;
	CLEAN(json) json_t *meta = NULL;
	CLEAN(fd) int fd = open(b->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0) {
		json_decref(req);
		return err_errno(e, ERR_IO, "cannot write %.200s", b->part);
	}
	if (!req || nats_js_request(c, req, &reply, e, "STREAM.SNAPSHOT.%s", stream))
		return -1;
	printf("Starting backup of Stream \"%s\" with %s\n", stream,
	       IBYTES(jint(reply, "state.bytes")));
	(void)fflush(stdout);
	if (receive(c, b, sub, fd, jint(reply, "state.bytes"), e))
		return -1;
	if (fsync(fd) || rename(b->part, b->data))
		return err_errno(e, ERR_IO, "cannot write %.200s", b->data);
	meta = json_pack("{s:O, s:O}", "config", json_object_get(reply, "config"), "state",
			 json_object_get(reply, "state"));
	if (!meta)
		return err_set(e, ERR_BAD_JSON, "the server's answer has no configuration");
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, META_MAX);
	if (json_text(meta, JSON_INDENTED, &text, e))
		return -1;
	return file_replace(b->meta, text.p, text.len, 0600, e);
}

int stream_backup(struct cli *c, struct err *e)
{
	return stream_backup_to(c, c->argv[0], c->argv[1], e);
}

int stream_backup_to(struct cli *c, const char *stream, const char *dir, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	struct backup b = {.started = mono_ns()};
	natsSubscription *sub = NULL;

	if (js_stream_info(c, stream, &info, e) || file_mkdirs(dir, 0700, e) || paths(&b, dir, e))
		return -1;
	CLEAN(free) char *inbox = nats_inbox(c);
	natsStatus s =
		inbox ? natsConnection_SubscribeSync(&sub, run_of(c)->nc, inbox) : NATS_NO_MEMORY;

	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(sub, -1, -1);
	int r = s == NATS_OK ? snapshot(c, &b, stream, inbox, sub, e) : conn_err(e, s, "nats");

	natsSubscription_Destroy(sub);
	if (r) {
		(void)unlink(b.part);
		return err_wrap(e, "snapshot failed");
	}
	printf("\nReceived %s compressed data in %s chunks for stream \"%s\" in %s\n",
	       IBYTES(b.bytes), COMMA(b.chunks), stream, DURATION(mono_ns() - b.started));
	return 0;
}

/* One piece, or the empty end, and its answer. */
static int send(struct cli *c, const char *to, const void *p, size_t n, json_t **last,
		struct err *e)
{
	CLEAN(msg) natsMsg *m = NULL;
	/* In a cluster it takes a moment until our server knows who listens there. */
	for (int i = 0; nats_request(c, to, p, n, &m, e); i++) {
		if (e->code != ERR_NO_RESPONDERS || i == 20 || nats_stopped())
			return -1;
		(void)nats_wait(NULL, 100 * NS_MS);
	}
	CLEAN(json) json_t *j = natsMsg_GetDataLength(m) ? nats_msg_json(m, 0) : NULL;
	const json_t *bad = json_object_get(j, "error");

	if (bad)
		return err_set(e, ERR_INTERNAL, "%.180s (%d)", jstr(bad, "description"),
			       (int)jint(bad, "err_code"));
	if (last)
		*last = STEAL(j);
	return 0;
}

static int send_all(struct cli *c, const char *to, int fd, int64_t size, const char *name,
		    struct err *e)
{
	int64_t max = natsConnection_GetMaxPayload(run_of(c)->nc);
	size_t cap = max > 0 && max < CHUNK ? (size_t)max : CHUNK;
	CLEAN(free) uint8_t *piece = malloc(cap);
	CLEAN(json) json_t *last = NULL;
	struct progress p;
	int r = piece ? 0 : err_set(e, ERR_NOMEM, NULL);

	progress_start(&p, "sending the snapshot", (uint64_t)size, PROGRESS_BYTES);
	while (r == 0) {
		ssize_t n = read(fd, piece, cap);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = err_errno(e, ERR_IO, "cannot read %.200s", name);
		if (n <= 0)
			break;
		r = send(c, to, piece, (size_t)n, NULL, e);
		progress_add(&p, (uint64_t)n);
	}
	progress_end(&p);
	return r ? -1 : send(c, to, NULL, 0, &last, e);
}

/* What is restored: backup.json with the options laid over it. */
static int restore_config(struct cli *c, const struct backup *b, json_t **out, struct err *e)
{
	static const struct js_field fields[] = {
		{"tag", "placement.tags", JS_LIST, NULL, NULL},
		{"cluster", "placement.cluster", JS_STR, NULL, NULL},
		{"replicas", "num_replicas", JS_INT, NULL, NULL},
		{0},
	};
	const char *file = cli_str(c, "config");
	CLEAN(json) json_t *meta = NULL;
	CLEAN(json) json_t *cfg = NULL;

	if (js_config_file(b->meta, &meta, e))
		return -1;
	if (!json_is_object(json_object_get(meta, "config")) ||
	    !json_is_object(json_object_get(meta, "state")))
		return err_set(e, ERR_BAD_JSON, "%.200s: 'config' and 'state' are needed", b->meta);
	if (file) {
		if (js_config_file(file, &cfg, e))
			return -1;
		/* The server's state would be confused otherwise. */
		if (strcmp(jstr(cfg, "name"), jstr(meta, "config.name")) != 0)
			return err_set(e, ERR_USAGE,
				       "stream names may not be changed during restore");
		(void)json_object_set(meta, "config", cfg);
	}
	if (js_apply(c, fields, json_object_get(meta, "config"), e))
		return -1;
	*out = STEAL(meta);
	return 0;
}

int stream_restore(struct cli *c, struct err *e)
{
	return stream_restore_from(c, c->argv[0], e);
}

int stream_restore_from(struct cli *c, const char *dir, struct err *e)
{
	CLEAN(json) json_t *meta = NULL;
	CLEAN(json) json_t *reply = NULL;
	CLEAN(json) json_t *known = NULL;
	struct backup b = {.started = mono_ns()};
	struct stat st;
	struct err none;

	if (paths(&b, dir, e) || restore_config(c, &b, &meta, e))
		return err_wrap(e, "restore failed");
	const char *name = jstr(meta, "config.name");
	CLEAN(fd) int fd = open(b.data, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, ERR_IO, "restore failed: cannot read %.200s", b.data);
	if (js_name("stream", name, e))
		return -1;
	if (js_stream_info(c, name, &known, &none) == 0)
		return err_set(e, ERR_EXISTS, "Stream \"%s\" already exist", name);
	printf("Starting restore of Stream \"%s\" from file \"%s\"\n\n", name, dir);
	(void)fflush(stdout);
	if (nats_js_request(c, json_incref(meta), &reply, e, "STREAM.RESTORE.%s", name))
		return err_wrap(e, "restore failed");
	if (!*jstr(reply, "deliver_subject"))
		return err_set(e, ERR_BAD_JSON, "restore failed: the server does not say where to");
	if (send_all(c, jstr(reply, "deliver_subject"), fd, st.st_size, b.data, e))
		return err_wrap(e, "restore failed");
	printf("\nRestored stream \"%s\" in %s\n\n", name, DURATION(mono_ns() - b.started));
	return stream_show_name(c, name, false, e);
}
