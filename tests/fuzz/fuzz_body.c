/* Bodies of operations, hello, configuration and records: the first byte chooses the
 * form; what is accepted encodes to the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hsm/keyd/object.h"
#include "proto/body.h"
#include "proto/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WHOLE(type)                                                                                \
	static int again_##type(struct buf *out, const uint8_t *p, size_t n)                       \
	{                                                                                          \
		struct type v;                                                                     \
		struct err e;                                                                      \
                                                                                                   \
		if (type##_get(&v, p, n, &e))                                                      \
			return -1;                                                                 \
		type##_put(out, &v);                                                               \
		return 0;                                                                          \
	}
WHOLE(key_new)
WHOLE(list_query)
WHOLE(state_info)
WHOLE(audit_entry)
WHOLE(audit_head)
WHOLE(hello)

#define CURSOR(type)                                                                               \
	static int again_##type(struct buf *out, const uint8_t *p, size_t n)                       \
	{                                                                                          \
		struct type v;                                                                     \
		struct err e;                                                                      \
		struct rd r;                                                                       \
                                                                                                   \
		rd_init(&r, p, n);                                                                 \
		if (type##_get(&v, &r, &e) || !rd_end(&r))                                         \
			return -1;                                                                 \
		type##_put(out, &v);                                                               \
		return 0;                                                                          \
	}
CURSOR(user_info)
CURSOR(key_info)

/* hsmd is trusted, so unknown bits are its own affair: read only. */
static int read_config(struct buf *out, const uint8_t *p, size_t n)
{
	struct keyd_config c;
	struct err e;

	(void)out;
	if (keyd_config_get(&c, p, n, &e) == 0 &&
	    (c.nbootstrap > BOOTSTRAP_MAX || c.anchor_len > ANCHOR_LEN))
		abort();
	return -1;
}

static int record(struct buf *out, enum blob_kind kind, const uint8_t *p, size_t n)
{
	struct bytes priv = {NULL, 0};
	struct object *o = NULL;
	struct err e;

	if (object_decode(&o, kind, p, n, &priv, &e))
		return -1;
	object_encode(out, o, priv);
	object_free(o);
	return 0;
}

static int again_user(struct buf *out, const uint8_t *p, size_t n)
{
	return record(out, BLOB_USER, p, n);
}

static int again_key(struct buf *out, const uint8_t *p, size_t n)
{
	return record(out, BLOB_KEY, p, n);
}

static int again_idem(struct buf *out, const uint8_t *p, size_t n)
{
	return record(out, BLOB_IDEM, p, n);
}

static int (*const forms[])(struct buf *out, const uint8_t *p, size_t n) = {
	again_key_new,	  again_list_query, again_state_info, again_audit_entry,
	again_audit_head, again_hello,	    again_user_info,  again_key_info,
	read_config,	  again_user,	    again_key,	      again_idem,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(buf) struct buf b = {0};

	if (size < 1)
		return 0;
	buf_init(&b, 1u << 24);
	if (forms[data[0] % (sizeof(forms) / sizeof(forms[0]))](&b, data + 1, size - 1) == 0 &&
	    (b.bad || b.len != size - 1 || memcmp(b.p, data + 1, size - 1) != 0))
		abort();
	return 0;
}
