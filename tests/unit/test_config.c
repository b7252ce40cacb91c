/* hsm/launcher: settings, configuration, administrators, and the small files beside
 * them (anchor, identity, health line). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "hsm/launcher/anchor.h"
#include "hsm/launcher/boot.h"
#include "hsm/launcher/config.h"
#include "hsm/launcher/health.h"
#include "hsm/launcher/identity.h"

static char dir[] = "/tmp/test_config-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][200];
	static unsigned i;

	i = (i + 1) % 4;
	(void)snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static const char *write_file(const char *name, const char *text)
{
	struct err e;

	assert_int_equal(file_replace(in_dir(name), text, strlen(text), 0600, &e), 0);
	return in_dir(name);
}

static int clean_env(void **state)
{
	const char *const *names = config_env_names();

	(void)state;
	for (size_t i = 0; names[i]; i++)
		unsetenv(names[i]);
	return 0;
}

static enum setting_source source_of(const struct config *c, const char *key)
{
	for (size_t i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].key, key) == 0)
			return c->source[i];
	fail_msg("no setting %s", key);
	return SOURCE_NONE;
}

static void test_table(void **state)
{
	(void)state;
	assert_string_equal(settings[0].key, "data"); /* "DATA/…" defaults need it first */
	for (size_t i = 0; i < NSETTINGS; i++) {
		assert_non_null(settings[i].key);
		assert_non_null(settings[i].help);
		assert_true(strlen(setting_kind_text(settings[i].kind)) > 0);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(settings[i].key, settings[k].key);
			if (settings[i].env && settings[k].env)
				assert_string_not_equal(settings[i].env, settings[k].env);
		}
	}
}

static void test_defaults(void **state)
{
	CLEAN(config) struct config c = {0};
	const char *empty = write_file("empty.yaml", "");
	struct err e;

	(void)state;
	assert_int_equal(config_load(&c, empty, &e), 0);
	assert_string_equal(c.data, "/data");
	assert_string_equal(c.health_socket, "/data/health.sock");
	assert_string_equal(c.identity_file, "/data/identity");
	assert_string_equal(c.nats_url, "nats://127.0.0.1:4222");
	assert_null(c.nats_creds);
	assert_null(c.anchor_file);
	assert_true(c.workers >= 1 && c.workers <= 32);
	assert_true(c.libexec_dir[0] == '/');
	assert_false(c.debug || c.landlock_waived);
	assert_int_equal(c.nbootstrap, 0);
	assert_int_equal(source_of(&c, "data"), SOURCE_DEFAULT);
	assert_int_equal(source_of(&c, "nats.creds"), SOURCE_NONE);
}

static void test_precedence(void **state)
{
	CLEAN(config) struct config c = {0};
	const char *file = write_file("c.yaml", "data: /from/file\n"
						"workers: 7\n"
						"landlock: waived\n"
						"debug_log: true\n"
						"anchor_file: ~\n"
						"nats:\n"
						"  url: nats://file\n"
						"  creds: /file/creds\n");
	struct err e;

	(void)state;
	setenv("NATS_URL", "nats://env", 1);
	setenv("HSM_DATA", "relative", 1);
	setenv("HSM_WORKERS", "", 1);
	setenv("HSM_LANDLOCK", "required", 1);
	assert_int_equal(config_load(&c, file, &e), 0);
	assert_string_equal(c.nats_url, "nats://env");
	assert_string_equal(c.nats_creds, "/file/creds");
	assert_true(c.data[0] == '/' && strstr(c.data, "/relative"));
	assert_true(strstr(c.health_socket, "/relative/health.sock") != NULL);
	assert_int_equal(c.workers, 7);
	assert_true(c.debug);
	assert_false(c.landlock_waived);
	assert_null(c.anchor_file);
	assert_int_equal(source_of(&c, "nats.url"), SOURCE_ENV);
	assert_int_equal(source_of(&c, "workers"), SOURCE_FILE);
}

static void refused(const char *yaml, const char *text)
{
	struct config c;
	struct err e = {0};

	if (config_load(&c, write_file("bad.yaml", yaml), &e) != -1) {
		config_free(&c);
		fail_msg("accepted: %s", yaml);
	}
	assert_int_equal(e.code, ERR_CONFIG);
	if (!strstr(e.text, text))
		fail_msg("'%s' is not in '%s'", text, e.text);
}

