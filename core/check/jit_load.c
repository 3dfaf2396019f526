/* SPDX-License-Identifier: MIT
 *
 * A round as operations of its reference model. What a record proves nothing of is left out, as the other
 * checkers leave it out; where the model cannot say what an operation did, the round is not judged.
 */
#include "cells.h"
#include "jit.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t TOO_MUCH = (uint64_t)1 << 61; /* of all amounts together */

struct loader {
	struct pl_jit_round *j;
	struct pl_case *c;
	uint32_t *out;	  /* by actor: its oldest operation under way; PL_NEVER */
	uint32_t *next;	  /* by operation: its actor's next one */
	uint32_t *last;	  /* by actor: its newest operation */
	uint32_t *death;  /* by actor; PL_NEVER */
	uint32_t *depth;  /* by actor: how often it holds the lock */
	uint64_t *held;	  /* VECTOR, by actor: what it holds after all its operations */
	uint64_t nread;	  /* VECTOR: control's records that were looked at for readings, */
	uint32_t reading; /* the operation of the one that has begun; PL_NEVER */
	int64_t read_at;  /* and when the last one ended */
	int64_t cut;	  /* what ends from here on is not judged */
	uint64_t sum;	  /* of all amounts */
	struct pl_cells cells;
};

/* What this record does; false: nothing that the model speaks of. `o` holds what all have in common. */
typedef bool reader(struct loader *l, const struct pl_event *e, struct pl_jit_op *o);

static bool cannot(struct loader *l, const char *why)
{
	l->j->cannot = l->j->cannot ? l->j->cannot : why;
	return false;
}

/* A failure says something only if it is "nothing there" or "no room". */
static bool fails_otherwise(const struct pl_rec *r)
{
	return r->state == PL_FAIL && !pl_model_nothing(r->err);
}

static bool read_queue(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;
	bool number = pl_moves_number(l->c->actor[e->who].head, r);
	bool named = r->token != 0 && (r->len >= PL_MARK || number);

	if (e->role != PL_PUT && e->role != PL_TAKE) /* its number may be in no table */
		return false;
	o->op.value = r->token, o->op.tag = r->aux, o->op.len = r->len;
	o->op.form = (int32_t)r->sum;
	o->op.except = l->c->actor[e->who].head->op[r->op].how & PL_EXCEPT;
	if (e->role == PL_PUT && r->state == PL_FAIL)
		return named && l->j->config.capacity && !fails_otherwise(r);
	if (e->role == PL_PUT)
		return named || cannot(l, "payloads too short to be told apart were put");
	if (r->state == PL_FAIL)
		return pl_says_empty(l->c, r);
	if (r->state == PL_OK && r->token == 0 && !number)
		return (r->ret == 0 && l->c->head->model != PL_MODEL_PRIORITY)
			       ? false
			       : cannot(l, "something was taken that names no payload");
	return true;
}

/* Who releases what he does not hold has spoilt what the lock guards, too. */
static void read_release(struct loader *l, const struct pl_event *e)
{
	if (l->depth[e->who] == 0)
		cannot(l, "an actor released a lock that it did not hold");
	else
		l->depth[e->who] -= e->rec->state == PL_OK;
}

static bool read_refusal(const struct loader *l, const struct pl_rec *r)
{
	if (r->err == EDEADLK) /* what is owned by the dead may be part of a ring */
		for (int i = 0; i < l->c->nactors; i++)
			if (l->c->actor[i].dead)
				return false;
	return pl_model_busy(r->err) || r->err == EOWNERDEAD || r->err == ENOTRECOVERABLE ||
	       r->err == EDEADLK;
}

