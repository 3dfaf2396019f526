/* SPDX-License-Identifier: MIT
 *
 * Claim: the search for an order of all operations says in which states the object could be when nothing explained what
 * came, never guesses beyond its limits, and as a second opinion confirms, contradicts, or lets a finding stand. That it
 * is right, the random histories of the checkers' own tests show.
 */
#include "check_build.h"
#include "check_world.h"

#include <criterion/criterion.h>

enum { ROUNDS = 500 };

static void expect(const struct pl_verdict *v, enum pl_outcome o, const char *rule, bool confirmed)
{
	cr_expect(v->outcome == o && !strcmp(v->rule, rule) && v->confirmed == confirmed,
		"%s, rule %s, confirmed %d: %s", pl_outcome_name(v->outcome), v->rule, v->confirmed,
		v->text);
}

static void expect_text(const struct pl_verdict *v, const char *text)
{
	cr_expect_not_null(strstr(v->text, text), "'%s' is not in: %s", text, v->text);
}

Test(check_exact, states_are_told)
{
	struct round *b = b_new(PL_MODEL_FIFO, 3);

	b_put(b, 0, 1, 0, 10);
	b_put(b, 1, 2, 0, 10);
	b_put(b, 0, 3, 20, 30);
	b_take(b, 2, 3, 40, 50);
	expect(b_check_exact(b, 0), PL_VIOLATED, "NOORDER", false);
	expect_text(&b->v, "actor 2's receive gave: there could be [0#");
	expect_text(&b->v, "[0#1 0#2 0#3]");
	expect_text(&b->v, "[0#2 0#1 0#3]");
	cr_expect(b->v.nwit == 1 && b->v.wit[0].actor == 2);
	free(b);
}

Test(check_exact, what_is_left_after_a_drain)
{
	for (int taken = 0; taken < 2; taken++) {
		struct round *b = b_new(PL_MODEL_FIFO, 2);

		b_put(b, 0, 1, 0, 10);
		if (taken)
			b_take(b, 1, 1, 20, 30);
		expect(b_check_exact(b, 0), taken ? PL_HELD : PL_VIOLATED, taken ? "" : "NOORDER",
			false);
		free(b);
	}
}

/* By how much stamps would have to be wrong, and what a clock's error makes of it. */
Test(check_exact, slack)
{
	struct round *b = b_new(PL_MODEL_FIFO, 3);

	b_put(b, 0, 1, 0, 10);
	b_put(b, 1, 2, 110, 120);
	b_take(b, 2, 2, 130, 140);
	b_take(b, 2, 1, 140, 150);
	expect(b_check_exact(b, 0), PL_VIOLATED, "NOORDER", false);
	cr_expect(b->v.slack_ns > 60 && b->v.slack_ns <= 100, "%lld", (long long)b->v.slack_ns);
	expect(b_check_exact(b, 99), PL_VIOLATED, "NOORDER", false);
	expect(b_check_exact(b, 100), PL_UNKNOWN, "NOORDER", false);
	free(b);
}

Test(check_exact, no_reference_model)
{
	struct round *b = b_new(PL_MODEL_STREAM, 1);

	expect(b_check_exact(b, 0), PL_UNKNOWN, "SEARCH", false);
	free(b);
}

/* Two waves of eight puts under way at once, in any order: their takes are nested, so that nothing goes first. */
static struct round *dense(bool twice)
{
	struct round *b = b_new(PL_MODEL_FIFO, 8);

	for (int wave = 0; wave < 2; wave++)
		for (int i = 0; i < 8; i++)
			b_put(b, i, 8 * wave + i + 1, 100 * wave, 100 * wave + 90);
	for (int wave = 0; wave < 2; wave++)
		for (int i = 0; i < 8; i++)
			b_take(b, i, 8 * wave + i + 1, 200 + 100 * wave + i, 280 + 100 * wave - i);
	if (twice)
		b_take(b, 0, 1, 400, 410);
	return b;
}

Test(check_exact, too_much_is_unknown)
{
	struct round *b = dense(false);

	expect(b_check_exact(b, 0), PL_UNKNOWN, "SEARCH", false);
	expect(b_check(b, 0), PL_HELD, "", false);
	free(b);
	b = dense(true);
	expect(b_check(b, 0), PL_VIOLATED, "VREPET", false);
	free(b);
}

