/* SPDX-License-Identifier: MIT
 *
 * Large histories: each operation takes effect at some moment of its time, one after another.
 */
#include "check_large.h"

#include <criterion/criterion.h>

static struct large *large_new(enum pl_model model, uint64_t key)
{
	struct round *b = b_new(model, ACTORS);
	struct large *w = calloc(1, sizeof *w);

	cr_assert(w && b);
	w->d.key = key;
	w->t = 1000;
	for (int i = 0; i <= ACTORS; i++) {
		w->head[i] = b->head[i];
		w->head[i].pid = 100 + i;
		w->log[i].head = &w->head[i];
		w->log[i].rec = w->rec[i];
	}
	free(b);
	return w;
}

struct pl_rec *large_add(struct large *w, int who, int op, int64_t from, int64_t to)
{
	struct pl_rec *r = &w->rec[who][w->n[who]];

	cr_assert_lt(w->n[who], RECS);
	*r = (struct pl_rec){ .seq = w->n[who]++, .op = (uint8_t)op, .state = PL_OK };
	r->actor = w->head[who].actor;
	r->t_invoke = from, r->t_return = to;
	w->last[who] = to;
	return r;
}

/* The next operation takes effect at w->t, and is under way a little before and after. */
static struct pl_rec *next(struct large *w, int who, int op)
{
	int64_t from = w->t - roll(&w->d, 1, 40), to = w->t + roll(&w->d, 1, 40);

	return large_add(w, who, op, from > w->last[who] ? from : w->last[who], to);
}

static int somebody(struct large *w)
{
	int who;

	w->t += roll(&w->d, 3, 25);
	do {
		who = roll(&w->d, 0, IDLER - 1);
		w->t++;
	} while (w->last[who] >= w->t);
	return who;
}

static void control(struct large *w, int op, uint64_t token, int64_t ret)
{
	struct pl_rec *r = large_add(w, ACTORS, op, w->t, w->t);

	r->state = PL_INFO, r->token = token, r->ret = ret;
}

static uint64_t fresh(struct large *w, int who)
{
	return pl_token((unsigned)who, 0, ++w->tokens);
}

/* ---- right histories ---- */

static void put(struct large *w, int who)
{
	struct pl_rec *r = next(w, who, B_PUT);
	int at = w->in++;

	r->token = fresh(w, who), r->len = 64;
	r->aux = w->head[0].model == PL_MODEL_PRIORITY ? (uint64_t)roll(&w->d, 0, 3) : 0;
	while (at > 0 && w->tag[at - 1] < r->aux) {
		w->queue[at] = w->queue[at - 1], w->tag[at] = w->tag[at - 1];
		at--;
	}
	w->queue[at] = r->token, w->tag[at] = r->aux;
}

static void take(struct large *w, int who)
{
	struct pl_rec *r = next(w, who, B_TAKE);

	r->len = 128;
	if (w->in == 0) {
		b_fail(r, EAGAIN);
		return;
	}
	r->ret = 64, r->token = w->queue[0], r->aux = w->tag[0];
	if (w->head[0].model == PL_MODEL_DATAGRAM)
		r->aux = 7000 + pl_token_actor(r->token);
	memmove(w->queue, w->queue + 1, (size_t)--w->in * sizeof *w->queue);
	memmove(w->tag, w->tag + 1, (size_t)w->in * sizeof *w->tag);
}

static void queue_op(struct large *w, int who)
{
	if (w->in < 60 && chance(&w->d, 51))
		put(w, who);
	else
		take(w, who);
}

static void lock_op(struct large *w, int who)
{
	struct pl_rec *r = next(w, who, B_ACQUIRE);

	r->aux = w->value++;
	w->t = w->last[who] + roll(&w->d, 3, 20);
	(void)next(w, who, B_RELEASE);
}

static void register_op(struct large *w, int who)
{
	int op = chance(&w->d, 60) ? B_OBSERVE : w->in++ % 2 ? B_UPDATE : B_PUT; /* short chains */
	struct pl_rec *r = next(w, who, op);

	r->aux = w->value;
	w->value = op == B_OBSERVE ? w->value : fresh(w, who);
	r->token = w->value;
	r->aux = op == B_UPDATE ? r->aux : 0;
}

