/* SPDX-License-Identifier: MIT
 *
 * Claim: each rule of the lock checker accuses the smallest history that breaks it, and lets the same
 * history pass once the fault is taken out of it.
 */
#include "check_rules.h"

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

/* Sections that share hold together, but not beside one that does not; what is guarded stays as it is. */
RULE(OVERLAP_of_the_shared)
{
	for (uint32_t first = 0; first <= 2; first += 2)
		for (uint32_t second = 0; second <= 2; second += 2) {
			struct round *b = locked(false);

			section(b, 0, 8, 0, 60)->sum = first;
			section(b, 1, 8 + !first, 30, 80)->sum = second;
			section(b, 2, 10 - (first + second) / 2, 90, 95);
			(first && second ? green : red)(b, "OVERLAP");
		}
	for (int64_t to = 20; to <= 60; to += 40) { /* of three, the first is still there */
		struct round *b = locked(false);

		section(b, 0, 8, 0, to)->sum = PL_SUM_SHARED;
		section(b, 1, 8, 10, 20)->sum = PL_SUM_SHARED;
		section(b, 2, 8, 30, 80);
		(to == 60 ? red : green)(b, "OVERLAP");
	}
}

RULE(COUNTER_of_the_shared)
{
	for (uint64_t seen = 8; seen <= 9; seen++) {
		struct round *b = locked(false);

		section(b, 0, 8, 0, 10);
		section(b, 1, seen, 20, 40)->sum = PL_SUM_SHARED;
		section(b, 2, seen, 20, 40)->sum = PL_SUM_SHARED;
		(seen == 8 ? red : green)(b, "COUNTER");
	}
}

RULE(BADBUSY_of_the_shared)
{
	for (uint32_t shares = 0; shares <= 2; shares += 2)
		for (int64_t at = 10; at <= 40; at += 30) {
			struct round *b = locked(false);

			section(b, 0, 8, 0, 30)->sum = PL_SUM_SHARED;
			b_fail(b_add(b, 1, B_ACQUIRE, PL_OK, at, at + 10), EAGAIN)->sum = shares;
			(at == 10 && !shares ? green : red)(b, "BADBUSY");
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

/* Actor 2 is killed at 30, while 0 releases (or has not begun to), or 1 acquires. */
RULE(inheriting_lock_is_judged_until_a_death)
{
	for (int i = 0; i < 4; i++) {
		struct round *b = locked(false);
		bool robust = i == 3;

		for (int k = 0; k <= b->nactors; k++)
			b->head[k].caps |= PL_INHERIT | (robust ? PL_ROBUST : 0);
		b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
		b_add(b, 0, B_RELEASE, PL_OK, i == 1 ? 40 : 10, 45);
		b_add(b, 1, B_ACQUIRE, PL_OK, 12, i == 2 ? 50 : 20)->aux = 1;
		b_fail(b_add(b, 2, B_ACQUIRE, PL_OK, 22, 25), EBUSY);
		b_fail(b_add(b, 1, B_RELEASE, PL_OK, 60, 70), EPERM);
		b_kill(b, 2, 30, 35);
		(robust ? red : green)(b, "BADEPERM");
	}
}

static struct round *freed(void)
{
	struct round *b = locked(false);

	for (int i = 0; i <= b->nactors; i++)
		b->head[i].caps = PL_FREED;
	return b;
}

/* A file lock goes from the dead to the next without a word; but not before he died. */
RULE(FREED_by_a_death)
{
	for (int64_t killed = 10; killed <= 40; killed += 30) {
		struct round *b = freed();

		b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
		b_kill(b, 0, killed, killed + 40);
		b_add(b, 1, B_ACQUIRE, PL_OK, 20, 35);
		b_add(b, 1, B_RELEASE, PL_OK, 60, 65);
		(killed == 40 ? red : green)(b, "OVERLAP");
	}
	red(dead(false, 0, false, 0), "DEADHOLDER");
	red(dead(true, 0, false, 0), "DEADNONE");
}

/* Whoever died holding is no excuse for a refusal once he is reaped. */
RULE(BADBUSY_of_a_freed_lock)
{
	static const int err[] = { EAGAIN, EACCES };

	for (int64_t reaped = 20; reaped <= 30; reaped += 10)
		for (int i = 0; i < 2; i++) {
			struct round *b = freed();

			b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
			b_kill(b, 0, 10, reaped);
			b_fail(b_add(b, 1, B_ACQUIRE, PL_OK, 25, 40), err[i]);
			(reaped == 20 ? red : green)(b, "BADBUSY");
		}
	for (int i = 0; i < 2; i++) {
		struct round *b = freed();

		b_fail(b_add(b, 1, B_ACQUIRE, PL_OK, 25, 40), i ? EINTR : EAGAIN);
		(i ? green : red)(b, "BADBUSY");
	}
}

RULE(LOSTWAKE_after_a_death)
{
	for (int64_t reaped = 40; reaped <= 60; reaped += 20) {
		struct round *b = freed();

		b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
		b_add(b, 1, B_ACQUIRE, PL_INVOKED, 7, 0);
		b_kill(b, 0, 30, reaped);
		b_control(b, PL_OP_ASLEEP, 1, 50, 50)->aux = 0;
		b_kill(b, 1, 70, 80);
		(reaped == 40 ? red : green)(b, "LOSTWAKE");
	}
}

/* A waiter's death swallows no wake-up of a kernel's lock. */
RULE(LOSTWAKE_after_a_waiters_death)
{
	for (int kernel = 0; kernel < 2; kernel++) {
		struct round *b = kernel ? freed() : locked(true);

		b_add(b, 0, B_ACQUIRE, PL_OK, 0, 5);
		b_add(b, 0, B_RELEASE, PL_OK, 40, 45);
		b_add(b, 1, B_ACQUIRE, PL_INVOKED, 7, 0);
		b_add(b, 2, B_ACQUIRE, PL_INVOKED, 7, 0);
		b_kill(b, 2, 30, 35);
		b_control(b, PL_OP_ASLEEP, 1, 50, 50)->aux = 0;
		b_kill(b, 1, 60, 70);
		(kernel ? red : green)(b, "LOSTWAKE");
	}
}

/* What a death in the round before left half written is no proof for the first section. */
RULE(INSIDE_of_a_freed_lock)
{
	for (int second = 0; second < 2; second++) {
		struct round *b = freed();

		section(b, 0, 8, 0, 10)->sum = !second;
		section(b, 1, 9, 20, 30)->sum = (uint32_t)second;
		(second ? red : green)(b, "INSIDE");
	}
}
