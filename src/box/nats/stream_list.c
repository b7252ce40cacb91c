/* stream ls, report, find, subjects. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "box/nats/nats_leaders.h"
#include "box/nats/stream.h"

bool stream_internal(const char *name)
{
	return strncmp(name, "KV_", 3) == 0 || strncmp(name, "OBJ_", 4) == 0 ||
	       strncmp(name, "$MQTT_", 6) == 0;
}

enum order { BY_BYTES, BY_CONSUMERS, BY_MSGS, BY_NAME, BY_STORAGE };
static enum order order; /* qsort has no argument */

struct ranked {
	json_t *j;
	size_t at;
};

static int compare(const void *a, const void *b)
{
	static const char *const numbers[] = {
		[BY_BYTES] = "state.bytes",
		[BY_CONSUMERS] = "state.consumer_count",
		[BY_MSGS] = "state.messages",
	};
	const struct ranked *x = a, *y = b;
	int r;

	if (order == BY_NAME || order == BY_STORAGE) {
		const char *key = order == BY_NAME ? "config.name" : "config.storage";

		r = strcmp(jstr(x->j, key), jstr(y->j, key));
	} else {
		int64_t m = jint(x->j, numbers[order]), n = jint(y->j, numbers[order]);

		r = (m > n) - (m < n);
	}
	return r ? r : (x->at > y->at) - (x->at < y->at);
}

/* A sorted copy of the array, by borrowed members; free() it. */
static struct ranked *sorted(json_t *arr, enum order by)
{
	size_t n = json_array_size(arr);
	struct ranked *v = calloc(n + 1, sizeof(*v));

	for (size_t i = 0; v && i < n; i++)
		v[i] = (struct ranked){json_array_get(arr, i), i};
	order = by;
	if (v)
		qsort(v, n, sizeof(*v), compare);
	return v;
}

void stream_table(json_t *streams, const char *title)
{
	CLEAN(free) struct ranked *v = sorted(streams, BY_BYTES);
	CLEAN(nt) struct nt *t = nt_new("%s", title);

	nt_head(t, "Name", "Description", "Created", "Messages", "Size", "Last Message", NULL);
	for (size_t i = 0; v && i < json_array_size(streams); i++) {
		const json_t *s = v[i].j;

		nt_text(t, jstr(s, "config.name"));
		nt_text(t, jstr(s, "config.description"));
		nt_text(t, LOCALTEXT(jstr(s, "created")));
		nt_text(t, COMMA(jint(s, "state.messages")));
		nt_text(t, IBYTES(jint(s, "state.bytes")));
		nt_text(t, SINCE(jstr(s, "state.last_ts"), jstr(s, "ts")));
	}
	nt_print(t);
	fputs("\n\n", stdout);
}

static int all_streams(struct cli *c, json_t **out, struct err *e)
{
	const char *subject = cli_str(c, "subject");

	return js_pages(c, "STREAM.LIST", subject ? json_pack("{s:s}", "subject", subject) : NULL,
			"streams", out, e);
}

static json_t *names_of(json_t *streams)
{
	json_t *names = json_array(), *s;
	size_t i;

	json_array_foreach(streams, i, s)(void)
		json_array_append(names, json_object_get(json_object_get(s, "config"), "name"));
	return names;
}

