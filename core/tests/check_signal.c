/* SPDX-License-Identifier: MIT
 *
 * Claim: the checker of standard signals never calls wrong what brute force can explain. On small random histories,
 * right ones and spoilt ones, with merged sends, deaths and senders that were not told, there is no alarm where some
 * order of all operations gives every result. What it misses is counted.
 */
#include "check_oracle.h"
#include "check_play.h"
#include "check_trial.h"

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

struct world {
	struct play p;
	int pid[ORACLE_SIGNALS];	     /* by number: whose send is pending; 0: none */
	int signo[B_ACTORS], told[B_ACTORS]; /* what a take gives; -1: nothing was there */
	bool takes[B_ACTORS], waits[B_ACTORS];
};

static void begin(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	struct pl_rec *r = play_add(p, who, w->takes[who] ? B_TAKE : B_PUT);

	if (r->op == B_PUT)
		r->aux = (uint64_t)roll(p->d, 0, chance(p->d, 50) ? 0 : ORACLE_SIGNALS - 1);
	w->waits[who] = chance(p->d, 50);
}

static bool effect(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	struct pl_rec *r = p->rec[who];
	int n = roll(p->d, 0, ORACLE_SIGNALS - 1), i;

	w->signo[who] = -1;
	if (r->op == B_PUT && w->pid[r->aux] == 0)
		w->pid[r->aux] = PID + who;
	for (i = 0; r->op == B_TAKE && i < ORACLE_SIGNALS && !w->pid[n]; i++)
		n = (n + 1) % ORACLE_SIGNALS;
	if (r->op == B_TAKE && w->pid[n])
		w->signo[who] = n, w->told[who] = w->pid[n], w->pid[n] = 0;
	return r->op == B_PUT || w->signo[who] >= 0 || !w->waits[who];
}

static void end(struct play *p, int who)
{
	struct world *w = (struct world *)p;
	struct pl_rec *r = p->rec[who];

	if (r->op == B_PUT)
		return;
	if (w->signo[who] < 0) {
		b_fail(r, chance(p->d, 50) ? EAGAIN : ETIMEDOUT);
		return;
	}
	r->aux = (uint64_t)w->signo[who];
	r->token = chance(p->d, 10) ? 0 : (uint64_t)w->told[who];
}

static void take(struct play *p, int who)
{
	p->rec[who] = b_add(p->b, who, B_TAKE, PL_INVOKED, p->t, 0);
	((struct world *)p)->waits[who] = false;
}

/* Somebody alive who takes empties it. */
static void empty(struct world *w)
{
	int drainer = -1;

	for (int i = 0; i < w->p.b->nactors; i++)
		drainer = w->p.phase[i] == IDLE && w->takes[i] ? i : drainer;
	if (drainer >= 0 && chance(w->p.d, 60))
		play_drain(&w->p, drainer, take);
	else
		w->p.b->head[w->p.b->nactors].flags &= ~(uint32_t)PL_HIST_DRAINED;
}

static struct round *make(struct dice *d, bool deaths)
{
	static const struct acts acts = { begin, effect, end, NULL };
	int actors = roll(d, 2, 4), takers = actors > 2 && chance(d, 30) ? 2 : 1;
	struct world w = { .p = { .acts = &acts, .b = fresh(actors), .d = d, .t = 1 } };

	for (int i = 0; i < takers; i++)
		w.takes[actors - 1 - i] = true;
	w.p.left = roll(d, 3, 9);
	w.p.kills = deaths ? roll(d, 0, 2) : 0;
	play_run(&w.p, 30, 120);
	play_finish(&w.p);
	empty(&w);
	return w.p.b;
}

/* One stamp moves towards the other, or a result becomes another. */
static void spoil(struct round *b, struct dice *d)
{
	struct pl_rec *r = b_pick(b, d);

	if (!r || r->state == PL_INVOKED || (chance(d, 50) && b_squeeze(r, d)))
		return;
	if (r->op == B_PUT) {
		if (chance(d, 30))
			b_fail(r, EAGAIN);
		else
			r->aux = (uint64_t)roll(d, 0, ORACLE_SIGNALS - 1);
	} else if (r->state == PL_OK && chance(d, 40)) {
		b_fail(r, EAGAIN);
	} else {
		r->state = PL_OK, r->err = 0, r->ret = 0;
		r->aux = chance(d, 50) ? r->aux : (uint64_t)roll(d, 0, ORACLE_SIGNALS - 1);
		r->token = (uint64_t)(PID + roll(d, 0, b->nactors - 1));
	}
}

/* Whose pending set it was may have died with him, or before he did anything. */
static bool kept(const struct round *b)
{
	for (uint32_t i = 0; i < b->n[b->nactors]; i++) {
		const struct pl_rec *r = &b->rec[b->nactors][i];
		bool puts = false;

		for (uint32_t k = 0; r->op == PL_OP_REAP && k < b->n[r->token]; k++)
			puts |= b->rec[r->token][k].op == B_PUT;
		if (r->op == PL_OP_REAP && !puts)
			return false;
	}
	return b->head[b->nactors].flags & PL_HIST_DRAINED;
}

Test(check_signal, random)
{
	trial_run(&(struct trial){ "signal", make, spoil, kept, 80 }, 0x5eed07);
}
