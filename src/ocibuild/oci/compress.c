#include "ocibuild/oci/compress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define DICT 32768u
#define MAX_THREADS 64

const struct compress_form compress_forms[] = {
	{"gzip", "", false, 6, 1u << 20, GZIP, "gzip, level 6: what is released"},
	{"fast", "-fast", false, 1, 1u << 20, GZIP, "gzip, level 1: for development"},
	{"zstd", "-zstd", true, 15, 4u << 20, ZSTD, "zstd, level 15"},
	{0},
};

const struct compress_form *compress_find(const char *name)
{
	if (!name)
		return compress_forms;
	for (const struct compress_form *f = compress_forms; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

const char *compress_library(const struct compress_form *f, char out[static 32])
{
	snprintf(out, 32, "%s %s", f->zstd ? "zstd" : "zlib",
		 f->zstd ? ZSTD_versionString() : zlibVersion());
	return out;
}

enum state { EMPTY, READY, BUSY, DONE };

struct slot {
	enum state state;
	uint8_t *in, *out;
	size_t n, cap, nout;
	uint8_t dict[DICT];
	size_t ndict;
	bool last, bad;
	uint32_t crc;
	z_stream z;
	bool z_open;
	ZSTD_CCtx *cctx;
};

/* The slots are a ring: filled at tail, written out at head, in order. */
struct compress {
	const struct compress_form *form;
	compress_out *out;
	void *arg;
	struct slot *slot;
	size_t nslots, head, tail, used;
	uint32_t crc;
	uint64_t total;
	bool started;
	/* shared with the threads, under lock */
	pthread_t thread[MAX_THREADS];
	unsigned nthreads;
	pthread_mutex_t lock;
	pthread_cond_t work, ready;
	bool stop;
};

/* ---- one block ---- */

static void gzip_block(struct slot *s)
{
	int flush = s->last ? Z_FINISH : Z_SYNC_FLUSH, rc;

	if (deflateReset(&s->z) != Z_OK ||
	    (s->ndict && deflateSetDictionary(&s->z, s->dict, (uInt)s->ndict) != Z_OK)) {
		s->bad = true;
		return;
	}
	s->z.next_in = s->in;
	s->z.avail_in = (uInt)s->n;
	s->z.next_out = s->out;
	s->z.avail_out = (uInt)s->cap;
	rc = deflate(&s->z, flush);
	/* the room is what zlib says that the worst case takes */
	s->bad = rc != (s->last ? Z_STREAM_END : Z_OK) || s->z.avail_in || !s->z.avail_out;
	s->nout = s->cap - s->z.avail_out;
	s->crc = (uint32_t)crc32(crc32(0, NULL, 0), s->in, (uInt)s->n);
}

static void zstd_block(struct slot *s)
{
	size_t n = ZSTD_compress2(s->cctx, s->out, s->cap, s->in, s->n);

	s->bad = ZSTD_isError(n);
	s->nout = s->bad ? 0 : n;
}

static void do_block(const struct compress *c, struct slot *s)
{
	if (c->form->zstd)
		zstd_block(s);
	else
		gzip_block(s);
}

static void *worker(void *arg)
{
	struct compress *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct slot *s = NULL;

		for (size_t i = 0; i < c->nslots && !s; i++) {
			struct slot *at = &c->slot[(c->head + i) % c->nslots];

			if (at->state == READY)
				s = at;
		}
		if (!s && c->stop)
			break;
		if (!s) {
			pthread_cond_wait(&c->work, &c->lock);
			continue;
		}
		s->state = BUSY;
		pthread_mutex_unlock(&c->lock);
		do_block(c, s);
		pthread_mutex_lock(&c->lock);
		s->state = DONE;
		pthread_cond_signal(&c->ready);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- beginning and end ---- */

static int open_slot(struct slot *s, const struct compress_form *f)
{
	/* a flush adds an empty stored block to what zlib counts */
	s->cap = f->zstd ? ZSTD_compressBound(f->block) : compressBound(f->block) + 64;
	s->in = malloc(f->block);
	s->out = malloc(s->cap);
	if (!s->in || !s->out)
		return -1;
	if (!f->zstd) {
		s->z_open = deflateInit2(&s->z, f->level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) ==
			    Z_OK;
		return s->z_open ? 0 : -1;
	}
	s->cctx = ZSTD_createCCtx();
	if (!s->cctx)
		return -1;
	return ZSTD_isError(ZSTD_CCtx_setParameter(s->cctx, ZSTD_c_compressionLevel, f->level)) ||
			       ZSTD_isError(ZSTD_CCtx_setParameter(s->cctx, ZSTD_c_checksumFlag, 1))
		       ? -1
		       : 0;
}

struct compress *compress_start(const struct compress_form *f, unsigned threads, compress_out *out,
				void *arg, struct err *e)
{
	struct compress *c = calloc(1, sizeof(*c));
	unsigned want = threads > MAX_THREADS ? MAX_THREADS : threads;

	if (!c) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	c->form = f;
	c->out = out;
	c->arg = arg;
	c->crc = (uint32_t)crc32(0, NULL, 0);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->ready, NULL);
	c->nslots = want > 1 ? want * 2 : 1;
	c->slot = calloc(c->nslots, sizeof(*c->slot));
	for (size_t i = 0; c->slot && i < c->nslots; i++)
		if (open_slot(&c->slot[i], f)) {
			err_set(e, ERR_NOMEM, NULL);
			compress_free(c);
			return NULL;
		}
	if (!c->slot) {
		err_set(e, ERR_NOMEM, NULL);
		compress_free(c);
		return NULL;
	}
	/* fewer threads than wanted, or none, give the same bytes */
	while (want > 1 && c->nthreads < want &&
	       pthread_create(&c->thread[c->nthreads], NULL, worker, c) == 0)
		c->nthreads++;
	return c;
}

void compress_free(struct compress *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	for (size_t i = 0; c->slot && i < c->nslots; i++)
		if (c->slot[i].state == READY)
			c->slot[i].state = EMPTY;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->nthreads; i++)
		pthread_join(c->thread[i], NULL);
	for (size_t i = 0; c->slot && i < c->nslots; i++) {
		struct slot *s = &c->slot[i];

		if (s->z_open)
			deflateEnd(&s->z);
		ZSTD_freeCCtx(s->cctx);
		free(s->in);
		free(s->out);
	}
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->ready);
	free(c->slot);
	free(c);
}

