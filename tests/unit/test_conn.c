/* Connections: against the real nats-server on loopback, and against a broker that
 * asks for signatures it must not get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "conn/conn.h"
#include "conn/conn_state.h"
#include "crypto/crypto.h"
#include "nkey/nkey.h"

static char dir[] = "/tmp/test_conn-XXXXXX";
static struct nkey user, stranger;
static char user_pub[NKEY_PUB_LEN];
static char user_file[64], stranger_file[64];

static void path_in(char *out, size_t cap, const char *name)
{
	(void)snprintf(out, cap, "%s/%s", dir, name);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	struct err e;

	if (file_replace(path, text, strlen(text), mode, &e))
		fail_msg("%s", e.text);
}

static void nap_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Listening socket on a free port of loopback. */
static int listen_on(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int free_port(void)
{
	int port, fd = listen_on(&port);

	close(fd);
	return port;
}

static bool answers(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return ok;
}

/* nats-server that knows one user; extra goes into its configuration. */
static pid_t server_start(int port, const char *extra)
{
	char conf[64], text[2048];

	path_in(conf, sizeof(conf), "nats.conf");
	(void)snprintf(text, sizeof(text),
		       "listen: \"127.0.0.1:%d\"\n"
		       "authorization { users: [ { nkey: %s, permissions { publish: [\"a.>\"], "
		       "subscribe: [\"a.>\", \"_INBOX.%s.>\"] } } ] }\n%s",
		       port, user_pub, user_pub, extra);
	write_file(conf, text, 0600);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execlp("nats-server", "nats-server", "-c", conf, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 200 && !answers(port); i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			fail_msg("nats-server does not start");
		nap_ms(25);
	}
	return pid;
}

static void server_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void url_of(char *out, size_t cap, const char *scheme, int port)
{
	(void)snprintf(out, cap, "%s://127.0.0.1:%d", scheme, port);
}

/* Opens and expects this refusal. */
static void refused(const struct conn_opts *o, enum err_code code, const char *needle)
{
	struct conn *c = NULL;
	struct err e = {0};

	if (conn_open(&c, o, &e) == 0) {
		conn_close(c);
		fail_msg("connected");
	}
	assert_null(c);
	if (e.code != code || !strstr(e.text, needle))
		fail_msg("got %d '%s', not %d '%s'", (int)e.code, e.text, (int)code, needle);
}

static void nonces(void **state)
{
	char longest[66];

	(void)state;
	assert_true(conn_nonce_ok("bV2AlrA-_xDmUZk"));
	assert_false(conn_nonce_ok(""));
	assert_false(conn_nonce_ok("eyJhbGciOi.eyJpYXQiOj"));
	assert_false(conn_nonce_ok("\xff"
				   "abc"));
	assert_false(conn_nonce_ok("abc def"));
	assert_false(conn_nonce_ok("abc="));
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	assert_true(conn_nonce_ok(longest));
	longest[64] = 'a';
	longest[65] = '\0';
	assert_false(conn_nonce_ok(longest));
}

static void bad_options(void **state)
{
	struct conn_opts o = {.url = "http://x:1", .quiet = true};
	char broken[64], text[256], user_seed[NKEY_SEED_LEN];

	(void)state;
	nkey_seed_text(&user, user_seed);
	refused(&o, ERR_CONFIG, "only nats:// and tls://");
	o.url = " , ";
	refused(&o, ERR_CONFIG, "empty");
	o.url = "nats://127.0.0.1:1";
	o.creds = "x";
	o.nkey = "y";
	refused(&o, ERR_CONFIG, "only one");
	o.creds = NULL;
	o.nkey = "/nonexistent/seed";
	refused(&o, ERR_IO, "/nonexistent/seed");
	o.nkey = NULL;
	/* a JWT that is none, and then the seed */
	path_in(broken, sizeof(broken), "broken.creds");
	(void)snprintf(text, sizeof(text),
		       "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n%s\n",
		       user_seed);
	write_file(broken, text, 0600);
	o.creds = broken;
	refused(&o, ERR_BAD_INPUT, "not a creds file");
	o.creds = NULL;
	o.ca = "/nonexistent/ca";
	refused(&o, ERR_IO, "/nonexistent/ca");
	o.ca = user_file;
	refused(&o, ERR_CONFIG, "no usable CA");
	o.ca = NULL;
	o.cert = user_file;
	refused(&o, ERR_CONFIG, "both cert and key");
}

static void from_environment(void **state)
{
	struct conn_opts o = {.nkey = "given"};

	(void)state;
	setenv("NATS_URL", "nats://h:1", 1);
	setenv("NATS_NKEY", "from-env", 1);
	setenv("NATS_CA", "", 1);
	conn_opts_env(&o);
	assert_string_equal(o.url, "nats://h:1");
	assert_string_equal(o.nkey, "given");
	assert_null(o.ca);
	unsetenv("NATS_URL");
	unsetenv("NATS_NKEY");
	unsetenv("NATS_CA");
}

static void time_for_each(void **state)
{
	static const struct {
		int64_t all;
		int n;
		int64_t each;
	} rows[] = {{0, 1, 5000},     {0, 2, 2500},	{0, 3, 2000},
		    {300, 1, 300},    {300, 4, 300},	{2000, 3, 2000},
		    {12000, 3, 4000}, {60000, 3, 5000}, {60000, 1, 5000}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(conn_each_ms(rows[i].all, rows[i].n), rows[i].each);
}

static void nobody_there(void **state)
{
	char url[64], secret_url[96];
	struct conn_opts o = {.url = url, .quiet = true, .timeout_ms = 500};

	(void)state;
	url_of(url, sizeof(url), "nats", free_port());
	refused(&o, ERR_UNAVAILABLE, "no NATS server answers");
	/* Messages carry no password of a URL. */
	url_of(url, sizeof(url), "nats", free_port());
	(void)snprintf(secret_url, sizeof(secret_url), "nats://joe:hunter2@%s", url + 7);
	o.url = secret_url;
	refused(&o, ERR_UNAVAILABLE, url);
}

static void connects(void **state)
{
	int port = free_port();
	pid_t pid = server_start(port, "");
	char url[128], server[128];
	struct conn_opts o = {.url = url, .nkey = user_file, .quiet = true, .name = "t"};
	struct conn *c = NULL;
	natsMsg *reply = NULL;
	struct err e = {0};
	natsSubscription *sub = NULL;

	(void)state;
	url_of(url, sizeof(url), "nats", port);
	if (conn_open(&c, &o, &e))
		fail_msg("%s", e.text);
	assert_true(conn_is_up(c));
	assert_string_equal(conn_user(c), user_pub);
	assert_int_equal(strncmp(conn_inbox(c), "_INBOX.U", 8), 0);
	conn_server(c, server, sizeof(server));
	assert_non_null(strstr(server, "127.0.0.1"));
	assert_null(strchr(server, '@'));
	natsStatus s = natsConnection_RequestString(&reply, conn_nats(c), "a.b", "x", 2000);

	assert_int_equal(conn_err(&e, s, "asking"), -1);
	assert_int_equal(e.code, ERR_NO_RESPONDERS);
	assert_int_equal(natsConnection_SubscribeSync(&sub, conn_nats(c), "a.*"), NATS_OK);
	assert_int_equal(natsConnection_PublishString(conn_nats(c), "a.b", "hello"), NATS_OK);
	assert_int_equal(natsSubscription_NextMsg(&reply, sub, 2000), NATS_OK);
	assert_string_equal(natsMsg_GetData(reply), "hello");
	natsMsg_Destroy(reply);
	/* A subscription that nobody reads holds a drain up to its deadline. */
	assert_int_equal(conn_drain(c, 100, &e), -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	natsSubscription_Destroy(sub);
	conn_close(c);

	/* creds of a user without a JWT */
	o.nkey = NULL;
	o.creds = user_file;
	if (conn_open(&c, &o, &e))
		fail_msg("%s", e.text);
	assert_string_equal(conn_user(c), user_pub);
	conn_close(c);
	o.creds = NULL;

	o.nkey = stranger_file;
	refused(&o, ERR_DENIED, "refuses these credentials");
	o.nkey = NULL;
	refused(&o, ERR_DENIED, "refuses these credentials");
	o.nkey = user_file;
	o.ca = NULL;
	o.tls = true;
	refused(&o, ERR_CONFIG, "does not offer TLS");
	server_stop(pid);
}

static volatile int ups, downs;

static void count(void *arg, enum conn_event ev, const char *what)
{
	(void)arg;
	(void)what;
	ups += ev == CONN_UP;
	downs += ev == CONN_DOWN;
}

static void wait_for(const volatile int *n, int want)
{
	for (int i = 0; i < 400 && *n < want; i++)
		nap_ms(25);
	assert_int_equal(*n, want);
}

static volatile int handled;

static void slow_handler(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	(void)sub;
	(void)arg;
	nap_ms(30);
	handled++;
	/* Replies of a draining service still leave. */
	natsConnection_PublishString(nc, "a.done", natsMsg_GetData(m));
	natsMsg_Destroy(m);
}

/* What was delivered before the end is answered before the end. */
static void drains(void **state)
{
	int port = free_port();
	pid_t pid = server_start(port, "");
	char url[64];
	struct conn_opts o = {.url = url, .nkey = user_file, .quiet = true};
	struct conn *service = NULL, *client = NULL;
	natsSubscription *sub = NULL, *done = NULL;
	natsMsg *m = NULL;
	struct err e = {0};

	(void)state;
	url_of(url, sizeof(url), "nats", port);
	assert_int_equal(conn_open(&service, &o, &e), 0);
	assert_int_equal(conn_open(&client, &o, &e), 0);
	assert_int_equal(
		natsConnection_Subscribe(&sub, conn_nats(service), "a.work", slow_handler, NULL),
		NATS_OK);
	assert_int_equal(natsConnection_SubscribeSync(&done, conn_nats(client), "a.done"), NATS_OK);
	assert_int_equal(natsConnection_Flush(conn_nats(service)), NATS_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(natsConnection_PublishString(conn_nats(client), "a.work", "x"),
				 NATS_OK);
	assert_int_equal(natsConnection_Flush(conn_nats(client)), NATS_OK);
	while (!handled)
		nap_ms(5);
	if (conn_drain(service, 3000, &e))
		fail_msg("%s", e.text);
	assert_int_equal(handled, 10);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(natsSubscription_NextMsg(&m, done, 2000), NATS_OK);
		natsMsg_Destroy(m);
	}
	natsSubscription_Destroy(sub);
	natsSubscription_Destroy(done);
	conn_close(service);
	conn_close(client);
	server_stop(pid);
}

/* A service starts before its broker, and outlives it. */
static void service_retries(void **state)
{
	int port = free_port();
	char url[64], server[64];
	struct conn_opts o = {
		.url = url, .nkey = user_file, .quiet = true, .service = true, .event = count};
	struct conn *c = NULL;
	natsSubscription *sub = NULL;
	natsMsg *m = NULL;
	struct err e = {0};
	pid_t pid;

	(void)state;
	url_of(url, sizeof(url), "nats", port);
	if (conn_open(&c, &o, &e))
		fail_msg("%s", e.text);
	assert_false(conn_is_up(c));
	conn_server(c, server, sizeof(server));
	assert_string_equal(server, "");
	/* Not connected: drained at once. */
	assert_int_equal(conn_drain(c, 1000, &e), 0);
	conn_close(c);
	assert_int_equal(conn_open(&c, &o, &e), 0);
	assert_int_equal(natsConnection_SubscribeSync(&sub, conn_nats(c), "a.*"), NATS_OK);
	pid = server_start(port, "");
	wait_for(&ups, 1);
	server_stop(pid);
	wait_for(&downs, 1);
	pid = server_start(port, "");
	wait_for(&ups, 2);
	assert_int_equal(natsConnection_PublishString(conn_nats(c), "a.b", "x"), NATS_OK);
	assert_int_equal(natsSubscription_NextMsg(&m, sub, 3000), NATS_OK);
	natsMsg_Destroy(m);
	natsSubscription_Destroy(sub);
	conn_close(c);
	server_stop(pid);
}

static void tls(void **state)
{
	char cmd[512], extra[512], url[64], ca[64], key[64];
	struct conn_opts o = {.url = url, .nkey = user_file, .quiet = true};
	int port = free_port();
	struct conn *c = NULL;
	struct err e = {0};
	pid_t pid;

	(void)state;
	path_in(ca, sizeof(ca), "ca.pem");
	path_in(key, sizeof(key), "key.pem");
	(void)snprintf(cmd, sizeof(cmd),
		       "exec openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		       "-subj /CN=t -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s "
		       "-days 2 2>/dev/null",
		       key, ca);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	int status = -1;

	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	(void)snprintf(extra, sizeof(extra), "tls { cert_file: \"%s\", key_file: \"%s\" }\n", ca,
		       key);
	pid = server_start(port, extra);
	url_of(url, sizeof(url), "nats", port);
	/* nobody vouches for the server, and no password or key goes to it */
	refused(&o, ERR_UNAVAILABLE, "TLS failed: SSL handshake error");
	url_of(url, sizeof(url), "tls", port);
	refused(&o, ERR_UNAVAILABLE, "TLS failed: SSL handshake error");
	o.ca = ca;
	if (conn_open(&c, &o, &e))
		fail_msg("%s", e.text);
	assert_true(conn_is_up(c));
	conn_close(c);
	server_stop(pid);
}

/* A broker of our own: one client, one INFO with the nonce, then what CONNECT says. */
struct rogue {
	int fd;
	const char *nonce;
	char got[4096];
};

static void *rogue_main(void *arg)
{
	struct rogue *r = arg;
	char info[512];
	size_t n = 0;
	int fd = accept(r->fd, NULL, NULL);

	(void)snprintf(info, sizeof(info),
		       "INFO {\"server_id\":\"R\",\"version\":\"2.11.15\",\"proto\":1,\"headers\":"
		       "true,\"max_payload\":1048576,\"nonce\":\"%s\",\"auth_required\":true}\r\n",
		       r->nonce);
	if (fd < 0 || write(fd, info, strlen(info)) < 0)
		return NULL;
	for (ssize_t k;
	     n < sizeof(r->got) - 1 && (k = read(fd, r->got + n, sizeof(r->got) - 1 - n)) > 0;) {
		n += (size_t)k;
		r->got[n] = '\0';
		if (strstr(r->got, "PING"))
			break;
	}
	(void)!write(fd, "PONG\r\n", 6);
	nap_ms(50);
	close(fd);
	return NULL;
}

/* Connects to a rogue; what it was told. */
static void meet_rogue(struct rogue *r, const char *nonce, enum err_code want)
{
	struct conn_opts o = {.nkey = user_file, .quiet = true, .timeout_ms = 1000};
	struct conn *c = NULL;
	struct err e = {0};
	pthread_t t;
	char url[64];
	int port;

	memset(r, 0, sizeof(*r));
	r->nonce = nonce;
	r->fd = listen_on(&port);
	url_of(url, sizeof(url), "nats", port);
	o.url = url;
	assert_int_equal(pthread_create(&t, NULL, rogue_main, r), 0);
	if (conn_open(&c, &o, &e) == 0)
		conn_close(c);
	pthread_join(t, NULL);
	close(r->fd);
	if (e.code != want)
		fail_msg("got %d '%s'", (int)e.code, e.text);
}

static void rogue_broker(void **state)
{
	static const char *const wanted[] = {
		/* a JWT's signing input; a Signbox message; text with a space */
		"eyJ0eXAiOiJKV1QifQ.eyJpc3MiOiJVIn0",
		"\\u00ff\\u0000signbox\\u0001",
		"transfer 100",
	};
	static const char good[] = "Zm9vYmFyMTIzNDU";
	struct rogue r;
	char *sig, *end;
	uint8_t raw[64];
	struct err e;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		meet_rogue(&r, wanted[i], ERR_DENIED);
		assert_null(strstr(r.got, "\"sig\":\"A"));
		sig = strstr(r.got, "\"sig\":\"");
		if (sig && sig[7] != '"')
			fail_msg("signed '%s': %.300s", wanted[i], r.got);
	}
	/* An honest nonce is signed, exactly it and nothing around it. */
	meet_rogue(&r, good, ERR_OK);
	sig = strstr(r.got, "\"sig\":\"");
	assert_non_null(sig);
	sig += 7;
	end = strchr(sig, '"');
	assert_non_null(end);
	while (end > sig && end[-1] == '=')
		end--;
	assert_int_equal(enc_unbase64(raw, 64, &n, sig, (size_t)(end - sig), ENC_URL), 0);
	assert_int_equal(nkey_verify(user.pub, raw, good, strlen(good), &e), 0);
	/* The seed is nowhere in what the broker saw. */
	char seed[NKEY_SEED_LEN];

	nkey_seed_text(&user, seed);
	assert_null(strstr(r.got, seed));
}

static int setup(void **state)
{
	char seed[NKEY_SEED_LEN];
	struct err e;

	(void)state;
	/* The libraries under test write to sockets whose other end is gone. */
	signal(SIGPIPE, SIG_IGN);
	if (crypto_init() || !mkdtemp(dir) || nkey_generate(&user, NKEY_USER, &e) ||
	    nkey_generate(&stranger, NKEY_USER, &e))
		return -1;
	path_in(user_file, sizeof(user_file), "user.nk");
	path_in(stranger_file, sizeof(stranger_file), "stranger.nk");
	nkey_seed_text(&user, seed);
	write_file(user_file, seed, 0600);
	nkey_seed_text(&stranger, seed);
	write_file(stranger_file, seed, 0600);
	nkey_pub_text(&user, user_pub);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"user.nk",	 "stranger.nk", "broken.creds",
					    "nats.conf", "ca.pem",	"key.pem"};
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_in(path, sizeof(path), names[i]);
		unlink(path);
	}
	nkey_clear(&user);
	nkey_clear(&stranger);
	conn_library_close();
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonces),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(from_environment),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(time_for_each),
		cmocka_unit_test(connects),
		cmocka_unit_test(drains),
		cmocka_unit_test(service_retries),
		cmocka_unit_test(tls),
		cmocka_unit_test(rogue_broker),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
