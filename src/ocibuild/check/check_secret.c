#include "ocibuild/check/check_secret.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/enc.h"

#define SEED_LEN 58 /* of an NKey's seed: 2 bytes of prefix, 32, 2 of checksum */

/* A pattern with a slash is of the end of a path, one without of the last name. */
static const struct {
	const char *pattern, *what;
} names[] = {
	{"id_rsa", "a private key of SSH"},
	{"id_dsa", "a private key of SSH"},
	{"id_ecdsa", "a private key of SSH"},
	{"id_ed25519", "a private key of SSH"},
	{"ssh_host_*_key", "a host key of SSH"},
	{"*.ppk", "a private key of PuTTY"},
	{".git-credentials", "credentials of git"},
	{".netrc", "credentials"},
	{".pgpass", "passwords of PostgreSQL"},
	{".my.cnf", "a password of MySQL"},
	{".pypirc", "credentials of PyPI"},
	{".npmrc", "credentials of npm"},
	{".htpasswd", "password hashes"},
	{".vault-token", "a token of Vault"},
	{"*/.docker/config.json", "credentials of a registry"},
	{"*/.aws/credentials", "credentials of AWS"},
	{"*/.config/gh/hosts.yml", "a token of GitHub"},
	{"*/.kube/config", "credentials of Kubernetes"},
	{"*/.gnupg/private-keys-v1.d/*", "a private key of GnuPG"},
	{"secring.gpg", "private keys of GnuPG"},
	{"*.creds", "NATS credentials"},
	{"*.nk", "a seed of an NKey"},
	{"*.keytab", "keys of Kerberos"},
	{"*.p12", "a key store (PKCS#12)"},
	{"*.pfx", "a key store (PKCS#12)"},
	{"*.jks", "a key store of Java"},
	{"*.kdbx", "a password store"},
	{".bash_history", "a history of commands"},
	{".python_history", "a history of commands"},
	{"gshadow-", "group passwords"},
	{"shadow-", "password hashes"},
};

const char *check_secret_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char rooted[4100];

	snprintf(rooted, sizeof(rooted), "/%s", path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fnmatch(names[i].pattern, strchr(names[i].pattern, '/') ? rooted : base, 0) ==
		    0)
			return names[i].what;
	return NULL;
}

/* ---- content ---- */

static size_t span(const uint8_t *p, size_t n, const char *set)
{
	size_t i = 0;

	while (i < n && p[i] && strchr(set, p[i]))
		i++;
	return i;
}

static bool is_base64(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/' || c == '=';
}

/* Text after "PRIVATE KEY-----": a key only when lines of base64 follow, perhaps after
 * headers (RFC 1421); programs have the marks alone. */
static bool has_body(const uint8_t *p, size_t n)
{
	for (unsigned line = 0; line < 8 && n; line++) {
		size_t skip = span(p, n, " \t\r\n\\"), len = 0;

		p += skip;
		n -= skip;
		/* "\n" in one line, as JSON has it */
		if (n && skip && *p == 'n' && p[-1] == '\\') {
			p++;
			n--;
		}
		while (len < n && is_base64(p[len]))
			len++;
		if (len >= 24)
			return true;
		while (n && *p != '\n') {
			p++;
			n--;
		}
	}
	return false;
}

static bool has_private_key(const uint8_t *p, size_t n)
{
	static const char mark[] = "PRIVATE KEY-----";
	const uint8_t *end = p + n;

	while ((p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1)) != NULL) {
		p += sizeof(mark) - 1;
		if (has_body(p, (size_t)(end - p)))
			return true;
	}
	return false;
}

static bool in_base32(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
}

/* Header of a DER element: its tag, and *at moved to its content; false: it does not end
 * within n. */
