/* The table of commands. Options as nats-io's nsc has them. */
#include "box/nsc/nsc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "box/nsc/nsc_ask.h"
#include "ui/cli.h"

#define MANY "comma separated list or option can be specified multiple times"

#define NAME(what) {"name", 'n', "NAME", what}
#define ACCOUNT {"account", 'a', "NAME", "account name"}
#define OUTPUT {"output-file", 'o', "FILE", "output file, '--' is stdout"}
#define TIMES                                                                                      \
	{"start", 0, "TIME",                                                                       \
	 "valid from: yyyy-mm-dd, or 3d from now (m, h, d, w, M, y); 0: always"},                  \
		{"expiry", 0, "TIME", "valid until: yyyy-mm-dd, or 2M from now; 0: for ever"}
#define TAGS                                                                                       \
	{"tag", 0, "TAG,...", "add tags - " MANY},                                                 \
	{                                                                                          \
		"rm-tag", 0, "TAG,...", "remove tags - " MANY                                      \
	}
#define PERMISSIONS                                                                                \
	{"allow-pub", 0, "SUBJECT,...", "add publish permissions - " MANY},                        \
		{"allow-sub", 0, "SUBJECT,...", "add subscribe permissions - " MANY},              \
		{"allow-pubsub", 0, "SUBJECT,...", "add both permissions - " MANY},                \
		{"deny-pub", 0, "SUBJECT,...", "deny publishing - " MANY},                         \
		{"deny-sub", 0, "SUBJECT,...", "deny subscribing - " MANY},                        \
		{"deny-pubsub", 0, "SUBJECT,...", "deny both - " MANY},                            \
		{"allow-pub-response", 0, "[=N]", "allow N (1) replies to what was received"},     \
		{"max-responses", 0, "N", "old name of --allow-pub-response"},                     \
		{"response-ttl", 0, "TIME", "how long replies are allowed, as in 5s"}
#define RM_PERMISSIONS                                                                             \
	{"rm", 0, "SUBJECT,...", "remove permissions - " MANY},                                    \
		{"rm-response-perms", 0, NULL, "remove response settings"}
#define USER_LIMITS                                                                                \
	{"time", 0, "FROM-TO", "allow connections from hh:mm:ss to hh:mm:ss"},                     \
		{"rm-time", 0, "FROM", "remove a time range by its start"},                        \
		{"locale", 0, "ZONE", "time zone of the times"},                                   \
		{"source-network", 0, "CIDR,...", "add networks of clients - " MANY},              \
		{"rm-source-network", 0, "CIDR,...", "remove networks of clients - " MANY},        \
		{"conn-type", 0, "TYPE,...",                                                       \
		 "allow LEAFNODE MQTT STANDARD WEBSOCKET LEAFNODE_WS MQTT_WS IN_PROCESS"},         \
		{"rm-conn-type", 0, "TYPE,...", "remove connection types"},                        \
		{"subs", 0, "N", "maximum number of subscriptions (-1 is unlimited)"},             \
		{"data", 0, "BYTES", "maximum data in bytes (-1 is unlimited)"},                   \
		{"payload", 0, "BYTES", "maximum payload of a message (-1 is unlimited)"},         \
		{"bearer", 0, "[=BOOL]", "no connect challenge required for user"}

typedef const struct cli_opt opts[];

static opts global = {
	{"private-key", 'K', "KEY", "key used to sign: role, public key, seed or file of a seed"},
	{"all-dirs", 'H', "DIR", "sets --config-dir, --data-dir and --keystore-dir"},
	{"config-dir", 0, "DIR", "nsc config directory"},
	{"data-dir", 0, "DIR", "nsc data store directory"},
	{"keystore-dir", 0, "DIR", "nsc keystore directory"},
	{"json", 'J', NULL, "print results as JSON"},
	{"interactive", 'i', NULL, "ask for what is not given, at a terminal"},
	{0},
};

