/* What `ocibuild check` looks for in files: the ELF reader, shells by their texts, and
 * secrets. Every name that it gives is a string within its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ocibuild/check/check_elf.h"
#include "ocibuild/check/check_known.h"
#include "ocibuild/check/check_secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct check_elf elf;

	check_elf_read(data, size, &elf);
	if (elf.malformed && (elf.needs || elf.interp[0] || elf.program))
		abort();
	for (size_t i = 0; i < elf.needs; i++) {
		const uint8_t *p = (const uint8_t *)elf.needed[i];

		if (p < data || p >= data + size ||
		    strlen(elf.needed[i]) >= (size_t)(data + size - p))
			abort();
	}
	if (strlen(elf.interp) >= sizeof(elf.interp) || strlen(elf.rpath) >= sizeof(elf.rpath))
		abort();
	check_known_elf(&elf, data, size);
	check_secret_content("etc/passwd", data, size);
	return 0;
}
