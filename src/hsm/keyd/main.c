/* hsm-keyd: started by hsmd with its control channel on descriptor 3. Its life:
 * configuration, limits, libraries and threads, sandbox, loop. */
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "hsm/keyd/alg/alg.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/boot.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "hsm/keyd/lane.h"
#include "hsm/keyd/sessions.h"
#include "hsm/keyd/store.h"

#define CONTROL_FD 3

uint64_t keyd_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t keyd_ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void state_write_begin(struct keyd *k)
{
	pthread_mutex_lock(&k->gate);
	k->wanted = true;
	for (unsigned i = 0; i < k->nlanes; i++)
		pthread_mutex_lock(&k->lane[i].reading);
}

void state_write_end(struct keyd *k)
{
	for (unsigned i = k->nlanes; i-- > 0;)
		pthread_mutex_unlock(&k->lane[i].reading);
	k->wanted = false;
	pthread_mutex_unlock(&k->gate);
}

void state_read_begin(struct keyd *k, struct lane *l)
{
	pthread_mutex_lock(&k->gate);
	k->wanted = true;
	pthread_mutex_lock(&l->reading);
	k->wanted = false;
	pthread_mutex_unlock(&k->gate);
}

void state_read_end(struct lane *l)
{
	pthread_mutex_unlock(&l->reading);
}

void keyd_tell(struct keyd *k, enum wire_type type, uint64_t tag, const void *p, size_t n)
{
	struct err e;
	int rc;

	pthread_mutex_lock(&k->control_sending);
	rc = wire_send_fds(k->control, type, tag, p, n, NULL, 0, &e);
	pthread_mutex_unlock(&k->control_sending);
	if (rc) {
		log_error("hsmd is gone", "error", e.text);
		_exit(1);
	}
}

void keyd_hello(struct keyd *k, struct hello *h)
{
	memset(h, 0, sizeof(*h));
	if (k->has_identity)
		memcpy(h->identity, k->identity, 32);
	memcpy(h->instance, k->instance, INSTANCE_LEN);
	memcpy(h->boot_id, k->boot_id, BOOT_ID_LEN);
	h->state = (uint8_t)k->state;
	h->warnings = k->cfg.warnings;
	h->max_message = k->cfg.max_message;
	h->problem = (uint16_t)k->problem;
	h->epoch = k->root.epoch;
}

void keyd_announce(struct keyd *k)
{
	struct hello h;
	struct buf b;

	keyd_hello(k, &h);
	buf_init(&b, 1024);
	hello_put(&b, &h);
	keyd_tell(k, W_STATUS, 0, b.p, b.len);
	buf_free(&b);
	lane_hello(k, &h);
}

void keyd_problem(struct keyd *k, enum err_code code)
{
	state_write_begin(k);
	k->problem = code;
	state_write_end(k);
}

static int configure(struct keyd *k, struct wire_reader *r, struct err *e)
{
	struct wire_msg m;

	if (wire_recv(r, CONTROL_FD, NULL, NULL, e) <= 0 || wire_next(r, &m, e) <= 0 ||
	    m.type != W_CONFIG)
		return err_set(e, ERR_CONFIG,
			       "no configuration from hsmd: start hsmd, not hsm-keyd");
	if (keyd_config_get(&k->cfg, m.p, m.len, e))
		return -1;
	if (k->cfg.workers < 1 || k->cfg.workers + 1 > LANES_MAX || k->cfg.max_message < 1024 ||
	    k->cfg.max_message > WIRE_MESSAGE - 65536)
		return err_set(e, ERR_CONFIG, "workers or max_message are out of range");
	k->device_key = secret_alloc(32);
	k->identity_secret = secret_alloc(32);
	if (!k->device_key || !k->identity_secret)
		return err_set(e, ERR_NOMEM, "no locked memory: raise the memory-lock limit");
	memcpy(k->device_key, k->cfg.device_key, 32);
	secret_wipe(k->cfg.device_key, 32);
	if (k->cfg.passphrase) {
		k->passphrase = secret_alloc(k->cfg.passphrase_len);
		if (!k->passphrase)
			return err_set(e, ERR_NOMEM, NULL);
		memcpy(k->passphrase, k->cfg.passphrase, k->cfg.passphrase_len);
		k->cfg.passphrase = k->passphrase;
	}
	k->nlanes = k->cfg.workers + 1;
	k->max_request = k->cfg.max_message + REQUEST_OVERHEAD;
	crypto_random(k->instance, sizeof(k->instance));
	crypto_random(k->boot_id, sizeof(k->boot_id));
	return 0;
}

