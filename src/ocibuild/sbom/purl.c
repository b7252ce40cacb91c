#include "ocibuild/sbom/purl.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define MAX_PURL 8192
#define BASE_DISTRO "debian-13"

const char *purl_distro(const char *suite)
{
	static const char *const names[][2] = {
		{"bookworm", "debian-12"}, {"trixie", BASE_DISTRO}, {"forky", "debian-14"}};

	for (size_t i = 0; suite && i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i][0]);

		if (strncmp(suite, names[i][0], n) == 0 && (!suite[n] || suite[n] == '-'))
			return names[i][1];
	}
	return BASE_DISTRO;
}

static void encode(struct buf *b, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_~:";

	for (; *s; s++)
		if (strchr(plain, *s))
			buf_u8(b, (uint8_t)*s);
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
}

static char *finish(struct buf *b)
{
	buf_u8(b, 0);
	return b->bad ? NULL : (char *)STEAL(b->p);
}

char *purl_deb(const struct purl_deb *p)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_PURL);
	buf_printf(&b, "pkg:deb/debian/");
	encode(&b, p->name);
	buf_u8(&b, '@');
	encode(&b, p->version);
	buf_printf(&b, "?arch=%s&distro=%s", p->arch, purl_distro(p->suite));
	if (p->source) {
		buf_printf(&b, "&upstream=");
		encode(&b, p->source);
		if (p->source_version && strcmp(p->source_version, p->version) != 0) {
			buf_printf(&b, "%%40");
			encode(&b, p->source_version);
		}
	}
	return finish(&b);
}

char *purl_oci(const char *name, const char *digest, const char *tag)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_PURL);
	buf_printf(&b, "pkg:oci/");
	encode(&b, name);
	buf_u8(&b, '@');
	encode(&b, digest);
	buf_printf(&b, "?arch=amd64");
	if (tag) {
		buf_printf(&b, "&tag=");
		encode(&b, tag);
	}
	return finish(&b);
}

char *purl_generic(const char *name, const char *version)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_PURL);
	buf_printf(&b, "pkg:generic/");
	encode(&b, name);
	buf_u8(&b, '@');
	encode(&b, version);
	return finish(&b);
}
