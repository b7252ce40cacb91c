/* Claims as tables for people. */
#ifndef BOX_NSC_NSC_DETAILS_H
#define BOX_NSC_NSC_DETAILS_H

#include "box/nsc/nsc.h"

/* Appends the tables of an operator, account, user or activation. */
int nsc_details(struct nsc *n, const struct jwt *j, struct buf *out, struct err *e);

#endif
