/* SPDX-License-Identifier: MIT
 *
 * What a checker says, held against what brute force says.
 */
#include "check_trial.h"

#include "check_oracle.h"
#include "check_parts.h"

enum { ROUNDS = 10000 };

struct score {
	int bad, caught, missed;
};

static void try(const struct trial *t, struct dice *d, int i, struct score *s)
{
	struct round *b = t->make(d, i % 2);
	bool allowed, wrong;

	for (int n = i % 3 ? roll(d, 1, 2) : 0; n > 0; n--)
		t->spoil(b, d);
	allowed = oracle_allows(b, t->emptied && t->emptied(b));
	wrong = b_check(b, 0)->outcome != PL_HELD;
	cr_assert(i % 3 || allowed, "brute force refuses a right history, key 0x%llx",
		(unsigned long long)d->key);
	if (wrong == allowed && (wrong || (!t->percent && !oracle_tied(b)))) {
		b_dump(b);
		cr_assert_fail("%s, key 0x%llx", wrong ? "false alarm" : "missed",
			(unsigned long long)d->key);
	}
	b_assert_search(b, allowed, d->key);
	if (allowed)
		b_assert_parts(b, d->key);
	s->bad += !allowed, s->caught += wrong, s->missed += !allowed && !wrong;
	free(b);
}

static void judge(const struct trial *t, uint64_t seed)
{
	struct score s = { 0 };

	for (int i = 0; i < ROUNDS; i++)
		try(t, &(struct dice){ .key = pl_rand(seed, (uint64_t)i) }, i, &s);
	fprintf(stderr, "%s seed 0x%llx: %d wrong of %d, %d caught, %d missed%s\n", t->name,
		(unsigned long long)seed, s.bad, ROUNDS, s.caught, s.missed,
		t->percent ? "" : " at shared stamps");
	cr_assert_gt(s.bad, ROUNDS / 20, "too few wrong histories to show anything: %d", s.bad);
	cr_assert_geq(s.caught * 100, s.bad * t->percent, "seed 0x%llx: only %d of %d caught",
		(unsigned long long)seed, s.caught, s.bad);
}

/* What shrinks by no more than the clock's error is never called wrong. */
static void judge_late_clocks(const struct trial *t, uint64_t seed)
{
	int unsure = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		struct round *b = t->make(&d, i % 2);

		unsure += b_unsure_when_shrunk(b, &d);
		free(b);
	}
	cr_assert_gt(unsure, ROUNDS / 200, "too few were in doubt to show anything: %d", unsure);
}

void trial_run(const struct trial *t, uint64_t seed)
{
	judge(t, seed);
	judge(t, seed_of_today());
	judge_late_clocks(t, seed_of_today());
}