static opts init_opts = {
	{"dir", 'd', "DIR", "directory where the operator directory will be created"},
	NAME("name used for the operator, account and user"),
	{"url", 'u', "URL", "operator of an account server (http, https)"},
	{"remote-operator", 'o', "NAME", "well-known operator, or of $NSC_NAME_OPERATOR"},
	{0},
};

static opts env_opts = {
	{"store", 's', "DIR", "set store directory"},
	{"operator", 'o', "NAME", "set operator name"},
	{"account", 'a', "NAME", "set account name"},
	{0},
};

static opts add_operator_opts = {
	NAME("operator name"),
	{"url", 'u', "URL", "import from a JWT file, an account server or a well-known name"},
	{"generate-signing-key", 0, NULL, "generate a signing key with the operator"},
	{"sys", 's', NULL, "generate system account with the operator"},
	{"force", 0, NULL, "on import, overwrite existing when already present"},
	TIMES,
	{0},
};

static opts add_account_opts = {
	NAME("account name"),
	{"public-key", 'k', "KEY", "public key identifying the account"},
	TIMES,
	PERMISSIONS,
	{0},
};

static opts add_user_opts = {
	NAME("name to assign the user"),
	{"public-key", 'k', "KEY", "public key identifying the user"},
	ACCOUNT,
	{"tag", 0, "TAG,...", "tags for user - " MANY},
	{"source-network", 0, "CIDR,...", "source network for connection - " MANY},
	{"bearer", 0, "[=BOOL]", "no connect challenge required for user"},
	TIMES,
	PERMISSIONS,
	{0},
};

#define EXPORT                                                                                     \
	{"subject", 's', "SUBJECT", "subject"},                                                    \
		{"service", 'r', "[=BOOL]", "export type service"},                                \
		{"private", 'p', "[=BOOL]", "requires an activation to access"},                   \
		{"latency", 0, "SUBJECT", "latency metrics subject (services only)"},              \
		{"sampling", 0, "PERCENT", "latency sampling [1-100] or header (services only)"},  \
		{"response-threshold", 0, "TIME", "response threshold, as in 5s (services only)"}, \
		{"response-type", 0, "TYPE", "Singleton, Stream or Chunked (services only)"},      \
		{"allow-trace", 0, "[=BOOL]", "allow trace requests"},                             \
		{"account-token-position", 0, "N", "token of the subject where the account is"},   \
		{"advertise", 0, "[=BOOL]", "advertise export"}, ACCOUNT

static opts add_export_opts = {NAME("export name"), EXPORT, {0}};
static opts edit_export_opts = {
	NAME("export name"),
	EXPORT,
	{"description", 0, "TEXT", "description of the export"},
	{"info-url", 0, "URL", "link for more info on the export"},
	{"rm-latency-sampling", 0, NULL, "remove latency sampling"},
	{"rm-response-threshold", 0, NULL, "remove response threshold"},
	{0},
};
static opts add_import_opts = {
	NAME("import name"),
	{"token", 'u', "FILE", "file or URL of the activation token (private imports only)"},
	{"local-subject", 's', "SUBJECT", "local subject"},
	{"src-account", 0, "ACCOUNT", "account that exports (public imports)"},
	{"remote-subject", 0, "SUBJECT", "remote subject (public imports)"},
	{"service", 0, "[=BOOL]", "service"},
	{"share", 0, "[=BOOL]", "share data when tracking latency (service only)"},
	{"allow-trace", 0, "[=BOOL]", "allow trace requests"},
	ACCOUNT,
	{0},
};
static opts mapping_opts = {
	{"from", 'f', "SUBJECT", "map from subject (required)"},
	{"to", 't', "SUBJECT", "to subject (required)"},
	{"weight", 0, "N", "weight [1-100] of this mapping entry (default: 100)"},
	{"cluster", 0, "NAME", "in which cluster this mapping should apply"},
	ACCOUNT,
	{0},
};
static opts rm_mapping_opts = {
	{"from", 'f', "SUBJECT", "map from subject (required)"},
	{"to", 't', "SUBJECT", "to subject; without it all of the from subject go"},
	{"cluster", 0, "NAME", "in which cluster this mapping should apply"},
	ACCOUNT,
	{0},
};