static bool der(const uint8_t *p, size_t n, size_t *at, uint8_t tag, size_t *len)
{
	size_t i = *at;

	if (n - i < 2 || p[i] != tag)
		return false;
	*len = p[++i];
	if (*len > 0x80) {
		size_t more = *len & 0x7f;

		if (more > 3 || n - i <= more)
			return false;
		for (*len = 0; more; more--)
			*len = *len << 8 | p[++i];
	}
	*at = ++i;
	return *len <= n - i;
}

/* A whole file in DER: PKCS#8, RSA (RFC 8017) or EC (RFC 5915). */
static bool is_der_key(const uint8_t *p, size_t n)
{
	size_t at = 0, len;
	uint8_t version;

	if (n < 16 || !der(p, n, &at, 0x30, &len) || at + len != n || !der(p, n, &at, 0x02, &len) ||
	    len != 1)
		return false;
	version = p[at++];
	if (at >= n)
		return false;
	if (version == 1 && p[at] == 0x04)
		return der(p, n, &at, 0x04, &len) && len >= 16;
	if (version > 1)
		return false;
	/* the modulus, or the algorithm and after it the key */
	if (p[at] == 0x02)
		return der(p, n, &at, 0x02, &len) && len >= 64;
	if (!der(p, n, &at, 0x30, &len) || len < 5 || p[at] != 0x06)
		return false;
	at += len;
	return at < n && der(p, n, &at, 0x04, &len) && len >= 16;
}

/* RFC 7517: "d" is the private part of every type. */
static bool is_jwk(const uint8_t *p, size_t n)
{
	return n < (1u << 20) && !memchr(p, '\0', n) && memmem(p, n, "\"kty\"", 5) &&
	       memmem(p, n, "\"d\"", 3);
}

/* 58 characters of base32 whose checksum fits: no accident. */
static bool is_seed(const uint8_t *p)
{
	uint8_t raw[40];
	size_t n = 0;
	bool good;

	if (p[0] != 'S' || !strchr("ACNOUXPM", p[1]))
		return false;
	good = enc_unbase32(raw, sizeof(raw), &n, (const char *)p, SEED_LEN) == 0 && n == 36 &&
	       enc_crc16(raw, 34) == (raw[34] | raw[35] << 8);
	explicit_bzero(raw, sizeof(raw));
	return good;
}

/* Runs of base32 of that length are rare: looking at every 58th byte finds them all. */
static bool has_seed(const uint8_t *p, size_t n)
{
	for (size_t at = SEED_LEN - 1; at < n; at += SEED_LEN) {
		size_t lo = at, hi = at;

		if (!in_base32(p[at]))
			continue;
		while (lo && in_base32(p[lo - 1]) && at - lo < SEED_LEN)
			lo--;
		while (hi < n && in_base32(p[hi]) && hi - at < SEED_LEN)
			hi++;
		for (; lo + SEED_LEN <= hi; lo++)
			if (is_seed(p + lo))
				return true;
	}
	return false;
}

static bool is_word(uint8_t c)
{
	return is_base64(c) || c == '_' || c == '-';
}

/* A fixed start, then a number of letters and digits, and no more of them. */
static const struct {
	const char *start, *what;
	size_t more;
} tokens[] = {
	{"AKIA", "an access key of AWS", 16},
	{"ghp_", "a token of GitHub", 36},
	{"gho_", "a token of GitHub", 36},
	{"ghs_", "a token of GitHub", 36},
	{"github_pat_", "a token of GitHub", 82},
	{"glpat-", "a token of GitLab", 20},
	{"hvs.", "a token of Vault", 90},
	{"AGE-SECRET-KEY-1", "a private key of age", 58},
	{"PuTTY-User-Key-File-", "a private key of PuTTY", 1},
};

static const char *find_token(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		const uint8_t *at = p, *end = p + n;
		size_t k = strlen(tokens[i].start);

		while ((at = memmem(at, (size_t)(end - at), tokens[i].start, k)) != NULL) {
			size_t len = 0;
			bool first = at == p || !is_word(at[-1]);

			at += k;
			while (at + len < end && is_word(at[len]) && len <= 200)
				len++;
			if (first && (len == tokens[i].more || (tokens[i].more == 1 && len)))
				return tokens[i].what;
		}
	}
	return NULL;
}