int stream_ls(struct cli *c, struct err *e)
{
	const char *subject = cli_str(c, "subject");
	CLEAN(json) json_t *all = NULL;
	CLEAN(json) json_t *shown = json_array();
	char title[200] = "Streams";
	json_t *s;
	size_t i;

	/* Names alone are cheap, and include the system's. */
	if (cli_has(c, "names")) {
		json_t *req = subject ? json_pack("{s:s}", "subject", subject) : NULL;

		if (js_pages(c, "STREAM.NAMES", req, "streams", &all, e))
			return -1;
		return js_print_names(all, cli_has(c, "json"), e);
	}
	if (all_streams(c, &all, e))
		return err_wrap(e, "could not list streams");
	json_array_foreach(all, i, s) if (cli_has(c, "all") ||
					  !stream_internal(jstr(s, "config.name")))(void)
		json_array_append(shown, s);
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *names = names_of(shown);

		return js_print_names(names, true, e);
	}
	if (!json_array_size(shown)) {
		puts(json_array_size(all) ? "No Streams defined, pass -a to include system streams"
					  : "No Streams defined");
		return 0;
	}
	if (subject)
		(void)snprintf(title, sizeof(title), "Streams matching %.150s", subject);
	stream_table(shown, title);
	return 0;
}

static void source_filters(const json_t *src, char *out, size_t cap)
{
	const char *filter = jstr(src, "filter_subject");
	size_t i, at = 0;
	json_t *x;

	(void)snprintf(out, cap, "%s%s", filter, *filter ? " untransformed" : "");
	json_array_foreach(json_object_get(src, "subject_transforms"), i, x)
	{
		int n = snprintf(out + at, cap - at, "%s%s to %s", i ? ", " : "", jstr(x, "src"),
				 jstr(x, "dest"));

		at = n < 0 || at + (size_t)n >= cap ? cap - 1 : at + (size_t)n;
	}
}

/* How streams feed on others. */
static void replication_table(const struct ranked *streams, size_t n)
{
	CLEAN(nt) struct nt *t = nt_new("Replication Report");
	size_t k;
	json_t *src;

	nt_head(t, "Stream", "Kind", "API Prefix", "Source Stream", "Filters and Transforms",
		"Active", "Lag", "Error", NULL);
	for (size_t i = 0; i < n; i++) {
		CLEAN(json) json_t *list = json_array();
		const json_t *s = streams[i].j;

		if (json_is_object(json_object_get(s, "mirror")))
			(void)json_array_append(list, json_object_get(s, "mirror"));
		if (json_array_size(json_object_get(s, "sources")))
			(void)json_array_extend(list, json_object_get(s, "sources"));
		json_array_foreach(list, k, src)
		{
			int64_t active = jint(src, "active");
			char filters[512];

			nt_text(t, jstr(s, "config.name"));
			nt_text(t, src == json_object_get(s, "mirror") ? "Mirror" : "Source");
			nt_text(t, jstr(src, "external.api"));
			nt_text(t, jstr(src, "name"));
			source_filters(src, filters, sizeof(filters));
			nt_text(t, filters);
			nt_text(t, active >= 0 && active < INT64_MAX ? DURATION(active) : "never");
			nt_text(t, COMMA(jint(src, "lag")));
			nt_text(t, jstr(src, "error.description"));
		}
	}
	if (nt_rows(t)) {
		nt_print(t);
		putchar('\n');
	}
}

static void leaders(const json_t *all, const char *cluster)
{
	CLEAN(json) json_t *found = json_object();
	const json_t *s;
	size_t i;

	json_array_foreach(all, i, s) if (!cluster || strcmp(jstr(s, "cluster.name"), cluster) == 0)
		leaders_add(found, jstr(s, "cluster.leader"), jstr(s, "cluster.name"), 1);
	if (json_object_size(found))
		leaders_print(found, "Streams");
}

