/* What an ELF file tells about how it was hardened, and what it needs to run (System V
 * ABI, 64-bit, x86-64). The bytes are untrusted: every offset is checked, and what is
 * read is bounded. */
#ifndef OCIBUILD_CHECK_ELF_H
#define OCIBUILD_CHECK_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_ELF_NEEDED 64
#define CHECK_ELF_TEXT 128 /* longest name */

struct check_elf {
	bool malformed;	  /* nothing else is filled in */
	bool foreign;	  /* not for 64-bit x86-64; nothing else is filled in */
	bool object;	  /* ET_REL: not linked yet */
	bool program;	  /* has an interpreter, is ET_EXEC or has the PIE flag */
	bool fixed;	  /* ET_EXEC: not position independent */
	bool dynamic;	  /* has DT_NEEDED or an interpreter */
	bool relro, lazy; /* lazy: has a PLT that is bound while it runs */
	bool exec_stack, rwx, textrel;
	bool canary, fortify; /* evidence of them, not a proof */
	bool symbols;	      /* has .symtab or .debug_info */
	char interp[CHECK_ELF_TEXT], soname[CHECK_ELF_TEXT];
	char rpath[CHECK_ELF_TEXT]; /* DT_RPATH or DT_RUNPATH */
	size_t needs;
	const char *needed[CHECK_ELF_NEEDED]; /* within the file that was read */
};

/* Fills out; what cannot be read is malformed, which is no error. */
void check_elf_read(const uint8_t *p, size_t n, struct check_elf *out);

#endif
