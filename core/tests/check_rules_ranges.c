/* SPDX-License-Identifier: MIT
 *
 * Claim: the checker of locks on ranges judges byte by byte: it accuses the smallest history that breaks a rule, and
 * lets the same history pass once the fault is taken out of it.
 */
#include "check_rules.h"

static struct round *ranges(void)
{
	struct round *b = b_new(PL_MODEL_RANGES, 4);

	for (int i = 0; i <= 4; i++)
		b->head[i].caps = PL_FREED;
	return b;
}

static struct pl_rec *on(struct pl_rec *r, uint64_t start, uint32_t len)
{
	r->token = start;
	r->len = len;
	return r;
}

static struct pl_rec *take(
	struct round *b, int who, uint64_t start, uint32_t len, int64_t inv, int64_t ret)
{
	return on(b_add(b, who, B_ACQUIRE, PL_OK, inv, ret), start, len);
}

static struct pl_rec *give(
	struct round *b, int who, uint64_t start, uint32_t len, int64_t inv, int64_t ret)
{
	return on(b_add(b, who, B_RELEASE, PL_OK, inv, ret), start, len);
}

/* Bytes [start, +len) of the second lock, against [10, 20) of the first. */
RULE(OVERLAP_of_ranges)
{
	static const struct {
		uint64_t start;
		uint32_t len;
		bool meets;
	} second[] = { { 10, 10, true }, { 19, 1, true }, { 20, 5, false }, { 5, 5, false },
		{ 5, 6, true }, { 0, 0, true }, { 20, 0, false }, { 15, 2, true } };

	for (size_t i = 0; i < sizeof second / sizeof *second; i++)
		for (uint32_t kind = 0; kind < 4; kind++) {
			struct round *b = ranges();

			take(b, 0, 10, 10, 0, 5)->sum = kind & 1 ? PL_SUM_SHARED : 0;
			take(b, 1, second[i].start, second[i].len, 10, 15)->sum =
				kind & 2 ? PL_SUM_SHARED : 0;
			give(b, 1, 0, 0, 20, 25);
			give(b, 0, 0, 0, 30, 35);
			(second[i].meets && kind != 3 ? red : green)(b, "OVERLAP");
		}
}

/* The first has let go of [12, 15) of [10, 20), or is about to. */
RULE(OVERLAP_of_a_split_range)
{
	for (uint64_t at = 10; at < 20; at++)
		for (int64_t since = 10; since <= 30; since += 20) {
			struct round *b = ranges();

			take(b, 0, 10, 10, 0, 5);
			give(b, 0, 12, 3, since, since + 5);
			take(b, 1, at, 1, 20, 25);
			give(b, 1, at, 1, 50, 55);
			give(b, 0, 0, 0, 60, 65);
			(since == 10 && at >= 12 && at < 15 ? green : red)(b, "OVERLAP");
		}
}

/* Who takes what it has, or what lies beside that, has never let go; who changes its kind perhaps has. */
RULE(OVERLAP_of_a_merged_range)
{
	for (int i = 0; i < 3; i++) {
		struct round *b = ranges();

		take(b, 0, 10, 10, 0, 5);
		take(b, 0, 15, 20, 10, 60)->sum = i == 1 ? PL_SUM_SHARED : 0;
		take(b, 1, i == 2 ? 21 : 17, 1, 20, 25);
		give(b, 1, 0, 0, 30, 35);
		give(b, 0, 0, 0, 70, 75);
		(i == 0 ? red : green)(b, "OVERLAP");
	}
}

RULE(OVERLAP_after_an_exchange_of_kinds)
{
	for (int first = 0; first < 2; first++) {
		struct round *b = ranges();

		take(b, 0, 0, 8, 0, 5)->sum = first ? PL_SUM_SHARED : 0;
		take(b, 0, 4, 4, 10, 15)->sum = first ? 0 : PL_SUM_SHARED;
		take(b, 1, first ? 0 : 4, 4, 20, 25)->sum = PL_SUM_SHARED;
		take(b, 2, first ? 4 : 0, 4, 30, 35)->sum = PL_SUM_SHARED;
		give(b, 2, 0, 0, 40, 45);
		give(b, 1, 0, 0, 40, 45);
		give(b, 0, 0, 0, 50, 55);
		red(b, "OVERLAP"); /* of the third: it shares what the first has alone */
	}
}

