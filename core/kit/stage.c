/* SPDX-License-Identifier: MIT
 *
 * The stages of a round, from an actor's side: made ready, begun together with the others, parked.
 */
#include "raw.h"
#include "unit.h"

#include <sys/mman.h>

enum { NEAR_NS = 1000000 };

static void index_args(struct pl_worker *w)
{
	const struct pl_op *op;
	int size, tag, owner, form, start, length;

	for (op = w->e->ops; op->name; op++) {
		(void)pl_arg_of(op, PL_SIZE, &size);
		(void)pl_arg_of(op, PL_TAG, &tag);
		(void)pl_arg_of(op, PL_ACTOR, &owner);
		(void)pl_arg_of(op, PL_FORM, &form);
		(void)pl_arg_of(op, PL_START, &start);
		(void)pl_arg_of(op, PL_LENGTH, &length);
		w->fd_at[op - w->e->ops] = w->obj->fd[pl_end_for(w->e->drv, op)];
		w->size_at[op - w->e->ops] = (int8_t)size;
		w->tag_at[op - w->e->ops] = (int8_t)tag;
		w->owner_at[op - w->e->ops] = (int8_t)owner;
		w->form_at[op - w->e->ops] = (int8_t)form;
		w->start_at[op - w->e->ops] = (int8_t)start;
		w->length_at[op - w->e->ops] = (int8_t)length;
	}
}

/* How many records this round will take: as many as the largest one so far. */
static uint32_t expected(const struct pl_worker *w)
{
	uint32_t first = w->part->units * 2, most = w->e->slot->most;

	most = most > first ? most : first;
	return most < PL_RECS_MAX ? most : PL_RECS_MAX;
}

static void tell_ends(const struct pl_worker *w)
{
	uint32_t ends = PL_TOLD;

	for (int i = 0; i < PL_FDS_MAX; i++)
		ends |= w->obj->fd[i] >= 0 ? 1U << i : 0;
	atomic_store(&w->e->slot->ends, ends);
}

/* Page faults belong before the start, not into an operation. What was touched stays until control gives it back. */
static void touch(const struct pl_worker *w)
{
	struct pl_env *e = w->e;
	uint32_t records = expected(w);

	if (e->touched >= records && e->lease == e->shared->lease)
		return;
	(void)madvise(w->head, PL_HIST_HEAD + (size_t)records * PL_REC,
		23 /* MADV_POPULATE_WRITE, since Linux 5.14 */);
	e->touched = records, e->lease = e->shared->lease;
}

static void prepare(struct pl_worker *w, struct pl_env *e, enum pl_stage stage)
{
	struct pl_shared *s = e->shared;

	*w = (struct pl_worker){ .e = e,
		.part = &s->part[e->id],
		.head = pl_hist(s, e->id),
		.stream = s->model == PL_MODEL_STREAM,
		.counted = s->model == PL_MODEL_SUM || s->model == PL_MODEL_COUNTER,
		.lossy = s->caps & PL_LOSSY && !s->half,
		.key = pl_unit_key(s, e->id),
		.before = pl_sched_before((enum pl_sched)s->sched) };
	w->obj = &e->obj[w->part->handle];
	w->rec = pl_recs(w->head);
	w->n = (uint32_t)__atomic_load_n(&w->head->head, __ATOMIC_RELAXED);
	index_args(w);
	w->varies = pl_plan_varies(w->part, e->ops);
	if (stage == STAGE_WORK) {
		tell_ends(w);
		touch(w);
	}
}

/* Asleep while it is far, awake when it is near: all begin within microseconds. */
static void wait_for_start(struct pl_worker *w)
{
	struct pl_shared *s = w->e->shared;
	int64_t left;

	while ((left = s->start_at - pl_now()) > 0 && !pl_stopped(w)) {
		if (left > 2 * NEAR_NS)
			(void)raw_futex_until(&s->stop, 0, s->start_at - NEAR_NS);
		else
			(void)syscall(SYS_sched_yield);
	}
}

static void park(struct pl_env *e, uint32_t records)
{
	uint64_t ring = 1;

	if (records > e->slot->most)
		e->slot->most = records;
	atomic_store(&e->slot->phase, PHASE_PARKED);
	if (!atomic_exchange(&e->slot->parked, 1) && atomic_fetch_sub(&e->shared->running, 1) == 1)
		(void)raw_write(e->bell, &ring, sizeof ring);
}

/* Number and stage come in one word, so that a stage is done once. A number left out was the end of
 * the run, seen too late: there are messages to be read before the next one. */
void pl_actor_stages(struct pl_env *e, uint32_t seen)
{
	struct pl_worker w;

	for (;;) {
		enum pl_stage stage;
		uint32_t word;

		atomic_store(&e->slot->phase, PHASE_PARKED);
		while (atomic_load(&e->slot->go) == seen)
			(void)raw_futex_wait(&e->slot->go, seen);
		word = atomic_load(&e->slot->go);
		stage = word & STAGE_MASK;
		if (stage == STAGE_OVER ||
			(word | STAGE_MASK) != (seen | STAGE_MASK) + STAGE_MASK + 1)
			return;
		seen = word;
		atomic_store(&e->slot->phase, PHASE_ROUND);
		prepare(&w, e, stage);
		if (stage == STAGE_WORK) {
			wait_for_start(&w);
			w.last = pl_now();
			pl_work(&w);
		} else {
			w.last = pl_now();
			pl_drain(&w);
		}
		park(e, w.n);
	}
}
