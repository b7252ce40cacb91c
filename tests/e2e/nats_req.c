/* One NATS request by libnats with an NKey, as any client of the plain surface would
 * make it: nats_req [-H NAME:VALUE]… [-t MS] SEED SUBJECT BODY-FILE OUT-FILE ("-": stdin,
 * stdout). Exit 0: a reply came (also an error reply); 3: it carries an error, whose
 * name and text stand on stderr; 1: none. NATS_URL says where. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "conn/conn.h"
#include "crypto/crypto.h"

static int fail(const struct err *e)
{
	fprintf(stderr, "nats_req: %s\n", e->text);
	return 1;
}

static int write_out(const char *path, const char *p, size_t n, struct err *e)
{
	if (strcmp(path, "-") == 0)
		return file_write_fd(STDOUT_FILENO, "stdout", p, n, e);
	return file_replace(path, p, n, 0644, e);
}

static void add_header(natsMsg *m, char *pair)
{
	char *colon = strchr(pair, ':');

	if (!colon)
		return;
	*colon = '\0';
	natsMsgHeader_Set(m, pair, colon + 1);
	*colon = ':';
}

int main(int argc, char **argv)
{
	struct conn_opts o = {.name = "nats_req", .quiet = true};
	struct conn *c = NULL;
	natsMsg *ask = NULL, *reply = NULL;
	CLEAN(buf) struct buf body = {0};
	const char *name, *text;
	struct err e;
	long ms = 5000;
	int opt, first;
	natsStatus s;

	buf_init(&body, 64u << 20);
	while ((opt = getopt(argc, argv, "H:t:")) != -1)
		if (opt == 't')
			ms = atol(optarg);
	first = optind;
	if (argc - first != 4 || crypto_init()) {
		fputs("usage: nats_req [-H NAME:VALUE] [-t MS] SEED SUBJECT IN OUT\n", stderr);
		return 2;
	}
	conn_opts_env(&o);
	o.nkey = argv[first];
	if (strcmp(argv[first + 2], "-") == 0 ? file_read_fd(0, "stdin", &body, &e)
					      : file_read(argv[first + 2], &body, &e))
		return fail(&e);
	if (conn_open(&c, &o, &e))
		return fail(&e);
	s = natsMsg_Create(&ask, argv[first + 1], NULL, (const char *)body.p, (int)body.len);
	optind = 1;
	while (s == NATS_OK && (opt = getopt(argc, argv, "H:t:")) != -1)
		if (opt == 'H')
			add_header(ask, optarg);
	if (s == NATS_OK)
		s = natsConnection_RequestMsg(&reply, conn_nats(c), ask, ms);
	if (conn_err(&e, s, argv[first + 1]))
		return fail(&e);
	if (write_out(argv[first + 3], natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply),
		      &e))
		return fail(&e);
	int rc = 0;

	if (natsMsgHeader_Get(reply, "Nats-Service-Error", &text) == NATS_OK) {
		if (natsMsgHeader_Get(reply, "Signbox-Error", &name) != NATS_OK)
			name = "?";
		fprintf(stderr, "%s: %s\n", name, text);
		rc = 3;
	}
	natsMsg_Destroy(ask);
	natsMsg_Destroy(reply);
	conn_close(c);
	return rc;
}
