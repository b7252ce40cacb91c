#include "box/top/top_poll.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *run(void *arg)
{
	struct top_poll *p = arg;

	for (;;) {
		struct top_stats s = {0};
		struct err e = {0};

		pthread_mutex_lock(&p->lock);
		while (!p->want)
			pthread_cond_wait(&p->wake, &p->lock);
		struct top_ask ask = p->ask;

		p->want = false;
		pthread_mutex_unlock(&p->lock);
		int r = top_src_get(p->src, &ask, &s, &e);

		pthread_mutex_lock(&p->lock);
		top_stats_free(&p->stats);
		p->stats = s;
		p->failed = r < 0;
		p->err = e;
		p->busy = false;
		(void)eventfd_write(p->fd, 1);
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

int top_poll_start(struct top_poll *p, struct top_src *src, struct err *e)
{
	memset(p, 0, sizeof(*p));
	p->src = src;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0 || pthread_create(&p->thread, NULL, run, p))
		return err_errno(e, ERR_INTERNAL, "cannot start a thread");
	pthread_detach(p->thread);
	return 0;
}

void top_poll_ask(struct top_poll *p, const struct top_ask *ask)
{
	pthread_mutex_lock(&p->lock);
	if (!p->busy) {
		p->busy = p->want = true;
		p->ask = *ask;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
}

int top_poll_take(struct top_poll *p, struct top_stats *out, struct err *e)
{
	eventfd_t n;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	if (eventfd_read(p->fd, &n) == 0) {
		r = p->failed ? -1 : 1;
		if (p->failed) {
			*e = p->err;
		} else {
			top_stats_free(out);
			*out = p->stats;
			memset(&p->stats, 0, sizeof(p->stats));
		}
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}
