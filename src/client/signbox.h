/* Signing with Signbox from a program of your own: the whole interface, with nothing of
 * the inside in it. Link with what `pkg-config --static --cflags --libs signbox-client`
 * prints; the image signbox/dev-sdk has this header as <signbox/client.h>.
 *
 * A handle opens and renews its session by itself, repeats what is safe to repeat (also
 * across a restart of the service or of a NATS server), and gives each request a deadline.
 * Any thread may use it. Nothing prints or exits; make the handle after fork(), not before.
 * The first signbox_open makes the process ignore SIGPIPE, as nats.c does: a peer that goes
 * away would end it otherwise. Functions return 0, or -1 with *e filled (e may be
 * NULL). Texts are UTF-8, one line, fit for a log: no secret is ever in them. */
#ifndef SIGNBOX_CLIENT_H
#define SIGNBOX_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The errors that a program may want to tell apart. There are more: treat a code that is
 * not here as a failure and show the text. Numbers never change. */
enum signbox_code {
	SIGNBOX_OK = 0,
	SIGNBOX_BAD_INPUT = 6, /* what was given makes no sense; the text says what */
	SIGNBOX_TOO_LARGE = 13,
	SIGNBOX_WRONG_STATE = 20, /* the HSM is locked or not provisioned */
	SIGNBOX_UNKNOWN_USER = 34,
	SIGNBOX_DENIED = 35,
	SIGNBOX_NOT_FOUND = 40,	  /* no such key */
	SIGNBOX_BAD_MODE = 42,	  /* not a mode of this key */
	SIGNBOX_BUSY = 60,	  /* these four: */
	SIGNBOX_TIMEOUT = 61,	  /* the same request may work later; */
	SIGNBOX_UNAVAILABLE = 62, /* signing twice does no harm */
	SIGNBOX_NO_RESPONDERS = 85,
	SIGNBOX_NOT_VERIFIED = 80,
	SIGNBOX_EPOCH_BACK = 83, /* the HSM is older than it was: its store was rolled back */
	SIGNBOX_WRONG_IDENTITY = 84,
};

struct signbox_error {
	int code; /* enum signbox_code, or another one */
	char text[256];
};

/* Start with {0} and signbox_options_env, then set what is known better. Everything is
 * copied by signbox_open; files are read there. */
struct signbox_options {
	const char *server;	/* nats:// or tls:// URLs with commas; nats://127.0.0.1:4222 */
	const char *identity;	/* of the HSM, which is pinned: "X…", or "@FILE" */
	const char *nkey;	/* file with the calling user's seed, mode 0600 */
	const char *creds;	/* .creds file to log in to NATS with; its seed is the caller's */
				/* unless nkey is set. NULL: log in with nkey */
	const char *ca;		/* PEM of trusted CAs; with it the connection must be TLS */
	const char *cert, *key; /* PEM of the client's own certificate, and its key */
	const char *epoch_file; /* remembers over runs that the HSM never goes back; may be new */
	int64_t deadline_ms;	/* of a request, repeats included; 0: 5000 */
	unsigned in_flight;	/* most requests at a time; 0: 64 */
};

/* Fills what is NULL from NATS_URL, HSM_IDENTITY, HSM_NKEY (else NATS_NKEY), NATS_CREDS,
 * NATS_CA, NATS_CERT and NATS_KEY: the names that the tools of Signbox use. */
void signbox_options_env(struct signbox_options *o);

struct signbox;

/* Connects to NATS; a first request opens the session. */
int signbox_open(struct signbox **out, const struct signbox_options *o, struct signbox_error *e);
/* Ends what is in flight with SIGNBOX_UNAVAILABLE and frees; NULL is fine. -1 when the
 * epoch file could not be written. No other thread may use the handle any more. */
int signbox_close(struct signbox *s, struct signbox_error *e);

#define SIGNBOX_SIGNATURE_MAX 512
#define SIGNBOX_PEM_MAX 1024
#define SIGNBOX_RANDOM_MAX 4096

/* Signs n bytes with a key of the HSM. mode as `hsm key show` lists them ("eddsa",
 * "pss-sha256", …), NULL: the key's default. sig has room for SIGNBOX_SIGNATURE_MAX.
 * Ed25519: 64 bytes; ECDSA: r || s, 64; RSA: as long as the modulus. */
int signbox_sign(struct signbox *s, const char *key, const char *mode, const void *message,
		 size_t n, unsigned char *sig, size_t *siglen, struct signbox_error *e);

/* Called once for a request, from a thread of the handle, with a signature or an error
 * (then sig is NULL); both are gone when it returns. It must not wait for this handle. */
typedef void signbox_done(void *arg, const unsigned char *sig, size_t siglen,
			  const struct signbox_error *e);
/* The same without waiting for the answer, for many at a time; waits while in_flight
 * requests are out. After -1 there is no callback; it may run before this returns. */
int signbox_sign_async(struct signbox *s, const char *key, const char *mode, const void *message,
		       size_t n, signbox_done *done, void *arg, struct signbox_error *e);
/* Waits at most ms until every callback has returned: SIGNBOX_TIMEOUT otherwise. */
int signbox_wait(struct signbox *s, int64_t ms, struct signbox_error *e);

/* 0, or SIGNBOX_NOT_VERIFIED, or another error. */
int signbox_verify(struct signbox *s, const char *key, const char *mode, const void *message,
		   size_t n, const unsigned char *sig, size_t siglen, struct signbox_error *e);
/* PEM of the public key ("BEGIN PUBLIC KEY"), with a NUL, in room for SIGNBOX_PEM_MAX. */
int signbox_public_key(struct signbox *s, const char *key, char *pem, struct signbox_error *e);
/* Random bytes of the HSM, at most SIGNBOX_RANDOM_MAX. */
int signbox_random(struct signbox *s, unsigned char *out, size_t n, struct signbox_error *e);

/* The DER form of an ECDSA signature of signbox_sign, which OpenSSL and X.509 want: 64
 * bytes in, at most 72 out. Returns how many. */
size_t signbox_ecdsa_der(const unsigned char *raw, unsigned char *der);

/* Of the library: "0.1.0". */
const char *signbox_version(void);

#ifdef __cplusplus
}
#endif

#endif
