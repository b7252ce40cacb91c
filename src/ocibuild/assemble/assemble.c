/* build_run: layers by several threads, then the documents, each after its base. */
#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/sha256.h"
#include "ocibuild/assemble/build.h"
#include "ocibuild/oci/oci.h"
#include "ui/progress.h"

/* Counted up when the same master gives another layer. */
#define MASTER_FORM 1
/* What an image counts in the bar before its size is known. */
#define GUESS (8u << 20)
#define MAX_JOBS 64

/* What is to be made of images, and who makes it. */
struct work {
	struct build *b;
	int (*make)(struct work *w, struct build_image *im, struct err *e);
	struct build_image **v;
	struct err *err; /* one for each */
	size_t n;
	unsigned threads;
	atomic_size_t next;
	atomic_bool cancel;
	struct progress progress;
};

static json_t *layer_row(const char *definition, const struct layer_blob *blob)
{
	char digest[OCI_DIGEST_LEN], diff[OCI_DIGEST_LEN];

	oci_digest(digest, blob->digest);
	oci_digest(diff, blob->diff_id);
	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "definition", definition, "digest", digest,
			 "diff_id", diff, "size", (json_int_t)blob->size, "tar_size",
			 (json_int_t)blob->tar_size);
}

/* All that decides the blob of a master: it takes long, so it is made again only when
 * one of these changes, not for every change of this program. */
static void master_inputs(const struct build *b, const struct build_image *im, char out[static 65])
{
	char head[160], library[32];
	struct sha256 md;
	uint8_t d[32];

	snprintf(head, sizeof(head), "master %d %s %s %s\n", MASTER_FORM, b->form->name,
		 compress_library(b->form, library), archive_version_string());
	sha256_init(&md);
	sha256_update(&md, head, strlen(head));
	sha256_update(&md, im->layer.tar_sha256, 32);
	sha256_final(&md, d);
	enc_hex(out, d, 32);
}

/* The row of an earlier run, when its blob is there and is of the same master. */
static json_t *known_master(const struct build *b, const struct build_image *im, const char *inputs)
{
	json_t *old = json_object_get(b->known, im->spec->name);
	json_t *row = json_array_get(json_object_get(old, "layers"), 0);
	const char *of = json_string_value(json_object_get(row, "inputs"));

	if (!of || strcmp(of, inputs) != 0 ||
	    !build_has_blob(b, json_object_get(row, "digest"), json_object_get(row, "size")))
		return NULL;
	return json_deep_copy(row);
}

/* Fills an image's layer and writes it as a blob. */
static int make_layer(struct work *w, struct build_image *im, struct err *e)
{
	const struct layer_how how = {.date = w->b->cur->lock.date,
				      .form = w->b->form,
				      .threads = w->threads,
				      .cancel = &w->cancel,
				      .progress = &w->progress};
	struct layer_blob blob;
	char inputs[65] = "";

	if (build_fill(w->b, im, e))
		return -1;
	/* a definition may change the configuration only */
	if (!im->layer.n)
		return 0;
	if (im->is_rootfs) {
		master_inputs(w->b, im, inputs);
		im->row = known_master(w->b, im, inputs);
		if (im->row)
			return 0;
	}
	if (oci_put_layer(w->b->dir, &im->layer, &how, &blob, e))
		return err_wrap(e, "%s", im->spec->name);
	im->row = layer_row(im->spec->name, &blob);
	if (inputs[0])
		json_object_set_new(im->row, "inputs", json_string(inputs));
	return im->row ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static void *worker(void *arg)
{
	struct work *w = arg;
	size_t i;

	while (!atomic_load(&w->cancel) && (i = atomic_fetch_add(&w->next, 1)) < w->n)
		if (w->make(w, w->v[i], &w->err[i]))
			atomic_store(&w->cancel, true);
	return NULL;
}

static unsigned choose_jobs(const struct build *b)
{
	cpu_set_t set;
	int n = 1;

	if (b->jobs)
		return b->jobs > MAX_JOBS ? MAX_JOBS : b->jobs;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > MAX_JOBS ? MAX_JOBS : (unsigned)n;
}

static uint64_t guess(const struct build *b, const struct build_image *im)
{
	json_t *old = json_object_get(b->known, im->spec->name);
	json_t *rows = json_object_get(old, "layers");
	json_t *row = json_array_get(rows, json_array_size(rows) - 1);
	json_int_t n = json_integer_value(json_object_get(row, "tar_size"));

	return n > 0 ? (uint64_t)n : im->is_rootfs ? 50u * GUESS : GUESS;
}

/* One failure stops the others; the error is that of the first image that failed, a
 * stop by another's failure is none. */
static int make_all(struct work *w, struct err *e)
{
	pthread_t thread[MAX_JOBS];
	unsigned n = 0;

	while (n + 1 < w->threads && n + 1 < w->n &&
	       pthread_create(&thread[n], NULL, worker, w) == 0)
		n++;
	worker(w);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	progress_end(&w->progress);
	for (size_t pass = 0; atomic_load(&w->cancel) && pass < 2; pass++)
		for (size_t i = 0; i < w->n; i++)
			if (w->err[i].code && (pass || w->err[i].code != ERR_SHUTTING_DOWN))
				return err_set(e, w->err[i].code, "%s", w->err[i].text);
	return 0;
}

static int make_layers(struct work *w, struct err *e)
{
	uint64_t total = 0;

	for (size_t i = 0; i < w->n; i++)
		total += guess(w->b, w->v[i]);
	progress_start(&w->progress, "building images", total, PROGRESS_BYTES);
	return make_all(w, e);
}

static int attach(struct work *w, struct build_image *im, struct err *e)
{
	int rc = build_attached(w->b, im, e);

	progress_add(&w->progress, 1);
	return rc;
}

/* SBOMs read an image as it is in the layout, so they come after its manifest. */
static int attach_all(struct build *b, struct build_image **v, struct err *errs, struct err *e)
{
	struct work w = {.b = b, .make = attach, .v = v, .err = errs, .threads = choose_jobs(b)};

	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < b->n; i++)
			if (b->v[i].done && b->v[i].is_rootfs == !pass)
				v[w.n++] = &b->v[i];
	progress_start(&w.progress, "writing SBOMs", w.n, PROGRESS_COUNT);
	if (make_all(&w, e))
		return -1;
	for (size_t i = 0; i < w.n; i++)
		if (build_keep_attached(v[i], e))
			return -1;
	return 0;
}

