#include "box/mesh/mesh_x509.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

#define DAY 86400
#define EARLIER 3600 /* a clock may be off by so much */

static inline void cleanup_bio(BIO **b)
{
	BIO_free_all(*b);
}

static inline void cleanup_names(GENERAL_NAMES **n)
{
	GENERAL_NAMES_free(*n);
}

static int failed(struct err *e, const char *what)
{
	ERR_clear_error();
	return err_set(e, ERR_INTERNAL, "OpenSSL cannot make %s", what);
}

/* Through memory that the caller's buffer wipes. */
static int take(struct buf *out, BIO *b, struct err *e)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);

	if (n <= 0)
		return failed(e, "PEM");
	buf_put(out, p, (size_t)n);
	if (out->secret)
		OPENSSL_cleanse(p, (size_t)n);
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

int x509_key_make(struct buf *out, struct err *e)
{
	CLEAN(pkey) EVP_PKEY *k = EVP_EC_gen("P-256");
	CLEAN(bio) BIO *b = BIO_new(BIO_s_secmem());

	out->secret = true;
	if (!k || !b || PEM_write_bio_PKCS8PrivateKey(b, k, NULL, NULL, 0, NULL, NULL) != 1)
		return failed(e, "a key");
	return take(out, b, e);
}

/* No passphrase is ever asked for. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

EVP_PKEY *x509_key_read(const char *name, const struct buf *pem, struct err *e)
{
	CLEAN(bio) BIO *b = BIO_new_mem_buf(pem->len ? pem->p : (const void *)"", (int)pem->len);
	EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	if (!k)
		err_set(e, ERR_BAD_KEY, "%s is not a private key in PEM", name);
	return k;
}

X509 *x509_read(const char *name, const struct buf *pem, struct err *e)
{
	CLEAN(bio) BIO *b = BIO_new_mem_buf(pem->len ? pem->p : (const void *)"", (int)pem->len);
	X509 *c = b ? PEM_read_bio_X509(b, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	if (!c)
		err_set(e, ERR_BAD_KEY, "%s is not a certificate in PEM", name);
	return c;
}

static bool put_ext(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool good = x && X509_add_ext(c, x, -1) == 1;

	X509_EXTENSION_free(x);
	return good;
}

/* Serial number, times, name and key; the rest is the caller's. */
static X509 *begin(const char *name, EVP_PKEY *key, int64_t from, int64_t until)
{
	uint8_t raw[16];
	X509 *c = X509_new();
	X509_NAME *subject = X509_NAME_new();
	BIGNUM *serial = RAND_bytes(raw, sizeof(raw)) == 1 ? BN_new() : NULL;

	/* positive, and never shorter */
	raw[0] = (uint8_t)((raw[0] & 0x7f) | 0x40);
	bool good =
		c && subject && serial && BN_bin2bn(raw, sizeof(raw), serial) &&
		BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(c)) &&
		X509_set_version(c, X509_VERSION_3) == 1 &&
		X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
					   (const unsigned char *)"signbox mesh", -1, -1, 0) == 1 &&
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
					   (const unsigned char *)name, -1, -1, 0) == 1 &&
		X509_set_subject_name(c, subject) == 1 && X509_set_pubkey(c, key) == 1 &&
		ASN1_TIME_set(X509_getm_notBefore(c), (time_t)from) &&
		ASN1_TIME_set(X509_getm_notAfter(c), (time_t)until);

	BN_free(serial);
	X509_NAME_free(subject);
	if (good)
		return c;
	X509_free(c);
	return NULL;
}

static int finish(struct buf *out, X509 *c, EVP_PKEY *ca_key, struct err *e)
{
	CLEAN(bio) BIO *b = BIO_new(BIO_s_mem());

	if (!b || X509_sign(c, ca_key, EVP_sha256()) <= 0 || PEM_write_bio_X509(b, c) != 1)
		return failed(e, "a certificate");
	return take(out, b, e);
}

int x509_ca_make(struct buf *out, EVP_PKEY *key, const char *name, int64_t now, int64_t days,
		 struct err *e)
{
	CLEAN(x509) X509 *c = begin(name, key, now - EARLIER, now + days * DAY);