#define KEYS                                                                                       \
	{"sk", 0, "KEY,...", "add signing key: key, file, or \"generate\" - " MANY},               \
	{                                                                                          \
		"rm-sk", 0, "KEY,...", "remove signing key - " MANY                                \
	}

static opts edit_operator_opts = {
	KEYS,
	TAGS,
	{"account-jwt-server-url", 'u', "URL", "set account jwt server url for nsc push"},
	{"rm-account-jwt-server-url", 0, "[=BOOL]", "clear account server url"},
	{"system-account", 0, "ACCOUNT", "set system account by public key or name"},
	{"service-url", 'n', "URL,...", "add a URL of NATS servers - " MANY},
	{"rm-service-url", 0, "URL,...", "remove a URL of NATS servers - " MANY},
	{"require-signing-keys", 0, "[=BOOL]", "accounts and users must be signed with them"},
	TIMES,
	{0},
};

static opts edit_account_opts = {
	NAME("account to edit"),
	KEYS,
	TAGS,
	{"conns", 0, "N", "maximum active connections (-1 is unlimited)"},
	{"leaf-conns", 0, "N", "maximum active leaf node connections (-1 is unlimited)"},
	{"data", 0, "BYTES", "maximum data in bytes (-1 is unlimited)"},
	{"exports", 0, "N", "maximum number of exports (-1 is unlimited)"},
	{"imports", 0, "N", "maximum number of imports (-1 is unlimited)"},
	{"payload", 0, "BYTES", "maximum payload of a message (-1 is unlimited)"},
	{"subscriptions", 0, "N", "maximum subscriptions (-1 is unlimited)"},
	{"wildcard-exports", 0, "[=BOOL]", "exports can contain wildcards"},
	{"disallow-bearer", 0, "[=BOOL]", "require user jwt to not be bearer token"},
	{"description", 0, "TEXT", "description of the account"},
	{"info-url", 0, "URL", "link for more info on the account"},
	{"js-tier", 0, "N", "JetStream: replication tier (0 applies to all assets)"},
	{"rm-js-tier", 0, "N", "JetStream: remove limits of the tier (0 is the global one)"},
	{"js-mem-storage", 0, "BYTES", "JetStream: memory storage (-1 unlimited / 0 disabled)"},
	{"js-disk-storage", 0, "BYTES", "JetStream: disk storage (-1 unlimited / 0 disabled)"},
	{"js-streams", 0, "N", "JetStream: maximum streams (-1 is unlimited)"},
	{"js-consumer", 0, "N", "JetStream: maximum consumers (-1 is unlimited)"},
	{"js-max-mem-stream", 0, "BYTES", "JetStream: maximum size of a memory stream"},
	{"js-max-disk-stream", 0, "BYTES", "JetStream: maximum size of a disk stream"},
	{"js-max-bytes-required", 0, "[=BOOL]", "JetStream: streams must have a size limit"},
	{"js-max-ack-pending", 0, "N", "JetStream: maximum pending acks of a consumer"},
	{"js-enable", 0, "N", "JetStream: enable the tier without limits"},
	{"js-disable", 0, "[=BOOL]", "JetStream: delete all limits, which disables it"},
	{"mem-storage", 0, "BYTES", "old name of --js-mem-storage"},
	{"disk-storage", 0, "BYTES", "old name of --js-disk-storage"},
	{"streams", 0, "N", "old name of --js-streams"},
	{"consumer", 0, "N", "old name of --js-consumer"},
	{"trace-context-subject", 0, "SUBJECT", "where trace messages go; \"\" disables"},
	{"trace-context-sampling", 0, "PERCENT", "trace sampling rate (1-100)"},
	{"host-cluster-traffic", 0, "[=BOOL]", "JetStream cluster traffic goes by the account"},
	TIMES,
	PERMISSIONS,
	RM_PERMISSIONS,
	{0},
};

