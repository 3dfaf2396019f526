/* SPDX-License-Identifier: MIT
 *
 * The table grows with what is in it: twice as large each time, and its pages stay in order.
 */
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

enum { BITS_LEAST = 8, BITS_MOST = 31 };

bool pl_tokens_new(struct pl_tokens *t)
{
	size_t pages = (size_t)1 << (BITS_LEAST - 1);

	*t = (struct pl_tokens){ .bits = BITS_LEAST };
	t->dir = calloc(2 * pages, sizeof *t->dir);
	t->of = malloc(pages * sizeof *t->of);
	t->page = malloc(pages * sizeof *t->page);
	return t->dir && t->of && t->page;
}

void pl_tokens_free(struct pl_tokens *t)
{
	free(t->dir);
	free(t->of);
	free(t->page);
}

static bool larger(void **array, size_t size)
{
	void *p = realloc(*array, size);

	*array = p ? p : *array;
	return p != NULL;
}

static bool grow(struct pl_tokens *t)
{
	size_t pages = (size_t)1 << t->bits;
	uint32_t *dir = t->bits < BITS_MOST ? calloc(2 * pages, sizeof *dir) : NULL;
	void *of = t->of, *page = t->page;
	bool ok =
		dir && larger(&of, pages * sizeof *t->of) && larger(&page, pages * sizeof *t->page);

	t->of = of, t->page = page;
	if (!ok) {
		free(dir);
		return false;
	}
	free(t->dir);
	t->dir = dir;
	t->bits++;
	for (uint32_t i = 0; i < t->n; i++)
		t->dir[pl_tokens_find(t, t->of[i])] = i + 1;
	return true;
}

static uint32_t *begin_page(struct pl_tokens *t, uint64_t token)
{
	uint64_t of = token / PL_TOKENS_PAGE;

	if (t->n == (uint32_t)1 << (t->bits - 1) && !grow(t))
		return NULL;
	t->of[t->n] = of;
	memset(t->page[t->n], 0, sizeof t->page[0]);
	t->dir[pl_tokens_find(t, of)] = t->n + 1;
	return &t->page[t->n++][token % PL_TOKENS_PAGE];
}

uint32_t *pl_tokens_place(struct pl_tokens *t, uint64_t token)
{
	uint32_t at = t->dir[pl_tokens_find(t, token / PL_TOKENS_PAGE)];

	return at ? &t->page[at - 1][token % PL_TOKENS_PAGE] : begin_page(t, token);
}
