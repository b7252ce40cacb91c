/* The slow and the commit thread and their bounded queues. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/secret.h"
#include "hsm/keyd/alg/alg.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "hsm/keyd/limit.h"

#define SLOW_MAX 32    /* waiting for Argon2id or a new key */
#define COMMIT_MAX 512 /* waiting for a transaction */
#define QUEUE_BYTES (64u << 20)

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **last;
	unsigned n, max;
	size_t bytes; /* of the requests in it */
};

struct jobs {
	struct keyd *k;
	struct queue slow, commit;
	pthread_t slow_thread, commit_thread;
	struct alg_thread *alg; /* of the commit thread: durable signatures */
};

static void queue_init(struct queue *q, unsigned max)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->changed, &attr);
	pthread_condattr_destroy(&attr);
	q->last = &q->first;
	q->max = max;
}

/* One caller gets half of a queue and operators three quarters: whatever they send, an
 * administrator's lock finds room. */
static bool has_room(const struct queue *q, const struct job *j)
{
	unsigned own = 0, most = j->c.role == ROLE_OPERATOR ? q->max / 4 * 3 : q->max;

	if (q->n >= most || (q->n && q->bytes + j->bytes.len > QUEUE_BYTES))
		return false;
	if (q->n < q->max / 2)
		return true;
	for (const struct job *o = q->first; o; o = o->next)
		own += memcmp(o->c.nkey, j->c.nkey, 32) == 0;
	return own < q->max / 2;
}

/* Internal jobs and second halves are never refused. */
static bool push(struct queue *q, struct job *j, bool bounded)
{
	bool fits;

	pthread_mutex_lock(&q->lock);
	fits = !bounded || has_room(q, j);
	if (fits) {
		j->next = NULL;
		*q->last = j;
		q->last = &j->next;
		q->n++;
		q->bytes += j->bytes.len;
		pthread_cond_signal(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
	return fits;
}

/* Next job, or NULL when none came within ms milliseconds (-1: waits for ever). */
static struct job *pop(struct queue *q, int ms)
{
	struct timespec until;
	struct job *j;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&q->lock);
	while (!q->first && rc == 0)
		rc = ms < 0 ? pthread_cond_wait(&q->changed, &q->lock)
			    : pthread_cond_timedwait(&q->changed, &q->lock, &until);
	j = q->first;
	if (j) {
		q->first = j->next;
		if (!q->first)
			q->last = &q->first;
		q->n--;
		q->bytes -= j->bytes.len;
	}
	pthread_mutex_unlock(&q->lock);
	return j;
}

static struct job *job_new(void)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	buf_init(&j->bytes, WIRE_MESSAGE);
	buf_init(&j->result, WIRE_MESSAGE / 2);
	buf_init(&j->priv, 8192);
	buf_init(&j->pub, 4096);
	j->bytes.secret = j->result.secret = j->priv.secret = true;
	return j;
}

void job_free(struct job *j)
{
	buf_free(&j->bytes);
	buf_free(&j->result);
	buf_free(&j->priv);
	buf_free(&j->pub);
	secret_wipe(j, sizeof(*j));
	free(j);
}

int jobs_take(struct call *c, const struct reply_to *to, const void *request, size_t n,
	      struct err *e)
{
	struct jobs *js = c->k->jobs;
	const struct handler *h = op_handler(c->op->op);
	struct job *j = job_new();
	struct err ignored;

	if (!j)
		return err_set(e, ERR_NOMEM, NULL);
	j->c = *c;
	j->to = *to;
	buf_put(&j->bytes, request, n);
	/* It was decoded before, from the same bytes. */
	if (j->bytes.bad || request_decode(&j->c.q, j->bytes.p, j->bytes.len, &ignored)) {
		job_free(j);
		return err_set(e, ERR_NOMEM, NULL);
	}
	if (push(h->slow ? &js->slow : &js->commit, j, true))
		return 0;
	job_free(j);
	return err_set(e, ERR_BUSY, NULL);
}

void jobs_internal(struct keyd *k, void (*run)(struct keyd *, struct job *))
{
	struct job *j = job_new();

	if (!j)
		abort(); /* without memory for this nothing works any more */
	j->internal = run;
	push(&k->jobs->commit, j, false);
}

void jobs_internal_slow(struct keyd *k, void (*run)(struct keyd *, struct job *))
{
	struct job *j = job_new();

	if (!j)
		abort();
	j->internal = run;
	push(&k->jobs->slow, j, false);
}

