/* Lists what is in an archive (tar, zip, 7z, cpio, … in any compression) on standard
 * input. Exit status: 0 listed, 1 damaged or no archive. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>

int main(void)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int rc = ARCHIVE_FATAL;

	if (a) {
		archive_read_support_filter_all(a);
		archive_read_support_format_all(a);
		rc = archive_read_open_FILE(a, stdin);
	}
	while (rc == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		rc = archive_read_next_header(a, &entry);
		if (rc == ARCHIVE_OK || rc == ARCHIVE_WARN)
			printf("%10lld %s\n", (long long)archive_entry_size(entry),
			       archive_entry_pathname(entry));
	}
	if (rc != ARCHIVE_EOF)
		fprintf(stderr, "lsar: %s\n", a ? archive_error_string(a) : "out of memory");
	archive_read_free(a);
	return rc == ARCHIVE_EOF ? 0 : 1;
}