static void dot_text(struct buf *b, const char *text)
{
	CLEAN(free) char *clean = nats_clean(text);

	buf_u8(b, '"');
	for (const char *s = clean ? clean : ""; *s; s++)
		buf_printf(b, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
	buf_u8(b, '"');
}

static void dot_edge(struct buf *b, const json_t *from, const char *to, bool mirror)
{
	char filters[512];

	source_filters(from, filters, sizeof(filters));
	buf_printf(b, "\t");
	dot_text(b, jstr(from, "name"));
	buf_printf(b, " -> ");
	dot_text(b, to);
	buf_printf(b, " [color=\"%s\", label=", mirror ? "blue" : "green");
	dot_text(b, mirror ? "Mirror" : filters);
	buf_printf(b, "]\n");
}

/* A graph for GraphViz of how streams feed on others; none when none does. */
static int write_dot(const json_t *all, const char *path, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	const json_t *s, *src;
	size_t i, k, edges = 0;

	buf_init(&b, (size_t)64 << 20);
	buf_printf(&b, "digraph {\n\tlabel=\"Stream Replication Structure\"\n");
	json_array_foreach(all, i, s)
	{
		const char *name = jstr(s, "config.name");

		json_array_foreach(jget(s, "config.sources"), k, src)
		{
			dot_edge(&b, src, name, false);
			edges++;
		}
		if (json_is_object(jget(s, "config.mirror"))) {
			dot_edge(&b, jget(s, "config.mirror"), name, true);
			edges++;
		}
	}
	buf_printf(&b, "}\n");
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	return edges ? file_replace(path, b.p, b.len, 0644, e) : 0;
}

int stream_report(struct cli *c, struct err *e)
{
	enum order by = cli_has(c, "consumers")	 ? BY_CONSUMERS
			: cli_has(c, "messages") ? BY_MSGS
			: cli_has(c, "name")	 ? BY_NAME
			: cli_has(c, "storage")	 ? BY_STORAGE
						 : BY_BYTES;
	const char *cluster = cli_str(c, "cluster");
	bool raw = cli_has(c, "raw");
	CLEAN(json) json_t *all = NULL;
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 65536);
	fputs("Obtaining Stream stats\n\n", stdout);
	if (all_streams(c, &all, e))
		return -1;
	if (!json_array_size(all)) {
		puts("No Streams defined");
		return 0;
	}
	CLEAN(free) struct ranked *v = sorted(all, by);
	CLEAN(nt) struct nt *t = nt_new("Stream Report");

	nt_head(t, "Stream", "Storage", "Placement", "Consumers", "Messages", "Bytes", "Lost",
		"Deleted", "API Level", "Replicas", NULL);
	for (size_t i = 0; v && i < json_array_size(all); i++) {
		const json_t *s = v[i].j, *st = json_object_get(s, "state");
		const json_t *meta = jget(s, "config.metadata");
		const char *level = json_string_value(json_object_get(meta, "_nats.req.level"));
		size_t lost = json_array_size(jget(st, "lost.msgs"));
		const char *pc = jstr(s, "config.placement.cluster");

		if (cluster && strcmp(jstr(s, "cluster.name"), cluster) != 0)
			continue;
		nt_text(t, jstr(s, "config.name"));
		nt_text(t, strcmp(jstr(s, "config.storage"), "memory") == 0 ? "Memory" : "File");
		nt_fmt(t, "%s%s", *pc ? "cluster: " : "", pc);
		nt_text(t, COMMA(jint(st, "consumer_count")));
		if (raw)
			nt_fmt(t, "%lld", (long long)jint(st, "messages"));
		else
			nt_text(t, COMMA(jint(st, "messages")));
		if (raw)
			nt_fmt(t, "%lld", (long long)jint(st, "bytes"));
		else
			nt_text(t, IBYTES(jint(st, "bytes")));
		if (lost)
			nt_fmt(t, "%s (%s)", COMMA(lost), IBYTES(jint(st, "lost.bytes")));
		else
			nt_text(t, "0");
		nt_text(t, COMMA(jint(st, "num_deleted")));
		nt_text(t, level ? level : "0");
		js_cluster_text(s, &b);
		nt_text(t, (const char *)b.p);
	}
	nt_print(t);
	putchar('\n');
	if (v)
		replication_table(v, json_array_size(all));
	if (cli_has(c, "leaders"))
		leaders(all, cluster);
	return cli_str(c, "dot") ? write_dot(all, cli_str(c, "dot"), e) : 0;
}

