/* Hands images to a container engine of this machine: docker or podman, the program in
 * PATH, with whatever environment tells it where its daemon or storage is. */
#ifndef OCIBUILD_LOAD_H
#define OCIBUILD_LOAD_H

#include <stdbool.h>

#include "base/err.h"
#include "ocibuild/assemble/save.h"

struct load_engine {
	const char *name;    /* as it is called */
	const char *probe;   /* template of `version` that fails when it cannot work */
	bool plain;	     /* it is slow with compressed layers */
	const char *missing; /* what to do when it does not answer */
};

/* The engine of that name, or (NULL) the first that answers: docker, podman. USAGE: no
 * such engine; UNAVAILABLE: none answers, with what each said. */
int load_find(const char *name, const struct load_engine **out, struct err *e);

/* Whether every tag of the image is this very image there. */
int load_has(const struct load_engine *en, const struct save_image *im, bool *has, struct err *e);

/* Pipes the archive into the engine. TOOL: it refused, with its last line. */
int load_send(const struct load_engine *en, const struct save *s, struct err *e);

#endif
