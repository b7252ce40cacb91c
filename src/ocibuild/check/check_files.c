/* Rules about the files of an image: modes, owners, links, times, secrets, the SBOM. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/enc.h"
#include "ocibuild/check/check_rules.h"
#include "ocibuild/check/check_secret.h"

#define EACH(c, t)                                                                                 \
	for (size_t i_ = 0; i_ < (c)->view.n; i_++)                                                \
		for (const struct view_entry *t = (c)->view.v[i_]; t; t = NULL)

static const char *shown(const struct view_entry *t)
{
	return *t->path ? t->path : "/";
}

int check_setuid(struct check *c, struct err *e)
{
	(void)e;
	EACH(c, t)
	{
		if (!(t->mode & (S_ISUID | S_ISGID)))
			continue;
		check_say(c, t->path, "%s is %s%s%s (mode %04o, owner %u:%u)",
			  S_ISDIR(t->mode) ? "the directory" : "it",
			  t->mode & S_ISUID ? "setuid" : "",
			  (t->mode & (S_ISUID | S_ISGID)) == (S_ISUID | S_ISGID) ? " and " : "",
			  t->mode & S_ISGID ? "setgid" : "", t->mode & 07777u, t->uid, t->gid);
	}
	return 0;
}

int check_capability(struct check *c, struct err *e)
{
	(void)e;
	EACH(c, t)
	{
		for (size_t i = 0; i < t->nxattr; i++)
			if (strcmp(t->xattr[i].name, "security.capability") == 0)
				check_say(c, t->path,
					  "it has file capabilities (%zu bytes of them)",
					  t->xattr[i].len);
	}
	return 0;
}

static bool is_common(const char *path)
{
	static const char *const dirs[] = {"tmp", "var/tmp", "run/lock"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (strcmp(dirs[i], path) == 0)
			return true;
	return false;
}

int check_open(struct check *c, struct err *e)
{
	(void)e;
	EACH(c, t)
	{
		if (!(t->mode & S_IWOTH) || S_ISLNK(t->mode))
			continue;
		if (!is_common(t->path) || !S_ISDIR(t->mode))
			check_say(c, t->path, "anybody can write to %s (mode %04o)", shown(t),
				  t->mode & 07777u);
		else if (!(t->mode & S_ISVTX))
			check_say(
				c, t->path,
				"it is not sticky (mode %04o): users can remove each other's files",
				t->mode & 07777u);
	}
	return 0;
}

int check_device(struct check *c, struct err *e)
{
	(void)e;
	EACH(c, t)
	{
		if (S_ISCHR(t->mode) || S_ISBLK(t->mode))
			check_say(c, t->path, "it is a device, %u:%u", t->major, t->minor);
		else if (S_ISFIFO(t->mode) || S_ISSOCK(t->mode))
			check_say(c, t->path, "it is a %s", S_ISFIFO(t->mode) ? "fifo" : "socket");
	}
	return 0;
}

/* At dir or below it; both without slashes at their ends. */
static bool below(const char *path, const char *dir)
{
	size_t n;

	while (*dir == '/')
		dir++;
	n = strlen(dir);
	while (n && dir[n - 1] == '/')
		n--;
	return n && strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

/* Volumes, and the directories in /home. */
static bool is_named_dir(const struct check *c, json_t *homes, const char *path)
{
	json_t *v;
	const char *dir;
	size_t i;

	json_object_foreach(json_object_get(c->run, "Volumes"), dir, v)
	{
		if (below(path, dir))
			return true;
	}
	json_array_foreach(homes, i, v)
	{
		if (below(path, json_string_value(v)))
			return true;
	}
	return false;
}

int check_rootowned(struct check *c, struct err *e)
{
	json_t *homes = json_array();

	if (!homes)
		return err_set(e, ERR_NOMEM, NULL);
	EACH(c, t)
	{
		if (strncmp(t->path, "home/", 5) == 0 && !strchr(t->path + 5, '/') &&
		    S_ISDIR(t->mode))
			json_array_append_new(homes, json_stringn(t->path, strlen(t->path)));
	}
	EACH(c, t)
	{
		/* what anybody can write is another rule's */
		bool open = (t->mode & S_IWOTH) != 0;

		if (is_named_dir(c, homes, t->path))
			continue;
		if (t->uid || t->gid)
			check_say(c, t->path, "%s is owned by %u:%u", shown(t), t->uid, t->gid);
		else if (!S_ISLNK(t->mode) && !open && c->is_user && c->uid && check_may(c, t, 2))
			check_say(c, t->path, "the user %u:%u can write to %s (mode %04o)", c->uid,
				  c->gid, shown(t), t->mode & 07777u);
	}
	json_decref(homes);
	return 0;
}

int check_link(struct check *c, struct err *e)
{
	(void)e;
	EACH(c, t)
	{
		if (!S_ISLNK(t->mode))
			continue;
		if (c->variant == CHECK_DEBUG && t->link[0] == '/')
			check_say(c, t->path,
				  "it leads to %s, which is elsewhere when the image is mounted",
				  t->link);
		else if (!view_find(&c->view, t->path, true))
			check_say(c, t->path, "it leads to %s, which is not there", t->link);
	}
	return 0;
}

int check_time(struct check *c, struct err *e)
{
	const char *created = json_string_value(json_object_get(c->view.config, "created"));
	struct tm tm = {0};
	const char *end = created ? strptime(created, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	time_t date;

	(void)e;
	if (!end) {
		check_say(c, NULL, "it has no date of creation");
		return 0;
	}
	date = timegm(&tm);
	if (tm.tm_year < 100)
		check_say(c, NULL, "it was created in %d, says its date", tm.tm_year + 1900);
	EACH(c, t)
	{
		if (t->mtime > date)
			check_say(c, t->path, "%s is %lld s newer than the image", shown(t),
				  (long long)t->mtime - (long long)date);
	}
	return 0;
}

/* Found while the layers streamed by, so that what an upper layer hides counts too. */
int check_secret(struct check *c, struct err *e)
{
	json_t *v;
	size_t i;

	(void)e;
	json_array_foreach(c->secrets, i, v)
	{
		const char *path = json_string_value(json_object_get(v, "path"));
		unsigned layer = (unsigned)json_integer_value(json_object_get(v, "layer"));
		const struct view_entry *t = view_find(&c->view, path, false);
		bool hidden = !t || t->layer != layer;

		check_say(c, path, "it looks like %s%s",
			  json_string_value(json_object_get(v, "what")),
			  hidden ? "; an upper layer hides it, and it is still in the image" : "");
	}
	json_array_foreach(json_object_get(c->run, "Env"), i, v)
	{
		const char *s = json_string_value(v), *eq = s ? strchr(s, '=') : NULL;
		char name[128];
		const char *what;

		if (!eq || eq - s >= (int)sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(eq - s), s);
		what = check_secret_variable(name, eq + 1);
		if (what)
			check_say(c, NULL, "the variable %s has %s in it", name, what);
	}
	return 0;
}

/* Files that the SBOM has and the image has not. */
static void find_lost(struct check *c)
{
	const char *path;
	json_t *v;

	json_object_foreach(c->owners, path, v)
	{
		if (!view_find(&c->view, path, false))
			check_say(c, path, "the SBOM has it, and it is not there");
	}
}

int check_sbom(struct check *c, struct err *e)
{
	(void)e;
	if (!c->has_sbom) {
		check_say(c, NULL, "no SPDX document refers to it");
		return 0;
	}
	EACH(c, t)
	{
		const char *sum = json_string_value(json_object_get(c->sums, t->path));
		char hex[65];

		if (!S_ISREG(t->mode))
			continue;
		enc_hex(hex, t->sha256, sizeof(t->sha256));
		if (!check_owner(c, t->path))
			check_say(c, t->path, "it is in no package of the SBOM");
		else if (sum && strcmp(sum, hex) != 0)
			check_say(c, t->path, "its content is not what the SBOM says");
	}
	find_lost(c);
	return 0;
}
