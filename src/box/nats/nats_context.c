/* nats context: the files that hold how to reach which servers. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "box/nats/nats.h"

/* "OK" or "ERROR": can the file be read? Counts what is wrong. */
static const char *file_state(const char *path, int *bad)
{
	if (strncmp(path, "op://", 5) == 0)
		return "1Password";
	if (strncmp(path, "file://", 7) == 0)
		path += 7;
	if (strncmp(path, "env://", 6) == 0 || strncmp(path, "data:", 5) == 0 ||
	    access(path, R_OK) == 0)
		return "OK";
	++*bad;
	return "ERROR";
}

static void add_file(struct cols *cols, const char *label, const struct nats_ctx *x,
		     const char *key, int *bad)
{
	const char *path = ctx_get(x, key);

	if (!*path)
		return;
	const char *state = file_state(path, bad);

	/* What is in the setting itself is a secret. */
	cols_row(cols, label, "%s (%s)", strncmp(path, "data:", 5) == 0 ? "data:…" : path, state);
}

/* Connects as the context says. */
static void add_connection(struct cli *c, struct cols *cols, struct nats_ctx *x, int *bad)
{
	struct nats_run *r = run_of(c);
	struct nats_ctx kept = r->ctx;
	bool loaded = r->loaded;
	struct conn *conn = NULL;
	struct err e;

	r->ctx = *x;
	r->loaded = true;
	if (!*ctx_get(x, "url"))
		ctx_set(x, "url", "nats://127.0.0.1:4222");
	int rc = nats_connect_to(c, NULL, &conn, &e);

	conn_close(conn);
	r->ctx = kept;
	r->loaded = loaded;
	*bad += rc != 0;
	cols_row(cols, "Connection", "%s", rc ? e.text : "OK");
}

static void overrides(void)
{
	bool any = false;

	for (const struct ctx_field *f = ctx_fields; f->key; f++) {
		const char *v = f->env ? getenv(f->env) : NULL;

		if (!v || !*v)
			continue;
		printf("%s%s", any ? ", " : "WARNING: Shell environment overrides in place using ",
		       f->env);
		any = true;
	}
	if (any)
		putchar('\n');
}

static int show(struct cli *c, const char *name, int *bad, struct err *e)
{
	CLEAN(ctx) struct nats_ctx x = {0};
	char selected[256];

	if (!*name) {
		ctx_selected(selected);
		name = selected;
	}
	if (!*name)
		return err_set(e, ERR_USAGE, "no default context and no name supplied");
	if (!ctx_name_ok(name))
		return err_set(e, ERR_BAD_NAME, "invalid context name \"%.80s\"", name);
	if (ctx_load(&x, name, e))
		return -1;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = json_pack("{s:s}", "name", name);

		(void)json_object_update(j, x.j);
		return nats_print_json(j, e);
	}
	CLEAN(cols) struct cols *cols = cols_new("NATS Configuration Context \"%s\"", name);

	cols_some(cols, "Description", ctx_get(&x, "description"));
	cols_some(cols, "Server URLs",
		  *ctx_get(&x, "url") ? ctx_get(&x, "url") : "nats://127.0.0.1:4222");
	cols_some(cols, "SOCKS5 Proxy", ctx_get(&x, "socks_proxy"));
	cols_some(cols, "Username", ctx_get(&x, "user"));
	if (*ctx_get(&x, "password"))
		cols_row(cols, "Password", "%s", "********");
	if (*ctx_get(&x, "token"))
		cols_row(cols, "Token", "%s", "********");
	add_file(cols, "Credentials", &x, "creds", bad);
	add_file(cols, "NKey", &x, "nkey", bad);
	add_file(cols, "Certificate", &x, "cert", bad);
	add_file(cols, "Key", &x, "key", bad);
	add_file(cols, "CA", &x, "ca", bad);
	if (ctx_flag(&x, "tls_first"))
		cols_row(cols, "TLS First", "true");
	cols_some(cols, "NSC Lookup", ctx_get(&x, "nsc"));
	cols_some(cols, "JS API Prefix", ctx_get(&x, "jetstream_api_prefix"));
	cols_some(cols, "JS Event Prefix", ctx_get(&x, "jetstream_event_prefix"));
	cols_some(cols, "JS Domain", ctx_get(&x, "jetstream_domain"));
	cols_some(cols, "Inbox Prefix", ctx_get(&x, "inbox_prefix"));
	cols_some(cols, "Path", x.path);
	cols_some(cols, "Color Scheme", ctx_get(&x, "color_scheme"));
	if (cli_has(c, "connect"))
		add_connection(c, cols, &x, bad);
	cols_print(cols, stdout);
	putchar('\n');
	overrides();
	return 0;
}

