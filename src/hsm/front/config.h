/* What hsmd tells the front at its start: one JSON object on a descriptor. Paths only,
 * no secret: the front reads its own NATS credentials.
 *
 *   url              text   NATS server or servers, comma-separated
 *   creds            text   path of a creds file, or
 *   nkey             text   path of a file with the NKey seed of a NATS user
 *   ca, cert, key    text   paths of PEM files for TLS
 *   name             text   of the connection, for the server's lists
 *   debug            bool   log LOG_DEBUG lines too
 *   landlock_waived  bool   go on where the kernel has no Landlock
 *   max_message      int    largest request body in bytes
 *
 * url and max_message are needed, the others may be absent or null. */
#ifndef HSM_FRONT_CONFIG_H
#define HSM_FRONT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "json/json.h"

#define FRONT_CONFIG_MAX 65536
#define FRONT_MESSAGE_MIN 1024
#define FRONT_MESSAGE_MAX (8 << 20)

struct front_config {
	const char *url, *creds, *nkey, *ca, *cert, *key, *name;
	bool debug, landlock_waived;
	uint32_t max_message;
	struct json_doc doc; /* the strings above point into it */
};

/* Reads the document from fd to its end. Errors: IO, BAD_JSON, TOO_LARGE. */
int front_config_read(struct front_config *c, int fd, struct err *e);
void front_config_free(struct front_config *c);
static inline void cleanup_front_config(struct front_config *c)
{
	front_config_free(c);
}

#endif
