/* nats service: the services of a connection (NATS ADR-32). */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box/nats/nats.h"
#include "box/nats/nats_cmd.h"
#include "box/nats/nats_msg.h"

#define TYPE "io.nats.micro.v1."

/* "$SRV.INFO.name.id", with what is given. */
static int subject_of(char out[static 400], const char *verb, const char *name, const char *id,
		      struct err *e)
{
	if (strpbrk(name, " .*>\t\r\n") || strpbrk(id, " .*>\t\r\n"))
		return err_set(e, ERR_BAD_NAME, "'%.60s' is no name of a service",
			       strpbrk(name, " .*>\t\r\n") ? name : id);
	(void)snprintf(out, 400, "$SRV.%s%s%.150s%s%.150s", verb, *name ? "." : "", name,
		       *id ? "." : "", id);
	return 0;
}

/* What a service answers must be what was asked for: typed, named, with an id. */
static int check(const json_t *j, const char *type, struct err *e)
{
	char want[80];

	(void)snprintf(want, sizeof(want), TYPE "%s_response", type);
	if (strcmp(jstr(j, "type"), want) != 0)
		return err_set(e, ERR_BAD_JSON, "invalid response type %.60s", jstr(j, "type"));
	if (!*jstr(j, "name") || !*jstr(j, "id") || !*jstr(j, "version"))
		return err_set(e, ERR_BAD_JSON,
			       "invalid response: a service without name, id or version");
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int r = strcmp(jstr(*x, "name"), jstr(*y, "name"));

	return r ? r : strcmp(jstr(*x, "id"), jstr(*y, "id"));
}

/* Answers of that type, sorted by name and id; *rows is the caller's, as *all. */
static int ask(struct cli *c, const char *verb, const char *type, const char *name, const char *id,
	       int want, json_t **all, const json_t ***rows, size_t *n, struct err *e)
{
	char subject[400];
	size_t i;
	const json_t *j;

	if (subject_of(subject, verb, name, id, e))
		return -1;
	if (nats_gather_json(c, subject, NULL, want, all, e)) {
		if (e->code == ERR_NO_RESPONDERS)
			err_set(e, ERR_NO_RESPONDERS, "no service instances found");
		return -1;
	}
	*n = json_array_size(*all);
	*rows = calloc(*n + 1, sizeof(**rows));
	if (!*rows)
		return err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(*all, i, j)
	{
		if (check(j, type, e))
			return -1;
		(*rows)[i] = j;
	}
	qsort(*rows, *n, sizeof(**rows), by_name);
	return 0;
}

static json_t *array_of(const json_t **rows, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append(out, (json_t *)(uintptr_t)rows[i]);
	return out;
}

static const char *operand(const struct cli *c, int i)
{
	return c->argc > i ? c->argv[i] : "";
}

static void unlike(struct nt *t, const char *text, const char *before)
{
	nt_text(t, strcmp(text, before) == 0 ? "" : text);
}

static int service_list(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = NULL;
	CLEAN(free) const json_t **rows = NULL;
	const char *name = operand(c, 0);
	size_t n;

	if (ask(c, "INFO", "info", name, "", 0, &all, &rows, &n, e))
		return -1;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = array_of(rows, n);

		return nats_print_json(j, e);
	}
	if (!n) {
		puts("No results received");
		return 0;
	}
	CLEAN(nt) struct nt *t =
		*name ? nt_new("%s Service Instances", name) : nt_new("All Services");

	nt_head(t, "Name", "Version", "ID", "Description", NULL);
	for (size_t i = 0; i < n; i++) {
		const json_t *p = i ? rows[i - 1] : NULL;

		unlike(t, jstr(rows[i], "name"), jstr(p, "name"));
		unlike(t, jstr(rows[i], "version"), jstr(p, "version"));
		nt_text(t, jstr(rows[i], "id"));
		unlike(t, jstr(rows[i], "description"), jstr(p, "description"));
	}
	nt_print(t);
	putchar('\n');
	return 0;
}

static void stats_row(struct nt *t, const char *id, const json_t *p)
{
	nt_text(t, id);
	nt_text(t, jstr(p, "name"));
	nt_text(t, COMMA(jint(p, "num_requests")));
	nt_text(t, jstr(p, "queue_group"));
	nt_text(t, COMMA(jint(p, "num_errors")));
	nt_text(t, DURATION(jint(p, "processing_time")));
	nt_text(t, DURATION(jint(p, "average_processing_time")));
}

