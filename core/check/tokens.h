/* SPDX-License-Identifier: MIT
 *
 * What is known of each token: a table from 64-bit numbers to 32-bit ones that are not 0.
 *
 * An actor's tokens are used in the order of their numbers. Sixteen neighbours share a page, a cache line; pages lie in
 * the order in which they were begun, so what is used at one time lies together; a hash table finds the page. A token
 * without neighbours costs a page: 90 bytes.
 */
#ifndef PLUMBLINE_CHECK_TOKENS_H
#define PLUMBLINE_CHECK_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PL_TOKENS_PAGE = 16 };

struct pl_tokens {
	uint32_t *dir; /* by hash: number of the page + 1, or 0. Half of it stays empty */
	unsigned bits; /* log2 of its size */
	uint64_t *of;  /* by page: its tokens, divided by PL_TOKENS_PAGE */
	uint32_t (*page)[PL_TOKENS_PAGE];
	uint32_t n;
};

bool pl_tokens_new(struct pl_tokens *t); /* false: out of memory */
void pl_tokens_free(struct pl_tokens *t);

/* Where a token's number stands, 0 as long as nobody has stored one. Until the next call. NULL: out of memory. */
uint32_t *pl_tokens_place(struct pl_tokens *t, uint64_t token);

/* The place in `dir` of the page, or the empty one where it belongs. */
static inline uint32_t pl_tokens_find(const struct pl_tokens *t, uint64_t of)
{
	uint32_t i = (uint32_t)(of * 0x9e3779b97f4a7c15 >> (64 - t->bits));

	while (t->dir[i] != 0 && t->of[t->dir[i] - 1] != of)
		i = (i + 1) & (((uint32_t)1 << t->bits) - 1);
	return i;
}

/* Its number; 0: it has none. */
static inline uint32_t pl_tokens_at(const struct pl_tokens *t, uint64_t token)
{
	uint32_t at = t->dir[pl_tokens_find(t, token / PL_TOKENS_PAGE)];

	return at ? t->page[at - 1][token % PL_TOKENS_PAGE] : 0;
}

#endif
