/* SPDX-License-Identifier: MIT
 *
 * One register: stores, loads, and updates that do both in one step. Every value is stored at most
 * once, so what a load found names its store, and one value may be older than the round.
 *
 * A store and the loads that found its value are a cluster; an update ties its cluster to the one
 * it found, for nothing comes between. So clusters form chains, and only the order of whole chains
 * is free. A chain must come before another if one of its operations ended before one of the other
 * began: with f the first end in it and s the last begin, A comes before B if f(A) < s(B). If this
 * order has a cycle it has one of two (Gibbons and Korach, 1997, there without updates). Exact but
 * for ends of two actors at one instant; deaths included: a store or update that never returned
 * took effect until its actor was reaped, or not at all.
 *
 *   FRESH   a value was found that nobody stored, or before its store began. A value half of one
 *           store and half of another is such a value
 *   FAILED  a value was found whose store returned an error
 *   LOSTUPDATE  two updates found the same value
 *   LOOP    updates found each other's values in a ring
 *   STALE   a value was found after another had been stored over it: an old value came back, or a
 *           store was lost
 *
 * Updates alone make one chain, and a gap in it would be a value found twice, or never stored.
 */
#include "internal.h"
#include "slots.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	HITS = 64,     /* findings looked at for one that no clock error explains */
	UNSTORED = 64, /* values found before anybody stored them */
};

/* A value with its store and loads; the first of a chain stands for the chain once that is judged.
 */
struct cluster {
	uint64_t token;
	uint32_t begun;	      /* rank at which its store began; PL_NEVER: nobody stored it */
	uint32_t f, s;	      /* first end, last begin of its operations */
	uint32_t fref, sref;  /* of which operations */
	uint32_t put;	      /* its store */
	uint32_t next;	      /* the cluster whose update found this value; PL_NEVER */
	uint32_t failed : 1;  /* every store of it returned an error */
	uint32_t pending : 1; /* its store never returned */
	uint32_t found : 1;   /* somebody found it */
	uint32_t tied : 1;    /* its update found another's value */
	uint32_t walked : 1;
};

struct registers {
	struct pl_case *c;
	struct cluster *v;
	uint32_t n, unstored, *slot, mask;
	uint32_t
		*left; /* by rank: one more than the first cluster of the chain that begins there */
	uint32_t before; /* the cluster of the value that is older than the round; PL_NEVER */
};

static uint32_t slot_of(const struct registers *q, uint64_t token)
{
	uint32_t i = pl_slot_first(token, q->mask);

	while (q->slot[i] != 0 && q->v[q->slot[i] - 1].token != token)
		i = pl_slot_next(i, q->mask);
	return i;
}

static struct cluster *cluster_at(struct registers *q, uint32_t slot, uint64_t token)
{
	if (q->slot[slot] == 0) {
		q->v[q->n] = (struct cluster){ .token = token,
			.begun = PL_NEVER,
			.f = PL_NEVER,
			.put = PL_NEVER,
			.fref = PL_NEVER,
			.sref = PL_NEVER,
			.next = PL_NEVER };
		q->slot[slot] = ++q->n;
	}
	return &q->v[q->slot[slot] - 1];
}

static struct cluster *cluster_of(struct registers *q, uint64_t token)
{
	return cluster_at(q, slot_of(q, token), token);
}

/* A value that nobody stored in hexadecimal: its halves may be those of others. */
static const char *say_value(const struct registers *q, uint64_t token)
{
	static _Thread_local char text[4][32];
	static _Thread_local unsigned turn;
	uint32_t at = q->slot[slot_of(q, token)];
	char *s = text[turn++ % 4];

	if (at != 0 && q->v[at - 1].put != PL_NEVER)
		return pl_say_token(token);
	snprintf(s, sizeof text[0], "0x%llx", (unsigned long long)token);
	return s;
}

static void began(struct cluster *v, uint32_t rank, uint32_t ref)
{
	if (v->sref == PL_NEVER || rank > v->s)
		v->s = rank, v->sref = ref;
}

static void ended(struct cluster *v, uint32_t rank, uint32_t ref)
{
	if (rank < v->f)
		v->f = rank, v->fref = ref;
}

static void store_begin(struct registers *q, const struct pl_event *e)
{
	struct cluster *v = cluster_of(q, e->rec->token);
	uint32_t ref = pl_ref(q->c, e->who, e->rec);

	if (v->begun != PL_NEVER) {
		if (e->rec->state != PL_FAIL)
			q->c->broken = "two stores carry the same value";
		return;
	}
	v->put = ref;
	v->failed = e->rec->state == PL_FAIL;
	if (v->failed)
		return; /* it may be tried again */
	v->begun = e->rank;
	v->pending = e->rec->state == PL_INVOKED;
	began(v, e->rank, ref);
}