struct find {
	regex_t server, cluster;
	bool use_server, use_cluster;
	int64_t idle, created, consumers, replicas, level;
	const char *leader;
};

static bool on_server(const struct find *f, const json_t *s)
{
	size_t i;
	json_t *r;

	if (regexec(&f->server, jstr(s, "cluster.leader"), 0, NULL, 0) == 0)
		return true;
	json_array_foreach(jget(s, "cluster.replicas"), i,
			   r) if (regexec(&f->server, jstr(r, "name"), 0, NULL, 0) ==
				  0) return true;
	return false;
}

/* Each criterion that was given must hold; --invert turns each of them. */
static bool matches(struct cli *c, const struct find *f, const json_t *s)
{
	const json_t *st = json_object_get(s, "state");
	const char *level =
		json_string_value(json_object_get(jget(s, "config.metadata"), "_nats.req.level"));
	const struct {
		bool given, holds;
	} tests[] = {
		{f->use_server, f->use_server && on_server(f, s)},
		{f->use_cluster,
		 f->use_cluster && regexec(&f->cluster, jstr(s, "cluster.name"), 0, NULL, 0) == 0},
		{cli_has(c, "empty"), jint(st, "messages") == 0},
		{f->idle > 0, js_older(jstr(st, "last_ts"), f->idle)},
		{f->created > 0, js_older(jstr(s, "created"), f->created)},
		{f->consumers >= 0, jint(st, "consumer_count") < f->consumers},
		{f->replicas > 0, jint(s, "config.num_replicas") <= f->replicas},
		{cli_has(c, "sourced"), json_array_size(jget(s, "config.sources")) > 0},
		{cli_has(c, "mirrored"), json_is_object(jget(s, "config.mirror"))},
		{f->leader != NULL, f->leader && strcmp(jstr(s, "cluster.leader"), f->leader) == 0},
		{f->level > 0, level && strtoll(level, NULL, 10) >= f->level},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (tests[i].given && tests[i].holds == cli_has(c, "invert"))
			return false;
	return true;
}

int stream_query(struct cli *c, json_t **out, struct err *e)
{
	struct find f = {.consumers = -1, .leader = cli_str(c, "leader")};
	const char *server = cli_str(c, "server-name"), *cluster = cli_str(c, "cluster");
	CLEAN(json) json_t *all = NULL;
	CLEAN(json) json_t *found = json_array();
	json_t *s;
	size_t i;

	if (cli_has(c, "expression"))
		return cli_usage(e, "--expression needs natscli: here, filter the output of "
				    "'nats stream info --json' with jq");
	if (nats_opt_duration(c, "idle", &f.idle, e) ||
	    nats_opt_duration(c, "created", &f.created, e) ||
	    cli_int(c, "consumers", -1, INT32_MAX, &f.consumers, e) ||
	    cli_int(c, "replicas", 0, 100, &f.replicas, e) ||
	    cli_int(c, "api-level", 0, 1000, &f.level, e))
		return -1;
	f.use_server = server && regcomp(&f.server, server, REG_EXTENDED | REG_NOSUB) == 0;
	f.use_cluster = cluster && regcomp(&f.cluster, cluster, REG_EXTENDED | REG_NOSUB) == 0;
	int r = 0;

	if ((server && !f.use_server) || (cluster && !f.use_cluster))
		r = cli_usage(e, "not a regular expression: %.80s",
			      server && !f.use_server ? server : cluster);
	else
		r = all_streams(c, &all, e);
	json_array_foreach(all, i, s) if (matches(c, &f, s))(void) json_array_append(found, s);
	if (f.use_server)
		regfree(&f.server);
	if (f.use_cluster)
		regfree(&f.cluster);
	if (r)
		return -1;
	*out = STEAL(found);
	return *out ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int stream_find(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *found = NULL;

	if (stream_query(c, &found, e))
		return -1;
	if (cli_has(c, "names")) {
		CLEAN(json) json_t *names = names_of(found);

		return js_print_names(names, false, e);
	}
	stream_table(found, "Streams");
	return 0;
}

/* Subjects and their counts of all pages. */
static int load_subjects(struct cli *c, const char *stream, const char *filter, json_t **out,
			 struct err *e)
{
	CLEAN(json) json_t *all = json_object();
	int64_t total = 0;

	do {
		CLEAN(json) json_t *info = NULL;
		size_t before = json_object_size(all);

		if (nats_js_request(c,
				    json_pack("{s:s, s:I}", "subjects_filter", filter, "offset",
					      (json_int_t)before),
				    &info, e, "STREAM.INFO.%s", stream))
			return -1;
		json_t *subjects = json_object_get(json_object_get(info, "state"), "subjects");

		if (json_is_object(subjects))
			(void)json_object_update(all, subjects);
		total = jint(info, "total");
		if (json_object_size(all) == before)
			break;
	} while ((int64_t)json_object_size(all) < total);
	*out = STEAL(all);
	return 0;
}

struct subject {
	const char *name;
	int64_t n;
};

static bool by_subject, reverse;

static int subject_order(const void *a, const void *b)
{
	const struct subject *x = a, *y = b;
	int r = by_subject ? strcmp(x->name, y->name) : (x->n > y->n) - (x->n < y->n);

	return r ? (reverse ? -r : r) : strcmp(x->name, y->name);
}

static void subject_table(const char *stream, const struct subject *v, size_t n)
{
	CLEAN(nt) struct nt *t = nt_new("%zu Subjects in stream %s", n, stream);
	size_t longest = 0, columns;
	int64_t most = 0;

	for (size_t i = 0; i < n; i++) {
		longest = strlen(v[i].name) > longest ? strlen(v[i].name) : longest;
		most = v[i].n > most ? v[i].n : most;
	}
	longest += strlen(COMMA(most));
	columns = longest < 20 ? 3 : longest < 30 ? 2 : 1;
	if (columns == 3)
		nt_head(t, "Subject", "Count", "Subject", "Count", "Subject", "Count", NULL);
	else if (columns == 2)
		nt_head(t, "Subject", "Count", "Subject", "Count", NULL);
	else
		nt_head(t, "Subject", "Count", NULL);
	for (size_t i = 0; i < (n + columns - 1) / columns * columns; i++) {
		nt_text(t, i < n ? v[i].name : "");
		nt_text(t, i < n && v[i].n ? COMMA(v[i].n) : "");
	}
	nt_print(t);
	putchar('\n');
}

int stream_subjects(struct cli *c, struct err *e)
{
	const char *stream, *filter = c->argc > 1 ? c->argv[1] : ">", *key;
	CLEAN(json) json_t *all = NULL;
	const char *by = cli_str(c, "sort");
	json_t *v;
	size_t i = 0;

	if (stream_operand(c, 0, &stream, NULL, e) || load_subjects(c, stream, filter, &all, e))
		return -1;
	if (cli_has(c, "json"))
		return nats_print_json(all, e);
	if (!json_object_size(all)) {
		printf("No subjects found matching %s\n", filter);
		return 0;
	}
	size_t n = json_object_size(all);
	CLEAN(free) struct subject *list = calloc(n, sizeof(*list));

	if (!list)
		return err_set(e, ERR_NOMEM, NULL);
	json_object_foreach(all, key, v) list[i++] = (struct subject){key, json_integer_value(v)};
	by_subject = by && (strcmp(by, "name") == 0 || strcmp(by, "subjects") == 0);
	reverse = cli_has(c, "reverse");
	qsort(list, n, sizeof(*list), subject_order);
	if (!cli_has(c, "names")) {
		subject_table(stream, list, n);
		return 0;
	}
	for (i = 0; i < n; i++) {
		CLEAN(free) char *clean = nats_clean(list[i].name);

		puts(clean ? clean : "?");
	}
	return 0;
}
