/* SPDX-License-Identifier: MIT
 *
 * One lock with one owner, its recursion, and the death of owners. A robust one tells the next
 * owner, and is lost for ever if that one releases it unrepaired; one that is not stays owned by
 * the dead.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

static void init(struct pl_model_state *s, const struct pl_model_config *c)
{
	memset(s, 0, sizeof *s);
	s->config = *c;
	s->owner = -1;
}

static bool own(struct pl_model_state *s, const struct pl_model_op *op, bool told)
{
	if (s->owner == op->actor && !told) {
		s->depth++;
		return true;
	}
	if (s->owner >= 0 || s->lost || (op->result == PL_RESULT_OK && s->inconsistent) ||
		(told && !s->inconsistent))
		return false;
	if (op->result != PL_RESULT_UNKNOWN) {
		if (op->value < s->count)
			return false;
		s->count = op->value;
	}
	s->owner = op->actor;
	s->depth = 1;
	return true;
}

static bool acquire(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result != PL_RESULT_FAIL)
		return own(s, op, false);
	if (pl_model_busy(op->err))
		return s->owner >= 0;
	switch (op->err) {
	case EOWNERDEAD:
		return own(s, op, true);
	case ENOTRECOVERABLE:
		return s->lost;
	case EDEADLK:
		return s->owner == op->actor;
	default:
		return true;
	}
}

static bool release(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_FAIL)
		return op->err != EPERM || s->owner != op->actor;
	if (s->owner != op->actor)
		return false;
	if (--s->depth > 0)
		return true;
	s->owner = -1;
	s->lost = s->inconsistent;
	s->count += op->result == PL_RESULT_OK;
	return true;
}

static bool step(struct pl_model_state *s, const struct pl_model_op *op)
{
	switch (op->role) {
	case PL_ACQUIRE:
		return acquire(s, op);
	case PL_RELEASE:
		return release(s, op);
	case PL_REPAIR:
		if (s->owner != op->actor || !s->inconsistent)
			return false;
		s->inconsistent = false;
		return true;
	case PL_NONE:
		if (s->owner == op->actor && (s->config.robust || s->config.freed))
			s->owner = -1, s->depth = 0, s->inconsistent = s->config.robust;
		return true;
	default:
		return true;
	}
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	return snprintf(buf, size, "owner %d depth %d%s%s count %llu", s->owner, s->depth,
		s->inconsistent ? " inconsistent" : "", s->lost ? " lost" : "",
		(unsigned long long)s->count);
}

const struct pl_reference pl_reference_lock = { "lock", init, step, describe };
