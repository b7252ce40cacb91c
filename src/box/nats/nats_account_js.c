/* nats account backup, restore: all streams of the account, each in a folder of its own;
 * account tls: the certificates of the server. */
#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "box/nats/stream.h"

/* ---- backup ---- */

static int backup_all(struct cli *c, const json_t *all, const char *dir, size_t *failed,
		      size_t *warned)
{
	CLEAN(json) json_t *told = json_array();
	const json_t *s;
	struct err e;
	size_t i;

	json_array_foreach(all, i, s)
	{
		const char *name = jstr(s, "config.name");
		bool memory = strcmp(jstr(s, "config.storage"), "memory") == 0;
		CLEAN(free) char *path = NULL;
		char text[700];

		if (nats_stopped())
			return -1;
		/* A hostile server's names are no paths. */
		if (js_name("stream", name, &e) || asprintf(&path, "%s/%s", dir, name) < 0 ||
		    stream_backup_to(c, name, path, &e)) {
			(void)snprintf(text, sizeof(text), "%s: %s", SHOWN(name), e.text);
			printf("Backup of %s failed: %s\n", SHOWN(name), e.text);
			(void)json_array_append_new(told, json_string(text));
			++*(memory ? warned : failed);
		}
		putchar('\n');
	}
	if (json_array_size(told))
		printf("Backup %s:\n", *failed ? "failures" : "Warnings");
	json_array_foreach(told, i, s) printf("  %s\n", json_string_value(s));
	return 0;
}

static int account_backup(struct cli *c, struct err *e)
{
	const char *dir = c->argv[0];
	CLEAN(json) json_t *all = NULL;
	size_t failed = 0, warned = 0, i;
	int64_t bytes = 0, consumers = 0;
	const json_t *s;

	nats_catch();
	if (js_pages(c, "STREAM.LIST", NULL, "streams", &all, e))
		return -1;
	if (!json_array_size(all))
		return err_set(e, ERR_NOT_FOUND, "no streams found");
	json_array_foreach(all, i, s)
	{
		bytes = nats_add(bytes, jint(s, "state.bytes"));
		consumers = nats_add(consumers, jint(s, "state.consumer_count"));
	}
	CLEAN(cols) struct cols *k = cols_new("Performing backup of all streams to %s", dir);

	cols_row(k, "Streams", "%s", COMMA(json_array_size(all)));
	cols_row(k, "Size", "%s", IBYTES(bytes));
	cols_row(k, "Consumers", "%s", COMMA(consumers));
	cols_line(k, NULL);
	cols_print(k, stdout);
	if (js_force(c, e, "Perform backup") || file_mkdirs(dir, 0700, e))
		return -1;
	if (backup_all(c, all, dir, &failed, &warned))
		return 130;
	return failed || (warned && cli_has(c, "critical-warnings"))
		       ? err_set(e, ERR_IO, "backup failed")
		       : 0;
}

/* ---- restore ---- */

