/* SPDX-License-Identifier: MIT
 *
 * What plumb-fake writes: hello, replies, events.
 */
#include "fake.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct mode_row modes[NMODES] = { MODES(MODE_ROW) };

int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nothing runs while it waits: this is what being slow means. */
void wait_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

void put(json_t *o)
{
	char *s = json_dumps(o, JSON_COMPACT);
	size_t n = strlen(s);

	if (me.mode == SLOW)
		wait_ms(SLOW_MS);
	s[n] = '\n';
	(void)!write(1, s, n + 1); /* a parent that died is told by EOF on stdin */
	free(s);
	json_decref(o);
}

void event(const char *name, json_t *o)
{
	(void)json_object_set_new(o, "ev", json_string(name));
	(void)json_object_set_new(o, "t", json_integer(now_ns() - me.t0));
	put(o);
}

void reply(json_int_t id, const char *key, json_t *body)
{
	put(json_pack("{s:I,s:I,s:o}", "re", id, "t", (json_int_t)(now_ns() - me.t0), key, body));
}

void refuse(json_int_t id, const char *kind, const char *msg)
{
	reply(id, "err", json_pack("{s:s,s:b,s:s}", "kind", kind, "definite", 1, "msg", msg));
}

void ok(json_int_t id)
{
	reply(id, "ok", json_object());
}

static json_t *hello_variants(void)
{
	json_t *all = json_array();

	for (int i = 0; i < NMODES; i++)
		(void)json_array_append_new(
			all, json_pack("{s:s,s:s,s:[s,s],s:b,s:s}", "name", modes[i].name, "model",
				     "fifo", "caps", "datagram", "blocking", "supported",
				     i != UNSUPPORTED, "why",
				     i == UNSUPPORTED ? "the fake says so" : ""));
	return all;
}

void hello(void)
{
	const char *needs = getenv("PLUMB_FAKE_NEEDS"), *clock = getenv("PLUMB_FAKE_CLOCK");
	json_t *o = json_pack("{s:[i],s:s,s:s,s:s,s:i,s:I,s:{s:i,s:i},s:{},s:o}", "proto",
		me.mode == LIE_PROTO ? 9 : 1, "driver", "fake", "title", "a driver for tests",
		"build", "0", "pid", (int)getpid(), "now", (json_int_t)now_ns(), "limits", "line",
		LINE, "actors", ACTORS, "ops", "variants", hello_variants());

	if (clock)
		(void)json_object_set_new(o, "clock", json_loads(clock, 0, NULL));
	if (needs)
		(void)json_object_set_new(o, "needs", json_loads(needs, 0, NULL));
	event("hello", o);
}

json_t *who(void)
{
	json_t *all = json_array(), *objects = json_array();

	for (int i = 0; i < me.nactors; i++) {
		char mine[16], next[16];

		(void)snprintf(mine, sizeof mine, "m%d", i);
		(void)snprintf(next, sizeof next, "m%d", (i + 1) % me.nactors);
		(void)json_array_append_new(
			all, json_pack("{s:i,s:i,s:s,s:s,s:s,s:s,s:i,s:i,s:i}", "id", i, "pid",
				     (int)me.actor[i], "is", "asleep", "f", "lock", "role",
				     "acquire", "on", next, "end", 0, "op", 1, "need", 1));
		(void)json_array_append_new(
			objects, json_pack("{s:s,s:s,s:s,s:i,s:[{s:i,s:i,s:i}]}", "on", mine,
					 "variant", "", "model", "lock", "ends", 1, "holders",
					 "actor", i, "pid", (int)me.actor[i], "n", 1));
	}
	return json_pack("{s:s,s:i,s:s,s:o,s:o}", "state", "running", "round", me.rounds, "rung",
		"syscall", "actors", all, "objects", objects);
}
