/* SPDX-License-Identifier: MIT
 *
 * Who moves, and what a move is.
 */
#include "check_play.h"

struct pl_rec *play_add(struct play *p, int who, int op)
{
	int64_t at = chance(p->d, 60) && p->last[who] ? p->last[who] : p->t;

	p->rec[who] = b_add(p->b, who, op, PL_INVOKED, at, 0);
	return p->rec[who];
}

static void effect(struct play *p, int who)
{
	if (p->acts->effect(p, who))
		p->phase[who] = DONE;
}

static void end(struct play *p, int who)
{
	p->rec[who]->t_return = B_BASE + p->t;
	p->rec[who]->state = PL_OK;
	p->acts->end(p, who);
	p->phase[who] = IDLE;
	p->last[who] = p->t;
}

static void die(struct play *p, int who)
{
	b_control(p->b, PL_OP_KILL, (uint64_t)who, p->t, p->t);
	p->phase[who] = DEAD;
	p->kills--;
}

static void bury(struct play *p, int who)
{
	if (p->acts->bury)
		p->acts->bury(p, who);
	b_control(p->b, PL_OP_REAP, (uint64_t)who, p->t, p->t);
	p->phase[who] = BURIED;
}

static void move(struct play *p)
{
	int who = roll(p->d, 0, p->b->nactors - 1);

	p->t += chance(p->d, 25) ? 0 : roll(p->d, 1, 3);
	if (p->kills > 0 && p->phase[who] < DEAD && chance(p->d, 8)) {
		die(p, who);
	} else if (p->phase[who] == IDLE && p->left > 0) {
		p->acts->begin(p, who);
		p->phase[who] = BEGUN;
		p->left--;
	} else if (p->phase[who] == BEGUN) {
		effect(p, who);
	} else if (p->phase[who] == DONE) {
		end(p, who);
	} else if (p->phase[who] == DEAD && chance(p->d, 50)) {
		bury(p, who);
	}
}

void play_run(struct play *p, int least, int most)
{
	for (int i = 0; i < most && (p->left > 0 || i < least); i++)
		move(p);
}

void play_finish(struct play *p)
{
	for (int i = 0; i < p->b->nactors; i++) {
		p->t += 2;
		if (p->phase[i] == BEGUN)
			effect(p, i);
		if (p->phase[i] == DONE)
			end(p, i);
		if (p->phase[i] == BEGUN)
			die(p, i);
		if (p->phase[i] == DEAD)
			bury(p, i);
	}
}

void play_drain(struct play *p, int who, void (*take)(struct play *p, int who))
{
	p->t += 5;
	b_control(p->b, PL_OP_DRAIN, (uint64_t)who, p->t, p->t);
	do {
		take(p, who);
		(void)p->acts->effect(p, who);
		p->t += 2;
		end(p, who);
	} while (p->rec[who]->state == PL_OK);
}