static int prepare(struct keyd *k, struct err *e)
{
	struct arena_stat keys;

	if (alg_init((size_t)k->cfg.key_mib << 20, e) || sessions_new(&k->sessions, e) ||
	    store_new(&k->store, k, e) || objects_init(&k->objects, e))
		return -1;
	alg_memory(&keys);
	if (!keys.locked)
		k->cfg.warnings |= WARN_MEMLOCK;
	buf_init(&k->audit_carry, AUDIT_CARRY_MAX);
	buf_init(&k->boot_blob, 1u << 16);
	buf_init(&k->slot_pass, 4096);
	buf_init(&k->slot_auto, 4096);
	for (unsigned i = 0; i < k->nlanes; i++)
		if (lane_init(k, i, e))
			return -1;
	return 0;
}

static void start(struct keyd *k, struct job *j)
{
	(void)j;
	/* Each new store is another chance: what an earlier one showed may be wrong. */
	if (k->state != STATE_OPERATIONAL)
		boot_start(k);
}

static void stop(struct keyd *k, struct job *j)
{
	(void)j;
	if (k->state == STATE_OPERATIONAL) {
		audit_close(k);
		audit_finish(k);
	}
	_exit(0);
}

static void attach_front(struct keyd *k, const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (i < k->nlanes)
			lane_attach(&k->lane[i], fds[i]);
		else
			close(fds[i]);
}

static int control(struct keyd *k, struct wire_reader *r, struct err *e)
{
	for (;;) {
		int fds[LANES_MAX];
		unsigned nfds = LANES_MAX;
		struct wire_msg m;
		int rc = wire_recv(r, k->control, fds, &nfds, e);

		if (rc <= 0)
			return rc ? -1 : err_set(e, ERR_IO, "hsmd is gone");
		while ((rc = wire_next(r, &m, e)) > 0) {
			if (m.type == W_FRONT) {
				attach_front(k, fds, nfds);
			} else if (m.type == W_STORE && nfds == 1) {
				store_attach(k->store, fds[0]);
				jobs_internal(k, start);
			} else if (m.type == W_ANCHORED) {
				anchor_answer(m.tag, m.p, m.len);
			} else if (m.type == W_STOP) {
				jobs_internal(k, stop);
			} else {
				return err_set(e, ERR_BAD_FRAME, "hsmd sent nonsense");
			}
		}
		if (rc < 0)
			return -1;
	}
}

static const struct sandbox_syscall syscalls[] = {
#include "hsm/keyd/syscalls.def"
};

static int run(struct keyd *k, struct err *e)
{
	const struct sandbox_init self = {
		.last_fd = CONTROL_FD, .child = true, .new_session = true};
	struct sandbox_landlock nothing = {.no_network = true};
	struct wire_reader r;

	if (sandbox_process_init(&self, e))
		return -1;
	/* Else malloc opens a file to count the CPUs, once there are many threads, and
	 * another (overcommit_memory) when a thread's heap first shrinks. */
	mallopt(M_ARENA_MAX, LANES_MAX + 4);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	if (crypto_init() || wire_reader_init(&r, WIRE_PACKET, true, e))
		return err_set(e, ERR_INTERNAL, "libraries cannot be initialised");
	k->started = keyd_ticks();
	k->control = CONTROL_FD;
	k->state = STATE_LOCKED;
	pthread_mutex_init(&k->control_sending, NULL);
	pthread_mutex_init(&k->gate, NULL);
	if (configure(k, &r, e))
		return -1;
	log_init("hsm-keyd", k->cfg.debug);
	nothing.waived = k->cfg.no_sandbox_landlock;
	if (prepare(k, e) || sandbox_landlock(&nothing, NULL, e) || jobs_start(k, e))
		return -1;
	for (unsigned i = 0; i < k->nlanes; i++)
		if (lane_start(&k->lane[i], e))
			return -1;
	/* The threads wait for channels that only come after this. */
	if (sandbox_seccomp(syscalls, sizeof(syscalls) / sizeof(syscalls[0]), e))
		return -1;
	return control(k, &r, e);
}

int main(void)
{
	static struct keyd k;
	struct err e = {0};

	log_init("hsm-keyd", false);
	if (run(&k, &e))
		log_error("stopped", "error", e.text);
	_exit(err_exit(&e));
}
