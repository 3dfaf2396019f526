/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of the checker of vectors accuses the smallest history that breaks it, and lets its twin pass.
 */
#include "check_rules.h"

/* Two places with two in each; a death gives back what was held. */
static struct round *fresh(void)
{
	static const unsigned short two[PL_PLACES] = { 2, 2 };
	struct round *b = b_new(PL_MODEL_VECTOR, 4);

	b_control(b, PL_OP_LEVEL, 0, 0, 0)->ret = (int64_t)pl_places(two);
	for (int i = 0; i <= b->nactors; i++)
		b->head[i].caps = PL_FREED, b->head[i].capacity = pl_places(two);
	return b;
}

static uint64_t both(unsigned short a, unsigned short c)
{
	return pl_places((const unsigned short[PL_PLACES]){ a, c });
}

static struct pl_rec *take(struct round *b, int who, int a, int c, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_ACQUIRE, PL_OK, inv, ret);

	r->sum = (uint32_t)(a | c << 2) << 1;
	return r;
}

static struct pl_rec *give(struct round *b, int who, int a, int c, int64_t inv, int64_t ret)
{
	struct pl_rec *r = take(b, who, a, c, inv, ret);

	r->op = B_RELEASE;
	return r;
}

static void see(struct round *b, int who, uint64_t places, int64_t inv, int64_t ret)
{
	b_add(b, who, B_OBSERVE, PL_OK, inv, ret)->aux = places;
}

RULE(OVERTAKEN_of_a_place)
{
	for (int64_t began = 20; began <= 30; began += 10) {
		struct round *b = fresh();

		take(b, 0, 1, 2, 0, 10);
		give(b, 0, 1, 2, began, 40);
		take(b, 1, 0, 1, 5, 25);
		(began == 30 ? red : green)(b, "OVERTAKEN");
	}
}

/* Each place for itself had too little at some moment, but at another one. */
RULE(BADEMPTY_of_places)
{
	for (int c = 1; c <= 2; c++) {
		struct round *b = fresh();

		take(b, 0, 1, 1, 0, 10);
		b_fail(take(b, 1, 1, c, 20, 30), EAGAIN);
		b_fail(take(b, 1, 1, c, 30, 40), ETIMEDOUT);
		(c == 1 ? red : green)(b, "BADEMPTY");
	}
}

/* A part of what was taken in one call is seen: equally much is taken of both places, so both are equal at any time,
 * however many take and give at once. */
RULE(BADVALUE_of_a_part)
{
	for (unsigned short a = 0; a <= 1; a++) {
		struct round *b = fresh();

		take(b, 0, 1, 1, 0, 50);
		take(b, 1, 1, 1, 0, 50);
		give(b, 0, 1, 1, 50, 90);
		see(b, 2, both(a, 1), 20, 70);
		(a == 0 ? red : green)(b, "BADVALUE");
	}
}

/* What control reads when nothing moves any more; none of it is a matter of clocks after the last has ended. */
RULE(TOKENSLOST_of_a_place)
{
	for (unsigned short c = 1; c <= 3; c++) {
		struct round *b = fresh();

		take(b, 0, 1, 1, 0, 10);
		give(b, 0, 1, 1, 20, 30);
		b_control(b, PL_OP_LEVEL, 0, 40, 50)->ret = (int64_t)both(2, c);
		(c != 2 ? red : green)(b, "TOKENSLOST");
	}
}

/* Each of two lookers could be right, but not both: what the first saw was there before what the second saw. */
RULE(NOORDER_of_places)
{
	for (unsigned short c = 1; c <= 2; c++) {
		struct round *b = fresh();

		take(b, 0, 1, 0, 0, 100);
		take(b, 1, 0, 1, 0, 100);
		see(b, 2, both(1, 1), 10, 20);
		see(b, 3, both(1, c), 30, 40);
		(c == 2 ? red : green)(b, "NOORDER");
	}
}

/* All that the dead held is back when it was reaped; without that promise nothing is. */
RULE(a_death_gives_back_all)
{
	for (int freed = 0; freed < 2; freed++)
		for (unsigned short c = 1; c <= 2; c++) {
			struct round *b = fresh();

			for (int i = 0; i <= b->nactors && !freed; i++)
				b->head[i].caps = 0;
			take(b, 0, 1, 1, 0, 10);
			b_kill(b, 0, 20, 30);
			see(b, 1, both(freed ? 2 : 1, c), 40, 50);
			(c == freed + 1 ? green : red)(b, "BADVALUE");
		}
}

/* Who is killed in a call may have done it, but all of it, and only until the death. */
RULE(killed_in_an_acquire)
{
	for (unsigned short a = 1; a <= 2; a++)
		for (int64_t at = 20; at <= 60; at += 40) {
			struct round *b = fresh();

			b_pend(take(b, 0, 1, 1, 10, 0));
			see(b, 1, both(a, 1), at, at + 10);
			b_kill(b, 0, 40, 50);
			(a == 1 && at == 20 ? green : red)(b, "BADVALUE");
		}
}

RULE(killed_in_a_release)
{
	for (unsigned short a = 1; a <= 2; a++) {
		struct round *b = fresh();

		take(b, 0, 1, 1, 0, 10);
		b_pend(give(b, 0, 1, 1, 10, 0));
		b_kill(b, 0, 40, 50);
		see(b, 1, both(a, 2), 60, 70);
		(a == 2 ? green : red)(b, "BADVALUE");
	}
}

RULE(LOSTWAKE_of_a_vector)
{
	for (unsigned short c = 0; c <= 1; c++) {
		struct round *b = fresh();

		take(b, 0, 1, 2 - c, 0, 5);
		b_pend(take(b, 1, 1, 1, 10, 0));
		b_control(b, PL_OP_LEVEL, 0, 20, 25)->ret = (int64_t)both(1, c);
		b_control(b, PL_OP_ASLEEP, 1, 30, 30)->aux = 0;
		b_kill(b, 1, 40, 50);
		(c == 1 ? red : green)(b, "LOSTWAKE");
	}
}

/* What is not known cannot accuse: what was there at the start, whether the dead held something then, what was given
 * back of what nobody took. */
RULE(vectors_that_cannot_be_judged)
{
	for (int what = 0; what < 3; what++) {
		struct round *b = fresh();

		if (what == 0)
			b->rec[4][0].op = PL_OP_STOP;
		if (what == 1) {
			b->rec[4][0].ret = (int64_t)both(2, 1);
			b_kill(b, 0, 10, 20);
		}
		if (what == 2)
			give(b, 0, 1, 1, 0, 10);
		see(b, 1, both(0, 0), 60, 70);
		cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN, "%d: %s", what, b->v.text);
		free(b);
	}
}