static void judge_early(struct registers *q, const struct cluster *v)
{
	int64_t gap = pl_gap(q->c, v->f, v->begun);

	if (!pl_find(q->c, "FRESH", gap,
		    "actor %d had found %s %s before actor %d began to store it",
		    pl_say_actor(q->c, v->fref), say_value(q, v->token),
		    pl_say_ns(pl_span(q->c, v->f, v->begun)), pl_say_actor(q->c, v->put)))
		return;
	pl_witness(q->c, v->fref);
	pl_witness(q->c, v->put);
}

/* NULL: nobody has stored it yet, and there are more such values than a finding needs. */
static struct cluster *find_value(struct registers *q, uint64_t token)
{
	uint32_t slot = slot_of(q, token);
	bool new = q->slot[slot] == 0;
	struct cluster *v;

	if (new && q->unstored == UNSTORED)
		return NULL;
	q->unstored += new;
	v = cluster_at(q, slot, token);
	v->found = 1;
	return v;
}

/* The update whose cluster `to` is has found what `from` stored. It belongs to its own cluster only. */
static void tie(struct registers *q, struct cluster *from, struct cluster *to)
{
	if (!from)
		return;
	if (from->next == PL_NEVER) {
		from->next = (uint32_t)(to - q->v);
		to->tied = 1;
		return;
	}
	if (!pl_find(q->c, "LOSTUPDATE", -1,
		    "actors %d and %d both found %s and put theirs in its place: "
		    "an update was lost",
		    pl_say_actor(q->c, q->v[from->next].put), pl_say_actor(q->c, to->put),
		    say_value(q, from->token)))
		return;
	if (from->put != PL_NEVER)
		pl_witness(q->c, from->put);
	pl_witness(q->c, q->v[from->next].put);
	pl_witness(q->c, to->put);
}

static void op_end(struct registers *q, const struct pl_event *e)
{
	uint32_t ref = pl_ref(q->c, e->who, e->rec);
	struct cluster *v;

	if (e->rec->state != PL_OK)
		return;
	v = e->role == PL_OBSERVE ? find_value(q, e->rec->token) : cluster_of(q, e->rec->token);
	if (!v)
		return;
	if (e->role == PL_OBSERVE)
		began(v, e->since, ref);
	ended(v, e->rank, ref);
	if (e->role == PL_UPDATE)
		tie(q, find_value(q, e->rec->aux), v);
}

static void read_event(struct registers *q, const struct pl_event *e)
{
	bool stores = e->role == PL_PUT || e->role == PL_UPDATE;

	if (!e->rec || (!stores && e->role != PL_OBSERVE))
		return;
	if (e->kind == PL_EV_BEGIN && stores)
		store_begin(q, e);
	else if (e->kind == PL_EV_END)
		op_end(q, e);
	else if (e->kind == PL_EV_REAPED && stores && e->rec->state == PL_INVOKED)
		ended(cluster_of(q, e->rec->token), e->rank, pl_ref(q->c, e->who, e->rec));
}

static bool live(const struct cluster *v)
{
	return v->begun != PL_NEVER && (!v->pending || v->found);
}

/* What was found but not stored: one value may have been there before. */
static void judge_unstored(struct registers *q)
{
	struct pl_case *c = q->c;

	for (uint32_t i = 0; i < q->n && !pl_settled(c); i++) {
		const struct cluster *v = &q->v[i], *other;
		uint32_t ref = v->fref != PL_NEVER   ? v->fref
			       : v->next != PL_NEVER ? q->v[v->next].put
						     : PL_NEVER;

		if (v->begun != PL_NEVER || !v->found)
			continue;
		if (v->failed) {
			if (pl_find(c, "FAILED", -1,
				    "actor %d found %s although actor %d's %s failed",
				    pl_say_actor(c, ref), say_value(q, v->token),
				    pl_say_actor(c, v->put), pl_say_op(c, v->put)))
				pl_witness(c, v->put), pl_witness(c, ref);
			continue;
		}
		if (q->before == PL_NEVER) {
			q->before = i;
			continue;
		}
		other = &q->v[q->before];
		if (!pl_find(c, "FRESH", -1,
			    "actor %d found %s, which nobody stored, and %s was found too: both "
			    "cannot "
			    "have been there before",
			    pl_say_actor(c, ref), say_value(q, v->token),
			    say_value(q, other->token)))
			continue;
		pl_witness(c, ref);
		pl_witness(c, other->fref != PL_NEVER ? other->fref : q->v[other->next].put);
	}
}

/* `late` began after `proof` had ended, which found or stored a value that comes after the one that `late` found. */
static void stale(struct registers *q, uint32_t late, uint32_t proof, int64_t slack, int64_t by)
{
	struct pl_case *c = q->c;
	int who;
	const struct pl_rec *l = pl_rec_of(c, late, &who), *p = pl_rec_of(c, proof, NULL);
	enum pl_role role = pl_role_of(c->actor[who].head, l);
	const char *value = say_value(q, role == PL_UPDATE ? l->aux : l->token);
	const char *other = say_value(q, p->token);
	bool is;

	if (role == PL_PUT)
		is = pl_find(c, "FRESH", slack,
			"actor %d had found %s, which was put in the place of %s, %s before actor "
			"%d began to store that",
			pl_say_actor(c, proof), other, value, pl_say_ns(by), c->actor[who].id);
	else
		is = pl_find(c, "STALE", slack,
			"actor %d's %s found %s although %s, stored after it, had been there %s "
			"before",
			c->actor[who].id, pl_say_op(c, late), value, other, pl_say_ns(by));
	if (is)
		pl_witness(c, proof), pl_witness(c, late);
}

