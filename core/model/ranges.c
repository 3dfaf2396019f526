/* SPDX-License-Identifier: MIT
 *
 * Locks on the bytes of one object. They are looked at in cells, runs of bytes that no range of the history parts: a
 * set of cells is a mask. Of each actor that holds any, the cells it has alone and those it shares.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

/* Of actor `value` the cells held alone are in `tag`, the shared ones in `len`. */
static uint64_t place_of(const struct pl_model_state *s, int actor)
{
	uint64_t i = 0;

	while (i < s->n && s->v[i].value < (uint64_t)actor)
		i++;
	return i;
}

static bool is_at(const struct pl_model_state *s, uint64_t i, int actor)
{
	return i < s->n && s->v[i].value == (uint64_t)actor;
}

static bool in_the_way(const struct pl_model_state *s, const struct pl_model_op *op)
{
	for (uint64_t i = 0; i < s->n; i++)
		if (s->v[i].value != (uint64_t)op->actor &&
			op->value & (s->v[i].tag | (op->form ? 0 : s->v[i].len)))
			return true;
	return false;
}

static void set(struct pl_model_state *s, int actor, uint64_t alone, uint64_t shared)
{
	uint64_t at = place_of(s, actor);
	bool is = is_at(s, at, actor), stays = alone || shared;

	if (is && !stays)
		memmove(&s->v[at], &s->v[at + 1], (--s->n - at) * sizeof *s->v);
	else if (!is && stays)
		memmove(&s->v[at + 1], &s->v[at], (s->n++ - at) * sizeof *s->v);
	if (stays)
		s->v[at] = (struct pl_model_value){ (uint64_t)actor, alone, shared };
}

static void change(struct pl_model_state *s, const struct pl_model_op *op, bool gets)
{
	uint64_t at = place_of(s, op->actor);
	bool is = is_at(s, at, op->actor);
	uint64_t alone = is ? s->v[at].tag & ~op->value : 0;
	uint64_t shared = is ? s->v[at].len & ~op->value : 0;

	if (gets && op->form)
		shared |= op->value;
	else if (gets)
		alone |= op->value;
	set(s, op->actor, alone, shared);
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	bool fails = op->result == PL_RESULT_FAIL;

	switch (op->role) {
	case PL_ACQUIRE:
		if (fails && op->err == EDEADLK)
			return is_at(s, place_of(s, op->actor), op->actor);
		if (fails)
			return !pl_model_busy(op->err) || in_the_way(s, op);
		if (in_the_way(s, op))
			return false;
		change(s, op, true);
		return true;
	case PL_RELEASE:
		if (!fails)
			change(s, op, false);
		return true;
	case PL_NONE:
		set(s, op->actor, 0, 0);
		return true;
	default:
		return true;
	}
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	int at = snprintf(buf, size, s->n ? "" : "free");

	for (uint64_t i = 0; i < s->n && at >= 0 && (size_t)at < size; i++)
		at += snprintf(buf + at, size - (size_t)at, "%s%llu has 0x%llx, shares 0x%llx",
			i ? ", " : "", (unsigned long long)s->v[i].value,
			(unsigned long long)s->v[i].tag, (unsigned long long)s->v[i].len);
	return at;
}

const struct pl_reference pl_reference_ranges = { "ranges", pl_model_init, step, describe };
