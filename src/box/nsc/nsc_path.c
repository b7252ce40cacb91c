/* Paths as text: made, made absolute, and as people write them. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box/nsc/nsc.h"

char *nsc_path(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

const char *nsc_home(void)
{
	const char *h = getenv("HOME");

	return h && *h == '/' ? h : NULL;
}

char *nsc_expand(const char *path)
{
	char cwd[PATH_MAX];
	char *s;

	if (nsc_home() && path[0] == '~' && (path[1] == '/' || path[1] == '\0'))
		s = nsc_path("%s%s", nsc_home(), path + 1);
	else if (path[0] == '/')
		s = strdup(path);
	else if (getcwd(cwd, sizeof(cwd)))
		s = nsc_path("%s/%s", cwd, strncmp(path, "./", 2) == 0 ? path + 2 : path);
	else
		return NULL;
	size_t n = s ? strlen(s) : 0;

	while (n > 1 && (s[n - 1] == '/' || (s[n - 1] == '.' && s[n - 2] == '/')))
		s[--n] = '\0';
	return s;
}

char *nsc_abbrev(const char *path)
{
	size_t n = nsc_home() ? strlen(nsc_home()) : 0;

	if (n > 1 && strncmp(path, nsc_home(), n) == 0 && (path[n] == '/' || !path[n]))
		return nsc_path("~%s", path + n);
	return strdup(path);
}
