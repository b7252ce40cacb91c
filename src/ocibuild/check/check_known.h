/* Shells, interpreters and package managers: how they are called, and how they are known
 * when they are called something else. */
#ifndef OCIBUILD_CHECK_KNOWN_H
#define OCIBUILD_CHECK_KNOWN_H

#include <stddef.h>
#include <stdint.h>

#include "ocibuild/check/check_elf.h"

enum check_kind { CHECK_SHELL, CHECK_INTERPRETER, CHECK_PACKAGER };

struct check_known {
	const char *what; /* "bash" */
	enum check_kind kind;
	const char *names;   /* file names, glob patterns with a space between; "" none */
	const char *library; /* start of the name of a library that it is or needs; or NULL */
	const char *text[2]; /* both are in the program; NULL: not known by content */
};

/* By file name (without folders); NULL: none of them. */
const struct check_known *check_known_name(const char *name);
/* By the content of an ELF file. */
const struct check_known *check_known_elf(const struct check_elf *elf, const uint8_t *p, size_t n);

#endif
