/* SPDX-License-Identifier: MIT
 *
 * What may be left out of a round, and making the part that is left. reduce.h says why that is right.
 *
 * A unit is left out as a whole. A cut leaves out what is over by some moment. Neither judges anything.
 */
#ifndef PLUMBLINE_WITNESS_LEAVE_H
#define PLUMBLINE_WITNESS_LEAVE_H

#include "../check/internal.h"
#include "reduce.h"

/* In the place of a record's unit. */
enum {
	PL_STAYS = UINT32_MAX,
	PL_GOES = UINT32_MAX - 1,
	PL_READ = UINT32_MAX - 2, /* of a stream: stays as far as its pieces do */
};

struct pl_cut {
	int64_t level; /* of a counter: the number then; -1: it cannot be cut here */
};

struct pl_leave {
	const struct pl_log *logs;
	int n;
	const struct pl_hist_head *head;
	const struct pl_log *control;
	const struct pl_verdict *v;
	const struct pl_rec
		*anchor; /* the first operation that the verdict points at; NULL: none */
	uint32_t *first; /* by log: reference of its first record */
	uint32_t nrecs;
	uint32_t *unit;	  /* by record */
	uint32_t *gone;	  /* by record: with this cut, and every later one, it is left out */
	uint32_t *parent; /* by unit: it goes when that one does; PL_NEVER */
	uint8_t *stays;	  /* by unit: it cannot be left out */
	uint32_t nunits;
	struct pl_cut *cut; /* the first one leaves nothing out */
	uint32_t ncuts;
	int64_t until;	  /* what began later goes, and what a drain found at last */
	bool anchored;	  /* only a finding about the anchor counts */
	bool chains;	  /* a part may hang on one unit */
	uint8_t *is_left; /* by unit, of the choice at hand; */
	uint32_t *way;	  /* and the way up to what that hangs on */
	/* the units of values: an open table */
	uint64_t *key;
	uint32_t *of, mask;
};

struct pl_choice {
	uint8_t *keep; /* by unit */
	uint32_t cut;
	uint32_t root; /* only what hangs on this unit; PL_NEVER: all */
};

/* 0, -ENOMEM, or -ENOENT: these logs make no round. */
int pl_leave_new(struct pl_leave *l, const struct pl_log *logs, int n, const struct pl_verdict *v);
void pl_leave_free(struct pl_leave *l);

/* Room for any part of the round; and the part that a choice leaves. False: this choice is not allowed. */
int pl_leave_room(const struct pl_leave *l, struct pl_part_of *ret_part);
bool pl_leave_part(const struct pl_leave *l, const struct pl_choice *c, struct pl_part_of *part);

/* Whether what is said of a part is the finding that was looked for. */
bool pl_leave_same(const struct pl_leave *l, const struct pl_verdict *v);

/* For the models' files. */
uint32_t pl_leave_unit(struct pl_leave *l);		     /* a new unit */
uint32_t pl_leave_value(struct pl_leave *l, uint64_t token); /* the unit of a value */
bool pl_leave_rule(
	const struct pl_leave *l, const char *const *rules); /* is it one of these? NULL ends */

static inline bool pl_is_op(const struct pl_rec *r)
{
	return r->state >= PL_INVOKED && r->state <= PL_FAIL;
}

/* When it was certainly over. */
static inline int64_t pl_over(const struct pl_rec *r)
{
	return r->state == PL_INVOKED ? INT64_MAX : r->t_return;
}

typedef void pl_leave_model(struct pl_leave *l);
pl_leave_model pl_leave_values, pl_leave_stream, pl_leave_lock, pl_leave_register, pl_leave_counter,
	pl_leave_signal, pl_leave_vector;

#endif
