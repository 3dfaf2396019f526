/* SPDX-License-Identifier: MIT
 *
 * A queue whose highest priority comes out first, the oldest of it before the others: POSIX message
 * queues. With PL_LOWEST the lowest tag has the highest priority: System V types, real-time signals.
 *
 * Level by level from the highest, with the segments during which something higher was certainly
 * inside covered. A take is clipped to what is left of it before order inside its
 * level is asked for: without that step one wrong history in 30,000 passes. Exact when every take
 * has a result, else sound.
 *
 *   VPRIO     a value was received although a higher one was certainly inside at each moment of
 *             the receive
 *   VTAG VFRESH VREPET VFAILED VCORRUPT   values.c
 *   VORD VLOST                            order.c
 *   VWIT                                  room.c
 *   OVERCAP BADFULL                       capacity.c
 */
#include "values.h"
#include "segments.h"

#include <string.h>

enum { AHEAD = 8 }; /* values fetched early: a level's lie apart */

struct levels {
	struct pl_values *q;
	uint32_t *by_inv, *by_ret, *tmp;
	struct pl_segments left;
	bool all; /* no take of unknown result: what was not taken is still inside */
};

/* Stable, highest priority first; digits that all share are skipped. */
static void sort_by_prio(const struct pl_value *v, uint32_t *index, uint32_t n, uint32_t *tmp)
{
	uint32_t differ = 0;

	for (uint32_t i = 1; i < n; i++)
		differ |= v[index[i]].prio ^ v[index[0]].prio;
	for (int shift = 0; shift < 32; shift += 8) {
		uint32_t count[256] = { 0 }, sum = 0;

		if (!(differ >> shift & 255))
			continue;
		for (uint32_t i = 0; i < n; i++)
			count[v[index[i]].prio >> shift & 255]++;
		for (int i = 255; i >= 0; i--) {
			uint32_t here = count[i];

			count[i] = sum;
			sum += here;
		}
		for (uint32_t i = 0; i < n; i++)
			tmp[count[v[index[i]].prio >> shift & 255]++] = index[i];
		memcpy(index, tmp, n * sizeof *index);
	}
}

static bool is_above(const struct pl_value *v, const void *arg)
{
	return v->prio > *(const uint32_t *)arg;
}

static void inversion_found(struct pl_values *q, const struct pl_value *b)
{
	struct pl_case *c = q->c;
	uint32_t chain[PL_WITNESS_MAX];
	int n;
	int64_t slack = pl_cover_slack(
		q, b->d_inv, b->d_ret, is_above, &b->prio, chain, PL_WITNESS_MAX - 2, &n);
	const struct pl_value *a = n > 0 ? &q->v[chain[0]] : NULL;

	if (!pl_find(c, "VPRIO", slack,
		    "actor %d received %s of %s %u although %s of %s %u%s certainly inside all "
		    "the time",
		    pl_say_actor(c, b->take), pl_say_token(b->token), pl_say_prio(q),
		    pl_tag(q, b->prio), a ? pl_say_token(a->token) : "a value", pl_say_prio(q),
		    a ? pl_tag(q, a->prio) : 0,
		    n > 1 ? ", and others before it in turn, were" : " was"))
		return;
	pl_witness(c, b->take);
	pl_witness(c, b->put);
	for (int i = 0; i < n; i++)
		pl_witness(c, q->v[chain[i]].put);
}

/* Takes shrink to what no higher value covers, and puts end no later than their take. */
static void clip(struct levels *l, const uint32_t *index, uint32_t n)
{
	for (uint32_t i = 0; i < n && !pl_settled(l->q->c); i++) {
		struct pl_value *v = &l->q->v[index[i]];
		uint32_t first, last;

		if (i + AHEAD < n)
			__builtin_prefetch(&l->q->v[index[i + AHEAD]], 1);
		if (!pl_value_live(v) || !pl_value_taken(v))
			continue;
		first = pl_segments_next(&l->left, v->d_inv);
		last = pl_segments_prev(&l->left, v->d_ret - 1);
		if (first == PL_SEG_NONE || last == PL_SEG_NONE || first > last) {
			inversion_found(l->q, v);
			continue;
		}
		v->d_inv = first;
		v->d_ret = last + 1;
		v->e_ret = v->d_ret < v->e_ret ? v->d_ret : v->e_ret;
	}
}

static void cover(struct levels *l, const uint32_t *index, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct pl_value *v = &l->q->v[index[i]];

		if (i + AHEAD < n)
			__builtin_prefetch(&l->q->v[index[i + AHEAD]]);
		if ((l->all || pl_value_taken(v)) && v->e_ret < v->d_inv)
			pl_segments_cover(&l->left, v->e_ret, v->d_inv);
	}
}

/* Where the level of index[0] ends: of a sorted list only a few are looked at. */
static uint32_t level(const struct pl_values *q, const uint32_t *index, uint32_t n)
{
	uint32_t low = 0, high = n; /* in the level; beyond it, or the end */

	for (uint32_t by = 1; low + by < n; by *= 2) {
		if (q->v[index[low + by]].prio != q->v[index[0]].prio) {
			high = low + by;
			break;
		}
		low += by;
	}
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (q->v[index[mid]].prio == q->v[index[0]].prio)
			low = mid;
		else
			high = mid;
	}
	return high;
}

static void check_levels(struct levels *l)
{
	struct pl_values *q = l->q;
	uint32_t j = 0;

	for (uint32_t i = 0, end, jend; i < q->n && !pl_settled(q->c); i = end, j = jend) {
		end = i + level(q, l->by_inv + i, q->n - i);
		jend = j;
		if (j < q->nput && q->v[l->by_ret[j]].prio == q->v[l->by_inv[i]].prio)
			jend += level(q, l->by_ret + j, q->nput - j);
		clip(l, l->by_inv + i, end - i);
		pl_sort_by_ret(q->v, l->by_ret + j, jend - j, l->tmp);
		pl_order_check(q, l->by_inv + i, end - i, l->by_ret + j, jend - j, l->all);
		cover(l, l->by_ret + j, jend - j);
	}
}

static void check_queue(struct levels *l)
{
	struct pl_values *q = l->q;

	pl_lost_check(q);
	pl_capacity_check(q, false);
	for (uint32_t i = 0; i < q->n; i++)
		l->by_inv[i] = i;
	memcpy(l->by_ret, q->by_ret, q->nput * sizeof *l->by_ret);
	sort_by_prio(q->v, l->by_inv, q->n, l->tmp);
	sort_by_prio(q->v, l->by_ret, q->nput, l->tmp);
	check_levels(l);
	if (q->nempty > 0 && !pl_settled(q->c)) {
		pl_sort_by_ret(q->v, q->by_ret, q->nput, l->tmp);
		pl_empty_check(q, "VWIT");
	}
}

void pl_check_priority(struct pl_case *c)
{
	struct pl_values q;
	struct levels l = { .q = &q };

	if (pl_values_read(&q, c) == 0 && !pl_settled(c)) {
		size_t n = (size_t)q.n + 1;

		l.all = q.nmaybe == 0;
		l.by_inv = malloc(n * sizeof *l.by_inv);
		l.by_ret = malloc(n * sizeof *l.by_ret);
		l.tmp = malloc(n * sizeof *l.tmp);
		if (l.by_inv && l.by_ret && l.tmp && pl_segments_new(&l.left, c->nranks))
			check_queue(&l);
		else
			c->nomem = true;
		pl_segments_free(&l.left);
		free(l.by_inv);
		free(l.by_ret);
		free(l.tmp);
	}
	pl_values_free(&q);
}
