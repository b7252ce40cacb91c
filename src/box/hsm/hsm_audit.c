/* hsm audit: the log is fetched in pages, its chain recomputed from the base and
 * compared with the head that the HSM's audit key has signed. The key seen first is
 * pinned, and the last verified entry is remembered, so that a log that was cut or
 * rewritten between two runs is found. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/hsm/hsm.h"
#include "client/trail.h"

#define PAGE_BYTES 65536
#define OPS 64 /* counted operation numbers */
#define LINE_MAX_BYTES 8192

/* What is known of the log from earlier runs. */
struct memory {
	char path[4400];
	bool known;
	uint8_t key[32];
	uint64_t seq;
	uint8_t hash[32];
};

struct check {
	struct audit_head head;
	struct trail trail;
	struct memory mem;
	FILE *dump;
	struct table *table; /* of `audit show`, or NULL */
	json_t *list;
	uint64_t limit; /* entries after the head are not looked at */
	uint64_t done[OPS], failed[OPS];
};

static int memory_load(struct memory *m, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char key[65] = "", hash[65] = "";

	buf_init(&b, 512);
	if (access(m->path, F_OK) && errno == ENOENT)
		return 0;
	if (file_read(m->path, &b, e))
		return -1;
	buf_u8(&b, 0);
	if (b.bad ||
	    sscanf((const char *)b.p, "key %64s seq %" SCNu64 " hash %64s", key, &m->seq, hash) !=
		    3 ||
	    enc_unhex(m->key, 32, key) || enc_unhex(m->hash, 32, hash) || strlen(key) != 64 ||
	    strlen(hash) != 64)
		return err_set(e, ERR_BAD_INPUT,
			       "%s is not what 'audit verify' remembers; remove it to trust the "
			       "log as it is",
			       m->path);
	m->known = true;
	return 0;
}

static int memory_save(const struct memory *m, const struct check *k, struct err *e)
{
	char text[256], key[65], hash[65];
	int n;

	if (!*m->path || (m->known && m->seq >= k->trail.seq))
		return 0;
	enc_hex(key, k->head.audit_key, 32);
	enc_hex(hash, k->trail.hash, 32);
	n = snprintf(text, sizeof(text), "key %s\nseq %" PRIu64 "\nhash %s\n", key, k->trail.seq,
		     hash);
	return file_replace(m->path, text, (size_t)n, 0600, e);
}

/* The chain has come to the entry that was the last one before: is it the same? */
static int memory_compare(const struct check *k, struct err *e)
{
	if (k->mem.known && k->trail.seq == k->mem.seq &&
	    memcmp(k->trail.hash, k->mem.hash, 32) != 0)
		return err_set(e, ERR_STORE_DAMAGED,
			       "the audit log up to entry %" PRIu64
			       " is not the one that was verified before",
			       k->mem.seq);
	return 0;
}

static json_t *head_json(const struct audit_head *h)
{
	return json_pack("{s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "seq", (json_int_t)h->seq,
			 "hash", json_hex(h->hash, 32), "time", (json_int_t)h->time, "epoch",
			 (json_int_t)h->epoch, "base_seq", (json_int_t)h->base_seq, "base_hash",
			 json_hex(h->base_hash, 32), "audit_key", json_hex(h->audit_key, 32), "sig",
			 json_hex(h->sig, 64));
}

static const char *op_text(unsigned op)
{
	const struct op_row *row = op_row(op);

	return row ? row->name : "?";
}

/* The numbers are what the chain covers; the words after them are for readers. */
static json_t *entry_json(const struct audit_entry *a)
{
	static const char *const surfaces[] = {"service", "session", "plain"};
	const struct mode_row *m = mode_row(a->mode);
	char when[40];

	return json_pack("{s:I, s:I, s:i, s:o, s:i, s:i, s:o, s:o, s:I, s:i, s:o, s:s, s:s, s:s, "
			 "s:s, s:s?}",
			 "seq", (json_int_t)a->seq, "time", (json_int_t)a->time, "surface",
			 a->surface, "user", json_bytes(a->user), "op", a->op, "error", a->error,
			 "ns", json_bytes(a->ns), "key", json_bytes(a->key), "version",
			 (json_int_t)a->version, "mode", a->mode, "digest", json_hex(a->digest, 32),
			 "when", text_time(when, a->time), "by", surfaces[a->surface % 3],
			 "operation", op_text(a->op), "result",
			 a->error ? err_row(a->error)->name : "OK", "mode_name",
			 m ? m->text : NULL);
}

