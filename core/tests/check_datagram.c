/* SPDX-License-Identifier: MIT
 *
 * Claim: the checker of datagrams says what brute force says. On small random histories, right ones and spoilt ones,
 * with losses, repeats and deaths, there is no alarm where some order explains everything, and no miss. And each rule
 * accuses the smallest history that breaks it, and lets its twin pass.
 */
#include "check_play.h"
#include "check_rules.h"
#include "check_trial.h"

static struct round *fresh(void)
{
	return b_new(PL_MODEL_DATAGRAM, 3);
}

RULE(datagrams_may_do_much)
{
	struct round *b = fresh();

	b_put(b, 0, 1, 0, 10); /* lost */
	b_put(b, 0, 2, 10, 20);
	b_put(b, 0, 3, 20, 30);
	b_take(b, 1, 3, 30, 40); /* before the one sent earlier */
	b_take(b, 1, 2, 40, 50);
	b_take(b, 2, 2, 50, 60); /* twice */
	b_fail(b_take(b, 2, 0, 60, 70), EAGAIN);
	green(b, "VFRESH");
}

RULE(VFRESH_of_datagrams)
{
	for (int64_t began = 20; began <= 40; began += 20) {
		struct round *b = fresh();

		b_put(b, 0, 1, began, 60);
		b_take(b, 1, 1, 10, 30);
		(began == 40 ? red : green)(b, "VFRESH");
	}
	for (int nobody = 0; nobody < 2; nobody++) {
		struct round *b = fresh();

		b_put(b, 0, 1, 0, 10);
		b_take(b, 1, nobody ? 2 : 1, 20, 30);
		(nobody ? red : green)(b, "VFRESH");
	}
}

/* With PL_LATE what has a lower number than all of its actor is of before; a higher one is nobody's. */
RULE(datagrams_of_the_round_before)
{
	for (int n = 1; n <= 3; n++) {
		struct round *b = fresh();

		for (int i = 0; i <= 3; i++)
			b->head[i].caps = PL_LATE;
		b_put(b, 0, 2, 0, 10);
		b_take(b, 1, n, 20, 30);
		(n == 3 ? red : green)(b, "VFRESH");
	}
}

RULE(VFAILED_of_datagrams)
{
	for (int again = 0; again < 2; again++) {
		struct round *b = fresh();

		b_fail(b_put(b, 0, 1, 0, 10), EINTR);
		if (again)
			b_put(b, 0, 1, 10, 20);
		b_take(b, 1, 1, 20, 30);
		(again ? green : red)(b, "VFAILED");
	}
}

RULE(VCORRUPT_is_no_strangers)
{
	for (uint64_t from = 5000; from < 5002; from++) {
		struct round *b = fresh();
		struct pl_rec *r;

		b_put(b, 0, 1, 0, 10);
		b_take(b, 1, 1, 20, 30)->aux = 5000;
		r = b_take(b, 1, 2, 30, 40);
		r->token = 0, r->len = 128, r->aux = from;
		(from == 5000 ? red : green)(b, "VCORRUPT");
	}
}

RULE(VCORRUPT_of_datagrams)
{
	for (int what = 0; what < 4; what++) {
		struct round *b = fresh();
		struct pl_rec *r;

		b_put(b, 0, 1, 0, 10);
		r = b_take(b, 1, 1, 20, 30);
		if (what == 1) /* cut short */
			r->ret = 32;
		if (what >= 2) /* no payload at all; or cut off by a buffer that it fills */
			r->token = 0, r->len = what == 3 ? 64 : 128;
		(what == 1 || what == 2 ? red : green)(b, "VCORRUPT");
	}
}

RULE(VSOURCE)
{
	for (int other = 0; other < 2; other++) {
		struct round *b = fresh();

		b_put(b, 0, 1, 0, 10);
		b_put(b, 0, 2, 10, 20);
		b_put(b, 2, 3, 0, 10);
		b_take(b, 1, 1, 20, 30)->aux = 4711;
		b_take(b, 1, 3, 30, 40)->aux = 4712; /* another actor's */
		b_take(b, 1, 2, 40, 50)->aux = other ? 4712 : 4711;
		(other ? red : green)(b, "VSOURCE");
	}
}

/* ---- random histories ---- */

struct world {
	struct play p;
	uint64_t sent[B_RECS], found[B_ACTORS];
	int numbers, nsent;
};

static void begin(struct play *p, int who)
{
	int op = chance(p->d, 50) ? B_TAKE : B_PUT;
	struct pl_rec *r = play_add(p, who, op);

	r->token = op == B_TAKE ? 0 : b_token(++((struct world *)p)->numbers);
	r->len = op == B_TAKE ? 128 : 64;
}

/* Any datagram sent so far, as often as it likes; or none. */
static bool effect(struct play *p, int who)
{
	struct world *w = (struct world *)p;

	w->found[who] = 0;
	if (p->rec[who]->op == B_PUT)
		w->sent[w->nsent++] = p->rec[who]->token;
	else if (w->nsent > 0 && chance(p->d, 80))
		w->found[who] = w->sent[roll(p->d, 0, w->nsent - 1)];
	return true;
}

static void end(struct play *p, int who)
{
	struct pl_rec *r = p->rec[who];

	r->ret = 64;
	if (r->op == B_PUT)
		return;
	r->token = ((struct world *)p)->found[who];
	if (!r->token)
		b_fail(r, EAGAIN);
}

static struct round *make(struct dice *d, bool deaths)
{
	static const struct acts acts = { begin, effect, end, NULL };
	struct world w = { .p = { .acts = &acts, .d = d, .t = 1 } };

	w.p.b = b_new(PL_MODEL_DATAGRAM, roll(d, 2, 4));
	w.p.left = roll(d, 3, 10);
	w.p.kills = deaths ? roll(d, 0, 2) : 0;
	play_run(&w.p, 400, 400);
	return w.p.b;
}

/* One stamp moves towards the other, a take gets another's result, a put fails after all. */
static void spoil(struct round *b, struct dice *d)
{
	struct pl_rec *r = b_pick(b, d), *o = b_pick(b, d);

	if (!r || !o || r->state != PL_OK || (chance(d, 40) && b_squeeze(r, d)))
		return;
	if (r->op == B_TAKE) {
		r->token = chance(d, 10) ? b_token(99) : o->token ? o->token : r->token;
	} else if (chance(d, 50)) {
		b_fail(r, EIO);
	}
}

Test(check_datagram, random)
{
	trial_run(&(struct trial){ "datagram", make, spoil, NULL, 0 }, 0x5eed04);
}
