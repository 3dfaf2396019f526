/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of the queues' checkers accuses the smallest history that breaks it, and lets the same
 * history pass once the fault is taken out of it.
 */
#include "check_rules.h"

#include <signal.h>

static struct round *fresh(int64_t began)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	b_put(b, 0, 1, began, 50);
	b_take(b, 1, 1, 5, 20);
	return b;
}

RULE(VFRESH)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	b_take(b, 1, 9, 5, 20);
	red(b, "VFRESH");
	red(fresh(30), "VFRESH");
	green(fresh(20), "VFRESH"); /* equal stamps: concurrent */
}

RULE(VREPET)
{
	for (int n = 1; n <= 2; n++) {
		struct round *b = b_new(PL_MODEL_FIFO, 3);

		b_put(b, 0, 1, 0, 10);
		b_put(b, 0, 2, 10, 20);
		b_take(b, 1, 1, 20, 30);
		b_take(b, 2, n, 30, 40);
		if (n == 1)
			red(b, "VREPET");
		else
			green(b, "VREPET");
	}
}

RULE(VFAILED)
{
	for (int again = 0; again < 2; again++) {
		struct round *b = b_new(PL_MODEL_FIFO, 2);

		b_fail(b_put(b, 0, 1, 0, 10), EINTR);
		if (again)
			b_put(b, 0, 1, 10, 20);
		b_take(b, 1, 1, 20, 30);
		if (again)
			green(b, "VFAILED");
		else
			red(b, "VFAILED");
	}
}

RULE(VCORRUPT)
{
	for (int good = 0; good < 2; good++) {
		struct round *b = b_new(PL_MODEL_FIFO, 2), *c = b_new(PL_MODEL_FIFO, 2);

		b_put(b, 0, 1, 0, 10);
		b_take(b, 1, 1, 20, 30)->ret = good ? 64 : 63;
		b_put(c, 0, 1, 0, 10);
		if (good)
			c->rec[0][0].len = 20; /* too short to be told apart */
		b_take(c, 1, 1, 20, 30)->token = 0;
		c->rec[1][0].ret = 20;
		(good ? green : red)(b, "VCORRUPT");
		(good ? green : red)(c, "VCORRUPT");
	}
}

RULE(VTAG)
{
	for (int good = 0; good < 2; good++) {
		struct round *b = b_new(PL_MODEL_PRIORITY, 2);

		b_put(b, 0, 1, 0, 10)->aux = 3;
		b_take(b, 1, 1, 20, 30)->aux = good ? 3 : 2;
		(good ? green : red)(b, "VTAG");
	}
}

static struct round *lost(bool drained, int killed)
{
	struct round *b = b_new(PL_MODEL_FIFO, 4);

	b_put(b, 0, 1, 0, 10);
	b_put(b, 0, 2, 10, 20);
	for (int i = 0; i < killed; i++) {
		b_pend(b_take(b, 1 + i, 1, 5, 0));
		b_kill(b, 1 + i, 30 + i, 40 + i);
	}
	if (!drained)
		b->head[4].flags &= ~(uint32_t)PL_HIST_DRAINED;
	return b;
}

RULE(VLOST)
{
	red(lost(true, 0), "VLOST");
	red(lost(true, 1), "VLOST"); /* one receiver died: it can have had one of two */
	green(lost(true, 2), "VLOST");
	green(lost(false, 0), "VLOST");
}

static struct round *swapped(int64_t second, enum pl_model model)
{
	struct round *b = b_new(model, 4);

	b_put(b, 0, 1, 0, 10);
	b_put(b, 1, 2, second, 30);
	b_take(b, 2, 2, 40, 50);
	b_take(b, 3, 1, 60, 70);
	return b;
}

RULE(VORD)
{
	struct round *b = swapped(20, PL_MODEL_FIFO);

	red(swapped(20, PL_MODEL_FIFO), "VORD");
	green(swapped(10, PL_MODEL_FIFO), "VORD"); /* sent at the same time */
	red(swapped(20, PL_MODEL_PRIORITY), "VORD");
	green(swapped(10, PL_MODEL_PRIORITY), "VORD");
	cr_expect_eq(b_check(b, 0)->slack_ns, 10);
	cr_expect_eq(
		b_check(b, 10)->outcome, PL_UNKNOWN, "within the clock's error nothing is sure");
	cr_expect_eq(b_check(b, 9)->outcome, PL_VIOLATED);
	free(b);
}