/* Follows a chain from its first cluster, which collects the first end and the last begin of all. */
static void walk(struct registers *q, struct cluster *head, uint32_t *hits)
{
	struct cluster *v = head;

	head->walked = 1;
	while (v->next != PL_NEVER && !q->v[v->next].walked) {
		v = &q->v[v->next];
		v->walked = 1;
		if (head->sref != PL_NEVER && v->f < head->s && ++*hits < HITS)
			stale(q, head->sref, v->fref, pl_gap(q->c, v->f, head->s),
				pl_span(q->c, v->f, head->s));
		began(head, v->s, v->sref);
		if (v->f < head->f)
			head->f = v->f, head->fref = v->fref;
	}
}

/* Two chains of which each must come before the other: `a` began to be seen first. */
static void judge_pair(struct registers *q, const struct cluster *a, const struct cluster *b)
{
	struct pl_case *c = q->c;
	bool first = q->before != PL_NEVER && a == &q->v[q->before];
	int64_t ab = first ? INT64_MAX : pl_gap(c, a->f, b->s), ba = pl_gap(c, b->f, a->s);
	int64_t slack = ab < ba ? ab : ba;
	int who;
	const struct pl_rec *r = pl_rec_of(c, a->sref, &who);

	if (pl_role_of(c->actor[who].head, r) != PL_PUT)
		stale(q, a->sref, b->fref, slack, pl_span(c, b->f, a->s));
	else
		stale(q, b->sref, a->fref, slack, pl_span(c, a->f, b->s));
}

static void judge_chains(struct registers *q)
{
	const struct cluster *last = q->before == PL_NEVER ? NULL : &q->v[q->before];
	uint32_t hits = 0;

	for (uint32_t r = 0; r < q->c->nranks && hits < HITS && !pl_settled(q->c); r++) {
		const struct cluster *v = q->left[r] ? &q->v[q->left[r] - 1] : NULL;

		if (!v)
			continue;
		if (last && last->sref != PL_NEVER && last->s > v->f) {
			judge_pair(q, last, v);
			hits++;
		}
		if (v->f < v->s && (!last || last->sref == PL_NEVER || v->s > last->s))
			last = v;
	}
}

static void judge(struct registers *q)
{
	uint32_t hits = 0;

	judge_unstored(q);
	for (uint32_t i = 0; i < q->n && hits < HITS && !pl_settled(q->c); i++) {
		struct cluster *v = &q->v[i];
		uint32_t left;

		if (live(v) && v->f < v->begun && ++hits)
			judge_early(q, v);
		if (i != q->before && (!live(v) || v->tied))
			continue;
		walk(q, v, &hits);
		left = v->f < v->s ? v->f : v->s;
		if (i != q->before && left < q->c->nranks)
			q->left[left] = i + 1;
	}
	for (uint32_t i = 0; i < q->n && !pl_settled(q->c); i++) {
		const struct cluster *v = &q->v[i];

		if (!live(v) || v->walked || hits >= HITS ||
			!pl_find(q->c, "LOOP", -1,
				"%s was put in the place of a value that was put, sooner or later, "
				"in "
				"its own place",
				say_value(q, v->token)))
			continue;
		pl_witness(q->c, v->put);
		pl_witness(q->c, q->v[v->next].put);
	}
	judge_chains(q);
}

static bool registers_new(struct registers *q, struct pl_case *c)
{
	size_t stores = UNSTORED + 1, size = 64;

	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			enum pl_role role = pl_role_of(c->actor[i].head, &c->actor[i].rec[k]);

			stores += role == PL_PUT || role == PL_UPDATE;
		}
	while (size < stores * 2)
		size *= 2;
	*q = (struct registers){ .c = c, .mask = (uint32_t)size - 1, .before = PL_NEVER };
	q->v = malloc(stores * sizeof *q->v);
	q->slot = calloc(size, sizeof *q->slot);
	return q->v && q->slot;
}

void pl_check_register(struct pl_case *c)
{
	struct registers q;
	struct pl_merge *m = registers_new(&q, c) ? pl_merge_new(c, true) : NULL;
	struct pl_event e;

	c->nomem |= !m;
	while (m && pl_merge_next(m, &e))
		read_event(&q, &e);
	pl_merge_free(m);
	if (!c->broken && !c->nomem) {
		q.left = calloc((size_t)c->nranks + 1, sizeof *q.left);
		c->nomem |= !q.left;
	}
	if (!c->broken && !c->nomem)
		judge(&q);
	free(q.v);
	free(q.slot);
	free(q.left);
}
