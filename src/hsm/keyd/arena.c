#include "hsm/keyd/arena.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u /* of the allocator; a multiple of it is mapped */
#define NONE UINT32_MAX

/* Multiples of 32, at most 64 objects in a page: its map is one word. */
static const uint16_t classes[] = {64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096};
#define NCLASS (sizeof(classes) / sizeof(classes[0]))

struct page {
	uint64_t used;	     /* bit i: object i is in use */
	uint32_t prev, next; /* in the list of its class's pages with room, or of free pages */
	uint8_t class;
	bool taken;
};

struct arena {
	pthread_mutex_t lock;
	uint8_t *map; /* with the guards */
	size_t map_len;
	uint8_t *base;
	uint32_t npages, ntaken;
	uint32_t room[NCLASS]; /* pages with room per class */
	uint32_t free;	       /* pages of no class */
	bool locked;
	struct page *page;
};

static unsigned per_page(unsigned class)
{
	return PAGE / classes[class];
}

static uint64_t full_map(unsigned class)
{
	unsigned n = per_page(class);

	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static void list_push(struct arena *a, uint32_t *head, uint32_t i)
{
	a->page[i].prev = NONE;
	a->page[i].next = *head;
	if (*head != NONE)
		a->page[*head].prev = i;
	*head = i;
}

static void list_drop(struct arena *a, uint32_t *head, uint32_t i)
{
	struct page *p = &a->page[i];

	if (p->prev == NONE)
		*head = p->next;
	else
		a->page[p->prev].next = p->next;
	if (p->next != NONE)
		a->page[p->next].prev = p->prev;
}

static int map_memory(struct arena *a, size_t bytes, struct err *e)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);

	a->map_len = bytes + 2 * guard;
	a->map = mmap(NULL, a->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->map == MAP_FAILED) {
		a->map = NULL;
		return err_errno(e, ERR_NOMEM, "cannot map %zu bytes for keys", bytes);
	}
	a->base = a->map + guard;
	if (mprotect(a->base, bytes, PROT_READ | PROT_WRITE) < 0)
		return err_errno(e, ERR_NOMEM, "cannot map %zu bytes for keys", bytes);
	/* ONFAULT counts against the limit at once but takes pages only when used. */
	a->locked = mlock2(a->base, bytes, MLOCK_ONFAULT) == 0 || mlock(a->base, bytes) == 0;
	if (madvise(a->base, bytes, MADV_DONTDUMP) < 0 ||
	    madvise(a->base, bytes, MADV_DONTFORK) < 0)
		return err_errno(e, ERR_NOMEM, "cannot keep keys out of dumps and children");
	return 0;
}

int arena_new(struct arena **out, size_t bytes, struct err *e)
{
	size_t unit = (size_t)sysconf(_SC_PAGESIZE);
	struct arena *a;

	if (bytes == 0 || bytes > (size_t)NONE * PAGE / 2)
		return err_set(e, ERR_NOMEM, "%zu bytes are no size for the key arena", bytes);
	bytes = (bytes + unit - 1) / unit * unit;
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(e, ERR_NOMEM, NULL);
	pthread_mutex_init(&a->lock, NULL);
	a->npages = (uint32_t)(bytes / PAGE);
	a->page = calloc(a->npages, sizeof(*a->page));
	if (!a->page || map_memory(a, bytes, e) < 0) {
		if (!a->page)
			err_set(e, ERR_NOMEM, NULL);
		arena_delete(a);
		return -1;
	}
	for (size_t c = 0; c < NCLASS; c++)
		a->room[c] = NONE;
	a->free = NONE;
	for (uint32_t i = a->npages; i-- > 0;)
		list_push(a, &a->free, i);
	*out = a;
	return 0;
}

void arena_delete(struct arena *a)
{
	if (!a)
		return;
	/* Free objects are zero already, and untouched pages need not be made. */
	for (uint32_t i = 0; a->page && a->map && i < a->npages; i++)
		if (a->page[i].taken)
			explicit_bzero(a->base + (size_t)i * PAGE, PAGE);
	if (a->map)
		munmap(a->map, a->map_len);
	free(a->page);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static void *take(struct arena *a, unsigned class)
{
	uint32_t i = a->room[class];

	if (i == NONE) {
		i = a->free;
		if (i == NONE)
			return NULL;
		list_drop(a, &a->free, i);
		list_push(a, &a->room[class], i);
		a->page[i].class = (uint8_t)class;
		a->page[i].taken = true;
		a->ntaken++;
	}
	struct page *p = &a->page[i];
	unsigned slot = (unsigned)__builtin_ctzll(~p->used);

	p->used |= UINT64_C(1) << slot;
	if (p->used == full_map(class))
		list_drop(a, &a->room[class], i);
	return a->base + (size_t)i * PAGE + (size_t)slot * classes[class];
}

void *arena_alloc(struct arena *a, size_t n)
{
	unsigned class = 0;
	void *p;

	if (n > ARENA_MAX_OBJECT)
		return NULL;
	while (classes[class] < n)
		class ++;
	pthread_mutex_lock(&a->lock);
	p = take(a, class);
	pthread_mutex_unlock(&a->lock);
	return p;
}

bool arena_owns(const struct arena *a, const void *p)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)a->base;

	return at >= base && at - base < (size_t)a->npages * PAGE;
}

/* Page of the object at p and its slot. Memory is corrupt when p is none, and then
 * a key process must not go on. */
static struct page *locate(struct arena *a, const void *p, unsigned *slot)
{
	size_t at = (size_t)((uintptr_t)p - (uintptr_t)a->base);
	struct page *pg;

	if (!arena_owns(a, p))
		abort();
	pg = &a->page[at / PAGE];
	if (!pg->taken || at % PAGE % classes[pg->class])
		abort();
	*slot = (unsigned)(at % PAGE / classes[pg->class]);
	if (*slot >= per_page(pg->class) || !(pg->used >> *slot & 1))
		abort();
	return pg;
}

void arena_release(struct arena *a, void *p)
{
	unsigned slot;

	if (!p)
		return;
	pthread_mutex_lock(&a->lock);
	struct page *pg = locate(a, p, &slot);
	uint32_t i = (uint32_t)(pg - a->page);
	bool was_full = pg->used == full_map(pg->class);

	explicit_bzero(p, classes[pg->class]);
	pg->used &= ~(UINT64_C(1) << slot);
	if (pg->used == 0) {
		if (!was_full)
			list_drop(a, &a->room[pg->class], i);
		list_push(a, &a->free, i);
		pg->taken = false;
		a->ntaken--;
	} else if (was_full) {
		list_push(a, &a->room[pg->class], i);
	}
	pthread_mutex_unlock(&a->lock);
}

size_t arena_usable(struct arena *a, const void *p)
{
	unsigned slot;
	size_t n;

	pthread_mutex_lock(&a->lock);
	n = classes[locate(a, p, &slot)->class];
	pthread_mutex_unlock(&a->lock);
	return n;
}

void arena_stat(struct arena *a, struct arena_stat *s)
{
	pthread_mutex_lock(&a->lock);
	s->size = (size_t)a->npages * PAGE;
	s->used = (size_t)a->ntaken * PAGE;
	s->locked = a->locked;
	pthread_mutex_unlock(&a->lock);
}
