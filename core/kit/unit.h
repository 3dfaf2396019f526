/* SPDX-License-Identifier: MIT
 *
 * What an actor carries through one stage of a round. unit.c performs, stage.c prepares and parks.
 */
#ifndef PLUMBLINE_UNIT_H
#define PLUMBLINE_UNIT_H

#include "kit.h"

#include "../sched/sched.h"

struct pl_worker {
	struct pl_env *e;
	const struct pl_part *part;
	struct pl_obj *obj;
	struct pl_hist_head *head;
	struct pl_rec *rec;
	uint32_t n;   /* records written */
	int64_t last; /* stamp of the last return */
	bool stream, counted, lossy;
	uint64_t key;
	pl_sched_fn *before;
	int32_t err;	/* of the last operation */
	uint64_t taken; /* by the last take: its tag */
	bool varies;	/* units differ in operation or arguments */
	struct pl_args args;
	/* by operation: its descriptor; and which argument is what, -1 none */
	int fd_at[PL_OPS_MAX];
	int8_t size_at[PL_OPS_MAX], tag_at[PL_OPS_MAX], owner_at[PL_OPS_MAX], form_at[PL_OPS_MAX];
	int8_t start_at[PL_OPS_MAX], length_at[PL_OPS_MAX];
	uint32_t form; /* of the operation that is next */
};

/* An interrupted wait is not begun again. */
static inline bool pl_given_up(const struct pl_worker *w)
{
	return atomic_load_explicit(&w->e->shared->kick, memory_order_relaxed);
}

/* No further unit is begun. */
static inline bool pl_stopped(const struct pl_worker *w)
{
	return atomic_load_explicit(&w->e->shared->stop, memory_order_relaxed) || pl_given_up(w);
}

/* One operation that moves nothing, with these arguments, and its record. What it returned. */
long pl_unit_simple(struct pl_worker *w, const struct pl_op *op, const int64_t *v);

/* ranges.c: what is done between an acquire of bytes and the release of all. */
void pl_unit_ranges(struct pl_worker *w, const struct pl_op *release);

void pl_work(struct pl_worker *w);
void pl_drain(struct pl_worker *w);

#endif
