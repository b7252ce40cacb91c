/* What the launcher tells keyd at its start, and what keyd tells front and
 * launcher about itself. Keyd parses no text: the launcher has read the files. */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define BOOTSTRAP_MAX 16
#define ANCHOR_LEN 96  /* anchor file: bytes that only keyd understands */
#define INSTANCE_LEN 8 /* random per start of keyd; hex in subjects */
#define BOOT_ID_LEN 16
#define NAME_MAX_LEN 128 /* user, key and namespace names */

/* Names: 1..128 of [A-Za-z0-9_.-], not starting with _ . - and without empty
 * dot-separated parts (key names are tails of NATS subjects). */
bool name_valid(const void *p, size_t n);

/* Bits of keyd_config.warnings and hello.warnings, shown in `state`. */
enum warning {
	WARN_MEMLOCK = 1,     /* memory-lock limit too small: keys may be swapped */
	WARN_ENTROPY = 2,     /* kernel's generator was not ready at start */
	WARN_NO_LANDLOCK = 4, /* waived by configuration */
	WARN_NO_ANCHOR =
		8,	/* no anchor is configured: whole-store roll-back shows only to clients */
	WARN_SWAP = 16, /* swap is on and memory is not locked */
	WARN_TESTING = 32, /* set up by the test image: its secrets were printed */
};

struct bootstrap {
	uint8_t nkey[32]; /* Ed25519 public key */
	char name[NAME_MAX_LEN + 1];
};

struct keyd_config {
	uint8_t device_key[32];
	const uint8_t *passphrase; /* stored unlock passphrase, NULL when none */
	size_t passphrase_len;
	bool may_unlock; /* stored secrets and unattended boot count (not after lock) */
	bool debug;
	bool no_sandbox_landlock; /* waived */
	uint32_t warnings;
	unsigned workers;	/* signing lanes, 1..32 */
	unsigned sessions_user; /* cap of sessions per user */
	uint32_t max_message;	/* largest request body in bytes */
	uint32_t key_mib;	/* locked memory for loaded keys */
	uint32_t audit_mib;	/* size of the audit log before it rotates */
	unsigned nbootstrap;
	struct bootstrap bootstrap[BOOTSTRAP_MAX];
	bool has_anchor;   /* an anchor file is configured */
	size_t anchor_len; /* 0: configured but not there yet */
	uint8_t anchor[ANCHOR_LEN];
};

/* Encodes for W_CONFIG; mark out->secret first. */
void keyd_config_put(struct buf *out, const struct keyd_config *c);
/* Decodes; passphrase points into p. Errors: BAD_FRAME. */
int keyd_config_get(struct keyd_config *c, const void *p, size_t n, struct err *e);

/* W_HELLO to the front, W_STATUS to the launcher. */
struct hello {
	uint8_t identity[32]; /* X25519 public key of the HSM */
	uint8_t instance[INSTANCE_LEN];
	uint8_t boot_id[BOOT_ID_LEN];
	uint8_t state;	   /* enum hsm_state */
	uint32_t warnings; /* enum warning */
	uint32_t max_message;
	uint16_t problem; /* error that keeps the service from its work, 0 when none:
			   * STORE_DAMAGED, ROLLED_BACK, STORE_NEWER, WRONG_DEVICE_KEY… */
	uint64_t epoch;
};
void hello_put(struct buf *out, const struct hello *h);
int hello_get(struct hello *h, const void *p, size_t n, struct err *e);

#endif
