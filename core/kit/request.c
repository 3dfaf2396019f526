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

enum { BAD_LINES_MAX = 64, EXIT_PROTOCOL = 76 };

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
		S_ISDIR(st.st_mode))
		(void)snprintf(c->dir, sizeof c->dir, "%s", dir);
}

static void req_init(int64_t id, json_t *req)
{
	const char *run = json_string_value(json_object_get(req, "run"));
	json_t *t0 = json_object_get(req, "t0"), *tick = json_object_get(req, "tick_ms");
	const char *seed = json_string_value(json_object_get(req, "seed"));

	if (c->inited)
		return pl_reply_err(id, "usage", true, NULL, "init comes once");
	if (json_integer_value(json_object_get(req, "proto")) != 1)
		return pl_reply_err(
			id, "unsupported", true, NULL, "this driver speaks plumb/1 only");
	if (!plain_word(run))
		return pl_reply_err(
			id, "usage", true, NULL, "run must be 1 to 39 letters, digits, '-' or '_'");
	(void)snprintf(c->run, sizeof c->run, "%s", run);
	c->inst = (uint32_t)json_integer_value(json_object_get(req, "inst"));
	c->seed = seed ? strtoull(seed, NULL, 16)
		       : (uint64_t)json_integer_value(json_object_get(req, "seed"));
	take_dir(json_string_value(json_object_get(req, "dir")));
	c->shared->seed = c->seed, c->shared->inst = c->inst;
	if (json_is_integer(t0))
		c->t0 = json_integer_value(t0);
	if (json_is_integer(tick) && json_integer_value(tick) >= 10)
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

static const struct {
	const char *op;
	void (*act)(int64_t id, json_t *req);
	bool early; /* allowed before init */
} requests[] = {
	{ "init", req_init, true },
	{ "ping", req_ping, true },
	{ "stop", req_stop, true },
	{ "open", pl_req_open },
	{ "release", pl_req_release },
	{ "close", pl_req_close },
	{ "actor", pl_req_actor },
	{ "call", pl_req_call },
	{ "cancel", pl_req_cancel },
	{ "run", pl_req_run },
	{ "status", pl_req_status, true },
	{ "fault", pl_req_fault },
};

static void bad_line(const char *why)
{
	pl_reply_err(-1, "proto", true, NULL, "%s", why);
	if (++c->bad_lines >= BAD_LINES_MAX) {
		c->exit_code = EXIT_PROTOCOL;
		pl_stop(-1);
	}
}

void pl_request(const char *line, size_t len)
{
	json_error_t e;
	json_t *req, *id;
	const char *op;
	char why[200];
	unsigned i;

	if (!line)
		return bad_line("a line may have at most 65536 bytes");
	if (len == 0)
		return;
	req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	id = json_object_get(req, "id");
	op = json_string_value(json_object_get(req, "op"));
	if (!req || !json_is_integer(id) || json_integer_value(id) < 0 || !op) {
		(void)snprintf(why, sizeof why, "not a request: %s",
			!req ? e.text
			     : "an object with an integer 'id' >= 0 and a string 'op' is needed");
		json_decref(req);
		return bad_line(why);
	}
	c->bad_lines = 0;
	for (i = 0; i < sizeof requests / sizeof *requests; i++)
		if (!strcmp(requests[i].op, op))
			break;
	if (i == sizeof requests / sizeof *requests)
		pl_reply_err(json_integer_value(id), "unsupported", true,
			json_pack("{ss}", "hint", "ops are listed in the protocol's table"),
			"unknown op '%.40s'", op);
	else if (!c->inited && !requests[i].early)
		pl_reply_err(json_integer_value(id), "usage", true, NULL, "init comes first");
	else
		requests[i].act(json_integer_value(id), req);
	json_decref(req);
}
