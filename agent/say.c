/* SPDX-License-Identifier: MIT
 *
 * Lines out: the agent's own, and the drivers' with their channel spliced in. Nothing here waits.
 */
#include "agent.h"
#include "kit/raw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRAY_CUT = 400 };

static void out(const char *bytes, size_t n)
{
	if (!agent.deaf && queue_push(&agent.said, bytes, n) < 0) {
		agent.deaf = true; /* no memory: a line may not be lost in silence */
		agent.exit_code = 1;
		stop(-1);
	}
}

void say(json_t *o)
{
	static char line[PL_LINE_MAX];
	size_t n = json_dumpb(o, line, sizeof line - 1, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(o);
	if (n == 0 || n > sizeof line - 1) /* cannot be: all that is said has its limit */
		n = (size_t)snprintf(line, sizeof line,
			"{\"ch\":0,\"ev\":\"lost\",\"why\":\"a line too long\"}");
	line[n++] = '\n';
	out(line, n);
}

void say_ok(json_t *id, json_t *ok)
{
	say(json_pack("{sisOso}", "ch", 0, "re", id, "ok", ok));
}

json_t *text_json(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len);
	char *plain;
	size_t i;

	if (j)
		return j;
	plain = malloc(len + 1);
	for (i = 0; plain && i < len; i++)
		plain[i] = s[i] & 0x80 ? '?' : s[i];
	j = plain ? json_stringn(plain, len) : NULL;
	free(plain);
	return j ? j : json_string("");
}

void say_err(json_t *id, const char *kind, const char *name, const char *fmt, ...)
{
	char msg[300];
	json_t *e = json_pack("{sssb}", "kind", kind, "definite", 1);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	(void)json_object_set_new(e, "msg", text_json(msg, strlen(msg)));
	if (name)
		(void)json_object_set_new(e, "name", json_string(name));
	say(json_pack("{sisoso}", "ch", 0, "re", id ? json_incref(id) : json_null(), "err", e));
}

void say_event(const char *ev, int channel, json_t *more)
{
	json_t *o = json_pack("{siss}", "ch", 0, "ev", ev);

	if (channel > 0)
		(void)json_object_set_new(o, "channel", json_integer(channel));
	if (more)
		(void)json_object_update_new(o, more);
	say(o);
}

void say_stray(unsigned channel, const char *why, const char *text, size_t len)
{
	json_t *o = json_pack("{so}", "text", text_json(text, len < STRAY_CUT ? len : STRAY_CUT));

	if (why)
		(void)json_object_set_new(o, "why", json_string(why));
	say_event("stray", (int)channel, o);
}

void say_line(unsigned channel, const char *line, size_t len)
{
	char head[32];
	size_t i;

	if (len < 2 || line[0] != '{')
		return say_stray(channel, NULL, line, len);
	for (i = 1; i < len && (line[i] == ' ' || line[i] == '\t'); i++)
		;
	out(head, (size_t)snprintf(head, sizeof head, "{\"ch\":%u%s", channel,
			  i < len && line[i] == '}' ? "" : ","));
	out(line + 1, len - 1);
	out("\n", 1);
}
