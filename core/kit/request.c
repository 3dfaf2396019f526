/* SPDX-License-Identifier: MIT
 *
 * The protocol's requests: one table. A line that is no request is answered with kind `proto`.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BAD_LINES_MAX = 64, EXIT_PROTOCOL = 76, SEATS_MAX = 1024 };

static struct pl_ctl *const c = &pl_ctl;

static uint32_t all_caps(void)
{
	uint32_t caps = 0;
	int i;

	for (i = 0; c->drv->variants[i].name; i++)
		caps |= c->drv->variants[i].caps;
	return caps;
}

static bool plain_word(const char *s)
{
	return s && *s && strlen(s) < sizeof c->run &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       strlen(s);
}

static void take_dir(const char *dir)
{
	struct stat st;

	if (dir && *dir && strlen(dir) < sizeof c->dir && stat(dir, &st) == 0 &&
		S_ISDIR(st.st_mode) && access(dir, W_OK | X_OK) == 0)
		(void)snprintf(c->dir, sizeof c->dir, "%s", dir);
}

static bool read_seed(json_t *j, uint64_t *ret)
{
	const char *s = json_string_value(j);
	char *end;

	*ret = (uint64_t)json_integer_value(j);
	if (!s)
		return !j || json_is_integer(j);
	errno = 0;
	*ret = strtoull(s, &end, 16);
	return *s && strspn(s, "-+ \t") == 0 && !*end && errno == 0;
}

/* {"most":N,"file":PATH}: at most N checkers at once, of all drivers that know the file. */
static bool take_seats(json_t *j)
{
	json_int_t most = json_integer_value(json_object_get(j, "most"));
	const char *file = json_string_value(json_object_get(j, "file"));

	if (j && (most < 1 || most > SEATS_MAX || !file))
		return false;
	if (j)
		pl_seat_file(file, (unsigned)most);
	return true;
}

/* What two readings of the clock tell apart, when nobody has looked at it more closely. */
static int64_t resolution(void)
{
	struct timespec res = { .tv_nsec = 1 };

	(void)clock_getres(CLOCK_MONOTONIC, &res);
	return res.tv_sec * INT64_C(1000000000) + res.tv_nsec;
}

static void req_init(int64_t id, json_t *req)
{
	const char *run = json_string_value(json_object_get(req, "run"));
	json_t *t0 = json_object_get(req, "t0"), *tick = json_object_get(req, "tick_ms");
	json_t *error = json_object_get(req, "clock_error_ns");
	uint64_t seed;

	if (c->inited)
		return pl_reply_err(id, "usage", true, NULL, "init comes once");
	if (json_integer_value(json_object_get(req, "proto")) != 1)
		return pl_reply_err(
			id, "unsupported", true, NULL, "this driver speaks plumb/1 only");
	if (!plain_word(run))
		return pl_reply_err(
			id, "usage", true, NULL, "run must be 1 to 39 letters, digits, '-' or '_'");
	if (!read_seed(json_object_get(req, "seed"), &seed))
		return pl_reply_err(
			id, "usage", true, NULL, "seed is an integer or a string \"0x...\"");
	if (!take_seats(json_object_get(req, "checkers")))
		return pl_reply_err(id, "usage", true, NULL,
			"checkers holds a `file` and `most`, an integer in [1, %d]", SEATS_MAX);
	(void)snprintf(c->run, sizeof c->run, "%s", run);
	c->inst = (uint32_t)json_integer_value(json_object_get(req, "inst"));
	c->seed = seed;
	take_dir(json_string_value(json_object_get(req, "dir")));
	c->shared->seed = c->seed, c->shared->inst = c->inst;
	if (t0)
		c->t0 = json_integer_value(t0);
	c->clock_error = error ? json_integer_value(error) : resolution();
	if (tick)
		c->tick_ns = json_integer_value(tick) * 1000000;
	c->next_tick = pl_now() + c->tick_ns;
	c->inited = true;
	pl_reply(id, json_pack("{sosb}", "caps", pl_caps_json(all_caps()), "dir", c->dir[0] != 0));
}

static void req_ping(int64_t id, json_t *req)
{
	pl_reply(id, json_object());
}

static void req_stop(int64_t id, json_t *req)
{
	pl_stop(id);
}

enum { DAY_MS = 86400000, FIELDS_MAX = 12 };

/* What a request's own fields may hold; fields that are not named here are ignored, or belong to
 * the driver's operation. */
struct field {
	const char *name;
	json_type type;
	int64_t min, max; /* of integers */
};

#define TEXT(n)                                                                                    \
	{                                                                                          \
		n, JSON_STRING, 0, 0                                                               \
	}
#define WHOLE(n, lo, hi)                                                                           \
	{                                                                                          \
		n, JSON_INTEGER, lo, hi                                                            \
	}

