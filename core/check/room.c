/* SPDX-License-Identifier: MIT
 *
 * What "empty" and "full" say about what was certainly, or possibly, inside.
 *
 *   VWIT      an operation found the object empty although some value was certainly inside at
 *             each moment of it
 *   OVERCAP   more was certainly inside than the object holds
 *   BADFULL   a send found the object full although there was certainly room at each moment of it: of an
 *             object whose capacity is not known, when nothing at all can have been inside
 *
 * Capacity is counted in places (pl_obj.grain): a value takes at most as many as its length begins, and the values
 * inside have at least as many as their bytes fill.
 */
#include "values.h"

#include <stdlib.h>
#include <string.h>

/* Walks the intervals during which something was certainly inside, by their start. Of values not
 * known to be taken, takes of unknown result may have had as many as had begun: only the surplus
 * counts. */
struct inside {
	const struct pl_values *q;
	uint32_t i;    /* next in by_ret, of the values taken */
	uint32_t u, p; /* next in by_ret, of the values not taken; next in maybe */
	uint32_t surplus_from, surplus_to;
	uint32_t nu, np;
	bool done;
};

static bool next_surplus(struct inside *it)
{
	const struct pl_values *q = it->q;

	it->surplus_from = PL_NEVER;
	for (;;) {
		uint32_t ut, pt;

		while (it->u < q->nput && pl_value_taken(&q->v[q->by_ret[it->u]]))
			it->u++;
		ut = it->u < q->nput ? q->v[q->by_ret[it->u]].e_ret : PL_NEVER;
		pt = it->p < q->nmaybe ? q->maybe[it->p] : PL_NEVER;
		if (ut == PL_NEVER && pt == PL_NEVER) {
			it->surplus_to = PL_NEVER;
			return it->surplus_from != PL_NEVER;
		}
		if (ut < pt) {
			it->u++;
			it->nu++;
			if (it->nu == it->np + 1)
				it->surplus_from = ut;
		} else {
			it->p++;
			it->np++;
			if (it->nu == it->np && it->surplus_from != PL_NEVER) {
				it->surplus_to = pt;
				return true;
			}
		}
	}
}

static bool next_inside(struct inside *it, uint32_t *ret_from, uint32_t *ret_to)
{
	const struct pl_values *q = it->q;
	const struct pl_value *v = NULL;

	for (; it->i < q->nput; it->i++) {
		v = &q->v[q->by_ret[it->i]];
		if (pl_value_taken(v) && v->e_ret < v->d_inv)
			break;
	}
	if (it->i < q->nput && (it->done || v->e_ret < it->surplus_from)) {
		*ret_from = v->e_ret;
		*ret_to = v->d_inv;
		it->i++;
		return true;
	}
	if (it->done)
		return false;
	*ret_from = it->surplus_from;
	*ret_to = it->surplus_to;
	it->done = !next_surplus(it);
	return true;
}

int64_t pl_cover_slack(struct pl_values *q, uint32_t inv, uint32_t ret, pl_value_in *in,
	const void *arg, uint32_t *chain, int max, int *ret_n)
{
	uint32_t *by = malloc(((size_t)q->n + 1) * 2 * sizeof *by), n = 0, i = 0, reach = inv;
	const struct pl_value *best = NULL;
	int64_t slack = INT64_MAX, gap;

	*ret_n = 0;
	if (!by) {
		q->c->nomem = true;
		return 0;
	}
	for (uint32_t k = 0; k < q->n; k++) {
		const struct pl_value *v = &q->v[k];

		if (q->known && !pl_value_taken(v))
			continue;
		if (pl_value_live(v) && v->e_ret < v->d_inv && v->d_inv > inv && v->e_ret < ret &&
			(!in || (in(v, arg) && (q->nmaybe == 0 || pl_value_taken(v)))))
			by[n++] = k;
	}
	pl_sort_by_ret(q->v, by, n, by + n);
	while (reach < ret) {
		for (; i < n && q->v[by[i]].e_ret <= reach; i++)
			if (!best || q->v[by[i]].d_inv > best->d_inv)
				best = &q->v[by[i]];
		if (!best || best->d_inv <= reach)
			break; /* only takes of unknown result leave a chain incomplete */
		gap = pl_gap(q->c, best->e_ret, reach);
		slack = gap < slack ? gap : slack;
		reach = best->d_inv;
		if (*ret_n < max)
			chain[(*ret_n)++] = (uint32_t)(best - q->v);
	}
	gap = pl_gap(q->c, ret, reach);
	slack = gap < slack ? gap : slack;
	for (uint32_t k = 0; k < q->nmaybe; k++)
		if (q->maybe[k] > ret) {
			gap = pl_gap(q->c, ret, q->maybe[k]);
			slack = gap < slack ? gap : slack;
		}
	free(by);
	return slack;
}

