/* SPDX-License-Identifier: MIT
 *
 * Filing findings: which one becomes the verdict, how sure it is, and what it says.
 */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The times of all ranks cost a second merge: only a round with a finding pays for it. */
static bool make_times(struct pl_case *c)
{
	size_t most = 2 * ((size_t)c->nrecs + (size_t)c->nactors) + 1;
	struct pl_merge *m;
	struct pl_event e;

	if (c->time)
		return true;
	c->time = malloc(most * sizeof *c->time);
	c->whose = malloc(most * sizeof *c->whose);
	m = c->time && c->whose ? pl_merge_new(c, false) : NULL;
	if (!m) {
		free(c->time);
		free(c->whose);
		c->time = NULL;
		c->whose = NULL;
		c->nomem = true;
		return false;
	}
	while (pl_merge_next(m, &e)) {
		if (e.rank >= most)
			break;
		c->whose[e.rank] = e.who;
		c->time[e.rank] = e.t;
	}
	pl_merge_free(m);
	return true;
}

/* What is not in that order after all rests on nothing; below 0 would mean that no clock is involved. */
static int64_t positive(int64_t gap)
{
	return gap > 0 ? gap : 0;
}

int64_t pl_gap(struct pl_case *c, uint32_t earlier, uint32_t later)
{
	if (!make_times(c))
		return 0;
	if (earlier >= c->nranks || later >= c->nranks)
		return INT64_MAX;
	if (c->whose[earlier] == c->whose[later])
		return INT64_MAX;
	return positive(c->time[later] - c->time[earlier]);
}

int64_t pl_span(struct pl_case *c, uint32_t earlier, uint32_t later)
{
	if (!make_times(c))
		return 0;
	if (earlier >= c->nranks || later >= c->nranks)
		return INT64_MAX;
	return positive(c->time[later] - c->time[earlier]);
}

static int grade(const struct pl_verdict *v)
{
	if (v->outcome == PL_VIOLATED)
		return v->slack_ns < 0 ? 3 : 2;
	return v->outcome == PL_UNKNOWN;
}

bool pl_settled(const struct pl_case *c)
{
	return grade(c->v) == 3 || c->nomem || c->broken;
}

bool pl_find(struct pl_case *c, const char *rule, int64_t slack, const char *fmt, ...)
{
	struct pl_verdict new = { .slack_ns = slack == INT64_MAX ? -1 : slack };
	va_list ap;
	int n;

	new.outcome = new.slack_ns < 0 || slack > c->clock_error ? PL_VIOLATED : PL_UNKNOWN;
	if (grade(&new) <= grade(c->v))
		return false;
	c->v->outcome = new.outcome;
	c->v->slack_ns = new.slack_ns;
	c->v->confirmed = false;
	c->v->nwit = 0;
	snprintf(c->v->rule, sizeof c->v->rule, "%s", rule);
	va_start(ap, fmt);
	n = vsnprintf(c->v->text, sizeof c->v->text, fmt, ap);
	va_end(ap);
	if (new.outcome == PL_UNKNOWN && n >= 0 && n < (int)sizeof c->v->text)
		snprintf(c->v->text + n, sizeof c->v->text - (size_t)n,
			" (the clock may be wrong by %s)", pl_say_ns(c->clock_error));
	return true;
}

void pl_unknown(struct pl_case *c, const char *rule, const char *text)
{
	if (grade(c->v) > 0)
		return;
	c->v->outcome = PL_UNKNOWN;
	c->v->slack_ns = -1;
	snprintf(c->v->rule, sizeof c->v->rule, "%s", rule);
	snprintf(c->v->text, sizeof c->v->text, "%s", text);
}

void pl_witness(struct pl_case *c, uint32_t ref)
{
	struct pl_verdict *v = c->v;
	int who;
	const struct pl_rec *r = pl_rec_of(c, ref, &who);

	if (r && v->nwit < PL_WITNESS_MAX)
		v->wit[v->nwit++] = (struct pl_witness){ c->actor[who].id, r->seq };
}

void pl_witness_control(struct pl_case *c, const struct pl_rec *r)
{
	struct pl_verdict *v = c->v;

	if (v->nwit < PL_WITNESS_MAX)
		v->wit[v->nwit++] = (struct pl_witness){ PL_CONTROL, r->seq };
}

static char *scratch(void)
{
	static _Thread_local char text[8][32];
	static _Thread_local unsigned turn;

	return text[turn++ % 8];
}

const char *pl_say_token(uint64_t token)
{
	char *s = scratch();

	snprintf(s, 32, "%u#%llu", (unsigned)(uint16_t)((token >> 48) - 1),
		(unsigned long long)(token & 0xffffffffff));
	return s;
}

const char *pl_say_ns(int64_t ns)
{
	char *s = scratch();

	if (ns < 10000)
		snprintf(s, 32, "%lld ns", (long long)ns);
	else if (ns < 10000000)
		snprintf(s, 32, "%.1f us", (double)ns / 1e3);
	else
		snprintf(s, 32, "%.1f ms", (double)ns / 1e6);
	return s;
}

const char *pl_say_before(struct pl_case *c, uint32_t earlier, uint32_t later)
{
	int64_t span = pl_span(c, earlier, later);
	char *s = scratch();

	snprintf(s, 32, "%s%sbefore", span > 0 ? pl_say_ns(span) : "", span > 0 ? " " : "");
	return s;
}

const char *pl_say_op(const struct pl_case *c, uint32_t ref)
{
	int who;
	const struct pl_rec *r = pl_rec_of(c, ref, &who);
	char *s = scratch();

	if (!r || r->op >= PL_HIST_OPS || !c->actor[who].head->op[r->op].name[0])
		return "the operation";
	snprintf(s, 32, "%.*s", (int)sizeof c->actor[who].head->op[0].name,
		c->actor[who].head->op[r->op].name);
	return s;
}

int pl_say_actor(const struct pl_case *c, uint32_t ref)
{
	int who;

	return pl_rec_of(c, ref, &who) ? c->actor[who].id : -1;
}
