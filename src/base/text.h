/* Text that comes from strangers, made fit to be shown: nothing that drives a terminal, no
 * seeds, no passwords of URLs. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character at s (left bytes remain), 0 for a byte that starts none; *cp
 * is its number. */
size_t text_utf8(const char *s, size_t left, unsigned *cp);
/* C0, DEL, C1, line separators and what changes the direction of writing. */
bool text_drives(unsigned cp);
/* Puts '?' for each byte of what drives a terminal and of what is not UTF-8. */
void text_clean(char *text);
/* A clean copy, also of a formatted text. The caller frees; NULL: no memory. */
char *text_cleaned(const char *text);
char *text_vcleaned(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
/* Takes out what looks like an NKey seed, also like the first half of one, and "user:password@"
 * of URLs. The text never grows. */
void text_hide(char *text);

#endif
