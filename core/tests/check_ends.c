/* SPDX-License-Identifier: MIT
 *
 * Claim: of random rounds on an object whose ends are given up one after the other, right ones and spoilt ones, the
 * checker accuses none that can be explained, and misses nobody who was not told that the other side is gone; of those
 * who were told too early it misses some, for it goes by control's ends alone. What can be explained is found by going
 * through all instants at which the operation, and each closing, may have happened.
 */
#include "check_dice.h"

enum { ROUNDS = 10000, TIME = 200, NEVER = 1 << 20 };

struct holder {
	int who, end; /* who: an actor, or PL_CONTROL */
	int64_t closed;
};

struct world {
	struct round *b;
	struct dice *d;
	struct holder h[2 * B_ACTORS];
	int n;
	int64_t killed[B_ACTORS];
};

static void hold(struct world *w, int who, int end, int64_t closed)
{
	b_control(w->b, PL_OP_OPEN, (uint64_t)who, 0, 0)->aux = (uint64_t)end;
	w->h[w->n++] = (struct holder){ who, end, closed };
}

static bool anybody(const struct world *w, int end, int64_t t)
{
	for (int i = 0; i < w->n; i++)
		if (w->h[i].end == end && w->h[i].closed > t)
			return true;
	return false;
}

/* Control has some ends and releases some of those; each actor has some, and some die, those of one side mostly. */
static void share_out(struct world *w)
{
	int side = roll(w->d, 0, 1);

	for (int end = 0; end < 2; end++) {
		int64_t from = chance(w->d, 80) ? roll(w->d, 0, TIME / 2) : NEVER;
		int64_t to = from + roll(w->d, 0, 5);

		if (chance(w->d, 60))
			continue;
		hold(w, PL_CONTROL, end, from == NEVER ? NEVER : roll(w->d, (int)from, (int)to));
		if (from < NEVER)
			b_control(w->b, PL_OP_RELEASE, PL_CONTROL, from, to)->aux = (uint64_t)end;
	}
	for (int i = 0; i < w->b->nactors; i++) {
		int ends = chance(w->d, 15) ? 3 : 1 + (i & 1);
		int64_t kill = chance(w->d, ends == 1 << side ? 80 : 25)
				       ? roll(w->d, 1, ends == 1 << side ? TIME / 2 : TIME)
				       : NEVER;
		int64_t reap = kill + roll(w->d, 0, 20);
		int64_t closed = kill < NEVER ? roll(w->d, (int)kill, (int)reap) : NEVER;

		w->killed[i] = kill;
		for (int end = 0; end < 2; end++)
			if (ends >> end & 1)
				hold(w, i, end, closed);
		if (kill < NEVER)
			b_kill(w->b, i, kill, reap);
	}
}

static bool has(const struct world *w, int who, int end)
{
	for (int i = 0; i < w->n; i++)
		if (w->h[i].who == who && w->h[i].end == end)
			return true;
	return false;
}

/* What it gives at this instant: only who finds neither bytes nor room learns who is there. */
static void give(struct world *w, struct pl_rec *r, int64_t at)
{
	bool takes = r->op == B_TAKE, there = anybody(w, takes, at);

	if (takes ? chance(w->d, 30) : there && chance(w->d, 60))
		r->ret = 64;
	else if (there)
		b_fail(r, EAGAIN);
	else if (!takes)
		b_fail(r, EPIPE);
}

static void act(struct world *w, int who)
{
	int64_t t = roll(w->d, 0, 20), over = w->killed[who] < TIME ? w->killed[who] : TIME;

	while (t < over) {
		bool takes = has(w, who, 0) && (!has(w, who, 1) || chance(w->d, 50));
		int64_t to = t + roll(w->d, 0, 15), at = roll(w->d, (int)t, (int)to);
		struct pl_rec *r = b_add(w->b, who, takes ? B_TAKE : B_PUT, PL_OK, t, to);

		r->len = 64;
		if (to >= over) {
			b_pend(r);
			at = roll(w->d, (int)t, (int)over);
			if (anybody(w, takes, at))
				b_control(w->b, PL_OP_ASLEEP, (uint64_t)who, at, at)->aux = r->seq;
			return;
		}
		give(w, r, at);
		t = to + roll(w->d, 0, 10);
	}
}

static struct round *make(struct dice *d)
{
	struct world w = { .b = b_new(PL_MODEL_NONE, roll(d, 2, 4)), .d = d };

	if (chance(d, 90))
		w.b->head[w.b->nactors].flags |= PL_HIST_HELD;
	share_out(&w);
	for (int i = 0; i < w.b->nactors; i++)
		act(&w, i);
	return w.b;
}

/* ---- what can be explained ---- */

static bool is_note(const struct pl_rec *r, int op, uint64_t who)
{
	return r->op == op && r->token == who;
}

/* When holder i of the notes closed at the earliest and at the latest. */
static void window(
	const struct round *b, const struct pl_rec *open, int64_t *ret_lo, int64_t *ret_hi)
{
	bool control = open->token == PL_CONTROL;

	*ret_lo = *ret_hi = NEVER;
	for (uint32_t i = 0; i < b->n[b->nactors]; i++) {
		const struct pl_rec *r = &b->rec[b->nactors][i];

		if (control && is_note(r, PL_OP_RELEASE, PL_CONTROL) && r->aux == open->aux)
			*ret_lo = r->t_invoke, *ret_hi = r->t_return;
		if (!control && is_note(r, PL_OP_KILL, open->token))
			*ret_lo = r->t_invoke;
		if (!control && is_note(r, PL_OP_REAP, open->token))
			*ret_hi = r->t_return;
	}
}

