/* What the files of the applet `nats` share: the options that all commands take, merged
 * with NATS_* variables and the context; the connection; requests; and the groups of
 * commands, each a table in its own file, that nats.c puts together. */
#ifndef BOX_NATS_NATS_H
#define BOX_NATS_NATS_H

#include <jansson.h>
#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "box/nats/nats_ctx.h"
#include "box/nats/nats_fmt.h"
#include "box/nats/nats_out.h"
#include "conn/conn.h"
#include "ui/cli.h"
#include "json/json.h"

#define NATS_CLI_VERSION "0.4.0" /* the natscli whose commands and texts these are */

/* Tables of commands; each ends with {0}. */
extern const struct cli_cmd nats_pub_cmds[], nats_sub_cmds[], nats_req_cmds[], nats_reply_cmds[],
	nats_rtt_cmds[], nats_context_cmds[], nats_account_cmds[], nats_server_cmds[],
	nats_check_cmds[], nats_account_js_cmds[], nats_request_cmds[], nats_links_cmds[],
	nats_report_cmds[], nats_service_cmds[], nats_auth_cmds[], nats_bench_cmds[],
	nats_events_cmds[], nats_errors_cmds[], nats_graph_cmds[], nats_down_cmds[],
	nats_ping_cmds[], nats_counter_cmds[];

/* Of one run; cli->ctx. */
struct nats_run {
	struct nats_ctx ctx; /* the context with all options laid over it */
	bool loaded;	     /* ctx is filled */
	struct conn *conn;
	natsConnection *nc; /* NULL until nats_connect */
	int64_t timeout_ms; /* --timeout, 5000 */
	bool trace;
	char async_error[256];	/* what the server refused last: "Permissions Violation …" */
	int api_code;		/* err_code of the last JetStream API error, 0: none */
	natsSSLVerifyCb verify; /* of the connection, or NULL */
	void (*on_event)(void *arg, enum conn_event ev, const char *what);
	void *on_event_arg;
};

static inline struct nats_run *run_of(const struct cli *c)
{
	return c->ctx;
}

/* Values for completion (nats_complete.c). */
cli_values nats_values;
/* Lays options over variables over a context. Credentials that are given by one of these
 * take away all that lie below. */
void nats_overlay(struct cli *c, struct nats_ctx *x);
/* Reads options, variables and context (once). USAGE, CONFIG, IO. */
int nats_settings(struct cli *c, struct err *e);
/* A setting by its key in a context file ("url", "jetstream_domain", …); "" when unset.
 * After nats_settings. */
const char *nats_setting(const struct cli *c, const char *key);
/* Connects (once), to other servers than the setting's when url is not NULL. The run
 * closes the connection. */
int nats_connect(struct cli *c, struct err *e);
int nats_connect_to(struct cli *c, const char *url, struct conn **out, struct err *e);

/* One request: *reply is the caller's (natsMsg_Destroy). Errors: TIMEOUT, NO_RESPONDERS,
 * with natscli's texts. */
int nats_request(struct cli *c, const char *subject, const void *body, size_t n, natsMsg **reply,
		 struct err *e);
static inline void cleanup_msg(natsMsg **m)
{
	natsMsg_Destroy(*m);
}
/* Sends req (taken over; NULL: an empty body) as JSON and reads the reply as one object.
 * Errors: also BAD_JSON. */
int nats_request_json(struct cli *c, const char *subject, json_t *req, json_t **out, struct err *e);
/* The same to the JetStream API, with its prefix or domain in front of the formatted
 * subject ("STREAM.INFO.%s"). A reply with an error is the error "description
 * (err_code)", and run->api_code has the number. */
int nats_js_request(struct cli *c, json_t *req, json_t **out, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Subject below the JetStream API's prefix. */
int nats_js_subject(struct cli *c, char *out, size_t cap, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* One request, many replies, each to got (above 0 from it: enough). want < 0: all within
 * the time-out; 0: until 300 ms pass without one; > 0: that many. *count may be NULL. */
typedef int nats_got(void *arg, natsMsg *m, struct err *e);
int nats_gather(struct cli *c, const char *subject, const char *body, int want, nats_got *got,
		void *arg, size_t *count, struct err *e);
/* The same, the replies parsed into an array of objects; what is no JSON is an error. */
int nats_gather_json(struct cli *c, const char *subject, json_t *req, int want, json_t **out,
		     struct err *e);
/* What the server has refused since we connected ("Permissions Violation …"), "" nothing.
 * Certain after a flush. */
const char *nats_refusal(struct nats_run *r);
/* Fresh inbox below the connection's prefix; free() it. */
char *nats_inbox(struct cli *c);

/* Values of options. Absent: *out stays. */
int nats_opt_duration(const struct cli *c, const char *name, int64_t *ns, struct err *e);
int nats_opt_bytes(const struct cli *c, const char *name, int64_t *n, struct err *e);
/* A flag that is on by default unless --no-NAME, and the other way round. */
static inline bool nats_flag(const struct cli *c, const char *name, bool dflt)
{
	return cli_has(c, name) || (dflt && !cli_off(c, name));
}

/* Parses JSON of a server or of strangers; NULL: it is none. flags are jansson's. Whole
 * numbers beyond 64 bits with a sign (servers send 2^64-1) become the largest there is. */
json_t *nats_json(const void *p, size_t n, size_t flags);
static inline json_t *nats_msg_json(natsMsg *m, size_t flags)
{
	return nats_json(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m), flags);
}
/* Prints JSON indented by two, with a newline. j is not taken over. */
int nats_print_json(const json_t *j, struct err *e);
/* Members of a JSON object as C values; absent or of another type: "" and 0. Path steps
 * are separated by dots: "config.name". */
const json_t *jget(const json_t *obj, const char *path);
const char *jstr(const json_t *obj, const char *path);
int64_t jint(const json_t *obj, const char *path);
double jnum(const json_t *obj, const char *path);
bool jbool(const json_t *obj, const char *path);

/* Sum that stops at the ends of the range: numbers of a server may be absurd. */
int64_t nats_add(int64_t a, int64_t b);
/* Nanoseconds since a time, as far as 64 bits go. */
int64_t nats_ago(int64_t t);

/* Whether SIGINT or SIGTERM has come, for loops. nats_catch() switches it on. */
void nats_catch(void);
bool nats_stopped(void);
/* Waits until *done, a signal, or ns have passed (< 0: for ever). True when *done. */
bool nats_wait(volatile bool *done, int64_t ns);

/* A question with a default that a person at the terminal answers; without a terminal
 * the error natscli gives. 0: yes. */
int nats_confirm(const char *question, struct err *e);
/* Terminal on stdin and stdout. */
bool nats_is_terminal(void);

#endif
