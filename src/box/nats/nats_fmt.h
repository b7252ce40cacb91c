/* Numbers, sizes, durations and times as Go's tools print and read them. The functions
 * write into the caller's buffer and return it; the macros make one in the expression. */
#ifndef BOX_NATS_NATS_FMT_H
#define BOX_NATS_NATS_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NS_MS INT64_C(1000000)
#define NS_S INT64_C(1000000000)

/* 1234567 as "1,234,567". */
#define COMMA(v) fmt_comma((char[32]){0}, (int64_t)(v))
const char *fmt_comma(char out[static 32], int64_t v);
/* 1234.56789 as "1,234.567": at most digits decimals, cut and not rounded. */
#define COMMAF(v, digits) fmt_commaf((char[64]){0}, (v), (digits))
const char *fmt_commaf(char out[static 64], double v, int digits);
/* 1234.5 as "1,234.50": always two decimals, rounded. */
#define FIXED2(v) fmt_fixed2((char[64]){0}, (v))
const char *fmt_fixed2(char out[static 64], double v);
/* 79691776 as "76 MiB", 82854982 as "83 MB". */
#define IBYTES(v) fmt_bytes((char[32]){0}, (uint64_t)(v), 1024)
#define SIBYTES(v) fmt_bytes((char[32]){0}, (uint64_t)(v), 1000)
const char *fmt_bytes(char out[static 32], uint64_t v, unsigned base);
/* Nanoseconds: "245µs", "1.50s", "1h2m3s", "2d0h0m1s"; INT64_MAX: "never". */
#define DURATION(ns) fmt_duration((char[48]){0}, (ns))
const char *fmt_duration(char out[static 48], int64_t ns);
/* Nanoseconds as Go's Duration.String(): "1.234567ms", "1m0s". */
#define GODURATION(ns) fmt_go_duration((char[48]){0}, (ns))
const char *fmt_go_duration(char out[static 48], int64_t ns);
/* Nanoseconds since 1970 as local "2006-01-02 15:04:05". */
#define LOCALTIME(ns) fmt_time((char[40]){0}, (ns))
const char *fmt_time(char out[static 40], int64_t ns);
/* The same from RFC 3339 text; "0001-01-01 00:00:00" for no text, the text if bad. */
#define LOCALTEXT(text) fmt_time_text((char[64]){0}, (text))
const char *fmt_time_text(char out[static 64], const char *text);
/* Nanoseconds since 1970 as RFC 3339; nanos: with the fraction, as Go's RFC3339Nano. */
const char *fmt_rfc3339(char out[static 48], int64_t ns, bool nanos, bool utc);

/* Now, since 1970 and monotonic. */
int64_t now_ns(void);
int64_t mono_ns(void);
/* RFC 3339 text to nanoseconds since 1970: 0, or -1 when it is none. A year before 1970
 * (Go's zero time) gives a negative number. */
int parse_rfc3339(const char *text, int64_t *ns);
/* "1.5h", "1d3h", "300ms", with the units ns us µs ms s m h d w M y. Error: USAGE. */
int parse_duration(const char *text, int64_t *ns, struct err *e);
/* "1K", "10MB", "1GiB", base 1024; below zero: -1. Error: USAGE. */
int parse_bytes(const char *text, int64_t *n, struct err *e);

#endif