static bool read_lock(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;

	o->op.actor = e->who;
	o->op.value = r->aux;
	o->op.form = e->role == PL_ACQUIRE && r->sum & PL_SUM_SHARED;
	if (o->op.form && e->who >= 64)
		return cannot(l, "more actors than the model can tell apart share the lock");
	if (r->state == PL_FAIL && e->role == PL_ACQUIRE && !read_refusal(l, r))
		return false;
	if (r->state == PL_FAIL && e->role == PL_RELEASE && r->err != EPERM)
		return false;
	if (r->state != PL_INVOKED &&
		(r->t_return >= l->cut || (r->state == PL_FAIL && e->role == PL_REPAIR)))
		o->maybe = true;
	return e->role == PL_ACQUIRE || e->role == PL_RELEASE || e->role == PL_REPAIR;
}

static bool read_ranges(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;

	if (e->role != PL_ACQUIRE && e->role != PL_RELEASE)
		return false;
	o->op.actor = e->who;
	o->op.value = pl_cells_of(&l->cells, r);
	o->op.form = e->role == PL_ACQUIRE && r->sum & PL_SUM_SHARED;
	if (r->state == PL_FAIL && e->role == PL_RELEASE)
		return cannot(l, "a release failed");
	return r->state != PL_FAIL || read_refusal(l, r);
}

/* An operation whose table names no number of tokens moves one. */
static bool read_counter(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;
	bool all = l->c->head->model == PL_MODEL_SUM && e->role == PL_TAKE;
	bool full = r->err == EAGAIN || r->err == EOVERFLOW || r->err == ERANGE;

	if (e->role != PL_PUT && e->role != PL_TAKE && e->role != PL_OBSERVE)
		return false;
	o->op.tag = r->state != PL_OK && (r->aux == 0 || all) ? 1 : r->aux;
	l->sum = o->op.tag > TOO_MUCH ? UINT64_MAX / 2 : l->sum + o->op.tag;
	if (l->sum > TOO_MUCH)
		return cannot(l, "the numbers are too large to be added up");
	if (e->role == PL_OBSERVE)
		return r->state == PL_OK;
	if (e->role == PL_PUT)
		return r->state == PL_FAIL ? full && l->j->config.capacity : o->op.tag != 0;
	return !fails_otherwise(r) && (o->op.tag != 0 || all);
}

static bool read_vector(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;

	(void)l;
	o->op.actor = e->who;
	o->op.tag = e->role == PL_OBSERVE ? r->aux : 0;
	o->op.form = r->sum >> 1;
	if (r->state == PL_FAIL)
		return e->role == PL_ACQUIRE && pl_model_nothing(r->err);
	return e->role == PL_ACQUIRE || e->role == PL_RELEASE ||
	       (e->role == PL_OBSERVE && r->state == PL_OK);
}

static bool read_register(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	(void)l;
	o->op.value = e->rec->token;
	o->op.tag = e->rec->aux;
	if (e->role == PL_OBSERVE)
		return e->rec->state == PL_OK;
	return (e->role == PL_PUT || e->role == PL_UPDATE) && e->rec->state != PL_FAIL;
}

static bool read_datagram(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;

	o->op.value = r->token;
	if (r->token == 0 || r->state == PL_FAIL)
		return false;
	if (e->role == PL_PUT)
		return r->len >= PL_MARK;
	return e->role == PL_TAKE && r->state == PL_OK && !pl_is_late(l->c, r->token);
}

static bool read_signal(struct loader *l, const struct pl_event *e, struct pl_jit_op *o)
{
	const struct pl_rec *r = e->rec;

	o->op.tag = r->aux;
	o->op.value =
		(uint32_t)(e->role == PL_PUT ? (uint32_t)l->c->actor[e->who].head->pid : r->token);
	if (e->role == PL_PUT)
		return r->state != PL_FAIL;
	o->any = r->state == PL_INVOKED;
	return e->role == PL_TAKE && (r->state != PL_FAIL || pl_says_empty(l->c, r));
}

struct kind {
	reader *read;
	bool empties; /* it is empty after a drain */
	bool deaths;  /* a death changes it */
	bool nests;   /* who acquires twice releases twice, and no more */
	bool parts;   /* each value is a matter of its own */
};

