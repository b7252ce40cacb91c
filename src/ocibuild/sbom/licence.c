#include "ocibuild/sbom/licence.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/sha256.h"
#include "ocibuild/sbom/control.h"

#define MAX_EXPRESSION (64u << 10)
#define MAX_TEXT (256u << 10)
#define MAX_PARTS 256

/* Names of DEP-5 and those that maintainers use, where they mean what SPDX means. Names
 * that SPDX has itself are here too: only what is in this table is taken as known. */
static const char *const names[][2] = {
	{"0BSD", "0BSD"},
	{"Apache-2", "Apache-2.0"},
	{"Apache-2.0", "Apache-2.0"},
	{"Artistic", "Artistic-1.0-Perl"},
	{"Artistic-2", "Artistic-2.0"},
	{"Artistic-2.0", "Artistic-2.0"},
	{"Beerware", "Beerware"},
	{"BSD-2-clause", "BSD-2-Clause"},
	{"BSD-3-clause", "BSD-3-Clause"},
	{"BSD-4-clause", "BSD-4-Clause"},
	{"BSD-4-clause-UC", "BSD-4-Clause-UC"},
	{"BSL-1.0", "BSL-1.0"},
	{"bzip2-1.0.6", "bzip2-1.0.6"},
	{"CC-BY-3.0", "CC-BY-3.0"},
	{"CC-BY-4.0", "CC-BY-4.0"},
	{"CC-BY-SA-3.0", "CC-BY-SA-3.0"},
	{"CC-BY-SA-4.0", "CC-BY-SA-4.0"},
	{"CC0", "CC0-1.0"},
	{"CC0-1.0", "CC0-1.0"},
	{"curl", "curl"},
	{"Expat", "MIT"},
	{"FSFAP", "FSFAP"},
	{"FSFUL", "FSFUL"},
	{"FSFULLR", "FSFULLR"},
	{"GFDL-1.3", "GFDL-1.3-only"},
	{"GFDL-1.3+", "GFDL-1.3-or-later"},
	{"GFDL-1.3+-no-invariant", "GFDL-1.3-no-invariants-or-later"},
	{"GFDL-NIV-1.3", "GFDL-1.3-no-invariants-only"},
	{"GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"},
	{"GPL-1", "GPL-1.0-only"},
	{"GPL-1+", "GPL-1.0-or-later"},
	{"GPL-2", "GPL-2.0-only"},
	{"GPL-2.0", "GPL-2.0-only"},
	{"GPL-2.0-only", "GPL-2.0-only"},
	{"GPL-2+", "GPL-2.0-or-later"},
	{"GPL-2.0+", "GPL-2.0-or-later"},
	{"GPL-2.0-or-later", "GPL-2.0-or-later"},
	{"GPL-3", "GPL-3.0-only"},
	{"GPL-3.0", "GPL-3.0-only"},
	{"GPL-3.0-only", "GPL-3.0-only"},
	{"GPL-3+", "GPL-3.0-or-later"},
	{"GPL-3.0+", "GPL-3.0-or-later"},
	{"GPL-3.0-or-later", "GPL-3.0-or-later"},
	{"Inner-Net", "Inner-Net-2.0"},
	{"ISC", "ISC"},
	{"LGPL-2", "LGPL-2.0-only"},
	{"LGPL-2+", "LGPL-2.0-or-later"},
	{"LGPL-2.0+", "LGPL-2.0-or-later"},
	{"LGPL-2.0-or-later", "LGPL-2.0-or-later"},
	{"LGPL-2.1", "LGPL-2.1-only"},
	{"LGPL-2.1-only", "LGPL-2.1-only"},
	{"LGPL-2.1+", "LGPL-2.1-or-later"},
	{"LGPL-2.1-or-later", "LGPL-2.1-or-later"},
	{"LGPL-3", "LGPL-3.0-only"},
	{"LGPL-3+", "LGPL-3.0-or-later"},
	{"LGPL-3.0+", "LGPL-3.0-or-later"},
	{"MIT", "MIT"},
	{"MIT-0", "MIT-0"},
	{"MPL-1.1", "MPL-1.1"},
	{"MPL-2.0", "MPL-2.0"},
	{"Ms-PL", "MS-PL"},
	{"OpenLDAP-2.8", "OLDAP-2.8"},
	{"OpenSSL", "OpenSSL"},
	{"PSF-2", "PSF-2.0"},
	{"Sleepycat", "Sleepycat"},
	{"SunPro", "SunPro"},
	{"Unicode-DFS-2016", "Unicode-DFS-2016"},
	{"Unlicense", "Unlicense"},
	{"WTFPL", "WTFPL"},
	{"X11", "X11"},
	{"Zlib", "Zlib"},
	{"GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"},
	{"GPL-2+ with Bison exception", "GPL-2.0-or-later WITH Bison-exception-2.2"},
	{"GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2"},
	{"GPL-3+ with Bison-2.2 exception", "GPL-3.0-or-later WITH Bison-exception-2.2"},
	{"GPL-3+-WITH-BISON-EXCEPTION", "GPL-3.0-or-later WITH Bison-exception-2.2"},
	{"GPL-2+ with Autoconf exception", "GPL-2.0-or-later WITH Autoconf-exception-2.0"},
	{"GPL-3+ with Autoconf exception", "GPL-3.0-or-later WITH Autoconf-exception-3.0"},
	{"GPL-3+ with GCC exception", "GPL-3.0-or-later WITH GCC-exception-3.1"},
};