	if (!c || X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 ||
	    !put_ext(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !put_ext(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    !put_ext(c, c, NID_subject_key_identifier, "hash"))
		return failed(e, "the CA's certificate");
	return finish(out, c, key, e);
}

/* DNS names and addresses as the extension has them. */
static GENERAL_NAMES *alt_names(const struct x509_node *n)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();

	for (const char *const *s = n->sans; all && *s; s++) {
		uint8_t raw[16];
		int len = inet_pton(AF_INET, *s, raw) == 1    ? 4
			  : inet_pton(AF_INET6, *s, raw) == 1 ? 16
							      : 0;
		GENERAL_NAME *one = GENERAL_NAME_new();
		ASN1_STRING *text = len ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
		const void *from = len ? (const void *)raw : *s;

		if (!one || !text ||
		    ASN1_STRING_set(text, from, len ? len : (int)strlen(*s)) != 1 ||
		    sk_GENERAL_NAME_push(all, one) <= 0) {
			GENERAL_NAME_free(one);
			ASN1_STRING_free(text);
			GENERAL_NAMES_free(all);
			return NULL;
		}
		GENERAL_NAME_set0_value(one, len ? GEN_IPADD : GEN_DNS, text);
	}
	return all;
}

int x509_issue(struct buf *out, const struct x509_node *n, EVP_PKEY *key, X509 *ca,
	       EVP_PKEY *ca_key, int64_t now, int64_t days, struct err *e)
{
	int64_t from, until, ca_from, ca_until;
	CLEAN(names) GENERAL_NAMES *names = alt_names(n);

	x509_times(ca, &ca_from, &ca_until);
	from = now - EARLIER > ca_from ? now - EARLIER : ca_from;
	until = now + days * DAY < ca_until ? now + days * DAY : ca_until;
	CLEAN(x509) X509 *c = begin(n->name, key, from, until);

	if (!c || !names || X509_set_issuer_name(c, X509_get_subject_name(ca)) != 1 ||
	    !put_ext(c, ca, NID_basic_constraints, "critical,CA:FALSE") ||
	    !put_ext(c, ca, NID_key_usage, "critical,digitalSignature") ||
	    !put_ext(c, ca, NID_ext_key_usage, "serverAuth,clientAuth") ||
	    !put_ext(c, ca, NID_subject_key_identifier, "hash") ||
	    !put_ext(c, ca, NID_authority_key_identifier, "keyid:always") ||
	    X509_add1_ext_i2d(c, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
		return failed(e, "a node's certificate");
	return finish(out, c, ca_key, e);
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void x509_times(const X509 *c, int64_t *from, int64_t *until)
{
	*from = seconds(X509_get0_notBefore(c));
	*until = seconds(X509_get0_notAfter(c));
}

/* Whether the names are these and no others, in this order. */
static bool same_names(const X509 *c, const struct x509_node *n)
{
	CLEAN(names) GENERAL_NAMES *want = alt_names(n);
	CLEAN(names) GENERAL_NAMES *have = X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL);
	int count = want ? sk_GENERAL_NAME_num(want) : -1;

	if (!have || sk_GENERAL_NAME_num(have) != count)
		return false;
	for (int i = 0; i < count; i++)
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(have, i),
				     sk_GENERAL_NAME_value(want, i)) != 0)
			return false;
	return true;
}

static const char *time_fault(const X509 *c, int64_t now, bool *due)
{
	int64_t from, until;

	x509_times(c, &from, &until);
	*due = until - now < (until - from) / 3;
	if (now > until)
		return "expired";
	return now < from ? "not valid yet: check the clock" : "";
}

const char *x509_fault(X509 *c, const struct x509_node *n, EVP_PKEY *key, X509 *ca, int64_t now,
		       bool *due)
{
	const char *fault = time_fault(c, now, due);

	if (X509_verify(c, X509_get0_pubkey(ca)) != 1)
		fault = "not of this CA";
	else if (key && X509_check_private_key(c, key) != 1)
		fault = "does not fit its key";
	else if (!(X509_get_extended_key_usage(c) & XKU_SSL_SERVER) ||
		 !(X509_get_extended_key_usage(c) & XKU_SSL_CLIENT))
		fault = "not for servers and clients";
	else if (!same_names(c, n))
		fault = "for other names";
	ERR_clear_error();
	return fault;
}

const char *x509_ca_fault(X509 *ca, EVP_PKEY *key, int64_t now, bool *due)
{
	const char *fault = time_fault(ca, now, due);

	if (key && X509_check_private_key(ca, key) != 1)
		fault = "does not fit its key";
	else if (X509_verify(ca, X509_get0_pubkey(ca)) != 1 || X509_check_ca(ca) != 1)
		fault = "not a CA of its own";
	ERR_clear_error();
	return fault;
}
