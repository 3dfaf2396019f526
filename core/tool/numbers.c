/* SPDX-License-Identifier: MIT
 *
 * Small numbers for the tokens of a round: other checkers want :value 5, and some keep numbers as doubles.
 */
#include "numbers.h"

#include <errno.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t *collect(const struct pl_log *l, bool stored, uint64_t *at)
{
	for (uint64_t i = 0; i < l->n; i++) {
		const struct pl_rec *r = &l->rec[i];
		enum pl_role role = words_role(l, r);

		bool found = !stored && r->state == PL_OK;

		if (role == PL_PUT || role == PL_UPDATE ||
			(found && (role == PL_TAKE || role == PL_OBSERVE)))
			*at++ = r->token;
		if (found && role == PL_UPDATE)
			*at++ = r->aux;
		if (r->state == PL_MORE && ((const struct pl_more *)r)->kind == PL_EXTENT &&
			!stored)
			*at++ = ((const struct pl_more *)r)->token;
	}
	return at;
}

int numbers_of(const struct round *r, bool stored, struct numbers *ret)
{
	uint64_t n = 1, kept = 0, *at;

	for (int i = 0; i < r->n; i++)
		n += 2 * r->logs[i].n;
	*ret = (struct numbers){ .token = calloc(n, sizeof *ret->token) };
	if (!ret->token)
		return -ENOMEM;
	at = ret->token;
	for (int i = 0; i < r->n; i++)
		at = collect(&r->logs[i], stored, at);
	n = (uint64_t)(at - ret->token);
	qsort(ret->token, n, sizeof *ret->token, ascending);
	for (uint64_t i = 0; i < n; i++)
		if (ret->token[i] != 0 && (kept == 0 || ret->token[kept - 1] != ret->token[i]))
			ret->token[kept++] = ret->token[i];
	ret->n = kept;
	return 0;
}

int64_t numbers_get(const struct numbers *s, uint64_t token)
{
	const uint64_t *at =
		s->n > 0 ? bsearch(&token, s->token, s->n, sizeof token, ascending) : NULL;

	return at ? at - s->token + 1 : 0;
}

void numbers_free(struct numbers *s)
{
	free(s->token);
}