static int service_stats(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = NULL;
	CLEAN(free) const json_t **rows = NULL;
	int64_t requests = 0, errors = 0, time = 0;
	size_t n, k;
	const json_t *p;

	if (ask(c, "STATS", "stats", operand(c, 0), operand(c, 1), 0, &all, &rows, &n, e))
		return -1;
	if (!n) {
		puts("No responses received");
		return 0;
	}
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = array_of(rows, n);

		return nats_print_json(j, e);
	}
	CLEAN(nt) struct nt *t = nt_new("%s Service Statistics", operand(c, 0));

	nt_head(t, "ID", "Endpoint", "Requests", "Queue Group", "Errors", "Processing Time",
		"Average Time", NULL);
	for (size_t i = 0; i < n; i++)
		json_array_foreach(jget(rows[i], "endpoints"), k, p)
		{
			stats_row(t, k ? "" : jstr(rows[i], "id"), p);
			requests = nats_add(requests, jint(p, "num_requests"));
			errors = nats_add(errors, jint(p, "num_errors"));
			time = nats_add(time, jint(p, "processing_time"));
		}
	nt_foot(t);
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, COMMA(requests));
	nt_text(t, "");
	nt_text(t, COMMA(errors));
	nt_text(t, DURATION(time));
	nt_text(t,
		DURATION(nats_add(requests, errors) > 0 ? time / nats_add(requests, errors) : 0));
	nt_print(t);
	putchar('\n');
	return 0;
}

static bool shown(const regex_t *re, const json_t *p)
{
	return !re || regexec(re, jstr(p, "name"), 0, NULL, 0) == 0;
}

static void info_endpoints(struct cols *cols, const json_t *info, const regex_t *re)
{
	size_t i;
	const json_t *p;

	cols_section(cols, "Endpoints:");
	cols_indent(cols, 2);
	json_array_foreach(jget(info, "endpoints"), i, p)
	{
		if (!shown(re, p))
			continue;
		cols_line(cols, NULL);
		cols_row(cols, "Name", "%s", jstr(p, "name"));
		cols_row(cols, "Subject", "%s", jstr(p, "subject"));
		cols_some(cols, "Queue Group", jstr(p, "queue_group"));
		cols_map(cols, "Metadata", jget(p, "metadata"));
	}
	cols_indent(cols, 0);
}

static void info_stats(struct cols *cols, const json_t *stats, const regex_t *re)
{
	const json_t *list = jget(stats, "endpoints"), *p;
	int64_t started = 0;
	size_t i;

	(void)parse_rfc3339(jstr(stats, "started"), &started);
	cols_section(cols, "Statistics for %zu Endpoint(s)", json_array_size(list));
	json_array_foreach(list, i, p)
	{
		CLEAN(buf) struct buf b = {0};

		if (!shown(re, p))
			continue;
		cols_indent(cols, 2);
		cols_section(cols, "%s Endpoint Statistics",
			     *jstr(p, "name") ? jstr(p, "name") : "default");
		cols_row(cols, "Requests", "%s in group \"%s\"", COMMA(jint(p, "num_requests")),
			 jstr(p, "queue_group"));
		cols_row(cols, "Processing Time", "%s (average %s)",
			 DURATION(jint(p, "processing_time")),
			 DURATION(jint(p, "average_processing_time")));
		cols_row(cols, "Started", "%s (%s ago)", LOCALTIME(started),
			 DURATION(nats_ago(started)));
		cols_row(cols, "Errors", "%s", COMMA(jint(p, "num_errors")));
		cols_some(cols, "Last Error", jstr(p, "last_error"));
		buf_init(&b, 1 << 20);
		if (jget(p, "data") && !json_is_null(jget(p, "data")) &&
		    json_text(jget(p, "data"), JSON_ONE_LINE, &b, NULL) == 0) {
			buf_u8(&b, 0);
			cols_section(cols, "Endpoint Specific Statistics");
			cols_line(cols, b.bad ? "" : (char *)b.p);
		}
		cols_indent(cols, 0);
	}
}

static void keep_shown(const json_t *j, const regex_t *re)
{
	json_t *list = (json_t *)(uintptr_t)jget(j, "endpoints");

	for (size_t i = json_array_size(list); re && i-- > 0;)
		if (!shown(re, json_array_get(list, i)))
			(void)json_array_remove(list, i);
}

static int info_print(struct cli *c, json_t *info, json_t *stats, const regex_t *re, struct err *e)
{
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = NULL;

		keep_shown(info, re);
		keep_shown(stats, re);
		j = json_pack("{s:O, s:O}", "info", info, "stats", stats);
		return nats_print_json(j, e);
	}
	CLEAN(cols) struct cols *cols = cols_new("Service Information");

	cols_row(cols, "Service", "%s (%s)", jstr(info, "name"), jstr(info, "id"));
	cols_row(cols, "Description", "%s", jstr(info, "description"));
	cols_row(cols, "Version", "%s", jstr(info, "version"));
	cols_map(cols, "Metadata", jget(info, "metadata"));
	info_endpoints(cols, info, re);
	info_stats(cols, stats, re);
	cols_print(cols, stdout);
	return 0;
}

