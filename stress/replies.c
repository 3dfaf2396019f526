/* SPDX-License-Identifier: MIT
 *
 * What an answer or an event of a driver means to the run.
 */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *text(const json_t *o, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : otherwise;
}

static void run_ended(struct driver *d, const json_t *ok)
{
	const char *verdict = text(ok, "verdict", "");

	if (tally_run(&d->mix->tally, ok) < 0)
		pool_fail(d, FATE_BROKEN, "sent a run's summary that cannot be: %s",
			"see events.jsonl");
	if (strcmp(verdict, "violated") == 0 &&
		!json_integer_value(json_object_get(ok, "violated")))
		d->mix->tally.violated++;
	else if (strcmp(verdict, "held") != 0 && strcmp(verdict, "unknown") != 0 &&
		 strcmp(verdict, "violated") != 0)
		pool_fail(d, FATE_BROKEN, "sent the verdict '%.40s', which is none", verdict);
	d->judged += (uint64_t)json_integer_value(json_object_get(ok, "judged"));
	d->violations += strcmp(verdict, "violated") == 0;
	lanes_fit(d, ok);
	lanes_done(d);
}

static void fault_done(struct driver *d, short detail, bool done)
{
	if (detail < 0)
		return;
	if (done)
		d->e->cfg.fault[detail].done++;
	else
		d->e->cfg.fault[detail].refused++;
}

void reply_ok(struct driver *d, struct asked a, const json_t *ok)
{
	if (d->scene)
		gallery_reply(d, a, ok, NULL);
	switch (a.op) {
	case OP_ACTOR:
		d->nactors = (int)json_array_size(json_object_get(ok, "ids"));
		if (d->nactors < 1)
			pool_fail(d, FATE_BROKEN, "made no actors");
		else
			pool_ready(d);
		break;
	case OP_RUN:
		run_ended(d, ok);
		break;
	case OP_STATUS:
		watch_status(d, ok);
		break;
	case OP_WHO:
		if (!d->scene)
			watch_who(d, ok);
		break;
	case OP_FAULT:
		fault_done(d, a.detail, true);
		break;
	default:
		break;
	}
}

/* A limit met, or a thing not supported, is a skip; a request not carried out is a broken driver.
 */
static void start_failed(struct driver *d, struct asked a, const json_t *err)
{
	static const char *const name[] = {
		[OP_INIT] = "init", [OP_OPEN] = "open", [OP_ACTOR] = "actor"
	};
	const char *limit = text(err, "limit", NULL), *msg = text(err, "msg", "no reason given");

	if (limit)
		pool_fail(d, FATE_SKIPPED, "limit %s: %s", limit, msg);
	else if (strcmp(text(err, "kind", ""), "unsupported") == 0)
		pool_fail(d, FATE_SKIPPED, "%s", msg);
	else
		pool_fail(d, FATE_BROKEN, "%s failed: %s", name[a.op], msg);
}

void reply_err(struct driver *d, struct asked a, const json_t *err)
{
	if (d->scene)
		gallery_reply(d, a, NULL, err);
	switch (a.op) {
	case OP_INIT:
	case OP_OPEN:
	case OP_ACTOR:
		start_failed(d, a, err);
		break;
	case OP_RUN:
		if (d->state != ST_LEAVING)
			pool_fail(d, FATE_BROKEN, "run failed: %s",
				text(err, "msg", "no reason given"));
		lanes_done(d);
		break;
	case OP_FAULT:
		fault_done(d, a.detail, false);
		break;
	default:
		break;
	}
}

static void take_hello(struct driver *d, const json_t *hello)
{
	size_t i;
	json_t *v;

	d->hello = true;
	if (d->scene)
		gallery_hello(d, hello);
	d->same_clock = d->e->cfg.lanes == 0 && clock_ours(d->e, hello);
	clock_hello(d, hello);
	json_array_foreach(
		json_object_get(hello, "proto"), i, v) if (json_integer_value(v) == 1) return;
	pool_fail(d, FATE_BROKEN, "does not speak version 1 of the protocol");
}

static void take_tick(struct driver *d, const json_t *tick)
{
	int64_t done = json_integer_value(json_object_get(tick, "done"));

	tally_tick(&d->mix->tally, tick);
	detail_tick(&d->mix->detail, tick);
	d->nblocked = (unsigned)json_array_size(json_object_get(tick, "blocked"));
	if (done > 0 || json_integer_value(json_object_get(tick, "rounds")) > 0)
		d->grew_ns = now_ns();
}

void reply_event(struct driver *d, const json_t *line)
{
	const char *ev = text(line, "ev", "");

	if (strcmp(ev, "tick") == 0)
		take_tick(d, line);
	else if (strcmp(ev, "hello") == 0)
		take_hello(d, line);
	else if (!d->hello)
		pool_fail(d, FATE_BROKEN, "sent '%.20s' before hello", ev);
	else if (strcmp(ev, "violation") == 0)
		report_violation(d, line);
	else if (strcmp(ev, "bye") == 0) {
		size_t i;
		json_t *name;

		d->bye = true;
		json_array_foreach(json_object_get(line, "leaked"), i, name)
		{
			json_t *o = events_who(d);

			(void)json_object_set_new(o, "kind", json_string("leaked"));
			(void)json_object_set(o, "name", name);
			(void)json_array_append_new(d->e->residue, o);
		}
	} else if (strcmp(ev, "rest") == 0) {
		watch_rest(d, line);
	} else if (strcmp(ev, "slow") == 0) {
		json_t *o = json_deep_copy(line);

		(void)json_object_update_missing_new(o, events_who(d));
		events_put(d->e, "slow", o);
	}
}
