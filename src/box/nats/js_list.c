/* The lists of buckets that kv and object show; the servers of a stream or consumer. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"
#include "box/nats/nats_report.h"

static int by_bytes(const void *a, const void *b)
{
	const json_t *p = *(json_t *const *)a, *q = *(json_t *const *)b;
	int64_t x = jint(p, "state.bytes"), y = jint(q, "state.bytes");

	return x != y ? (x > y) - (x < y) : strcmp(jstr(p, "config.name"), jstr(q, "config.name"));
}

static void table(const char *kind, bool values, json_t **v, size_t n, size_t skip)
{
	CLEAN(nt) struct nt *t = nt_new("%s Buckets", kind);

	if (values)
		nt_head(t, "Bucket", "Description", "Created", "Size", "Values", "Last Update",
			NULL);
	else
		nt_head(t, "Bucket", "Description", "Created", "Size", "Last Update", NULL);
	for (size_t i = 0; i < n; i++) {
		nt_text(t, jstr(v[i], "config.name") + skip);
		nt_text(t, jstr(v[i], "config.description"));
		nt_text(t, LOCALTEXT(jstr(v[i], "created")));
		nt_text(t, IBYTES(jint(v[i], "state.bytes")));
		if (values)
			nt_text(t, COMMA(jint(v[i], "state.messages")));
		nt_text(t, SINCE(jstr(v[i], "state.last_ts"), ""));
	}
	nt_print(t);
	putchar('\n');
}

int js_list_buckets(struct cli *c, const char *prefix, const char *kind, bool values, struct err *e)
{
	CLEAN(json) json_t *all = NULL;
	CLEAN(json) json_t *names = json_array();
	size_t i, n = 0, skip = strlen(prefix);
	json_t *s;

	if (js_pages(c, "STREAM.LIST", NULL, "streams", &all, e))
		return -1;
	CLEAN(free) json_t **v = calloc(json_array_size(all) + 1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(all, i, s) if (strncmp(jstr(s, "config.name"), prefix, skip) == 0)
	{
		v[n++] = s;
		(void)json_array_append_new(names, json_string(jstr(s, "config.name") + skip));
	}
	if (cli_has(c, "names") || cli_has(c, "json"))
		return js_print_names(names, cli_has(c, "json"), e);
	if (!n) {
		printf("No %s buckets found\n", kind);
		return 0;
	}
	qsort(v, n, sizeof(*v), by_bytes);
	table(kind, values, v, n, skip);
	return 0;
}

void js_cluster_text(const json_t *info, struct buf *b)
{
	const json_t *cl = json_object_get(info, "cluster"), *r;
	const json_t *reps = json_object_get(cl, "replicas");
	size_t n = json_array_size(reps), used = 0, made = 0, i;
	CLEAN(free) char **names = calloc(n + 1, sizeof(*names));
	CLEAN(free) char **marked = calloc(n + 1, sizeof(*marked));
	bool led = *jstr(cl, "leader");

	buf_reset(b);
	if (*jstr(cl, "name") && names && marked) {
		if (led)
			names[used++] = strdup(jstr(cl, "leader"));
		json_array_foreach(reps, i, r) names[used++] = strdup(jstr(r, "name"));
		report_compact(names, used);
	}
	for (i = 0; i < used; i++) {
		bool leader = led && i == 0;
		const char *mark = leader ? "*" : "";

		r = leader ? NULL : json_array_get(reps, i - led);
		if (r && (jbool(r, "offline") || !jbool(r, "current")))
			mark = "!";
		if (asprintf(&marked[i], "%s%s", names[i] ? names[i] : "", mark) < 0)
			marked[i] = NULL;
		free(names[i]);
		made += marked[i] != NULL;
	}
	if (made == used && used)
		qsort(marked, used, sizeof(*marked), js_by_text);
	for (i = 0; i < used; i++) {
		buf_printf(b, "%s%s", i ? ", " : "", marked[i] ? marked[i] : "?");
		free(marked[i]);
	}
	buf_u8(b, 0);
}
