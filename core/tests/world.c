/* SPDX-License-Identifier: MIT
 *
 * One object and its actors, made up: histories that are right.
 */
#include "world.h"

#include "hist/payload.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

static uint64_t roll(struct world *w, uint64_t below)
{
	return w->roll(w->arg) % below;
}

static struct pl_rec *add(struct world *w, int who, int op)
{
	struct pl_rec *r = &w->rec[who][w->n[who]];

	/* It began when the actor's last one ended, and took effect now. */
	*r = (struct pl_rec){ .seq = (uint32_t)w->n[who]++,
		.actor = (uint16_t)who,
		.op = (uint8_t)op,
		.state = PL_OK,
		.t_invoke = w->free_at[who],
		.t_return = w->now + 1 + (int64_t)roll(w, 600) };
	w->free_at[who] = r->t_return;
	w->made++;
	return r;
}

static void put(struct world *w, int who)
{
	struct pl_rec *r = add(w, who, 0);
	int at = w->depth;

	r->token = pl_token((unsigned)who, 0, ++w->number[who]);
	r->len = 64;
	r->ret = w->model == PL_MODEL_STREAM ? 64 : 0;
	r->aux = w->model == PL_MODEL_PRIORITY ? roll(w, 4) : 0;
	for (; w->model == PL_MODEL_PRIORITY && at > 0 && w->q[at - 1].tag < r->aux; at--)
		w->q[at] = w->q[at - 1];
	w->q[at] = (struct world_value){ r->token, r->aux };
	w->depth++;
}

static void take(struct world *w, int who)
{
	struct pl_rec *r = add(w, who, 1);

	r->ret = 64;
	r->len = 64;
	if (w->model == PL_MODEL_STREAM) {
		struct pl_more *m = (struct pl_more *)&w->rec[who][w->n[who]++];

		*m = (struct pl_more){
			.state = PL_MORE, .kind = PL_EXTENT, .len = 64, .total = 64
		};
		m->token = w->q[0].token;
	} else {
		r->token = w->q[0].token;
		r->aux = w->q[0].tag;
	}
	memmove(w->q, w->q + 1, (size_t)--w->depth * sizeof *w->q);
}

static void section(struct world *w, int who)
{
	struct pl_rec *r = add(w, who, 2);

	r->aux = w->count++;
	w->now = r->t_return;
	(void)add(w, who, 3);
	w->now += 10;
}

/* A store, a load or both at once, taking effect now. */
static void touch(struct world *w, int who)
{
	uint64_t kind = roll(w, 10);
	struct pl_rec *r = add(w, who, kind < 3 ? 0 : kind < 4 ? 5 : 4);

	r->token = w->value;
	if (kind >= 4)
		return;
	r->aux = w->value;
	r->token = w->value = pl_token((unsigned)who, 0, ++w->number[who]);
}

/* A post, a wait that may find nothing, or a look at the value. A sum is put in parts and taken whole. */
static void count(struct world *w, int who, bool puts)
{
	bool sum = w->model == PL_MODEL_SUM, looks = !sum && roll(w, 20) == 0;
	struct pl_rec *r = add(w, who, looks ? 4 : puts ? 0 : 1);
	uint64_t k = sum && !puts ? w->value : sum ? 1 + roll(w, 3) : 1;

	r->aux = looks ? w->value : k;
	if (looks)
		return;
	if (puts)
		w->value += k;
	else if (w->value == 0)
		r->state = PL_FAIL, r->err = EAGAIN, r->ret = -1, r->aux = 1;
	else
		w->value -= k;
}

/* A send, which merges with what is pending; or a delivery, of nothing if there is none. */
static void signal(struct world *w, int who)
{
	struct pl_rec *r = add(w, who, who == 1);
	uint64_t k = roll(w, WORLD_NUMBERS);

	for (int i = 0; i < WORLD_NUMBERS && who == 1 && !w->sender[k]; i++)
		k = (k + 1) % WORLD_NUMBERS;
	r->aux = k;
	if (who != 1) {
		w->sender[k] = w->sender[k] ? w->sender[k] : who + 1;
		return;
	}
	r->token = (uint64_t)w->sender[k];
	w->sender[k] = 0;
	if (!r->token)
		r->state = PL_FAIL, r->err = EAGAIN, r->ret = -1, r->aux = 0;
}