static const char *find_name(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i][0]) == n && strncasecmp(names[i][0], s, n) == 0)
			return names[i][1];
	return NULL;
}

const char *licence_spdx(const char *debian)
{
	return find_name(debian, strlen(debian));
}

/* One copyright file while it is read. */
struct reading {
	struct licence_refs *refs;
	const char *path;
	struct bytes text;
	/* Conjuncts of the whole: each once. */
	char *part[MAX_PARTS];
	size_t n;
	bool full;
};

static bool is_id(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-';
}

/* A reference for this text; its id goes into out. */
static int put_ref(struct reading *r, const char *name, size_t name_len, struct bytes text,
		   struct buf *out)
{
	CLEAN(buf) struct buf id = {0};
	char hex[65];
	uint8_t md[32];

	sha256(md, text.p, text.len);
	enc_hex(hex, md, sizeof(md));
	buf_init(&id, 512);
	buf_printf(&id, "LicenseRef-Debian-");
	for (size_t i = 0; i < name_len && i < 64; i++) {
		if (name[i] == '+')
			buf_printf(&id, "-plus");
		else
			buf_u8(&id, is_id(name[i]) ? (uint8_t)name[i] : '-');
	}
	buf_printf(&id, "-%.8s", hex);
	buf_put(out, id.p, id.len);
	buf_u8(&id, 0);
	if (id.bad || out->bad)
		return -1;
	if (json_object_get(r->refs->by_id, (char *)id.p))
		return 0;
	/* old files are not always UTF-8, which JSON is */
	json_t *words = json_stringn((const char *)text.p, text.len);
	json_t *title = json_stringn(name, name_len);

	if (!words)
		words = json_sprintf("The text is in the file /%s of the image.", r->path);
	if (!title)
		title = json_string((char *)id.p);
	return json_object_set_new(r->refs->by_id, (char *)id.p,
				   json_pack("{s:o, s:o}", "name", title, "text", words));
}

/* Whether the first line of a License field is this name. */
static bool is_of(struct bytes value, const char *name, size_t n, struct bytes *body)
{
	struct bytes line;

	if (!control_line(&value, &line) || line.len < n ||
	    strncasecmp((const char *)line.p, name, n) != 0)
		return false;
	for (size_t i = n; i < line.len; i++)
		if (line.p[i] != ' ' && line.p[i] != '\t')
			return false;
	*body = value;
	return value.len > 0;
}

/* Continuation lines without the space in front; " ." is an empty line. */
static void unfold(struct buf *out, struct bytes body)
{
	struct bytes line;

	while (control_line(&body, &line)) {
		size_t skip = line.len && (line.p[0] == ' ' || line.p[0] == '\t');

		if (out->len)
			buf_u8(out, '\n');
		if (!(line.len == skip + 1 && line.p[skip] == '.'))
			buf_put(out, line.p + skip, line.len - skip);
	}
}

/* The text that the file has for a name, else where to look. */
static int unknown_name(struct reading *r, const char *name, size_t n, struct buf *out)
{
	struct bytes rest = r->text, para, value, body;
	CLEAN(buf) struct buf where = {0}, text = {0};
	char hex[65];
	uint8_t md[32];

	while (control_next(&rest, &para)) {
		if (!control_field(para, "License", &value) || !is_of(value, name, n, &body) ||
		    body.len > MAX_TEXT || memchr(body.p, 0, body.len))
			continue;
		buf_init(&text, MAX_TEXT);
		unfold(&text, body);
		return text.bad ? -1 : put_ref(r, name, n, (struct bytes){text.p, text.len}, out);
	}
	sha256(md, r->text.p, r->text.len);
	enc_hex(hex, md, sizeof(md));
	buf_init(&where, 4096);
	buf_printf(&where, "The text is in the file /%s of the image, whose SHA-256 is %s.",
		   r->path, hex);
	return where.bad ? -1 : put_ref(r, name, n, (struct bytes){where.p, where.len}, out);
}

enum token { NAME, AND, OR, END };

/* Next name or operator; a name may be of several words ("GPL-2 with X exception"). */
static enum token next(const char **s, const char *end, const char **name, size_t *n, bool *comma)
{
	const char *start = NULL, *last = NULL;

