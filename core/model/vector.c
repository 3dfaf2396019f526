/* SPDX-License-Identifier: MIT
 *
 * Several places with so many in each: who takes takes of all of them at once, or nothing; it is held until it is given
 * back, or, where deaths do so, until its holder dies.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

static unsigned in_place(uint64_t places, int i)
{
	return (unsigned)(places >> (16 * i)) & 0xffff;
}

uint64_t pl_model_moved(int64_t form)
{
	unsigned short v[PL_PLACES];

	for (int i = 0; i < PL_PLACES; i++)
		v[i] = (unsigned short)pl_of_place(form, i);
	return pl_places(v);
}

bool pl_model_covers(uint64_t places, uint64_t need)
{
	for (int i = 0; i < PL_PLACES; i++)
		if (in_place(places, i) < in_place(need, i))
			return false;
	return true;
}

int pl_model_say_places(char *buf, size_t size, uint64_t places)
{
	return snprintf(buf, size, "(%u %u %u %u)", in_place(places, 0), in_place(places, 1),
		in_place(places, 2), in_place(places, 3));
}

static void init(struct pl_model_state *s, const struct pl_model_config *c)
{
	memset(s, 0, sizeof *s);
	s->config = *c;
	s->count = c->before;
}

/* Holders stand in order, so that equal states are equal bytes. */
static uint64_t holder(const struct pl_model_state *s, int actor)
{
	uint64_t i = 0;

	while (i < s->n && s->v[i].value < (uint64_t)actor)
		i++;
	return i;
}

static bool holds(const struct pl_model_state *s, uint64_t i, int actor)
{
	return i < s->n && s->v[i].value == (uint64_t)actor;
}

static void hold(struct pl_model_state *s, int actor, uint64_t moved)
{
	uint64_t i = holder(s, actor);

	if (moved == 0)
		return;
	if (!holds(s, i, actor)) {
		memmove(&s->v[i + 1], &s->v[i], (s->n++ - i) * sizeof *s->v);
		s->v[i] = (struct pl_model_value){ .value = (uint64_t)actor };
	}
	s->v[i].tag += moved;
}

static void forget(struct pl_model_state *s, uint64_t i)
{
	memmove(&s->v[i], &s->v[i + 1], (--s->n - i) * sizeof *s->v);
}

static bool acquire(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t moved = pl_model_moved(op->form);
	bool can = pl_model_covers(s->count, moved);

	if (op->result == PL_RESULT_FAIL)
		return !can || !pl_model_nothing(op->err);
	if (!can)
		return false;
	s->count -= moved;
	hold(s, op->actor, moved);
	return true;
}

static bool release(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t moved = pl_model_moved(op->form), i = holder(s, op->actor);

	if (op->result == PL_RESULT_FAIL || moved == 0)
		return true;
	if (!holds(s, i, op->actor) || !pl_model_covers(s->v[i].tag, moved))
		return false;
	s->count += moved;
	s->v[i].tag -= moved;
	if (s->v[i].tag == 0)
		forget(s, i);
	return true;
}

static bool die(struct pl_model_state *s, const struct pl_model_op *op)
{
	uint64_t i = holder(s, op->actor);

	if (s->config.freed && holds(s, i, op->actor)) {
		s->count += s->v[i].tag;
		forget(s, i);
	}
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	switch (op->role) {
	case PL_ACQUIRE:
		return acquire(s, op);
	case PL_RELEASE:
		return release(s, op);
	case PL_OBSERVE:
		return op->result != PL_RESULT_OK || s->count == op->tag;
	case PL_NONE:
		return die(s, op);
	default:
		return true;
	}
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	return pl_model_say_places(buf, size, s->count);
}

const struct pl_reference pl_reference_vector = { "vector", init, step, describe };
