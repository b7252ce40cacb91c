/* nats server ping: who answers, and how fast. */
#include <stdlib.h>

#include "box/nats/nats_graph.h"
#include "box/nats/nats_report.h"

#define BARS 60
#define BAR_MS 25
#define WIDTH 60 /* characters */

struct pings {
	struct cli *c;
	int64_t start;
	int want;
	size_t n;
	double sum, min, max, bars[BARS];
};

static int got_ping(void *arg, natsMsg *m, struct err *e)
{
	struct pings *p = arg;
	CLEAN(json) json_t *j = nats_msg_json(m, 0);
	int64_t rtt = mono_ns() - p->start;
	double ms = (double)(rtt / NS_MS);

	if (!json_is_object(jget(j, "server")))
		return err_set(e, ERR_BAD_JSON,
			       "Could not decode response: a server answered nonsense");
	CLEAN(free) char *name = nats_clean(jstr(j, "server.name"));

	if (cli_has(p->c, "id"))
		printf("%s ", SHOWN(jstr(j, "server.id")));
	printf("%-60s rtt=%s\n", name ? name : "?", GODURATION(rtt));
	(void)fflush(stdout);
	int64_t servers = jint(j, "statsz.active_servers");

	if (p->want == 0 && p->n == 0 && servers > 0 && servers <= 100000)
		p->want = (int)servers;
	p->bars[ms / BAR_MS < BARS - 1 ? (size_t)(ms / BAR_MS) : BARS - 1]++;
	p->min = p->n == 0 || ms < p->min ? ms : p->min;
	p->max = p->n == 0 || ms > p->max ? ms : p->max;
	p->sum += ms;
	p->n++;
	return p->want && (int)p->n >= p->want;
}

static void put_line(void *arg, const char *line)
{
	(void)arg;
	printf("     %s\n", line);
}

/* How many answered within each 25 ms; the last bar has all that came later. */
static void draw(const struct pings *p)
{
	size_t n = (size_t)(p->max / BAR_MS) + 1;
	double shown[WIDTH];

	n = n < BARS ? n : BARS;
	/* Each bar is as wide as there is room for. */
	for (size_t i = 0; i < WIDTH; i++)
		shown[i] = p->bars[i * n / WIDTH];
	putchar('\n');
	graph_plot(shown, WIDTH, WIDTH + 11, 17, "Responses per 25ms", GRAPH_DECIMAL, put_line,
		   NULL);
}

static int server_ping(struct cli *c, struct err *e)
{
	struct pings p = {.c = c};

	if (server_expect(c, &p.want, e) || nats_connect(c, e))
		return -1;
	p.start = mono_ns();
	if (nats_gather(c, "$SYS.REQ.SERVER.PING", NULL, -1, got_ping, &p, NULL, e))
		return -1;
	puts("\n---- ping statistics ----");
	if (p.n)
		printf("%zu replies max: %.2f min: %.2f avg: %.2f\n", p.n, p.max, p.min,
		       p.sum / (double)p.n);
	else
		puts("no responses received");
	if (p.n && cli_has(c, "graph"))
		draw(&p);
	if (p.want && (int)p.n != p.want)
		printf("\nMissing %d server(s)\n", p.want - (int)p.n);
	return p.n ? 0 : 1;
}

static const struct cli_opt ping_opts[] = {
	{"id", 0, NULL, "Show the servers' ids"},
	{"graph", 0, NULL, "Draw how long they took"},
	{0},
};

const struct cli_cmd nats_ping_cmds[] = {
	{.path = "server|srv ping",
	 .help = "Ping servers (system account)",
	 .args = "[EXPECT]",
	 .opts = ping_opts,
	 .run = server_ping},
	{0},
};