RULE(OVERLAP_with_the_dead)
{
	for (int64_t killed = 10; killed <= 40; killed += 30) {
		struct round *b = ranges();

		take(b, 0, 0, 8, 0, 5);
		b_kill(b, 0, killed, killed + 40);
		take(b, 1, 4, 8, 20, 35);
		give(b, 1, 0, 0, 60, 65);
		(killed == 40 ? red : green)(b, "OVERLAP");
	}
}

/* Refused [5, 10), while the first has [from, +4) until 30, or is dead since 30. */
RULE(BADBUSY_of_ranges)
{
	for (uint64_t from = 2; from <= 10; from += 4)
		for (int64_t at = 20; at <= 40; at += 20)
			for (int dies = 0; dies < 2; dies++) {
				struct round *b = ranges();

				take(b, 0, from, 4, 0, 5);
				if (dies)
					b_kill(b, 0, 10, 30);
				else
					give(b, 0, 0, 0, 25, 30);
				b_fail(take(b, 1, 5, 5, at, at + 2), at == 20 ? EAGAIN : EACCES);
				(at == 20 && from < 10 ? green : red)(b, "BADBUSY");
			}
}

RULE(BADBUSY_of_shared_ranges)
{
	for (int kind = 0; kind < 4; kind++) {
		struct round *b = ranges();

		take(b, 0, 0, 8, 0, 5)->sum = kind & 1 ? PL_SUM_SHARED : 0;
		b_fail(take(b, 1, 0, 0, 10, 15), EAGAIN)->sum = kind & 2 ? PL_SUM_SHARED : 0;
		give(b, 0, 0, 0, 20, 25);
		(kind == 3 ? red : green)(b, "BADBUSY");
	}
}

/* What is in the way may come after the refused call has begun; one's own is never in the way. */
RULE(BADBUSY_beside_what_comes_and_what_is_ones_own)
{
	for (int64_t at = 20; at <= 40; at += 20) {
		struct round *b = ranges();

		take(b, 1, 0, 4, 0, 5);
		b_fail(take(b, 1, 0, 8, 10, 30), EAGAIN);
		take(b, 0, 4, 2, at, at + 5);
		give(b, 0, 0, 0, 50, 55);
		(at == 20 ? green : red)(b, "BADBUSY");
	}
}

/* EINTR and EDEADLK leave nothing locked; what other errors do is not known. */
RULE(failures_of_ranges)
{
	struct round *b = ranges();

	b_fail(take(b, 0, 0, 8, 0, 5), EINTR);
	b_fail(take(b, 1, 0, 8, 10, 15), EAGAIN);
	red(b, "BADBUSY");
	b = ranges();
	b_fail(take(b, 0, 0, 8, 0, 5), ENOLCK);
	b_fail(take(b, 1, 0, 8, 10, 15), EAGAIN);
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN);
	free(b);
}

RULE(BADDEADLK_of_ranges)
{
	for (int held = 0; held < 2; held++) {
		struct round *b = ranges();

		take(b, 0, 0, 8, 0, 5);
		give(b, 0, 0, held ? 4 : 0, 6, 8);
		b_fail(take(b, 0, 20, 8, 10, 15), EDEADLK);
		give(b, 0, 0, 0, 20, 25);
		(held ? green : red)(b, "BADDEADLK");
	}
}

/* Who sleeps for [4, 8), while the first still has [from, +4). */
RULE(LOSTWAKE_of_ranges)
{
	for (uint64_t from = 0; from <= 4; from += 4)
		for (int shared = 0; shared < 2; shared++) {
			struct round *b = ranges();

			take(b, 0, 0, 8, 0, 5)->sum = shared ? PL_SUM_SHARED : 0;
			give(b, 0, 4 - from, 4, 10, 15);
			on(b_add(b, 1, B_ACQUIRE, PL_INVOKED, 7, 0), 4, 4)->sum =
				shared ? PL_SUM_SHARED : 0;
			b_control(b, PL_OP_ASLEEP, 1, 50, 50)->aux = 0;
			b_kill(b, 1, 60, 70);
			(from == 4 && !shared ? green : red)(b, "LOSTWAKE");
		}
}

/* More bounds than cells: nothing is said. */
RULE(ranges_in_too_many_pieces)
{
	struct round *b = ranges();

	for (int i = 0; i < 80; i++)
		take(b, 0, (uint64_t)i, 1, 10 * i, 10 * i + 5);
	take(b, 1, 0, 0, 0, 5);
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN);
	free(b);
}