static const struct kind kinds[] = {
	[PL_MODEL_FIFO] = { .read = read_queue, .empties = true },
	[PL_MODEL_PRIORITY] = { .read = read_queue, .empties = true },
	[PL_MODEL_LOCK] = { .read = read_lock, .deaths = true, .nests = true },
	[PL_MODEL_COUNTER] = { .read = read_counter, .empties = true },
	[PL_MODEL_SUM] = { .read = read_counter, .empties = true },
	[PL_MODEL_REGISTER] = { .read = read_register },
	[PL_MODEL_DATAGRAM] = { .read = read_datagram, .parts = true },
	[PL_MODEL_SIGNAL] = { .read = read_signal, .empties = true },
	[PL_MODEL_SELECT] = { .read = read_queue, .empties = true },
	[PL_MODEL_RANGES] = { .read = read_ranges, .deaths = true },
	[PL_MODEL_VECTOR] = { .read = read_vector, .deaths = true },
};

/* ---- events ---- */

static uint32_t add_op(struct loader *l, const struct pl_jit_op *o)
{
	struct pl_jit_round *j = l->j;

	j->op[j->n] = *o;
	l->next[j->n] = PL_NEVER;
	return j->n++;
}

static void add_event(struct pl_jit_round *j, uint32_t op, int64_t t, bool end)
{
	j->given[j->nev] = (struct pl_jit_event){ .t = t, .op = op, .nth = j->nev, .end = end };
	if (j->parts)
		j->given[j->nev].part = j->op[op].op.value;
	j->nev++;
}

static bool only_looks(const struct pl_model_op *op)
{
	return op->role == PL_OBSERVE ||
	       (op->result == PL_RESULT_FAIL && !(op->role == PL_ACQUIRE && op->err == EOWNERDEAD));
}

static void begin(struct loader *l, const struct kind *k, const struct pl_event *e)
{
	const struct pl_rec *r = e->rec;
	struct pl_jit_op o = { .op.role = (enum pl_role)e->role, .who = e->who };
	uint32_t at;

	o.ref = pl_ref(l->c, e->who, r);
	o.maybe = r->state == PL_INVOKED;
	o.op.err = r->state == PL_FAIL ? r->err : 0;
	if (!k->read(l, e, &o))
		return;
	o.op.result = o.maybe		  ? PL_RESULT_UNKNOWN
		      : r->state == PL_OK ? PL_RESULT_OK
					  : PL_RESULT_FAIL;
	o.op.err = o.maybe ? 0 : o.op.err;
	o.eager = only_looks(&o.op);
	at = add_op(l, &o);
	if (l->out[e->who] == PL_NEVER)
		l->out[e->who] = at;
	else
		l->next[l->last[e->who]] = at;
	l->last[e->who] = at;
	add_event(l->j, at, e->t, false);
}

static void end(struct loader *l, const struct kind *k, const struct pl_event *e)
{
	uint32_t at = l->out[e->who];

	if (k->nests && e->role == PL_RELEASE && e->kind == PL_EV_END)
		read_release(l, e);
	if (e->role == PL_ACQUIRE && (e->rec->state == PL_OK || e->rec->err == EOWNERDEAD))
		l->depth[e->who] += e->kind == PL_EV_END;
	if (at == PL_NEVER || l->j->op[at].ref != pl_ref(l->c, e->who, e->rec))
		return;
	l->out[e->who] = l->next[at];
	add_event(l->j, at, e->t, true);
}

static bool in_order(const struct loader *l, const struct pl_rec *r)
{
	return r->t_invoke >= l->read_at && r->t_return >= r->t_invoke &&
	       r->t_return < INT64_MAX / 8;
}

/* Control's readings of a vector are looks like others: those begun until now, and ended before. The first is what
 * there was at the start. */
