/* SPDX-License-Identifier: MIT
 *
 * A section of a lock on ranges of bytes. Between its acquire and the release of all, parts are given up and more is
 * tried for, so that ranges split, merge and change their kind while others are held. Nobody waits there: who waits
 * has nothing that another could wait for, and no ring can close.
 */
#include "unit.h"

#include "../hist/rng.h"

enum { STEPS = 2 };

static const uint64_t APART = 0x72616e676573; /* of the draws for units */

static void draw_all(const struct pl_op *op, uint64_t key, int64_t *v)
{
	for (int i = 0; i < PL_ARGS_MAX && op->arg[i].name; i++)
		v[i] = pl_rand_range(key, (uint64_t)i, op->arg[i].lo, op->arg[i].hi);
}

/* One of those that try; NULL: this driver has none. */
static const struct pl_op *any_try(const struct pl_worker *w, uint64_t key)
{
	const struct pl_op *op, *found = NULL;
	int64_t n = 0;

	for (op = w->e->ops; op->name; op++) {
		if (op->role != PL_ACQUIRE || op->how & (PL_BLOCKS | PL_TIMED) || !op->weight ||
			!pl_fits(op, w->obj))
			continue;
		n++;
		if (pl_rand_range(key, (uint64_t)n, 1, n) == 1)
			found = op;
	}
	return found;
}

void pl_unit_ranges(struct pl_worker *w, const struct pl_op *release)
{
	uint64_t key = pl_rand(w->key ^ APART, w->n);
	int64_t steps = pl_rand_range(key, 0, 0, STEPS);

	for (int64_t i = 1; i <= steps; i++) {
		uint64_t mine = pl_rand(key, (uint64_t)i);
		const struct pl_op *op = mine & 1 ? any_try(w, mine) : release;
		int64_t v[PL_ARGS_MAX + 1] = { 0 };

		if (!op)
			continue;
		draw_all(op, mine, v);
		(void)pl_unit_simple(w, op, v);
	}
}
