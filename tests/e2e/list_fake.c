/* A false HSM whose lists are wrong. Arguments: the server's URL, and how:
 *   end N      N users and keys in order, as they should be
 *   forever    ever more of them, in order
 *   circle     the same page again and again, which says that there is more
 *   back       in the wrong order
 *   stranger   names that nobody asked for by their prefix
 *   empty      nothing on a page that says that there is more
 * Prints its identity and serves until standard input ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "e2e/lib/fake_hsm.h"
#include "proto/body.h"

static const char *how;
static unsigned long end;

static void item(struct buf *out, bool key, const char *name)
{
	struct user_info u = {.role = ROLE_OPERATOR};
	static const uint8_t pub[32];
	struct key_info k = {.version = 1, .type = 1, .pub = {pub, sizeof(pub)}};

	u.name = k.name = (struct bytes){(const uint8_t *)name, strlen(name)};
	if (key)
		key_info_put(out, &k);
	else
		user_info_put(out, &u);
}

static void page(const struct request *q, struct buf *out)
{
	bool key = q->op == OP_key_list;
	unsigned long first = 0, n = LIST_MAX, left;
	struct list_query l;
	char name[32] = "";

	if (list_query_get(&l, q->body.p, q->body.len, NULL))
		return;
	if (l.after.len > 1 && l.after.len < sizeof(name) && strcmp(how, "circle") != 0) {
		memcpy(name, l.after.p, l.after.len);
		first = strtoul(name + 1, NULL, 10) + 1;
	}
	left = end > first ? end - first : 0;
	if (end && left < n)
		n = left;
	if (strcmp(how, "empty") == 0)
		n = 0;
	buf_u8(out, !end || left > n);
	buf_u16(out, (uint16_t)n);
	for (unsigned long i = 0; i < n; i++) {
		unsigned long at = strcmp(how, "back") == 0 ? first + n - 1 - i : first + i;

		(void)snprintf(name, sizeof(name), "%c%08lu",
			       strcmp(how, "stranger") == 0 ? 'x' : 'u', at);
		item(out, key, name);
	}
}

static void body(struct fake_hsm *f, const struct request *q, struct buf *out)
{
	struct state_info s = {.hello = {.state = STATE_OPERATIONAL, .epoch = 5}};

	(void)f;
	if (q->op == OP_state)
		state_info_put(out, &s);
	else if (q->op == OP_config_get)
		buf_u8(out, 0);
	else if (q->op == OP_user_list || q->op == OP_key_list)
		page(q, out);
}

int main(int argc, char **argv)
{
	static struct fake_hsm f = {.body = body};
	char text[NKEY_PUB_LEN], c;

	if (argc < 3 || crypto_init())
		return 2;
	how = argv[2];
	end = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	if (fake_hsm_start(&f, argv[1]))
		return 1;
	nkey_encode(text, NKEY_CURVE, f.pub);
	(void)puts(text);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	fake_hsm_stop(&f);
	conn_library_close();
	return 0;
}