/* The folders of a backup, sorted; each must be one of a stream that is not there. */
static int list_backups(struct cli *c, const char *dir, json_t **out, struct err *e)
{
	CLEAN(json) json_t *names = NULL;
	CLEAN(json) json_t *found = json_array();
	struct dirent **v = NULL;
	size_t i;
	json_t *name;
	int n, r = 0;

	if (js_pages(c, "STREAM.NAMES", NULL, "streams", &names, e))
		return -1;
	n = scandir(dir, &v, NULL, alphasort);
	if (n < 0)
		return err_errno(e, ERR_IO, "cannot read %.200s", dir);
	for (int k = 0; k < n; k++) {
		const char *file = v[k]->d_name;
		CLEAN(free) char *meta = NULL;

		if (r || strcmp(file, ".") == 0 || strcmp(file, "..") == 0)
			continue;
		if (asprintf(&meta, "%s/%s/backup.json", dir, file) < 0)
			r = err_set(e, ERR_NOMEM, NULL);
		else if (access(meta, R_OK))
			r = err_set(e, ERR_NOT_FOUND,
				    "%.100s/%.100s is no backup of a stream: it has no backup.json",
				    dir, file);
		json_array_foreach(
			names, i,
			name) if (!r &&
				  strcmp(json_string_value(name) ? json_string_value(name) : "",
					 file) == 0) r =
			err_set(e, ERR_EXISTS, "stream \"%.100s\" exists already", file);
		(void)json_array_append_new(found, json_string(file));
	}
	for (int k = 0; k < n; k++)
		free(v[k]);
	free(v);
	if (r)
		return -1;
	*out = STEAL(found);
	return *out ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int account_restore(struct cli *c, struct err *e)
{
	const char *dir = c->argv[0];
	CLEAN(json) json_t *all = NULL;
	const json_t *name;
	size_t i;

	nats_catch();
	if (list_backups(c, dir, &all, e))
		return -1;
	if (!json_array_size(all))
		return err_set(e, ERR_NOT_FOUND, "%.200s holds no backups", dir);
	printf("Restoring backup of all %zu streams in directory \"%s\"\n\n", json_array_size(all),
	       dir);
	json_array_foreach(all, i, name)
	{
		CLEAN(free) char *path = NULL;

		if (nats_stopped())
			return 130;
		if (asprintf(&path, "%s/%s", dir, json_string_value(name)) < 0)
			return err_set(e, ERR_NOMEM, NULL);
		if (stream_restore_from(c, path, e))
			return err_wrap(e, "restore for %.100s failed", json_string_value(name));
	}
	return 0;
}

/* ---- tls ---- */

/* What OpenSSL has verified for the first connection, which is made before it is read;
 * a later one, by a thread of nats.c, changes nothing. */
static STACK_OF(X509) * chain;

static int on_verify(int ok, void *arg)
{
	if (ok && !chain && X509_STORE_CTX_get_error_depth(arg) == 0)
		chain = X509_STORE_CTX_get1_chain(arg);
	return ok;
}

static int64_t asn1_ns(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * NS_S : 0;
}

/* Names of one kind out of a certificate's alternative names. */
static json_t *names_of(const X509 *cert, int kind)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	json_t *out = json_array();

	for (int i = 0; all && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type != kind)
			continue;
		const unsigned char *p = ASN1_STRING_get0_data(g->d.ia5);
		int n = ASN1_STRING_length(g->d.ia5);
		char ip[64] = "";

		if (kind != GEN_IPADD) {
			CLEAN(free) char *text = strndup((const char *)p, (size_t)n);
			CLEAN(free) char *clean = nats_clean(text ? text : "");

			(void)json_array_append_new(out, json_string(clean ? clean : ""));
			continue;
		}
		if (n == 4 || n == 16)
			(void)inet_ntop(n == 4 ? AF_INET : AF_INET6, p, ip, sizeof(ip));
		(void)json_array_append_new(out, json_string(ip));
	}
	GENERAL_NAMES_free(all);
	return out;
}

/* As Go names it. */
static const char *signed_with(const X509 *cert)
{
	static const struct {
		int nid;
		const char *name;
	} known[] = {
		{NID_sha256WithRSAEncryption, "SHA256-RSA"},
		{NID_sha384WithRSAEncryption, "SHA384-RSA"},
		{NID_sha512WithRSAEncryption, "SHA512-RSA"},
		{NID_rsassaPss, "RSA-PSS"},
		{NID_ecdsa_with_SHA256, "ECDSA-SHA256"},
		{NID_ecdsa_with_SHA384, "ECDSA-SHA384"},
		{NID_ecdsa_with_SHA512, "ECDSA-SHA512"},
		{NID_ED25519, "Ed25519"},
	};
	int nid = X509_get_signature_nid(cert);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].nid == nid)
			return known[i].name;
	return OBJ_nid2ln(nid) ? OBJ_nid2ln(nid) : "unknown";
}

static char *bio_text(BIO *b)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);
	char *text = n >= 0 ? strndup(p ? p : "", (size_t)n) : NULL;

	BIO_free(b);
	return text;
}

static json_t *describe(X509 *cert)
{
	BIO *subject = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());
	BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *digits = serial ? BN_bn2dec(serial) : NULL;
	char when[48];

	if (subject)
		(void)X509_NAME_print_ex(subject, X509_get_subject_name(cert), 0,
					 XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
	if (pem)
		(void)PEM_write_bio_X509(pem, cert);
	CLEAN(free) char *subject_text = subject ? bio_text(subject) : NULL;
	CLEAN(free) char *clean = nats_clean(subject_text ? subject_text : "");
	CLEAN(free) char *pem_text = pem ? bio_text(pem) : NULL;
	json_t *j = json_pack(
		"{s:s, s:b, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "subject", clean ? clean : "",
		"is_ca", (X509_get_extension_flags(cert) & EXFLAG_CA) != 0, "not_after",
		fmt_rfc3339(when, asn1_ns(X509_get0_notAfter(cert)), false, true), "serial",
		digits ? digits : "", "signed_with", signed_with(cert), "dns_names",
		names_of(cert, GEN_DNS), "ip_addresses", names_of(cert, GEN_IPADD), "uris",
		names_of(cert, GEN_URI), "email_addresses", names_of(cert, GEN_EMAIL), "pem",
		pem_text ? pem_text : "");

	OPENSSL_free(digits);
	BN_free(serial);
	return j;
}

