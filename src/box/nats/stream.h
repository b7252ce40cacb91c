/* The group `nats stream`, in several files. */
#ifndef BOX_NATS_STREAM_H
#define BOX_NATS_STREAM_H

#include "box/nats/js.h"

cli_run stream_add, stream_edit, stream_copy;
cli_run stream_ls, stream_report, stream_find, stream_subjects;
cli_run stream_view, stream_get, stream_rmm;
cli_run stream_backup, stream_restore;
cli_run stream_gaps, stream_graph, stream_balance;

/* The streams that the options of `find` fit. */
int stream_query(struct cli *c, json_t **out, struct err *e);

/* The whole of `backup` and `restore`, with their options as far as they were given. */
int stream_backup_to(struct cli *c, const char *stream, const char *dir, struct err *e);
int stream_restore_from(struct cli *c, const char *dir, struct err *e);

/* The page of natscli about a stream; state: only the last section. */
void stream_show(const json_t *info, bool state);
/* Asks the server and shows it, or prints JSON with --json. */
int stream_show_name(struct cli *c, const char *stream, bool state, struct err *e);
/* Operand i as a stream that is there. */
int stream_operand(struct cli *c, int i, const char **name, json_t **info, struct err *e);
/* The table of `ls` and `find`. */
void stream_table(json_t *streams, const char *title);
/* Streams behind KV, object stores and MQTT. */
bool stream_internal(const char *name);
/* Refuses what would break the bucket behind a stream, unless somebody says yes. */
int stream_warn(const char *name, struct err *e);

#endif
