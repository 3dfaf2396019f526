/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of the checker of standard signals accuses the smallest history that breaks it, and lets its twin
 * pass.
 */
#include "check_rules.h"

enum { PID = 100 };

static struct round *fresh(int actors)
{
	struct round *b = b_new(PL_MODEL_SIGNAL, actors);

	for (int i = 0; i <= actors; i++) {
		b->head[i].caps = PL_OWNED | PL_LOSSY;
		b->head[i].pid = PID + i;
		for (uint32_t k = 0; k < b->head[i].nops; k++)
			b->head[i].op[k].number = 1;
	}
	return b;
}

static struct pl_rec *send(struct round *b, int who, uint64_t signo, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_PUT, PL_OK, inv, ret);

	r->aux = signo;
	return r;
}

/* from: the sender that is told; -1: none. */
static struct pl_rec *get(
	struct round *b, int who, uint64_t signo, int from, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_TAKE, PL_OK, inv, ret);

	r->aux = signo;
	r->token = from < 0 ? 0 : (uint64_t)(PID + from);
	return r;
}

static void nothing(struct round *b, int who, int64_t inv, int64_t ret)
{
	b_fail(b_add(b, who, B_TAKE, PL_OK, inv, ret), EAGAIN);
}

RULE(signals_merge)
{
	for (int more = 0; more < 2; more++) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		send(b, 1, 1, 10, 20);
		send(b, 0, 2, 20, 30);
		get(b, 2, 2, 0, 40, 50); /* in any order of numbers */
		get(b, 2, 1, 0, 50, 60);
		if (more)
			get(b, 2, 1, 1, 60, 70);
		nothing(b, 2, 70, 80);
		(more ? red : green)(b, "SAGAIN");
	}
}

RULE(SOVER)
{
	for (int64_t began = 20; began <= 30; began += 10) {
		struct round *b = fresh(3);

		send(b, 0, 1, began, 50);
		get(b, 2, 1, -1, 10, 25);
		(began == 30 ? red : green)(b, "SOVER");
	}
	for (uint64_t signo = 1; signo <= 2; signo++) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		get(b, 2, signo, -1, 20, 30);
		if (signo == 2)
			get(b, 2, 1, -1, 30, 40);
		(signo == 2 ? red : green)(b, "SOVER");
	}
}

RULE(a_failed_send_sends_nothing)
{
	for (int failed = 0; failed < 2; failed++) {
		struct round *b = fresh(3);
		struct pl_rec *r = send(b, 0, 1, 0, 10);

		if (failed)
			b_fail(r, EAGAIN);
		get(b, 2, 1, 0, 20, 30);
		(failed ? red : green)(b, "SOVER");
	}
}

/* Two sends, two deliveries; the second is explained only by a send that was still going on when the first began. */
RULE(SAGAIN)
{
	for (int64_t ended = 15; ended <= 25; ended += 10) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		send(b, 1, 1, 5, ended);
		get(b, 2, 1, -1, 20, 30);
		get(b, 2, 1, -1, 40, 50);
		if (ended == 15)
			cr_expect_eq(b_check(b, 5)->outcome, PL_UNKNOWN,
				"within the clock's error nothing is sure");
		(ended == 15 ? red : green)(b, "SAGAIN");
	}
	for (int killed = 0; killed < 2; killed++) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		b_pend(send(b, 1, 1, 5, 0));
		b_kill(b, 1, 12, killed ? 22 : 14);
		get(b, 2, 1, -1, 20, 30);
		get(b, 2, 1, -1, 40, 50);
		green(b, "SAGAIN"); /* what was cut off may have been sent: when, is not asked */
	}
}

RULE(SFALSE)
{
	for (int from = -1; from <= 1; from++) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		get(b, 2, 1, from, 20, 30);
		(from == 1 ? red : green)(b, "SFALSE");
	}
	for (int64_t began = 30; began <= 50; began += 20) { /* only afterwards */
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		send(b, 1, 1, began, 60);
		get(b, 2, 1, 1, 20, 40);
		(began == 50 ? red : green)(b, "SFALSE");
	}
	for (int from = 0; from <= 1; from++) { /* the other's was delivered already */
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		get(b, 2, 1, 0, 20, 30);
		send(b, 1, 1, 40, 50);
		get(b, 2, 1, from, 60, 70);
		(from == 0 ? red : green)(b, "SFALSE");
	}
}

RULE(SLOST)
{
	for (int64_t began = 20; began <= 40; began += 20) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		get(b, 2, 1, 0, 15, 30);
		send(b, 1, 1, began, 50);
		nothing(b, 2, 60, 70);
		if (began == 40) /* the look that found nothing says the same */
			b->n[2]--;
		(began == 40 ? red : green)(b, "SLOST");
	}
}

/* The pending set of whoever dies goes with him, and of a take that was cut off nobody knows what it took. */
RULE(SLOST_but_for_a_death)
{
	for (int died = 0; died < 3; died++) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		if (died == 1)
			b_pend(b_add(b, 2, B_TAKE, PL_OK, 5, 0));
		if (died)
			b_kill(b, 2, 20, 30);
		(died ? green : red)(b, "SLOST");
	}
	{
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		b->head[3].flags &= ~(uint32_t)PL_HIST_DRAINED;
		green(b, "SLOST");
	}
}

RULE(SEMPTY)
{
	for (int64_t began = 5; began <= 15; began += 10) {
		struct round *b = fresh(3);

		send(b, 0, 1, 0, 10);
		nothing(b, 2, began, 20);
		get(b, 2, 1, 0, 30, 40);
		(began == 15 ? red : green)(b, "SEMPTY");
	}
	for (int late = 0; late < 2; late++) { /* what arrives by itself may be on its way */
		struct round *b = fresh(3);

		for (int i = 0; i <= 3; i++)
			b->head[i].caps |= late ? PL_LATE : 0;
		send(b, 0, 1, 0, 10);
		nothing(b, 2, 15, 20);
		get(b, 2, 1, 0, 30, 40);
		(late ? green : red)(b, "SEMPTY");
	}
}