static void empty_found(struct pl_values *q, const struct pl_empty *e, const char *rule)
{
	struct pl_case *c = q->c;
	uint32_t chain[PL_WITNESS_MAX];
	int n;
	int64_t slack =
		pl_cover_slack(q, e->inv, e->ret, NULL, NULL, chain, PL_WITNESS_MAX - 1, &n);
	const struct pl_value *v = n > 0 ? &q->v[chain[0]] : NULL;

	if (!pl_find(c, rule, slack,
		    "actor %d's %s found nothing (it took %s) although %s%s certainly inside all "
		    "the time",
		    pl_say_actor(c, e->ref), pl_say_op(c, e->ref),
		    pl_say_ns(pl_span(c, e->inv, e->ret)), v ? pl_say_token(v->token) : "a value",
		    n > 1 ? " and others in turn were" : " was"))
		return;
	pl_witness(c, e->ref);
	for (int i = 0; i < n; i++)
		pl_witness(c, q->v[chain[i]].put);
}

void pl_empty_check(struct pl_values *q, const char *rule)
{
	struct inside it = { .q = q };
	uint32_t from = 0, to = 0, nfrom, nto;
	bool more;

	if (q->nempty == 0)
		return;
	it.done = q->known || !next_surplus(&it);
	more = next_inside(&it, &nfrom, &nto);
	for (uint32_t i = 0; i < q->nempty && !pl_settled(q->c); i++) {
		const struct pl_empty *e = &q->empty[i];

		while (more && nfrom < e->ret) {
			if (nfrom > to)
				from = nfrom;
			to = nto > to ? nto : to;
			more = next_inside(&it, &nfrom, &nto);
		}
		if (to >= e->ret && from <= e->inv)
			empty_found(q, e, rule);
	}
}

static bool full_is_known(const struct pl_values *q)
{
	return q->c->head->capacity > 0 && q->c->head->capacity <= UINT32_MAX;
}

/* Places that it fills at most. */
static int64_t places(const struct pl_values *q, uint32_t len)
{
	uint32_t grain = q->c->head->grain;

	return grain ? ((int64_t)len + grain - 1) / grain : 1;
}

/* How much was inside after each rank: at least, in bytes (without grain: values), or at most, in places. Where the
 * capacity is not known sends that failed count, too: what they were to put may have been charged meanwhile. */
static int64_t *profile(const struct pl_values *q, bool least)
{
	int64_t *d = calloc((size_t)q->c->nranks + 1, sizeof *d);
	bool tried = !full_is_known(q);

	for (uint32_t i = 0; d && i < q->n; i++) {
		const struct pl_value *v = &q->v[i];
		int64_t w = !least ? places(q, v->len) : q->c->head->grain ? v->len : 1;
		uint32_t from = least ? v->e_ret : v->e_inv, to = least ? v->d_inv : v->d_ret;

		if (least ? !pl_value_live(v) || from >= to : v->failed && !tried)
			continue;
		d[from] += w;
		if (to != PL_NEVER)
			d[to] -= w;
	}
	for (uint32_t i = 0; d && least && i < q->nmaybe; i++)
		d[q->maybe[i]] -= q->c->head->grain ? q->maxlen : 1;
	for (uint32_t r = 1; d && r < q->c->nranks; r++)
		d[r] += d[r - 1];
	if (!d)
		q->c->nomem = true;
	return d;
}

