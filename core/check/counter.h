/* SPDX-License-Identifier: MIT
 *
 * What the parts of the counter checker share: a round as operations on one number, in time order.
 */
#ifndef PLUMBLINE_CHECK_COUNTER_H
#define PLUMBLINE_CHECK_COUNTER_H

#include "internal.h"

/* What an operation does to the number, or says of it. From PL_LESS on they change nothing. */
enum pl_count_kind {
	PL_ADD,	 /* adds k */
	PL_SUB,	 /* removes k: so many must be there */
	PL_ALL,	 /* removes all, k of them; of unknown result: as many as there are, if any */
	PL_LESS, /* there were less than k */
	PL_IS,	 /* there were k */
	PL_FULL, /* there was no room for k more */
};

struct pl_count_op {
	int64_t k;
	uint32_t inv, ret; /* ranks; PL_NEVER: it may take effect whenever later */
	uint32_t ref;
	uint32_t
		at; /* while it is under way: its place in pl_count_round.out, or its slot; PL_NEVER
		      * when it has taken effect */
	uint8_t kind;
	uint8_t maybe; /* its actor died in it: it may have had no effect */
	uint8_t done;
};

struct pl_count_finding {
	const char *rule; /* NULL: none */
	uint32_t op;
	int64_t least, most; /* what could be there, when that was too much or too little */
};

struct pl_count_round {
	struct pl_case *c;
	struct pl_count_op *op;
	uint32_t n;
	uint32_t *ev; /* by rank: operation * 2, 1 more at its end; PL_NEVER: nothing of the counter
		       */
	uint32_t nev;
	uint32_t *out;	/* operations under way; room for all */
	int64_t level;	/* the number at the start, */
	bool known;	/* if that is known */
	int64_t cap;	/* INT64_MAX: not known */
	int64_t drain;	/* when the drain began; INT64_MAX: there was none */
	bool taken_all; /* PL_MODEL_SUM */
	struct pl_count_finding f;
};

static inline bool pl_count_fits(
	const struct pl_count_round *t, const struct pl_count_op *o, int64_t v)
{
	switch (o->kind) {
	case PL_ADD:
		return v <= t->cap - o->k;
	case PL_SUB:
		return v >= o->k;
	case PL_ALL:
		return o->maybe ? v > 0 : v == o->k;
	case PL_LESS:
		return v < o->k;
	case PL_IS:
		return v == o->k;
	default:
		return v > t->cap - o->k;
	}
}

static inline int64_t pl_count_after(const struct pl_count_op *o, int64_t v)
{
	return o->kind == PL_ADD   ? v + o->k
	       : o->kind == PL_SUB ? v - o->k
	       : o->kind == PL_ALL ? 0
				   : v;
}

/* counter_guess.c: whether one order, made without looking back, explains all results. */
bool pl_count_guess(struct pl_count_round *t);

/* counter_bounds.c: whether the number must have been below 0, above the capacity, or another than
 * somebody saw. */
bool pl_count_bounds(struct pl_count_round *t);

/* counter_search.c: whether no order at all explains the results. False also when that is too much
 * to find out. */
bool pl_count_search(struct pl_count_round *t);

/* A search that drops what is too much, so that it can find an order but not that there is none. It goes through the
 * events [from, to), begins with the number *v and with n operations of t->out under way, and leaves what there is at
 * their end. False: no order was found. */
struct pl_count_narrow;
struct pl_count_narrow *pl_count_narrow_new(struct pl_count_round *t);
bool pl_count_narrow(
	struct pl_count_narrow *s, uint32_t from, uint32_t to, int64_t *v, uint32_t *n);
void pl_count_narrow_free(struct pl_count_narrow *s);

#endif
