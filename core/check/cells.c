/* SPDX-License-Identifier: MIT
 *
 * Cells of bytes: found, and what an actor holds of them.
 */
#include "cells.h"

#include <string.h>

static uint64_t end_of(const struct pl_rec *r)
{
	return r->len == 0 || r->token > UINT64_MAX - r->len ? UINT64_MAX : r->token + r->len;
}

static bool add_edge(struct pl_cells *k, uint64_t edge)
{
	int at = k->n;

	while (at > 0 && k->edge[at - 1] >= edge)
		at--;
	if (at < k->n && k->edge[at] == edge)
		return true;
	if (k->n > PL_CELLS)
		return false;
	memmove(&k->edge[at + 1], &k->edge[at], (size_t)(k->n++ - at) * sizeof *k->edge);
	k->edge[at] = edge;
	return true;
}

static bool is_range(const struct pl_actor *a, const struct pl_rec *r)
{
	enum pl_role role = pl_role_of(a->head, r);

	return r->state >= PL_INVOKED && r->state <= PL_FAIL &&
	       (role == PL_ACQUIRE || role == PL_RELEASE);
}

bool pl_cells_make(struct pl_cells *k, const struct pl_case *c)
{
	k->n = 0;
	for (int i = 0; i < c->nactors; i++)
		for (uint64_t at = 0; at < c->actor[i].n; at++) {
			const struct pl_rec *r = &c->actor[i].rec[at];

			if (is_range(&c->actor[i], r) &&
				(!add_edge(k, r->token) || !add_edge(k, end_of(r))))
				return false;
		}
	return true;
}

uint64_t pl_cells_of(const struct pl_cells *k, const struct pl_rec *r)
{
	uint64_t mask = 0, end = end_of(r);

	for (int i = 0; i + 1 < k->n && k->edge[i] < end; i++)
		mask |= (uint64_t)(k->edge[i] >= r->token) << i;
	return mask;
}

void pl_held_after(
	struct pl_held *h, const struct pl_cells *k, const struct pl_rec *r, enum pl_role role)
{
	uint64_t mask = pl_cells_of(k, r);

	h->alone &= ~mask;
	h->shared &= ~mask;
	if (role == PL_ACQUIRE && r->sum & PL_SUM_SHARED)
		h->shared |= mask;
	else if (role == PL_ACQUIRE)
		h->alone |= mask;
}

uint64_t pl_held_against(const struct pl_held *h, const struct pl_cells *k, const struct pl_rec *r)
{
	return pl_cells_of(k, r) & (h->alone | (r->sum & PL_SUM_SHARED ? 0 : h->shared));
}

/* What an actor may have held at time `at`. */
static struct pl_held perhaps(
	const struct pl_cells *k, const struct pl_actor *a, int64_t at, bool asleep)
{
	struct pl_held h = { 0 };

	for (uint64_t i = 0; i < a->n && a->rec[i].t_invoke <= at; i++) {
		const struct pl_rec *r = &a->rec[i];
		bool over = r->state != PL_INVOKED && r->t_return <= at;
		struct pl_held gets = { 0 };

		if (!is_range(a, r) || r->state == PL_FAIL || (!over && asleep))
			continue;
		pl_held_after(&gets, k, r, pl_role_of(a->head, r));
		if (over)
			pl_held_after(&h, k, r, pl_role_of(a->head, r));
		h.alone |= gets.alone, h.shared |= gets.shared;
	}
	return h;
}

bool pl_cells_free(const struct pl_case *c, int who, const struct pl_rec *r, int64_t at,
	bool (*asleep)(const struct pl_case *c, int who))
{
	struct pl_cells k;

	if (!pl_cells_make(&k, c))
		return false;
	for (int i = 0; i < c->nactors; i++) {
		struct pl_held h;

		if (i == who || (c->actor[i].dead && c->actor[i].t_reap <= at))
			continue;
		h = perhaps(&k, &c->actor[i], at, asleep(c, i));
		if (pl_held_against(&h, &k, r))
			return false;
	}
	return true;
}
