/* SPDX-License-Identifier: MIT
 *
 * Standard signals: what is left out depends on what is wrong. Of other numbers than the one in question nothing
 * stays.
 *
 *   SAGAIN SFALSE  a delivery without its send: the one before it stays, and of the sends those that may be its own.
 *                  Those that had ended before the one before began are only that one's
 *   SOVER          as many sends as deliveries are needed: a cut at a delivery. What begins after that has been
 *                  delivered by a send that ended after it had begun
 *   SLOST SEMPTY   the send stays, and each delivery that may have consumed it
 */
#include "leave.h"

#include <stdlib.h>
#include <string.h>

struct signals {
	struct pl_leave *l;
	const struct pl_rec *before; /* the delivery before the anchor; NULL */
	const struct pl_rec *empty;  /* the look that found nothing */
	int64_t since;
	bool told, over, again; /* a delivery too many, by number; by its sends */
	int64_t *end, *begin;	/* of the deliveries, by end: and the latest begin so far */
	uint32_t n;
};

static bool is_delivery(
	const struct signals *s, const struct pl_hist_head *h, const struct pl_rec *r)
{
	return pl_role_of(h, r) == PL_TAKE && r->state == PL_OK && r->aux == s->l->anchor->aux;
}

/* The last one to end before the anchor did. */
static void find_before(struct signals *s)
{
	const struct pl_rec *t = s->l->anchor;

	for (int i = 0; i < s->l->n; i++)
		for (uint64_t k = 0; k < s->l->logs[i].n; k++) {
			const struct pl_rec *r = &s->l->logs[i].rec[k];

			if (r != t && is_delivery(s, s->l->logs[i].head, r) &&
				r->t_return <= t->t_return &&
				(!s->before || r->t_return > s->before->t_return))
				s->before = r;
		}
}

static const struct pl_rec *witness(const struct signals *s, int nth)
{
	const struct pl_leave *l = s->l;

	for (int i = 0; nth < l->v->nwit && nth < PL_WITNESS_MAX && i < l->n; i++)
		for (uint64_t k = 0;
			l->logs[i].head->actor == l->v->wit[nth].actor && k < l->logs[i].n; k++)
			if (l->logs[i].rec[k].seq == l->v->wit[nth].seq)
				return &l->logs[i].rec[k];
	return NULL;
}

/* Before when a send must have ended to be of no matter for the anchor. Of deliveries at once nobody knows which was
 * first: then every send may be the one told of. */
static int64_t since(const struct signals *s)
{
	const struct pl_rec *t = s->l->anchor;

	if (!s->before)
		return INT64_MIN;
	if (s->before->t_return >= t->t_invoke && strcmp(s->l->v->rule, "SAGAIN") != 0)
		return INT64_MIN;
	return s->before->t_invoke < t->t_invoke ? s->before->t_invoke : t->t_invoke;
}

/* Of who was told of only sends by that process matter. */
static uint32_t put_of(
	const struct signals *s, const struct pl_hist_head *h, const struct pl_rec *r)
{
	const struct pl_leave *l = s->l;
	bool told = s->told && l->anchor->token != (uint64_t)(uint32_t)h->pid;

	if (r == l->anchor)
		return PL_STAYS;
	if ((!s->over && !s->again) || r->state == PL_FAIL || r->aux != l->anchor->aux ||
		r->t_invoke > l->anchor->t_return)
		return PL_GOES;
	return s->again && (told || pl_over(r) < s->since) ? pl_leave_unit(s->l) : PL_STAYS;
}

static uint32_t take_of(struct signals *s, const struct pl_hist_head *h, const struct pl_rec *r)
{
	const struct pl_leave *l = s->l;

	if (r == l->anchor || r == s->before || r == s->empty)
		return PL_STAYS;
	if (s->over)
		return is_delivery(s, h, r) && r->t_return <= l->anchor->t_return
			       ? pl_leave_unit(s->l)
			       : PL_GOES;
	if (s->again)
		return PL_GOES;
	if (r->state == PL_INVOKED)
		return PL_STAYS;
	if (!is_delivery(s, h, r) || r->t_return < l->anchor->t_invoke)
		return PL_GOES;
	return s->empty && r->t_invoke > s->empty->t_return ? PL_GOES : PL_STAYS;
}

