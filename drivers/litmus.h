/* SPDX-License-Identifier: MIT
 *
 * Litmus: two processes run down the same rows of memory at once, and each row shows in which order
 * their accesses took place. What a turn stores is the turn's number, so nothing is ever cleared.
 *
 *   0 SB  both store, then load the other's word, sequentially consistent: not both find the old
 *   1 MP  one stores data, then a flag with release; the other acquires the flag, then loads the
 *         data: not the new flag and the old data
 *   2 LB  both acquire a word, then store the other's with release: not both find the new
 *   3     SB with relaxed accesses: anything may be found
 *
 * A row is four words: x, y, and what was found of each.
 */
#ifndef PLUMBLINE_LITMUS_H
#define PLUMBLINE_LITMUS_H

#include "word.h"

#include <sched.h>
#include <stdbool.h>

enum litmus_shape { LITMUS_SB, LITMUS_MP, LITMUS_LB, LITMUS_RELAXED };
enum { LITMUS_SPINS = 1000, LITMUS_YIELDS = 4000000 };

struct litmus_row {
	_Atomic uint64_t x, y;
	uint64_t of_x, of_y;
};

struct litmus {
	_Atomic uint64_t arrived; /* two a turn */
	uint64_t pad[7];
	struct litmus_row row[];
};

static inline void litmus_step(
	struct litmus_row *w, enum litmus_shape shape, int side, uint64_t turn)
{
	_Atomic uint64_t *own = side ? &w->y : &w->x, *other = side ? &w->x : &w->y;
	uint64_t *found = side ? &w->of_x : &w->of_y;

	switch (shape) {
	case LITMUS_SB:
		atomic_store(own, turn);
		*found = atomic_load(other);
		break;
	case LITMUS_MP:
		if (side == 0) {
			atomic_store_explicit(&w->x, turn, memory_order_relaxed);
			atomic_store_explicit(&w->y, turn, memory_order_release);
		} else {
			w->of_y = atomic_load_explicit(&w->y, memory_order_acquire);
			w->of_x = atomic_load_explicit(&w->x, memory_order_relaxed);
		}
		break;
	case LITMUS_LB:
		*found = atomic_load_explicit(other, memory_order_acquire);
		atomic_store_explicit(own, turn, memory_order_release);
		break;
	case LITMUS_RELAXED:
		atomic_store_explicit(own, turn, memory_order_relaxed);
		*found = atomic_load_explicit(other, memory_order_relaxed);
		break;
	}
}

static inline struct litmus *litmus_of(struct pl_obj *o, int64_t rows)
{
	errno = o->local && sizeof(struct litmus) + (size_t)rows * sizeof(struct litmus_row) <=
					o->local_len
			? 0
			: EFAULT;
	return errno ? NULL : o->local;
}

/* One side of a turn; returns when all rows are done. ETIMEDOUT: the other side did not come. */
static inline long litmus_run(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct litmus *l = litmus_of(o, a->v[2]);
	uint64_t turn;

	if (!l)
		return -1;
	turn = atomic_fetch_add(&l->arrived, 1) / 2 + 1;
	for (int64_t i = 0; atomic_load(&l->arrived) < 2 * turn; i++) {
		if (i > LITMUS_YIELDS)
			return pl_ret(ETIMEDOUT);
		if (i > LITMUS_SPINS)
			(void)sched_yield();
	}
	for (int64_t i = 0; i < a->v[2]; i++)
		litmus_step(&l->row[i], (enum litmus_shape)a->v[0], (int)a->v[1], turn);
	r->out[0] = (int64_t)turn;
	return 0;
}

/* After a turn: how many rows found the old or the new value of x and of y. */
static inline long litmus_count(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct litmus *l = litmus_of(o, a->v[1]);

	if (!l)
		return -1;
	for (int64_t i = 0; i < a->v[1]; i++) {
		bool x = l->row[i].of_x == (uint64_t)a->v[0],
		     y = l->row[i].of_y == (uint64_t)a->v[0];

		r->out[2 * x + y]++;
	}
	return 0;
}

#define LITMUS_OPS                                                                                 \
	{ "litmus", litmus_run, PL_NONE, PL_USER,                                                  \
		{ { "shape", 0, 3 }, { "side", 0, 1 }, { "rows", 0, 1 << 20 } }, { "turn" } },     \
	{                                                                                          \
		"litmus_count", litmus_count, PL_NONE, PL_USER,                                    \
			{ { "turn", 0, INT64_MAX }, { "rows", 0, 1 << 20 } },                      \
		{                                                                                  \
			"old_old", "old_new", "new_old", "new_new"                                 \
		}                                                                                  \
	}

#endif