/* clang-format off */
static const struct request {
	const char *op;
	void (*act)(int64_t id, json_t *req);
	bool early; /* allowed before init */
	struct field field[FIELDS_MAX];
} requests[] = {
	{ "init", req_init, true, { WHOLE("proto", 0, INT64_MAX), TEXT("run"), WHOLE("inst", 0, UINT32_MAX),
		WHOLE("t0", 0, INT64_MAX), TEXT("dir"), WHOLE("tick_ms", 10, DAY_MS), { "checkers", JSON_OBJECT, 0, 0 },
		WHOLE("clock_error_ns", 0, INT64_MAX) } },
	{ "ping", req_ping, true, { { 0 } } },
	{ "stop", req_stop, true, { { 0 } } },
	{ "open", pl_req_open, false, { TEXT("as"), TEXT("variant"), TEXT("mode"), TEXT("name") } },
	{ "release", pl_req_release, false, { TEXT("on") } },
	{ "close", pl_req_close, false, { TEXT("on") } },
	{ "actor", pl_req_actor, false, { WHOLE("n", 1, PL_ACTORS_MAX), TEXT("kind"), TEXT("place") } },
	{ "call", pl_req_call, false, { WHOLE("actor", 0, PL_ACTORS_MAX - 1), TEXT("f"), TEXT("on"), TEXT("as"),
		WHOLE("timeout_ns", INT64_MIN, INT64_MAX), { "abstime", JSON_ARRAY, 0, 0 },
		WHOLE("deadline_ms", 0, DAY_MS), TEXT("token"),
		WHOLE("kill_before", 0, PL_ACTORS_MAX - 1), WHOLE("kill_after", 0, PL_ACTORS_MAX - 1) } },
	{ "cancel", pl_req_cancel, false, { WHOLE("target", 0, INT64_MAX), WHOLE("grace_ms", 0, DAY_MS) } },
	{ "run", pl_req_run, false, { { "plan", JSON_OBJECT, 0, 0 }, TEXT("on"), WHOLE("ops", 1, PL_RECS_MAX / 4),
		WHOLE("rounds", 1, INT64_MAX), WHOLE("for_ms", 1, 100 * (int64_t)DAY_MS),
		WHOLE("start_at", 0, INT64_MAX), WHOLE("start_in_ms", 0, PL_START_MAX_MS), TEXT("sched") } },
	{ "status", pl_req_status, true, { { 0 } } },
	{ "who", pl_req_who, true, { { 0 } } },
	{ "fault", pl_req_fault, false, { TEXT("what"), WHOLE("actor", 0, PL_ACTORS_MAX - 1), TEXT("on"), TEXT("signal") } },
};
/* clang-format on */

static const char *type_name(json_type t)
{
	return t == JSON_STRING ? "a string" : t == JSON_ARRAY ? "a list" : "an object";
}

/* Every known field has its type and range, so that no handler meets another. */
static bool fields_fit(int64_t id, json_t *req, const struct field *f)
{
	for (; f->name; f++) {
		json_t *j = json_object_get(req, f->name);
		bool fits = j && json_typeof(j) == f->type;

		if (!j || (fits && f->type != JSON_INTEGER) ||
			(fits && json_integer_value(j) >= f->min &&
				json_integer_value(j) <= f->max))
			continue;
		if (f->type == JSON_INTEGER)
			pl_reply_err(id, "usage", true, NULL,
				"'%s' must be an integer in [%lld, %lld]", f->name,
				(long long)f->min, (long long)f->max);
		else
			pl_reply_err(id, "usage", true, NULL, "'%s' must be %s", f->name,
				type_name(f->type));
		return false;
	}
	return true;
}

static void bad_line(const char *why)
{
	pl_reply_err(-1, "proto", true, NULL, "%s", why);
	if (++c->bad_lines == BAD_LINES_MAX) {
		c->input_over = true;
		c->exit_code = EXIT_PROTOCOL;
		pl_stop(-1);
	}
}

static void carry_out(int64_t id, const char *op, json_t *req)
{
	unsigned i;

	for (i = 0; op && i < sizeof requests / sizeof *requests; i++)
		if (!strcmp(requests[i].op, op))
			break;
	if (!op)
		pl_reply_err(id, "usage", true, NULL, "a request needs a string 'op'");
	else if (i == sizeof requests / sizeof *requests)
		pl_reply_err(id, "unsupported", true,
			json_pack("{ss}", "hint", "ops are listed in the protocol's table"),
			"unknown op '%.40s'", op);
	else if (!c->inited && !requests[i].early)
		pl_reply_err(id, "usage", true, NULL, "init comes first");
	else if (c->stopping && requests[i].act != req_ping)
		pl_reply_err(id, "canceled", true, NULL, "the driver stops");
	else if (fields_fit(id, req, requests[i].field))
		requests[i].act(id, req);
}

void pl_request(const char *line, size_t len)
{
	json_error_t e;
	json_t *req, *id;
	char why[200];

	if (!line)
		return bad_line("a line may have at most 65536 bytes");
	if (len == 0)
		return;
	req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	id = json_object_get(req, "id");
	if (json_is_integer(id) && json_integer_value(id) >= 0) {
		c->bad_lines = 0;
		carry_out(
			json_integer_value(id), json_string_value(json_object_get(req, "op")), req);
	} else {
		(void)snprintf(why, sizeof why, "not a request: %s",
			!req ? e.text : "an object with an integer 'id' >= 0 is needed");
		bad_line(why);
	}
	json_decref(req);
}