static opts edit_user_opts = {NAME("user name"), ACCOUNT,     TAGS,	      TIMES,
			      USER_LIMITS,	 PERMISSIONS, RM_PERMISSIONS, {0}};
static opts edit_sk_opts = {
	{"sk", 0, "KEY", "signing key: key, role, file, or \"generate\""},
	{"role", 0, "ROLE", "role associated with the signing key scope"},
	{"description", 0, "TEXT", "description of the role"},
	ACCOUNT,
	USER_LIMITS,
	PERMISSIONS,
	RM_PERMISSIONS,
	{0},
};

static opts rm_export_opts = {{"subject", 's', "SUBJECT", "subject"}, ACCOUNT, {0}};
static opts rm_import_opts = {
	{"subject", 's', "SUBJECT", "stream/service subject"},
	{"src-account", 0, "KEY", "source account (only if subject is ambiguous)"},
	ACCOUNT,
	{0},
};

#define REMOVE                                                                                     \
	{"rm-nkey", 'D', "[=BOOL]", "delete keys too"},                                            \
		{"rm-creds", 'C', "[=BOOL]", "delete creds files too"}

static opts rm_account_opts = {
	NAME("name of account to delete"),
	{"revoke", 'R', "[=BOOL]", "revoke users before deleting (default)"},
	REMOVE,
	{"force", 'F', NULL, "managed accounts must supply --force"},
	{0},
};
static opts rm_user_opts = {
	{"name", 'n', "NAME,...", "name of user(s) to delete"},
	ACCOUNT,
	{"revoke", 'R', "[=BOOL]", "revoke user before deleting"},
	REMOVE,
	{0},
};

static opts list_opts = {{"operator", 'o', "NAME", "operator name"}, ACCOUNT, {0}};

#define WHICH_KEYS                                                                                 \
	{"operator", 'o', NULL, "operator keys"}, {"accounts", 'a', NULL, "account keys"},         \
		{"users", 'u', NULL, "user keys"}, {"account", 0, "NAME", "keys of this account"}, \
		{"user", 0, "NAME", "keys of this user"},                                          \
		{"all", 'A', NULL, "operator, accounts and users"},                                \
		{"filter", 'f', "TEXT", "keys containing string"},                                 \
		{"not-referenced", 0, NULL, "keys that the operator's tree does not have"}

static opts list_keys_opts = {
	WHICH_KEYS,
	{"curve", 'x', NULL, "curve keys"},
	{"show-seeds", 'S', NULL, "shows seed keys value"},
	{0},
};
static opts export_keys_opts = {
	WHICH_KEYS,
	{"curves", 0, NULL, "curve keys"},
	{"dir", 'd', "DIR", "directory to export keys to"},
	{"force", 'F', NULL, "overwrite existing files"},
	{"remove", 'R', NULL, "removes the original key file after exporting it"},
	{"include-jwts", 0, NULL, "include jwts"},
	{0},
};
static opts import_keys_opts = {
	{"dir", 'd', "DIR", "directory to import keys from"},
	{"recurse", 'R', NULL, "recurse directories"},
	{0},
};

#define FORM                                                                                       \
	{"raw", 'R', NULL, "output the raw JWT"},                                                  \
		{"field", 'F', "PATH", "extract value of this field, as in nats.limits.conn"},     \
		{"long-ids", 'W', NULL, "display account ids on imports"}, OUTPUT

static opts describe_opts = {NAME("name"), FORM, {0}};
static opts describe_user_opts = {NAME("user name"), ACCOUNT, FORM, {0}};
static opts describe_jwt_opts = {{"file", 'f', "FILE", "a token or creds file"}, FORM, {0}};

