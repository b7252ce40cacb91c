/* Statuses of nats.c as errors of ours. */
#include <string.h>

#include "conn/conn.h"

/* Last error of nats.c in this thread without its "(conn.c:829): " in front. */
static const char *own_words(void)
{
	const char *text = nats_GetLastError(NULL);
	const char *behind = text && *text == '(' ? strstr(text, "): ") : NULL;

	return behind ? behind + 3 : text ? text : "";
}

int conn_err(struct err *e, natsStatus s, const char *what)
{
	const char *detail = own_words();
	const char *sep = *detail ? ": " : "";

	switch (s) {
	case NATS_OK:
		return 0;
	case NATS_NO_RESPONDERS:
		return err_set(e, ERR_NO_RESPONDERS, "%s: no service answers on this subject",
			       what);
	case NATS_TIMEOUT:
		return err_set(e, ERR_TIMEOUT, "%s: timed out", what);
	case NATS_NO_SERVER:
		return err_set(e, ERR_UNAVAILABLE, "%s: no NATS server answers there", what);
	case NATS_CONNECTION_AUTH_FAILED:
		return err_set(e, ERR_DENIED, "%s: the NATS server refuses these credentials",
			       what);
	case NATS_NOT_PERMITTED:
		return err_set(e, ERR_DENIED, "%s: the NATS server does not permit it%s%s", what,
			       sep, detail);
	case NATS_SSL_ERROR:
		return err_set(e, ERR_UNAVAILABLE, "%s: TLS failed%s%s", what, sep, detail);
	case NATS_SECURE_CONNECTION_REQUIRED:
		return err_set(e, ERR_CONFIG,
			       "%s: the NATS server requires TLS: use tls:// or give a CA", what);
	case NATS_SECURE_CONNECTION_WANTED:
		return err_set(e, ERR_CONFIG, "%s: the NATS server does not offer TLS", what);
	case NATS_CONNECTION_CLOSED:
	case NATS_CONNECTION_DISCONNECTED:
	case NATS_STALE_CONNECTION:
	case NATS_IO_ERROR:
	case NATS_DRAINING:
	case NATS_NOT_YET_CONNECTED:
		return err_set(e, ERR_UNAVAILABLE, "%s: not connected to NATS (%s)", what,
			       natsStatus_GetText(s));
	case NATS_PROTOCOL_ERROR:
	case NATS_LINE_TOO_LONG:
		return err_set(e, ERR_UNAVAILABLE, "%s: that is no NATS server%s%s", what, sep,
			       detail);
	case NATS_MAX_PAYLOAD:
		return err_set(e, ERR_TOO_LARGE, "%s: larger than the NATS server takes", what);
	case NATS_ADDRESS_MISSING:
		return err_set(e, ERR_CONFIG, "%s: bad NATS URL", what);
	case NATS_INVALID_SUBJECT:
		return err_set(e, ERR_BAD_NAME, "%s: bad subject", what);
	case NATS_NO_MEMORY:
		return err_set(e, ERR_NOMEM, NULL);
	default:
		return err_set(e, ERR_INTERNAL, "%s: %s%s%s", what, natsStatus_GetText(s), sep,
			       detail);
	}
}