/* ---- the stream ---- */

/* No time, no name; 3 is Unix, as zlib itself writes. */
static int put_head(struct compress *c, struct err *e)
{
	uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

	if (c->started || c->form->zstd)
		return 0;
	c->started = true;
	head[8] = c->form->level == 9 ? 2 : c->form->level == 1 ? 4 : 0;
	return c->out(head, sizeof(head), c->arg, e);
}

/* Waits for the oldest block and writes it. */
static int put_block(struct compress *c, struct err *e)
{
	struct slot *s = &c->slot[c->head];

	pthread_mutex_lock(&c->lock);
	if (c->nthreads) {
		while (s->state != DONE)
			pthread_cond_wait(&c->ready, &c->lock);
	} else {
		do_block(c, s);
	}
	s->state = EMPTY;
	c->head = (c->head + 1) % c->nslots;
	c->used--;
	pthread_mutex_unlock(&c->lock);
	if (s->bad)
		return err_set(e, ERR_INTERNAL, "the compressor failed");
	c->crc = (uint32_t)crc32_combine(c->crc, s->crc, (z_off_t)s->n);
	return put_head(c, e) || c->out(s->out, s->nout, c->arg, e) ? -1 : 0;
}

/* The block that is being filled is complete. */
static int submit(struct compress *c, bool last, struct err *e)
{
	struct slot *s = &c->slot[c->tail], *next;

	pthread_mutex_lock(&c->lock);
	s->last = last;
	s->state = READY;
	c->used++;
	c->total += s->n;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	c->tail = (c->tail + 1) % c->nslots;
	if (last)
		return 0;
	next = &c->slot[c->tail];
	if (next != s) {
		if (c->used == c->nslots && put_block(c, e))
			return -1;
		next->ndict = s->n < DICT ? s->n : DICT;
		/* a block's input is not written to once it is complete */
		memcpy(next->dict, s->in + s->n - next->ndict, next->ndict);
	} else {
		uint8_t keep[DICT];
		size_t n = s->n < DICT ? s->n : DICT;

		memcpy(keep, s->in + s->n - n, n);
		if (put_block(c, e))
			return -1;
		memcpy(s->dict, keep, n);
		s->ndict = n;
	}
	next->n = 0;
	return 0;
}

int compress_write(struct compress *c, const void *p, size_t n, struct err *e)
{
	const uint8_t *from = p;

	while (n) {
		struct slot *s = &c->slot[c->tail];
		size_t k = c->form->block - s->n;

		if (k > n)
			k = n;
		memcpy(s->in + s->n, from, k);
		s->n += k;
		from += k;
		n -= k;
		if (s->n == c->form->block && submit(c, false, e))
			return -1;
	}
	return 0;
}

int compress_finish(struct compress *c, struct err *e)
{
	uint8_t tail[8];

	if (submit(c, true, e))
		return -1;
	while (c->used)
		if (put_block(c, e))
			return -1;
	if (c->form->zstd)
		return 0;
	for (size_t i = 0; i < 4; i++) {
		tail[i] = (uint8_t)(c->crc >> (8 * i));
		tail[4 + i] = (uint8_t)(c->total >> (8 * i));
	}
	return c->out(tail, sizeof(tail), c->arg, e);
}
