/* Takes the place of libcrypto's compression (crypto/comp), so that neither zlib nor zstd
 * is in a program that only computes or speaks TLS. NULL is what libcrypto itself
 * returns where it was built without them: TLS 1.3 then does not offer certificate
 * compression (RFC 8879), and a peer that nobody knows yet cannot feed a decompressor.
 * Saves 0.35 MB of each compressed executable. Linked by -u ossl_comp_zlib_cleanup. */
#include <stddef.h>

#define NO_METHOD(name)                                                                            \
	void *name(void);                                                                          \
	void *name(void)                                                                           \
	{                                                                                          \
		return NULL;                                                                       \
	}

NO_METHOD(COMP_zlib)
NO_METHOD(COMP_zlib_oneshot)
NO_METHOD(COMP_zstd)
NO_METHOD(COMP_zstd_oneshot)
NO_METHOD(BIO_f_zlib)
NO_METHOD(BIO_f_zstd)

void ossl_comp_zlib_cleanup(void);
void ossl_comp_zlib_cleanup(void)
{
}

void ossl_comp_zstd_cleanup(void);
void ossl_comp_zstd_cleanup(void)
{
}
