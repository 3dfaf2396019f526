/* SPDX-License-Identifier: MIT
 *
 * Random histories of queues and locks, right ones and spoilt ones: with deaths in mid-operation, equal stamps, empty and
 * full results, capacities, several priorities, nested locks.
 */
#ifndef PLUMBLINE_CHECK_WORLD_H
#define PLUMBLINE_CHECK_WORLD_H

#include "check_dice.h"

enum { WORLD_OPS = 60 };

/* A right history of at most WORLD_OPS operations, beside those of a drain. */
struct round *world_make(
	struct dice *d, enum pl_model model, int ops, bool deaths, bool *ret_drained);

void world_spoil(struct round *b, struct dice *d);

#endif
