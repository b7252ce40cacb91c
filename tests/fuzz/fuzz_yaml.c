/* The YAML subset: what is accepted is a tree that JSON can hold; each item has a line. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(json_doc) struct json_doc d = {0};
	const char *key;
	struct err e;
	json_t *v;

	if (yaml_parse(&d, "fuzz", data, size, &e))
		return 0;
	CLEAN(free) char *text = json_dumps(d.root, JSON_ENCODE_ANY);

	if (!text)
		abort();
	json_object_foreach(d.root, key, v)
	{
		if (!json_line(&d, d.root, key, 0))
			abort();
	}
	return 0;
}
