/* The applets that have no folder of their own; the table is in main.c. Each takes argv
 * with its own name first and returns the exit status. crypto_init() has run. */
#ifndef BOX_BOX_H
#define BOX_BOX_H

int nats_config_main(int argc, char **argv);
int pause_main(int argc, char **argv);

#endif
