/* The graphs of streams, consumers and servers. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/consumer.h"
#include "box/nats/nats_graph.h"
#include "box/nats/stream.h"

/* What is asked for each second. */
struct asked {
	struct cli *c;
	const char *stream, *consumer;
	char subject[128], *body; /* of a server */
	bool jetstream;
};

static int sample_stream(void *arg, double value[GRAPH_LINES], struct err *e)
{
	const struct asked *a = arg;
	CLEAN(json) json_t *info = NULL;

	if (js_stream_info(a->c, a->stream, &info, e))
		return -1;
	value[0] = jnum(info, "state.messages");
	value[1] = jnum(info, "state.first_seq");
	value[2] = jnum(info, "state.last_seq");
	return 0;
}

int stream_graph(struct cli *c, struct err *e)
{
	CLEAN(free) struct graph *g = calloc(1, sizeof(*g));
	struct asked a = {.c = c};

	if (!nats_is_terminal())
		return cli_usage(e, "can only graph data on an interactive terminal");
	if (!g || stream_operand(c, 0, &a.stream, NULL, e))
		return g ? -1 : err_set(e, ERR_NOMEM, NULL);
	(void)snprintf(g->title, sizeof(g->title), "Stream Statistics for %s", a.stream);
	graph_line(g, 0, GRAPH_COUNT, false, "Messages Stored");
	graph_line(g, 1, GRAPH_DECIMAL, true, "Messages Removed / second");
	graph_line(g, 2, GRAPH_DECIMAL, true, "Messages Stored / second");
	g->sample = sample_stream;
	g->arg = &a;
	return graph_run(g, e);
}

static int sample_consumer(void *arg, double value[GRAPH_LINES], struct err *e)
{
	const struct asked *a = arg;
	CLEAN(json) json_t *info = NULL;

	if (js_consumer_info(a->c, a->stream, a->consumer, &info, e))
		return -1;
	value[0] = jnum(info, "num_pending");
	value[1] = jnum(info, "num_ack_pending");
	value[2] = jnum(info, "ack_floor.consumer_seq");
	value[3] = jnum(info, "delivered.consumer_seq");
	return 0;
}

int consumer_graph(struct cli *c, struct err *e)
{
	CLEAN(free) struct graph *g = calloc(1, sizeof(*g));
	struct asked a = {.c = c};

	if (!nats_is_terminal())
		return cli_usage(e, "can only graph data on an interactive terminal");
	if (!g || consumer_operands(c, 0, &a.stream, &a.consumer, NULL, e))
		return g ? -1 : err_set(e, ERR_NOMEM, NULL);
	(void)snprintf(g->title, sizeof(g->title), "Consumer Statistics for %s > %s", a.stream,
		       a.consumer);
	graph_line(g, 0, GRAPH_COUNT, false, "Messages Pending");
	graph_line(g, 1, GRAPH_COUNT, false, "Messages Waiting for Ack");
	graph_line(g, 2, GRAPH_DECIMAL, true, "Messages Acknowledged / second");
	graph_line(g, 3, GRAPH_DECIMAL, true, "Messages Delivered / second");
	g->sample = sample_consumer;
	g->arg = &a;
	return graph_run(g, e);
}

static double per_core(const json_t *v)
{
	double cores = jnum(v, "cores");

	return jnum(v, "cpu") / (cores > 0 ? cores : 1);
}

static int sample_server(void *arg, double value[GRAPH_LINES], struct err *e)
{
	const struct asked *a = arg;
	CLEAN(json) json_t *reply = NULL;
	json_t *req = json_loads(a->body, 0, NULL);

	if (nats_request_json(a->c, a->subject, req, &reply, e))
		return err_set(e, ERR_TIMEOUT,
			       "no results received, ensure the account used has system "
			       "privileges and appropriate permissions");
	const json_t *v = json_object_get(reply, "data");

	if (!json_is_object(v))
		return err_set(e, ERR_BAD_JSON, "no data received in the response");
	value[0] = per_core(v);
	if (!a->jetstream) {
		value[1] = jnum(v, "mem");
		value[2] = jnum(v, "connections");
		value[3] = jnum(v, "subscriptions");
		value[4] = jnum(v, "in_msgs") + jnum(v, "out_msgs");
		value[5] = jnum(v, "in_bytes") + jnum(v, "out_bytes");
		return 0;
	}
	value[1] = jnum(v, "jetstream.stats.ha_assets");
	value[2] = jnum(v, "jetstream.stats.api.total");
	value[3] = jnum(v, "jetstream.meta.pending");
	value[4] = jnum(v, "jetstream.stats.storage");
	value[5] = jnum(v, "jetstream.stats.memory");
	return 0;
}

static void server_lines(struct graph *g, bool jetstream)
{
	graph_line(g, 0, GRAPH_DECIMAL, false, "CPU % Used (of all cores)");
	if (jetstream) {
		graph_line(g, 1, GRAPH_COUNT, false, "HA Assets");
		graph_line(g, 2, GRAPH_DECIMAL, true, "API Requests / second");
		graph_line(g, 3, GRAPH_COUNT, false, "Pending API Requests");
		graph_line(g, 4, GRAPH_BYTES, false, "File Storage");
		graph_line(g, 5, GRAPH_BYTES, false, "Memory Storage");
		return;
	}
	graph_line(g, 1, GRAPH_BYTES, false, "Memory Used");
	graph_line(g, 2, GRAPH_COUNT, false, "Connections");
	graph_line(g, 3, GRAPH_COUNT, false, "Subscriptions");
	graph_line(g, 4, GRAPH_DECIMAL, true, "Messages In+Out / second");
	graph_line(g, 5, GRAPH_BYTES, true, "Bytes In+Out / second");
}

static bool is_server_id(const char *s)
{
	return strlen(s) == 56 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 56;
}

static int server_graph(struct cli *c, struct err *e)
{
	CLEAN(free) struct graph *g = calloc(1, sizeof(*g));
	struct asked a = {.c = c, .jetstream = cli_has(c, "jetstream")};
	const char *server = c->argv[0];
	CLEAN(json) json_t *req = json_object();
	CLEAN(free) char *body = NULL;

	if (!nats_is_terminal())
		return cli_usage(e, "can only graph data on an interactive terminal");
	if (!is_server_id(server) &&
	    (json_object_set_new(req, "server_name", json_string(server)) ||
	     json_object_set_new(req, "exact_match", json_true())))
		return err_set(e, ERR_BAD_NAME, "the server's name is not UTF-8");
	a.body = body = json_dumps(req, JSON_COMPACT);
	if (!g || !body)
		return err_set(e, ERR_NOMEM, NULL);
	(void)snprintf(a.subject, sizeof(a.subject), "$SYS.REQ.SERVER.%s.VARZ",
		       is_server_id(server) ? server : "PING");
	(void)snprintf(g->title, sizeof(g->title), "%s Statistics for %s",
		       a.jetstream ? "JetStream" : "Server", SHOWN(server));
	server_lines(g, a.jetstream);
	g->sample = sample_server;
	g->arg = &a;
	return graph_run(g, e);
}

static const struct cli_opt server_opts[] = {{"jetstream", 'j', NULL, "What JetStream does there"},
					     {0}};

const struct cli_cmd nats_graph_cmds[] = {
	{.path = "server|srv graph",
	 .help = "Draw what a server does",
	 .args = "SERVER",
	 .opts = server_opts,
	 .run = server_graph},
	{0},
};
