/* SPDX-License-Identifier: MIT
 *
 * A set of segments that only shrinks: those not covered yet. A tree of 64-bit words, one bit a
 * segment at its foot: next and previous member in a handful of steps, covering a range in time
 * linear over all calls.
 */
#ifndef PLUMBLINE_CHECK_SEGMENTS_H
#define PLUMBLINE_CHECK_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { PL_SEG_LEVELS = 6, PL_SEG_NONE = UINT32_MAX };

struct pl_segments {
	uint64_t *w[PL_SEG_LEVELS]; /* w[0]: the segments; w[k]: which words of w[k - 1] have any */
	uint32_t words[PL_SEG_LEVELS];
	int levels;
	uint32_t n;
};

static inline bool pl_segments_new(struct pl_segments *s, uint32_t n)
{
	uint64_t total = 0, at = 0, bits = n;
	uint64_t *mem;

	*s = (struct pl_segments){ .n = n };
	do {
		bits = (bits + 63) / 64; /* until one word holds the whole level */
		s->words[s->levels] = (uint32_t)bits + 1;
		total += s->words[s->levels++];
	} while (bits > 1 && s->levels < PL_SEG_LEVELS);
	mem = calloc(total, sizeof *mem);
	if (!mem)
		return false;
	bits = n;
	for (int k = 0; k < s->levels; k++) {
		s->w[k] = mem + at;
		at += s->words[k];
		for (uint64_t i = 0; i < bits / 64; i++)
			s->w[k][i] = UINT64_MAX;
		s->w[k][bits / 64] = bits % 64 ? ((uint64_t)1 << bits % 64) - 1 : 0;
		bits = (bits + 63) / 64;
	}
	return true;
}

static inline void pl_segments_free(struct pl_segments *s)
{
	free(s->w[0]);
}

/* The first uncovered segment at or after i. */
static inline uint32_t pl_segments_next(const struct pl_segments *s, uint32_t i)
{
	uint64_t at = i, w;
	int k = 0;

	if (i >= s->n)
		return PL_SEG_NONE;
	for (;; k++, at = at / 64 + 1) {
		if (k == s->levels || at / 64 >= s->words[k])
			return PL_SEG_NONE;
		w = s->w[k][at / 64] >> at % 64;
		if (w)
			break;
	}
	at += (uint64_t)__builtin_ctzll(w);
	while (k-- > 0)
		at = at * 64 + (uint64_t)__builtin_ctzll(s->w[k][at]);
	return (uint32_t)at;
}

/* The last uncovered segment at or before i. */
static inline uint32_t pl_segments_prev(const struct pl_segments *s, uint32_t i)
{
	uint64_t at = i < s->n ? i : s->n - 1, w;
	int k = 0;

	if (s->n == 0)
		return PL_SEG_NONE;
	for (;; k++, at = at / 64 - 1) {
		if (k == s->levels)
			return PL_SEG_NONE;
		w = s->w[k][at / 64] << (63 - at % 64);
		if (w)
			break;
		if (at < 64)
			return PL_SEG_NONE;
	}
	at -= (uint64_t)__builtin_clzll(w);
	while (k-- > 0)
		at = at * 64 + 63 - (uint64_t)__builtin_clzll(s->w[k][at]);
	return (uint32_t)at;
}

static inline void pl_segments_clear_word(struct pl_segments *s, uint64_t word)
{
	for (int k = 1; k < s->levels; k++, word /= 64) {
		s->w[k][word / 64] &= ~((uint64_t)1 << word % 64);
		if (s->w[k][word / 64])
			break;
	}
}

/* Covers [from, to). */
static inline void pl_segments_cover(struct pl_segments *s, uint32_t from, uint32_t to)
{
	uint32_t i = pl_segments_next(s, from);

	to = to < s->n ? to : s->n;
	while (i < to) {
		uint64_t *w = &s->w[0][i / 64], keep = ((uint64_t)1 << i % 64) - 1;

		if (to / 64 == i / 64)
			keep |= ~(((uint64_t)1 << to % 64) - 1);
		*w &= keep;
		if (!*w)
			pl_segments_clear_word(s, i / 64);
		i = pl_segments_next(s, i / 64 == to / 64 ? to : (i / 64 + 1) * 64);
	}
}

#endif
