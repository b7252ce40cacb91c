#include "ocibuild/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ui/progress.h"

#define PARALLEL 8
#define TRIES 3

struct job {
	struct fetch *f;
	size_t row;
	unsigned tries;
	CURL *easy;
	struct cache_put put;
	struct err err; /* why writing stopped */
	struct progress *bar;
	uint64_t counted;
};

struct queue {
	CURLM *multi;
	struct job slots[PARALLEL];
	size_t *todo, ntodo, next, active;
	struct progress bar;
};

void fetch_free(struct fetch *f)
{
	free(f->gone);
	f->gone = NULL;
}

static const char *row_name(const struct lock_pkg *p, char out[static 256])
{
	snprintf(out, 256, "%s %s (%s)", p->name, p->version, p->suite);
	return out;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct job *j = arg;

	n *= size;
	/* the body of an error page is not the package */
	long code = 0;

	curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &code);
	if (code >= 300)
		return n;
	if (cache_put_write(&j->put, data, n, &j->err))
		return CURL_WRITEFUNC_ERROR;
	j->counted += n;
	progress_add(j->bar, n);
	return n;
}

static int start_job(struct queue *q, struct job *j, struct err *e)
{
	struct fetch *f = j->f;
	const struct lock_pkg *p = &f->lock->pkg[j->row];
	const char *base = mirror_of(f->mirror, p->archive);
	char url[1024];

	if (!base)
		return err_set(e, ERR_LOCK, "unknown archive %s", p->archive);
	snprintf(url, sizeof(url), "%s/%s", base, p->path);
	j->err = (struct err){0};
	if (cache_put_start(f->cache, &j->put, p->size, e))
		return -1;
	j->easy = curl_easy_init();
	if (!j->easy)
		return err_set(e, ERR_NOMEM, NULL);
	curl_easy_setopt(j->easy, CURLOPT_URL, url);
	curl_easy_setopt(j->easy, CURLOPT_PROTOCOLS_STR, "http,https,file");
	curl_easy_setopt(j->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(j->easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(j->easy, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(j->easy, CURLOPT_CONNECTTIMEOUT, 30L);
	curl_easy_setopt(j->easy, CURLOPT_LOW_SPEED_LIMIT, 100L);
	curl_easy_setopt(j->easy, CURLOPT_LOW_SPEED_TIME, 60L);
	curl_easy_setopt(j->easy, CURLOPT_USERAGENT, "ocibuild/" SIGNBOX_VERSION);
	curl_easy_setopt(j->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(j->easy, CURLOPT_WRITEDATA, j);
	curl_easy_setopt(j->easy, CURLOPT_PRIVATE, j);
	curl_easy_setopt(j->easy, CURLOPT_NOBODY, f->probe ? 1L : 0L);
	if (f->mirror->proxy[0])
		curl_easy_setopt(j->easy, CURLOPT_PROXY, f->mirror->proxy);
	if (f->mirror->cainfo[0])
		curl_easy_setopt(j->easy, CURLOPT_CAINFO, f->mirror->cainfo);
	if (curl_multi_add_handle(q->multi, j->easy) != CURLM_OK)
		return err_set(e, ERR_NOMEM, NULL);
	q->active++;
	return 0;
}

static void stop_job(struct queue *q, struct job *j)
{
	if (!j->easy)
		return;
	curl_multi_remove_handle(q->multi, j->easy);
	curl_easy_cleanup(j->easy);
	j->easy = NULL;
	q->active--;
	cache_put_abort(&j->put);
}

/* Whether another try may help: the network's fault, not the answer's. */
static bool transient(CURLcode rc, long code)
{
	return rc == CURLE_COULDNT_CONNECT || rc == CURLE_OPERATION_TIMEDOUT ||
	       rc == CURLE_PARTIAL_FILE || rc == CURLE_RECV_ERROR || rc == CURLE_SEND_ERROR ||
	       rc == CURLE_GOT_NOTHING || rc == CURLE_COULDNT_RESOLVE_HOST ||
	       (rc == CURLE_OK && (code == 429 || code >= 500));
}

/* 0: this row is settled; 1: try again; -1: stop everything. */
static int finish_job(struct job *j, CURLcode rc, struct err *e)
{
	struct fetch *f = j->f;
	const struct lock_pkg *p = &f->lock->pkg[j->row];
	char name[256];
	long code = 0;

	curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &code);
	row_name(p, name);
	if (j->err.code != ERR_OK) {
		*e = j->err;
		return err_wrap(e, "%s", name);
	}
	if ((rc == CURLE_OK && (code == 404 || code == 410)) ||
	    rc == CURLE_FILE_COULDNT_READ_FILE) {
		f->gone[j->row] = true;
		f->ngone++;
		return 0;
	}
	if (transient(rc, code) && j->tries < TRIES)
		return 1;
	if (rc != CURLE_OK)
		return err_set(e, ERR_FETCH, "%s: %s", name, curl_easy_strerror(rc));
	if (code != 0 && code != 200)
		return err_set(e, ERR_FETCH, "%s: the mirror answers %ld", name, code);
	if (f->probe)
		return 0;
	if (cache_put_commit(f->cache, &j->put, name, p->sha256, e))
		return -1;
	f->nfetched++;
	f->bytes += p->size;
	return 0;
}

static int fill_slots(struct queue *q, struct fetch *f, struct err *e)
{
	for (size_t i = 0; i < PARALLEL && q->next < q->ntodo; i++) {
		struct job *j = &q->slots[i];

		if (j->easy)
			continue;
		*j = (struct job){.f = f, .row = q->todo[q->next++], .bar = &q->bar};
		j->put.fd = -1;
		if (start_job(q, j, e))
			return -1;
	}
	return 0;
}

static int settle(struct queue *q, struct err *e)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(q->multi, &left)) != NULL) {
		struct job *j = NULL;
		int rc;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &j);
		j->tries++;
		rc = finish_job(j, msg->data.result, e);
		stop_job(q, j);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		progress_add(&q->bar, (uint64_t)0 - j->counted);
		j->counted = 0;
		if (start_job(q, j, e))
			return -1;
	}
	return 0;
}

