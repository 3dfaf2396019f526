/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of the checker of counters and sums accuses the smallest history that breaks it, and lets its twin
 * pass.
 */
#include "check_rules.h"

static struct round *fresh(enum pl_model model, int64_t level)
{
	struct round *b = b_new(model, 4);

	b_control(b, PL_OP_LEVEL, 0, 0, 0)->ret = level;
	b->head[b->nactors].flags &= ~(uint32_t)PL_HIST_DRAINED;
	return b;
}

static struct pl_rec *put(struct round *b, int who, uint64_t k, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_PUT, PL_OK, inv, ret);

	r->aux = k;
	return r;
}

static struct pl_rec *take(struct round *b, int who, uint64_t k, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_TAKE, PL_OK, inv, ret);

	r->aux = k;
	return r;
}

static void see(struct round *b, int who, uint64_t k, int64_t inv, int64_t ret)
{
	b_add(b, who, B_OBSERVE, PL_OK, inv, ret)->aux = k;
}

RULE(OVERTAKEN)
{
	for (int64_t began = 20; began <= 30; began += 10) {
		struct round *b = fresh(PL_MODEL_COUNTER, 1);

		take(b, 0, 1, 0, 10);
		put(b, 1, 1, began, 40);
		take(b, 2, 1, 5, 25);
		(began == 30 ? red : green)(b, "OVERTAKEN");
	}
	for (uint64_t k = 2; k <= 3; k++) {
		struct round *b = fresh(PL_MODEL_SUM, 1);

		put(b, 1, 1, 10, 40);
		take(b, 2, k, 5, 25);
		(k == 3 ? red : green)(b, "OVERTAKEN");
	}
}

RULE(OVERFULL)
{
	for (uint64_t cap = 2; cap <= 3; cap++) {
		struct round *b = fresh(PL_MODEL_COUNTER, 2);

		b->head[0].capacity = cap;
		put(b, 0, 1, 0, 10);
		take(b, 1, 1, 20, 30);
		(cap == 2 ? red : green)(b, "OVERFULL");
	}
}

RULE(BADEMPTY)
{
	for (int64_t began = 5; began <= 15; began += 10) {
		struct round *b = fresh(PL_MODEL_COUNTER, 0);

		put(b, 0, 2, 0, 10);
		b_fail(take(b, 1, 2, began, 20), EAGAIN);
		b_fail(take(b, 2, 3, 15, 20), ETIMEDOUT);
		(began == 15 ? red : green)(b, "BADEMPTY");
	}
	for (int64_t began = 5; began <= 15; began += 10) {
		struct round *b = fresh(PL_MODEL_SUM, 0);

		put(b, 0, 2, 0, 10);
		b_fail(take(b, 1, 0, began, 20), EAGAIN);
		(began == 15 ? red : green)(b, "BADEMPTY");
	}
}

/* Found by a take that fails, or by poll(2), which is no operation. */
RULE(TOKENSLOST)
{
	for (uint64_t k = 1; k <= 2; k++)
		for (int take_fails = 0; take_fails < 2; take_fails++) {
			struct round *b = fresh(PL_MODEL_COUNTER, 0);

			put(b, 0, 2, 0, 10);
			b_control(b, PL_OP_DRAIN, 1, 50, 50);
			take(b, 1, k, 50, 60);
			if (take_fails)
				b_fail(take(b, 1, 1, 60, 70), EAGAIN);
			else
				b->head[b->nactors].flags |= PL_HIST_DRAINED;
			if (k == 1)
				cr_expect_eq(b_check(b, 1000)->outcome, PL_VIOLATED,
					"no clock is needed for that");
			(k == 1 ? red : green)(b, "TOKENSLOST");
		}
}

RULE(BADVALUE)
{
	for (uint64_t k = 1; k <= 4; k++) {
		struct round *b = fresh(PL_MODEL_COUNTER, 1);

		put(b, 0, 1, 0, 10);
		put(b, 1, 1, 0, 30);
		see(b, 2, k, 20, 40);
		(k == 1 || k == 4 ? red : green)(b, "BADVALUE");
	}
}

RULE(BADNOROOM)
{
	for (uint64_t cap = 3; cap <= 4; cap++) {
		struct round *b = fresh(PL_MODEL_COUNTER, 2);

		b->head[0].capacity = cap;
		put(b, 0, 1, 0, 10);
		b_fail(put(b, 1, 1, 5, 20), EOVERFLOW);
		(cap == 4 ? red : green)(b, "BADNOROOM");
	}
}

