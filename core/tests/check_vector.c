/* SPDX-License-Identifier: MIT
 *
 * Claim: the checker of vectors says what brute force says. On small random histories, right ones and spoilt ones, with
 * deaths in mid-operation that give back what was held or do not, and with what control read, there is no alarm where
 * some order explains everything, and no miss unless returns of two actors share a stamp. Of what it finds the bounds
 * alone find nearly all.
 */
#include "check_play.h"
#include "check_trial.h"

enum { ROUNDS = 10000, DEPTH = 2 };

struct world {
	struct play p;
	int have[PL_PLACES], places;
	bool freed, waits[B_ACTORS], fails[B_ACTORS];
	int64_t form[B_ACTORS][DEPTH]; /* what is held, in the order in which it was taken */
	int depth[B_ACTORS];
	uint64_t saw[B_ACTORS];
};

static uint64_t all_of(const struct world *w)
{
	unsigned short v[PL_PLACES];

	for (int i = 0; i < PL_PLACES; i++)
		v[i] = (unsigned short)w->have[i];
	return pl_places(v);
}

static bool enough(const struct world *w, int64_t form)
{
	for (int i = 0; i < PL_PLACES; i++)
		if (w->have[i] < (int)pl_of_place(form, i))
			return false;
	return true;
}

static void move(struct world *w, int64_t form, int sign)
{
	for (int i = 0; i < PL_PLACES; i++)
		w->have[i] += sign * (int)pl_of_place(form, i);
}

static int64_t any_form(struct world *w)
{
	int64_t form = 0;

	for (int i = 0; i < w->places; i++)
		form |= (int64_t)(chance(w->p.d, 60) ? roll(w->p.d, 0, 2) : 0) << (2 * i);
	return form ? form : 1;
}

static void give_back(struct play *p, int who)
{
	struct world *w = (struct world *)p;

	while (w->freed && w->depth[who] > 0)
		move(w, w->form[who][--w->depth[who]], 1);
}

static void read_all(struct world *w)
{
	int64_t at = w->p.t, saw = (int64_t)all_of(w);

	w->p.t += roll(w->p.d, 0, 2);
	b_control(w->p.b, PL_OP_LEVEL, 0, at, w->p.t)->ret = saw;
}

/* Before it the dead may give back, and control may read. */
static void begin(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	int depth = w->depth[who], op = B_ACQUIRE;
	struct pl_rec *r;

	for (int i = 0; i < p->b->nactors; i++)
		if (p->phase[i] == DEAD && chance(p->d, 40))
			give_back(p, i);
	if (chance(p->d, 6))
		read_all(w);
	if (chance(p->d, 25))
		op = B_OBSERVE;
	else if (depth == DEPTH || (depth && chance(p->d, 80)))
		op = B_RELEASE;
	r = play_add(p, who, op);
	if (op != B_OBSERVE)
		r->sum = (uint32_t)(op == B_ACQUIRE ? any_form(w) : w->form[who][depth - 1]) << 1;
	w->waits[who] = chance(p->d, 50);
	w->fails[who] = false;
}

static bool effect(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	int64_t form = p->rec[who]->sum >> 1;

	if (p->rec[who]->op == B_OBSERVE) {
		w->saw[who] = all_of(w);
	} else if (p->rec[who]->op == B_RELEASE) {
		move(w, form, 1);
		w->depth[who]--;
	} else if (enough(w, form)) {
		move(w, form, -1);
		w->form[who][w->depth[who]++] = form;
	} else {
		w->fails[who] = true;
		return !w->waits[who];
	}
	w->fails[who] = false;
	return true;
}

static void end(struct play *p, int who)
{
	struct world *w = (struct world *)p;

	if (w->fails[who])
		b_fail(p->rec[who], EAGAIN);
	if (p->rec[who]->op == B_OBSERVE)
		p->rec[who]->aux = w->saw[who];
}

