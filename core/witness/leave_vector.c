/* SPDX-License-Identifier: MIT
 *
 * Vectors: who saw something, or was refused, was so at some moment of the call. What somebody had taken and given back
 * by then is no matter; nor is what others saw, unless no order explains both: then the last who looked stay.
 */
#include "leave.h"

#include <string.h>

enum { LAST = 8 }; /* looks before the one that nothing explains */

struct window {
	struct pl_leave *l;
	int64_t from;		   /* what was given back before is no matter */
	bool looks;		   /* those that began since may stay */
	const struct pl_rec *read; /* what control read, if that is it */
};

static bool only_looks(const struct pl_rec *r, enum pl_role role)
{
	return role == PL_OBSERVE || (role == PL_ACQUIRE && r->state == PL_FAIL);
}

/* When the last few looks before the anchor began: the earliest of them. */
static int64_t last_looks(const struct pl_leave *l)
{
	int64_t at[LAST];
	int n = 0;

	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n && &l->logs[i] != l->control; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];
			int to = n < LAST ? n : LAST - 1;

			if (!pl_is_op(r) || !only_looks(r, pl_role_of(l->logs[i].head, r)) ||
				r->t_invoke > l->until ||
				(n == LAST && r->t_invoke <= at[LAST - 1]))
				continue;
			for (; to > 0 && at[to - 1] < r->t_invoke; to--)
				at[to] = at[to - 1];
			at[to] = r->t_invoke;
			n += n < LAST;
		}
	return n ? at[n - 1] : INT64_MIN;
}

/* What control read at last, if the verdict points at that. */
static const struct pl_rec *reading(const struct pl_leave *l)
{
	for (int i = 0; i < l->v->nwit && i < PL_WITNESS_MAX; i++)
		for (uint64_t k = 0; l->v->wit[i].actor == PL_CONTROL && k < l->control->n; k++)
			if (l->control->rec[k].seq == l->v->wit[i].seq &&
				l->control->rec[k].op == PL_OP_LEVEL)
				return &l->control->rec[k];
	return NULL;
}

static void open_window(struct window *w)
{
	struct pl_leave *l = w->l;
	const struct pl_rec *r;

	w->read = l->anchor ? NULL : reading(l);
	r = l->anchor ? l->anchor : w->read;
	w->from = INT64_MIN;
	if (!strcmp(l->v->rule, "LOSTWAKE") || !r)
		return;
	w->looks = !strcmp(l->v->rule, "NOORDER");
	w->from = r->t_invoke;
	if (r->t_return >= r->t_invoke)
		l->until = r->t_return;
	if (w->looks && last_looks(l) < w->from)
		w->from = last_looks(l);
}

/* The release of what record i took, if nothing was taken between; 0: there is none. */
static uint64_t given_back(const struct pl_log *log, uint64_t i)
{
	for (uint64_t k = i + 1; k < log->n; k++) {
		const struct pl_rec *r = &log->rec[k];
		enum pl_role role = pl_role_of(log->head, r);

		if (role == PL_ACQUIRE && r->state != PL_FAIL)
			return 0;
		if (role == PL_RELEASE && r->state == PL_OK)
			return r->sum == log->rec[i].sum ? k : 0;
	}
	return 0;
}

/* It slept while control read, until it was signalled: that proves nothing, but shows who may have a part. */
static bool slept(const struct window *w, const struct pl_rec *r)
{
	return w->read && r->state == PL_FAIL && r->err == EINTR &&
	       r->t_invoke <= w->read->t_invoke && r->t_return >= w->read->t_return;
}

static uint32_t unit_of(const struct window *w, const struct pl_rec *r, enum pl_role role)
{
	bool before = r->t_invoke < w->from;

	if (role != PL_ACQUIRE && role != PL_RELEASE && role != PL_OBSERVE)
		return PL_GOES;
	if (r == w->l->anchor || w->from == INT64_MIN || slept(w, r))
		return PL_STAYS;
	if (only_looks(r, role))
		return w->looks && !before ? pl_leave_unit(w->l) : PL_GOES;
	return r->state == PL_FAIL ? PL_GOES : PL_STAYS;
}

void pl_leave_vector(struct pl_leave *l)
{
	struct window w = { .l = l };

	open_window(&w);
	l->anchored = l->anchor != NULL;
	for (int i = 0; i < l->n; i++) {
		const struct pl_log *log = &l->logs[i];

		for (uint64_t k = 0, back; k < log->n && log != l->control; k++) {
			enum pl_role role = pl_role_of(log->head, &log->rec[k]);

			if (pl_is_op(&log->rec[k]))
				l->unit[l->first[i] + k] = unit_of(&w, &log->rec[k], role);
			if (role != PL_ACQUIRE || log->rec[k].state != PL_OK)
				continue;
			back = given_back(log, k);
			if (back == 0 || log->rec[back].t_return >= w.from)
				continue;
			for (; k < back; k++)
				l->unit[l->first[i] + k] = PL_GOES;
			l->unit[l->first[i] + back] = PL_GOES;
		}
	}
}