static int by_end(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (x[0] > y[0]) - (x[0] < y[0]);
}

/* How many of the n ascending numbers are less than x; or `also` x itself. */
static uint32_t less(const int64_t *v, uint32_t n, int64_t x, bool also)
{
	uint32_t lo = 0;

	while (n > 0) {
		uint32_t half = n / 2;

		if (v[lo + half] < x || (also && v[lo + half] == x))
			lo += half + 1, n -= half + 1;
		else
			n = half;
	}
	return lo;
}

static bool list_deliveries(struct signals *s)
{
	int64_t(*v)[2] = malloc(((size_t)s->l->nrecs + 1) * sizeof *v);

	s->end = malloc(((size_t)s->l->nrecs + 1) * sizeof *s->end);
	s->begin = malloc(((size_t)s->l->nrecs + 1) * sizeof *s->begin);
	for (int i = 0; v && i < s->l->n; i++)
		for (uint64_t k = 0; k < s->l->logs[i].n; k++) {
			const struct pl_rec *r = &s->l->logs[i].rec[k];

			if (r == s->l->anchor || !is_delivery(s, s->l->logs[i].head, r))
				continue;
			v[s->n][0] = r->t_return;
			v[s->n++][1] = r->t_invoke;
		}
	if (v)
		qsort(v, s->n, sizeof *v, by_end);
	for (uint32_t i = 0; v && s->end && s->begin && i < s->n; i++) {
		s->end[i] = v[i][0];
		s->begin[i] = i > 0 && s->begin[i - 1] > v[i][1] ? s->begin[i - 1] : v[i][1];
	}
	free(v);
	return v && s->end && s->begin;
}

/* Cut i + 1 is at delivery i: deliveries go that began before it ended, and sends that ended before it, or one
 * before it, began. */
static void make_cuts(struct signals *s)
{
	struct pl_leave *l = s->l;

	if (!list_deliveries(s))
		return;
	l->ncuts = less(s->end, s->n, l->anchor->t_invoke, false) + 1;
	for (uint32_t i = 0; i < l->ncuts; i++)
		l->cut[i].level = 0;
	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];
			enum pl_role role = pl_role_of(l->logs[i].head, r);

			if (r == l->anchor || r->state == PL_INVOKED)
				continue;
			if (role == PL_TAKE)
				l->gone[l->first[i] + k] =
					less(s->end, s->n, r->t_invoke, false) + 1;
			else if (role == PL_PUT)
				l->gone[l->first[i] + k] =
					less(s->begin, s->n, r->t_return, true) + 1;
		}
}

void pl_leave_signal(struct pl_leave *l)
{
	static const char *const again[] = { "SAGAIN", "SFALSE", NULL };
	struct signals s = { .l = l, .over = !strcmp(l->v->rule, "SOVER") };

	s.again = pl_leave_rule(l, again);
	if (!l->anchor)
		return;
	if (!strcmp(l->v->rule, "SAGAIN")) /* the witness names the earlier one first */
		s.before = l->anchor, l->anchor = witness(&s, 1);
	if (!l->anchor)
		return;
	s.told = !strcmp(l->v->rule, "SFALSE");
	if (s.told)
		find_before(&s);
	if (!strcmp(l->v->rule, "SEMPTY"))
		s.empty = witness(&s, 1);
	s.since = since(&s);
	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < l->logs[i].n && &l->logs[i] != l->control; k++) {
			const struct pl_rec *r = &l->logs[i].rec[k];
			enum pl_role role = pl_role_of(l->logs[i].head, r);

			if (role == PL_PUT)
				l->unit[l->first[i] + k] = put_of(&s, l->logs[i].head, r);
			else if (role == PL_TAKE)
				l->unit[l->first[i] + k] = take_of(&s, l->logs[i].head, r);
		}
	if (s.over)
		make_cuts(&s);
	l->anchored = s.over || s.again;
	free(s.end);
	free(s.begin);
}
