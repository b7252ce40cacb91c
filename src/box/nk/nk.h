/* nk: NKeys, as nats-io/nkeys' nk. argv has its own name first; exit status. */
#ifndef BOX_NK_H
#define BOX_NK_H

int nk_main(int argc, char **argv);

#endif
