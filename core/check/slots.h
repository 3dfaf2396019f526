/* SPDX-License-Identifier: MIT
 *
 * Where a token is looked for in a hash table whose size is a power of two, 64 at least, and which is never full.
 *
 * Sixteen neighbours share a cache line: an actor's tokens are used in the order of their numbers. Where two such groups
 * meet, the later one moves to the next line as a whole, token by token; within one line each would stand in the way of all
 * of the other. Which place of the line a token has differs from line to line, so that tokens of a stride do not meet.
 */
#ifndef PLUMBLINE_CHECK_SLOTS_H
#define PLUMBLINE_CHECK_SLOTS_H

#include "../hist/rng.h"

enum { PL_SLOT_LINE = 16 };

static inline uint32_t pl_slot_first(uint64_t token, uint32_t mask)
{
	uint64_t h = pl_mix(token / PL_SLOT_LINE), place = (token + (h >> 32)) % PL_SLOT_LINE;

	return (uint32_t)(h / PL_SLOT_LINE * PL_SLOT_LINE + place) & mask;
}

/* Goes through all slots before it comes back. */
static inline uint32_t pl_slot_next(uint32_t i, uint32_t mask)
{
	i += PL_SLOT_LINE;
	return i <= mask ? i : (i + 1) % PL_SLOT_LINE;
}

#endif