static void counter_op(struct large *w, int who)
{
	bool puts = w->level < 5 && chance(&w->d, 50);
	struct pl_rec *r = next(w, who, puts ? B_PUT : B_TAKE);

	r->aux = 1;
	if (!puts && w->level == 0)
		b_fail(r, EAGAIN);
	else
		w->level += puts ? 1 : UINT64_MAX;
}

static void sum_op(struct large *w, int who)
{
	bool puts = w->level < 5 && chance(&w->d, 60);
	struct pl_rec *r = next(w, who, puts ? B_PUT : B_TAKE);

	r->aux = puts ? (uint64_t)roll(&w->d, 1, 3) : w->level;
	if (!puts && w->level == 0)
		b_fail(r, EAGAIN), r->aux = 1;
	else
		w->level = puts ? w->level + r->aux : 0;
}

/* Actor 0 takes; one number, one pending bit. */
static void signal_op(struct large *w, int who)
{
	struct pl_rec *r;

	who = chance(&w->d, 60) && w->last[0] < w->t ? 0 : who;
	r = next(w, who, who == 0 ? B_TAKE : B_PUT);
	r->aux = 10;
	if (who == 0 && w->holder == 0) {
		b_fail(r, EAGAIN);
	} else if (who == 0) {
		r->token = w->holder;
		w->holder = 0;
	} else if (w->holder == 0) {
		w->holder = (uint64_t)w->head[who].pid;
	}
}

/* Whole payloads, each in one write and one read; what comes out is one reader's. */
static void stream_op(struct large *w, int who)
{
	struct pl_rec *r;

	if (w->in < 60 && who != 0) {
		put(w, who);
		r = &w->rec[who][w->n[who] - 1];
		r->ret = r->len;
	} else if (w->in > 0 && who == 0) {
		take(w, who);
	}
}

typedef void step(struct large *w, int who);

static step *const steps[PL_MODELS] = {
	[PL_MODEL_FIFO] = queue_op,
	[PL_MODEL_PRIORITY] = queue_op,
	[PL_MODEL_DATAGRAM] = queue_op,
	[PL_MODEL_LOCK] = lock_op,
	[PL_MODEL_REGISTER] = register_op,
	[PL_MODEL_COUNTER] = counter_op,
	[PL_MODEL_SUM] = sum_op,
	[PL_MODEL_SIGNAL] = signal_op,
	[PL_MODEL_STREAM] = stream_op,
};

static uint32_t count(const struct large *w)
{
	uint32_t n = 0;

	for (int i = 0; i < ACTORS; i++)
		n += w->n[i];
	return n;
}

/* Takes what is left, until nothing is. */
static void drain(struct large *w)
{
	step *takes = w->head[0].model == PL_MODEL_COUNTER  ? counter_op
		      : w->head[0].model == PL_MODEL_SUM    ? sum_op
		      : w->head[0].model == PL_MODEL_SIGNAL ? signal_op
							    : take;
	struct pl_rec *r;

	w->t += 200;
	control(w, PL_OP_DRAIN, 0, 0);
	do {
		w->t += 100;
		w->d.n++;
		if (takes == take || takes == signal_op) {
			takes(w, 0);
		} else {
			r = next(w, 0, B_TAKE);
			r->aux = takes == sum_op && w->level ? w->level : 1;
			if (w->level == 0)
				b_fail(r, EAGAIN);
			w->level = takes == sum_op || w->level == 0 ? 0 : w->level - 1;
		}
		r = &w->rec[0][w->n[0] - 1];
	} while (r->state == PL_OK);
}

struct large *large_right(enum pl_model model, uint64_t key)
{
	struct large *w = large_new(model, key);

	if (model == PL_MODEL_COUNTER || model == PL_MODEL_SUM) {
		w->level = LEVEL;
		control(w, PL_OP_LEVEL, 0, LEVEL);
	}
	if (model == PL_MODEL_REGISTER)
		w->value = pl_token(60, 0, 1);
	for (int i = 0; i <= ACTORS && model == PL_MODEL_SIGNAL; i++)
		for (uint32_t k = 0; k < w->head[i].nops; k++)
			w->head[i].op[k].number = 1;
	while (count(w) < OPS)
		steps[model](w, somebody(w));
	if (model != PL_MODEL_LOCK && model != PL_MODEL_REGISTER)
		drain(w);
	return w;
}

void large_judge(struct large *w)
{
	for (int i = 0; i <= ACTORS; i++)
		w->log[i].n = w->n[i];
	pl_check_rules(w->log, ACTORS + 1, 0, &w->v);
}
