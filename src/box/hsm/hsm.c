/* hsm: operates and uses the signing service over NATS. */
#include "box/hsm/hsm.h"

#define PASSPHRASE_OPTS                                                                            \
	{"passphrase-file", 0, "FILE", "Read the passphrase from FILE"},                           \
		{"passphrase-fd", 0, "N", "Read the passphrase from descriptor N"},                \
		{"passphrase", 0, "-", "Refused: the process list shows arguments to everybody"}

static const struct cli_opt global_opts[] = {
	{"server", 's', "URL", "NATS server or servers (NATS_URL)"},
	{"creds", 0, "FILE", "Creds file to log in to NATS (NATS_CREDS)"},
	{"nkey", 0, "FILE",
	 "NKey seed or creds of the caller; logs in to NATS too when there are no other creds "
	 "(HSM_NKEY, NATS_NKEY)"},
	{"identity", 0, "X…|@FILE", "Identity of the HSM (HSM_IDENTITY, else the pinned one)"},
	{"ca", 0, "FILE", "CA certificates for TLS to NATS (NATS_CA)"},
	{"cert", 0, "FILE", "Client certificate for TLS (NATS_CERT)"},
	{"key", 0, "FILE", "Private key of the client certificate (NATS_KEY)"},
	{"timeout", 0, "SECONDS", "Time for each request (5; 30 where a passphrase is checked)"},
	{"context", 0, "DIR",
	 "Where identity and epochs are kept (HSM_CONTEXT, else ~/.config/signbox/hsm)"},
	{"json", 0, NULL, "Print results as JSON"},
	{"output", 'o', "FILE", "Write the result to FILE, in one step"},
	{0},
};

static const struct cli_opt passphrase_opts[] = {PASSPHRASE_OPTS, {0}};

static const struct cli_opt pin_opts[] = {
	{"replace", 0, NULL, "Replace another identity that is pinned"},
	{0},
};

static const struct cli_opt yes_opts[] = {
	{"yes", 'y', NULL, "Do not ask"},
	{0},
};

static const struct cli_opt apply_opts[] = {
	{"wait", 'w', "SECONDS", "Wait so long for NATS, the HSM and its identity file (0)"},
	{"dry-run", 'n', NULL, "Say what would be done, and do nothing"},
	{0},
};

static const struct cli_opt user_add_opts[] = {
	{"role", 0, "ROLE", "administrator or operator (operator)"},
	{"plain", 0, "on|off", "Open the plain surface for the user (off)"},
	{0},
};

static const struct cli_opt user_set_opts[] = {
	{"plain", 0, "on|off", "Open or close the plain surface for the user"},
	{0},
};

static const struct cli_opt ls_opts[] = {
	{"prefix", 0, "TEXT", "Only names that start with TEXT"},
	{0},
};

#define KEY_NEW_OPTS                                                                               \
	{"modes", 0, "LIST", "What the key may be used for, e.g. pss-sha256,pss-sha256-digest"},   \
		{"plain", 0, "on|off", "Open the plain surface for the key (off)"},                \
		{"audit", 0, "batched|durable",                                                    \
		 "Whether a signature waits for its audit entry (batched)"}

static const struct cli_opt gen_opts[] = {
	{"type", 't', "TYPE", "ed25519, p256 or rsa (ed25519)"},
	{"bits", 0, "N", "Bits of an RSA key, 2048 to 4096 (2048)"},
	KEY_NEW_OPTS,
	{0},
};

static const struct cli_opt import_opts[] = {KEY_NEW_OPTS, {0}};

static const struct cli_opt pub_opts[] = {
	{"format", 0, "FORMAT", "pem, der or raw (pem)"},
	{"base64", 0, NULL, "Print der or raw in base64"},
	{0},
};

static const struct cli_opt key_set_opts[] = {
	{"plain", 0, "on|off", "Open or close the plain surface for the key"},
	{"audit", 0, "batched|durable", "Whether a signature waits for its audit entry"},
	{0},
};

static const struct cli_opt sign_opts[] = {
	{"mode", 'm', "MODE", "Mode of the key (its type's default)"},
	{"raw", 0, NULL, "ECDSA: r || s instead of DER"},
	{"base64", 0, NULL, "Print the signature in base64"},
	{"prehash", 0, NULL, "Hash here and sign the digest, by a digest mode of the key"},
	{0},
};

