/* Files that look like secrets: by name, and by what is in them. What is found is told
 * by kind only; no byte of it is kept or printed. */
#ifndef OCIBUILD_CHECK_SECRET_H
#define OCIBUILD_CHECK_SECRET_H

#include <stddef.h>
#include <stdint.h>

/* What a file of this path is likely to be ("a private key of SSH"), or NULL. */
const char *check_secret_name(const char *path);
/* What is in it, or NULL. path decides whether it is read as an account file or as a
 * configuration. */
const char *check_secret_content(const char *path, const uint8_t *p, size_t n);
/* What a variable of the environment gives away, or NULL. */
const char *check_secret_variable(const char *name, const char *value);

#endif
