/* SPDX-License-Identifier: MIT
 *
 * Values: what was put and what was taken, matched by token, and the rules that every queue shares.
 *
 * A value's put took effect between the ranks e_inv and e_ret, its take between d_inv and d_ret;
 * both are tightened by each other (nothing is taken before it is put). It was certainly inside
 * from e_ret to d_inv.
 */
#ifndef PLUMBLINE_CHECK_VALUES_H
#define PLUMBLINE_CHECK_VALUES_H

#include "internal.h"
#include "tokens.h"

struct pl_value {
	uint64_t token;
	uint32_t e_inv, e_ret, d_inv, d_ret; /* PL_NEVER: did not happen */
	uint32_t put, take;		     /* references; take is PL_NEVER when not taken */
	uint32_t prio;			     /* see pl_prio. FIFO: not looked at */
	uint32_t len : 30;
	uint32_t failed : 1;  /* its put returned an error: it must never be taken */
	uint32_t pending : 1; /* its put never returned: it may never have been put */
};

struct pl_empty {
	uint32_t inv, ret, ref;
};

struct pl_values {
	struct pl_value *v; /* in order of e_inv */
	uint32_t n;
	uint32_t *by_ret; /* indices in order of e_ret; only values that were certainly put */
	uint32_t nput, ntaken;
	struct pl_empty *empty; /* results that say "nothing inside", in order of their end */
	uint32_t nempty;
	struct pl_empty *full; /* results that say "no room" */
	uint32_t nfull;
	uint32_t *maybe; /* ranks at which takes with unknown result began; ascending */
	uint32_t nmaybe;
	uint32_t nearly;	 /* values received before they were sent: not lost, but worse */
	uint32_t maxlen;	 /* longest put */
	uint32_t nanon;		 /* payloads too short to be told apart: they may be anywhere */
	bool tags;		 /* takes say which priority they got */
	bool lowest;		 /* the lowest tag goes first */
	bool selects;		 /* a take may pass over what it does not want */
	bool unsure;		 /* some put never returned */
	bool known;		 /* what was not seen taken may be anywhere: it proves nothing */
	const char *order;	 /* name of the order rule: VORD, or ORDER */
	struct pl_tokens tokens; /* index + 1 */
	uint32_t *last;		 /* by actor: the value it put last */
	struct pl_case *c;
};

/* Reads the whole round and files what needs no more than that. 0, or -1 when memory is refused or
 * the records are no history. */
int pl_values_read(struct pl_values *q, struct pl_case *c);
void pl_values_free(struct pl_values *q);

/* What pl_values_read is made of, for streams: tables for a round, and noting that a put is certain
 * from this rank on. */
int pl_values_alloc(struct pl_values *q, struct pl_case *c);
void pl_values_settle(struct pl_values *q, struct pl_value *v, uint32_t rank);
void pl_values_finish(struct pl_values *q);

/* What goes first has the higher priority, whatever its tag. */
static inline uint32_t pl_prio(const struct pl_values *q, uint64_t tag)
{
	uint32_t t = tag < UINT32_MAX ? (uint32_t)tag : UINT32_MAX;

	return q->lowest ? UINT32_MAX - t : t;
}

static inline uint32_t pl_tag(const struct pl_values *q, uint32_t prio)
{
	return q->lowest ? UINT32_MAX - prio : prio;
}

static inline const char *pl_say_prio(const struct pl_values *q)
{
	return q->lowest ? "type" : "priority";
}

static inline bool pl_value_live(const struct pl_value *v)
{
	return !v->failed && (!v->pending || v->take != PL_NEVER);
}

static inline bool pl_value_taken(const struct pl_value *v)
{
	return v->take != PL_NEVER;
}

/* order.c */

/* Order inside one queue: `by_inv` and `by_ret` list the same values by e_inv (NULL: all) and by
 * e_ret. With `all`, a value never taken counts as taken after everything. */
void pl_order_check(struct pl_values *q, const uint32_t *by_inv, uint32_t n, const uint32_t *by_ret,
	uint32_t nret, bool all);

/* Files that a was put before b and taken after it. */
void pl_order_found(struct pl_values *q, const struct pl_value *a, const struct pl_value *b);

/* Values never received: each needs a take of unknown result that began before the value had to be
 * gone. */
void pl_lost_check(struct pl_values *q);

/* Sorts indices of values by e_ret; tmp has room for n. */
void pl_sort_by_ret(const struct pl_value *v, uint32_t *index, uint32_t n, uint32_t *tmp);

/* room.c */

/* "Empty" results while something was certainly inside. With takes of unknown result: only what
 * these cannot explain. Needs by_ret in order. */
void pl_empty_check(struct pl_values *q, const char *rule);

/* Slack of the claim that [inv, ret] is covered by values certainly inside for which `in` holds (NULL: for any). Gives up
 * to `max` of their indices. */
typedef bool pl_value_in(const struct pl_value *v, const void *arg);
int64_t pl_cover_slack(struct pl_values *q, uint32_t inv, uint32_t ret, pl_value_in *in,
	const void *arg, uint32_t *chain, int max, int *ret_n);

/* capacity.c */

/* Capacity: more inside than fits, "full" with room. With `empty_has_room` an object whose capacity is not known has
 * some when it is empty. */
void pl_capacity_check(struct pl_values *q, bool empty_has_room);

#endif