/* Whether at instant t somebody, or nobody, may have had the end. */
static bool may_be(const struct round *b, uint64_t end, bool somebody, int64_t t)
{
	for (uint32_t i = 0; i < b->n[b->nactors]; i++) {
		const struct pl_rec *r = &b->rec[b->nactors][i];
		int64_t lo, hi;
		bool had = false, gone = false;

		if (r->op != PL_OP_OPEN || r->aux != end)
			continue;
		window(b, r, &lo, &hi);
		for (int64_t at = lo; at <= hi; at++)
			had |= at >= t, gone |= at <= t;
		if (somebody && had)
			return true;
		if (!somebody && !gone)
			return false;
	}
	return !somebody;
}

/* NULL, or the rule that is broken. */
static const char *broken(const struct round *b, const struct pl_rec *r)
{
	bool takes = r->op == B_TAKE, nothing = r->state == PL_FAIL && r->err == EAGAIN;
	bool gone = takes ? r->state == PL_OK && r->ret == 0 : r->state == PL_FAIL && !nothing;
	bool there = nothing || (!takes && r->state == PL_OK);

	for (int64_t t = r->t_invoke; t <= r->t_return; t++)
		if ((!gone && !there) || may_be(b, takes, there, t))
			return NULL;
	if (there)
		return !(b->head[b->nactors].flags & PL_HIST_HELD) ? NULL
		       : takes					   ? "NOEOF"
								   : "NOPIPE";
	return r->state == PL_INVOKED ? NULL : takes ? "BADEOF" : "BADPIPE";
}

static const char *broken_by_sleep(const struct round *b, const struct pl_rec *asleep)
{
	const struct pl_rec *r = &b->rec[asleep->token][asleep->aux];
	bool takes = r->op == B_TAKE;

	if (r->state != PL_INVOKED || r->t_invoke > asleep->t_invoke)
		return NULL;
	if (!(b->head[b->nactors].flags & PL_HIST_HELD) || may_be(b, takes, true, asleep->t_invoke))
		return NULL;
	return takes ? "NOEOF" : "NOPIPE";
}

/* Of the rules that are broken, those that nobody may miss come first. */
static const char *explain(const struct round *b)
{
	const char *worst = NULL;

	for (int i = 0; i <= b->nactors; i++)
		for (uint32_t k = 0; k < b->n[i]; k++) {
			const struct pl_rec *r = &b->rec[i][k];
			const char *rule = i < b->nactors	   ? broken(b, r)
					   : r->op == PL_OP_ASLEEP ? broken_by_sleep(b, r)
								   : NULL;

			if (rule && (!worst || rule[0] == 'N'))
				worst = rule;
		}
	return worst;
}

static void spoil(struct round *b, struct dice *d)
{
	struct pl_rec *r = b_pick(b, d);
	struct pl_rec *c = &b->rec[b->nactors][roll(d, 0, (int)b->n[b->nactors] - 1)];
	int64_t room = r && r->state != PL_INVOKED ? r->t_return - r->t_invoke : 0;

	if (r && r->state != PL_INVOKED && chance(d, 60)) {
		r->state = PL_OK, r->err = 0, r->ret = 0;
		if (chance(d, 60))
			b_fail(r, r->op == B_TAKE || chance(d, 50) ? EAGAIN : EPIPE);
	}
	if (room > 0 && chance(d, 50))
		r->t_invoke += roll(d, 0, (int)room);
	if (b->n[b->nactors] && (c->op == PL_OP_RELEASE || c->op == PL_OP_REAP) && chance(d, 50))
		c->t_return = c->t_invoke;
}

static void judge(uint64_t seed)
{
	int wrong = 0, must = 0, missed = 0;

	for (int i = 0; i < 2 * ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		struct round *b = make(&d);
		const char *rule;

		for (int k = i & 1 && b->n[b->nactors] ? roll(&d, 1, 3) : 0; k > 0; k--)
			spoil(b, &d);
		rule = explain(b);
		b_check(b, 0);
		if ((i & 1) == 0)
			cr_assert_null(rule, "key 0x%llx", (unsigned long long)d.key);
		if (!rule && b->v.outcome == PL_VIOLATED)
			b_dump(b);
		cr_assert(rule || b->v.outcome != PL_VIOLATED, "false alarm %s, key 0x%llx",
			b->v.rule, (unsigned long long)d.key);
		wrong += rule != NULL;
		must += rule && rule[0] == 'N';
		if (rule && rule[0] == 'N' && b->v.outcome != PL_VIOLATED)
			b_dump(b);
		cr_assert(!(rule && rule[0] == 'N') || b->v.outcome == PL_VIOLATED,
			"%s missed, key 0x%llx", rule, (unsigned long long)d.key);
		missed += rule && b->v.outcome != PL_VIOLATED;
		free(b);
	}
	fprintf(stderr, "ends, seed 0x%llx: %d wrong, of which %d NOEOF or NOPIPE; %d missed\n",
		(unsigned long long)seed, wrong, must, missed);
	cr_assert_gt(must, ROUNDS / 20, "too few to show anything: %d", must);
	cr_assert_leq(missed * 100, wrong * 65, "%d of %d missed", missed, wrong);
}

Test(check_ends, like_brute_force)
{
	judge(0x5eed08);
	judge(seed_of_today());
}

/* What shrinks by no more than the clock's error is never called wrong. */
Test(check_ends, late_clocks)
{
	uint64_t seed = seed_of_today();

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		struct round *b = make(&d);

		(void)b_unsure_when_shrunk(b, &d);
		free(b);
	}
}
