/* SPDX-License-Identifier: MIT
 *
 * Claim: on small random histories, right ones and spoilt ones, the checkers say what brute force
 * says: never an alarm where some order of the operations explains everything, no miss where they
 * are exact, few elsewhere. Histories have deaths in mid-operation, equal stamps, empty results,
 * several priorities, takes that select, nested locks, queues that are full.
 */
#include "check_dice.h"
#include "check_oracle.h"
#include "check_parts.h"
#include "check_world.h"

#include "check/segments.h"
#include "check/tokens.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { ROUNDS = 10000 };

struct score {
	int good, bad, caught, missed, unsure;
	int exact_bad, exact_missed;
};

static void dump(const struct round *b, uint64_t key, const char *what)
{
	fprintf(stderr, "%s: key 0x%llx\n", what, (unsigned long long)key);
	b_dump(b);
}

static bool has_pending(const struct round *b, int op)
{
	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++)
			if (b->rec[i][k].state == PL_INVOKED && b->rec[i][k].op == op)
				return true;
	return false;
}

static bool has_deaths(const struct round *b)
{
	return b->n[b->nactors] > 1 ||
	       (b->n[b->nactors] == 1 && b->rec[b->nactors][0].op != PL_OP_DRAIN);
}

static bool shares(const struct round *b)
{
	for (int i = 0; i < b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++)
			if (b->rec[i][k].op == B_ACQUIRE && b->rec[i][k].sum & PL_SUM_SHARED)
				return true;
	return false;
}

/* Where the checkers promise to find everything (their headers say so). */
static bool exact(const struct round *b)
{
	if (oracle_tied(b) || b->head[0].capacity > 0 || b->head[0].model == PL_MODEL_SELECT ||
		b->head[0].model == PL_MODEL_RANGES || shares(b))
		return false;
	return b->head[0].model == PL_MODEL_LOCK ? !has_deaths(b) : !has_pending(b, B_TAKE);
}

static void compare(struct score *s, struct round *b, bool drained, bool spoilt, uint64_t key)
{
	bool allowed = oracle_allows(b, drained);
	enum pl_outcome o = b_check(b, 0)->outcome;

	if (allowed && o == PL_VIOLATED) {
		dump(b, key, "false alarm");
		cr_assert_fail("false alarm: %s: %s (key 0x%llx)", b->v.rule, b->v.text,
			(unsigned long long)key);
	}
	if (!spoilt && (o != PL_HELD || !allowed)) {
		dump(b, key, "a right history is not held");
		cr_assert_fail("not held, key 0x%llx, oracle %d", (unsigned long long)key, allowed);
	}
	b_assert_search(b, allowed, key);
	if (allowed)
		b_assert_parts(b, key);
	s->good += allowed;
	s->bad += !allowed;
	s->unsure += o == PL_UNKNOWN;
	s->caught += !allowed && o == PL_VIOLATED;
	if (allowed || o == PL_UNKNOWN)
		return;
	s->missed += o == PL_HELD;
	s->exact_bad += exact(b);
	if (exact(b) && o == PL_HELD) {
		if (s->exact_missed++ == 0)
			dump(b, key, "missed");
	}
}

static struct score run(enum pl_model model, uint64_t seed)
{
	struct score s = { 0 };

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		bool drained, spoilt = i % 3 != 0;
		struct round *b = world_make(&d, model, roll(&d, 3, 9), i % 2, &drained);

		if (spoilt)
			world_spoil(b, &d);
		compare(&s, b, drained, spoilt, d.key);
		free(b);
	}
	return s;
}

/* `most`: percent of the wrong ones that may be missed, where the checker does not claim to be exact. */
static void judge(enum pl_model model, uint64_t seed, int most)
{
	struct score s = run(model, seed);

	fprintf(stderr,
		"model %d seed 0x%llx: %d right, %d wrong: %d caught, %d missed, %d unsure; exact: "
		"%d missed of %d\n",
		model, (unsigned long long)seed, s.good, s.bad, s.caught, s.missed, s.unsure,
		s.exact_missed, s.exact_bad);
	cr_assert_eq(s.exact_missed, 0, "seed 0x%llx: %d of %d missed where the checker is exact",
		(unsigned long long)seed, s.exact_missed, s.exact_bad);
	cr_assert_gt(s.bad, ROUNDS / 20, "too few wrong histories to show anything: %d", s.bad);
	cr_assert_leq(s.missed * 100, s.bad * most, "seed 0x%llx: %d of %d missed",
		(unsigned long long)seed, s.missed, s.bad);
}

