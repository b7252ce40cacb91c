/* Sets the format number of a store at rest, as a newer version would: store_format
 * DIRECTORY NUMBER. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

int main(int argc, char **argv)
{
	static char key[] = "format";
	MDB_val k = {sizeof(key) - 1, key}, v;
	uint8_t number[4];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	int rc;

	if (argc != 3)
		return 2;
	le32_store(number, (uint32_t)strtoul(argv[2], NULL, 10));
	v = (MDB_val){sizeof(number), number};
	rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, 8);
	if (rc == 0)
		rc = mdb_env_open(env, argv[1], 0, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "meta", 0, &meta);
	if (rc == 0)
		rc = mdb_put(txn, meta, &k, &v, 0);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	if (rc)
		fprintf(stderr, "store_format: %s\n", mdb_strerror(rc));
	return rc != 0;
}
