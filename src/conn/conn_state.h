/* What the files of a connection share; for conn*.c only. */
#ifndef CONN_CONN_STATE_H
#define CONN_CONN_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "conn/conn.h"
#include "conn/conn_auth.h"
#include "conn/conn_socks.h"
#include "conn/conn_trouble.h"
#include "conn/conn_url.h"

struct conn {
	natsConnection *nc;
	struct conn_auth *auth;
	struct conn_trouble *trouble; /* of a service: why which server cannot be used */
	_Atomic enum err_code why;    /* the worst of them; 0 when connected or not known */
	bool service, quiet, secure;
	struct log_limit said[CONN_EVENTS];
	void (*event)(void *arg, enum conn_event ev, const char *what);
	void *event_arg;
	char inbox[128];
	struct conn_names names; /* that the user has configured */
	struct socks_proxy proxy;
	struct err proxy_err; /* of the last try; under lock */
	int64_t timeout_ms;   /* for each server: conn_each_ms */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed; /* nats.c has reported that the connection is closed */
};

/* How long one of n servers may take to be connected to when all may take that long (0: the
 * default): as much as a slow link needs for TLS, 2 s (or all, when that is less), and not so
 * much that one which is mute takes all the time of the others, 5 s. */
int64_t conn_each_ms(int64_t all, int n);
/* All of o into nats.c's options and c. Errors: as conn_open's. */
int conn_options_apply(natsOptions *no, struct conn *c, const struct conn_opts *o, struct err *e);
/* The callbacks that tell what becomes of the connection. */
natsStatus conn_event_apply(natsOptions *no, struct conn *c);
/* A connection is there: nats.c says so but for the first. */
void conn_event_up(natsConnection *nc, void *arg);

#endif
