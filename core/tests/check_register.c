/* SPDX-License-Identifier: MIT
 *
 * Claim: the register's checker says what brute force says. On small random histories, right ones and spoilt ones,
 * with deaths in mid-operation, there is no alarm where some order explains everything, and no miss unless returns of
 * two actors share a stamp. And each rule accuses the smallest history that breaks it, and lets its twin pass.
 */
#include "check_play.h"
#include "check_rules.h"
#include "check_trial.h"

#include "check/slots.h"

enum { BEFORE = 0x77 };

static struct pl_rec *store(struct round *b, int who, int n, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_PUT, PL_OK, inv, ret);

	r->token = b_token(n);
	return r;
}

static struct pl_rec *load(struct round *b, int who, uint64_t token, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_OBSERVE, PL_OK, inv, ret);

	r->token = token;
	return r;
}

static struct pl_rec *update(
	struct round *b, int who, int n, uint64_t found, int64_t inv, int64_t ret)
{
	struct pl_rec *r = b_add(b, who, B_UPDATE, PL_OK, inv, ret);

	r->token = b_token(n), r->aux = found;
	return r;
}

static struct round *fresh(void)
{
	return b_new(PL_MODEL_REGISTER, 3);
}

RULE(FRESH)
{
	for (int64_t began = 20; began <= 30; began += 10) { /* equal stamps: concurrent */
		struct round *b = fresh();

		store(b, 0, 1, began, 50);
		load(b, 1, b_token(1), 5, 20);
		(began == 30 ? red : green)(b, "FRESH");
	}
	for (uint64_t second = BEFORE; second <= BEFORE + 1; second++) {
		struct round *b = fresh();

		load(b, 1, BEFORE, 5, 20);
		update(b, 2, 1, second, 5, 20);
		(second == BEFORE ? green : red)(b, "FRESH");
	}
	for (int64_t began = 20; began <= 40; began += 20) { /* seen through what replaced it */
		struct round *b = fresh();

		store(b, 0, 1, began, 50);
		update(b, 1, 2, b_token(1), 5, 30);
		(began == 40 ? red : green)(b, "FRESH");
	}
}

RULE(FAILED)
{
	for (int again = 0; again < 2; again++) {
		struct round *b = fresh();

		b_fail(store(b, 0, 1, 0, 10), EIO);
		if (again)
			store(b, 0, 1, 10, 20);
		load(b, 1, b_token(1), 20, 30);
		(again ? green : red)(b, "FAILED");
	}
}

RULE(LOSTUPDATE)
{
	for (int other = 0; other < 2; other++) {
		struct round *b = fresh();

		store(b, 0, 1, 0, 10);
		update(b, 1, 2, b_token(1), 20, 50);
		update(b, 2, 3, b_token(other ? 2 : 1), 20, 50);
		(other ? green : red)(b, "LOSTUPDATE");
	}
}

RULE(LOOP)
{
	for (int ring = 0; ring < 2; ring++) {
		struct round *b = fresh();

		update(b, 0, 1, ring ? b_token(3) : BEFORE, 0, 50);
		update(b, 1, 2, b_token(1), 0, 50);
		update(b, 2, 3, b_token(2), 0, 50);
		(ring ? red : green)(b, "LOOP");
	}
}

RULE(STALE)
{
	for (int64_t began = 30; began <= 50; began += 20) { /* a plain stale load */
		struct round *b = fresh();

		store(b, 0, 1, 0, 10);
		store(b, 1, 2, 20, 40);
		load(b, 2, b_token(1), began, 60);
		(began == 50 ? red : green)(b, "STALE");
	}
	for (int n = 1; n <= 2; n++) { /* the value of before comes back */
		struct round *b = fresh();

		load(b, 0, BEFORE, 0, 10);
		store(b, 1, 2, 20, 40);
		load(b, 2, n == 1 ? BEFORE : b_token(2), 50, 60);
		(n == 1 ? red : green)(b, "STALE");
	}
	for (int n = 1; n <= 2; n++) { /* two loads disagree about two stores at once */
		struct round *b = fresh();

		store(b, 0, 1, 0, 100);
		store(b, 1, 2, 0, 100);
		load(b, 2, b_token(1), 110, 120);
		load(b, 2, b_token(n), 130, 140);
		load(b, 0, b_token(n == 2 ? 1 : n), 150, 160);
		(n == 2 ? red : green)(b, "STALE");
	}
	for (int n = 1; n <= 2; n++) { /* within a chain of updates */
		struct round *b = fresh();

		update(b, 0, 1, BEFORE, 0, 10);
		update(b, 1, 2, b_token(1), 10, 20);
		load(b, 2, b_token(n), 30, 40);
		(n == 1 ? red : green)(b, "STALE");
	}
}

