/* SPDX-License-Identifier: MIT
 *
 * One lock with one owner, its recursion, or several that share it, and the death of owners. A robust one tells the next
 * owner, and is lost for ever if that one releases it unrepaired; one that is not stays owned by
 * the dead.
 */
#include "model.h"

#include <stdio.h>

static void init(struct pl_model_state *s, const struct pl_model_config *c)
{
	pl_model_init(s, c);
	s->owner = -1;
}

static uint64_t bit_of(const struct pl_model_op *op)
{
	return 1ULL << (op->actor & 63);
}

/* What is guarded only grows; nobody knows by how much if an owner died. */
static bool sees(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result == PL_RESULT_UNKNOWN)
		return true;
	if (op->value < s->count)
		return false;
	s->count = op->value;
	return true;
}

static bool share(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (s->owner >= 0 || s->sharers & bit_of(op) || !sees(s, op))
		return false;
	s->sharers |= bit_of(op);
	return true;
}

static bool own(struct pl_model_state *s, const struct pl_model_op *op, bool told)
{
	if (s->owner == op->actor && !told) {
		s->depth++;
		return true;
	}
	if (s->owner >= 0 || s->sharers || s->lost ||
		(op->result == PL_RESULT_OK && s->inconsistent) || (told && !s->inconsistent))
		return false;
	if (!sees(s, op))
		return false;
	s->owner = op->actor;
	s->depth = 1;
	return true;
}

static bool acquire(struct pl_model_state *s, const struct pl_model_op *op)
{
	if (op->result != PL_RESULT_FAIL)
		return op->form ? share(s, op) : own(s, op, false);
	if (pl_model_busy(op->err))
		return s->owner >= 0 || (!op->form && s->sharers);
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
	if (s->sharers & bit_of(op)) {
		s->sharers &= ~bit_of(op);
		return true;
	}
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
		if (s->config.robust || s->config.freed)
			s->sharers &= ~bit_of(op);
		return true;
	default:
		return true;
	}
}

static int describe(const struct pl_model_state *s, char *buf, size_t size)
{
	return snprintf(buf, size, "owner %d depth %d shared by %d%s%s count %llu", s->owner,
		s->depth, __builtin_popcountll(s->sharers), s->inconsistent ? " inconsistent" : "",
		s->lost ? " lost" : "", (unsigned long long)s->count);
}

const struct pl_reference pl_reference_lock = { "lock", init, step, describe };
