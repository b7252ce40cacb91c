#include "box/mesh/mesh.h"

#include "box/mesh/mesh_cmd.h"

static const struct cli_opt global_opts[] = {
	{"dir", 'd', "DIR", "Where the mesh is (MESH_DIR, else /mesh)"},
	{"owner", 0, "UID:GID", "Owner of all files, for root (the directory's owner)"},
	{"json", 0, NULL, "Print results as JSON"},
	{"quiet", 'q', NULL, "Do not say on stderr what is done"},
	{0},
};

static const struct cli_opt init_opts[] = {
	{"auth", 0, "nkey|jwt",
	 "Users by NKeys in the configuration, or by JWTs of an operator (MESH_AUTH, else nkey)"},
	{"nodes", 0, "LIST", "Nodes, by the names that others reach them (nats-1,nats-2,nats-3)"},
	{"user", 'u', "NAME[:ROLE][:plain]",
	 "A user: administrator or operator (operator), with :plain also on the plain surface. "
	 "Repeatable (admin:administrator, alice:operator:plain)"},
	{"hsm", 0, "NAME", "Directory and NATS user of the HSM (hsm)"},
	{"cluster", 0, "NAME", "Name of the cluster (signbox)"},
	{"days", 0, "N", "How long new certificates of nodes are good (365)"},
	{"san", 0, "NAME|ADDRESS", "Also in the certificates, beside node, localhost. Repeatable"},
	{"address", 0, "NODE=HOST[:PORT[:ROUTES[:HTTP]]]",
	 "Where a node is reached (its name, 4222, 6222, no monitoring). Repeatable"},
	{"bind", 0, "ADDRESS", "Address that the servers listen on (0.0.0.0)"},
	{"http", 0, "PORT", "Monitoring pages of all nodes, for nats-top (none)"},
	{"jetstream", 0, "DIR", "JetStream, with this directory in the servers (off)"},
	{"unattended", 0, "on|off", "Whether the HSM unlocks itself at its start (on)"},
	{"mount", 0, "nats|hsm|box=PATH",
	 "Where a service sees its directory (/mesh, /run/secrets, /mesh). Repeatable"},
	{"data", 0, "PATH", "Database of the HSM (/data)"},
	{"anchor", 0, "PATH", "File against roll-back, on another volume (/anchor/anchor)"},
	{"identity", 0, "PATH", "File with the HSM's identity (/identity/identity)"},
	{"local", 0, NULL,
	 "Without containers: paths below --dir, nodes on 127.0.0.1 from ports 4222 and 6222"},
	{0},
};

static const struct cli_opt renew_opts[] = {
	{"ca", 0, NULL, "The CA's certificate too, with the key that it has"},
	{"days", 0, "N", "How long the new ones are good, also later ones"},
	{0},
};

static const struct cli_opt add_opts[] = {
	{"role", 0, "ROLE", "administrator or operator (operator)"},
	{"plain", 0, "[=on|off]", "Also on the plain surface (off)"},
	{0},
};

static const struct cli_opt set_opts[] = {
	{"plain", 0, "[=on|off]", "Open or close the plain surface"},
	{0},
};

#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct cli_cmd cmds[] = {
	{"init", "Make all that is missing: CA, certificates, keys, configurations", NULL,
	 init_opts, mesh_do_init,
	 EXAMPLES("mesh init", "mesh init --auth jwt --user admin:administrator --user carol:plain",
		  "mesh init --dir ./mesh --local --nodes n1,n2,n3 --http 8222"),
	 "A second start checks, makes what is missing, renews certificates that end soon, and\n"
	 "never replaces a key. What is not said stays as it was said before."},
	{"check", "Tell what is missing, wrong or ends soon; exit status 1 when something is", NULL,
	 NULL, mesh_do_check, EXAMPLES("mesh check", "mesh check --json"), NULL},
	{"renew", "Make the nodes' certificates anew, of the same CA", NULL, renew_opts,
	 mesh_do_renew, EXAMPLES("mesh renew", "mesh renew --days 90"),
	 "Servers take new certificates on SIGHUP."},
	{"user add", "Add a user: keys, permissions, the entry for 'hsm apply'", "NAME", add_opts,
	 mesh_do_user_add, EXAMPLES("mesh user add carol --plain"),
	 "With --auth nkey the servers must read their files again (SIGHUP); with jwt they need\n"
	 "not. 'hsm apply' with box/setup.yaml makes the user known to the HSM."},
	{"user set", "Change a user's permissions", "NAME", set_opts, mesh_do_user_set,
	 EXAMPLES("mesh user set carol --plain=off"),
	 "What was permitted before is revoked as soon as the servers read their files (SIGHUP)."},
	{"user rm", "Take users out of the mesh", "NAME...", NULL, mesh_do_user_rm,
	 EXAMPLES("mesh user rm carol"),
	 "Their keys are removed; they are refused as soon as the servers read their files\n"
	 "(SIGHUP). The HSM forgets them with 'hsm user rm'."},
	{"user ls", "List the users", NULL, NULL, mesh_do_user_ls, EXAMPLES("mesh user ls"), NULL},
	{0},
};

static const char *const examples[] = {
	"mesh init --auth jwt",
	"mesh check",
	"mesh user add carol --plain",
	NULL,
};

int mesh_main(int argc, char **argv)
{
	static const struct cli_prog prog = {
		.name = "mesh",
		.help = "Makes and keeps what a NATS mesh with the HSM needs",
		.opts = global_opts,
		.cmds = cmds,
		.examples = examples,
		.about = "authority/ makes all else and is what a backup must have; one directory "
			 "for each\nnode, one for the HSM (hsm/) and one for the box (box/).",
	};

	return cli_main(&prog, argc, argv, NULL);
}