static struct round *make(struct dice *d, bool deaths)
{
	static const struct acts acts = { begin, effect, end, give_back };
	struct round *b = b_new(PL_MODEL_VECTOR, roll(d, 2, 4));
	struct world w = { .p = { .acts = &acts, .b = b, .d = d, .t = 1 },
		.freed = chance(d, 70),
		.places = roll(d, 2, PL_PLACES) };

	for (int i = 0; i < w.places; i++)
		w.have[i] = roll(d, 1, 3);
	for (int i = 0; i <= b->nactors; i++) {
		b->head[i].capacity = all_of(&w);
		b->head[i].caps = w.freed ? PL_FREED : 0;
	}
	b_control(b, PL_OP_LEVEL, 0, 0, 0)->ret = (int64_t)all_of(&w);
	w.p.left = roll(d, 3, 10);
	w.p.kills = deaths ? roll(d, 0, 2) : 0;
	play_run(&w.p, 30, 120);
	play_finish(&w.p);
	w.p.t += 2;
	if (chance(d, 70))
		read_all(&w);
	return b;
}

static uint64_t other(struct dice *d, uint64_t places)
{
	uint64_t one = (uint64_t)1 << (16 * roll(d, 0, PL_PLACES - 1));

	return (places & (one * 0xffff)) && chance(d, 50) ? places - one : places + one;
}

/* Another form, of what was taken and of what gave it back. */
static void spoil_form(struct pl_rec *r, struct dice *d)
{
	uint32_t was = r->sum, bit = 2U << roll(d, 0, 2 * PL_PLACES - 1);
	struct pl_rec *back = r + 1;

	while (back->state != 0 && back->op == B_OBSERVE)
		back++;
	if (back->op != B_RELEASE || back->sum != was)
		return;
	r->sum ^= bit;
	back->sum ^= bit;
}

/* A stamp moves, or a result becomes another. What is given back stays what was taken. */
static void spoil(struct round *b, struct dice *d)
{
	struct pl_rec *r = b_pick(b, d);
	struct pl_rec *last = &b->rec[b->nactors][b->n[b->nactors] - 1];

	if (chance(d, 10) && last->op == PL_OP_LEVEL && b->n[b->nactors] > 1)
		last->ret = (int64_t)other(d, (uint64_t)last->ret);
	if (!r || r->state == PL_INVOKED || (chance(d, 40) && b_squeeze(r, d)))
		return;
	if (r->op == B_OBSERVE)
		r->aux = other(d, r->aux);
	else if (r->op == B_ACQUIRE && r->state == PL_FAIL)
		r->state = PL_OK, r->err = 0, r->ret = 0;
	else if (r->op == B_ACQUIRE && r[1].state == 0)
		b_fail(r, EAGAIN);
	else if (r->op == B_ACQUIRE)
		spoil_form(r, d);
	else if (r->state == PL_OK)
		b_fail(r, EINTR);
}

Test(check_vector, brute_force)
{
	trial_run(&(struct trial){ "vector", make, spoil, NULL, 0 }, 0x5eed07);
}

/* They are all that is asked where a search would be more than can be done. */
Test(check_vector, bounds_alone)
{
	uint64_t seed = seed_of_today();
	int wrong = 0, searched = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct dice d = { .key = pl_rand(seed, (uint64_t)i) };
		struct round *b = make(&d, i % 2);

		spoil(b, &d);
		wrong += b_check(b, 0)->outcome == PL_VIOLATED;
		searched += !strcmp(b->v.rule, "NOORDER");
		free(b);
	}
	fprintf(stderr, "seed 0x%llx: %d wrong, %d of them not by bounds\n",
		(unsigned long long)seed, wrong, searched);
	cr_assert_gt(wrong, ROUNDS / 20, "too few wrong histories to show anything: %d", wrong);
	cr_assert_lt(searched * 100, wrong * 10, "the bounds miss %d of %d", searched, wrong);
}