static void overfull(struct pl_values *q)
{
	uint32_t grain = q->c->head->grain, at = 0, end;
	int64_t cap = (int64_t)q->c->head->capacity * (grain ? grain : 1);
	int64_t *in = profile(q, true);

	while (in && at < q->c->nranks && in[at] <= cap)
		at++;
	for (end = at; in && end < q->c->nranks && in[end] > cap;)
		end++;
	if (in && at < q->c->nranks &&
		pl_find(q->c, "OVERCAP", end < q->c->nranks ? pl_span(q->c, at, end) : -1,
			"at least %lld %s were inside at once, but the object holds %lld",
			(long long)in[at], grain ? "bytes" : "values", (long long)cap))
		for (uint32_t i = 0; i < q->n; i++)
			if (pl_value_live(&q->v[i]) && q->v[i].e_ret <= at && q->v[i].d_inv > at)
				pl_witness(q->c, q->v[i].put);
	free(in);
}

/* By how much stamps must be wrong for more than `most` to have been inside at some moment of f: when that was last,
 * and when it is next, but for what its own actor did before and after. */
static int64_t full_slack(
	const struct pl_values *q, const struct pl_empty *f, const int64_t *in, int64_t most)
{
	struct pl_case *c = q->c;
	int64_t slack = pl_gap(c, f->inv, f->ret), level = in[f->inv]; /* now c->whose is there */
	uint32_t r = f->inv;

	for (; r > 0 && level <= most && c->whose; r--)
		level -= c->whose[r] != c->whose[f->inv] ? in[r] - in[r - 1] : 0;
	if (level > most)
		slack = pl_gap(c, r + 1, f->inv);
	level = in[f->ret - 1];
	for (r = f->ret; r < c->nranks && level <= most && c->whose; r++)
		level += c->whose[r] != c->whose[f->inv] ? in[r] - in[r - 1] : 0;
	if (level > most && pl_gap(c, f->ret, r - 1) < slack)
		slack = pl_gap(c, f->ret, r - 1);
	return slack;
}

/* `most`: with more than that inside at some moment, it may have been full. */
static void badfull_found(
	struct pl_values *q, const struct pl_empty *f, const int64_t *in, int64_t most)
{
	int64_t slack = full_slack(q, f, in, most);

	if (full_is_known(q) ? pl_find(q->c, "BADFULL", slack,
				       "actor %d's %s found no room although at most %lld of %lld "
				       "places were ever taken meanwhile",
				       pl_say_actor(q->c, f->ref), pl_say_op(q->c, f->ref),
				       (long long)most, (long long)q->c->head->capacity)
			     : pl_find(q->c, "BADFULL", slack,
				       "actor %d's %s found no room although nothing can have been "
				       "inside",
				       pl_say_actor(q->c, f->ref), pl_say_op(q->c, f->ref)))
		pl_witness(q->c, f->ref);
}

static void falsely_full(struct pl_values *q)
{
	int64_t *in = profile(q, false);

	for (uint32_t i = 0; in && i < q->nfull && !pl_settled(q->c); i++) {
		const struct pl_empty *f = &q->full[i];
		int64_t own = places(q, pl_rec_of(q->c, f->ref, NULL)->len);
		int64_t most = full_is_known(q) ? (int64_t)q->c->head->capacity - own : own;
		uint32_t r = f->inv;

		while (r < f->ret && in[r] <= most)
			r++;
		if (r == f->ret)
			badfull_found(q, f, in, most);
	}
	free(in);
}

void pl_capacity_check(struct pl_values *q, bool empty_has_room)
{
	if (q->nanon > 0 || pl_settled(q->c) || q->c->head->flags & PL_HIST_ALTERED)
		return;
	if (full_is_known(q))
		overfull(q);
	if (q->nfull > 0 && (full_is_known(q) || empty_has_room))
		falsely_full(q);
}