static opts creds_opts = {NAME("user name"), ACCOUNT, OUTPUT, {0}};
static opts config_opts = {
	{"mem-resolver", 0, NULL, "generates a mem resolver server configuration"},
	{"nats-resolver", 0, NULL, "generates a full nats resolver server configuration"},
	{"nats-resolver-cache", 0, NULL, "generates a cached nats resolver server configuration"},
	{"config-file", 0, "FILE", "output configuration file '--' is standard output"},
	{"force", 'F', NULL, "overwrite output files if they exist"},
	{"sys-account", 0, "ACCOUNT", "system account name"},
	{0},
};
static opts nkey_opts = {
	{"operator", 'o', NULL, "operator"},
	{"account", 'a', NULL, "account"},
	{"user", 'u', NULL, "user"},
	{"curve", 'x', NULL, "curve"},
	{"store", 'S', NULL, "store in the keystore"},
	{0},
};

#define TARGET {"target-account", 't', "ACCOUNT", "account that imports; \"*\": all"}

static opts activation_opts = {
	{"subject", 's', "SUBJECT", "export subject"},
	TARGET,
	OUTPUT,
	{"push", 0, NULL, "give it to the operator's account server (http, https)"},
	TIMES,
	ACCOUNT,
	{0},
};
static opts profile_opts = {OUTPUT, {0}};

#define USER_KEY {"user-public-key", 'u', "KEY", "public key of the user; \"*\": all users"}
#define AT {"at", 0, "TIME", "what was issued before: seconds since 1970 or RFC 3339; 0: now"}

static opts revoke_opts = {NAME("user name"), USER_KEY, AT, ACCOUNT, {0}};
static opts unrevoke_opts = {NAME("user name"), USER_KEY, ACCOUNT, {0}};
static opts account_only = {ACCOUNT, {0}};
static opts revoke_act_opts = {
	{"subject", 's', "SUBJECT", "export subject"},
	{"service", 0, NULL, "service"},
	TARGET,
	AT,
	ACCOUNT,
	{0},
};
static opts unrevoke_act_opts = {
	{"subject", 's', "SUBJECT", "export subject"},
	{"service", 0, NULL, "service"},
	TARGET,
	ACCOUNT,
	{0},
};
static opts revoked_act_opts = {{"subject", 's', "SUBJECT", "export subject"},
				{"service", 0, NULL, "service"},
				ACCOUNT,
				{0}};

static opts validate_opts = {
	{"all-accounts", 'A', NULL, "validate all accounts under the current operator"},
	{"file", 'f', "FILE", "validate all jwt (separated by newline) in the file"},
	ACCOUNT,
	{0},
};

#define SYSTEM                                                                                     \
	{"system-account", 0, "NAME", "system account (default: the operator's)"},                 \
		{"system-user", 0, "NAME", "user of it (default: one for two minutes)"},           \
		{"account-jwt-server-url", 'u', "URL", "nats, tls, http or https URL"},            \
		{"ca-cert", 0, "FILE", "CA of the servers ($NATS_CA)"},                            \
		{"client-cert", 0, "FILE", "certificate of the client ($NATS_CERT)"},              \
		{"client-key", 0, "FILE", "key of the client's certificate ($NATS_KEY)"},          \
		{"tls-first", 0, "[=BOOL]", "TLS before the server's greeting (nats, tls)"}

static opts push_opts = {
	ACCOUNT,
	{"all", 'A', NULL, "push all accounts under the current operator"},
	{"force", 'F', NULL, "push regardless of validation issues"},
	{"diff", 'D', NULL, "show which accounts servers have"},
	{"prune", 'P', NULL, "delete accounts from servers that are not here"},
	{"account-removal", 'R', "ACCOUNT", "delete this account from servers"},
	{"timeout", 0, "SECONDS", "how long answers are waited for [1-60]"},
	SYSTEM,
	{0},
};
static opts pull_opts = {
	ACCOUNT,
	{"all", 'A', NULL, "operator and all accounts under the operator"},
	{"overwrite-newer", 'F', NULL, "overwrite local JWTs that are newer than remote"},
	SYSTEM,
	{0},
};

