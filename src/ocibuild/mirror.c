#include "ocibuild/mirror.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/run.h"

#define MAX_CONFIG (1u << 20)

void mirror_free(struct mirror *m)
{
	buf_free(&m->acquire);
}

const char *mirror_archive(const char *suite)
{
	size_t n = strlen(suite), k = strlen("-security");

	return n > k && strcmp(suite + n - k, "-security") == 0 ? "debian-security" : "debian";
}

const char *mirror_of(const struct mirror *m, const char *archive)
{
	if (strcmp(archive, "debian") == 0)
		return m->debian;
	return strcmp(archive, "debian-security") == 0 ? m->debian_security : NULL;
}

static void set_address(char *out, size_t cap, const char *uri)
{
	size_t n = strlen(uri);

	while (n && uri[n - 1] == '/')
		n--;
	if (n < cap) {
		memcpy(out, uri, n);
		out[n] = '\0';
	}
}

/* apt's "mirror+file:/PATH" names a file whose lines start with an address. */
static void set_uri(char *out, size_t cap, const char *uri)
{
	CLEAN(buf) struct buf b = {0};

	if (strncmp(uri, "mirror+file:", 12) != 0) {
		set_address(out, cap, uri);
		return;
	}
	buf_init(&b, 65536);
	uri += 12;
	if (strncmp(uri, "//", 2) == 0)
		uri += 2;
	/* apt prints the path with a trailing slash */
	char path[512];

	set_address(path, sizeof(path), uri);
	if (file_read(path, &b, NULL))
		return;
	buf_u8(&b, '\0');
	if (!b.bad)
		b.p[strcspn((char *)b.p, " \t\r\n")] = '\0';
	if (!b.bad && strstr((char *)b.p, "://"))
		set_address(out, cap, (char *)b.p);
}

void mirror_from_targets(struct mirror *m, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *suite = strchr(line, '|'), *origin = suite ? strchr(suite + 1, '|') : NULL;

		if (!origin)
			continue;
		*suite++ = '\0';
		*origin++ = '\0';
		/* the origin is empty before the first `apt-get update` */
		if (*origin ? strcmp(origin, "Debian") != 0 : !strstr(line, "debian"))
			continue;
		if (strcmp(mirror_archive(suite), "debian") == 0) {
			if (!m->debian[0])
				set_uri(m->debian, sizeof(m->debian), line);
		} else if (!m->debian_security[0]) {
			set_uri(m->debian_security, sizeof(m->debian_security), line);
		}
	}
}

/* Keeps apt's Acquire:: lines, except for index targets that a desktop adds,
 * and picks the two that libcurl needs. */
static void take_config(struct mirror *m, char *text)
{
	static const struct {
		const char *key;
		size_t off;
	} own[] = {
		{"Acquire::http::Proxy \"", offsetof(struct mirror, proxy)},
		{"Acquire::https::CaInfo \"", offsetof(struct mirror, cainfo)},
	};
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "Acquire::", 9) != 0 ||
		    strncmp(line, "Acquire::IndexTargets", 21) == 0)
			continue;
		buf_printf(&m->acquire, "%s\n", line);
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
			size_t n = strlen(own[i].key);
			char *out = (char *)m + own[i].off;

			if (strncmp(line, own[i].key, n) == 0)
				snprintf(out, 512, "%.*s", (int)strcspn(line + n, "\""), line + n);
		}
	}
	if (strcmp(m->proxy, "DIRECT") == 0)
		m->proxy[0] = '\0';
}

static int ask(struct buf *out, const char *const argv[], struct err *e)
{
	struct run r = {.argv = argv, .out = out};

	if (run_program(&r, e))
		return err_wrap(e, "the host's apt configuration");
	buf_u8(out, '\0');
	return out->bad ? err_set(e, ERR_TOO_LARGE, "the host's apt configuration") : 0;
}

static void from_env(const char *name, char *out, size_t cap)
{
	const char *v = getenv(name);

	if (v && *v)
		set_address(out, cap, v);
}

int mirror_load(struct mirror *m, struct err *e)
{
	static const char *const config[] = {"apt-config", "dump", NULL};
	static const char *const targets[] = {"apt-get", "indextargets", "--format",
					      "$(REPO_URI)|$(RELEASE)|$(ORIGIN)", NULL};
	CLEAN(buf) struct buf b = {0};

	*m = (struct mirror){0};
	buf_init(&m->acquire, MAX_CONFIG);
	buf_init(&b, MAX_CONFIG);
	if (ask(&b, config, e))
		return -1;
	take_config(m, (char *)b.p);
	from_env("DEBIAN_MIRROR", m->debian, sizeof(m->debian));
	from_env("DEBIAN_SECURITY_MIRROR", m->debian_security, sizeof(m->debian_security));
	if (m->debian[0] && !m->debian_security[0])
		snprintf(m->debian_security, sizeof(m->debian_security), "%.500s-security",
			 m->debian);
	if (!m->debian[0] || !m->debian_security[0]) {
		buf_reset(&b);
		if (ask(&b, targets, e))
			return -1;
		mirror_from_targets(m, (char *)b.p);
	}
	if (m->debian[0] && !m->debian_security[0])
		snprintf(m->debian_security, sizeof(m->debian_security), "%.500s-security",
			 m->debian);
	if (!m->debian[0])
		return err_set(e, ERR_CONFIG,
			       "apt on this host has no Debian source: set DEBIAN_MIRROR");
	return m->acquire.bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}