static const struct cli_opt verify_opts[] = {
	{"signature", 0, "FILE", "The signature, as 'sign' wrote it (needed)"},
	{"mode", 'm', "MODE", "Mode of the key (its type's default)"},
	{"raw", 0, NULL, "ECDSA: the signature is r || s instead of DER"},
	{"base64", 0, NULL, "The signature is in base64"},
	{"prehash", 0, NULL, "Hash here and verify the digest, by a digest mode of the key"},
	{0},
};

static const struct cli_opt random_opts[] = {
	{"base64", 0, NULL, "Print in base64"},
	{"hex", 0, NULL, "Print in hex"},
	{0},
};

static const struct cli_opt audit_verify_opts[] = {
	{"out", 0, "FILE", "Keep head and entries in FILE as JSON lines"},
	{"in", 0, "FILE", "Check such a file, without a connection"},
	{"audit-key", 0, "HEX|@FILE", "Key that must have signed (the one seen first)"},
	{0},
};

static const struct cli_opt audit_show_opts[] = {
	{"from", 0, "N", "First entry (the last ones)"},
	{"limit", 0, "N", "How many at most (50)"},
	{0},
};

#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct cli_cmd cmds[] = {
	{"identity pin", "Pin the HSM's identity, which all sessions prove", "X…|@FILE", pin_opts,
	 hsm_do_identity_pin, EXAMPLES("hsm identity pin @/run/hsm/identity"), NULL},
	{"identity show", "Show the identity that is pinned", NULL, NULL, hsm_do_identity_show,
	 EXAMPLES("hsm identity show"), NULL},
	{"identity accept-epoch", "Take the HSM's epoch although a higher one is remembered", NULL,
	 yes_opts, hsm_do_identity_accept, EXAMPLES("hsm identity accept-epoch"),
	 "For a store that was restored from a backup on purpose: ask the HSM's administrator. "
	 "Who\n"
	 "puts back an old store otherwise brings back users and keys that were removed.\n"
	 "'hsm accept-rollback' does the same for the administrator who runs it."},
	{"apply", "Set the HSM up as a file says: what is so already stays", "FILE", apply_opts,
	 hsm_do_apply, EXAMPLES("hsm apply setup.yaml --dry-run", "hsm apply setup.yaml --wait 60"),
	 "The file is YAML or JSON ('-': standard input); names of files are relative to it:\n"
	 "\n"
	 "  identity: \"@identity\"         # X… or @FILE: pinned\n"
	 "  provision: {passphrase_file: passphrase, unattended_boot: on}\n"
	 "  users:\n"
	 "    - {name: alice, nkey: U…, role: operator, plain: off}   # or nkey_file: FILE\n"
	 "  keys:\n"
	 "    - {name: release, type: p256, plain: off, audit: durable}  # also bits, modes\n"
	 "\n"
	 "A new HSM is provisioned, a locked one unlocked. What the file does not say stays\n"
	 "as it is, and nothing is removed. What differs and cannot be changed (an NKey, a\n"
	 "role, a key's type, bits or modes) is an error before anything is changed."},
	{"provision", "Set up a new HSM, with the unlock passphrase to come", NULL, passphrase_opts,
	 hsm_do_provision, EXAMPLES("hsm provision --passphrase-file unlock.txt"), NULL},
	{"unlock", "Unlock the HSM", NULL, passphrase_opts, hsm_do_unlock, EXAMPLES("hsm unlock"),
	 NULL},
	{"lock", "Lock the HSM: keys leave its memory, and it waits for unlock", NULL, NULL,
	 hsm_do_lock, EXAMPLES("hsm lock"), NULL},
	{"state", "Show state, warnings and problems of the HSM", NULL, NULL, hsm_do_state,
	 EXAMPLES("hsm state --json"), NULL},
	{"accept-rollback", "Accept the store as it is after a restore from a backup", NULL,
	 passphrase_opts, hsm_do_accept_rollback, EXAMPLES("hsm accept-rollback"),
	 "Whatever was made or removed since that backup is lost or back. Only after a\n"
	 "restore that you made yourself."},
	{"config unattended-boot", "Whether a restart opens the store without a passphrase",
	 "on|off|show", NULL, hsm_do_config, EXAMPLES("hsm config unattended-boot on"), NULL},
	{"user add", "Add a user", "NAME NKEY|@FILE", user_add_opts, hsm_do_user_add,
	 EXAMPLES("hsm user add ci UB… --role operator"), NULL},
	{"user ls|list", "List the users", NULL, ls_opts, hsm_do_user_ls,
	 EXAMPLES("hsm user ls --json"), NULL},
	{"user show", "Show a user", "NAME", NULL, hsm_do_user_show, EXAMPLES("hsm user show ci"),
	 NULL},
	{"user set", "Change a user", "NAME", user_set_opts, hsm_do_user_set,
	 EXAMPLES("hsm user set ci --plain on"), NULL},
	{"user rm", "Remove a user", "NAME", NULL, hsm_do_user_rm, EXAMPLES("hsm user rm ci"),
	 NULL},
	{"key gen", "Make a key in the HSM", "NAME", gen_opts, hsm_do_key_gen,
	 EXAMPLES("hsm key gen release --type p256 --audit durable"), NULL},
	{"key import", "Import a private key from PEM (PKCS#8, PKCS#1, SEC1)", "NAME [FILE]",
	 import_opts, hsm_do_key_import, EXAMPLES("hsm key import old old.pem"),
	 "The file is taken apart here; its parts travel inside the session."},
	{"key ls|list", "List the keys", NULL, ls_opts, hsm_do_key_ls,
	 EXAMPLES("hsm key ls --prefix release"), NULL},
	{"key show", "Show a key", "NAME", NULL, hsm_do_key_show, EXAMPLES("hsm key show release"),
	 NULL},
	{"key pub", "Print the public key", "NAME", pub_opts, hsm_do_key_pub,
	 EXAMPLES("hsm key pub release -o release.pem"), NULL},
	{"key set", "Change what of a key can change", "NAME", key_set_opts, hsm_do_key_set,
	 EXAMPLES("hsm key set release --plain off"), NULL},
	{"key rm", "Remove a key for ever", "NAME", yes_opts, hsm_do_key_rm,
	 EXAMPLES("hsm key rm old --yes"), NULL},
	{"sign", "Sign a file or stdin", "KEY [FILE]", sign_opts, hsm_do_sign,
	 EXAMPLES("hsm sign release SHA256SUMS -o SHA256SUMS.sig"),
	 "ECDSA signatures are DER, as openssl reads them. What is larger than one request\n"
	 "is hashed here and signed by the key's digest mode, when it has one."},
	{"verify", "Verify a signature of a file or stdin", "KEY [FILE]", verify_opts,
	 hsm_do_verify, EXAMPLES("hsm verify release SHA256SUMS --signature SHA256SUMS.sig"),
	 "Prints 'Verified OK' and exits 0, or exits 10."},
	{"random", "Random bytes from the HSM", "N", random_opts, hsm_do_random,
	 EXAMPLES("hsm random 32 --hex"), NULL},
	{"audit verify", "Check the audit log: its chain, and the signature of its head", NULL,
	 audit_verify_opts, hsm_do_audit_verify,
	 EXAMPLES("hsm audit verify --out log.jsonl", "hsm audit verify --in log.jsonl"), NULL},
	{"audit show", "Show entries of the audit log", NULL, audit_show_opts, hsm_do_audit_show,
	 EXAMPLES("hsm audit show --from 1 --limit 20"), NULL},
	{0},
};

static const struct cli_prog prog = {
	.name = "hsm",
	.help = "Operate and use the signing service over NATS",
	.opts = global_opts,
	.cmds = cmds,
	.examples =
		EXAMPLES("hsm identity pin X…", "hsm provision", "hsm key gen release --type p256",
			 "hsm sign release FILE -o FILE.sig"),
	.about = "Environment: NATS_URL, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY,\n"
		 "HSM_IDENTITY, HSM_NKEY, HSM_CONTEXT. Passphrases come from a prompt, a file or a "
		 "descriptor.\n"
		 "\n"
		 "Exit status: 0 done; 1 failed; 2 usage; 3 wrong state; 4 refused (who you are,\n"
		 "what you may); 5 no such thing; 6 conflict; 7 unavailable or timed out;\n"
		 "8 damaged or rolled back; 9 bad input; 10 the signature does not verify.",
};

int hsm_main(int argc, char **argv)
{
	struct hsm_run r = {0};

	return run_end(&r, prog.name, cli_main(&prog, argc, argv, &r));
}
