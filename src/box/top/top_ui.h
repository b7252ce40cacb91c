/* The screen and its keys. */
#ifndef BOX_TOP_TOP_UI_H
#define BOX_TOP_TOP_UI_H

#include "box/top/top_src.h"
#include "box/top/top_text.h"

struct top_run {
	struct top_src src;
	struct top_ask ask;
	struct top_look look;
	int64_t delay;	   /* seconds */
	int64_t refreshes; /* over 0: ends after so many */
};

/* Runs until somebody quits; 0, or -1 with *e. */
int top_ui(struct top_run *r, struct err *e);
/* The same as text on stdout, a screen after the other. */
int top_plain(struct top_run *r, struct err *e);

#endif
