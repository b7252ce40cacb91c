#include "ocibuild/assemble/load.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ocibuild/run.h"

static const struct load_engine engines[] = {
	{"docker", "{{.Server.Version}}", false, "start dockerd, or set DOCKER_HOST"},
	/* podman unpacks a layer once more for each image that has it */
	{"podman", "{{.Client.Version}}", true, "install podman"},
};
#define NENGINES (sizeof(engines) / sizeof(engines[0]))

static int answers(const struct load_engine *en, struct err *e)
{
	const char *const argv[] = {en->name, "version", "--format", en->probe, NULL};

	return run_program(&(struct run){.argv = argv}, e);
}

int load_find(const char *name, const struct load_engine **out, struct err *e)
{
	struct err why[NENGINES] = {0};

	for (size_t i = 0; i < NENGINES; i++) {
		if (name && strcmp(name, engines[i].name) != 0)
			continue;
		*out = &engines[i];
		if (answers(*out, &why[i]) == 0)
			return 0;
		if (name)
			return err_set(e, ERR_UNAVAILABLE, "%s; %s", why[i].text,
				       engines[i].missing);
	}
	if (name)
		return err_set(e, ERR_USAGE, "there is no engine '%.40s': docker or podman", name);
	return err_set(e, ERR_UNAVAILABLE,
		       "no container engine answers: %.60s; %.60s. Install podman or start "
		       "dockerd, or write a file with `ocibuild save -o FILE`",
		       why[0].text, why[1].text);
}

/* Engines with containerd's store call the manifest's digest the id, podman leaves the
 * algorithm out. */
static bool is_id(const char *line, const struct save_image *im)
{
	if (strncmp(line, "sha256:", 7) == 0)
		line += 7;
	return strcmp(line, im->id + 7) == 0 || strcmp(line, im->manifest + 7) == 0;
}

int load_has(const struct load_engine *en, const struct save_image *im, bool *has, struct err *e)
{
	size_t n = json_array_size(im->tags), i, same = 0;
	CLEAN(free) const char **argv = calloc(n + 6, sizeof(*argv));
	CLEAN(buf) struct buf out = {0};
	struct err no = {0};
	char *line, *rest = NULL;
	json_t *tag;

	*has = false;
	if (!argv)
		return err_set(e, ERR_NOMEM, NULL);
	argv[0] = en->name;
	argv[1] = "image";
	argv[2] = "inspect";
	argv[3] = "--format";
	argv[4] = "{{.Id}}";
	json_array_foreach(im->tags, i, tag) argv[5 + i] = json_string_value(tag);
	buf_init(&out, 1u << 20);
	/* a tag that is not there is no error of ours */
	if (run_program(&(struct run){.argv = argv, .out = &out}, &no))
		return 0;
	buf_u8(&out, 0);
	if (out.bad)
		return err_set(e, ERR_TOOL, "%s image inspect printed too much", en->name);
	for (line = strtok_r((char *)out.p, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		same += is_id(line, im);
	*has = same == n;
	return 0;
}

int load_send(const struct load_engine *en, const struct save *s, struct err *e)
{
	const char *const argv[] = {en->name, "load", NULL};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	struct err wrote = {0}, ended = {0};
	struct run_child child;
	uint8_t md[32];
	int p[2], rc;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, ERR_IO, "cannot make a pipe");
	rc = run_start(&(struct run){.argv = argv, .in_fd = p[0]}, &child, e);
	close(p[0]);
	if (rc) {
		close(p[1]);
		return -1;
	}
	/* an engine that refuses goes away in the middle; it has the better reason */
	sigaction(SIGPIPE, &ignore, &before);
	save_write(s, p[1], md, &wrote);
	sigaction(SIGPIPE, &before, NULL);
	close(p[1]);
	run_wait(&(struct run){.argv = argv}, &child, &ended);
	if (wrote.code && (wrote.code != ERR_IO || !ended.code))
		return err_set(e, wrote.code, "%s", wrote.text);
	return ended.code ? err_set(e, ended.code, "%s", ended.text) : 0;
}
