/* SPDX-License-Identifier: MIT
 *
 * A verdict for machines: one JSON object a round, in one line.
 */
#include "tool.h"

#include "../kit/kit.h"

#include <inttypes.h>
#include <stdlib.h>

static json_t *hex(uint64_t n)
{
	char s[24];

	(void)snprintf(s, sizeof s, "0x%" PRIx64, n);
	return json_string(s);
}

static json_t *record(const struct pl_log *l, const struct pl_rec *r)
{
	static const char *const state[] = { "?", "invoked", "ok", "fail", "info", "more" };
	json_t *o = json_pack("{sisisssssIsosIsi}", "actor", r->actor, "seq", (int)r->seq, "f",
		words_op(l->head, r), "state", r->state < 6 ? state[r->state] : "?", "t_inv",
		(json_int_t)(r->t_invoke - l->head->t0), "token", hex(r->token), "tag",
		(json_int_t)r->aux, "len", (int)r->len);

	if (!o || r->state == PL_INVOKED)
		return o;
	(void)json_object_set_new(o, "t_ret", json_integer(r->t_return - l->head->t0));
	(void)json_object_set_new(o, "ret", json_integer(r->ret));
	if (r->state == PL_FAIL)
		(void)json_object_set_new(o, "errno", json_string(pl_errno_name(r->err)));
	return o;
}

static json_t *witness(const struct round *r, const struct pl_verdict *v)
{
	json_t *a = json_array();

	for (int i = 0; i < v->nwit; i++) {
		const struct pl_rec *rec;
		const struct pl_log *l = print_find(r, &v->wit[i], &rec);

		if (l)
			(void)json_array_append_new(a, record(l, rec));
	}
	return a;
}

static json_t *stats(const struct pl_verdict *v, const struct stats *s)
{
	json_t *begun = json_array();
	const char *doubt = stats_doubt(v, s);

	for (int i = 1; i <= STATS_DEPTH; i++)
		(void)json_array_append_new(begun, json_integer((json_int_t)s->begun[i]));
	return json_pack("{sIsIsIsIsisIsIsIsIsIsos{sIsIsI}ss?}", "ops", (json_int_t)v->ops,
		"failed", (json_int_t)v->failed, "pending", (json_int_t)v->pending, "bytes",
		(json_int_t)v->bytes, "actors", s->busy, "ordered", (json_int_t)v->ordered, "short",
		(json_int_t)v->short_ops, "overlapped", (json_int_t)v->overlapped, "adjacent",
		(json_int_t)s->adjacent, "apart", (json_int_t)s->apart, "in_flight", begun,
		"lat_ns", "p50", (json_int_t)stats_percentile(v, 500), "p99",
		(json_int_t)stats_percentile(v, 990), "p999", (json_int_t)stats_percentile(v, 999),
		"doubt", doubt);
}

bool json_verdict(const struct round *r, const struct pl_verdict *v, const struct stats *s,
	const struct pl_story *story)
{
	const struct pl_hist_head *h = r->logs[0].head;
	json_t *o = json_pack("{sssIsIsssssssissssss}", "run", CLEAN(h->run), "instance",
		(json_int_t)h->inst, "round", (json_int_t)h->round, "driver", CLEAN(h->driver),
		"variant", CLEAN(h->variant), "model", words_model(h->model), "files", r->n,
		"verdict", pl_outcome_name(v->outcome), "rule", v->rule, "text", CLEAN(v->text));
	char *line;

	if (!o)
		return false;
	(void)json_object_set_new(
		o, "slack_ns", v->slack_ns >= 0 ? json_integer(v->slack_ns) : json_null());
	(void)json_object_set_new(o, "confirmed", json_boolean(v->confirmed));
	(void)json_object_set_new(o, "witness", witness(r, v));
	if (story) {
		(void)json_object_set_new(o, "promise", json_string(pl_promise(h->model, v->rule)));
		(void)json_object_set_new(o, "enough", json_boolean(story->enough));
		(void)json_object_set_new(o, "shown", pl_story_ops(story, h->t0));
		(void)json_object_set_new(o, "timeline", pl_story_lines(story));
	}
	(void)json_object_set_new(o, "stats", stats(v, s));
	line = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (line)
		(void)puts(line);
	free(line);
	return line != NULL;
}