static void add_readings(struct loader *l, int64_t now)
{
	const struct pl_log *control = l->c->control;

	for (; l->held && l->nread < control->n; l->nread++) {
		const struct pl_rec *r = &control->rec[l->nread];
		struct pl_jit_op o = { .op = { .role = PL_OBSERVE, .tag = (uint64_t)r->ret },
			.ref = PL_NEVER,
			.read = r,
			.who = (uint16_t)l->c->nactors,
			.eager = true };

		if (r->op != PL_OP_LEVEL || r->ret < 0 || l->nread == 0 || !in_order(l, r))
			continue;
		if (l->reading == PL_NEVER && r->t_invoke > now)
			return;
		if (l->reading == PL_NEVER) {
			l->reading = add_op(l, &o);
			add_event(l->j, l->reading, r->t_invoke, false);
		}
		if (r->t_return >= now)
			return;
		add_event(l->j, l->reading, r->t_return, true);
		l->read_at = r->t_return;
		l->reading = PL_NEVER;
	}
}

static void read_event(struct loader *l, const struct kind *k, const struct pl_event *e)
{
	struct pl_jit_op death = { .op.actor = e->who, .ref = PL_NEVER, .who = e->who };

	add_readings(l, e->t);
	death.op.tag = l->held ? l->held[e->who] : 0;

	if (e->t >= l->cut)
		return;
	if (e->kind == PL_EV_BEGIN)
		begin(l, k, e);
	else if (e->kind != PL_EV_KILLED && e->rec)
		end(l, k, e);
	if (k->deaths && e->kind == PL_EV_KILLED) {
		l->death[e->who] = add_op(l, &death);
		add_event(l->j, l->death[e->who], e->t, false);
	} else if (k->deaths && e->kind == PL_EV_REAPED && l->death[e->who] != PL_NEVER) {
		add_event(l->j, l->death[e->who], e->t, true);
	}
}

/* After everything the emptied object is looked at once more, whatever the drain itself called. */
static void add_last_look(struct loader *l)
{
	struct pl_jit_op o = {
		.op = { .role = PL_TAKE, .result = PL_RESULT_FAIL, .err = EAGAIN, .tag = 1 },
		.ref = PL_NEVER,
		.eager = true
	};
	uint32_t at = add_op(l, &o);

	o.who = (uint16_t)l->c->nactors;
	l->j->op[at].who = o.who;
	add_event(l->j, at, INT64_MAX - 1, false);
	add_event(l->j, at, INT64_MAX, true);
}

/* ---- what there is at the start ---- */

/* Deaths give back what was held, also from before the round: it must be known that this was nothing. */
static void configure_vector(struct loader *l)
{
	struct pl_case *c = l->c;
	bool whole = l->j->config.capacity && l->j->config.before == l->j->config.capacity;

	for (int i = 0; i < c->nactors; i++) {
		if (!pl_jit_held(&c->actor[i], &l->held[i]))
			cannot(l, "an actor gave back what it had not taken in the round");
		if (c->actor[i].dead && l->j->config.freed && !whole)
			cannot(l, "an actor died that may have held something from before");
	}
}

static bool configure(struct loader *l)
{
	struct pl_case *c = l->c;
	struct pl_model_config *m = &l->j->config;
	const struct pl_log *control = c->control;

	memset(m, 0, sizeof *m);
	if ((c->head->capacity < TOO_MUCH || l->held) && !(c->head->flags & PL_HIST_ALTERED))
		m->capacity = c->head->capacity;
	m->grain = c->head->grain;
	m->robust = c->head->caps & PL_ROBUST;
	m->freed = c->head->caps & PL_FREED;
	m->lowest = c->head->caps & PL_LOWEST;
	if (c->head->model == PL_MODEL_RANGES && !pl_cells_make(&l->cells, c))
		cannot(l, "the ranges part the bytes into too many pieces");
	if (c->head->model == PL_MODEL_REGISTER)
		return pl_jit_before(c, &m->before);
	if (c->head->model != PL_MODEL_COUNTER && c->head->model != PL_MODEL_SUM && !l->held)
		return true;
	if (control->n > 0 && control->rec[0].op == PL_OP_LEVEL && control->rec[0].ret >= 0)
		m->before = l->sum = (uint64_t)control->rec[0].ret;
	else
		cannot(l, "what was there at the start is not known");
	if (l->held)
		configure_vector(l);
	return true;
}