static void test_refusals(void **state)
{
	(void)state;
	refused("a: 1\n", "bad.yaml:1: unknown key 'a'");
	refused("\n\nnats: {x: 1}\n", "bad.yaml:3: unknown key 'x'");
	refused("nats.url: a\n", "unknown key 'nats.url'");
	refused("workers: -1\n", ":1: 'workers' must be from 0 to 32");
	refused("workers: 1.5\n", "whole number");
	refused("debug_log: yes\n", "true or false");
	refused("data: ''\n", ":1: 'data' is empty");
	refused("nats: x\n", "'nats' must be");
	refused("bootstrap_admins: x\n", "'bootstrap_admins' must be a list");
	refused("bootstrap_admins: [1]\n", "item 1 must be a string");
	refused("health_socket: "
		"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		"107");
}

static void test_admins(void **state)
{
	char text[NKEY_PUB_LEN], list[20 * 64] = "", yaml[sizeof(list) + 100];
	CLEAN(config) struct config c = {0};
	uint8_t key[32] = {0};
	struct err e;
	size_t n = 0;

	(void)state;
	for (uint8_t i = 0; i < BOOTSTRAP_MAX; i++) {
		key[0] = i;
		nkey_encode(text, NKEY_USER, key);
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? "," : "", text);
	}
	setenv("HSM_BOOTSTRAP_ADMINS", list, 1);
	assert_int_equal(config_load(&c, write_file("e.yaml", ""), &e), 0);
	assert_int_equal(c.nbootstrap, BOOTSTRAP_MAX);
	assert_string_equal(c.bootstrap[0].name, "admin");
	assert_string_equal(c.bootstrap[15].name, "admin-16");
	assert_int_equal(c.bootstrap[15].nkey[0], 15);
	config_free(&c);

	key[0] = 99;
	nkey_encode(text, NKEY_USER, key);
	(void)snprintf(list + n, sizeof(list) - n, ",x=%s", text);
	setenv("HSM_BOOTSTRAP_ADMINS", list, 1);
	assert_int_equal(config_load(&c, in_dir("e.yaml"), &e), -1);
	assert_non_null(strstr(e.text, "more than 16"));
	unsetenv("HSM_BOOTSTRAP_ADMINS");

	(void)snprintf(yaml, sizeof(yaml), "bootstrap_admins:\n- {name: zoe, nkey: %s}\n", text);
	assert_int_equal(config_load(&c, write_file("a.yaml", yaml), &e), 0);
	assert_int_equal(c.nbootstrap, 1);
	assert_string_equal(c.bootstrap[0].name, "zoe");
	config_free(&c);

	nkey_encode(text, NKEY_ACCOUNT, key);
	(void)snprintf(yaml, sizeof(yaml), "bootstrap_admins:\n- %s\n", text);
	refused(yaml, "bad.yaml:2: administrator admin");
	(void)snprintf(yaml, sizeof(yaml), "bootstrap_admins:\n- x: 1\n");
	refused(yaml, "bad.yaml:2: unknown key 'x'");
	memset(&c, 0, sizeof(c));
}

static void test_url_text(void **state)
{
	CLEAN(config) struct config c = {0};
	CLEAN(buf) struct buf b = {0};
	struct err e;

	(void)state;
	setenv("NATS_URL", "nats://u:p@h:1,h2,tls://tok@h3,u:p@h4", 1);
	assert_int_equal(config_load(&c, write_file("e.yaml", ""), &e), 0);
	buf_init(&b, 1000);
	for (size_t i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].key, "nats.url") == 0)
			config_value_text(&c, &settings[i], &b);
	buf_u8(&b, '\0');
	assert_string_equal((char *)b.p, "nats://…@h:1,h2,tls://…@h3,…@h4");
}

