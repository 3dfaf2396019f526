/* SPDX-License-Identifier: MIT
 *
 * Which channel a line is for, and the requests to the agent itself.
 */
#include "agent.h"
#include "kit/kit.h"
#include "kit/raw.h"

#include <string.h>

static const char *blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* Behind a string that begins at p; NULL: it does not end. */
static const char *string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		p += *p == '\\';
	}
	return NULL;
}

/* Behind a value, at the comma or brace that follows it; NULL: there is none. */
static const char *value(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = string(p, end);
			if (!p)
				return NULL;
			continue;
		}
		if (depth == 0 && (*p == ',' || *p == '}'))
			return p;
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
		p++;
	}
	return NULL;
}

static int64_t number(const char *p, const char *end)
{
	int64_t n = 0;

	if (p == end || *p < '0' || *p > '9')
		return -1;
	for (; p < end && *p >= '0' && *p <= '9' && n < CHANNELS; p++)
		n = n * 10 + (*p - '0');
	p = blank(p, end);
	return p == end || *p == ',' || *p == '}' ? n : n >= CHANNELS ? n : -1;
}

/* The `ch` of the object on a line; 0 without one; -1: the line is no object as far as that. The
 * rest of the line is its driver's to judge. */
int64_t line_channel(const char *line, size_t len)
{
	const char *end = line + len, *p = blank(line, end), *key;

	if (p == end || *p != '{')
		return -1;
	for (p = blank(p + 1, end); p < end && *p == '"'; p = blank(p + 1, end)) {
		key = p;
		p = string(p, end);
		p = p ? blank(p, end) : end;
		if (p == end || *p != ':')
			return -1;
		p = blank(p + 1, end);
		if (!strncmp(key, "\"ch\"", 4))
			return number(p, end);
		p = value(p, end);
		if (!p)
			return -1;
		if (*p == '}')
			return 0;
	}
	return p < end && *p == '}' ? 0 : -1;
}

static bool plain_name(const char *s)
{
	return s && *s && strlen(s) < 40 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(s);
}

static bool all_strings(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_object(j))
		json_object_foreach(j, key, v)
		{
			if (!json_is_string(v) || !*key || strchr(key, '='))
				return false;
		}
	if (json_is_array(j))
		json_array_foreach(j, i, v)
		{
			if (!json_is_string(v))
				return false;
		}
	return true;
}

static void req_start(json_t *id, json_t *req, int64_t number)
{
	const char *driver = json_string_value(json_object_get(req, "driver")), *call;
	json_t *args = json_object_get(req, "args"), *env = json_object_get(req, "env");
	pid_t pid;
	int r;

	if (number < 1 || number >= CHANNELS || agent.channel[number])
		return say_err(id, "usage", NULL, "channel must be a free number in [1, %d]",
			CHANNELS - 1);
	if (!plain_name(driver))
		return say_err(id, "usage", NULL,
			"driver is the name behind plumb-: letters, digits, '-', '_'");
	if ((args && !json_is_array(args)) || (env && !json_is_object(env)) || !all_strings(args) ||
		!all_strings(env))
		return say_err(
			id, "usage", NULL, "args is a list of strings, env an object of them");
	r = channel_start((unsigned)number, driver, args, env, &pid, &call);
	if (r < 0)
		return say_err(id, "os", pl_errno_name(-r), "%s/plumb-%s cannot be started: %s: %s",
			agent.dir, driver, call, pl_errno_name(-r));
	say_ok(id, json_pack("{si}", "pid", (int)pid));
}

static void req_close(json_t *id, json_t *req, int64_t number)
{
	channel_close(channel_find(number));
	say_ok(id, json_object());
}

static void req_signal(json_t *id, json_t *req, int64_t number)
{
	struct channel *c = channel_find(number);
	const char *name = json_string_value(json_object_get(req, "signal"));
	int sig = name ? pl_signal_number(name) : -1;
	bool group = json_is_true(json_object_get(req, "group"));

	if (sig <= 0)
		return say_err(id, "usage", NULL, "signal is a name without SIG, as in \"TERM\"");
	if (c->pid <= 1 || raw_kill(group ? -c->pid : c->pid, sig) < 0)
		return say_err(id, "os", pl_errno_name(errno), "kill: %s", pl_errno_name(errno));
	say_ok(id, json_object());
}

static void req_stderr(json_t *id, json_t *req, int64_t number)
{
	say_ok(id, json_pack("{so}", "lines", channel_tail(channel_find(number))));
}

static void req_ping(json_t *id, json_t *req, int64_t number)
{
	say_ok(id, json_object());
}

static void req_status(json_t *id, json_t *req, int64_t number)
{
	json_t *a = json_array();
	unsigned i;

	for (i = 1; i < agent.top; i++) {
		const struct channel *c = agent.channel[i];

		if (c)
			(void)json_array_append_new(
				a, json_pack("{sisssisbsI}", "channel", (int)i, "driver", c->driver,
					   "pid", (int)c->pid, "dead", c->dead, "waiting",
					   (json_int_t)queue_size(&c->input)));
	}
	say_ok(id, json_pack("{so}", "channels", a));
}

static void req_stop(json_t *id, json_t *req, int64_t number)
{
	stop(json_integer_value(id));
}

static const struct {
	const char *op;
	void (*act)(json_t *id, json_t *req, int64_t number);
	bool addresses; /* a channel whose driver lives */
} requests[] = {
	{ "start", req_start, false },
	{ "close", req_close, true },
	{ "signal", req_signal, true },
	{ "stderr", req_stderr, true },
	{ "folder", req_folder, false },
	{ "list", req_list, false },
	{ "read", req_read, false },
	{ "status", req_status, false },
	{ "ping", req_ping, false },
	{ "stop", req_stop, false },
};

static void carry_out(json_t *id, json_t *req)
{
	const char *op = json_string_value(json_object_get(req, "op"));
	json_t *channel = json_object_get(req, "channel");
	int64_t number = json_is_integer(channel) ? json_integer_value(channel) : -1;
	unsigned i;

	for (i = 0; op && i < sizeof requests / sizeof *requests; i++)
		if (!strcmp(requests[i].op, op))
			break;
	if (!op)
		say_err(id, "usage", NULL, "a request needs a string 'op'");
	else if (i == sizeof requests / sizeof *requests)
		say_err(id, "unsupported", NULL, "unknown op '%.40s'", op);
	else if (agent.stopping && requests[i].act != req_ping)
		say_err(id, "canceled", NULL, "the agent stops");
	else if (requests[i].addresses && !channel_find(number))
		say_err(id, "usage", NULL, "no driver lives on channel %lld", (long long)number);
	else
		requests[i].act(id, req, number);
}

void request(const char *line, size_t len)
{
	json_error_t e = { .text = "a line may have at most 65536 bytes" };
	json_t *req = line ? json_loadb(line, len, JSON_REJECT_DUPLICATES, &e) : NULL;
	json_t *id = json_object_get(req, "id");

	if (json_is_integer(id) && json_integer_value(id) >= 0) {
		agent.bad_lines = 0;
		carry_out(id, req);
	} else if (!line || len > 0) {
		say_err(NULL, "proto", NULL, "not a request: %s",
			!req ? e.text : "an object with an integer 'id' >= 0 is needed");
		if (++agent.bad_lines == BAD_LINES_MAX) {
			agent.exit_code = EXIT_PROTOCOL;
			stop(-1);
		}
	}
	json_decref(req);
}
