/* Service discovery, ADR-32: $SRV.<PING|INFO|STATS>[.<name>[.<id>]]. Written here
 * because the micro API of nats.c neither escapes strings nor gives processing_time. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "hsm/front/front.h"
#include "proto/op.h"
#include "json/json.h"

#define DISCOVERY_MAX 16384
#define TYPE "io.nats.micro.v1."

struct view {
	bool known;
	struct front_state state;
	char last_error[EP_COUNT][224];
};

struct verb {
	const char *name, *type;
	void (*fill)(struct front *f, const struct view *v, json_t *o);
};

static void put_str(json_t *o, const char *key, const char *value)
{
	json_t *s = json_string(value);

	json_object_set_new(o, key, s ? s : json_string(""));
}

static json_t *metadata(const struct view *v)
{
	json_t *o = json_object();

	put_str(o, "version", SIGNBOX_VERSION);
	put_str(o, "state", v->known ? hsm_state_text(v->state.hello.state) : "starting");
	if (v->known) {
		put_str(o, "identity", v->state.identity);
		put_str(o, "instance", v->state.instance);
	}
	return o;
}

/* Without an identity no session is opened (route.c). */
static bool listens(const struct view *v, unsigned ep)
{
	return v->known && (ep != EP_OPEN || v->state.identity[0]);
}

static void identity(struct front *f, const struct view *v, json_t *o, const char *type)
{
	put_str(o, "type", type);
	put_str(o, "name", SERVICE_NAME);
	put_str(o, "id", f->id);
	put_str(o, "version", SIGNBOX_VERSION);
	json_object_set_new(o, "metadata", metadata(v));
}

static json_t *endpoint(const struct view *v, enum endpoint ep)
{
	static const char *const names[EP_COUNT] = {"open", "session", "plain"};
	json_t *o = json_object();
	char subject[128];

	if (ep == EP_OPEN)
		(void)snprintf(subject, sizeof(subject), "%s%s", SUBJECT_OPEN, v->state.identity);
	else if (ep == EP_SESSION)
		(void)snprintf(subject, sizeof(subject), "%s%s.*", SUBJECT_SESSION,
			       v->state.instance);
	else
		(void)snprintf(subject, sizeof(subject), "%s", SUBJECT_PLAIN_ALL);
	put_str(o, "name", names[ep]);
	put_str(o, "subject", subject);
	put_str(o, "queue_group", ep == EP_SESSION ? "" : QUEUE_GROUP);
	return o;
}

static void fill_info(struct front *f, const struct view *v, json_t *o)
{
	json_t *list = json_array();

	(void)f;
	put_str(o, "description", "Signing service: sessions and the plain surface");
	for (unsigned ep = 0; ep < EP_COUNT; ep++) {
		if (!listens(v, ep))
			continue;
		json_t *one = endpoint(v, ep);

		json_object_set_new(one, "metadata", json_object());
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "endpoints", list);
}

static void fill_stats(struct front *f, const struct view *v, json_t *o)
{
	json_t *list = json_array();

	put_str(o, "started", f->started);
	for (unsigned ep = 0; ep < EP_COUNT; ep++) {
		if (!listens(v, ep))
			continue;
		json_int_t requests = (json_int_t)atomic_load(&f->stats[ep].requests);
		json_int_t ns = (json_int_t)atomic_load(&f->stats[ep].ns);
		json_t *one = endpoint(v, ep);

		json_object_set_new(one, "num_requests", json_integer(requests));
		json_object_set_new(one, "num_errors",
				    json_integer((json_int_t)atomic_load(&f->stats[ep].errors)));
		put_str(one, "last_error", v->last_error[ep]);
		json_object_set_new(one, "processing_time", json_integer(ns));
		json_object_set_new(one, "average_processing_time",
				    json_integer(requests ? ns / requests : 0));
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "endpoints", list);
}

static const struct verb verbs[] = {
	{"PING", TYPE "ping_response", NULL},
	{"INFO", TYPE "info_response", fill_info},
	{"STATS", TYPE "stats_response", fill_stats},
};

/* The verb when the subject is for all, for this name, or for this name and id. */
static const struct verb *verb_for(const struct front *f, const char *subject)
{
	char end[sizeof(SERVICE_NAME) + sizeof(f->id) + 2];

	if (strncmp(subject, "$SRV.", 5) != 0)
		return NULL;
	subject += 5;
	(void)snprintf(end, sizeof(end), ".%s.%s", SERVICE_NAME, f->id);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		size_t n = strlen(verbs[i].name);

		if (strncmp(subject, verbs[i].name, n) != 0)
			continue;
		if (!subject[n] || strcmp(subject + n, "." SERVICE_NAME) == 0 ||
		    strcmp(subject + n, end) == 0)
			return &verbs[i];
	}
	return NULL;
}

void discovery_answer(struct front *f, const char *subject, const char *reply)
{
	const struct verb *verb = verb_for(f, subject);
	CLEAN(json) json_t *o = NULL;
	CLEAN(buf) struct buf text = {0};
	struct view v;

	buf_init(&text, DISCOVERY_MAX);
	if (!verb)
		return;
	pthread_mutex_lock(&f->mu);
	v.known = f->known;
	v.state = f->state;
	memcpy(v.last_error, f->last_error, sizeof(v.last_error));
	pthread_mutex_unlock(&f->mu);
	o = json_object();
	identity(f, &v, o, verb->type);
	if (verb->fill)
		verb->fill(f, &v, o);
	if (json_text(o, JSON_ONE_LINE, &text, NULL) ||
	    natsConnection_Send(f->nc, reply, text.p, (int)text.len) != NATS_OK)
		front_drop(f, DROP_PUBLISH);
}