	*comma = false;
	while (*s < end) {
		const char *w = *s;

		while (w < end && (*w == ' ' || *w == '\t' || *w == ','))
			w++;
		if (w > *s && memchr(*s, ',', (size_t)(w - *s))) {
			if (start)
				break;
			*comma = true;
		}
		*s = w;
		while (w < end && *w != ' ' && *w != '\t' && *w != ',')
			w++;
		if (w == *s)
			break;
		bool and = w - *s == 3 && strncasecmp(*s, "and", 3) == 0;
		bool or = w - *s == 2 && strncasecmp(*s, "or", 2) == 0;

		if ((and|| or) && start)
			break;
		if (and|| or) {
			*s = w;
			return and ? AND : OR;
		}
		if (!start)
			start = *s;
		last = w;
		*s = w;
	}
	*name = start;
	*n = start ? (size_t)(last - start) : 0;
	return start ? NAME : END;
}

static void add_part(struct reading *r, const char *p, size_t n, bool wrap)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_EXPRESSION);
	buf_printf(&b, "%s%.*s%s", wrap ? "(" : "", (int)n, p, wrap ? ")" : "");
	buf_u8(&b, 0);
	for (size_t i = 0; i < r->n && !b.bad; i++)
		if (strcmp(r->part[i], (char *)b.p) == 0)
			return;
	if (b.bad || r->n == MAX_PARTS)
		r->full = true;
	else
		r->part[r->n++] = (char *)STEAL(b.p);
}

/* "A and B" is two parts, "A or B" is one; "A or B, and C" is "(A or B)" and C. What is
 * no such expression is one unknown name. */
static int add_expression(struct reading *r, const char *s, const char *end)
{
	CLEAN(buf) struct buf b = {0};
	bool has_or = false, need = true, good = true, comma;
	const char *line = s, *name;
	enum token t;
	size_t n;

	buf_init(&b, MAX_EXPRESSION);
	while (good && (t = next(&s, end, &name, &n, &comma)) != END) {
		bool split = t == AND ? !has_or || comma : t == NAME && !need;

		good = t == NAME || !need;
		if (good && split) {
			add_part(r, (char *)b.p, b.len, has_or);
			buf_reset(&b);
			has_or = false;
		} else if (t != NAME) {
			buf_printf(&b, t == AND ? " AND " : " OR ");
			has_or = has_or || t == OR;
		}
		need = t != NAME;
		if (t != NAME)
			continue;
		const char *known = find_name(name, n);

		if (known)
			buf_printf(&b, "%s", known);
		else if (unknown_name(r, name, n, &b))
			return -1;
	}
	if (need || !good) {
		buf_reset(&b);
		has_or = false;
		if (unknown_name(r, line, (size_t)(end - line), &b))
			return -1;
	}
	if (b.bad)
		return -1;
	add_part(r, (char *)b.p, b.len, has_or);
	return 0;
}

static bool is_dep5(struct bytes para)
{
	char format[160];

	control_text(para, "Format", format, sizeof(format));
	return strstr(format, "copyright-format/1.0") != NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(struct reading *r)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_EXPRESSION);
	qsort(r->part, r->n, sizeof(r->part[0]), by_text);
	for (size_t i = 0; i < r->n; i++) {
		/* alone, it needs no parentheses */
		size_t len = strlen(r->part[i]), cut = r->n == 1 && r->part[i][0] == '(';

		buf_printf(&b, "%s%.*s", i ? " AND " : "", (int)(len - 2 * cut), r->part[i] + cut);
	}
	buf_u8(&b, 0);
	return b.bad || r->full ? NULL : (char *)STEAL(b.p);
}

char *licence_read(struct licence_refs *refs, const char *path, struct bytes text, struct err *e)
{
	struct reading r = {.refs = refs, .path = path, .text = text};
	struct bytes rest = text, para, value, line;
	char *out = NULL;
	int rc = 0;

	if (control_next(&rest, &para) && is_dep5(para)) {
		while (rc == 0 && control_next(&rest, &para))
			if (control_field(para, "Files", &value) &&
			    control_field(para, "License", &value) && control_line(&value, &line))
				rc = add_expression(&r, (const char *)line.p,
						    (const char *)line.p + line.len);
		if (rc == 0 && !r.full && r.n)
			out = join(&r);
	}
	for (size_t i = 0; i < r.n; i++)
		free(r.part[i]);
	if (!out && rc == 0) {
		CLEAN(buf) struct buf b = {0};

		/* free text, or too much of it: one licence, which is the file */
		buf_init(&b, 512);
		rc = unknown_name(&r, "copyright", 9, &b);
		buf_u8(&b, 0);
		out = b.bad ? NULL : (char *)STEAL(b.p);
	}
	if (!out)
		err_set(e, ERR_NOMEM, NULL);
	return out;
}