/* An image that is wanted, after what it stands on; those that take longest first. */
static int want(struct work *w, struct build_image *im, struct err *e)
{
	bool fresh;
	size_t at;

	if (im->done)
		return 0;
	im->done = true;
	if (im->base && want(w, im->base, e))
		return -1;
	if (build_is_fresh(w->b, im, &fresh, e))
		return -1;
	im->made = !fresh;
	if (fresh) {
		im->state = json_incref(json_object_get(w->b->known, im->spec->name));
		return 0;
	}
	at = im->is_rootfs ? 0 : w->n;
	memmove(&w->v[at + 1], &w->v[at], (w->n - at) * sizeof(struct build_image *));
	w->v[at] = im;
	w->n++;
	return 0;
}

static int document(struct build *b, struct build_image *im, struct err *e)
{
	if (!im->done || im->state)
		return 0;
	if (im->base && document(b, im->base, e))
		return -1;
	return build_documents(b, im, e);
}

/* A source that changed between being digested and being copied would be remembered as
 * something that it is not. */
static int check_inputs(struct build *b, struct err *e)
{
	CLEAN(free) char(*old)[65] = calloc(b->n + 1, sizeof(*old));

	if (!old)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < b->n; i++) {
		memcpy(old[i], b->v[i].inputs, sizeof(old[i]));
		b->v[i].inputs[0] = '\0';
	}
	for (size_t i = 0; i < b->n; i++) {
		if (!b->v[i].done)
			continue;
		if (build_inputs(b, &b->v[i], e))
			return -1;
		if (strcmp(old[i], b->v[i].inputs) != 0)
			return err_set(e, ERR_IO,
				       "%s: what it is made of changed meanwhile: build again",
				       b->v[i].spec->name);
	}
	return 0;
}

static int run(struct build *b, struct err *e)
{
	CLEAN(free) struct build_image **v = calloc(b->n + 1, sizeof(struct build_image *));
	CLEAN(free) struct err *errs = calloc(b->n + 1, sizeof(struct err));
	struct work w = {
		.b = b, .make = make_layer, .v = v, .err = errs, .threads = choose_jobs(b)};

	if (!v || !errs)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].wanted && want(&w, &b->v[i], e))
			return -1;
	if (w.n && (make_layers(&w, e) || check_inputs(b, e)))
		return -1;
	for (size_t i = 0; i < b->n; i++)
		if (document(b, &b->v[i], e))
			return -1;
	return attach_all(b, v, errs, e) ? -1 : build_publish(b, e);
}

int build_run(struct build *b, struct err *e)
{
	char path[4096];

	if (oci_open(b->dir, e))
		return -1;
	snprintf(path, sizeof(path), "%s/.images%s.lock", b->out, b->form->tail);
	CLEAN(fd) int held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (held < 0 || flock(held, LOCK_EX) < 0)
		return err_errno(e, ERR_IO, "cannot lock %s", path);
	/* another run may have changed it while we waited */
	return build_load_known(b, e) ? -1 : run(b, e);
}
