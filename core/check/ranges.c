/* SPDX-License-Identifier: MIT
 *
 * Locks on ranges of bytes: who had which of them, alone or shared, while events go by.
 *
 * An acquire puts its bytes in the place of what its actor had of them, a release gives its bytes up: so ranges split
 * and merge. A byte is certainly held from the end of its acquire to the begin of what changes that (a release, an
 * acquire of the other kind, a kill), and possibly from the begin of its acquire to the end of what gives it up, or to
 * the reap. What fails changes nothing. Sound, and with little missed.
 *
 *   OVERLAP     two actors certainly held a byte at once, and did not both share it
 *   BADBUSY     EAGAIN or EACCES although at no moment of the call anybody could hold what was in the way
 *   BADDEADLK   EDEADLK to an actor that held nothing
 */
#include "cells.h"

#include <stdlib.h>

enum { HITS = 64 }; /* findings of a kind that are looked at: each costs a walk over records */

struct party {
	struct pl_held held; /* by what has ended */
	const struct pl_rec *from,
		*end; /* what is under way: of its records the first, and past the last */
	const struct pl_rec *last; /* what ended last */
	bool killed, blocked;	   /* something was in the way of the refusal that is under way */
};

struct ranges {
	struct pl_case *c;
	struct pl_cells k;
	struct party *p;
	int hits;
	uint32_t ndead;
	bool muddled;
};

static bool refused(const struct pl_rec *r)
{
	return r->state == PL_FAIL && (r->err == EAGAIN || r->err == EACCES);
}

static bool shares(const struct pl_rec *r)
{
	return r->sum & PL_SUM_SHARED;
}

static enum pl_role role_of(const struct ranges *g, int who, const struct pl_rec *r)
{
	return r->state < PL_INVOKED || r->state > PL_FAIL ? PL_NONE
							   : pl_role_of(g->c->actor[who].head, r);
}

/* Whether a record ends that `cell` is certainly held in that way. */
static bool changes(
	const struct ranges *g, int who, const struct pl_rec *r, uint64_t cells, bool shared)
{
	enum pl_role role = r->state == PL_FAIL ? PL_NONE : role_of(g, who, r);

	if (role != PL_RELEASE && !(role == PL_ACQUIRE && shares(r) != shared))
		return false;
	return pl_cells_of(&g->k, r) & cells;
}

static struct pl_held certainly(const struct ranges *g, int who)
{
	const struct party *p = &g->p[who];
	struct pl_held h = p->held;

	if (p->killed)
		return (struct pl_held){ 0 };
	for (const struct pl_rec *r = p->from; r < p->end; r++) {
		if (changes(g, who, r, h.alone, false))
			h.alone &= ~pl_cells_of(&g->k, r);
		if (changes(g, who, r, h.shared, true))
			h.shared &= ~pl_cells_of(&g->k, r);
	}
	return h;
}

static struct pl_held possibly(const struct ranges *g, int who)
{
	const struct party *p = &g->p[who];
	struct pl_held h = p->held;

	for (const struct pl_rec *r = p->from; r < p->end; r++)
		if (role_of(g, who, r) == PL_ACQUIRE && r->state != PL_FAIL)
			*(shares(r) ? &h.shared : &h.alone) |= pl_cells_of(&g->k, r);
	return h;
}

/* ---- how sure it is ---- */

/* The acquire by which `who`, at the end of its record r, has this cell. */
static const struct pl_rec *giver(
	const struct ranges *g, int who, const struct pl_rec *r, uint64_t cell, bool shared)
{
	const struct pl_rec *found = NULL;

	for (; r >= g->c->actor[who].rec; r--) {
		if (role_of(g, who, r) == PL_NONE || r->state != PL_OK ||
			!(pl_cells_of(&g->k, r) & cell))
			continue;
		if (changes(g, who, r, cell, shared))
			break;
		found = r;
	}
	return found;
}

