/* SPDX-License-Identifier: MIT
 *
 * A verdict for people: the outcome in one line, the finding, and the operations that it points at.
 */
#include "tool.h"

#include "../kit/kit.h"

#include <inttypes.h>

static void print_record(const struct pl_log *l, const struct pl_rec *r)
{
	static const char *const state[] = { "?", "never returned", "ok", "failed", "note",
		"more" };
	int64_t t0 = l->head->t0;

	printf("  actor %u record %u: %s", r->actor, r->seq, words_op(l->head, r));
	if (r->token)
		printf(" 0x%" PRIx64, r->token);
	printf(", tag %" PRIu64 ", len %u: %s", r->aux, r->len,
		r->state < 6 ? state[r->state] : "?");
	if (r->state == PL_OK)
		printf(" %" PRId64, r->ret);
	else if (r->state == PL_FAIL)
		printf(" %s", pl_errno_name(r->err));
	printf(", from %.6f ms", (double)(r->t_invoke - t0) / 1e6);
	if (r->state != PL_INVOKED)
		printf(" to %.6f ms", (double)(r->t_return - t0) / 1e6);
	printf("\n");
}

const struct pl_log *print_find(
	const struct round *r, const struct pl_witness *w, const struct pl_rec **ret)
{
	for (int i = 0; i < r->n; i++)
		for (uint64_t k = 0; r->logs[i].head->actor == w->actor && k < r->logs[i].n; k++)
			if (r->logs[i].rec[k].seq == w->seq && r->logs[i].rec[k].state != PL_MORE) {
				*ret = &r->logs[i].rec[k];
				return &r->logs[i];
			}
	return NULL;
}

static void print_witness(const struct round *r, const struct pl_witness *w)
{
	const struct pl_rec *rec;
	const struct pl_log *l = print_find(r, w, &rec);

	if (l)
		print_record(l, rec);
}

void print_verdict(const struct round *r, const struct pl_verdict *v, const struct stats *s,
	const struct pl_story *story)
{
	const struct pl_hist_head *h = r->logs[0].head;

	printf("%s: %s %s, run %s, instance %u, round %u (%s, %d files, %" PRIu64 " operations)\n",
		pl_outcome_name(v->outcome), CLEAN(h->driver), CLEAN(h->variant), CLEAN(h->run),
		h->inst, h->round, words_model(h->model), r->n, v->ops);
	if (v->outcome != PL_HELD)
		printf("  %s: %s\n", v->rule, CLEAN(v->text));
	if (v->outcome != PL_HELD && v->slack_ns >= 0)
		printf("  the stamps would have to be wrong by %" PRId64
		       " ns for this to be right\n",
			v->slack_ns);
	if (v->confirmed)
		printf("  a search found no order of all operations either\n");
	if (story)
		story_print(r, v, story);
	for (int i = 0; i < v->nwit; i++)
		print_witness(r, &v->wit[i]);
	if (s)
		stats_print(v, s);
}