/* A store cut off by a kill may take effect until the reap, and then counts as done. */
RULE(killed_store)
{
	for (int late = 0; late < 3; late++) {
		struct round *b = fresh();

		store(b, 0, 1, 0, 10);
		b_pend(store(b, 1, 2, 20, 0));
		load(b, 0, b_token(1), 30, 40);
		load(b, 0, b_token(2), late == 2 ? 50 : 70, 80);
		load(b, 2, b_token(late == 0 ? 2 : 1), 90, 100);
		b_kill(b, 1, 45, 60);
		(late == 0 ? green : red)(b, "STALE");
	}
}

/* ---- random histories ---- */

struct world {
	struct play p;
	uint64_t value, found[B_ACTORS];
	int numbers, updates;
};

static void begin(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	int op = chance(p->d, 40) ? B_OBSERVE : chance(p->d, w->updates) ? B_UPDATE : B_PUT;

	play_add(p, who, op)->token = op == B_OBSERVE ? 0 : b_token(++w->numbers);
}

static bool effect(struct play *p, int who)
{
	struct world *w = (struct world *)p;

	w->found[who] = w->value;
	if (p->rec[who]->op != B_OBSERVE)
		w->value = p->rec[who]->token;
	return true;
}

static void end(struct play *p, int who)
{
	uint64_t found = ((struct world *)p)->found[who];
	struct pl_rec *r = p->rec[who];

	*(r->op == B_OBSERVE ? &r->token : &r->aux) = r->op == B_PUT ? 0 : found;
}

static struct round *make(struct dice *d, bool deaths)
{
	static const struct acts acts = { begin, effect, end, NULL };
	struct world w = { .p = { .acts = &acts, .d = d, .t = 1 }, .value = BEFORE };

	w.p.b = b_new(PL_MODEL_REGISTER, roll(d, 2, 4));
	w.p.left = roll(d, 3, 10);
	w.p.kills = deaths ? roll(d, 0, 2) : 0;
	w.updates = chance(d, 30) ? 100 : roll(d, 0, 70);
	play_run(&w.p, 400, 400);
	return w.p.b;
}

/* One stamp moves towards the other, or a result becomes another's. */
static void spoil(struct round *b, struct dice *d)
{
	struct pl_rec *r = b_pick(b, d), *o = b_pick(b, d);

	if (!r || !o || r->state != PL_OK || (chance(d, 40) && b_squeeze(r, d)))
		return;
	if (r->op == B_OBSERVE) {
		r->token = chance(d, 5)			     ? 0x99
			   : o->op == B_PUT || chance(d, 50) ? o->token
							     : o->aux;
	} else if (r->op == B_UPDATE) {
		r->aux = chance(d, 5) ? 0x99 : o->token;
	} else if (chance(d, 20)) {
		b_fail(r, EIO);
	}
}

Test(check_register, random)
{
	trial_run(&(struct trial){ "register", make, spoil, NULL, 0 }, 0x5eed04);
}

/* Or a lookup would go round for ever in a table that is not full. */
Test(check_register, a_lookup_comes_by_every_slot)
{
	for (uint32_t mask = 63; mask < 5000; mask = 2 * mask + 1) {
		uint32_t first = pl_slot_first(mask, mask), i = first, seen = 0;

		do
			i = pl_slot_next(i, mask);
		while (++seen <= mask && i != first);
		cr_expect_eq(seen, mask + 1, "%u of %u", seen, mask + 1);
	}
}
