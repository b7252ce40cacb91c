/* hsm-front --lanes N --config-fd M [--status-fd K]: life of the process. Started by hsmd with the
 * channels to keyd as descriptors 3 … 3 + N - 1. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "hsm/front/front.h"

#define FIRST_LANE 3
#define TICK_MS 200
#define DROPS_EVERY 50 /* ticks between log lines about dropped messages */
#define RENEW_EVERY 5  /* ticks between looks at the files of a connection that is down */
#define DRAIN_MS 5000
#define FLUSH_MS 1000
#define LANES_STOP_MS 500

static const struct sandbox_syscall syscalls[] = {
#include "hsm/front/syscalls.def"
};

struct args {
	unsigned lanes;
	int config_fd;
	int status_fd; /* -1: hsmd does not ask */
};

static int number(const char *text, long lo, long hi, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return errno || end == text || *end || *out < lo || *out > hi ? -1 : 0;
}

static int parse_args(struct args *a, int argc, char **argv, struct err *e)
{
	static const struct option options[] = {
		{"lanes", required_argument, NULL, 'l'},
		{"config-fd", required_argument, NULL, 'c'},
		{"status-fd", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	long lanes = 0, fd = -1, status = -1;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l' && number(optarg, FRONT_LANES_MIN, FRONT_LANES_MAX, &lanes) == 0)
			continue;
		if (c == 'c' && number(optarg, 0, 1 << 20, &fd) == 0)
			continue;
		if (c == 's' && number(optarg, 0, 1 << 20, &status) == 0)
			continue;
		return err_set(e, ERR_USAGE, "hsm-front is started by hsmd, not by hand");
	}
	if (!lanes || fd < 0 || optind != argc)
		return err_set(e, ERR_USAGE, "hsm-front is started by hsmd, not by hand");
	a->lanes = (unsigned)lanes;
	a->config_fd = (int)fd;
	a->status_fd = (int)status;
	return 0;
}

static void wake(struct front *f)
{
	const uint64_t one = 1;

	if (write(f->wake_fd, &one, sizeof(one)) < 0)
		log_error("cannot wake the main thread");
}

/* ---- what the lanes say ---- */

static void on_answer(void *arg, const struct pending *q, const struct answer *a)
{
	answer_request(arg, q, a);
}

static void on_hello(void *arg, const uint8_t *p, size_t n)
{
	static const uint8_t zeros[sizeof(((struct hello *)NULL)->identity)];
	struct front_state s = {0};
	struct front *f = arg;
	struct err e;

	if (hello_get(&s.hello, p, n, &e)) {
		log_error("hello of keyd is malformed", "error", e.text);
		return;
	}
	/* keyd may have none: until the store has answered, or with a store that it does not
	 * believe. Sessions with a key of zeros would be anybody's, who all know its secret. */
	if (memcmp(s.hello.identity, zeros, sizeof(zeros)) != 0)
		nkey_encode(s.identity, NKEY_CURVE, s.hello.identity);
	enc_hex(s.instance, s.hello.instance, INSTANCE_LEN);
	if (s.hello.max_message && s.hello.max_message < f->cfg.max_message)
		atomic_store(&f->max_message, s.hello.max_message);
	pthread_mutex_lock(&f->mu);
	f->state = s;
	f->known = true;
	pthread_mutex_unlock(&f->mu);
	wake(f);
}

static void on_ended(void *arg)
{
	struct front *f = arg;

	atomic_store(&f->lanes_ended, true);
	wake(f);
}

/* Without the plain surface or discovery an HSM can be of use; not without sessions. */
static void on_conn(void *arg, enum conn_event ev, const char *what)
{
	struct front *f = arg;

	if (ev == CONN_UP)
		atomic_store(&f->refused, false);
	if (ev == CONN_SLOW && strstr(what, "Permissions Violation for Subscription") &&
	    (strstr(what, "\"hsm.open.") || strstr(what, "\"hsm.i.")))
		atomic_store(&f->refused, true);
	wake(f);
}

/* ---- what hsmd is told ---- */

static void tell_link(struct front *f, uint8_t link, enum err_code why)
{
	const uint8_t packet[LINK_LEN] = {link, (uint8_t)why, (uint8_t)((unsigned)why >> 8)};

	if (f->status_fd >= 0 &&
	    send(f->status_fd, packet, sizeof(packet), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* full: hsmd has not read older news; the next tick tries again */
	f->link = link;
	f->link_why = why;
}

/* Up: connected, and the server has taken our subscriptions: a request would come. */
static void link_update(struct front *f)
{
	bool up = f->subscribed && conn_is_up(f->conn) && !atomic_load(&f->refused);
	uint8_t link = up ? LINK_UP : LINK_DOWN;
	enum err_code why = up ? ERR_OK : atomic_load(&f->refused) ? ERR_DENIED : conn_why(f->conn);

	if (link == f->link && why == f->link_why)
		return;
	if (link == LINK_DOWN || natsConnection_FlushTimeout(f->nc, FLUSH_MS) == NATS_OK)
		tell_link(f, link, why);
}

/* ---- start ---- */

static int sandbox(const struct front_config *c, struct err *e)
{
	const struct sandbox_path paths[] = {
		{c->creds, SANDBOX_READ, false},
		{c->nkey, SANDBOX_READ, false},
		{c->ca, SANDBOX_READ, false},
		{c->cert, SANDBOX_READ, false},
		{c->key, SANDBOX_READ, false},
		{"/etc/resolv.conf", SANDBOX_READ, true},
		{"/etc/hosts", SANDBOX_READ, true},
		{"/etc/host.conf", SANDBOX_READ, true},
		{"/etc/nsswitch.conf", SANDBOX_READ, true},
		{"/etc/gai.conf", SANDBOX_READ, true},
		{"/etc/services", SANDBOX_READ, true},
		{"/etc/ssl/certs", SANDBOX_READ, true},
		{"/usr/share/ca-certificates", SANDBOX_READ, true},
		{"/etc/ssl/openssl.cnf", SANDBOX_READ, true},
		{"/usr/lib/ssl", SANDBOX_READ, true},
	};
	const struct sandbox_landlock l = {
		.paths = paths,
		.npaths = sizeof(paths) / sizeof(paths[0]),
		.waived = c->landlock_waived,
	};

	if (sandbox_landlock(&l, NULL, e))
		return -1;
	return sandbox_seccomp(syscalls, sizeof(syscalls) / sizeof(syscalls[0]), e);
}

/* Signals come by descriptor; blocked before threads, so that all inherit it. */
static int signals_fd(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd >= 0 ? fd : err_errno(e, ERR_INTERNAL, "cannot make a signal descriptor");
}

static void describe(struct front *f)
{
	time_t now = time(NULL);
	struct tm tm = {0};
	uint8_t id[11];

	crypto_random(id, sizeof(id));
	enc_hex(f->id, id, sizeof(id));
	if (gmtime_r(&now, &tm))
		(void)strftime(f->started, sizeof(f->started), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int start(struct front *f, const struct args *a, struct err *e)
{
	const struct lanes_calls calls = {on_answer, on_hello, on_ended, f};
	const struct conn_opts o = {
		.url = f->cfg.url,
		.creds = f->cfg.creds,
		.nkey = f->cfg.nkey,
		.ca = f->cfg.ca,
		.cert = f->cfg.cert,
		.key = f->cfg.key,
		.name = f->cfg.name ? f->cfg.name : SERVICE_NAME,
		.service = true,
		.event = on_conn,
		.event_arg = f,
	};

	/* Names are resolved with the connection's lock held: one that no DNS server answers
	 * for (of a container that is gone) shall not keep requests waiting for 10 s. */
	(void)setenv("RES_OPTIONS", "timeout:1 attempts:2", 0);
	if (conn_open(&f->conn, &o, e)) {
		/* Not a matter of servers: what it was given is wrong, and stays so. */
		if (e->code != ERR_NOMEM && e->code != ERR_INTERNAL)
			e->code = ERR_CONFIG;
		return -1;
	}
	tell_link(f, LINK_DOWN, ERR_OK);
	f->nc = conn_nats(f->conn);
	if (route_discovery(f, e))
		return -1;
	return lanes_start(&f->lanes, FIRST_LANE, a->lanes, &calls, e);
}

/* ---- run and end ---- */

/* Until a signal (true) or the end of the channels (false). */
static int run(struct front *f, int signals, bool *stopped, struct err *e)
{
	struct pollfd pf[2] = {{.fd = signals, .events = POLLIN},
			       {.fd = f->wake_fd, .events = POLLIN}};

	for (unsigned tick = 0;; tick++) {
		uint64_t n;

		if (poll(pf, 2, TICK_MS) < 0 && errno != EINTR)
			return err_errno(e, ERR_INTERNAL, "cannot wait");
		if (pf[1].revents && read(f->wake_fd, &n, sizeof(n)) < 0)
			return err_errno(e, ERR_INTERNAL, "cannot read a counter");
		*stopped = pf[0].revents != 0;
		if (*stopped || atomic_load(&f->lanes_ended))
			return 0;
		if (route_update(f, e))
			return -1;
		link_update(f);
		lanes_nudge(f->lanes);
		if (tick % DROPS_EVERY == 0)
			answer_log_drops(f);
		*stopped = tick % RENEW_EVERY == 0 && !conn_is_up(f->conn) &&
			   renew_changed(&f->renew, &f->cfg);
		if (*stopped) {
			log_info("files of the connection have changed: starting again with them");
			return 0;
		}
	}
}

static void pause_ms(long ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&t, NULL);
}

static void finish(struct front *f, bool stopped)
{
	uint64_t until = front_ticks() + DRAIN_MS * UINT64_C(1000000);

	if (stopped) {
		log_info("stopping", "in-hand", LOG_NUM(lanes_in_hand(f->lanes)));
		/* Without a server nothing more can come. */
		if (conn_is_up(f->conn))
			route_drain(f, DRAIN_MS);
		else
			route_stop(f);
		while (lanes_in_hand(f->lanes) && front_ticks() < until &&
		       !atomic_load(&f->lanes_ended))
			pause_ms(5);
	} else {
		log_info("keyd closed the channels, ending");
		route_stop(f);
	}
	lanes_stop(f->lanes, stopped ? ERR_SHUTTING_DOWN : ERR_UNAVAILABLE, LANES_STOP_MS);
	answer_log_drops(f);
	if (conn_is_up(f->conn))
		(void)natsConnection_FlushTimeout(f->nc, FLUSH_MS);
}

static int front_main(struct front *f, const struct args *a, struct err *e)
{
	bool stopped = false;
	int signals;

	if (front_config_read(&f->cfg, a->config_fd, e))
		return -1;
	close(a->config_fd);
	log_init("hsm-front", f->cfg.debug);
	if (crypto_init())
		return err_set(e, ERR_INTERNAL, "cannot start the crypto library");
	atomic_store(&f->max_message, f->cfg.max_message);
	f->status_fd = a->status_fd;
	plain_work_init(&f->plain, f->cfg.max_message);
	pthread_mutex_init(&f->mu, NULL);
	describe(f);
	signals = signals_fd(e);
	f->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (signals < 0)
		return -1;
	if (f->wake_fd < 0)
		return err_errno(e, ERR_INTERNAL, "cannot make an event descriptor");
	renew_note(&f->renew, &f->cfg);
	if (sandbox(&f->cfg, e) || start(f, a, e) || run(f, signals, &stopped, e))
		return -1;
	finish(f, stopped);
	return 0;
}

int main(int argc, char **argv)
{
	static struct front front;
	static const char *const keep[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", NULL};
	struct args a = {0};
	struct err e = {0};

	log_init("hsm-front", false);
	if (parse_args(&a, argc, argv, &e) == 0) {
		int last = FIRST_LANE + (int)a.lanes - 1;

		last = a.config_fd > last ? a.config_fd : last;
		last = a.status_fd > last ? a.status_fd : last;
		const struct sandbox_init o = {.last_fd = last, .child = true, .env = keep};

		if (sandbox_process_init(&o, &e) == 0 && front_main(&front, &a, &e) == 0)
			_exit(0); /* threads of nats.c may still run: nothing to tidy up */
	}
	log_error("cannot go on", "error", e.text);
	_exit(err_exit(&e));
}
