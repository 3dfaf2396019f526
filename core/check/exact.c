/* SPDX-License-Identifier: MIT
 *
 * The search of jit.c as a judge of its own, and as a second opinion on what another checker found.
 *
 *   NOORDER   no order of the operations gives all their results
 */
#include "jit.h"

#include <stdio.h>
#include <string.h>

enum { BRIEF = PL_JIT_WORK / 256 }; /* how sure a finding is may cost so much; asked many times */

/* By how much ends would have to be wrong for there to be an order: asked at a few values, so a lower bound. */
static int64_t slack_of(struct pl_jit_round *j)
{
	struct pl_jit_finding f;
	int64_t slack = 0;

	if (pl_jit_search(j, (int64_t)1 << 59, BRIEF, &f) == PL_VIOLATED)
		return INT64_MAX;
	for (int64_t later = j->c->clock_error; later < (int64_t)1 << 40; later = later * 8 + 7) {
		if (pl_jit_search(j, later, BRIEF, &f) != PL_VIOLATED)
			break;
		slack = later + 1;
	}
	return slack;
}

/* "[1#3 1#4] or [1#4 1#3] or 5 more" */
static const char *say_states(const struct pl_jit_finding *f, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	for (uint32_t i = 0; i < f->nstates && i < PL_JIT_SAID && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? " or " : "", f->state[i]);
	if (f->nstates > PL_JIT_SAID && at < size)
		(void)snprintf(buf + at, size - at, " or %u more", f->nstates - PL_JIT_SAID);
	return buf;
}

/* Looking ahead, the search notices before anything wrong has shown; once more without, if that can be paid. */
static bool find_where_it_shows(struct pl_jit_round *j, struct pl_jit_finding *f)
{
	struct pl_jit_finding shown;
	bool does;

	j->blind = true;
	does = pl_jit_search(j, 0, PL_JIT_WORK, &shown) == PL_VIOLATED;
	j->blind = false;
	if (does)
		*f = shown;
	return does || !j->value;
}

void pl_jit_file(struct pl_jit_round *j, struct pl_jit_finding *f)
{
	struct pl_case *c = j->c;
	int64_t slack = slack_of(j);
	bool shows = find_where_it_shows(j, f), is;
	const struct pl_rec *read = j->op[f->op].read;
	uint32_t ref = j->op[f->op].ref;
	char states[sizeof c->v->text];

	say_states(f, states, sizeof states);
	if (read)
		is = pl_find(c, "NOORDER", slack,
			"no order of the operations explains what was there when nothing moved any "
			"more: there could be %s",
			states);
	else if (ref == PL_NEVER)
		is = pl_find(c, "NOORDER", slack,
			"no order of the operations leaves nothing behind, although the object was "
			"emptied: "
			"there would be %s",
			states);
	else
		is = pl_find(c, "NOORDER", slack,
			"no order of the operations explains what actor %d's %s gave%s: there "
			"could be %s",
			pl_say_actor(c, ref), pl_say_op(c, ref),
			shows ? "" : " and what was taken later", states);
	if (is && ref != PL_NEVER)
		pl_witness(c, ref);
	if (is && read)
		pl_witness_control(c, read);
}

void pl_check_jit(struct pl_case *c)
{
	struct pl_jit_finding f;
	struct pl_jit_round j;

	if (pl_jit_load(&j, c, true))
		switch (pl_jit_search(&j, 0, PL_JIT_WORK, &f)) {
		case PL_VIOLATED:
			pl_jit_file(&j, &f);
			break;
		case PL_UNKNOWN:
			pl_unknown(c, "SEARCH", j.why);
			break;
		default:
			break;
		}
	pl_jit_free(&j);
}

/* What the reference models speak of: order and values. Bytes, crashes and sleepers are not theirs, nor is room where
 * no bound is known. */
static bool is_about_order(const struct pl_case *c, const char *rule)
{
	static const char *const rules[] = { "VFRESH", "VREPET", "VFAILED", "VTAG", "VORD", "VLOST",
		"VSELECT", "VWIT", "VPRIO", "OVERCAP", "BADFULL", "OVERLAP", "COUNTER", "BADBUSY",
		"BADDEADLK", "BADEPERM", "FREEUNHELD", "DEADNONE", "DEADFALSE", "DEADTWICE",
		"DEADHOLDER", "NOTRECOV", "BADNOTRECOV", "FRESH", "FAILED", "LOSTUPDATE", "LOOP",
		"STALE", "OVERTAKEN", "OVERFULL", "BADEMPTY", "TOKENSLOST", "BADVALUE", "BADNOROOM",
		"BADSUM", "TAKENOTHING", "NOORDER", "SOVER", "SAGAIN", "SFALSE", "SLOST",
		"SEMPTY" };

	if (!strcmp(rule, "BADFULL") && c->head->capacity == 0)
		return false;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (!strcmp(rule, rules[i]))
			return true;
	return false;
}

/* The two judges contradict each other: one of them is wrong, so nothing is known. */
static void disagree(struct pl_verdict *v)
{
	char rule[sizeof v->rule], text[sizeof v->text];

	memcpy(rule, v->rule, sizeof rule);
	memcpy(text, v->text, sizeof text);
	v->outcome = PL_UNKNOWN;
	(void)snprintf(v->rule, sizeof v->rule, "DISAGREE");
	(void)snprintf(v->text, sizeof v->text,
		"an order of all operations explains this round, but %s says: %.*s", rule,
		(int)sizeof text - 80, text);
}

void pl_second_opinion(struct pl_case *c)
{
	struct pl_jit_finding f;
	struct pl_jit_round j;
	bool nomem = c->nomem; /* without memory there is no second opinion, that is all */

	if (c->v->outcome != PL_VIOLATED || !is_about_order(c, c->v->rule))
		return;
	if (pl_jit_load(&j, c, false))
		switch (pl_jit_search(&j, c->clock_error, PL_JIT_WORK / 8, &f)) {
		case PL_VIOLATED:
			c->v->confirmed = true;
			break;
		case PL_HELD:
			disagree(c->v);
			break;
		default:
			break;
		}
	pl_jit_free(&j);
	c->nomem = nomem;
}