RULE(one_actors_own_order_needs_no_clock)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	b_put(b, 0, 1, 0, 10);
	b_put(b, 0, 2, 10, 20);
	b_take(b, 1, 2, 20, 30);
	b_take(b, 1, 1, 30, 40);
	cr_expect_eq(b_check(b, 1000000)->outcome, PL_VIOLATED);
	cr_expect_eq(b->v.slack_ns, -1);
	free(b);
}

static struct round *empty(int64_t from, bool killed, enum pl_model model)
{
	struct round *b = b_new(model, 4);

	b_put(b, 0, 1, 0, 10);
	b_fail(b_take(b, 1, 0, from, 30), ETIMEDOUT);
	if (killed) {
		b_pend(b_take(b, 3, 1, 5, 0));
		b_kill(b, 3, 60, 70);
	} else {
		b_take(b, 2, 1, 40, 50);
	}
	return b;
}

RULE(VWIT)
{
	for (enum pl_model m = PL_MODEL_FIFO; m <= PL_MODEL_PRIORITY; m++) {
		red(empty(20, false, m), "VWIT");
		green(empty(10, false, m), "VWIT");
		green(empty(20, true, m), "VWIT"); /* the dead may have had it */
	}
}

RULE(VPRIO)
{
	for (int64_t from = 10; from <= 20; from += 10) {
		struct round *b = b_new(PL_MODEL_PRIORITY, 4);

		b_put(b, 0, 1, 0, 10)->aux = 5;
		b_put(b, 1, 2, 0, 5);
		b_take(b, 2, 2, from, 30);
		b_take(b, 3, 1, 40, 50)->aux = 5;
		(from == 20 ? red : green)(b, "VPRIO");
	}
}

/* ---- liveness and what cannot be judged ---- */

static struct round *asleep(int64_t amount, bool exact)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);
	struct pl_rec *r;

	b_put(b, 0, 1, 0, 10);
	b_fail(b_take(b, 1, 0, 5, 100), EINTR);
	b_control(b, PL_OP_LEVEL, 0, 50, 51)->ret = amount;
	r = b_control(b, PL_OP_ASLEEP, 1, 52, 52);
	r->aux = 0;
	b_control(b, PL_OP_KICK, 1, 60, 60);
	b_take(b, 0, 1, 110, 120);
	if (!exact)
		b->head[2].flags &= ~(uint32_t)PL_HIST_EXACT;
	return b;
}

RULE(what_comes_late)
{
	green(late(empty(20, false, PL_MODEL_FIFO)), "VWIT");
	green(late(asleep(1, true)), "LOSTWAKE");
}

RULE(LOSTWAKE)
{
	struct round *b = asleep(1, false);

	red(asleep(1, true), "LOSTWAKE");
	green(asleep(0, true), "LOSTWAKE");
	cr_expect_eq(
		b_check(b, 0)->outcome, PL_UNKNOWN, "sleep seen by the state letter is no proof");
	free(b);
}

static struct round *dead_of(int status, bool in_call)
{
	struct round *b = b_new(PL_MODEL_FIFO, 2);

	b_put(b, 0, 1, 0, 10);
	if (in_call)
		b_pend(b_take(b, 1, 1, 20, 0));
	b_control(b, PL_OP_REAP, 1, 40, 40)->ret = status;
	if (!in_call)
		b_take(b, 0, 1, 50, 60);
	return b;
}

RULE(CRASH)
{
	struct round *b = dead_of(SIGABRT, false), *full = dead_of(SIGBUS, true);

	red(dead_of(SIGABRT, true), "CRASH");
	red(dead_of(SIGSEGV | 0x80, true), "CRASH"); /* with a core */
	cr_expect_eq(b_check(full, 0)->outcome, PL_UNKNOWN, "a full file system: %s", full->v.text);
	free(full);
	green(dead_of(SIGKILL, true), "CRASH"); /* perhaps the machine's own need */
	cr_expect_eq(
		b_check(b, 0)->outcome, PL_UNKNOWN, "who died outside of a call: %s", b->v.text);
	free(b);
	b = dead_of(0, true);
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN, "who exits in a call: %s", b->v.text);
	free(b);
}

