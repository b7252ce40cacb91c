/* Definitions: a text that is accepted has variants that load, each with a name, a chain
 * and file names that stay inside. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz-spec-XXXXXX";

static void clean(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/x.yaml", dir);
	unlink(path);
	rmdir(dir);
}

static void check(const struct spec *s)
{
	if (!*s->name || !s->nchain || strcmp(s->chain[0], s->name) != 0 ||
	    s->own_slices > s->nslices || s->own_packages > s->npackages)
		abort();
	for (size_t i = 0; i < s->image.nfiles; i++)
		if (strcmp(s->image.files[i].path, "/") != 0 &&
		    (s->image.files[i].path[0] == '/' || strstr(s->image.files[i].path, "/../")))
			abort();
	for (size_t i = 0; i < s->nwaivers; i++)
		if (!s->waivers[i].rule || !s->waivers[i].path || !s->waivers[i].reason)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(spec_set) struct spec_set set = {0};
	static bool made;
	char path[64];
	uint8_t d[32];
	struct err e;
	FILE *f;

	if (!made && (!mkdtemp(dir) || atexit(clean)))
		abort();
	made = true;
	snprintf(path, sizeof(path), "%s/x.yaml", dir);
	f = fopen(path, "we");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f))
		abort();
	if (spec_load_all(&set, dir, &e))
		return 0;
	for (size_t i = 0; i < set.n; i++)
		check(&set.v[i]);
	if (spec_digest(&set, d, &e))
		abort();
	return 0;
}
