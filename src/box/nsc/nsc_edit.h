/* Editing of accounts, shared by nsc_edit.c and nsc_jetstream.c. */
#ifndef BOX_NSC_NSC_EDIT_H
#define BOX_NSC_NSC_EDIT_H

#include "box/nsc/nsc.h"

/* --sk and --rm-sk. */
int nsc_edit_keys(struct nsc *n, json_t *nats, enum nkey_kind kind, struct err *e);
/* The --js-… options on the account in use. */
int nsc_edit_jetstream(struct nsc *n, struct err *e);
/* Whether an account (its nats) has JetStream limits that enable it. */
bool nsc_jetstream(const json_t *nats);

#endif
