/* SPDX-License-Identifier: MIT
 *
 * One test a rule: `red` is a history that breaks it, `green` its twin without the fault.
 */
#ifndef PLUMBLINE_CHECK_RULES_H
#define PLUMBLINE_CHECK_RULES_H

#include "check_build.h"

#include <criterion/criterion.h>

/* A violation that rests on stamps is one with a clock that is better than its slack, and none with one that
 * is not; another one, further apart, may then be found in its place. */
static inline void within_the_clocks_error(struct round *b, const char *rule)
{
	int64_t slack = b->v.slack_ns;

	while (b->v.outcome == PL_VIOLATED && slack >= 0) {
		cr_expect_gt(slack, 0, "%s with no slack at all", rule);
		cr_expect_eq(b_check(b, slack - 1)->outcome, PL_VIOLATED, "%s: a clock good enough",
			rule);
		cr_expect(b_check(b, slack)->outcome != PL_VIOLATED || b->v.slack_ns < 0 ||
				  b->v.slack_ns > slack,
			"%s: slack %lld, found with that error: %s", rule, (long long)slack,
			b->v.text);
		b->head[b->nactors].clock_error = slack; /* as its own history says */
		cr_expect(b_check(b, 0)->outcome != PL_VIOLATED || b->v.slack_ns < 0 ||
			  b->v.slack_ns > slack);
		b->head[b->nactors].clock_error = 0;
		b_check(b, slack);
		slack = b->v.slack_ns > slack ? b->v.slack_ns : -1;
	}
}

static inline void red(struct round *b, const char *rule)
{
	const struct pl_verdict *v = b_check(b, 0);

	cr_expect_eq(v->outcome, PL_VIOLATED, "%s: %s %s %s", rule, pl_outcome_name(v->outcome),
		v->rule, v->text);
	cr_expect_str_eq(v->rule, rule, "%s expected, got %s: %s", rule, v->rule, v->text);
	cr_expect_gt(v->nwit, 0, "%s without a witness", rule);
	cr_expect_gt(strlen(v->text), 20, "%s says only: %s", rule, v->text);
	within_the_clocks_error(b, rule);
	free(b);
}

static inline void green(struct round *b, const char *rule)
{
	const struct pl_verdict *v = b_check(b, 0);

	cr_expect_eq(v->outcome, PL_HELD, "%s: %s %s %s", rule, pl_outcome_name(v->outcome),
		v->rule, v->text);
	free(b);
}

/* Where a put may return before what it put can be taken, nobody misses what he does not find. */
static inline struct round *late(struct round *b)
{
	for (int i = 0; i <= b->nactors; i++)
		b->head[i].caps = PL_LATE;
	return b;
}

#define RULE(name) Test(check_rules, name)

#endif