static void reply(struct keyd *k, struct job *j, const struct err *error)
{
	struct response s = {.state = (uint8_t)k->state,
			     .epoch = k->root.epoch,
			     .mode = j->c.mode,
			     .body = {j->result.p, j->result.len}};

	if (error) {
		s.error = (uint16_t)error->code;
		s.body = (struct bytes){(const uint8_t *)error->text, strlen(error->text)};
	}
	reply_job(k, &j->to, &s);
}

static void *slow_main(void *arg)
{
	struct jobs *js = arg;
	struct keyd *k = js->k;

	for (;;) {
		struct job *j = pop(&js->slow, -1);
		struct err e = {0};

		if (j->internal) {
			if (vault_pass_key(j->pass_key, k->device_key, k->boot_salt, k->passphrase,
					   k->cfg.passphrase_len, &e))
				log_error("cannot derive the passphrase key", "error", e.text);
		} else if (op_handler(j->c.op->op)->slow(j, &e)) {
			/* What waits before it is tried again is no guess, and may come in
			 * floods; the rest belongs into the audit log. */
			if (e.code == ERR_RATE_LIMITED || e.code == ERR_BUSY) {
				reply(k, j, &e);
				job_free(j);
				continue;
			}
			j->failed = e;
		}
		push(&js->commit, j, false);
	}
	return NULL;
}

/* A retry of something that was done is answered with its result. */
static int repeated(struct keyd *k, struct job *j, bool *done, struct err *e)
{
	struct object *o;
	uint8_t digest[32];

	*done = false;
	if (k->state != STATE_OPERATIONAL || !(j->c.op->flags & OPF_MUTATES))
		return 0;
	o = find_idem(&k->objects, j->c.nkey, j->c.q.idem);
	if (!o)
		return 0;
	request_digest(digest, &j->c.q);
	if (!secret_equal(digest, o->idem.digest, 32))
		return err_set(e, ERR_IDEM_MISMATCH, NULL);
	buf_put(&j->result, o->idem.body, o->idem.len);
	j->c.mode = o->idem.mode;
	*done = true;
	return 0;
}

static void run_commit(struct jobs *js, struct job *j)
{
	struct keyd *k = js->k;
	struct err e = {0};
	bool done;
	int rc;

	/* What was checked in the lane may have changed since; a repeated request
	 * is answered before the state is looked at. */
	rc = repeated(k, j, &done, &e);
	if (rc == 0 && !done) {
		j->c.alg = js->alg;
		rc = call_check(&j->c, &e);
		if (rc == 0 && j->failed.code) {
			e = j->failed;
			rc = -1;
		}
		if (rc == 0)
			rc = op_handler(j->c.op->op)->commit(j, &j->result, &e);
		if (rc == 0 && j->result.bad)
			rc = err_set(&e, ERR_TOO_LARGE, "result does not fit a message");
		if (rc)
			audit_note(k, &j->c, j->c.op->op, &e);
	}
	reply(k, j, rc ? &e : NULL);
}

static void *commit_main(void *arg)
{
	struct jobs *js = arg;
	struct keyd *k = js->k;
	uint64_t flushed = keyd_ticks();

	for (;;) {
		struct job *j = pop(&js->commit, AUDIT_INTERVAL);

		if (j && j->internal)
			j->internal(k, j);
		else if (j)
			run_commit(js, j);
		if (j)
			job_free(j);
		if (k->state == STATE_OPERATIONAL && keyd_ticks() - flushed >= AUDIT_INTERVAL) {
			struct err e;

			audit_flush(k, &e);
			flushed = keyd_ticks();
		}
	}
	return NULL;
}

int jobs_start(struct keyd *k, struct err *e)
{
	struct jobs *js = calloc(1, sizeof(*js));

	if (!js)
		return err_set(e, ERR_NOMEM, NULL);
	js->k = k;
	k->jobs = js;
	queue_init(&js->slow, SLOW_MAX);
	queue_init(&js->commit, COMMIT_MAX);
	js->alg = alg_thread_new(k->cfg.max_message, e);
	if (!js->alg)
		return -1;
	if (pthread_create(&js->slow_thread, NULL, slow_main, js) ||
	    pthread_create(&js->commit_thread, NULL, commit_main, js))
		return err_set(e, ERR_NOMEM, "cannot start a thread");
	return 0;
}
