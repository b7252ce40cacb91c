/* Runs another program without a shell: standard output is captured, standard
 * error goes to a log whose last line becomes the error's text. */
#ifndef OCIBUILD_RUN_H
#define OCIBUILD_RUN_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct run {
	const char *const *argv; /* NULL-terminated; argv[0] is searched in PATH */
	const char *const *env;	 /* NAME=VALUE on top of our environment; NULL: none */
	const char *log;	 /* file for standard error; NULL: kept in memory */
	struct buf *out;	 /* standard output; NULL: it goes to the log too */
	int in_fd;		 /* >0: standard input; otherwise there is none */
	int out_fd;		 /* >0: standard output goes there instead of out */
	bool own_mounts;	 /* as root: what it mounts is gone when it ends, however it ends */
};

/* Waits for the program; any exit status but 0 is ERR_TOOL. The child has
 * umask 022, LC_ALL=C and TZ=UTC, so that it behaves the same on every host. */
int run_program(const struct run *r, struct err *e);

/* rm -rf, staying on one file system; what is not there is no error. */
int run_remove_tree(const char *path, struct err *e);

/* The two halves, for a caller that reads out_fd's other end in between. */
struct run_child {
	int pid;
	int log_fd;
	int out_fd; /* read end for r->out, else -1 */
};
int run_start(const struct run *r, struct run_child *c, struct err *e);
int run_wait(const struct run *r, struct run_child *c, struct err *e);

#endif