static void test_secrets(void **state)
{
	CLEAN(config) struct config c = {0};
	CLEAN(boot) struct boot b = {0};
	struct err e;

	(void)state;
	setenv("HSM_DEVICE_KEY", in_dir("key"), 1);
	setenv("UNLOCKPW", "passphrase", 1);
	write_file("key", "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n");
	assert_int_equal(boot_take_env(&b, &e), 0);
	assert_null(getenv("UNLOCKPW"));
	assert_int_equal(config_load(&c, write_file("e.yaml", ""), &e), 0);
	assert_int_equal(boot_secrets(&b, &c, &e), 0);
	assert_int_equal(b.device_key[31], 'B');
	assert_int_equal(b.passphrase.len, 10);
	boot_free(&b);

	write_file("key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	assert_int_equal(boot_secrets(&b, &c, &e), -1);
	assert_int_equal(e.code, ERR_NO_DEVICE_KEY);
}

static void test_warnings(void **state)
{
	CLEAN(buf) struct buf b = {0};

	(void)state;
	buf_init(&b, 100);
	boot_warnings_text(0, &b);
	buf_u8(&b, ' ');
	boot_warnings_text(WARN_SWAP | WARN_MEMLOCK | WARN_NO_LANDLOCK, &b);
	buf_u8(&b, '\0');
	assert_string_equal((char *)b.p, "none memlock,no-landlock,swap");
}

static void test_anchor(void **state)
{
	struct anchor a;
	struct err e;

	(void)state;
	assert_int_equal(anchor_load(&a, NULL, &e), 0);
	assert_int_equal(anchor_save(&a, "x", 1, &e), -1);
	assert_int_equal(anchor_load(&a, in_dir("anchor"), &e), 0);
	assert_int_equal(a.len, 0);
	assert_int_equal(anchor_save(&a, "abc", 3, &e), 0);
	assert_int_equal(a.len, 3);
	assert_int_equal(anchor_load(&a, in_dir("anchor"), &e), 0);
	assert_int_equal(a.len, 3);
	assert_memory_equal(a.bytes, "abc", 3);
	assert_int_equal(anchor_save(&a, "", 0, &e), -1);
	write_file("anchor",
		   "0123456789012345678901234567890123456789012345678901234567890123456789"
		   "012345678901234567890123456789");
	assert_int_equal(anchor_load(&a, in_dir("anchor"), &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
}

static void test_identity(void **state)
{
	char text[NKEY_PUB_LEN], was[NKEY_PUB_LEN];
	uint8_t one[32] = {1}, two[32] = {2};
	struct err e;

	(void)state;
	assert_int_equal(identity_read(in_dir("id"), text, &e), -1);
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_int_equal(identity_write(in_dir("id"), one, was, &e), 0);
	assert_string_equal(was, "");
	assert_int_equal(identity_read(in_dir("id"), text, &e), 0);
	assert_int_equal(text[0], 'X');
	assert_int_equal(identity_write(in_dir("id"), one, was, &e), 0);
	assert_string_equal(was, "");
	assert_int_equal(identity_write(in_dir("id"), two, was, &e), 0);
	assert_string_equal(was, text);
	write_file("id", "nonsense\n");
	assert_int_equal(identity_read(in_dir("id"), text, &e), -1);
	assert_int_equal(identity_write(in_dir("id"), two, was, &e), 0);
	assert_int_equal(identity_read(in_dir("id"), text, &e), 0);
}

static void judged(const char *line, bool ready, enum err_code code)
{
	struct err e = {0};
	int rc = health_judge(line, ready, &e);

	assert_int_equal(rc, code ? -1 : 0);
	assert_int_equal(e.code, code);
}

static void test_health(void **state)
{
	char v[8];

	(void)state;
	assert_int_equal(health_value("a=1 bc=22 c=333", "c", v, sizeof(v)), 0);
	assert_string_equal(v, "333");
	assert_int_equal(health_value("a=1 bc=22", "b", v, sizeof(v)), -1);
	assert_int_equal(health_value("a=12345678", "a", v, sizeof(v)), -1);
	judged("health=up state=locked problem=none", false, ERR_OK);
	judged("health=up state=locked problem=none", true, ERR_WRONG_STATE);
	judged("health=up state=operational problem=none", true, ERR_OK);
	judged("health=down state=operational problem=none", false, ERR_UNAVAILABLE);
	judged("health=problem state=locked problem=ROLLED_BACK", false, ERR_ROLLED_BACK);
	judged("health=problem state=locked problem=NEVER_HEARD", false, ERR_UNAVAILABLE);
	judged("hello", false, ERR_UNAVAILABLE);
	judged("", false, ERR_UNAVAILABLE);
}

/* NATS may still come, and is told of only when nothing of the HSM itself is wrong. */
static void test_health_order(void **state)
{
	static const struct {
		const char *nats, *keyd, *why, *problem;
		enum err_code code;
		const char *says;
	} t[] = {
		{"down", "up", "UNAVAILABLE", "STORE_DAMAGED", ERR_STORE_DAMAGED, "damaged"},
		{"down", "up", "UNAVAILABLE", "ROLLED_BACK", ERR_ROLLED_BACK, "rolled back"},
		{"down", "up", "DENIED", "WRONG_DEVICE_KEY", ERR_WRONG_DEVICE_KEY, "device key"},
		{"down", "up", "none", "STORE_NEWER", ERR_STORE_NEWER, "newer"},
		{"down", "up", "UNKNOWN_HOST", "STORE_FULL", ERR_STORE_FULL, "full"},
		{"down", "down", "UNAVAILABLE", "none", ERR_UNAVAILABLE, "hsm-keyd is down"},
		{"down", "up", "UNAVAILABLE", "none", ERR_UNAVAILABLE, "NATS is not connected"},
		{"up", "up", "none", "none", ERR_UNAVAILABLE, "starting or stopping"},
	};
	char line[HEALTH_LINE_MAX];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (int ready = 0; ready < 2; ready++) {
			(void)snprintf(line, sizeof(line),
				       "health=down state=locked nats=%s keyd=%s store=up "
				       "front=up nats_why=%s problem=%s warnings=none",
				       t[i].nats, t[i].keyd, t[i].why, t[i].problem);
			e = (struct err){0};
			assert_int_equal(health_judge(line, ready, &e), -1);
			assert_int_equal(e.code, t[i].code);
			if (!strstr(e.text, t[i].says))
				fail_msg("%s: says '%s', not '%s'", line, e.text, t[i].says);
		}
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() || !mkdtemp(dir);
}

static int teardown(void **state)
{
	static const char *const names[] = {"empty.yaml", "c.yaml", "bad.yaml", "e.yaml",
					    "a.yaml",	  "key",    "anchor",	"id"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_table, clean_env),
		cmocka_unit_test_setup(test_defaults, clean_env),
		cmocka_unit_test_setup(test_precedence, clean_env),
		cmocka_unit_test_setup(test_refusals, clean_env),
		cmocka_unit_test_setup(test_admins, clean_env),
		cmocka_unit_test_setup(test_url_text, clean_env),
		cmocka_unit_test_setup(test_secrets, clean_env),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_anchor),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_health_order),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