Test(check_exact, confirmed)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	b_put(b, 0, 1, 0, 10);
	b_take(b, 1, 1, 20, 30);
	b_take(b, 1, 1, 30, 40);
	expect(b_check(b, 0), PL_VIOLATED, "VREPET", true);
	b_put(b, 0, 2, 10, 20)->len = 8; /* too short to be told apart */
	expect(b_check(b, 0), PL_VIOLATED, "VREPET", false);
	free(b);
}

/* A payload that is not its sender's own: the rules look at the send that failed, the search takes it for an older one. */
Test(check_exact, disagree)
{
	struct round *b = b_new(PL_MODEL_DATAGRAM, 3);

	for (int i = 0; i <= 3; i++)
		b->head[i].caps = PL_LATE;
	b_fail(b_put(b, 0, 1, 0, 10), EIO)->token = pl_token(2, 0, 1);
	b_take(b, 1, 1, 20, 30)->token = pl_token(2, 0, 1);
	expect(b_check(b, 0), PL_UNKNOWN, "DISAGREE", false);
	expect_text(&b->v, "an order of all operations explains this round, but VFAILED says: "
			   "actor 1 received");
	free(b);
}

/* Of two values put at once the larger had to go first, though the other one's put and take end first: with it inside
 * there was no room for what came then. */
Test(check_exact, larger_goes_first)
{
	struct round *b = b_new(PL_MODEL_FIFO, 4);

	for (int i = 0; i <= 4; i++)
		b->head[i].capacity = 100, b->head[i].grain = 1;
	b_put(b, 0, 1, 0, 10)->len = 30;
	b_put(b, 1, 2, 0, 11)->len = 60;
	b_take(b, 2, 1, 20, 59);
	b_take(b, 3, 2, 20, 60);
	b_put(b, 0, 3, 30, 40)->len = 60;
	b_fail(b_put(b, 0, 4, 45, 50), EAGAIN)->len = 24;
	b_take(b, 1, 3, 70, 80);
	expect(b_check_exact(b, 0), PL_HELD, "", false);
	free(b);
}

/* Whoever was killed in a take may have had any of the signals that were pending. */
Test(check_exact, any_signal_may_be_gone)
{
	for (uint64_t left = 0; left < 3; left++) {
		struct round *b = b_new(PL_MODEL_SIGNAL, 4);

		b_put(b, 0, 1, 0, 10)->aux = 0;
		b_put(b, 0, 2, 10, 20)->aux = 1;
		b_pend(b_take(b, 1, 0, 30, 0));
		b_kill(b, 1, 40, 50);
		b_take(b, 2, 0, 60, 70)->aux = left;
		b->rec[2][0].token = 0;
		b_fail(b_take(b, 2, 0, 80, 90), EAGAIN);
		expect(b_check_exact(b, 0), left < 2 ? PL_HELD : PL_VIOLATED,
			left < 2 ? "" : "NOORDER", false);
		free(b);
	}
}

/* Longer than brute force can judge, the search can: what a checker accuses has no order, and what is right has one. */
static void judge_long(enum pl_model model, uint64_t seed)
{
	int bad = 0, gave_up = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		bool drained, spoilt = i % 3 != 0;
		struct round *b = world_make(&d, model, WORLD_OPS, i % 2, &drained);
		struct pl_verdict fast, slow;

		if (spoilt)
			world_spoil(b, &d);
		fast = *b_check(b, 0);
		slow = *b_check_exact(b, 0);
		if (!strcmp(fast.rule, "DISAGREE") || (!spoilt && fast.outcome != PL_HELD) ||
			(!spoilt && slow.outcome == PL_VIOLATED)) {
			b_dump(b);
			cr_assert_fail("%s, %s, key 0x%llx", fast.rule, slow.text,
				(unsigned long long)d.key);
		}
		gave_up += slow.outcome == PL_UNKNOWN;
		bad += slow.outcome == PL_VIOLATED;
		free(b);
	}
	fprintf(stderr,
		"model %d seed 0x%llx, %d operations: %d wrong of %d, the search gave up %d\n",
		model, (unsigned long long)seed, WORLD_OPS, bad, ROUNDS, gave_up);
	cr_assert_gt(bad, ROUNDS / 25, "too few wrong histories to show anything: %d", bad);
	cr_assert_lt(gave_up, ROUNDS / 50, "the search gave up %d times", gave_up);
}

Test(check_exact, long_histories)
{
	for (enum pl_model m = PL_MODEL_FIFO; m <= PL_MODEL_LOCK; m++) {
		judge_long(m, 0x5eed04);
		judge_long(m, seed_of_today());
	}
}
