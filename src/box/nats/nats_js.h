/* The groups of commands about JetStream. */
#ifndef BOX_NATS_NATS_JS_H
#define BOX_NATS_NATS_JS_H

#include "ui/cli.h"

extern const struct cli_cmd nats_stream_cmds[], nats_consumer_cmds[], nats_kv_cmds[],
	nats_object_cmds[];

#endif
