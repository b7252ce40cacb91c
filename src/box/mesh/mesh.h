/* mesh: everything that a mesh of nats-servers with the HSM needs, made at the first start
 * by one command, so that no secret stands in a repository or an image.
 *
 *	authority/   only `mesh` reads it, and it is what a backup must have: all else is
 *	             made from it again. mesh.json (settings and users, no secret), ca.pem,
 *	             ca.key, device_key, unlock_passphrase, route_password, users/NAME.nk;
 *	             with --auth jwt operator.nk, sys.nk, account.nk, scope-*.nk
 *	nats-1/ …    one a node, seen by its server as /mesh: nats-server.conf, accounts.conf
 *	             (included by it), ca.pem, cert.pem, key.pem
 *	hsm/         seen by hsmd as /run/secrets: hsm.yaml, device_key, ca.pem, nats_nkey or
 *	             (jwt) nats.creds. hsm.yaml names /data, /anchor/anchor, /identity/identity
 *	box/         seen by the box as /mesh: ca.pem, unlock_passphrase, setup.yaml (for
 *	             `hsm apply`), NAME.nk and NAME.creds of each user, of `system` ($SYS) and
 *	             `monitor` ($SRV) (without --auth jwt creds are the seed alone), and
 *	             nats/context/NAME.json with nats/context.txt, where XDG_CONFIG_HOME=/mesh
 *	             makes `nats --context NAME` find them
 *
 * Directories are 0700, secrets 0400, the rest 0444. What is written is a function of
 * authority/ alone, but for the nodes' private keys, which are made where they are used.
 * Each file appears in one step and authority/ is made first: whenever this is killed,
 * the next start goes on. Keys are never replaced. */
#ifndef BOX_MESH_MESH_H
#define BOX_MESH_MESH_H

int mesh_main(int argc, char **argv);

#endif
