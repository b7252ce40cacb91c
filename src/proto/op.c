#include "proto/op.h"

#include <stddef.h>

enum {
	U = STATE_UNPROVISIONED,
	L = STATE_LOCKED,
	O = STATE_OPERATIONAL,
	A = ROLE_ADMIN,
	R = ROLE_OPERATOR,
	B = ROLE_BOOTSTRAP,
	M = OPF_MUTATES,
	D = OPF_SLOW,
	P = OPF_PLAIN,
	S = OPF_SIGN,
	Q = OPF_STORE,
};

static const struct op_row rows[] = {
#define OP(num, name, states, roles, flags) {(num), #name, (states), (roles), (flags)},
#include "proto/op.def"
#undef OP
};

const struct op_row *op_at(unsigned i)
{
	return i < sizeof(rows) / sizeof(rows[0]) ? &rows[i] : NULL;
}

const struct op_row *op_row(unsigned num)
{
	const struct op_row *r;

	for (unsigned i = 0; (r = op_at(i)); i++)
		if ((unsigned)r->op == num)
			return r;
	return NULL;
}

const char *hsm_state_text(unsigned state)
{
	switch (state) {
	case STATE_UNPROVISIONED:
		return "unprovisioned";
	case STATE_LOCKED:
		return "locked";
	case STATE_OPERATIONAL:
		return "operational";
	default:
		return "?";
	}
}

const char *role_text(unsigned role)
{
	switch (role) {
	case ROLE_ADMIN:
		return "Administrator";
	case ROLE_OPERATOR:
		return "Operator";
	case ROLE_BOOTSTRAP:
		return "Bootstrap";
	default:
		return "?";
	}
}
