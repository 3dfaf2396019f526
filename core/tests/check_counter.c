/* SPDX-License-Identifier: MIT
 *
 * Claim: the checker of counters and sums says what brute force says. On small random histories, right ones and
 * spoilt ones, with deaths in mid-operation, amounts above one, capacities and drains, there is no alarm where some
 * order explains everything, and no miss unless returns of two actors share a stamp.
 */
#include "check_parts.h"
#include "check_play.h"
#include "check_trial.h"

struct world {
	struct play p;
	bool sum;
	int64_t value, cap;
	int64_t found[B_ACTORS]; /* what the operation gives; -1: it fails */
	bool waits[B_ACTORS];
	int most;
};

static void begin(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	int op = chance(p->d, 15) ? B_OBSERVE : chance(p->d, 50) ? B_PUT : B_TAKE;
	struct pl_rec *r = play_add(p, who, op);

	if (op == B_PUT || (op == B_TAKE && !w->sum))
		r->aux = (uint64_t)roll(p->d, 1, w->most);
	w->waits[who] = chance(p->d, 50);
}

/* It finds `k`, or what it wants cannot be had. */
static bool finds(struct world *w, int who, bool can, int64_t k)
{
	w->found[who] = can ? k : -1;
	return can || !w->waits[who];
}

static bool effect(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	const struct pl_rec *r = p->rec[who];
	int64_t k = w->sum && r->op == B_TAKE ? w->value : (int64_t)r->aux, was = w->value;

	if (r->op == B_OBSERVE)
		return finds(w, who, true, was);
	if (r->op == B_PUT) {
		w->value += was + k <= w->cap ? k : 0;
		return finds(w, who, was + k <= w->cap, k);
	}
	w->value -= k > 0 && was >= k ? k : 0;
	return finds(w, who, k > 0 && was >= k, k);
}

static void end(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	struct pl_rec *r = p->rec[who];

	if (w->found[who] < 0)
		b_fail(r, r->op == B_PUT ? EOVERFLOW : chance(p->d, 50) ? EAGAIN : ETIMEDOUT);
	else
		r->aux = (uint64_t)w->found[who];
}

static void take(struct play *p, int who)
{
	struct world *w = (struct world *)p;

	p->rec[who] = b_add(p->b, who, B_TAKE, PL_INVOKED, p->t, 0);
	p->rec[who]->aux = !w->sum;
	w->waits[who] = false;
}

/* Somebody alive empties it. */
static void empty(struct world *w)
{
	int drainer = -1;

	for (int i = 0; i < w->p.b->nactors; i++)
		drainer = w->p.phase[i] == IDLE ? i : drainer;
	if (drainer < 0 || w->value >= 8 || !chance(w->p.d, 60)) {
		w->p.b->head[w->p.b->nactors].flags &= ~(uint32_t)PL_HIST_DRAINED;
		return;
	}
	play_drain(&w->p, drainer, take);
	if (chance(w->p.d, 40)) /* poll(2) has said it instead */
		w->p.b->n[drainer]--;
}

static struct round *make(struct dice *d, enum pl_model model, bool deaths)
{
	static const struct acts acts = { begin, effect, end, NULL };
	struct round *b = b_new(model, roll(d, 2, 4));
	struct world w = { .p = { .acts = &acts, .b = b, .d = d, .t = 1 },
		.cap = INT64_MAX / 2,
		.sum = model == PL_MODEL_SUM };

	w.value = roll(d, 0, 2);
	w.most = chance(d, 60) ? 1 : 3;
	if (chance(d, 30)) {
		w.cap = roll(d, 2, 4);
		for (int i = 0; i < b->nactors; i++)
			b->head[i].capacity = (uint64_t)w.cap;
	}
	b_control(b, PL_OP_LEVEL, 0, 0, 0)->ret = w.value;
	w.p.left = roll(d, 3, 9);
	w.p.kills = deaths ? roll(d, 0, 2) : 0;
	play_run(&w.p, 30, 120);
	play_finish(&w.p);
	empty(&w);
	return b;
}

static struct round *make_counter(struct dice *d, bool deaths)
{
	return make(d, PL_MODEL_COUNTER, deaths);
}

static struct round *make_sum(struct dice *d, bool deaths)
{
	return make(d, PL_MODEL_SUM, deaths);
}

/* One stamp moves towards the other, or a result becomes another. */
static void spoil(struct round *b, struct dice *d)
{
	struct pl_rec *r = b_pick(b, d);

	if (!r || r->state == PL_INVOKED || (chance(d, 50) && b_squeeze(r, d)))
		return;
	if (r->op == B_OBSERVE || (r->op == B_TAKE && r->state == PL_OK && chance(d, 30))) {
		r->aux += (uint64_t)(r->aux > 1 && chance(d, 50) ? -1 : 1);
	} else if (r->op == B_TAKE && r->state == PL_OK) {
		b_fail(r, EAGAIN);
	} else if (r->op == B_TAKE) {
		r->state = PL_OK, r->err = 0, r->ret = 0;
		r->aux = r->aux ? r->aux : 1;
	} else if (r->state == PL_OK && chance(d, 50)) {
		b_fail(r, b->head[0].capacity ? EOVERFLOW : EINTR);
	}
}

static bool emptied(const struct round *b)
{
	return b->head[b->nactors].flags & PL_HIST_DRAINED;
}

Test(check_counter, counter)
{
	trial_run(&(struct trial){ "counter", make_counter, spoil, emptied, 0 }, 0x5eed05);
}

Test(check_counter, sum)
{
	trial_run(&(struct trial){ "sum", make_sum, spoil, emptied, 0 }, 0x5eed06);
}

/* Of these parts were once accused that prove nothing: a take that was cut off found too little without the puts that
 * were left out, a put that was cut off had to do what they did, or two takes ended at one stamp, when a put began. */
Test(check_counter, parts)
{
	static const uint64_t keys[] = { 0xda9e9e58488a9632, 0x72173f0b63ead04f, 0x682b24b3708be36f,
		0x5f8c15ba81e6659c, 0xf054491707cd694c, 0x47c29c21cbede786 };

	for (size_t i = 0; i < 4 * (sizeof keys / sizeof *keys); i++) {
		struct dice d = { .key = keys[i / 4] };
		struct round *b = make(&d, PL_MODEL_COUNTER, i & 1);

		for (int n = i & 2 ? roll(&d, 1, 2) : 0; n > 0; n--)
			spoil(b, &d);
		if (b_check(b, 0)->outcome == PL_HELD)
			b_assert_parts(b, keys[i / 4]);
		free(b);
	}
}
