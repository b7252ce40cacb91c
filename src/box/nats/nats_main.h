/* The applet `nats`. */
#ifndef BOX_NATS_NATS_MAIN_H
#define BOX_NATS_NATS_MAIN_H

int nats_main(int argc, char **argv);

#endif
