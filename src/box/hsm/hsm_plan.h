/* What `hsm apply` must do, from what should be (struct setup) and what is. Pure: no
 * connection, no file. Nothing is ever removed. */
#ifndef BOX_HSM_PLAN_H
#define BOX_HSM_PLAN_H

#include "box/hsm/hsm_setup.h"
#include "proto/body.h"
#include "proto/control.h"

/* All users of the service. */
struct plan_user {
	char name[NAME_MAX_LEN + 1];
	uint8_t nkey[32];
	uint8_t role, flags;
};

/* One for each key of the setup, in its order. */
struct plan_key {
	bool there;
	uint8_t type, flags, audit;
	uint16_t bits;
	uint32_t modes;
};

struct plan_have {
	bool unattended;
	struct plan_user *users;
	size_t nusers;
	struct plan_key *keys;
};

enum plan_what {
	PLAN_PIN,
	PLAN_PROVISION,
	PLAN_UNLOCK,
	PLAN_UNATTENDED,
	PLAN_USER_ADD,
	PLAN_USER_SET,
	PLAN_KEY_NEW,
	PLAN_KEY_SET,
};

struct plan_step {
	enum plan_what what;
	const struct setup_user *user; /* USER_… */
	const struct setup_key *key;   /* KEY_… */
	uint8_t flags, audit;	       /* that it gets; PLAN_UNATTENDED: 1 is on */
};

struct plan {
	struct plan_step *steps;
	size_t n;
};

static inline void cleanup_plan(struct plan *p)
{
	free(p->steps);
}

/* Steps from PLAN_UNATTENDED on, in the order in which they are done. Errors: EXISTS when
 * something differs that cannot be changed: names both sides and the line; NOMEM. */
int plan_make(struct plan *p, const struct setup *s, const struct plan_have *have, struct err *e);

/* What a step does, in words: "added user alice as Operator", would: "would add …". */
void plan_text(const struct plan_step *step, bool would, char *out, size_t cap);
/* The same for programs: "user-add". */
const char *plan_name(enum plan_what what);
/* Name of the user or key of a step, NULL without one. */
const char *plan_object(const struct plan_step *step);

#endif
