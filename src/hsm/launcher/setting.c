#include "hsm/launcher/setting.h"

#include "hsm/launcher/config.h"

#define AT(member) offsetof(struct config, member)

const struct setting settings[NSETTINGS] = {
	{.key = "data",
	 .env = "HSM_DATA",
	 .kind = SETTING_PATH,
	 .at = AT(data),
	 .def = "/data",
	 .help = "directory of the database (below store/), the identity file and the health "
		 "socket"},
	{.key = "device_key_file",
	 .env = "HSM_DEVICE_KEY",
	 .kind = SETTING_PATH,
	 .at = AT(device_key_file),
	 .def = "/run/secrets/device_key",
	 .help = "file with the device key: 32 bytes in base64 or hex; there is no default key"},
	{.key = "unlock_passphrase_file",
	 .kind = SETTING_PATH,
	 .at = AT(unlock_file),
	 .def = "/run/secrets/unlock_passphrase",
	 .help = "file with the unlock passphrase; the variable UNLOCKPW (the passphrase "
		 "itself) wins; neither: an administrator unlocks"},
	{.key = "bootstrap_admins",
	 .env = "HSM_BOOTSTRAP_ADMINS",
	 .kind = SETTING_ADMINS,
	 .at = AT(bootstrap),
	 .help = "who may provision and unlock: NKEY or name=NKEY, comma-separated; in the "
		 "file a list of {name, nkey}; counts at the first start"},
	{.key = "anchor_file",
	 .env = "HSM_ANCHOR",
	 .kind = SETTING_PATH,
	 .at = AT(anchor_file),
	 .help = "file on another volume that remembers the store's newest state, against "
		 "roll-back"},
	{.key = "nats.url",
	 .env = "NATS_URL",
	 .kind = SETTING_TEXT,
	 .at = AT(nats_url),
	 .def = "nats://127.0.0.1:4222",
	 .help = "NATS servers, comma-separated; tls://… asks for TLS"},
	{.key = "nats.creds",
	 .env = "NATS_CREDS",
	 .kind = SETTING_PATH,
	 .at = AT(nats_creds),
	 .help = "credentials file of the service's NATS user, or"},
	{.key = "nats.nkey",
	 .env = "NATS_NKEY",
	 .kind = SETTING_PATH,
	 .at = AT(nats_nkey),
	 .help = "file with the NKey seed of the service's NATS user"},
	{.key = "nats.ca",
	 .env = "NATS_CA",
	 .kind = SETTING_PATH,
	 .at = AT(nats_ca),
	 .help = "PEM file of the CAs that the servers' certificates come from"},
	{.key = "nats.cert",
	 .env = "NATS_CERT",
	 .kind = SETTING_PATH,
	 .at = AT(nats_cert),
	 .help = "PEM file of the service's own certificate, with nats.key"},
	{.key = "nats.key",
	 .env = "NATS_KEY",
	 .kind = SETTING_PATH,
	 .at = AT(nats_key),
	 .help = "PEM file of its private key"},
	{.key = "nats.name",
	 .kind = SETTING_TEXT,
	 .at = AT(nats_name),
	 .def = "signbox-hsm",
	 .help = "name of the connection in the servers' lists"},
	{.key = "workers",
	 .env = "HSM_WORKERS",
	 .kind = SETTING_INT,
	 .at = AT(workers),
	 .def = "0",
	 .max = 32,
	 .help = "lanes that sign in parallel; 0: as many as CPUs"},
	{.key = "sessions_per_user",
	 .kind = SETTING_INT,
	 .at = AT(sessions_user),
	 .def = "64",
	 .min = 1,
	 .max = 4096,
	 .help = "open sessions of one user; above it the answer is busy"},
	{.key = "max_message",
	 .kind = SETTING_INT,
	 .at = AT(max_message),
	 .def = "1000000",
	 .min = 4096,
	 .max = 8 << 20,
	 .help = "largest body of a request in bytes; the NATS server's max_payload must be "
		 "a little larger"},
	{.key = "key_memory_mib",
	 .kind = SETTING_INT,
	 .at = AT(key_mib),
	 .def = "4",
	 .min = 1,
	 .max = 1 << 16,
	 .help = "locked memory for loaded keys in MiB: 4 hold about 40000 Ed25519, 1300 P-256 "
		 "or 650 RSA-2048 keys; the memory-lock limit must be 4 MiB more"},
	{.key = "audit_mib",
	 .kind = SETTING_INT,
	 .at = AT(audit_mib),
	 .def = "256",
	 .min = 1,
	 .max = 1 << 19,
	 .help = "size of the audit log in MiB before its oldest part is removed"},
	{.key = "store_map_mib",
	 .kind = SETTING_INT,
	 .at = AT(map_mib),
	 .def = "1024",
	 .min = 16,
	 .max = 1 << 20,
	 .help = "largest size of the database in MiB"},
	{.key = "debug_log",
	 .env = "DEBUG_LOG",
	 .kind = SETTING_BOOL,
	 .at = AT(debug),
	 .def = "false",
	 .help = "more log lines"},
	{.key = "landlock",
	 .env = "HSM_LANDLOCK",
	 .kind = SETTING_CHOICE,
	 .at = AT(landlock_waived),
	 .def = "required",
	 .words = {"required", "waived"},
	 .help = "waived: start although the kernel has no Landlock"},
	{.key = "health_socket",
	 .kind = SETTING_PATH,
	 .at = AT(health_socket),
	 .def = "DATA/health.sock",
	 .help = "socket that 'hsmd health' asks"},
	{.key = "identity_file",
	 .kind = SETTING_PATH,
	 .at = AT(identity_file),
	 .def = "DATA/identity",
	 .help = "file that hsmd writes the HSM's identity (X…) to, for clients to pin"},
	{.key = "restart_delay",
	 .env = "HSM_RESTART_DELAY",
	 .kind = SETTING_INT,
	 .at = AT(restart_delay),
	 .def = "5",
	 .max = 300,
	 .help = "seconds from the start to the end when hsmd cannot start as the first process of "
		 "a container, so that engines do not start it many times a second"},
	{.key = "testing",
	 .kind = SETTING_BOOL,
	 .at = AT(testing),
	 .def = "false",
	 .help = "true: the store is one that the test image made, and everybody is warned; "
		 "otherwise such a store is refused. Allows nothing else"},
	{.key = "libexec_dir",
	 .kind = SETTING_PATH,
	 .at = AT(libexec_dir),
	 .help = "directory of hsm-front, hsm-keyd and hsm-store; default: that of hsmd"},
};

const char *setting_source_text(enum setting_source s)
{
	switch (s) {
	case SOURCE_DEFAULT:
		return "default";
	case SOURCE_FILE:
		return "file";
	case SOURCE_ENV:
		return "environment";
	case SOURCE_NONE:
		break;
	}
	return "";
}

const char *setting_kind_text(enum setting_kind k)
{
	switch (k) {
	case SETTING_TEXT:
		return "text";
	case SETTING_PATH:
		return "path";
	case SETTING_INT:
		return "number";
	case SETTING_BOOL:
		return "true or false";
	case SETTING_CHOICE:
		return "word";
	case SETTING_ADMINS:
		return "list";
	}
	return "";
}
