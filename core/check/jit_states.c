/* SPDX-License-Identifier: MIT
 *
 * Interned states of a reference model: equal states have one index.
 */
#include "jit.h"

#include "../hist/rng.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const struct pl_model_state *state, size_t size)
{
	const uint64_t *w = (const uint64_t *)state;
	uint64_t h = size;

	for (size_t i = 0; i < size / sizeof *w; i++)
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15U, h ^= h >> 29;
	return pl_mix(h);
}

static void place(struct pl_states *s, uint32_t index)
{
	const struct pl_model_state *state = pl_states_get(s, index);
	uint32_t i = (uint32_t)hash(state, pl_model_size(state->n)) & s->mask;

	while (s->slot[i] != 0)
		i = (i + 1) & s->mask;
	s->slot[i] = index + 1;
}

static bool grow_index(struct pl_states *s)
{
	uint32_t room = s->room ? 2 * s->room : 64;
	size_t *at = realloc(s->at, room * sizeof *at);
	uint32_t *slot = at ? calloc(2 * (size_t)room, sizeof *slot) : NULL;

	s->at = at ? at : s->at;
	if (!slot)
		return false;
	free(s->slot);
	s->slot = slot;
	s->room = room;
	s->mask = 2 * room - 1;
	for (uint32_t i = 0; i < s->n; i++)
		place(s, i);
	return true;
}

static bool grow_bytes(struct pl_states *s, size_t need)
{
	size_t size = s->size ? s->size : 4096;
	char *bytes;

	while (size - s->used < need)
		size *= 2;
	bytes = size <= PL_JIT_BYTES ? realloc(s->bytes, size) : NULL;
	if (!bytes)
		return false;
	s->bytes = bytes;
	s->size = size;
	return true;
}

uint32_t pl_states_add(struct pl_states *s, const struct pl_model_state *state)
{
	size_t size = pl_model_size(state->n);
	uint32_t i;

	if (s->n == s->room && !grow_index(s))
		return PL_NEVER;
	for (i = (uint32_t)hash(state, size) & s->mask; s->slot[i] != 0; i = (i + 1) & s->mask) {
		const struct pl_model_state *other = pl_states_get(s, s->slot[i] - 1);

		if (other->n == state->n && !memcmp(other, state, size))
			return s->slot[i] - 1;
	}
	if (s->size - s->used < size && !grow_bytes(s, size))
		return PL_NEVER;
	memcpy(s->bytes + s->used, state, size);
	s->at[s->n] = s->used;
	s->used += size;
	s->slot[i] = ++s->n;
	return s->n - 1;
}

void pl_states_clear(struct pl_states *s)
{
	s->n = 0;
	s->used = 0;
	if (s->slot)
		memset(s->slot, 0, ((size_t)s->mask + 1) * sizeof *s->slot);
}

void pl_states_free(struct pl_states *s)
{
	free(s->bytes);
	free(s->at);
	free(s->slot);
	*s = (struct pl_states){ 0 };
}

void pl_states_sweep(struct pl_states *s, uint32_t *mark)
{
	uint32_t n = s->n;

	pl_states_clear(s);
	for (uint32_t i = 0; i < n; i++) {
		const struct pl_model_state *state = pl_states_get(s, i);
		size_t size = pl_model_size(state->n);

		if (!mark[i])
			continue;
		memmove(s->bytes + s->used, state, size);
		s->at[s->n] = s->used;
		s->used += size;
		place(s, s->n);
		mark[i] = s->n++;
	}
}
