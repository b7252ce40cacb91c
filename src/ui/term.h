/* The terminal as a screen: raw input, alternate screen, keys, size. One at a time. It is
 * restored by term_close, at exit, and by the handlers of signals that end the process. */
#ifndef UI_TERM_H
#define UI_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum term_key {
	TERM_NONE = 0, /* nothing that counts as a key */
	TERM_ENTER = '\r',
	TERM_ESC = 27,
	TERM_BACKSPACE = 127,
	TERM_UP = 0x110000, /* beyond Unicode */
	TERM_DOWN,
	TERM_LEFT,
	TERM_RIGHT,
	TERM_PAGE_UP,
	TERM_PAGE_DOWN,
	TERM_HOME,
	TERM_END,
};

/* Takes the terminal on stdin and stdout. Blocks SIGWINCH and the signals that end the
 * process in this thread and its later ones; term_wait lets them in. USAGE: no terminal. */
int term_open(struct err *e);
/* Gives the terminal back as it was. */
void term_close(void);

enum term_event { TERM_INPUT = 1, TERM_FD = 2, TERM_RESIZED = 4, TERM_QUIT = 8 };
/* Waits at most ms (-1: for ever) for a key, for fd (-1: none) to be readable, a change of
 * size, a signal that asks to end. Gives the events, 0 after ms. A suspended process gets
 * TERM_RESIZED when it goes on. */
unsigned term_wait(int fd, int ms);
/* Next key that was typed, or TERM_NONE: all are taken. Control-C is 3. */
int term_key(void);
/* Stops the process as Control-Z does, with the terminal given back meanwhile. */
void term_suspend(void);
void term_size(unsigned *rows, unsigned *cols);

/* Screen column by column: text is cut to cols, skip columns are left out in front, the
 * rest of the line is erased. Text must have no control characters. */
void term_line(struct buf *b, const char *text, size_t skip, unsigned cols);
/* Shows what was drawn, from the top left corner, and erases all below. */
void term_show(struct buf *b);

#endif
