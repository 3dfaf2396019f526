/* SPDX-License-Identifier: MIT
 *
 * Counter-based random numbers: value = f(key, index). Dropping one draw does not shift the others.
 */
#ifndef PLUMBLINE_RNG_H
#define PLUMBLINE_RNG_H

#include <stdint.h>

static inline uint64_t pl_mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint64_t pl_rand(uint64_t key, uint64_t index)
{
	return pl_mix(key ^ pl_mix(index));
}

/* Uniform in [lo, hi]; the bias of a 64-bit multiply is below 2^-32 for the ranges used. */
static inline int64_t pl_rand_range(uint64_t key, uint64_t index, int64_t lo, int64_t hi)
{
	uint64_t span = (uint64_t)hi - (uint64_t)lo + 1;
	__extension__ unsigned __int128 wide = (unsigned __int128)pl_rand(key, index) * span;

	return span == 0 ? (int64_t)pl_rand(key, index) : lo + (int64_t)(uint64_t)(wide >> 64);
}

#endif
