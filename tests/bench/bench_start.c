/* Time to start, work and end: bench_start N BASE COMMAND [ARG…] runs BASE alone and the
 * command in turns, N times each, output to /dev/null, and prints the medians in
 * microseconds and their ratio. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

static double once(char **argv)
{
	posix_spawn_file_actions_t actions;
	struct timespec a, b;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) == 0)
		waitpid(pid, &status, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	posix_spawn_file_actions_destroy(&actions);
	if (status) {
		fprintf(stderr, "bench_start: %s failed\n", argv[0]);
		exit(1);
	}
	return (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
	CLEAN(free) double *base = n > 0 ? calloc((size_t)n, sizeof(*base)) : NULL;
	CLEAN(free) double *other = n > 0 ? calloc((size_t)n, sizeof(*other)) : NULL;

	if (!base || !other) {
		fputs("usage: bench_start N BASE COMMAND [ARG...]\n", stderr);
		return 2;
	}
	for (int i = 0; i < n; i++) {
		base[i] = once((char *[]){argv[2], NULL});
		other[i] = once(argv + 3);
	}
	qsort(base, (size_t)n, sizeof(*base), by_value);
	qsort(other, (size_t)n, sizeof(*other), by_value);
	printf("base=%.0f\nus=%.0f\nratio=%.2f\n", base[n / 2], other[n / 2],
	       other[n / 2] / base[n / 2]);
	return 0;
}
