/* SPDX-License-Identifier: MIT
 *
 * Counters: the history between a moment before the wrong result, from which on the number is known, and its end.
 *
 * At such a moment the number is what all that is over by then makes of it, and what is under way takes effect then
 * or later: puts first, then takes. Where the object is full at some number the puts may not fit one after the
 * other, so that there all must be by one. A take of all cannot be moved.
 */
#include "leave.h"

#include <stdlib.h>
#include <string.h>

struct done {
	int64_t over, k; /* when; what it added */
	uint32_t ref;
};

struct count {
	struct pl_leave *l;
	struct done *d; /* what had an effect and an end, by its end */
	uint32_t n;
	bool sum, capped, by_one;
	bool puts_go, takes_go;		/* fewer of them explain the wrong result less */
	int64_t maybe_put, maybe_taken; /* by operations without an end */
	int64_t first_maybe;
	int64_t (*all)[2]; /* of takes of all: begin and end */
	uint32_t nall;
};

static bool is_observer(const struct pl_rec *r, enum pl_role role)
{
	return r->state == PL_FAIL || role == PL_OBSERVE;
}

static int64_t amount(const struct pl_rec *r)
{
	return r->aux < (uint64_t)1 << 61 ? (int64_t)r->aux : 0;
}

static void note(struct count *t, const struct pl_rec *r, enum pl_role role, uint32_t ref)
{
	int64_t k = amount(r) ? amount(r) : 1;

	t->by_one &= k == 1;
	if (r->state == PL_INVOKED) {
		*(role == PL_PUT ? &t->maybe_put : &t->maybe_taken) += k;
		t->first_maybe = r->t_invoke < t->first_maybe ? r->t_invoke : t->first_maybe;
		return;
	}
	t->d[t->n++] = (struct done){ r->t_return, role == PL_PUT ? k : -k, ref };
	if (t->sum && role == PL_TAKE) {
		t->all[t->nall][0] = r->t_invoke;
		t->all[t->nall++][1] = r->t_return;
	}
}

static uint32_t unit_of(struct count *t, const struct pl_rec *r, enum pl_role role, uint32_t ref)
{
	if (r == t->l->anchor && (is_observer(r, role) || r->aux == 0))
		return PL_STAYS;
	if ((role != PL_PUT && role != PL_TAKE) || is_observer(r, role))
		return PL_GOES;
	if (r->state == PL_OK && r->aux == 0)
		return PL_GOES;
	note(t, r, role, ref);
	if (r != t->l->anchor && (role == PL_PUT ? t->puts_go : t->takes_go))
		return pl_leave_unit(t->l);
	return PL_STAYS;
}

static int by_over(const void *a, const void *b)
{
	const struct done *x = a, *y = b;

	return (x->over > y->over) - (x->over < y->over);
}

/* Whether what is under way at that moment can all be moved behind it. */
static bool movable(const struct count *t, int64_t at, int64_t level)
{
	bool maybe = t->first_maybe < at;

	if (level < 0 || (maybe && (t->sum || t->capped || level < t->maybe_taken)))
		return false;
	if (t->capped && (!t->by_one || level > (int64_t)t->l->head->capacity))
		return false;
	for (uint32_t i = 0; i < t->nall; i++)
		if (t->all[i][0] < at && t->all[i][1] >= at)
			return false;
	return true;
}

/* Cut i + 1 lies just after the i-th end. */
static void make_cuts(struct count *t)
{
	struct pl_leave *l = t->l;
	int64_t level = l->control->rec[0].ret, last = l->anchor ? l->anchor->t_invoke : INT64_MAX;

	qsort(t->d, t->n, sizeof *t->d, by_over);
	for (uint32_t i = 0; i < t->n && t->d[i].over < last; i++) {
		bool tie = i + 1 < t->n && t->d[i + 1].over == t->d[i].over;

		level += t->d[i].k;
		l->gone[t->d[i].ref] = l->ncuts;
		if (tie)
			continue;
		l->cut[l->ncuts].level = movable(t, t->d[i].over + 1, level) ? level : -1;
		l->ncuts++;
	}
}

/* One that was cut off moved all that it wanted, or nothing: without the others it may find too little, or be needed. */
static bool all_or_nothing(const struct pl_leave *l)
{
	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; &l->logs[i] != l->control && k < l->logs[i].n; k++)
			if (l->logs[i].rec[k].state == PL_INVOKED && amount(&l->logs[i].rec[k]) > 1)
				return true;
	return false;
}

/* Whether another ends with it, at one stamp: what comes then may be before that one has its effect. */
static bool ends_with_another(const struct pl_leave *l)
{
	for (int i = 0; l->anchor && i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];

			if (r->actor != l->anchor->actor && pl_is_op(r) &&
				pl_over(r) == pl_over(l->anchor))
				return true;
		}
	return false;
}

static bool starts_known(const struct pl_leave *l)
{
	const struct pl_rec *r = l->control->rec;

	return l->control->n > 0 && r->op == PL_OP_LEVEL && r->ret >= 0 &&
	       r->ret < (int64_t)1 << 61;
}

void pl_leave_counter(struct pl_leave *l)
{
	static const char *const takes[] = { "OVERTAKEN", "BADNOROOM", NULL };
	static const char *const puts[] = { "BADEMPTY", "TOKENSLOST", "OVERFULL", NULL };
	bool capped = l->head->capacity > 0, lumps = all_or_nothing(l);
	struct count t = { .l = l,
		.sum = l->head->model == PL_MODEL_SUM,
		.capped = capped,
		.by_one = true,
		.puts_go = pl_leave_rule(l, puts) && !lumps,
		.takes_go = pl_leave_rule(l, takes) && !(lumps && capped),
		.first_maybe = INT64_MAX };
	bool tied = ends_with_another(l);

	t.d = malloc(((size_t)l->nrecs + 1) * sizeof *t.d);
	t.all = malloc(((size_t)l->nrecs + 1) * sizeof *t.all);
	for (int i = 0; i < l->n; i++) {
		bool over =
			false; /* what the anchor's actor did after it began when that had ended */

		for (uint64_t k = 0; k < l->logs[i].n && &l->logs[i] != l->control; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];
			uint32_t ref = l->first[i] + (uint32_t)k;

			l->unit[ref] = over || !pl_is_op(r) ? PL_GOES
				       : t.d && t.all
					       ? unit_of(&t, r, pl_role_of(l->logs[i].head, r), ref)
					       : PL_STAYS;
			over |= r == l->anchor && !tied;
		}
	}
	if (l->anchor && l->anchor->state != PL_INVOKED)
		l->until = l->anchor->t_return;
	l->anchored = l->anchor != NULL;
	if (t.d && t.all && starts_known(l))
		make_cuts(&t);
	free(t.d);
	free(t.all);
}
