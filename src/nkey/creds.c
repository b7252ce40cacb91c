#include "nkey/creds.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "nkey/jwt.h"

/* One line without its end; p moves past it. */
static struct bytes next_line(const char **p, const char *end)
{
	const char *s = *p, *nl = memchr(s, '\n', (size_t)(end - s));
	size_t n = (size_t)((nl ? nl : end) - s);

	*p = nl ? nl + 1 : end;
	while (n && (s[n - 1] == '\r' || s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return (struct bytes){(const uint8_t *)s, n};
}

static bool dashes(struct bytes l)
{
	return l.len >= 3 && memcmp(l.p, "---", 3) == 0;
}

int creds_parse(struct bytes *jwt, struct nkey *k, const char *name, const char *text, size_t len,
		struct err *e)
{
	const char *p = text, *end = text + len;
	struct bytes found = {0};
	bool inside = false;

	/* The first block of dashed lines holds the JWT, whatever its title says. */
	while (p < end) {
		struct bytes l = next_line(&p, end);

		if (dashes(l)) {
			if (found.len)
				break;
			inside = true;
		} else if (inside && l.len && !found.len) {
			found = l;
		}
	}
	/* header.payload.signature, each base64url; the server judges the rest. */
	if (found.len < 3 || memcmp(found.p, "eyJ", 3) != 0)
		return err_set(e, ERR_BAD_INPUT, "%s is not a creds file: no user JWT in it", name);
	for (size_t i = 0; i < found.len; i++)
		if (found.p[i] <= ' ' || found.p[i] > '~' || found.p[i] == '"' ||
		    found.p[i] == '\\')
			return err_set(e, ERR_BAD_INPUT, "%s: bad character in the user JWT", name);
	if (nkey_from_text(k, name, p, (size_t)(end - p), e))
		return -1;
	*jwt = found;
	return 0;
}

void creds_decorate(struct buf *out, const char *kind, const char *token, size_t len)
{
	buf_printf(out, "-----BEGIN NATS %s JWT-----\n", kind);
	buf_put(out, token, len);
	buf_printf(out, "\n------END NATS %s JWT------\n\n", kind);
}

int creds_format(struct buf *out, const char *token, size_t len, const struct nkey *k,
		 struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};
	char pub[NKEY_PUB_LEN];

	if (jwt_decode_kind(&j, JWT_USER, "the user JWT", token, len, e))
		return -1;
	nkey_pub_text(k, pub);
	if (strcmp(pub, jwt_str(&j, "sub")) != 0)
		return err_set(e, ERR_WRONG_NKEY, "the seed does not belong to the user JWT");
	creds_decorate(out, "USER", token, len);
	buf_printf(out, "************************* IMPORTANT *************************\n"
			"NKEY Seed printed below can be used to sign and prove identity.\n"
			"NKEYs are sensitive and should be treated as secrets.\n\n"
			"-----BEGIN USER NKEY SEED-----\n");
	/* buf_printf and stdio stay out of the seed's way: only this memory has it. */
	char *seed = (char *)buf_space(out, NKEY_SEED_LEN);

	if (seed) {
		nkey_seed_text(k, seed);
		seed[NKEY_SEED_LEN - 1] = '\n';
	}
	buf_printf(out, "------END USER NKEY SEED------\n\n"
			"*************************************************************\n");
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}
