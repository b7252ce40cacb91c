/* Archives of images: no crash, nothing outside of the temporary folder, nothing left. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ocibuild/oci/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/fuzz-unpack-XXXXXX";
static char in[64], tmp[64];

static void start(void)
{
	if (!mkdtemp(top))
		abort();
	snprintf(in, sizeof(in), "%s/in", top);
	snprintf(tmp, sizeof(tmp), "%s/tmp", top);
	if (mkdir(tmp, 0700) || setenv("TMPDIR", tmp, 1))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpack u = {0};
	struct stat st;
	struct err e;

	if (!in[0])
		start();
	if (file_replace(in, data, size, 0600, &e))
		abort();
	(void)unpack_open(&u, in, &e);
	unpack_free(&u);
	/* in itself and tmp, which is empty: its links are its own two */
	if (stat(tmp, &st) || st.st_nlink != 2 || rmdir(tmp) || mkdir(tmp, 0700) ||
	    stat(top, &st) || st.st_nlink != 3 || stat(in, &st) || (size_t)st.st_size != size ||
	    st.st_nlink != 1)
		abort();
	return 0;
}
