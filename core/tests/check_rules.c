/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of each checker accuses the smallest history that breaks it, and lets the same history pass
 * once the fault is taken out of it. One test a rule; `red` is a history that breaks it, `green` its twin.
 */
#include "check_build.h"

#include <criterion/criterion.h>

static void red(struct round *b, const char *rule)
{
	const struct pl_verdict *v = b_check(b, 0);

	cr_expect_eq(v->outcome, PL_VIOLATED, "%s: %s %s %s", rule, pl_outcome_name(v->outcome),
		v->rule, v->text);
	cr_expect_str_eq(v->rule, rule, "%s expected, got %s: %s", rule, v->rule, v->text);
	cr_expect_gt(v->nwit, 0, "%s without a witness", rule);
	cr_expect_gt(strlen(v->text), 20, "%s says only: %s", rule, v->text);
	free(b);
}

static void green(struct round *b, const char *rule)
{
	const struct pl_verdict *v = b_check(b, 0);

	cr_expect_eq(v->outcome, PL_HELD, "%s: %s %s %s", rule, pl_outcome_name(v->outcome),
		v->rule, v->text);
	free(b);
}

#define RULE(name) Test(check_rules, name)

/* ---- queues ---- */

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

static struct round *full(enum pl_model model, int puts, bool fails)
{
	struct round *b = b_new(model, 2);

	b->head[0].capacity = b->head[1].capacity = 2;
	for (int i = 0; i < puts; i++)
		b_put(b, 0, 1 + i, 10 * i, 10 * i + 10);
	if (fails)
		b_fail(b_put(b, 0, 9, 50, 60), EAGAIN);
	for (int i = 0; i < puts; i++)
		b_take(b, 1, 1 + i, 100 + 10 * i, 110 + 10 * i);
	return b;
}

RULE(OVERCAP)
{
	red(full(PL_MODEL_FIFO, 3, false), "OVERCAP");
	green(full(PL_MODEL_FIFO, 2, false), "OVERCAP");
}