RULE(what_cannot_be_judged)
{
	for (int i = 0; i < 8; i++) {
		struct round *b = swapped(20, PL_MODEL_FIFO);

		switch (i) {
		case 0:
			b->head[1].flags |= PL_HIST_FULL;
			break;
		case 1:
			b->head[4].flags &= ~(uint32_t)PL_HIST_ENDED;
			break;
		case 2:
			b->head[1].actor = 0;
			break;
		case 3:
			b->head[1].seed++;
			break;
		case 4:
			b->rec[0][0].t_return = B_BASE - 1;
			break;
		case 5:
			b->rec[1][0].token = b->rec[0][0].token;
			break;
		case 6:
			b->head[4].flags |= PL_HIST_BEYOND;
			break;
		case 7:
			b->head[4].flags |= PL_HIST_PRIMED;
			break;
		}
		cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN, "case %d: %s %s", i, b->v.rule,
			b->v.text);
		free(b);
	}
}

Test(check_rules, latency_buckets_hold_what_they_say)
{
	for (int64_t ns = 1; ns < (int64_t)1 << 38; ns = ns * 3 / 2 + 1) {
		int k = pl_lat_bucket(ns);

		cr_expect(k >= 0 && k < 80 && pl_lat_edge(k) <= ns &&
				  (k == 79 || ns < pl_lat_edge(k + 1) || k < 3),
			"%lld ns in bucket %d from %lld", (long long)ns, k,
			(long long)pl_lat_edge(k));
	}
}

static struct round *of_numbers(uint32_t caps)
{
	struct round *b = b_new(PL_MODEL_PRIORITY, 4);

	for (int i = 0; i <= b->nactors; i++) {
		b->head[i].caps = caps;
		for (uint32_t k = 0; k < b->head[i].nops; k++)
			b->head[i].op[k].number = 1;
	}
	return b;
}

/* The lowest type or signal first: what VPRIO says of priorities, upside down. */
RULE(VPRIO_of_the_lowest)
{
	for (uint64_t second = 2; second <= 4; second += 2)
		for (int lowest = 0; lowest < 2; lowest++) {
			struct round *b = b_new(PL_MODEL_PRIORITY, 4);

			for (int i = 0; i <= b->nactors; i++)
				b->head[i].caps = lowest ? PL_LOWEST : 0;
			b_put(b, 0, 1, 0, 10)->aux = 3;
			b_put(b, 1, 2, 0, 10)->aux = second;
			b_take(b, 2, 1, 20, 30)->aux = 3;
			b_take(b, 2, 2, 30, 40)->aux = second;
			if ((second < 3) == lowest && lowest)
				cr_expect(
					strstr(b_check(b, 0)->text, "type 2 was"), "%s", b->v.text);
			((second < 3) == lowest ? red : green)(b, "VPRIO");
		}
}

/* Tags that would be cut off could not be told apart. */
RULE(tags_above_32_bits)
{
	struct round *b = of_numbers(PL_LOWEST);

	b_put(b, 0, 1, 0, 10)->aux = UINT32_MAX;
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN);
	free(b);
}

/* What moves a number has no bytes: neither its length nor what a take returns says anything. */
RULE(numbers_instead_of_payloads)
{
	for (int n = 1; n <= 3; n++) {
		struct round *b = of_numbers(PL_LOWEST);

		b_put(b, 0, 1, 0, 10)->len = 0;
		b_put(b, 0, 2, 10, 20)->len = 0;
		b_take(b, 1, 1, 20, 30)->ret = 34;
		b_take(b, 2, n, 30, 40)->ret = 35;
		if (n == 2)
			green(b, "numbers");
		else
			red(b, n == 1 ? "VREPET" : "VFRESH");
	}
	for (int zero = 0; zero < 2; zero++) {
		struct round *b = of_numbers(PL_LOWEST);

		b_put(b, 0, 1, 0, 10)->len = 0;
		if (zero)
			b_take(b, 1, 1, 20, 30)->token = 0; /* nobody sends that */
		else
			b_take(b, 1, 1, 20, 30);
		(zero ? red : green)(b, "VFRESH");
	}
}

/* What was on its way to an owner that died is gone; who never put anything may have been it. */
RULE(VLOST_of_an_owned_queue)
{
	for (int owned = 0; owned < 2; owned++)
		for (int puts = 0; puts < 2; puts++) {
			struct round *b = of_numbers(owned ? PL_OWNED : 0);

			b_put(b, 0, 1, 0, 10);
			b_put(b, 1, 2, 0, 10);
			if (puts)
				b_put(b, 2, 3, 0, 10);
			else
				b_take(b, 2, 2, 12, 15);
			b_kill(b, 2, 20, 30);
			(owned && !puts ? green : red)(b, "VLOST");
		}
}