static int ctx_info(struct cli *c, struct err *e)
{
	int bad = 0;

	return show(c, c->argc ? c->argv[0] : "", &bad, e);
}

/* Options and variables that are given go into a context. */
static void take_options(struct cli *c, struct nats_ctx *x)
{
	const char *nsc = cli_str(c, "nsc");

	/* Once so that it has no default URL, once so that credentials besides are refused. */
	if (nsc)
		ctx_set(x, "nsc", nsc);
	nats_overlay(c, x);
	if (nsc)
		ctx_set(x, "nsc", nsc);
	if (cli_str(c, "description"))
		ctx_set(x, "description", cli_str(c, "description"));
}

/* Makes context name out of source ("" for none) and what was given. */
static int create(struct cli *c, const char *name, const char *source, struct err *e)
{
	CLEAN(ctx) struct nats_ctx x = {0};
	int bad = 0;

	if (!ctx_name_ok(name))
		return err_set(e, ERR_BAD_NAME, "invalid context name \"%.80s\"", name);
	if (*source ? ctx_load(&x, source, e) : ctx_new(&x, name, e))
		return -1;
	free(x.name);
	x.name = strdup(name);
	if (!x.name)
		return err_set(e, ERR_NOMEM, NULL);
	take_options(c, &x);
	if (ctx_save(&x, e) || (cli_has(c, "select") && ctx_select(name, e)))
		return -1;
	return show(c, name, &bad, e);
}

static int ctx_add(struct cli *c, struct err *e)
{
	const char *from = cli_str(c, "context"), *name = c->argv[0];

	from = from ? from : getenv("NATS_CONTEXT");
	return create(c, name, ctx_known(name) ? name : from ? from : "", e);
}

static int ctx_copy(struct cli *c, struct err *e)
{
	const char *from = c->argv[0], *name = c->argv[1];

	if (!ctx_known(from))
		return err_set(e, ERR_NOT_FOUND, "unknown context \"%.80s\"", from);
	if (ctx_known(name))
		return err_set(e, ERR_EXISTS, "context \"%.80s\" already exist", name);
	return create(c, name, from, e);
}

/* The copy that is edited, with the context's password: it goes however we end. */
static char copy[4200];

static void on_end(int sig)
{
	(void)unlink(copy);
	/* The default action is back, and comes when this has returned. */
	(void)raise(sig);
}

/* Runs $EDITOR on the copy, and waits. Control-C is the editor's meanwhile. */
static int run_editor(const char *editor, struct err *e)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction old_int, old_quit;
	int status = 0;
	pid_t pid, got;

	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	pid = fork();
	if (pid == 0) {
		sigaction(SIGINT, &old_int, NULL);
		sigaction(SIGQUIT, &old_quit, NULL);
		execlp(editor, editor, copy, (char *)NULL);
		_exit(127);
	}
	do
		got = pid < 0 ? -1 : waitpid(pid, &status, 0);
	while (got < 0 && pid > 0 && errno == EINTR);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	if (pid < 0)
		return err_errno(e, ERR_TOOL, "fork");
	if (got < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_TOOL, "the editor %.60s failed: nothing was changed", editor);
	return 0;
}

/* b: what is to be edited, then what became of it. */
static int edit(const char *path, struct buf *b, struct err *e)
{
	const struct sigaction end = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
	const int signals[] = {SIGTERM, SIGHUP};
	const char *editor = getenv("EDITOR");
	struct sigaction old[2];
	int rc;

	if (!editor || !*editor)
		return err_set(e, ERR_USAGE,
			       "set EDITOR to the program that edits, or use 'nats context add'");
	(void)snprintf(copy, sizeof(copy), "%s.%d.tmp", path, (int)getpid());
	for (int i = 0; i < 2; i++)
		(void)(sigaction(signals[i], NULL, &old[i]) == 0 && old[i].sa_handler != SIG_IGN &&
		       sigaction(signals[i], &end, NULL));
	rc = file_replace(copy, b->p, b->len, 0600, e);
	if (rc == 0)
		rc = run_editor(editor, e);
	buf_reset(b);
	if (rc == 0)
		rc = file_read(copy, b, e);
	(void)unlink(copy);
	for (int i = 0; i < 2; i++)
		sigaction(signals[i], &old[i], NULL);
	return rc;
}