/* One JSON line to the dump. */
static int dump_line(struct check *k, json_t *j, struct err *e)
{
	CLEAN(json) json_t *own = j;
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, LINE_MAX_BYTES);
	if (!own)
		return err_set(e, ERR_NOMEM, NULL);
	if (json_text(own, JSON_ONE_LINE, &b, e))
		return -1;
	buf_u8(&b, '\n');
	if (fwrite(b.p, 1, b.len, k->dump) != b.len)
		return err_errno(e, ERR_IO, "cannot write the copy of the audit log");
	return 0;
}

static void table_entry(struct table *t, const struct audit_entry *a)
{
	static const char *const surfaces[] = {"-", "session", "plain"};
	const struct mode_row *m = mode_row(a->mode);
	char when[40], user[256], key[256];

	table_num(t, (int64_t)a->seq);
	table_text(t, text_time(when, a->time));
	table_text(t, surfaces[a->surface % 3]);
	table_text(t, a->user.len ? text_bytes(user, a->user) : NULL);
	table_text(t, op_text(a->op));
	table_text(t, a->key.len ? text_bytes(key, a->key) : NULL);
	table_text(t, m ? m->text : NULL);
	table_text(t, a->error ? err_row(a->error)->name : "OK");
}

/* Next entry, from the HSM or from a file. */
static int take(void *arg, struct bytes entry, struct err *e)
{
	struct check *k = arg;
	struct audit_entry a;

	if (k->trail.seq >= k->limit)
		return 0;
	if (trail_add(&k->trail, entry, &a, e) || memory_compare(k, e))
		return -1;
	if (a.op < OPS)
		(a.error ? k->failed : k->done)[a.op]++;
	return k->dump ? dump_line(k, entry_json(&a), e) : 0;
}

static int show_entry(void *arg, struct bytes entry, struct err *e)
{
	struct check *k = arg;
	struct audit_entry a;

	if (k->trail.seq >= k->limit)
		return 0;
	if (audit_entry_get(&a, entry.p, entry.len, e))
		return -1;
	k->trail.seq = a.seq;
	table_entry(k->table, &a);
	json_array_append_new(k->list, entry_json(&a));
	return 0;
}

static int fetch(struct hsm_client *h, struct check *k,
		 int (*each)(void *arg, struct bytes entry, struct err *e), struct err *e)
{
	while (k->trail.seq < k->limit) {
		uint64_t before = k->trail.seq;
		bool more;
		size_t n;

		if (hsm_audit_read(h, before + 1, PAGE_BYTES, each, k, &n, &more, e))
			return -1;
		if (k->trail.seq == before)
			return err_set(e, ERR_STORE_DAMAGED,
				       "the HSM has no audit entry %" PRIu64
				       ", its head says that there is",
				       before + 1);
	}
	return 0;
}

/* --audit-key: 64 hex digits or @FILE. */
static int given_key(struct cli *c, uint8_t key[static 32], bool *given, struct err *e)
{
	const char *text = cli_str(c, "audit-key");
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 256);
	*given = text != NULL;
	if (!text)
		return 0;
	if (run_at_file(&text, &b, e))
		return -1;
	if (strlen(text) != 64 || enc_unhex(key, 32, text))
		return err_set(e, ERR_BAD_INPUT, "an audit key has 64 hex digits");
	return 0;
}

/* Signature of the head by the pinned key, and the log not shorter than before. */
static int check_head(struct check *k, const uint8_t *key, struct err *e)
{
	if (trail_head(&k->head, key ? key : k->mem.known ? k->mem.key : NULL, e))
		return -1;
	if (k->mem.known && k->head.seq < k->mem.seq)
		return err_set(e, ERR_ROLLED_BACK,
			       "the audit log ends at entry %" PRIu64 ", but %" PRIu64
			       " were verified before",
			       k->head.seq, k->mem.seq);
	trail_start(&k->trail, &k->head);
	k->limit = k->head.seq;
	return memory_compare(k, e);
}

static int summary(struct cli *c, const struct check *k, bool pinned, struct err *e)
{
	CLEAN(table) struct table *t = table_new();
	char key[65], when[40], text[3][32];
	FILE *f;

	enc_hex(key, k->head.audit_key, 32);
	if (run_json(c))
		return run_print(c,
				 json_pack("{s:b, s:b, s:o, s:I}", "verified", 1, "key_pinned",
					   pinned, "head", head_json(&k->head), "entries",
					   (json_int_t)(k->head.seq - k->head.base_seq)),
				 e);
	f = run_out(c);
	(void)snprintf(text[0], sizeof(text[0]), "%" PRIu64, k->head.seq - k->head.base_seq);
	(void)snprintf(text[1], sizeof(text[1]), "%" PRIu64, k->head.seq);
	(void)snprintf(text[2], sizeof(text[2]), "%" PRIu64, k->head.epoch);
	table_pairs(f, "Audit log", "verified", "Entries", text[0], "Last entry", text[1], "Signed",
		    text_time(when, k->head.time), "Epoch", text[2], "Audit key", key, "Key is",
		    pinned ? "the pinned one" : "seen for the first time", NULL);
	fputc('\n', f);
	table_col(t, "OPERATION", 0);
	table_col(t, "DONE", TABLE_RIGHT);
	table_col(t, "REFUSED", TABLE_RIGHT);
	for (unsigned op = 0; op < OPS; op++) {
		if (!k->done[op] && !k->failed[op])
			continue;
		table_text(t, op_text(op));
		table_num(t, (int64_t)k->done[op]);
		table_num(t, (int64_t)k->failed[op]);
	}
	table_print(t, f);
	return 0;
}