RULE(BADSUM)
{
	for (int64_t ended = 10; ended <= 20; ended += 10) {
		struct round *b = fresh(PL_MODEL_SUM, 1);

		put(b, 0, 1, 0, ended);
		take(b, 1, 1, 15, 30);
		(ended == 10 ? red : green)(b, "BADSUM");
	}
}

RULE(TAKENOTHING)
{
	for (uint64_t k = 0; k < 2; k++) {
		struct round *b = fresh(PL_MODEL_SUM, 1);

		take(b, 1, k, 15, 30);
		(k == 0 ? red : green)(b, "TAKENOTHING");
	}
}

/* Each of two watchers could be right, but not both: the number was 2 before it was 1 for them, and nobody took. */
RULE(NOORDER)
{
	for (uint64_t k = 1; k <= 2; k++) {
		struct round *b = fresh(PL_MODEL_COUNTER, 0);

		put(b, 0, 1, 0, 100);
		put(b, 1, 1, 0, 100);
		see(b, 2, 2, 10, 20);
		see(b, 3, k, 30, 40);
		(k == 1 ? red : green)(b, "NOORDER");
	}
}

/* Who is killed in a put or take may have done it, until it is reaped. */
RULE(killed_in_a_put_or_take)
{
	for (int64_t reap = 20; reap <= 40; reap += 20) {
		struct round *b = fresh(PL_MODEL_COUNTER, 0);

		b_pend(put(b, 0, 0, 0, 0));
		b_kill(b, 0, 10, reap);
		b_fail(take(b, 1, 1, 30, 35), EAGAIN);
		take(b, 1, 1, 50, 60);
		(reap == 20 ? red : green)(b, "NOORDER");
	}
	for (int64_t began = 5; began <= 25; began += 20) {
		struct round *b = fresh(PL_MODEL_COUNTER, 1);

		b_pend(take(b, 0, 0, began, 0));
		b_kill(b, 0, 30, 40);
		b_fail(take(b, 1, 1, 10, 20), EAGAIN);
		(began == 25 ? red : green)(b, "BADEMPTY");
	}
}

RULE(LOSTWAKE_of_a_counter)
{
	for (int64_t level = 0; level <= 2; level++) {
		struct round *b = fresh(PL_MODEL_COUNTER, level ? level : 2);

		b_pend(take(b, 1, 2, 10, 0));
		if (level > 0)
			b_control(b, PL_OP_LEVEL, 0, 20, 25)->ret = level;
		b_control(b, PL_OP_ASLEEP, 1, 30, 30)->aux = 0;
		b_kill(b, 1, 40, 50);
		(level == 2 ? red : green)(b, "LOSTWAKE");
	}
}

RULE(amounts_that_cannot_be_added_up)
{
	struct round *b = fresh(PL_MODEL_SUM, 0);

	put(b, 0, (uint64_t)1 << 62, 0, 10);
	take(b, 0, (uint64_t)1 << 62, 20, 30);
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN);
	free(b);
}

/* The same with many more puts at once: more than the search looks at, so that it says nothing. */
RULE(many_at_once)
{
	enum { MOST = 42 };

	for (int n = 10; n <= MOST; n += MOST - 10) {
		struct round *b = fresh(PL_MODEL_COUNTER, 0);
		struct pl_log log[MOST + 1];
		struct pl_hist_head head[MOST];
		struct pl_rec rec[MOST];
		struct pl_verdict v;

		see(b, 2, 2, 10, 20);
		see(b, 2, 1, 30, 40);
		for (int i = 0; i < n; i++) {
			head[i] = b->head[0], head[i].actor = (uint16_t)(i + 10);
			rec[i] = *put(b, 0, 1, 0, 100);
			log[i] = (struct pl_log){ &head[i], &rec[i], 1 };
		}
		log[n - 1] = (struct pl_log){ &b->head[2], b->rec[2], b->n[2] };
		log[n] = (struct pl_log){ &b->head[4], b->rec[4], b->n[4] };
		pl_check(log, n + 1, 0, &v);
		cr_expect_eq(v.outcome, n == MOST ? PL_HELD : PL_VIOLATED, "%d: %s", n, v.text);
		free(b);
	}
}