/* A copy is edited; it becomes the context only when it is one. */
static int ctx_edit(struct cli *c, struct err *e)
{
	const char *name = c->argv[0];
	char path[4096];
	CLEAN(ctx) struct nats_ctx x = {0};
	CLEAN(buf) struct buf b = {0};
	int bad = 0;

	buf_init(&b, 1 << 20);
	b.secret = true;
	if (!ctx_known(name))
		return err_set(e, ERR_NOT_FOUND, "unknown context \"%.80s\"", name);
	if (ctx_path(path, sizeof(path), name, e) || file_read(path, &b, e) || edit(path, &b, e) ||
	    ctx_new(&x, name, e))
		return -1;
	if (ctx_parse(&x, "the edited context", b.len ? b.p : (const void *)"", b.len, e) ||
	    ctx_save(&x, e))
		return err_wrap(e, "nothing was changed");
	return show(c, name, &bad, e);
}

static void list_table(char **names, size_t n, const char *current)
{
	CLEAN(nt) struct nt *t = nt_new("Known Contexts");
	struct err e;

	nt_head(t, "Name", "Description", NULL);
	for (size_t i = 0; i < n; i++) {
		CLEAN(ctx) struct nats_ctx x = {0};

		if (ctx_load(&x, names[i], &e)) {
			nats_log("Could not load context %s: %s", names[i], e.text);
			continue;
		}
		nt_fmt(t, "%s%s", names[i], strcmp(names[i], current) == 0 ? "*" : "");
		nt_text(t, ctx_get(&x, "description"));
	}
	if (nt_rows(t)) {
		nt_print(t);
		putchar('\n');
	} else {
		puts("No known contexts");
	}
}

static int list_json(char **names, size_t n, struct err *e)
{
	CLEAN(json) json_t *all = json_array();
	struct err why;

	for (size_t i = 0; i < n; i++) {
		CLEAN(ctx) struct nats_ctx x = {0};

		if (ctx_load(&x, names[i], &why)) {
			nats_log("Could not load context %s: %s", names[i], why.text);
			continue;
		}
		json_t *j = json_pack("{s:s}", "name", names[i]);

		(void)json_object_update(j, x.j);
		(void)json_array_append_new(all, j);
	}
	return nats_print_json(all, e);
}

static int ctx_ls(struct cli *c, struct err *e)
{
	char current[256];
	size_t n;
	char **names = ctx_names(&n);
	int r = 0;

	ctx_selected(current);
	if (cli_has(c, "json")) {
		r = list_json(names, n, e);
	} else if (cli_has(c, "names")) {
		for (size_t i = 0; i < n; i++)
			puts(names[i]);
	} else if (cli_has(c, "completion")) {
		for (size_t i = 0; i < n; i++)
			printf("%s%s:\n", names[i], strcmp(names[i], current) == 0 ? "*" : "");
	} else {
		list_table(names, n, current);
	}
	ctx_names_free(names);
	return r;
}

static int ctx_rm(struct cli *c, struct err *e)
{
	const char *name = c->argv[0];
	bool force = cli_has(c, "force");
	char current[256], question[300];

	if (!ctx_name_ok(name))
		return err_set(e, ERR_BAD_NAME, "invalid context name \"%.80s\"", name);
	ctx_selected(current);
	if (strcmp(current, name) == 0 && !force)
		return err_set(e, ERR_WRONG_STATE,
			       "cannot remove the selected context, select another one or use the "
			       "unselect command");
	(void)snprintf(question, sizeof(question), "Really delete context \"%s\"", name);
	if (!force && nats_confirm(question, e))
		return err_wrap(e, "could not obtain confirmation");
	if (strcmp(current, name) == 0 && ctx_unselect(e))
		return -1;
	if (!ctx_known(name))
		return err_set(e, ERR_NOT_FOUND, "unknown context \"%.80s\"", name);
	return ctx_delete(name, e);
}