static int verify_online(struct cli *c, struct check *k, const uint8_t *key, struct err *e)
{
	struct hsm_client *h;
	struct err why;

	if (run_open(c, &h, e))
		return -1;
	if (run_path(c, k->mem.path, sizeof(k->mem.path), "audit.", run_of(c)->identity, &why))
		k->mem.path[0] = '\0';
	else if (memory_load(&k->mem, e))
		return -1;
	if (hsm_audit_head(h, &k->head, e) || check_head(k, key, e))
		return -1;
	if (k->dump && dump_line(k,
				 json_pack("{s:o, s:s}", "head", head_json(&k->head), "identity",
					   run_of(c)->identity),
				 e))
		return -1;
	if (fetch(h, k, take, e) || trail_end(&k->trail, &k->head, e))
		return -1;
	if (memory_save(&k->mem, k, &why))
		fprintf(stderr, "hsm: note: what was verified is not remembered: %s\n", why.text);
	return 0;
}

/* Bytes of n hex digits pairs in a member. */
static int unhex(const char *text, uint8_t *out, size_t n)
{
	return text && strlen(text) == 2 * n ? enc_unhex(out, n, text) : -1;
}

static int parse_head(struct check *k, const json_t *line, struct err *e)
{
	json_int_t seq, time, epoch, base;
	const char *hash, *base_hash, *key, *sig;
	struct audit_head *h = &k->head;

	if (json_unpack((json_t *)(uintptr_t)line, "{s:{s:I, s:s, s:I, s:I, s:I, s:s, s:s, s:s}}",
			"head", "seq", &seq, "hash", &hash, "time", &time, "epoch", &epoch,
			"base_seq", &base, "base_hash", &base_hash, "audit_key", &key, "sig",
			&sig) ||
	    unhex(hash, h->hash, 32) || unhex(base_hash, h->base_hash, 32) ||
	    unhex(key, h->audit_key, 32) || unhex(sig, h->sig, 64))
		return err_set(e, ERR_BAD_JSON, "the first line is not the head of an audit log");
	h->seq = (uint64_t)seq;
	h->time = (uint64_t)time;
	h->epoch = (uint64_t)epoch;
	h->base_seq = (uint64_t)base;
	return 0;
}

/* The entry's encoding from its numbers and names. */
static int parse_entry(struct buf *out, const json_t *line, struct err *e)
{
	json_int_t seq, time, version;
	const char *user, *ns, *key, *digest;
	size_t nuser, nns, nkey;
	int surface, op, error, mode;
	struct audit_entry a;

	if (json_unpack((json_t *)(uintptr_t)line,
			"{s:I, s:I, s:i, s:s%, s:i, s:i, s:s%, s:s%, s:I, s:i, s:s}", "seq", &seq,
			"time", &time, "surface", &surface, "user", &user, &nuser, "op", &op,
			"error", &error, "ns", &ns, &nns, "key", &key, &nkey, "version", &version,
			"mode", &mode, "digest", &digest) ||
	    unhex(digest, a.digest, 32))
		return err_set(e, ERR_BAD_JSON, "a line is not an entry of an audit log");
	a.seq = (uint64_t)seq;
	a.time = (uint64_t)time;
	a.surface = (uint8_t)surface;
	a.user = (struct bytes){(const uint8_t *)user, nuser};
	a.op = (uint16_t)op;
	a.error = (uint16_t)error;
	a.ns = (struct bytes){(const uint8_t *)ns, nns};
	a.key = (struct bytes){(const uint8_t *)key, nkey};
	a.version = (uint32_t)version;
	a.mode = (uint8_t)mode;
	audit_entry_put(out, &a);
	return out->bad ? err_set(e, ERR_BAD_JSON, "a name is too long") : 0;
}

static int parse_line(struct check *k, const uint8_t *key, const char *name, unsigned number,
		      const char *text, size_t n, struct err *e)
{
	CLEAN(json_doc) struct json_doc doc = {0};
	uint8_t mem[1024];
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	if (json_parse(&doc, name, text, n, e))
		return -1;
	if (number == 1)
		return parse_head(k, doc.root, e) || check_head(k, key, e) ? -1 : 0;
	if (parse_entry(&b, doc.root, e))
		return -1;
	if (k->trail.seq >= k->limit)
		return err_set(e, ERR_STORE_DAMAGED, "there are entries behind the head");
	return take(k, (struct bytes){b.p, b.len}, e);
}