static void show_names(const json_t *j, const char *key, const char *label)
{
	size_t i;
	const json_t *v;

	if (!json_array_size(json_object_get(j, key)))
		return;
	printf("#   SAN: %s: [", label);
	json_array_foreach(json_object_get(j, key), i, v)
		printf("%s%s", i ? " " : "", json_string_value(v));
	puts("]");
}

/* "2026-11-22 09:45:47 +0000 UTC" */
static const char *go_utc(char out[static 64], const char *rfc)
{
	(void)snprintf(out, 64, "%.10s %.8s +0000 UTC", rfc, strlen(rfc) > 11 ? rfc + 11 : "");
	return out;
}

/* Shows one certificate; -1: it is not valid any more, or soon (the first such in *e). */
static int show_cert(struct cli *c, const json_t *j, size_t number, int64_t warn_ns, struct err *e)
{
	CLEAN(free) char *subject = nats_quote(jstr(j, "subject"), strlen(jstr(j, "subject")));
	int64_t until = 0, now = now_ns();
	char when[64];
	int r = 0;

	(void)parse_rfc3339(jstr(j, "not_after"), &until);
	go_utc(when, jstr(j, "not_after"));
	printf("# chain=1 cert=%zu isCA=%s Subject=%s\n", number,
	       jbool(j, "is_ca") ? "true" : "false", subject ? subject : "?");
	if (until < now) {
		printf("# EXPIRED after %s\n", when);
		r = err_set(e, ERR_CERT_EXPIRED,
			    "expired cert chain=1 cert=%zu expiration=\"%s\" subject=%.120s",
			    number, when, subject ? subject : "?");
	} else if (warn_ns > 0 && until - now < warn_ns) {
		printf("# EXPIRING SOON: within %s of %s\n", GODURATION(warn_ns), when);
		r = err_set(e, ERR_CERT_EXPIRED,
			    "cert expiring soon chain=1 cert=%zu expiration=\"%s\" subject=%.120s",
			    number, when, subject ? subject : "?");
	}
	printf("#   Expiration: %s\n", when);
	show_names(j, "dns_names", "DNS Names");
	show_names(j, "ip_addresses", "IP Addresses");
	show_names(j, "uris", "URIs");
	show_names(j, "email_addresses", "Email Addresses");
	printf("#   Serial: %s\n#   Signed-with: %s\n", jstr(j, "serial"), jstr(j, "signed_with"));
	if (nats_flag(c, "pem", true))
		fputs(jstr(j, "pem"), stdout);
	return r;
}

static int account_tls(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = json_array();
	int64_t warn_ns = 7 * 24 * 3600 * NS_S;
	struct err first = {0};
	const json_t *j;
	size_t i;
	int r = 0;

	if (nats_opt_duration(c, "expire-warn", &warn_ns, e))
		return -1;
	run_of(c)->verify = on_verify;
	if (nats_connect(c, e))
		return -1;
	if (!conn_secure(run_of(c)->conn) || !chain)
		return err_set(e, ERR_WRONG_STATE, "nats: connection is not tls");
	for (int k = 0; k < sk_X509_num(chain); k++)
		(void)json_array_append_new(all, describe(sk_X509_value(chain, k)));
	if (cli_has(c, "json"))
		return nats_print_json(all, e);
	fputs("# TLS Verified Chains count: 1\n\n# chain: 1\n", stdout);
	json_array_foreach(all, i, j) if (show_cert(c, j, i + 1, warn_ns, r ? &first : e)) r = -1;
	return r;
}

static const struct cli_opt backup_opts[] = {
	{"check", 0, NULL, "Check each stream first"},
	{"consumers", 0, NULL, "Back consumers up too (the default)"},
	FORCE_OPT,
	{"critical-warnings", 'w', NULL, "Streams in memory, which have no backup, are failures"},
	{0},
};
static const struct cli_opt restore_opts[] = {
	{"cluster", 0, "CLUSTER", "Only in this cluster"},
	{"tag", 0, "TAG", "Only on servers with this tag (may be given again)"},
	{0},
};
static const struct cli_opt tls_opts[] = {
	{"expire-warn", 0, "DURATION", "Fail for what expires so soon (1w; 0: never)"},
	{"pem", 0, NULL, "Show the certificates themselves (on; --no-pem)"},
	JSON_OPT,
	{0},
};

const struct cli_cmd nats_account_js_cmds[] = {
	{.path = "account|a backup|snapshot",
	 .help = "Back all streams up to a directory",
	 .args = "TARGET",
	 .opts = backup_opts,
	 .run = account_backup},
	{.path = "account|a restore",
	 .help = "Restore the streams of a directory",
	 .args = "DIRECTORY",
	 .opts = restore_opts,
	 .run = account_restore},
	{.path = "account|a tls",
	 .help = "Show the certificates of the server we are connected to",
	 .opts = tls_opts,
	 .run = account_tls},
	{0},
};