/* What shrinks by no more than the clock's error is never called wrong. */
static void judge_late_clocks(enum pl_model model, uint64_t seed)
{
	int unsure = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		bool drained;
		struct round *b = world_make(&d, model, roll(&d, 3, 9), i % 2, &drained);

		unsure += b_unsure_when_shrunk(b, &d);
		free(b);
	}
	cr_assert_gt(unsure, ROUNDS / 200, "too few were in doubt to show anything: %d", unsure);
}

Test(check_random, fifo)
{
	judge(PL_MODEL_FIFO, 0x5eed01, 9);
	judge(PL_MODEL_FIFO, seed_of_today(), 9);
	judge_late_clocks(PL_MODEL_FIFO, seed_of_today());
}

Test(check_random, priority)
{
	judge(PL_MODEL_PRIORITY, 0x5eed02, 9);
	judge(PL_MODEL_PRIORITY, seed_of_today(), 9);
	judge_late_clocks(PL_MODEL_PRIORITY, seed_of_today());
}

Test(check_random, select)
{
	judge(PL_MODEL_SELECT, 0x5eed06, 17);
	judge(PL_MODEL_SELECT, seed_of_today(), 17);
	judge_late_clocks(PL_MODEL_SELECT, seed_of_today());
}

Test(check_random, lock)
{
	judge(PL_MODEL_LOCK, 0x5eed03, 9);
	judge(PL_MODEL_LOCK, seed_of_today(), 9);
	judge_late_clocks(PL_MODEL_LOCK, seed_of_today());
}

Test(check_random, ranges)
{
	judge(PL_MODEL_RANGES, 0x5eed07, 12);
	judge(PL_MODEL_RANGES, seed_of_today(), 12);
	judge_late_clocks(PL_MODEL_RANGES, seed_of_today());
}

/* Histories above are short; what keeps long ones fast must be right by itself. */
Test(check_random, segments)
{
	enum { N = 10000 };
	static bool covered[N];
	struct dice d = { .key = seed_of_today() };
	struct pl_segments s;

	cr_assert(pl_segments_new(&s, N));
	for (int i = 0; i < 4000; i++) {
		uint32_t from = (uint32_t)roll(&d, 0, N - 1),
			 to = from + (uint32_t)roll(&d, 0, i % 7 ? 9 : 150);
		uint32_t at = (uint32_t)roll(&d, 0, N - 1), up = at, down = at;

		pl_segments_cover(&s, from, to);
		for (uint32_t k = from; k < to && k < N; k++)
			covered[k] = true;
		while (up < N && covered[up])
			up++;
		while (down < N && covered[down])
			down--;
		cr_assert_eq(pl_segments_next(&s, at), up < N ? up : PL_SEG_NONE, "key 0x%llx",
			(unsigned long long)d.key);
		cr_assert_eq(pl_segments_prev(&s, at), down < N ? down : PL_SEG_NONE, "key 0x%llx",
			(unsigned long long)d.key);
	}
	pl_segments_free(&s);
}

/* Tokens in a row, of several actors, and some that have no neighbour: each keeps the number it was given first. */
Test(check_random, tokens)
{
	enum { ACTORS = 7, EACH = 3000 };
	struct dice d = { .key = seed_of_today() };
	uint32_t given[ACTORS][EACH] = { 0 }, n = 0;
	struct pl_tokens t;

	cr_assert(pl_tokens_new(&t));
	for (int i = 0; i < 4 * ACTORS * EACH; i++) {
		int who = roll(&d, 0, ACTORS - 1), number = roll(&d, 0, EACH - 1);
		uint64_t token = (uint64_t)who << 48 | (uint64_t)number * (who == 6 ? 1 << 20 : 1);
		uint32_t *place;

		cr_assert_eq(pl_tokens_at(&t, token), given[who][number], "key 0x%llx",
			(unsigned long long)d.key);
		place = pl_tokens_place(&t, token);
		cr_assert_eq(*place, given[who][number]);
		if (!*place)
			given[who][number] = *place = ++n;
	}
	pl_tokens_free(&t);
}
