/* nats-top: the connections of a NATS server and their traffic, as nats-io/nats-top shows
 * them. argv has the applet's own name first; returns the exit status. */
#ifndef BOX_TOP_TOP_H
#define BOX_TOP_TOP_H

int nats_top_main(int argc, char **argv);

#endif
