/* The package reader and the tree writer: no crash, and nothing outside of the root.
 * The input is a .deb; beside the root stands a file that must not change. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "ocibuild/deb.h"
#include "ocibuild/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/fuzz-deb-XXXXXX";
static char root[64], guard[64];

static int place(struct archive *tar, struct archive_entry *ent, void *arg, struct err *e)
{
	return tree_entry(arg, tar, ent, e);
}

static void start(void)
{
	if (!mkdtemp(top))
		abort();
	snprintf(root, sizeof(root), "%s/root", top);
	snprintf(guard, sizeof(guard), "%s/guard", top);
	close(open(guard, O_CREAT | O_WRONLY, 0600));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct deb_src src = {.name = "fuzz.deb", .fd = -1, .p = data, .n = size};
	struct tree t;
	struct stat st;
	struct buf b;
	struct err e;

	if (!root[0])
		start();
	buf_init(&b, 1u << 21);
	(void)deb_control(&src, &b, &e);
	buf_free(&b);
	if (tree_open(&t, root, &e))
		abort();
	t.left = 1u << 20;
	(void)deb_walk(&src, DEB_DATA, place, &t, &e);
	tree_close(&t);
	if (stat(guard, &st) < 0 || st.st_size != 0 || (st.st_mode & 0777) != 0600 ||
	    st.st_nlink != 1)
		abort();
	return 0;
}
