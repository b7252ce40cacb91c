#include "box/nats/nats_leaders.h"

#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"

void leaders_add(json_t *all, const char *server, const char *cluster, int64_t n)
{
	json_t *row = json_object_get(all, server);

	if (!*server)
		return;
	if (!row)
		(void)json_object_set_new(all, server,
					  json_pack("[s, s, I]", server, cluster, (json_int_t)n));
	else
		(void)json_integer_set(json_array_get(row, 2),
				       nats_add(json_integer_value(json_array_get(row, 2)), n));
}

static const char *text(const json_t *row, size_t i)
{
	const char *s = json_string_value(json_array_get(row, i));

	return s ? s : "";
}

static int64_t groups(const json_t *row)
{
	return json_integer_value(json_array_get(row, 2));
}

static int by_cluster(const void *a, const void *b)
{
	const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
	int r = strcmp(text(x, 1), text(y, 1));

	if (!r)
		r = (groups(x) > groups(y)) - (groups(x) < groups(y));
	return r ? r : strcmp(text(x, 0), text(y, 0));
}

void leaders_print(const json_t *all, const char *title)
{
	CLEAN(free) const json_t **v = calloc(json_object_size(all) + 1, sizeof(*v));
	CLEAN(nt) struct nt *t = nt_new("RAFT Leader Report");
	const char *key;
	size_t n = 0;
	json_t *row;

	if (!v)
		return;
	json_object_foreach((json_t *)(uintptr_t)all, key, row) v[n++] = row;
	qsort(v, n, sizeof(*v), by_cluster);
	nt_head(t, "Server", "Cluster", title, "Distribution", NULL);
	for (size_t i = 0; i < n; i++) {
		int64_t sum = 0, stars;

		for (size_t k = 0; k < n; k++)
			if (strcmp(text(v[k], 1), text(v[i], 1)) == 0)
				sum = nats_add(sum, groups(v[k]));
		if (i && strcmp(text(v[i], 1), text(v[i - 1], 1)) != 0)
			nt_line(t);
		stars = sum > 0 ? (int64_t)((double)groups(v[i]) / (double)sum * 10 + 0.5) : 0;
		stars = groups(v[i]) > 0 && stars < 1 ? 1 : stars;
		nt_text(t, text(v[i], 0));
		nt_text(t, text(v[i], 1));
		nt_text(t, COMMA(groups(v[i])));
		nt_fmt(t, "%.*s", stars < 0 ? 0 : stars > 10 ? 10 : (int)stars, "**********");
	}
	nt_print(t);
	putchar('\n');
}
