/* nats-top: flags, keys, screen and output of nats-io/nats-top (v0.6.4). Better: URLs with
 * a scheme, a path and a password, contexts and credentials, an answer to keys while the
 * server is slow, rates per second whatever -d is, and one line for what went wrong. */
#include "box/top/top.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "box/nats/nats_ctx.h"
#include "box/top/top_ui.h"
#include "ui/cli.h"
#include "ui/complete.h"
#include "ui/goflag.h"

#define TIMEOUT_MS 5000

struct flags {
	const char *server, *sort, *output, *delim, *cert, *key, *ca, *context, *creds, *nkey;
	int64_t port, tls_port, conns, delay, refreshes;
	bool port_set, tls_port_set, server_set;
	bool lookup, raw, subs, insecure, version, help, help_json, nats;
};

static const char about[] = "Connections of a NATS server and their traffic";

static const char notes[] =
	"\n"
	"-s takes a host, HOST:PORT of the monitoring port, http:// and https:// URLs with\n"
	"user:password@, port and path, or a NATS URL, of which only the host is used.\n"
	"With -context, -creds or -nkey the numbers come over NATS from the system account,\n"
	"unless -m or -ms is given.\n"
	"\n"
	"Examples:\n"
	"  nats-top -s demo.nats.io -ms 8222\n"
	"  nats-top -s https://admin:s3cret@nats.example.com:8222 -cacert ca.pem\n"
	"  nats-top -s nats://127.0.0.1:4222 -creds sys.creds\n"
	"  nats-top -o - -l , -sort bytes_to -n 10\n";

static int report(const struct err *e)
{
	fprintf(stderr, "nats-top: %s\n", e->text);
	return 1;
}

static void usage(const struct goflag *flags)
{
	printf("usage: nats-top [-s server] [-m http_port] [-ms https_port] [-n num_connections] "
	       "[-d delay_secs] [-r max] [-o FILE] [-l DELIMITER] [-sort by]\n"
	       "                [-cert FILE] [-key FILE] [-cacert FILE] [-k] [-b] [-lookup] [-u]\n"
	       "                [-context NAME] [-creds FILE] [-nkey FILE] [-nats] [-v]\n\n");
	goflag_help(flags, stdout);
	fputs(notes, stdout);
}