/* Fields of passwd, shadow and group: the second is a hash unless it locks. */
static bool has_hash(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	while (p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *stop = nl ? nl : end;
		const uint8_t *a = memchr(p, ':', (size_t)(stop - p));
		const uint8_t *b = a ? memchr(a + 1, ':', (size_t)(stop - a - 1)) : NULL;
		size_t len = b ? (size_t)(b - a - 1) : 0;

		/* "!hash" is locked, and still tells it */
		for (; len && (a[1] == '!' || a[1] == '*'); a++)
			len--;
		if (len > 1)
			return true;
		p = stop + 1;
	}
	return false;
}

static bool is_secret_word(const char *key)
{
	static const char *const words[] = {"password", "passwd", "passphrase", "secret",
					    "token",	"apikey", "api_key",	"unlockpw"};
	size_t n = strlen(key);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t k = strlen(words[i]);

		if (n >= k && strcasecmp(key + n - k, words[i]) == 0)
			return true;
	}
	return strcasecmp(key, "pass") == 0;
}

/* A value that stands for itself: no variable, no path, no mark for what is to come. */
static bool is_literal(const char *v)
{
	return strlen(v) >= 4 && !strpbrk(v, "$/<>{}[]() \t") && strcasecmp(v, "none") != 0 &&
	       strcasecmp(v, "null") != 0 && strcasecmp(v, "true") != 0 &&
	       strcasecmp(v, "false") != 0 && strcasecmp(v, "files") != 0;
}

/* "password: value" or "password = value" in one line. */
static bool is_password_line(const uint8_t *p, size_t n)
{
	char key[64] = "", value[128] = "";
	size_t k = span(p, n, " \t\"'{"), len = 0;

	p += k;
	n -= k;
	while (len < n && is_word(p[len]) && p[len] != '=')
		len++;
	if (!len || len >= sizeof(key))
		return false;
	memcpy(key, p, len);
	p += len;
	n -= len;
	k = span(p, n, " \t\"'");
	if (!is_secret_word(key) || k >= n || (p[k] != ':' && p[k] != '='))
		return false;
	p += k + 1;
	n -= k + 1;
	k = span(p, n, " \t\"'");
	for (len = 0; k + len < n && p[k + len] != '"' && p[k + len] != '\'' && p[k + len] != ',';)
		len++;
	while (len && (p[k + len - 1] == ' ' || p[k + len - 1] == '\r'))
		len--;
	if (len >= sizeof(value))
		len = sizeof(value) - 1;
	memcpy(value, p + k, len);
	return is_literal(value);
}

static bool has_password(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	while (p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p);

		if (len && *p != '#' && is_password_line(p, len))
			return true;
		p += len + 1;
	}
	return false;
}

const char *check_secret_content(const char *path, const uint8_t *p, size_t n)
{
	const char *token;

	if (has_private_key(p, n))
		return "a private key (PEM)";
	if (is_der_key(p, n))
		return "a private key (DER)";
	if (is_jwk(p, n))
		return "a private key (JWK)";
	if (has_seed(p, n))
		return "a seed of an NKey";
	token = find_token(p, n);
	if (token)
		return token;
	if ((strcmp(path, "etc/shadow") == 0 || strcmp(path, "etc/passwd") == 0 ||
	     strcmp(path, "etc/gshadow") == 0) &&
	    has_hash(p, n))
		return "a password hash";
	if (strncmp(path, "etc/", 4) == 0 && n < (1u << 20) && !memchr(p, '\0', n) &&
	    has_password(p, n))
		return "a password in a configuration";
	return NULL;
}

const char *check_secret_variable(const char *name, const char *value)
{
	const char *in = check_secret_content("", (const uint8_t *)value, strlen(value));

	if (in)
		return in;
	return is_secret_word(name) && is_literal(value) ? "a password" : NULL;
}