#define EX(...)                                                                                    \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static const struct cli_cmd cmds[] = {
	{.path = "init",
	 .args = "[NAME]",
	 .help = "Create an operator, account and user",
	 .opts = init_opts,
	 .run = nsc_init,
	 .examples = EX("nsc init -n demo -d ~/nsc")},
	{.path = "env",
	 .help = "Print and manage the nsc environment",
	 .opts = env_opts,
	 .run = nsc_env,
	 .examples = EX("nsc env", "nsc env -o demo -a app")},
	{.path = "select operator",
	 .args = "NAME",
	 .help = "Use this operator",
	 .run = nsc_select_operator,
	 .examples = EX("nsc select operator demo")},
	{.path = "select account",
	 .args = "NAME",
	 .help = "Use this account",
	 .run = nsc_select_account,
	 .examples = EX("nsc select account orders")},
	{.path = "add|create operator",
	 .args = "[NAME]",
	 .help = "Add an operator",
	 .opts = add_operator_opts,
	 .run = nsc_add_operator,
	 .examples = EX("nsc add operator demo --sys --generate-signing-key")},
	{.path = "add|create account",
	 .args = "[NAME]",
	 .help = "Add an account",
	 .opts = add_account_opts,
	 .run = nsc_add_account,
	 .examples = EX("nsc add account -n orders")},
	{.path = "add|create user",
	 .args = "[NAME]",
	 .help = "Add a user to the account",
	 .opts = add_user_opts,
	 .run = nsc_add_user,
	 .examples = EX("nsc add user u --allow-pub 'q.>' --allow-sub '_INBOX.>' --expiry 1y",
			"nsc add user r -K role")},
	{.path = "add|create export",
	 .help = "Add an export",
	 .opts = add_export_opts,
	 .run = nsc_add_export,
	 .examples = EX("nsc add export --service --subject 'help.*' --private")},
	{.path = "add|create import",
	 .help = "Add an import",
	 .opts = add_import_opts,
	 .run = nsc_add_import,
	 .examples = EX("nsc add import --src-account A --remote-subject help --service",
			"nsc add import --token activation.jwt --local-subject help")},
	{.path = "add|create mapping",
	 .help = "Add (or modify) a mapping entry",
	 .opts = mapping_opts,
	 .run = nsc_add_mapping,
	 .examples = EX("nsc add mapping --from a --to b --weight 50")},
	{.path = "edit operator",
	 .help = "Edit the operator",
	 .opts = edit_operator_opts,
	 .run = nsc_edit_operator,
	 .examples = EX("nsc edit operator --service-url nats://localhost:4222")},
	{.path = "edit account",
	 .args = "[NAME]",
	 .help = "Edit an account",
	 .opts = edit_account_opts,
	 .run = nsc_edit_account,
	 .examples = EX("nsc edit account app --sk generate --js-disk-storage 1G")},
	{.path = "edit user",
	 .args = "[NAME]",
	 .help = "Edit a user",
	 .opts = edit_user_opts,
	 .run = nsc_edit_user,
	 .examples = EX("nsc edit user u --tag blue --expiry 30d")},
	{.path = "edit signing-key",
	 .args = "[KEY]",
	 .help = "Edit a scoped signing key or promote a signing key to be scoped",
	 .opts = edit_sk_opts,
	 .run = nsc_edit_signing_key,
	 .examples = EX("nsc edit signing-key --sk generate --role hsm "
			"--allow-pub 'hsm.as.{{subject()}}.>'")},
	{.path = "edit export",
	 .help = "Edit an export",
	 .opts = edit_export_opts,
	 .run = nsc_edit_export,
	 .examples = EX("nsc edit export -s 'orders.get.*' --response-threshold 5s")},
	{.path = "delete account",
	 .args = "[NAME]",
	 .help = "Delete an account and associated users",
	 .opts = rm_account_opts,
	 .run = nsc_delete_account,
	 .examples = EX("nsc delete account orders --revoke")},
	{.path = "delete user",
	 .args = "[NAME]",
	 .help = "Delete a user",
	 .opts = rm_user_opts,
	 .run = nsc_delete_user,
	 .examples = EX("nsc delete user -n ci --revoke --rm-creds")},
	{.path = "delete export",
	 .help = "Delete an export",
	 .opts = rm_export_opts,
	 .run = nsc_delete_export,
	 .examples = EX("nsc delete export -s 'orders.get.*'")},
	{.path = "delete import",
	 .help = "Delete an import",
	 .opts = rm_import_opts,
	 .run = nsc_delete_import,
	 .examples = EX("nsc delete import -s 'orders.get.*'")},
	{.path = "delete mapping",
	 .help = "Delete a mapping",
	 .opts = rm_mapping_opts,
	 .run = nsc_delete_mapping,
	 .examples = EX("nsc delete mapping --from orders.old")},
	{.path = "list operators|operator",
	 .help = "List operators",
	 .run = nsc_list_operators,
	 .examples = EX("nsc list operators --json")},
	{.path = "list accounts|account",
	 .help = "List accounts",
	 .opts = list_opts,
	 .run = nsc_list_accounts,
	 .examples = EX("nsc list accounts")},
	{.path = "list users|user",
	 .help = "List users",
	 .opts = list_opts,
	 .run = nsc_list_users,
	 .examples = EX("nsc list users -a orders")},
	{.path = "list keys|key",
	 .help = "List operator, account and user keys",
	 .opts = list_keys_opts,
	 .run = nsc_list_keys,
	 .examples = EX("nsc list keys --all --not-referenced")},
	{.path = "describe operator",
	 .args = "[NAME]",
	 .help = "Describe the operator",
	 .opts = describe_opts,
	 .run = nsc_describe_operator,
	 .examples = EX("nsc describe operator --json")},
	{.path = "describe account",
	 .args = "[NAME]",
	 .help = "Describe an account by name or public nkey",
	 .opts = describe_opts,
	 .run = nsc_describe_account,
	 .examples = EX("nsc describe account app -F nats.limits.conn")},
	{.path = "describe user",
	 .args = "[NAME]",
	 .help = "Describe a user by name or public nkey",
	 .opts = describe_user_opts,
	 .run = nsc_describe_user,
	 .examples = EX("nsc describe user -a orders -n ci --field nats.permissions")},
	{.path = "describe jwt",
	 .args = "[FILE]",
	 .help = "Describe a jwt/creds file",
	 .opts = describe_jwt_opts,
	 .run = nsc_describe_jwt,
	 .examples = EX("nsc describe jwt -f activation.jwt")},
	{.path = "generate creds",
	 .args = "[NAME]",
	 .help = "Generate a credentials file",
	 .opts = creds_opts,
	 .run = nsc_generate_creds,
	 .examples = EX("nsc generate creds -a app -n u -o u.creds")},
	{.path = "generate config",
	 .help = "Generate the configuration of a nats-server",
	 .opts = config_opts,
	 .run = nsc_generate_config,
	 .examples = EX("nsc generate config --mem-resolver --config-file server.conf")},
	{.path = "generate nkey",
	 .help = "Generate an nkey",
	 .opts = nkey_opts,
	 .run = nsc_generate_nkey,
	 .examples = EX("nsc generate nkey --account --store")},
	{.path = "generate activation",
	 .help = "Generate an export activation jwt token",
	 .opts = activation_opts,
	 .run = nsc_generate_activation,
	 .examples = EX("nsc generate activation -s 'orders.get.*' -t ABC… -o activation.jwt")},
	{.path = "generate profile",
	 .args = "URL",
	 .help = "Generate a profile that can be used by tooling",
	 .opts = profile_opts,
	 .run = nsc_generate_profile,
	 .examples = EX("nsc generate profile 'nsc://demo/app/u?names&keys'")},
	{.path = "export keys",
	 .help = "Export keys of the operator's tree",
	 .opts = export_keys_opts,
	 .run = nsc_export_keys,
	 .examples = EX("nsc export keys --all --dir backup")},
	{.path = "import keys",
	 .help = "Import all nkeys found in a directory",
	 .opts = import_keys_opts,
	 .run = nsc_import_keys,
	 .examples = EX("nsc import keys --dir backup --recurse")},
	{.path = "revocations|revocation add-user|add_user",
	 .help = "Revoke a user",
	 .opts = revoke_opts,
	 .run = nsc_revoke_user,
	 .examples = EX("nsc revocations add-user -a orders -n ci")},
	{.path = "revocations|revocation delete-user|delete_user",
	 .help = "Remove a user revocation",
	 .opts = unrevoke_opts,
	 .run = nsc_unrevoke_user,
	 .examples = EX("nsc revocations delete-user -a orders -n ci")},
	{.path = "revocations|revocation list-users|list_users",
	 .help = "List users revoked in an account",
	 .opts = account_only,
	 .run = nsc_revoked_users,
	 .examples = EX("nsc revocations list-users -a orders")},
	{.path = "revocations|revocation add_activation|add-activation",
	 .help = "Revoke an account's access to an export",
	 .opts = revoke_act_opts,
	 .run = nsc_revoke_activation,
	 .examples = EX("nsc revocations add-activation -s 'orders.get.*' -t ABC…")},
	{.path = "revocations|revocation delete_activation|delete-activation",
	 .help = "Remove an account revocation from an export",
	 .opts = unrevoke_act_opts,
	 .run = nsc_unrevoke_activation,
	 .examples = EX("nsc revocations delete-activation -s 'orders.get.*' -t ABC…")},
	{.path = "revocations|revocation list_activations|list-activations",
	 .help = "List account revocations for an export",
	 .opts = revoked_act_opts,
	 .run = nsc_revoked_activations,
	 .examples = EX("nsc revocations list-activations -s 'orders.get.*'")},
	{.path = "validate",
	 .help = "Validate an operator, account(s), and users",
	 .opts = validate_opts,
	 .run = nsc_validate,
	 .examples = EX("nsc validate --all-accounts")},
	{.path = "push",
	 .help = "Push account JWTs to nats-servers or an account server",
	 .opts = push_opts,
	 .run = nsc_push,
	 .examples = EX("nsc push --all -u nats://localhost:4222")},
	{.path = "pull",
	 .help = "Pull JWTs from a nats-server or an account server",
	 .opts = pull_opts,
	 .run = nsc_pull,
	 .examples = EX("nsc pull --all -u nats://localhost:4222")},
	{0},
};

static const struct cli_prog prog = {
	.name = "nsc",
	.help = "Operators, accounts and users of NATS, and their permissions",
	.opts = global,
	.cmds = cmds,
	.examples = EX("nsc init -n demo", "nsc add user u --allow-pubsub 'demo.>'",
		       "nsc generate config --mem-resolver --config-file server.conf"),
	.error = "Error",
	.values = nsc_complete_values,
	.status = 1,
};

/* Seeds go through jansson's tables and JSON: it keeps none. */
static void wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

int nsc_main(int argc, char **argv)
{
	struct nsc_program program = {.interactive = nsc_interactive};

	json_set_alloc_funcs(malloc, wipe_free);
	if (argc < 2) {
		cli_help(&prog, NULL, stdout);
		return cli_finish("nsc", 0);
	}
	return cli_main(&prog, argc, argv, &program);
}