/* Gives back what it has; else takes some of three places, or finds too little, or looks. */
static void move(struct world *w, int who)
{
	uint64_t kind = roll(w, 10);
	uint32_t form = 1 + (uint32_t)roll(w, 63);
	struct pl_rec *r = add(w, who, w->held[who] ? 3 : kind < 2 ? 4 : 2);

	if (w->held[who]) {
		r->sum = w->held[who] << 1;
		w->value += pl_model_moved(w->held[who]);
		w->held[who] = 0;
	} else if (kind < 2) {
		r->aux = w->value;
	} else if (r->sum = form << 1, pl_model_covers(w->value, pl_model_moved(form))) {
		w->value -= pl_model_moved(form);
		w->held[who] = form;
	} else {
		r->state = PL_FAIL, r->err = EAGAIN, r->ret = -1;
	}
}

/* An actor whose last operation has ended takes its turn. A stream has one reader: its order is exact. So have a sum
 * and signals. */
void world_turn(struct world *w)
{
	int who = (int)roll(w, (uint64_t)w->actors);
	bool puts = who % 2 == 0 && w->actors > 1;

	if (w->model == PL_MODEL_STREAM)
		puts = who != 1;
	if (w->free_at[who] >= w->now)
		w->now = w->free_at[who] + 1;
	w->now += (int64_t)roll(w, 40);
	if (w->model == PL_MODEL_LOCK || w->model == PL_MODEL_RANGES)
		section(w, who);
	else if (w->model == PL_MODEL_REGISTER)
		touch(w, who);
	else if (w->model == PL_MODEL_SIGNAL)
		signal(w, who);
	else if (w->model == PL_MODEL_VECTOR)
		move(w, who);
	else if (w->model == PL_MODEL_COUNTER || w->model == PL_MODEL_SUM)
		count(w, who, w->model == PL_MODEL_SUM ? who != 1 : puts && w->value < WORLD_DEPTH);
	else if (puts && w->depth < WORLD_DEPTH)
		put(w, who);
	else if (!puts && w->depth > 0)
		take(w, who);
}

bool world_new(struct world *w)
{
	static const struct pl_hist_op op[] = { { "send", PL_PUT, 0, 0 },
		{ "receive", PL_TAKE, 0, 0 }, { "lock", PL_ACQUIRE, 0, 0 },
		{ "unlock", PL_RELEASE, 0, 0 }, { "load", PL_OBSERVE, 0, 0 },
		{ "exchange", PL_UPDATE, 0, 0 } };

	for (int i = 0; i <= w->actors; i++) {
		struct pl_hist_head *h = w->head[i] = calloc(1, sizeof *h);

		/* Sized for the worst case; only what is used is ever touched. */
		w->rec[i] = malloc((2 * w->ops + 16) * sizeof **w->rec);
		if (!h || !w->rec[i])
			return false;
		h->actor = i < w->actors ? (uint16_t)i : PL_CONTROL;
		h->model = w->model;
		h->pid = i + 1;
		h->nops = sizeof op / sizeof *op;
		memcpy(h->op, op, sizeof op);
		h->flags = i < w->actors ? 0 : PL_HIST_ENDED;
		h->capacity = w->model == PL_MODEL_PRIORITY ? WORLD_DEPTH
			      : w->model == PL_MODEL_VECTOR ? pl_model_moved(63)
							    : 0;
	}
	w->value = w->model == PL_MODEL_VECTOR ? pl_model_moved(63) : 0;
	*w->rec[w->actors] = (struct pl_rec){ .op = PL_OP_LEVEL, .state = PL_INFO };
	w->rec[w->actors]->ret = (int64_t)w->value;
	w->n[w->actors] = 1;
	w->now = 1000;
	return true;
}

int world_logs(const struct world *w, struct pl_log *ret)
{
	for (int i = 0; i <= w->actors; i++)
		ret[i] = (struct pl_log){ w->head[i], w->rec[i], w->n[i] };
	return w->actors + 1;
}

void world_free(struct world *w)
{
	for (int i = 0; i <= w->actors; i++) {
		free(w->head[i]);
		free(w->rec[i]);
	}
}
