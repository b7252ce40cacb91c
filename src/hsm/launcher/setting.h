/* The settings of hsmd, in one table: keys of the configuration file, environment
 * variables, defaults, limits and help all come from it (`hsmd settings` prints it). */
#ifndef HSM_LAUNCHER_SETTING_H
#define HSM_LAUNCHER_SETTING_H

#include <stddef.h>
#include <stdint.h>

enum setting_kind {
	SETTING_TEXT,	/* char * */
	SETTING_PATH,	/* char *, made absolute */
	SETTING_INT,	/* int64_t in [min, max] */
	SETTING_BOOL,	/* bool */
	SETTING_CHOICE, /* bool: the second word of `words` was chosen */
	SETTING_ADMINS, /* bootstrap administrators */
};

/* Where a value came from; a higher one wins. */
enum setting_source { SOURCE_NONE, SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENV };

struct setting {
	const char *key; /* in the file; "nats.url" is the key url below nats */
	const char *env; /* NULL: none */
	enum setting_kind kind;
	size_t at;	 /* offset in struct config */
	const char *def; /* text; "DATA/…" is below the data directory; NULL: none */
	int64_t min, max;
	const char *words[2];
	const char *help; /* one line */
};

#define NSETTINGS 25

extern const struct setting settings[NSETTINGS];

/* "default", "file", "environment". */
const char *setting_source_text(enum setting_source s);
/* "text", "path", "number", … for people. */
const char *setting_kind_text(enum setting_kind k);

#endif