/* A lock with priority inheritance that is not robust promises nothing once an actor has died (lock.c). */
static void find_cut(struct loader *l)
{
	l->cut = INT64_MAX;
	if (l->c->head->model != PL_MODEL_LOCK ||
		(l->c->head->caps & (PL_INHERIT | PL_ROBUST)) != PL_INHERIT)
		return;
	for (int i = 0; i < l->c->nactors; i++)
		if (l->c->actor[i].dead && l->c->actor[i].t_kill < l->cut)
			l->cut = l->c->actor[i].t_kill;
}

static bool allocate(struct loader *l)
{
	struct pl_jit_round *j = l->j;
	bool vector = l->c->head->model == PL_MODEL_VECTOR;
	size_t actors = (size_t)l->c->nactors + 1;
	size_t n = (size_t)l->c->nrecs + actors + 1 + (vector ? l->c->control->n : 0);

	j->op = malloc(n * sizeof *j->op);
	j->ev = malloc(2 * n * sizeof *j->ev);
	j->given = malloc(2 * n * sizeof *j->given);
	l->next = malloc(n * sizeof *l->next);
	l->out = malloc(actors * sizeof *l->out);
	l->last = malloc(actors * sizeof *l->last);
	l->death = malloc(actors * sizeof *l->death);
	l->depth = calloc(actors, sizeof *l->depth);
	l->held = vector ? calloc(actors, sizeof *l->held) : NULL;
	l->reading = PL_NEVER;
	if (!j->op || !j->ev || !j->given || !l->next || !l->out || !l->last || !l->death ||
		!l->depth || (vector && !l->held))
		return false;
	memset(l->out, 0xff, actors * sizeof *l->out);
	memset(l->death, 0xff, actors * sizeof *l->death);
	return configure(l);
}

static void loader_free(struct loader *l)
{
	free(l->next);
	free(l->out);
	free(l->last);
	free(l->death);
	free(l->depth);
	free(l->held);
}

static bool read_all(struct loader *l, const struct kind *k, bool stats)
{
	struct pl_merge *m = allocate(l) ? pl_merge_new(l->c, stats) : NULL;
	struct pl_event e;

	l->c->nomem |= !m;
	while (m && pl_merge_next(m, &e))
		read_event(l, k, &e);
	pl_merge_free(m);
	if (m)
		add_readings(l, INT64_MAX);
	if (m && k->empties && l->c->drained)
		add_last_look(l);
	if (m && !pl_jit_name_values(l->j))
		l->c->nomem = true;
	return !l->c->nomem && !l->c->broken;
}

bool pl_jit_load(struct pl_jit_round *j, struct pl_case *c, bool stats)
{
	struct loader l = { .j = j, .c = c };
	bool is;

	*j = (struct pl_jit_round){
		.c = c, .model = pl_reference_of(c->head->model), .drain = INT64_MAX
	};
	if (!j->model) {
		j->cannot = "there is no reference model of it";
		return true;
	}
	for (uint64_t i = c->control->n; i-- > 0;)
		if (c->control->rec[i].op == PL_OP_DRAIN)
			j->drain = c->control->rec[i].t_invoke;
	find_cut(&l);
	j->parts = kinds[c->head->model].parts;
	is = read_all(&l, &kinds[c->head->model], stats);
	loader_free(&l);
	return is;
}

void pl_jit_free(struct pl_jit_round *j)
{
	free(j->op);
	free(j->ev);
	free(j->given);
	free(j->value);
}
