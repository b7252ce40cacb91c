/* The operations table (source: op.def). */
#ifndef PROTO_OP_H
#define PROTO_OP_H

#include <stdint.h>

enum op {
#define OP(num, name, states, roles, flags) OP_##name = (num),
#include "proto/op.def"
#undef OP
};

enum hsm_state { STATE_UNPROVISIONED = 1, STATE_LOCKED = 2, STATE_OPERATIONAL = 4 };

/* Roles are bits: a row's roles are a mask. BOOTSTRAP is what a bootstrap
 * administrator is before unlock; afterwards the user record decides. */
enum role { ROLE_ADMIN = 1, ROLE_OPERATOR = 2, ROLE_BOOTSTRAP = 4 };

enum op_flag { OPF_MUTATES = 1, OPF_SLOW = 2, OPF_PLAIN = 4, OPF_SIGN = 8, OPF_STORE = 16 };

struct op_row {
	enum op op;
	const char *name;
	unsigned states, roles, flags;
};

/* Row of a wire number, NULL when there is none. */
const struct op_row *op_row(unsigned num);
/* The i-th row, NULL past the end. */
const struct op_row *op_at(unsigned i);
/* "unprovisioned", "locked", "operational"; "?" for anything else. */
const char *hsm_state_text(unsigned state);
/* "Administrator", "Operator"; "?" for anything else. */
const char *role_text(unsigned role);

#endif
