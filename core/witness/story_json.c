/* SPDX-License-Identifier: MIT
 *
 * A story for events and for machines.
 */
#include "story.h"

#include "../kit/kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_int_t since(int64_t t, int64_t t0)
{
	return (json_int_t)((uint64_t)t - (uint64_t)t0);
}

static json_t *operation(const struct pl_story *s, int i, int64_t t0)
{
	const struct pl_rec *r = &s->op[i];
	char token[24];
	json_t *o;

	(void)snprintf(token, sizeof token, "0x%" PRIx64, r->token);
	o = json_pack("{sisIsssssisIsIsIsssI}", "actor", (int)r->actor, "seq", (json_int_t)r->seq,
		"f", s->f[i], "label", s->label[i], "state", (int)r->state, "t_inv",
		since(r->t_invoke, t0), "t_ret", r->t_return ? since(r->t_return, t0) : 0, "ret",
		(json_int_t)r->ret, "token", token, "tag", (json_int_t)r->aux);
	if (r->state == PL_FAIL)
		(void)json_object_set_new(o, "errno", json_string(pl_errno_name(r->err)));
	return o;
}

json_t *pl_story_ops(const struct pl_story *s, int64_t t0)
{
	json_t *a = json_array();

	for (int i = 0; i < s->n; i++)
		(void)json_array_append_new(a, operation(s, i, t0));
	return a;
}

json_t *pl_story_lines(const struct pl_story *s)
{
	json_t *a = json_array();
	const char *line = s->drawing, *end;

	for (; *line; line = *end ? end + 1 : end) {
		end = strchr(line, '\n');
		end = end ? end : line + strlen(line);
		(void)json_array_append_new(a, json_stringn(line, (size_t)(end - line)));
	}
	return a;
}
