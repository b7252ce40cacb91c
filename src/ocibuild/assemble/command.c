#include "ocibuild/assemble/command.h"

#include <string.h>
#include <sys/stat.h>

#include "ocibuild/oci/view.h"
#include "ocibuild/options.h"

int command_open(const struct cli *c, struct current *cur, struct build *b, struct err *e)
{
	options_current(c, cur);
	if (current_load(cur, e) || build_open(b, cur, e))
		return -1;
	for (int i = 0; i < c->argc; i++) {
		struct build_image *im = build_find(b, c->argv[i]);

		if (!im)
			return cli_usage(e, "there is no image '%.60s'; `ocibuild ls` lists them",
					 c->argv[i]);
		im->wanted = true;
	}
	for (size_t i = 0; i < b->n && !c->argc; i++)
		b->v[i].wanted = true;
	if (!b->n)
		return err_set(e, ERR_CONFIG, "no definition in %s has the stanza `image`",
			       cur->images);
	return 0;
}

int command_locate(const char *layout, const char *arg, struct unpack *u, char dir[static 4096],
		   const char **ref, struct err *e)
{
	struct stat st;

	view_locate(layout, arg, dir, ref);
	if (stat(dir, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (unpack_open(u, dir, e))
		return -1;
	snprintf(dir, 4096, "%s", u->scratch.dir);
	return 0;
}

const char *command_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool is_plain(const char *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/._-";

	return *s && s[strspn(s, set)] == '\0' && *s != '-' && strcmp(s, "true") != 0 &&
	       strcmp(s, "false") != 0 && strcmp(s, "null") != 0;
}

static void print_scalar(const json_t *v)
{
	if (json_is_string(v) && is_plain(json_string_value(v)))
		fputs(json_string_value(v), stdout);
	else
		json_dumpf(v, stdout, JSON_ENCODE_ANY);
}

/* YAML in block style; the depth of ours is small and bounded by the reader's. */
static void print_yaml(const json_t *v, int depth, bool in_item)
{
	const char *key;
	json_t *w;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)v, key, w)
	{
		bool leaf = !json_is_object(w) && !json_is_array(w);

		if (!in_item)
			printf("%*s", depth * 2, "");
		in_item = false;
		printf("%s:", key);
		if (leaf || !(json_array_size(w) + json_object_size(w))) {
			putchar(' ');
			print_scalar(w);
			putchar('\n');
			continue;
		}
		putchar('\n');
		print_yaml(w, depth + 1, false);
	}
	json_array_foreach(v, i, w)
	{
		printf("%*s- ", depth * 2, "");
		if (json_is_object(w)) {
			print_yaml(w, depth + 1, true);
		} else {
			print_scalar(w);
			putchar('\n');
		}
	}
}

void command_yaml(const json_t *o)
{
	print_yaml(o, 0, false);
}