static int transfer(struct queue *q, struct fetch *f, struct err *e)
{
	while (q->active || q->next < q->ntodo) {
		int running;

		if (fill_slots(q, f, e))
			return -1;
		if (curl_multi_perform(q->multi, &running) != CURLM_OK ||
		    curl_multi_poll(q->multi, NULL, 0, 500, NULL) != CURLM_OK)
			return err_set(e, ERR_FETCH, "libcurl failed");
		progress_add(&q->bar, 0);
		if (settle(q, e))
			return -1;
	}
	return 0;
}

static int download(struct queue *q, struct fetch *f, struct err *e)
{
	uint64_t total = 0;
	int rc;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, ERR_NOMEM, NULL);
	q->multi = curl_multi_init();
	if (!q->multi)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < q->ntodo; i++)
		total += f->lock->pkg[q->todo[i]].size;
	progress_start(&q->bar, f->probe ? "asking the mirror" : "fetching packages",
		       f->probe ? 0 : total, PROGRESS_BYTES);
	rc = transfer(q, f, e);
	for (size_t i = 0; i < PARALLEL; i++)
		stop_job(q, &q->slots[i]);
	progress_end(&q->bar);
	curl_multi_cleanup(q->multi);
	return rc;
}

/* From a folder: another cache, or .deb files under the name that the pool has. */
static int import_row(struct fetch *f, const struct lock_pkg *p, struct err *e)
{
	struct cache other = {0};
	char path[4096], name[256];
	int rc;

	if (snprintf(other.dir, sizeof(other.dir), "%s", f->from) >= (int)sizeof(other.dir))
		return err_set(e, ERR_BAD_INPUT, "the folder's name is too long");
	row_name(p, name);
	cache_path(&other, p->sha256, path);
	rc = cache_import(f->cache, path, name, p->sha256, p->size, e);
	if (rc <= 0)
		return rc;
	snprintf(path, sizeof(path), "%s/%s", f->from, strrchr(p->path, '/') + 1);
	return cache_import(f->cache, path, name, p->sha256, p->size, e);
}

int fetch_run(struct fetch *f, struct err *e)
{
	const struct lock *l = f->lock;
	CLEAN(free) size_t *todo = calloc(l->npkg + 1, sizeof(*todo));
	struct queue q = {.todo = todo};

	f->gone = calloc(l->npkg + 1, sizeof(*f->gone));
	if (!todo || !f->gone)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *p = &l->pkg[i];
		int rc = 1;

		if (f->image && !lock_pkg_in(p, f->image))
			continue;
		if (cache_has(f->cache, p->sha256, p->size)) {
			f->ncached++;
			continue;
		}
		if (f->from)
			rc = import_row(f, p, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			f->ncached++;
		else
			todo[q.ntodo++] = i;
	}
	if (!q.ntodo)
		return 0;
	if (!f->offline)
		return download(&q, f, e);
	f->ngone = q.ntodo;
	for (size_t i = 0; i < q.ntodo; i++)
		f->gone[todo[i]] = true;
	return 0;
}