/* When what r gave certainly ends; *ret_by: by what, or NULL. */
static int64_t until(const struct ranges *g, int who, const struct pl_rec *r, uint64_t cell,
	const struct pl_rec **ret_by)
{
	const struct pl_actor *a = &g->c->actor[who];
	int64_t last = r->t_return;
	bool shared = shares(r);

	for (*ret_by = NULL; ++r < a->rec + a->n;) {
		if (changes(g, who, r, cell, shared))
			return (*ret_by = r)->t_invoke;
		last = role_of(g, who, r) == PL_NONE ? last
		       : r->state == PL_INVOKED	     ? r->t_invoke
						     : r->t_return;
	}
	return !a->dead ? INT64_MAX : a->t_kill > last ? a->t_kill : last;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t apart(int64_t from, int64_t to)
{
	return to == INT64_MAX ? INT64_MAX : to > from ? to - from : 0;
}

/* By how much the nearest of what might have been in the way of a refusal was too early or too late. */
static int64_t refusal_slack(const struct ranges *g, int who, const struct pl_rec *f)
{
	int64_t slack = INT64_MAX;

	for (int i = 0; i < g->c->nactors; i++) {
		const struct pl_actor *a = &g->c->actor[i];

		for (uint64_t at = 0; i != who && at < a->n; at++) {
			const struct pl_rec *r = &a->rec[at];

			if (r->state == PL_FAIL || role_of(g, i, r) == PL_NONE ||
				!(pl_cells_of(&g->k, r) & pl_cells_of(&g->k, f)))
				continue;
			if (r->state == PL_OK && r->t_return <= f->t_invoke)
				slack = least(slack, f->t_invoke - r->t_return);
			if (r->t_invoke >= f->t_return)
				slack = least(slack, r->t_invoke - f->t_return);
		}
		if (i != who && a->dead && a->t_reap <= f->t_invoke)
			slack = least(slack, f->t_invoke - a->t_reap);
	}
	return slack;
}

/* ---- the rules ---- */

static uint64_t lowest(uint64_t mask)
{
	return mask & -mask;
}

static void overlap_found(struct ranges *g, int a, int b, const struct pl_rec *rb, uint64_t cell)
{
	bool shared = !(certainly(g, a).alone & cell);
	const struct pl_rec *ra = giver(g, a, g->p[a].last, cell, shared), *ua = NULL, *ub;
	bool lasted;
	struct pl_case *c = g->c;
	int64_t to_a = ra ? until(g, a, ra, cell, &ua) : 0, to_b = until(g, b, rb, cell, &ub), end;

	if (!ra)
		return;
	end = least(to_a, to_b);
	lasted = end > rb->t_return && end < INT64_MAX;
	if (!pl_find(c, "OVERLAP", least(apart(rb->t_return, to_a), apart(ra->t_return, to_b)),
		    "actors %d and %d held byte %llu at once%s%s%s", c->actor[a].id, c->actor[b].id,
		    (unsigned long long)g->k.edge[__builtin_ctzll(cell)],
		    shared	 ? ", though the second did not share it"
		    : shares(rb) ? ", though the first did not share it"
				 : "",
		    lasted ? ", for " : "", lasted ? pl_say_ns(end - rb->t_return) : ""))
		return;
	pl_witness(c, pl_ref(c, a, ra));
	if (ua)
		pl_witness(c, pl_ref(c, a, ua));
	pl_witness(c, pl_ref(c, b, rb));
	if (ub)
		pl_witness(c, pl_ref(c, b, ub));
}

/* From now on b has what r says: does another one, too? */
static void check_overlap(struct ranges *g, int b, const struct pl_rec *r)
{
	struct pl_held mine = certainly(g, b);
	uint64_t has = shares(r) ? mine.shared : mine.alone;

	for (int a = 0; a < g->c->nactors && g->hits < HITS && !pl_settled(g->c); a++) {
		struct pl_held h = g->p[a].held;

		if (a == b || !((h.alone | h.shared) & has))
			continue;
		h = certainly(g, a);
		if (!(pl_held_against(&h, &g->k, r) & has))
			continue;
		g->hits++;
		overlap_found(g, a, b, r, lowest(pl_held_against(&h, &g->k, r) & has));
	}
}

static void check_refusal(struct ranges *g, int who, const struct pl_rec *r)
{
	struct pl_case *c = g->c;
	uint32_t ref = pl_ref(c, who, r);

	if (r->err == EDEADLK && g->ndead == 0 && !(g->p[who].held.alone | g->p[who].held.shared) &&
		pl_find(c, "BADDEADLK", -1, "actor %d's %s gave EDEADLK, but it held nothing",
			pl_say_actor(c, ref), pl_say_op(c, ref)))
		pl_witness(c, ref);
	if (!refused(r) || g->p[who].blocked || g->hits++ >= HITS || pl_settled(c))
		return;
	if (pl_find(c, "BADBUSY", refusal_slack(g, who, r),
		    "actor %d's %s found bytes of [%llu, +%u) taken, but nobody could hold them "
		    "against that at any moment of the call",
		    pl_say_actor(c, ref), pl_say_op(c, ref), (unsigned long long)r->token, r->len))
		pl_witness(c, ref);
}

static bool in_the_way(const struct ranges *g, int who, int other, const struct pl_rec *r)
{
	struct pl_held h;

	if (other == who || !refused(r) || role_of(g, who, r) != PL_ACQUIRE)
		return false;
	h = possibly(g, other);
	return pl_held_against(&h, &g->k, r);
}

/* Refusals under way meet what begins beside them, and one that begins what is there. */
static void begin(struct ranges *g, const struct pl_event *e)
{
	struct party *p = &g->p[e->who];

	if (p->from == p->end)
		p->from = e->rec, p->blocked = false;
	p->end = e->rec + 1;
	for (int i = 0; i < g->c->nactors; i++) {
		p->blocked |= in_the_way(g, e->who, i, e->rec);
		for (const struct pl_rec *r = g->p[i].from; r < g->p[i].end; r++)
			g->p[i].blocked |= in_the_way(g, i, e->who, r);
	}
}

/* What an error leaves behind is known of those that say why nothing was done. */
static bool does_nothing(const struct pl_rec *r)
{
	return refused(r) || r->err == EINTR || r->err == EDEADLK;
}

static void end(struct ranges *g, const struct pl_event *e)
{
	struct party *p = &g->p[e->who];
	const struct pl_rec *r = e->rec;

	p->last = r;
	p->from = r + 1;
	if (p->from >= p->end)
		p->from = p->end = NULL;
	if (e->role != PL_ACQUIRE && e->role != PL_RELEASE)
		return;
	if (r->state == PL_OK)
		pl_held_after(&p->held, &g->k, r, (enum pl_role)e->role);
	else
		g->muddled |= !does_nothing(r) || e->role == PL_RELEASE;
	if (e->role == PL_ACQUIRE && r->state == PL_OK)
		check_overlap(g, e->who, r);
	else if (e->role == PL_ACQUIRE)
		check_refusal(g, e->who, r);
}

static void read_event(struct ranges *g, const struct pl_event *e)
{
	struct party *p = &g->p[e->who];

	if (e->kind == PL_EV_BEGIN)
		begin(g, e);
	else if (e->kind == PL_EV_END)
		end(g, e);
	else if (e->kind == PL_EV_KILLED)
		p->killed = true;
	else
		*p = (struct party){ .killed = true };
}

void pl_check_ranges(struct pl_case *c)
{
	struct ranges g = { .c = c, .p = calloc((size_t)c->nactors + 1, sizeof *g.p) };
	struct pl_merge *m = g.p ? pl_merge_new(c, true) : NULL;
	bool known = pl_cells_make(&g.k, c);
	struct pl_event e;

	for (int i = 0; i < c->nactors; i++)
		g.ndead += c->actor[i].dead;
	c->nomem |= !m;
	while (m && pl_merge_next(m, &e))
		if (known && !g.muddled)
			read_event(&g, &e);
	if (!known)
		pl_unknown(
			c, "CELLS", "the ranges part the bytes into more pieces than are followed");
	if (g.muddled)
		pl_unknown(c, "MUDDLED", "a call failed in a way that leaves open what is held");
	pl_merge_free(m);
	free(g.p);
}
