/* What check and diff decide by themselves: versions, names, secrets, ELF files cut off
 * anywhere. The rules over whole images are in tests/cli/check.t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/check/check.h"
#include "ocibuild/check/check_elf.h"
#include "ocibuild/check/check_known.h"
#include "ocibuild/check/check_secret.h"
#include "ocibuild/oci/diff.h"

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

/* deb-version(7), in the order that dpkg --compare-versions gives. */
static void versions(void **state)
{
	static const char *const order[] = {
		"~~",	    "~~a",   "~",   "0",    "0.1~rc1", "0.1-0~x", "0.1", "0.1-1", "0.1-1a",
		"0.1-1+b1", "0.1-2", "0.9", "0.10", "1",       "1a",	  "1+",	 "1.0~a", "1.0",
		"1.0-1",    "1.0a",  "2",   "10",   "1:0.1",   "1:0.1-1", "2:0",
	};
	size_t n = sizeof(order) / sizeof(order[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			if (sign(diff_version(order[i], order[k])) != (i > k) - (i < k))
				fail_msg("%s and %s", order[i], order[k]);
	assert_int_equal(diff_version("1.0", "0:1.0"), 0);
	assert_int_equal(diff_version("1.00", "1.0"), 0);
	assert_int_equal(diff_version("", ""), 0);
}

static void known_names(void **state)
{
	static const struct {
		const char *name, *what;
	} rows[] = {
		{"sh", "bash"},
		{"bash", "bash"},
		{"busybox.static", "busybox"},
		{"python3", "python"},
		{"perl5.40.1", "perl"},
		{"apt-get", "apt"},
		{"dpkg-deb", "dpkg"},
		{"nats-server", NULL},
		{"shred", NULL},
		{"pythonic", NULL},
		{"", NULL},
		{"rash", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct check_known *k = check_known_name(rows[i].name);

		if (!k != !rows[i].what || (k && strcmp(k->what, rows[i].what) != 0))
			fail_msg("%s is %s", rows[i].name, k ? k->what : "nothing");
	}
}

static void secrets(void **state)
{
	static const struct {
		const char *name, *value;
		bool found;
	} rows[] = {
		{"DB_PASSWORD", "hunter2", true},
		{"UNLOCKPW", "hunter2", true},
		{"TOKEN", "", false},
		{"TOKEN", "$OTHER", false},
		{"PASSWORD_FILE", "/run/secrets/x", false},
		{"PASSWORD", "/run/secrets/x", false},
		{"PATH", "/usr/bin:/bin", false},
		{"X", "ghp_0123456789abcdefghijklmnopqrstuvwxyz", true},
		{"X", "ghp_0123456789abcdefghijklmnopqrstuvwxy", false},
		{"X", "xghp_0123456789abcdefghijklmnopqrstuvwxyz", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!check_secret_variable(rows[i].name, rows[i].value) == rows[i].found)
			fail_msg("%s=%s", rows[i].name, rows[i].value);
	assert_non_null(check_secret_name("home/x/.ssh/id_ed25519"));
	assert_null(check_secret_name("home/x/.ssh/id_ed25519.pub"));
	assert_non_null(check_secret_name("root/.aws/credentials"));
	assert_null(check_secret_name("etc/aws/credentials"));
	/* a mark as the very last bytes */
	assert_null(check_secret_content("x", (const uint8_t *)"PRIVATE KEY-----", 16));
	assert_null(check_secret_content("etc/passwd", (const uint8_t *)"a:", 2));
}

/* Every beginning of a program, in memory of exactly its size. */
static void cut_off(void **state)
{
	CLEAN(buf) struct buf b = {0};
	struct check_elf elf;
	struct err e;

	(void)state;
	buf_init(&b, 256u << 20);
	assert_int_equal(file_read("/proc/self/exe", &b, &e), 0);
	check_elf_read(b.p, b.len, &elf);
	assert_false(elf.malformed || elf.foreign || elf.object || elf.fixed);
	assert_true(elf.program && elf.dynamic && elf.needs && elf.interp[0]);
	for (size_t n = 0; n < 4096; n++) {
		uint8_t *p = malloc(n ? n : 1);

		assert_non_null(p);
		memcpy(p, b.p, n);
		check_elf_read(p, n, &elf);
		free(p);
		assert_true(elf.malformed);
	}
}

static void rules(void **state)
{
	(void)state;
	for (const struct check_rule *r = check_rules; r->id; r++) {
		assert_true(r->variants && !(r->variants & ~(unsigned)CHECK_ALL));
		assert_true(*r->what && *r->fix && r->run);
		for (const struct check_rule *q = check_rules; q != r; q++)
			assert_string_not_equal(q->id, r->id);
	}
	assert_int_equal(check_variant_by_name("debug"), CHECK_DEBUG);
	assert_int_equal(check_variant_by_name("none"), 0);
	assert_string_equal(check_variant_name(CHECK_COMPAT), "compat");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions), cmocka_unit_test(known_names),
		cmocka_unit_test(secrets),  cmocka_unit_test(cut_off),
		cmocka_unit_test(rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
