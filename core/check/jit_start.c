/* SPDX-License-Identifier: MIT
 *
 * What there is at the start of a round, as far as what came later tells; and what is in whose hands at its end.
 */
#include "jit.h"

#include <stdlib.h>

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_stored(const uint64_t *stored, size_t n, uint64_t value)
{
	return bsearch(&value, stored, n, sizeof *stored, by_number);
}

/* A register's value of before the round is one that was found and that nobody stored; if there is none, nobody
 * found it, and any other than theirs will do. */
static uint64_t older_value(const struct pl_case *c, const uint64_t *stored, size_t n)
{
	uint64_t value = 0;

	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			const struct pl_rec *r = &c->actor[i].rec[k];
			enum pl_role role = pl_role_of(c->actor[i].head, r);
			uint64_t found = role == PL_UPDATE ? r->aux : r->token;

			if (r->state == PL_OK && (role == PL_UPDATE || role == PL_OBSERVE) &&
				!is_stored(stored, n, found))
				return found;
		}
	while (is_stored(stored, n, value))
		value++;
	return value;
}

bool pl_jit_before(const struct pl_case *c, uint64_t *ret_value)
{
	uint64_t *stored = malloc(((size_t)c->nrecs + 1) * sizeof *stored);
	size_t n = 0;

	if (!stored)
		return false;
	for (int i = 0; i < c->nactors; i++)
		for (uint64_t k = 0; k < c->actor[i].n; k++) {
			enum pl_role role = pl_role_of(c->actor[i].head, &c->actor[i].rec[k]);

			if (role == PL_PUT || role == PL_UPDATE)
				stored[n++] = c->actor[i].rec[k].token;
		}
	qsort(stored, n, sizeof *stored, by_number);
	*ret_value = older_value(c, stored, n);
	free(stored);
	return true;
}

bool pl_jit_held(const struct pl_actor *a, uint64_t *ret_held)
{
	static const uint64_t too_much = 0x8000800080008000;

	*ret_held = 0;
	for (uint64_t k = 0; k < a->n; k++) {
		const struct pl_rec *r = &a->rec[k];
		enum pl_role role = pl_role_of(a->head, r);
		uint64_t moved = pl_model_moved(r->sum >> 1);

		if (role == PL_ACQUIRE && r->state == PL_OK)
			*ret_held += moved;
		if (*ret_held & too_much)
			return false;
		if (role != PL_RELEASE || r->state == PL_FAIL)
			continue;
		if (!pl_model_covers(*ret_held, moved))
			return false;
		*ret_held -= moved;
	}
	return true;
}