static int check(const struct flags *f, struct err *e)
{
	const struct {
		const char *name;
		int64_t value, min, max;
	} ranges[] = {
		{"m", f->port, 1, 65535},
		{"ms", f->tls_port, 0, 65535},
		{"n", f->conns, 1, INT32_MAX},
		{"d", f->delay, 1, 86400},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (ranges[i].value < ranges[i].min || ranges[i].value > ranges[i].max)
			return err_set(e, ERR_USAGE, "-%s must be from %lld to %lld, not %lld",
				       ranges[i].name, (long long)ranges[i].min,
				       (long long)ranges[i].max, (long long)ranges[i].value);
	if (!top_sort_ok(f->sort))
		return err_set(e, ERR_USAGE,
			       "invalid option to sort by: %.40s (one of " TOP_SORTS ")", f->sort);
	return 0;
}

static int open_http(struct top_src *s, const struct flags *f, struct top_target *t, struct err *e)
{
	struct http_opts o = {
		.host = t->host,
		.path = t->path,
		.user = t->http ? t->user : NULL,
		.tls = t->https || f->tls_port,
		.ca = f->ca,
		.cert = f->cert,
		.key = f->key,
		.insecure = f->insecure,
		.timeout_ms = TIMEOUT_MS,
		.max = TOP_MAX,
		.what = "stats request",
		.denied = ": give user and password, -s http://user:password@host",
		.no_http = " (the monitoring port is given with -m or -ms)",
		.pair = "-cert and -key",
	};

	/* A flag that was typed beats the URL; the URL beats defaults. */
	if (f->tls_port)
		o.port = (int)f->tls_port;
	else if (f->port_set || !t->port)
		o.port = (int)f->port;
	else
		o.port = t->port;
	return http_new(&s->http, &o, e);
}

/* A setting of the context, NULL when it has none. */
static const char *setting(const struct nats_ctx *x, const char *key)
{
	const char *v = x->j ? ctx_get(x, key) : "";

	return *v ? v : NULL;
}

static void from_context(struct conn_opts *o, const struct nats_ctx *x)
{
	o->creds = setting(x, "creds");
	o->nkey = setting(x, "nkey");
	o->user = setting(x, "user");
	o->password = setting(x, "password");
	o->token = setting(x, "token");
	o->jwt = setting(x, "user_jwt");
	o->seed = setting(x, "user_seed");
}

/* credentials: take those too. */
static void from_env(struct conn_opts *o, bool credentials)
{
	const char *creds = o->creds, *nkey = o->nkey;

	conn_opts_env(o);
	if (!credentials) {
		o->creds = creds;
		o->nkey = nkey;
	} else if (!o->creds && !o->nkey) {
		o->user = getenv("NATS_USER");
		o->password = getenv("NATS_PASSWORD");
	}
}

static int open_nats(struct top_src *s, const struct flags *f, struct err *e)
{
	CLEAN(ctx) struct nats_ctx x = {0};

	if (f->insecure)
		return err_set(e, ERR_USAGE,
			       "-k is for HTTPS: over NATS certificates are always verified, give "
			       "-cacert");
	if (f->context && ctx_load(&x, f->context, e))
		return -1;
	struct conn_opts o = {
		.url = f->server_set ? f->server : setting(&x, "url"),
		.creds = f->creds,
		.nkey = f->nkey,
		.ca = f->ca ? f->ca : setting(&x, "ca"),
		.cert = f->cert ? f->cert : setting(&x, "cert"),
		.key = f->key ? f->key : setting(&x, "key"),
		.inbox_prefix = setting(&x, "inbox_prefix"),
		.tls_first = x.j && ctx_flag(&x, "tls_first"),
		.name = "nats-top",
		.any_mode = true,
		.tls_auto = true,
		.plain_inbox = true,
		.quiet = true,
		.timeout_ms = TIMEOUT_MS,
	};

	/* -creds or -nkey, else what the URL of -s has, else the context's or the
	 * environment's: never two of these to one server. */
	bool own = f->creds || f->nkey || (f->server_set && strchr(f->server, '@'));

	if (f->context && !own)
		from_context(&o, &x);
	if (!f->context)
		from_env(&o, !own);
	return conn_open(&s->conn, &o, e);
}

static int save(const char *path, const struct buf *b, struct err *e)
{
	struct stat st;

	/* A pipe or a device is written to, not replaced. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		CLEAN(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			return err_errno(e, ERR_IO, "failed to open output file '%s'", path);
		return file_write_fd(fd, path, b->p, b->len, e);
	}
	return file_replace(path, b->p, b->len, 0644, e);
}

/* -o: one snapshot. */
static int snapshot(struct top_run *r, const struct flags *f, const struct top_stats *s,
		    struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, (size_t)256 << 20);
	if (*f->delim)
		top_text_csv(&b, s, &r->look, f->delim);
	else
		top_text(&b, s, &r->look);
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	if (strcmp(f->output, "-") != 0)
		return save(f->output, &b, e);
	fwrite(b.p, 1, b.len, stdout);
	return 0;
}

/* *threaded: a thread still uses what r holds. */
static int run(struct top_run *r, const struct flags *f, bool *threaded, struct err *e)
{
	CLEAN(top_stats) struct top_stats first = {0};

	/* A wrong address is told before the screen is taken. */
	if (top_src_get(&r->src, &r->ask, &first, e))
		return err_wrap(e, "/varz smoke test failed");
	if (*f->output)
		return snapshot(r, f, &first, e);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return top_plain(r, e);
	*threaded = true;
	return top_ui(r, e);
}

static int open_src(struct top_run *r, const struct flags *f, char *text, struct err *e)
{
	bool nats =
		(f->nats || f->context || f->creds || f->nkey) && !f->port_set && !f->tls_port_set;
	struct top_target t;

	r->ask = (struct top_ask){.limit = f->conns, .subs = f->subs, .lookup = f->lookup};
	(void)snprintf(r->ask.sort, sizeof(r->ask.sort), "%s", f->sort);
	r->look = (struct top_look){.raw = f->raw, .subs = f->subs};
	r->delay = f->delay;
	r->refreshes = f->refreshes;
	r->src.timeout_ms = TIMEOUT_MS;
	if (nats)
		return open_nats(&r->src, f, e);
	if (top_target_parse(&t, text, e))
		return -1;
	return open_http(&r->src, f, &t, e);
}

static int start(const struct flags *f)
{
	static struct top_run r; /* both outlive this function when there is a thread */
	static char *text;
	bool threaded = false;
	struct err e;
	int ret;

	text = strdup(f->server);
	if (!text)
		ret = err_set(&e, ERR_NOMEM, NULL);
	else if (check(f, &e) || open_src(&r, f, text, &e))
		ret = -1;
	else
		ret = run(&r, f, &threaded, &e);
	if (ret)
		ret = report(&e);
	if (!threaded) {
		top_src_close(&r.src);
		if (text)
			secret_wipe(text, strlen(text));
		free(text);
		text = NULL;
		conn_library_close();
	}
	return ret;
}

static bool values(const char *flag, struct complete *o)
{
	if (strcmp(flag, "context") == 0)
		return ctx_complete(o);
	if (strcmp(flag, "sort") != 0)
		return false;
	complete_kind(o, TOP_SORTS);
	return true;
}

int nats_top_main(int argc, char **argv)
{
	struct flags f = {
		.server = "127.0.0.1",
		.sort = "cid",
		.output = "",
		.delim = "",
		.port = 8222,
		.conns = 1024,
		.delay = 1,
		.refreshes = -1,
	};
	const struct goflag flags[] = {
		{"s", GOFLAG_STR, &f.server, &f.server_set, "HOST",
		 "Server: host or URL (127.0.0.1)"},
		{"m", GOFLAG_INT, &f.port, &f.port_set, "PORT", "Monitoring port (8222)"},
		{"ms", GOFLAG_INT, &f.tls_port, &f.tls_port_set, "PORT",
		 "Secure monitoring port (HTTPS)"},
		{"n", GOFLAG_INT, &f.conns, NULL, "NUMBER", "Most connections to ask for (1024)"},
		{"d", GOFLAG_INT, &f.delay, NULL, "SECONDS", "Refresh interval (1)"},
		{"r", GOFLAG_INT, &f.refreshes, NULL, "NUMBER",
		 "End after so many refreshes (-1: never)"},
		{"sort", GOFLAG_STR, &f.sort, NULL, "BY", "Sort the connections by (cid)"},
		{"lookup", GOFLAG_BOOL, &f.lookup, NULL, NULL,
		 "Names instead of addresses of clients"},
		{"o", GOFLAG_STR, &f.output, NULL, "FILE",
		 "Write one snapshot to FILE (-: stdout) and exit"},
		{"l", GOFLAG_STR, &f.delim, NULL, "TEXT", "With -o: delimiter between the cells"},
		{"b", GOFLAG_BOOL, &f.raw, NULL, NULL, "All digits of counts and bytes"},
		{"u", GOFLAG_BOOL, &f.subs, NULL, NULL,
		 "Show the subscriptions of each connection"},
		{"display-subscriptions-column", GOFLAG_BOOL, &f.subs, NULL, NULL,
		 "The same as -u"},
		{"cert", GOFLAG_STR, &f.cert, NULL, "FILE", "Client certificate (PEM)"},
		{"key", GOFLAG_STR, &f.key, NULL, "FILE", "Private key of the client certificate"},
		{"cacert", GOFLAG_STR, &f.ca, NULL, "FILE", "Trusted CAs (PEM)"},
		{"k", GOFLAG_BOOL, &f.insecure, NULL, NULL,
		 "Do not verify the server's certificate"},
		{"context", GOFLAG_STR, &f.context, NULL, "NAME",
		 "NATS context of the system account"},
		{"nats", GOFLAG_BOOL, &f.nats, NULL, NULL,
		 "Over NATS, with NATS_* variables or the URL's user"},
		{"creds", GOFLAG_STR, &f.creds, NULL, "FILE",
		 "Credentials of a system user, over NATS"},
		{"nkey", GOFLAG_STR, &f.nkey, NULL, "FILE",
		 "NKey seed of a system user, over NATS"},
		{"v", GOFLAG_BOOL, &f.version, NULL, NULL, "Show the version and exit"},
		{"version", GOFLAG_BOOL, &f.version, NULL, NULL, "The same as -v"},
		{"h", GOFLAG_BOOL, &f.help, NULL, NULL, NULL},
		{"help", GOFLAG_BOOL, &f.help, NULL, NULL, "Show this help and exit"},
		{"help-json", GOFLAG_BOOL, &f.help_json, NULL, NULL,
		 "Show the list of flags as JSON and exit"},
		{0},
	};
	struct err e;
	int rest;

	/* OpenSSL writes without MSG_NOSIGNAL: a server that hangs up is an error message. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (complete_goflag(flags, values, argc, argv))
		return cli_finish("nats-top", 0);
	if (goflag_parse(flags, argc, argv, &rest, &e)) {
		fprintf(stderr, "nats-top: %s; see 'nats-top -help'\n", e.text);
		return cli_finish("nats-top", 1);
	}
	if (f.help_json)
		goflag_help_json("nats-top", about, flags, stdout);
	else if (f.help)
		usage(flags);
	else if (f.version)
		puts("nats-top v" SIGNBOX_VERSION);
	else
		return cli_finish("nats-top", start(&f));
	return cli_finish("nats-top", 0);
}
