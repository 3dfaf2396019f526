/* SPDX-License-Identifier: MIT
 *
 * How many operations a second each checker judges, with all that pl_check does: loading, statistics, rules; with
 * --exact, what an operation costs the search when as many are under way as there are actors.
 *
 * The histories are made here: actors with overlapping operations whose stamps are shared from one operation to
 * the next, as the kit makes them. usage: judge [--exact] [OPERATIONS [ACTORS]]. Exit 1 when a history is not held
 * (with --exact: is violated, or is not held with up to 4 actors).
 */
#include "check/check.h"

#include "hist/payload.h"
#include "hist/rng.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACTORS_MAX = 64, DEPTH = 10, TURNS = 3, NUMBERS = 4 };

struct queued {
	uint64_t token, tag, at;
};

struct world {
	enum pl_model model;
	int actors;
	uint64_t ops, made, rolls, number[ACTORS_MAX];
	struct pl_hist_head *head[ACTORS_MAX + 1];
	struct pl_rec *rec[ACTORS_MAX + 1];
	uint64_t n[ACTORS_MAX + 1];
	int64_t now, free_at[ACTORS_MAX];
	struct queued q[DEPTH];
	int depth;
	uint64_t count;	     /* lock */
	uint64_t value;	     /* register, counter */
	int sender[NUMBERS]; /* signals, by number: whose is pending, from 1 on; 0: none */
};

static uint64_t roll(struct world *w, uint64_t below)
{
	return pl_rand(42, w->rolls++) % below;
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
	w->q[at] = (struct queued){ r->token, r->aux, 0 };
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
	uint64_t k = roll(w, NUMBERS);

	for (int i = 0; i < NUMBERS && who == 1 && !w->sender[k]; i++)
		k = (k + 1) % NUMBERS;
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

/* An actor whose last operation has ended takes its turn. A stream has one reader: its order is exact. So have a sum
 * and signals. */
static void turn(struct world *w)
{
	int who = (int)roll(w, (uint64_t)w->actors);
	bool puts = who % 2 == 0 && w->actors > 1;

	if (w->model == PL_MODEL_STREAM)
		puts = who != 1;
	if (w->free_at[who] >= w->now)
		w->now = w->free_at[who] + 1;
	w->now += (int64_t)roll(w, 40);
	if (w->model == PL_MODEL_LOCK)
		section(w, who);
	else if (w->model == PL_MODEL_REGISTER)
		touch(w, who);
	else if (w->model == PL_MODEL_SIGNAL)
		signal(w, who);
	else if (w->model == PL_MODEL_COUNTER || w->model == PL_MODEL_SUM)
		count(w, who, w->model == PL_MODEL_SUM ? who != 1 : puts && w->value < DEPTH);
	else if (puts && w->depth < DEPTH)
		put(w, who);
	else if (!puts && w->depth > 0)
		take(w, who);
}

static bool allocate(struct world *w)
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
		h->capacity = w->model == PL_MODEL_PRIORITY ? DEPTH : 0;
	}
	*w->rec[w->actors] = (struct pl_rec){ .op = PL_OP_LEVEL, .state = PL_INFO };
	w->n[w->actors] = 1;
	return true;
}

/* Processor time: the machine may be busy with others. */
static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

struct row {
	enum pl_model model;
	const char *name;
	double reach;
};

static const struct row fast[] = { { PL_MODEL_FIFO, "fifo", 10 },
	{ PL_MODEL_PRIORITY, "priority", 5 }, { PL_MODEL_LOCK, "lock", 5 },
	{ PL_MODEL_STREAM, "stream", 5 }, { PL_MODEL_DATAGRAM, "datagram", 5 },
	{ PL_MODEL_REGISTER, "register", 5 }, { PL_MODEL_COUNTER, "counter", 5 },
	{ PL_MODEL_SUM, "sum", 5 }, { PL_MODEL_SIGNAL, "signal", 5 },
	{ PL_MODEL_NONE, "(counting)", 10 }, { .name = NULL } };

static const struct row exact[] = { { PL_MODEL_FIFO, "fifo", 0.2 },
	{ PL_MODEL_PRIORITY, "priority", 0.2 }, { PL_MODEL_LOCK, "lock", 0.2 },
	{ PL_MODEL_DATAGRAM, "datagram", 0.2 }, { PL_MODEL_REGISTER, "register", 0.2 },
	{ PL_MODEL_COUNTER, "counter", 0.2 }, { PL_MODEL_SUM, "sum", 0.2 },
	{ PL_MODEL_SIGNAL, "signal", 0.05 }, { .name = NULL } };

static int measure(const struct row *row, uint64_t ops, int actors)
{
	bool search = row >= exact && row < exact + sizeof exact / sizeof *exact;
	struct world w = { .model = row->model, .ops = ops, .actors = actors, .now = 1000 };
	struct pl_log logs[ACTORS_MAX + 1];
	struct pl_verdict v = { 0 };
	int64_t best = INT64_MAX;

	if (!allocate(&w))
		return 1;
	while (w.made < ops)
		turn(&w);
	for (int i = 0; i <= actors; i++)
		logs[i] = (struct pl_log){ w.head[i], w.rec[i], w.n[i] };
	for (int i = 0; i < (search ? 1 : TURNS); i++) {
		int64_t t = now_ns();

		(search ? pl_check_exact : pl_check)(logs, actors + 1, 0, &v);
		t = now_ns() - t;
		best = t < best ? t : best;
	}
	printf("%-9s %8llu ops %3d actors  %7.3f M op/s  (reach %g)  %7.0f ns/op  %s %s %s\n",
		row->name, (unsigned long long)v.ops, actors, (double)v.ops * 1e3 / (double)best,
		row->reach, (double)best / (double)(v.ops + !v.ops), pl_outcome_name(v.outcome),
		v.rule, v.text);
	for (int i = 0; i <= actors; i++) {
		free(w.head[i]);
		free(w.rec[i]);
	}
	return search && actors > 4 ? v.outcome == PL_VIOLATED : v.outcome != PL_HELD;
}

int main(int argc, char **argv)
{
	static const uint64_t fast_sizes[] = { 100000, 1000000, 0 }, exact_sizes[] = { 10000, 0 };
	static const int fast_actors[] = { 4, 16, 0 }, exact_actors[] = { 4, 8, 16, 0 };
	bool search = argc > 1 && !strcmp(argv[1], "--exact");
	uint64_t one_size[] = { argc > 1 + search ? strtoull(argv[1 + search], NULL, 10) : 0, 0 };
	int one_number[] = { argc > 2 + search ? atoi(argv[2 + search]) : 0, 0 }, bad = 0;
	const uint64_t *sizes = one_size[0] ? one_size : search ? exact_sizes : fast_sizes;
	const int *actors = one_number[0] ? one_number : search ? exact_actors : fast_actors;

	for (const struct row *row = search ? exact : fast; row->name; row++)
		for (int s = 0; sizes[s]; s++)
			for (int a = 0; actors[a] >= 2 && actors[a] <= ACTORS_MAX; a++)
				bad |= measure(row, sizes[s], actors[a]);
	return bad;
}
