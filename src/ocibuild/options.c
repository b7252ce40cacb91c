#include "ocibuild/options.h"

#include <stdarg.h>
#include <stdlib.h>

#include "json/json.h"

const struct cli_opt options_global[] = {
	{"images", 0, "DIR", "Folder of the definitions and of ocibuild.lock (images)"},
	{"build", 0, "DIR", "Build folder (build)"},
	{"locked", 0, NULL, "Fail unless the committed lock is the one in force"},
	{"json", 0, NULL, "Print JSON"},
#ifndef OCIBUILD_ONLINE
	{"compression", 0, "FORM",
	 "gzip (what is released), zstd or fast: the last two have a layout of their own"},
	{"fast", 0, NULL, "The same as --compression fast: gzip, level 1"},
#endif
	{0},
};

void options_current(const struct cli *c, struct current *cur)
{
	const char *images = cli_str(c, "images"), *build = cli_str(c, "build");

	cur->images = images ? images : "images";
	cur->build = build ? build : "build";
	cur->locked = cli_has(c, "locked");
#ifndef OCIBUILD_ONLINE
	cur->compression = cli_has(c, "fast") ? "fast" : cli_str(c, "compression");
#endif
}

void options_note(const char *fmt, ...)
{
	va_list ap;

	fputs("ocibuild: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static int print(json_t *j, struct err *e)
{
	int rc = j ? json_print(j, stdout, e) : err_set(e, ERR_NOMEM, NULL);

	json_decref(j);
	return rc;
}

int options_print_changes(const struct cli *c, const char *path, const struct options_changes *ch,
			  int64_t date, struct err *e)
{
	char when[32];

	lock_date_text(date, when);
	if (cli_has(c, "json"))
		return print(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "lock", path, "date",
				       when, "packages", (json_int_t)ch->total, "bytes",
				       (json_int_t)ch->bytes, "added", (json_int_t)ch->added,
				       "changed", (json_int_t)ch->changed, "removed",
				       (json_int_t)ch->removed),
			     e);
	printf("%s: %zu packages, %.1f MB, of %s; %zu added, %zu changed, %zu removed\n", path,
	       ch->total, (double)ch->bytes / 1e6, when, ch->added, ch->changed, ch->removed);
	return 0;
}

int options_print_lock(const struct cli *c, const char *path, const struct lock *l, struct err *e)
{
	unsigned long long bytes = 0;
	char when[32];

	lock_date_text(l->date, when);
	for (size_t i = 0; i < l->npkg; i++)
		bytes += l->pkg[i].size;
	if (cli_has(c, "json"))
		return print(json_pack("{s:s, s:s, s:I, s:I, s:b}", "lock", path, "date", when,
				       "packages", (json_int_t)l->npkg, "bytes", (json_int_t)bytes,
				       "ok", 1),
			     e);
	printf("%s: %zu packages, %.1f MB, of %s: in force and complete\n", path, l->npkg,
	       (double)bytes / 1e6, when);
	return 0;
}

int options_print_fetched(const struct cli *c, const struct options_fetched *f, struct err *e)
{
	if (cli_has(c, "json"))
		return print(json_pack("{s:I, s:I, s:I, s:b}", "fetched", (json_int_t)f->fetched,
				       "cached", (json_int_t)f->cached, "bytes",
				       (json_int_t)f->bytes, "committed_lock", !f->relock),
			     e);
	if (f->fetched)
		printf("fetched %zu packages (%.1f MB); %zu were in the cache\n", f->fetched,
		       (double)f->bytes / 1e6, f->cached);
	if (f->relock)
		options_note("warning: not the committed lock is in force");
	return 0;
}
