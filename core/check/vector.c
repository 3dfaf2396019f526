/* SPDX-License-Identifier: MIT
 *
 * Several places with so many in each, of which an operation takes all that it asks for or nothing.
 *
 *   OVERTAKEN   more was taken than can have been there
 *   BADEMPTY    somebody was refused although all that it asked for was certainly there at each moment of the call
 *   BADVALUE    somebody saw in the places, together, what cannot have been there at any moment of the call
 *   TOKENSLOST  what control read after all had ended cannot have been left
 *   NOORDER     no order of the operations gives their results
 *
 * First bounds of all sums of places are asked (vector_bounds.c), then all orders are tried (jit.h): exact as far as
 * that goes, sound beyond.
 */
#include "vector.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORK = PL_JIT_WORK / 8 };

struct vector {
	struct pl_jit_round j;
	struct pl_vector_finding f;
	uint32_t *open;
};

/* With every operation ending so much later: is something out of its bounds? */
static bool judge(struct vector *v, int64_t later)
{
	v->f.rule = NULL;
	return pl_jit_order(&v->j, later) && pl_vector_bounds(&v->j, v->open, &v->f);
}

/* By how much ends would have to be wrong for nothing to be out of bounds: asked at a few values, so a lower bound. */
static int64_t slack_of(struct vector *v)
{
	struct pl_vector_finding f = v->f;
	int64_t slack = 0;

	if (judge(v, (int64_t)1 << 59))
		slack = INT64_MAX;
	for (int64_t later = v->j.c->clock_error; slack != INT64_MAX && later < (int64_t)1 << 40;
		later = later * 8 + 7) {
		if (!judge(v, later))
			break;
		slack = later + 1;
	}
	v->f = f;
	return slack;
}

/* "in place 0 less place 2" */
static const char *say_sum(const struct pl_vector_sum *s, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "in");
	bool any = false;

	for (int sign = 1; sign >= -1; sign -= 2)
		for (int i = 0; i < PL_PLACES && at < size; i++) {
			if (s->sign[i] != sign)
				continue;
			at += (size_t)snprintf(buf + at, size - at, "%s place %d",
				!any	   ? ""
				: sign > 0 ? " and"
					   : " less",
				i);
			any = true;
		}
	return buf;
}

/* Whether somebody was still asleep, and was woken later. */
static bool sleeps(const struct pl_case *c, const struct pl_rec *read)
{
	for (uint64_t i = 0; i < c->control->n; i++)
		if (c->control->rec[i].op == PL_OP_KICK &&
			c->control->rec[i].t_invoke >= read->t_return)
			return true;
	return false;
}

static bool say(struct vector *v, int64_t slack)
{
	const struct pl_jit_op *o = &v->j.op[v->f.op];
	struct pl_case *c = v->j.c;
	int who = o->read ? 0 : pl_say_actor(c, o->ref);
	const char *op = o->read ? "" : pl_say_op(c, o->ref), *rule = v->f.rule;
	long long least = v->f.least, most = v->f.most;
	char sum[80], is[32];

	say_sum(&v->f.sum, sum, sizeof sum);
	pl_model_say_places(
		is, sizeof is, o->op.role == PL_OBSERVE ? o->op.tag : pl_model_moved(o->op.form));
	if (o->read)
		return pl_find(c, sleeps(c, o->read) ? rule : "TOKENSLOST", slack,
			"nothing moved any more, and %s was there: %s there must be %lld to %lld",
			is, sum, least, most);
	if (o->op.role == PL_OBSERVE)
		return pl_find(c, rule, slack,
			"actor %d's %s saw %s, which cannot have been at any moment of the call: "
			"at its end %s there could be %lld to %lld",
			who, op, is, sum, least, most);
	if (o->op.result == PL_RESULT_FAIL)
		return pl_find(c, rule, slack,
			"actor %d's %s asked for %s and was refused, but there was certainly "
			"enough "
			"all the time",
			who, op, is);
	return pl_find(c, rule, slack,
		"actor %d's %s took %s: %s that is %lld more than can have been there", who, op, is,
		sum, -most);
}

static void file(struct vector *v)
{
	const struct pl_jit_op *o = &v->j.op[v->f.op];
	int64_t slack = slack_of(v);

	if (v->j.c->nomem || !say(v, slack))
		return;
	if (o->read)
		pl_witness_control(v->j.c, o->read);
	else
		pl_witness(v->j.c, o->ref);
}

static void search(struct vector *v)
{
	struct pl_jit_finding f;

	if (pl_jit_search(&v->j, 0, WORK, &f) == PL_VIOLATED)
		pl_jit_file(&v->j, &f);
}

void pl_check_vector(struct pl_case *c)
{
	struct vector v = { 0 };
	bool is = pl_jit_load(&v.j, c, true);

	v.open = is ? malloc(((size_t)v.j.n + 1) * sizeof *v.open) : NULL;
	if (!v.open)
		c->nomem |= is;
	else if (v.j.cannot)
		pl_unknown(c, "SEARCH", v.j.cannot);
	else if (judge(&v, 0))
		file(&v);
	else
		search(&v);
	free(v.open);
	pl_jit_free(&v.j);
}