RULE(BADFULL)
{
	red(full(PL_MODEL_PRIORITY, 1, true), "BADFULL");
	green(full(PL_MODEL_PRIORITY, 2, true), "BADFULL");
	green(full(PL_MODEL_FIFO, 1, true),
		"BADFULL"); /* other limits than their number may bind */
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

/* ---- locks ---- */

static struct round *locked(bool robust)
{
	struct round *b = b_new(PL_MODEL_LOCK, 4);

	for (int i = 0; i <= 4; i++)
		b->head[i].caps = robust ? PL_ROBUST : 0;
	return b;
}

static struct pl_rec *section(struct round *b, int who, uint64_t seen, int64_t from, int64_t to)
{
	struct pl_rec *r = b_add(b, who, B_ACQUIRE, PL_OK, from, from + 5);

	r->aux = seen;
	b_add(b, who, B_RELEASE, PL_OK, to, to + 5);
	return r;
}

RULE(OVERLAP)
{
	for (int64_t to = 20; to <= 60; to += 40) {
		struct round *b = locked(false);

		section(b, 0, 0, 0, to);
		section(b, 1, 1, 30, 80);
		(to == 60 ? red : green)(b, "OVERLAP");
	}
}

RULE(COUNTER)
{
	for (uint64_t seen = 7; seen <= 9; seen++) {
		struct round *b = locked(false);

		section(b, 0, 8, 0, 10);
		section(b, 1, seen, 20, 30);
		(seen < 9 ? red : green)(b, "COUNTER");
	}
}

RULE(INSIDE)
{
	for (uint32_t torn = 0; torn < 2; torn++) {
		struct round *b = locked(false);

		section(b, 0, 8, 0, 10)->sum = torn;
		(torn ? red : green)(b, "INSIDE");
	}
}

RULE(BADBUSY)
{
	for (int64_t at = 10; at <= 30; at += 20) {
		struct round *b = locked(false);

		section(b, 0, 0, 0, 10);
		b_fail(b_add(b, 1, B_ACQUIRE, PL_OK, at, at + 5), at == 30 ? EBUSY : ETIMEDOUT);
		section(b, 2, 1, 50, 60);
		(at == 30 ? red : green)(b, "BADBUSY");
	}
}

RULE(BADDEADLK)
{
	for (int held = 0; held < 2; held++) {
		struct round *b = locked(false);

		if (held)
			b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
		b_fail(b_add(b, 0, B_ACQUIRE, PL_OK, 10, 15), EDEADLK);
		if (held)
			b_add(b, 0, B_RELEASE, PL_OK, 20, 25);
		(held ? green : red)(b, "BADDEADLK");
	}
}

RULE(BADEPERM)
{
	struct round *b = locked(true);

	b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
	b_fail(b_add(b, 0, B_RELEASE, PL_OK, 10, 15), EPERM);
	red(b, "BADEPERM");
	b = locked(true);
	b_fail(b_add(b, 0, B_RELEASE, PL_OK, 10, 15), EPERM);
	green(b, "BADEPERM");
}

RULE(FREEUNHELD)
{
	struct round *b = locked(true);

	b_add(b, 0, B_RELEASE, PL_OK, 10, 15);
	red(b, "FREEUNHELD");
	b = locked(false); /* a plain mutex cannot tell: nothing about it can be judged any more */
	b_add(b, 0, B_RELEASE, PL_OK, 10, 15);
	cr_expect_eq(b_check(b, 0)->outcome, PL_UNKNOWN);
	free(b);
}

/* Actor 0 dies holding; actor 1 comes next, then actor 2. */
static struct round *dead(bool robust, int first, bool repair, int second)
{
	struct round *b = locked(robust);
	struct pl_rec *r;

	b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
	b_kill(b, 0, 10, 20);
	r = b_add(b, 1, B_ACQUIRE, PL_OK, 30, 35);
	if (first)
		b_fail(r, first);
	if (repair)
		b_add(b, 1, B_REPAIR, PL_OK, 40, 45);
	b_add(b, 1, B_RELEASE, PL_OK, 50, 55);
	r = b_add(b, 2, B_ACQUIRE, PL_OK, 60, 65);
	r->aux = 1;
	if (second)
		b_fail(r, second);
	if (second == 0 || second == EOWNERDEAD)
		b_add(b, 2, B_RELEASE, PL_OK, 70, 75);
	return b;
}

RULE(deaths)
{
	green(dead(true, EOWNERDEAD, true, 0), "a death told and repaired");
	green(dead(true, EOWNERDEAD, false, ENOTRECOVERABLE), "a death told and not repaired");
	red(dead(true, 0, false, 0), "DEADNONE");
	red(dead(true, EOWNERDEAD, true, EOWNERDEAD), "DEADTWICE");
	red(dead(true, EOWNERDEAD, false, 0), "NOTRECOV");
	red(dead(true, EOWNERDEAD, true, ENOTRECOVERABLE), "BADNOTRECOV");
	red(dead(false, 0, false, 0), "DEADHOLDER");
}

RULE(DEADFALSE)
{
	for (int died = 0; died < 2; died++) {
		struct round *b = locked(true);

		section(b, 0, 0, 0, 10);
		if (died) {
			b_add(b, 2, B_ACQUIRE, PL_INVOKED, 5,
				0); /* it may have held, and been the one */
			b_kill(b, 2, 25, 28);
		}
		b_fail(b_add(b, 1, B_ACQUIRE, PL_OK, 30, 35), EOWNERDEAD)->aux = 1;
		b_add(b, 1, B_REPAIR, PL_OK, 36, 38);
		b_add(b, 1, B_RELEASE, PL_OK, 40, 45);
		(died ? green : red)(b, "DEADFALSE");
	}
}

/* ---- streams: 100-byte payloads, each written by one call ---- */

static void write_at(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_put(b, who, n, inv, ret);

	r->len = 100;
	r->ret = 100;
}

static void piece(struct round *b, int who, int n, uint32_t from, uint32_t to)
{
	struct pl_more *m = (struct pl_more *)&b->rec[who][b->n[who]];
	bool mark = from % PL_MARK == 0 && (to - from >= PL_MARK || to == 100);

	*m = (struct pl_more){
		.seq = b->n[who]++, .state = PL_MORE, .len = to - from, .total = 100
	};
	m->kind = mark ? PL_EXTENT : PL_FRAGMENT;
	m->token = mark ? b_token(n) : 0;
	m->offset = mark ? from : 0;
	if (!mark)
		pl_payload_fill(m->raw, 7, b_token(n), from, to - from, 100);
}

static void read_at(struct round *b, int who, int64_t inv, int64_t ret, int64_t len)
{
	struct pl_rec *r = b_take(b, who, 0, inv, ret);

	r->token = 0;
	r->ret = len;
	r->len = 4096;
}

static struct round *pipe_of(int readers)
{
	struct round *b = b_new(PL_MODEL_STREAM, 2 + readers);

	write_at(b, 0, 1, 0, 10);
	write_at(b, 1, 2, 20, 30);
	return b;
}

RULE(a_stream_in_pieces)
{
	struct round *b = pipe_of(1);

	read_at(b, 2, 40, 50, 30);
	piece(b, 2, 1, 0, 24);
	piece(b, 2, 1, 24, 30);
	read_at(b, 2, 50, 60, 170);
	piece(b, 2, 1, 30, 48);
	piece(b, 2, 1, 48, 100);
	piece(b, 2, 2, 0, 100);
	green(b, "nothing");
}

RULE(CORRUPT)
{
	struct round *b = pipe_of(1);
	struct pl_more *m;

	read_at(b, 2, 40, 50, 200);
	piece(b, 2, 1, 0, 96);
	m = (struct pl_more *)&b->rec[2][b->n[2]];
	piece(b, 2, 1, 97, 100); /* bytes that are elsewhere in it */
	m->len = 4;
	piece(b, 2, 2, 0, 100);
	red(b, "CORRUPT");
}

RULE(TORN)
{
	struct round *b = pipe_of(1);

	read_at(b, 2, 40, 50, 200);
	piece(b, 2, 1, 0, 48);
	piece(b, 2, 2, 0, 100);
	piece(b, 2, 1, 48, 100);
	red(b, "TORN");
	b = pipe_of(2); /* also when reads overlap, inside one of them */
	read_at(b, 2, 40, 50, 148);
	piece(b, 2, 1, 0, 48);
	piece(b, 2, 2, 0, 100);
	read_at(b, 3, 40, 50, 52);
	piece(b, 3, 1, 48, 100);
	red(b, "TORN");
}

RULE(SHUF)
{
	struct round *b = pipe_of(1);

	read_at(b, 2, 40, 50, 300);
	piece(b, 2, 1, 0, 100);
	piece(b, 2, 1, 0, 100);
	piece(b, 2, 2, 0, 100);
	red(b, "SHUF");
	b = pipe_of(1);
	read_at(b, 2, 40, 50, 152);
	piece(b, 2, 1, 48, 100);
	piece(b, 2, 2, 0, 100);
	red(b, "SHUF");
}

RULE(EXTRA)
{
	for (int failed = 0; failed < 2; failed++) {
		struct round *b = b_new(PL_MODEL_STREAM, 2);

		write_at(b, 0, 1, 0, 10);
		if (failed)
			b_fail(&b->rec[0][0], EINTR);
		read_at(b, 1, 20, 30, 100);
		piece(b, 1, 1, 0, 100);
		(failed ? red : green)(b, "EXTRA");
	}
}

RULE(EARLY)
{
	for (int64_t at = 0; at <= 40; at += 40) {
		struct round *b = b_new(PL_MODEL_STREAM, 2);

		write_at(b, 0, 1, at, 50);
		read_at(b, 1, 0, 30, 100);
		piece(b, 1, 1, 0, 100);
		(at ? red : green)(b, "EARLY");
	}
}

RULE(ORDER)
{
	for (int64_t second = 10; second <= 20; second += 10) {
		struct round *b = b_new(PL_MODEL_STREAM, 3);

		write_at(b, 0, 1, 0, 10);
		write_at(b, 1, 2, second, 30);
		read_at(b, 2, 40, 50, 200);
		piece(b, 2, 2, 0, 100);
		piece(b, 2, 1, 0, 100);
		(second == 20 ? red : green)(b, "ORDER");
	}
}

RULE(LOST)
{
	for (int killed = 0; killed < 2; killed++) {
		struct round *b = pipe_of(2);

		read_at(b, 2, 40, 50, 100);
		piece(b, 2, 1, 0, 100);
		if (killed) {
			b_pend(b_take(b, 3, 0, 60, 0));
			b_kill(b, 3, 70, 80);
		}
		(killed ? green : red)(b, "LOST");
	}
}

RULE(STALE)
{
	for (int good = 0; good < 2; good++) {
		struct round *b = pipe_of(1);

		if (!good)
			read_at(b, 2, 32, 36, 0); /* both payloads are inside */
		read_at(b, 2, 40, 50, 200);
		piece(b, 2, 1, 0, 100);
		piece(b, 2, 2, 0, 100);
		if (good)
			read_at(b, 2, 60, 70, 0);
		(good ? green : red)(b, "STALE");
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

RULE(LOSTWAKE)
{
	struct round *b = asleep(1, false);

	red(asleep(1, true), "LOSTWAKE");
	green(asleep(0, true), "LOSTWAKE");
	cr_expect_eq(
		b_check(b, 0)->outcome, PL_UNKNOWN, "sleep seen by the state letter is no proof");
	free(b);
}

RULE(LOSTWAKE_of_a_lock)
{
	for (int held = 0; held < 2; held++) {
		struct round *b = locked(true);

		b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
		if (!held)
			b_add(b, 0, B_RELEASE, PL_OK, 10, 15);
		b_add(b, 1, B_ACQUIRE, PL_INVOKED, 7, 0);
		b_control(b, PL_OP_ASLEEP, 1, 50, 50)->aux = 0;
		b_kill(b, 1, 60, 70);
		(held ? green : red)(b, "LOSTWAKE");
	}
}

RULE(what_cannot_be_judged)
{
	for (int i = 0; i < 6; i++) {
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
