/* OCI image layout (image-spec 1.1): blobs by digest, and the documents of an image.
 * A blob has its name only when it is whole. */
#ifndef OCIBUILD_OCI_H
#define OCIBUILD_OCI_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ocibuild/oci/layer.h"
#include "ocibuild/spec.h"

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_REF "org.opencontainers.image.ref.name"
#define OCI_DIGEST_LEN 72 /* "sha256:", 64 digits, NUL */

/* "sha256:…" */
void oci_digest(char out[static OCI_DIGEST_LEN], const uint8_t sha256[static 32]);
/* Path of a blob by its digest text. */
void oci_blob_path(const char *dir, const char *digest, char out[static 4096]);

/* Makes the folders of a layout. */
int oci_open(const char *dir, struct err *e);
/* Writes a document as a blob; digest and size of its text come back. */
int oci_put_json(const char *dir, const json_t *j, char digest[static OCI_DIGEST_LEN], size_t *size,
		 struct err *e);
/* Writes a layer as a blob. */
int oci_put_layer(const char *dir, struct layer *l, const struct layer_how *how,
		  struct layer_blob *out, struct err *e);
/* Reads a document; ERR_DIGEST when it is not what its name says. */
json_t *oci_get_json(const char *dir, const char *digest, struct err *e);
/* The same of at most max bytes; remedy: what to do when it was changed. */
json_t *oci_read_json(const char *dir, const char *digest, size_t max, const char *remedy,
		      struct err *e);
/* Writes oci-layout and, last, index.json; then removes what no manifest names. */
int oci_publish(const char *dir, const json_t *index, struct err *e);

/* What the documents of one image are made of. */
struct oci_image {
	const struct spec *spec;
	const char *version;
	const char *base_name, *base_digest; /* NULL: stands on nothing */
	int64_t date;
	const json_t *layers;	/* [{definition, digest, diff_id, size, tar_size}], lowest first */
	const char *layer_type; /* media type of each */
};
/* The configuration (with labels) and, given its digest, the manifest. NULL: no memory. */
json_t *oci_config(const struct oci_image *im);
json_t *oci_manifest(const struct oci_image *im, const char *config, size_t config_size);

#endif
