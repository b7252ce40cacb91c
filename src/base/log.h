/* Diagnostics: one logfmt line to stderr per call, values escaped, so that a
 * hostile name cannot forge a line. Never pass a secret. This is not the audit
 * log. Threads may call it; each line is one write(2). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Called once at start, before threads: name stands in every line
 * (prog=hsm-keyd); debug switches LOG_DEBUG on. The name is not copied. */
void log_init(const char *prog, bool debug);

/* msg, then pairs of key and value strings, then NULL. */
void log_kv(enum log_level level, const char *msg, ...) __attribute__((sentinel));

#define log_debug(...) log_kv(LOG_DEBUG, __VA_ARGS__, (char *)NULL)
#define log_info(...) log_kv(LOG_INFO, __VA_ARGS__, (char *)NULL)
#define log_warn(...) log_kv(LOG_WARN, __VA_ARGS__, (char *)NULL)
#define log_error(...) log_kv(LOG_ERROR, __VA_ARGS__, (char *)NULL)

/* For lines that somebody else can cause: true for the first max calls of each 10 s. *left:
 * those that were not told since the last one that was, to be told with it. Threads may share
 * a limit ({0} at first); they may then tell a line too many. */
struct log_limit {
	_Atomic int64_t since; /* ms */
	_Atomic unsigned told, held;
};
bool log_limited(struct log_limit *l, unsigned max, unsigned *left);

/* A number as a value: log_info("started", "lanes", LOG_NUM(n)). */
#define LOG_NUM(x) log_num((char[24]){0}, (intmax_t)(x))
const char *log_num(char out[static 24], intmax_t v);

#endif
