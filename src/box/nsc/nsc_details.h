/* Claims as tables for people. */
#ifndef BOX_NSC_NSC_DETAILS_H
#define BOX_NSC_NSC_DETAILS_H

#include "box/nsc/nsc.h"

/* By which an account server has an activation; free it. */
char *nsc_activation_id(const struct jwt *j);
/* Appends the tables of an operator, account, user or activation. */
int nsc_details(struct nsc *n, const struct jwt *j, struct buf *out, struct err *e);

#endif