static int verify_file(struct check *k, const char *name, const uint8_t *key, struct err *e)
{
	CLEAN(file) FILE *f = fopen(name, "re");
	CLEAN(free) char *line = NULL;
	unsigned number = 0;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return err_errno(e, ERR_IO, "cannot open %s", name);
	while ((n = getline(&line, &cap, f)) > 0) {
		if (n > LINE_MAX_BYTES)
			return err_set(e, ERR_TOO_LARGE, "%s: line %u is too long", name,
				       number + 1);
		if (parse_line(k, key, name, ++number, line, (size_t)n, e))
			return err_wrap(e, "%s, line %u", name, number);
	}
	if (ferror(f))
		return err_errno(e, ERR_IO, "cannot read %s", name);
	if (!number)
		return err_set(e, ERR_BAD_JSON, "%s is empty", name);
	return trail_end(&k->trail, &k->head, e);
}

/* Offline the key must be known: given, or pinned by an earlier run with the HSM. */
static int pinned_key(struct cli *c, struct memory *m, struct err *e)
{
	uint8_t id[32];
	struct err why;

	if (run_identity(c, id, &why) ||
	    run_path(c, m->path, sizeof(m->path), "audit.", run_of(c)->identity, &why))
		return err_set(e, ERR_USAGE, "which key must have signed? give --audit-key");
	if (memory_load(m, e))
		return -1;
	if (!m->known)
		return err_set(e, ERR_USAGE,
			       "no audit key is pinned yet: give --audit-key, or verify with the "
			       "HSM first");
	/* An older file is shorter than what was seen since: that is no roll-back. */
	m->known = false;
	return 0;
}

int hsm_do_audit_verify(struct cli *c, struct err *e)
{
	const char *in = cli_str(c, "in"), *out = cli_str(c, "out");
	CLEAN(free) struct check *k = calloc(1, sizeof(*k));
	uint8_t key[32];
	bool given, pinned;
	int rc;

	if (!k)
		return err_set(e, ERR_NOMEM, NULL);
	if (given_key(c, key, &given, e))
		return -1;
	if (in && out)
		return cli_usage(e, "--in and --out exclude each other");
	if (in) {
		if (!given && pinned_key(c, &k->mem, e))
			return -1;
		if (verify_file(k, in, given ? key : k->mem.key, e))
			return -1;
		return summary(c, k, true, e);
	}
	k->dump = out ? fopen(out, "we") : NULL;
	if (out && !k->dump)
		return err_errno(e, ERR_IO, "cannot write %s", out);
	rc = verify_online(c, k, given ? key : NULL, e);
	pinned = given || k->mem.known;
	if (k->dump && fclose(k->dump) && rc == 0)
		rc = err_errno(e, ERR_IO, "cannot write %s", out);
	return rc ? -1 : summary(c, k, pinned, e);
}

int hsm_do_audit_show(struct cli *c, struct err *e)
{
	static const char *const cols[] = {"ENTRY",	"TIME", "BY",	"USER",
					   "OPERATION", "KEY",	"MODE", "RESULT"};
	CLEAN(free) struct check *k = calloc(1, sizeof(*k));
	CLEAN(table) struct table *t = table_new();
	CLEAN(json) json_t *list = json_array();
	int64_t limit = 50, from = 0;
	struct hsm_client *h;

	if (!k || !t || !list)
		return err_set(e, ERR_NOMEM, NULL);
	if (cli_int(c, "limit", 1, 1000000, &limit, e) ||
	    cli_int(c, "from", 1, INT64_MAX, &from, e))
		return -1;
	if (run_open(c, &h, e) || hsm_audit_head(h, &k->head, e))
		return -1;
	for (size_t i = 0; i < sizeof(cols) / sizeof(cols[0]); i++)
		table_col(t, cols[i], i ? 0 : TABLE_RIGHT);
	k->table = t;
	k->list = list;
	k->trail.seq = k->head.base_seq;
	if (from && (uint64_t)from > k->head.base_seq)
		k->trail.seq = (uint64_t)from - 1;
	else if (!from && k->head.seq - k->head.base_seq > (uint64_t)limit)
		k->trail.seq = k->head.seq - (uint64_t)limit;
	k->limit = k->head.seq;
	if (k->limit > k->trail.seq && k->limit - k->trail.seq > (uint64_t)limit)
		k->limit = k->trail.seq + (uint64_t)limit;
	if (fetch(h, k, show_entry, e))
		return -1;
	if (run_json(c))
		return run_print(c, STEAL(list), e);
	table_print(t, run_out(c));
	return 0;
}
