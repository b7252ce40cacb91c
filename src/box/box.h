/* The applets of the multi-call binary; the table is in main.c. Each takes argv with
 * its own name first and returns the exit status. crypto_init() has run. */
#ifndef BOX_BOX_H
#define BOX_BOX_H

int hsm_main(int argc, char **argv);
int nk_main(int argc, char **argv);
int nats_config_main(int argc, char **argv);

#endif
