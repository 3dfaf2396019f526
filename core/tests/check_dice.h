/* SPDX-License-Identifier: MIT
 *
 * Random histories: dice that a key repeats, and what is shown of a history that a checker got wrong.
 */
#ifndef PLUMBLINE_CHECK_DICE_H
#define PLUMBLINE_CHECK_DICE_H

#include "check_build.h"
#include "hist/rng.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/random.h>

struct dice {
	uint64_t key, n;
};

static inline int roll(struct dice *d, int lo, int hi)
{
	return (int)pl_rand_range(d->key, d->n++, lo, hi);
}

static inline bool chance(struct dice *d, int percent)
{
	return roll(d, 1, 100) <= percent;
}

/* A seed that no run has had; what fails tells its key. */
static inline uint64_t seed_of_today(void)
{
	uint64_t seed = 1;

	(void)!getrandom(&seed, sizeof seed, 0);
	return seed;
}

/* Any record of the round, or NULL. */
static inline struct pl_rec *b_pick(struct round *b, struct dice *d)
{
	int who = roll(d, 0, b->nactors - 1);

	return b->n[who] ? &b->rec[who][roll(d, 0, (int)b->n[who] - 1)] : NULL;
}

/* One stamp of a record moves towards the other: intervals that shrink create alarms. False: there is no room, or none. */
static inline bool b_squeeze(struct pl_rec *r, struct dice *d)
{
	int64_t room = !r || r->state == PL_INVOKED ? 0 : r->t_return - r->t_invoke;

	if (room > 0 && chance(d, 50))
		r->t_return -= roll(d, 1, (int)room);
	else if (room > 0)
		r->t_invoke += roll(d, 1, (int)room);
	return room > 0;
}

static inline void b_dump(const struct round *b)
{
	fprintf(stderr, "  model %u, caps %x, capacity %llu, flags %x\n", b->head[0].model,
		b->head[0].caps, (unsigned long long)b->head[0].capacity,
		b->head[b->nactors].flags);
	for (int i = 0; i <= b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++) {
			const struct pl_rec *r = &b->rec[i][k];

			fprintf(stderr,
				"  %u %3u op %u state %u err %d ret %lld token %llx aux %llx "
				"[%lld %lld]\n",
				r->actor, r->seq, r->op, r->state, r->err, (long long)r->ret,
				(unsigned long long)r->token, (unsigned long long)r->aux,
				(long long)r->t_invoke, (long long)r->t_return);
		}
	fprintf(stderr, "  verdict: %s %s: %s\n", pl_outcome_name(b->v.outcome), b->v.rule,
		b->v.text);
}

/* A right history that shrinks by no more than the clock's error is never called wrong; is it in doubt? */
static inline bool b_unsure_when_shrunk(struct round *b, struct dice *d)
{
	enum { ERROR = 20 };

	b_shrink(b, d->key, ERROR);
	if (b_check_exact(b, ERROR)->outcome != PL_VIOLATED)
		b_check(b, ERROR);
	if (b->v.outcome == PL_VIOLATED)
		b_dump(b);
	cr_assert_neq(b->v.outcome, PL_VIOLATED, "false alarm, key 0x%llx: %s %s",
		(unsigned long long)d->key, b->v.rule, b->v.text);
	return b->v.outcome == PL_UNKNOWN;
}

/* Of a round that b_check has judged: the search says what brute force says. */
static inline void b_assert_search(struct round *b, bool allowed, uint64_t key)
{
	const char *why = b_search(b, allowed);

	if (why)
		b_dump(b);
	cr_assert_null(why, "%s, key 0x%llx", why, (unsigned long long)key);
}

#endif
