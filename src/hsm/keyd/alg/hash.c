#include <openssl/err.h>

#include "hsm/keyd/alg/alg_impl.h"

static EVP_MD *md[HASH_SHA512 + 1];

int hash_init(struct err *e)
{
	static const char *const name[] = {NULL, "SHA256", "SHA384", "SHA512"};

	for (unsigned i = HASH_SHA256; i <= HASH_SHA512; i++) {
		md[i] = EVP_MD_fetch(NULL, name[i], NULL);
		if (!md[i])
			return openssl_err(e, name[i]);
	}
	return 0;
}

const EVP_MD *hash_md(enum mode_hash hash)
{
	return md[hash];
}

int hash_message(struct alg_thread *t, enum mode_hash hash, struct bytes m, uint8_t *out,
		 struct err *e)
{
	/* The same digest again keeps the context's memory: nothing is allocated. */
	if (EVP_DigestInit_ex2(t->md, md[hash], NULL) != 1 ||
	    EVP_DigestUpdate(t->md, m.p, m.len) != 1 || EVP_DigestFinal_ex(t->md, out, NULL) != 1)
		return openssl_err(e, "digest");
	return 0;
}

int openssl_err(struct err *e, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	err_set(e, ERR_INTERNAL, "OpenSSL: %s failed%s%s", what, why ? ": " : "", why ? why : "");
	ERR_clear_error();
	return -1;
}
