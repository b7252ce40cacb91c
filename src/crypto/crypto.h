/* The few primitives that several folders share. Thin wrappers over audited
 * libraries with the sizes in the types; the fastest library wins (docs). */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

/* Once, before anything else here, before threads and before a sandbox. 0 or -1. */
int crypto_init(void);

/* n random bytes from the kernel; does not fail. */
void crypto_random(void *p, size_t n);

#endif
