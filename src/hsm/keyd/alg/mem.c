#include "hsm/keyd/alg/mem.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena;
static _Thread_local bool inside, refused;

static void *mem_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	if (n == 0)
		return NULL;
	/* Larger ones are scratch of exponentiations, which OpenSSL wipes itself. */
	if (inside && n <= ARENA_MAX_OBJECT) {
		void *p = arena_alloc(arena, n);

		refused |= !p;
		return p;
	}
	return malloc(n);
}

static size_t usable(void *p)
{
	return arena_owns(arena, p) ? arena_usable(arena, p) : malloc_usable_size(p);
}

static void mem_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	if (!p)
		return;
	if (arena_owns(arena, p)) {
		arena_release(arena, p);
		return;
	}
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *mem_realloc(void *p, size_t n, const char *file, int line)
{
	if (!p)
		return mem_malloc(n, file, line);
	if (n == 0) {
		mem_free(p, file, line);
		return NULL;
	}
	size_t have = usable(p);

	if (n <= have && n > have / 2)
		return p;
	/* realloc(3) would leave the old bytes behind. */
	void *q = mem_malloc(n, file, line);

	if (!q)
		return NULL;
	memcpy(q, p, n < have ? n : have);
	mem_free(p, file, line);
	return q;
}

int mem_init(size_t arena_bytes, struct err *e)
{
	if (arena_new(&arena, arena_bytes, e) < 0)
		return -1;
	if (CRYPTO_set_mem_functions(mem_malloc, mem_realloc, mem_free) != 1) {
		arena_delete(arena);
		arena = NULL;
		return err_set(e, ERR_INTERNAL, "OpenSSL was used before its memory was guarded");
	}
	return 0;
}

struct arena *mem_arena(void)
{
	return arena;
}

void mem_enter(void)
{
	inside = true;
	refused = false;
}

bool mem_leave(void)
{
	inside = false;
	return refused;
}
