/* What a dynamic ELF program asks the loader for (System V ABI, 64-bit, x86-64). The
 * bytes are untrusted: offsets are checked, strings end within the file. */
#ifndef OCIBUILD_ELF_H
#define OCIBUILD_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ELF_MAX_NEEDED 64

struct elf_needs {
	const char *interp;		    /* PT_INTERP, or NULL */
	const char *needed[ELF_MAX_NEEDED]; /* DT_NEEDED; all of these point into the file */
	size_t n;
};

bool elf_is(const uint8_t *p, size_t n);
/* Fills out; nothing for a static program. ERR_PACKAGE: malformed, or not x86-64. */
int elf_read(const uint8_t *p, size_t n, struct elf_needs *out, struct err *e);

#endif