static int ctx_select_cmd(struct cli *c, struct err *e)
{
	size_t n;
	int bad = 0;

	ctx_names_free(ctx_names(&n));
	if (!n)
		return err_set(e, ERR_NOT_FOUND, "no context defined");
	if (!c->argc)
		return cli_usage(e, "please name the context to select");
	if (ctx_select(c->argv[0], e))
		return -1;
	return show(c, c->argv[0], &bad, e);
}

static int ctx_unselect_cmd(struct cli *c, struct err *e)
{
	char current[256];

	(void)c;
	ctx_selected(current);
	if (!*current) {
		puts("No context currently selected");
		return 0;
	}
	if (ctx_unselect(e))
		return -1;
	printf("Unselected the \"%s\" context\n", current);
	return 0;
}

static int ctx_previous_cmd(struct cli *c, struct err *e)
{
	char name[256];
	int bad = 0;

	ctx_previous(name);
	if (*name && ctx_select(name, e))
		return -1;
	return show(c, name, &bad, e);
}

static int ctx_validate_cmd(struct cli *c, struct err *e)
{
	size_t n = 0;
	char **names = c->argc ? NULL : ctx_names(&n);
	int bad = 0;

	for (size_t i = 0; i < (c->argc ? 1 : n); i++) {
		const char *name = c->argc ? c->argv[0] : names[i];
		struct err why;

		if (show(c, name, &bad, &why)) {
			printf("Could not load %s: %s\n\n", name, why.text);
			bad++;
		}
		putchar('\n');
	}
	ctx_names_free(names);
	return bad ? err_set(e, ERR_BAD_INPUT, "validation failed") : 0;
}

static const struct cli_opt make_opts[] = {
	{"description", 0, "TEXT", "Description of the context"},
	{"select", 0, NULL, "Select it"},
	{"nsc", 0, "URL", "nsc://OPERATOR/ACCOUNT/USER, kept for natscli"},
	{0},
};

static const struct cli_opt show_opts[] = {
	{"json", 'j', NULL, "Print JSON, secrets too"},
	{"connect", 0, NULL, "Try to connect"},
	{0},
};

static const struct cli_opt ls_opts[] = {
	{"json", 'j', NULL, "Print JSON, secrets too"},
	{"names", 0, NULL, "Print the names only"},
	{"completion", 0, NULL, "Print for a shell's completion"},
	{0},
};

static const struct cli_opt rm_opts[] = {{"force", 'f', NULL, "Do not ask"}, {0}};
static const struct cli_opt validate_opts[] = {{"connect", 0, NULL, "Try to connect"}, {0}};

static const char *const add_examples[] = {
	"nats context add dev --server nats://127.0.0.1:4222 --select",
	"nats context add prod --server tls://n1,tls://n2 --creds ~/prod.creds "
	"--description 'Production'",
	NULL,
};

#define CTX "context|ctx "

const struct cli_cmd nats_context_cmds[] = {
	{.path = CTX "add|create|save",
	 .help = "Make or change a context from the options given",
	 .args = "NAME",
	 .opts = make_opts,
	 .run = ctx_add,
	 .examples = add_examples},
	{.path = CTX "copy|cp",
	 .help = "Copy a context, changed by the options given",
	 .args = "SOURCE NAME",
	 .opts = make_opts,
	 .run = ctx_copy},
	{.path = CTX "edit|vi",
	 .help = "Edit a context with $EDITOR",
	 .args = "NAME",
	 .run = ctx_edit},
	{.path = CTX "ls|list|l", .help = "List contexts", .opts = ls_opts, .run = ctx_ls},
	{.path = CTX "rm|remove",
	 .help = "Remove a context",
	 .args = "NAME",
	 .opts = rm_opts,
	 .run = ctx_rm},
	{.path = CTX "select|switch|set",
	 .help = "Select the context that commands use",
	 .args = "[NAME]",
	 .run = ctx_select_cmd},
	{.path = CTX "unselect", .help = "Select none", .run = ctx_unselect_cmd},
	{.path = CTX "info|show|v|view",
	 .help = "Show a context",
	 .args = "[NAME]",
	 .opts = show_opts,
	 .run = ctx_info},
	{.path = CTX "validate",
	 .help = "Check one or all contexts",
	 .args = "[NAME]",
	 .opts = validate_opts,
	 .run = ctx_validate_cmd},
	{.path = CTX "previous|-",
	 .help = "Select the context that was selected before",
	 .run = ctx_previous_cmd},
	{0},
};
