/* SPDX-License-Identifier: MIT
 *
 * plumb-shm as somebody writes it who has a sequence lock in mind and forgets its second half: a store
 * is made in two steps, and a load does not look whether it fell between them.
 */
#define word_store whole_word_store
#include "word.h"
#undef word_store

#include <sched.h>

static long word_store(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	volatile uint32_t *half = word_at(o, a->v[0]);

	if (!half)
		return -1;
	half[0] = (uint32_t)a->token;
	(void)sched_yield();
	half[1] = (uint32_t)(a->token >> 32);
	return whole_word_store(o, a, r);
}

#include "../../../drivers/shm.c"
