/* SPDX-License-Identifier: MIT
 *
 * What "empty" says about what was certainly inside.
 *
 *   VWIT      an operation found the object empty although some value was certainly inside at
 *             each moment of it
 */
#include "values.h"

#include <stdlib.h>

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
