/* Starts store, keyd and front, keeps them running, and stops them in order. One
 * thread, one poll loop; what is due next is in struct proc, so that every rule
 * about restarts is in supervise.c and every message of keyd's in control.c. */
#ifndef HSM_LAUNCHER_SUPERVISE_H
#define HSM_LAUNCHER_SUPERVISE_H

#include <sys/types.h>

#include "base/log.h"
#include "hsm/launcher/anchor.h"
#include "hsm/launcher/boot.h"
#include "hsm/launcher/config.h"
#include "proto/wire.h"

enum proc_id { PROC_KEYD, PROC_STORE, PROC_FRONT, PROCS };

struct proc {
	pid_t pid; /* 0: not running */
	int pidfd;
	int64_t started;  /* monotonic ms, as all times here */
	int64_t due;	  /* to be started then; 0: not */
	int64_t kill_at;  /* SIGKILL then; 0: not */
	unsigned backoff; /* ms before the next restart */
	unsigned quick;	  /* quick failures in a row */
	bool killed;	  /* by us: its end says nothing about it */
};

enum stop { STOP_NO, STOP_FRONT, STOP_KEYD, STOP_STORE };

struct supervise {
	const struct config *cfg;
	const struct boot *boot;
	uint32_t warnings;
	struct anchor anchor;
	struct proc proc[PROCS];
	unsigned restarts; /* of any process since hsmd's start */
	int64_t started;

	int signals;		   /* signalfd */
	int listener;		   /* health */
	int control;		   /* channel to keyd, -1: none */
	struct wire_reader reader; /* of control */
	int link;		   /* one-byte packets of the front, -1: none */
	bool link_up;		   /* the front is connected to NATS */
	struct log_limit link_said;
	uint16_t link_why; /* why not: enum err_code, 0: not known */
	bool was_up;	   /* the front reported once since the start of hsmd */

	bool was_operational; /* keyd held its keys once since the start of hsmd */

	bool may_unlock; /* stored secrets count: false from lock until unlock */
	bool locking;	 /* keyd said LOCKED: its end is no failure */
	bool regroup;	 /* keyd ended: all three have to, then all start again */
	enum stop stop;
	int status; /* exit status of hsmd */

	bool known; /* hello is there */
	struct hello hello;
};

/* Runs the service until a signal or a failure that restarts cannot mend; returns the
 * exit status (0 after SIGTERM or SIGINT), or -1 when it could not start. The caller
 * has prepared cfg, boot, warnings, anchor, listener. */
int supervise_run(struct supervise *s, struct err *e);

/* Name of a process in log lines. */
const char *supervise_name(enum proc_id id);
/* Milliseconds since some start that never steps. */
int64_t supervise_now(void);
/* SIGKILL, because of what it did; it is restarted. */
void supervise_kill(struct supervise *s, enum proc_id id);
/* Stops everything in order; hsmd exits with status. */
void supervise_stop(struct supervise *s, int status);

#endif