static int service_info(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = NULL, *all2 = NULL;
	CLEAN(free) const json_t **rows = NULL, **rows2 = NULL;
	const char *pattern = cli_str(c, "endpoint");
	regex_t re;
	size_t n, n2;
	int r;

	if (pattern && regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		return cli_usage(e, "option --endpoint: '%.60s' is no regular expression", pattern);
	r = ask(c, "INFO", "info", operand(c, 0), operand(c, 1), 1, &all, &rows, &n, e);
	if (r == 0 && !n)
		puts(cli_has(c, "json") ? "{}" : "No results received");
	if (r == 0 && n)
		r = ask(c, "STATS", "stats", jstr(rows[0], "name"), jstr(rows[0], "id"), 1, &all2,
			&rows2, &n2, e);
	if (r == 0 && n)
		r = n2 ? info_print(c, (json_t *)(uintptr_t)rows[0], (json_t *)(uintptr_t)rows2[0],
				    pattern ? &re : NULL, e)
		       : err_set(e, ERR_TIMEOUT, "no statistics received for %.80s",
				 jstr(rows[0], "name"));
	if (pattern)
		regfree(&re);
	return r;
}

struct ping {
	int64_t start;
	size_t n;
};

static int got_ping(void *arg, natsMsg *m, struct err *e)
{
	struct ping *p = arg;
	CLEAN(json) json_t *j = nats_msg_json(m, 0);
	char text[256];

	if (!json_is_object(j) || check(j, "ping", e))
		return 0;
	(void)snprintf(text, sizeof(text), "%.120s %.120s", jstr(j, "name"), jstr(j, "id"));
	CLEAN(free) char *clean = nats_clean(text);

	printf("%-50s rtt=%s\n", clean ? clean : "?", DURATION(mono_ns() - p->start));
	(void)fflush(stdout);
	p->n++;
	return 0;
}

static int service_ping(struct cli *c, struct err *e)
{
	struct ping p = {0};
	char subject[400];

	if (subject_of(subject, "PING", operand(c, 0), "", e) || nats_connect(c, e))
		return -1;
	nats_catch();
	p.start = mono_ns();
	if (nats_gather(c, subject, NULL, -1, got_ping, &p, NULL, e)) {
		if (e->code == ERR_NO_RESPONDERS)
			err_set(e, ERR_NO_RESPONDERS, "no service instances found");
		return -1;
	}
	return p.n ? 0 : err_set(e, ERR_TIMEOUT, "no service has answered");
}

/* The subject of an endpoint, as its service says. */
static int endpoint_subject(const json_t *info, const char *name, char out[static 512],
			    struct err *e)
{
	const json_t *list = jget(info, "endpoints"), *p;
	CLEAN(buf) struct buf names = {0};
	size_t i;

	buf_init(&names, 4096);
	json_array_foreach(list, i, p)
	{
		if (strcmp(jstr(p, "name"), name) == 0) {
			(void)snprintf(out, 512, "%s", jstr(p, "subject"));
			return 0;
		}
		buf_printf(&names, "%s%s", i ? ", " : "", jstr(p, "name"));
	}
	buf_u8(&names, 0);
	if (!json_array_size(list))
		return err_set(e, ERR_NOT_FOUND, "service \"%.60s\" has no endpoints",
			       jstr(info, "name"));
	return err_set(e, ERR_NOT_FOUND,
		       "service \"%.60s\" has no endpoint \"%.60s\" (available: %.100s)",
		       jstr(info, "name"), name, names.bad ? "…" : (char *)names.p);
}

static int service_request(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = NULL;
	CLEAN(free) const json_t **rows = NULL;
	char subject[512];
	size_t n;

	if (ask(c, "INFO", "info", c->argv[0], "", 1, &all, &rows, &n, e))
		return -1;
	if (!n)
		return err_set(e, ERR_TIMEOUT, "no instances of service \"%.80s\" found",
			       c->argv[0]);
	if (endpoint_subject(rows[0], c->argv[1], subject, e))
		return -1;
	/* The rest is "nats request SUBJECT [PAYLOAD]". */
	c->argv[1] = subject;
	c->argv++;
	c->argc--;
	return nats_req_cmds[0].run(c, e);
}

/* ---- serve: an echo service, for trying things out ---- */

static struct cli *serving;

static void add_copy(void *arg, const char *key, const char *value)
{
	(void)natsMsgHeader_Add(arg, key, value);
}

static microError *on_echo(microRequest *req)
{
	natsMsg *in = microRequest_GetMsg(req), *out = NULL;
	char url[512], text[48];
	struct err e;

	nats_log("Handling request on subject %s", natsMsg_GetSubject(in));
	if (natsMsg_Create(&out, natsMsg_GetReply(in), NULL, natsMsg_GetData(in),
			   natsMsg_GetDataLength(in)) != NATS_OK)
		return micro_Errorf("no memory");
	conn_server(run_of(serving)->conn, url, sizeof(url));
	(void)natsMsgHeader_Add(out, "ConnectedUrl", url);
	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	(void)natsMsgHeader_Add(out, "Handler", text);
	(void)natsMsgHeader_Add(out, "Subject", natsMsg_GetSubject(in));
	(void)natsMsgHeader_Add(out, "Timestamp", LOCALTIME(now_ns()));
	if (msg_headers(out, serving, 0, &e))
		nats_log("%s", e.text);
	msg_each_header(in, add_copy, out);
	natsStatus s = natsConnection_PublishMsg(run_of(serving)->nc, out);

	natsMsg_Destroy(out);
	return s == NATS_OK ? NULL : micro_ErrorFromStatus(s);
}

static int service_serve(struct cli *c, struct err *e)
{
	const char *name = c->argv[0];
	char subject[300], about[300], url[512];
	microService *svc = NULL;
	microEndpointConfig ep = {.Name = "echo", .Subject = subject, .Handler = on_echo};
	microServiceConfig conf = {
		.Name = name, .Version = "1.0.0", .Description = about, .Endpoint = &ep};

	if (strpbrk(name, " .*>\t\r\n\"\\") || strlen(name) > 200)
		return err_set(e, ERR_BAD_NAME, "'%.60s' is no name for a service", name);
	(void)snprintf(subject, sizeof(subject), "%s.echo", name);
	(void)snprintf(about, sizeof(about), "NATS CLI Demo Service (%s)", name);
	if (nats_connect(c, e))
		return -1;
	serving = c;
	nats_catch();
	microError *bad = micro_AddService(&svc, run_of(c)->nc, &conf);

	if (bad) {
		char why[200];

		err_set(e, ERR_INTERNAL, "%.150s", microError_String(bad, why, sizeof(why)));
		microError_Destroy(bad);
		return -1;
	}
	conn_server(run_of(c)->conn, url, sizeof(url));
	CLEAN(cols) struct cols *cols =
		cols_new("NATS CLI Service %s handler %d waiting for requests on %s", name,
			 (int)getpid(), url);

	cols_section(cols, "Listening Subjects");
	cols_row(cols, subject, "Echo Service");
	cols_section(cols, "Requests Log");
	cols_print(cols, stdout);
	(void)fflush(stdout);
	(void)nats_wait(NULL, -1);
	microError_Ignore(microService_Destroy(svc));
	return 130;
}

static const struct cli_opt json_opts[] = {{"json", 'j', NULL, "Print JSON"}, {0}};

static const struct cli_opt info_opts[] = {
	{"endpoint", 'e', "REGEX", "Only endpoints whose names match"},
	{"json", 'j', NULL, "Print JSON"},
	{0},
};

static const struct cli_opt req_opts[] = {
	{"header", 'H', "K:V", "Add a header (may be given again)"},
	{"raw", 'r', NULL, "Show the reply's body only"},
	{"count", 0, "N", "Send this many requests (1)"},
	{"replies", 0, "N", "Wait for this many replies (1)"},
	REQUEST_OPTS,
	{"templates", 0, NULL, "Fill templates in the body (on; --no-templates)"},
	{0},
};

static const struct cli_opt serve_opts[] = {
	{"header", 'H', "K:V", "Header of the replies (may be given again)"}, {0}};

static const char *const list_examples[] = {"nats service list", "nats micro ls hsm --json", NULL};
static const char *const request_examples[] = {"nats micro request echo echo 'hello'", NULL};

#define SVC "service|micro "

const struct cli_cmd nats_service_cmds[] = {
	{.path = SVC "list|ls|l",
	 .help = "List services, or the instances of one",
	 .args = "[SERVICE]",
	 .opts = json_opts,
	 .run = service_list,
	 .examples = list_examples},
	{.path = SVC "info|i",
	 .help = "Show a service",
	 .args = "SERVICE [ID]",
	 .opts = info_opts,
	 .run = service_info},
	{.path = SVC "stats",
	 .help = "Show what a service's instances have done",
	 .args = "SERVICE [ID]",
	 .opts = json_opts,
	 .run = service_stats},
	{.path = SVC "ping", .help = "Ping services", .args = "[SERVICE]", .run = service_ping},
	{.path = SVC "request|req",
	 .help = "Send a request to an endpoint of a service",
	 .args = "SERVICE ENDPOINT [PAYLOAD]",
	 .opts = req_opts,
	 .run = service_request,
	 .examples = request_examples},
	{.path = SVC "serve",
	 .help = "Run an echo service, for trying things out",
	 .args = "NAME",
	 .opts = serve_opts,
	 .run = service_serve},
	{0},
};
