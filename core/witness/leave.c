/* SPDX-License-Identifier: MIT
 *
 * Units and cuts of any model, and the part of a round that is left without them.
 */
#include "leave.h"

#include "../hist/rng.h"

#include <stdlib.h>
#include <string.h>

static pl_leave_model *const models[PL_MODELS] = {
	[PL_MODEL_FIFO] = pl_leave_values,
	[PL_MODEL_PRIORITY] = pl_leave_values,
	[PL_MODEL_SELECT] = pl_leave_values,
	[PL_MODEL_DATAGRAM] = pl_leave_values,
	[PL_MODEL_STREAM] = pl_leave_stream,
	[PL_MODEL_LOCK] = pl_leave_lock,
	[PL_MODEL_RANGES] = pl_leave_lock,
	[PL_MODEL_REGISTER] = pl_leave_register,
	[PL_MODEL_COUNTER] = pl_leave_counter,
	[PL_MODEL_SUM] = pl_leave_counter,
	[PL_MODEL_SIGNAL] = pl_leave_signal,
	[PL_MODEL_VECTOR] = pl_leave_vector,
};

uint32_t pl_leave_unit(struct pl_leave *l)
{
	return l->nunits++;
}

uint32_t pl_leave_value(struct pl_leave *l, uint64_t token)
{
	uint32_t i = (uint32_t)pl_mix(token) & l->mask;

	while (l->of[i] != PL_NEVER && l->key[i] != token)
		i = (i + 1) & l->mask;
	if (l->of[i] == PL_NEVER) {
		l->key[i] = token;
		l->of[i] = pl_leave_unit(l);
	}
	return l->of[i];
}

bool pl_leave_rule(const struct pl_leave *l, const char *const *rules)
{
	while (*rules && strcmp(*rules, l->v->rule) != 0)
		rules++;
	return *rules != NULL;
}

/* Record `seq` of an actor, and where it is. */
static const struct pl_rec *find(
	const struct pl_leave *l, uint16_t actor, uint64_t seq, uint32_t *ret_ref)
{
	for (int i = 0; i < l->n; i++)
		for (uint64_t k = 0; l->logs[i].head->actor == actor && k < l->logs[i].n; k++)
			if (l->logs[i].rec[k].seq == seq && l->logs[i].rec[k].state != PL_MORE) {
				*ret_ref = l->first[i] + (uint32_t)k;
				return &l->logs[i].rec[k];
			}
	return NULL;
}

static void let_stay(struct pl_leave *l, uint32_t ref)
{
	uint32_t u = l->unit[ref];

	if (u < l->nunits)
		l->stays[u] = 1;
	else if (u == PL_GOES)
		l->unit[ref] = PL_STAYS;
}

/* Of a vector, what control read is a look like others'. The first is what it begins with. */
static bool is_other_reading(const struct pl_leave *l, const struct pl_rec *r, uint64_t k)
{
	if (l->head->model != PL_MODEL_VECTOR || r->op != PL_OP_LEVEL || k == 0)
		return false;
	for (int i = 0; i < l->v->nwit && i < PL_WITNESS_MAX; i++)
		if (l->v->wit[i].actor == PL_CONTROL && l->v->wit[i].seq == r->seq)
			return false;
	return true;
}

/* Sleepers are looked for by what they did and were about to do; crashes by what they were in. */
static void classify_control(struct pl_leave *l)
{
	static const char *const sleepers[] = { "LOSTWAKE", "NOEOF", "NOPIPE", NULL };
	bool asleep = pl_leave_rule(l, sleepers), crash = !strcmp(l->v->rule, "CRASH");
	uint32_t at = l->first[l->control - l->logs], ref;

	for (uint64_t k = 0; k < l->control->n; k++) {
		const struct pl_rec *r = &l->control->rec[k];

		l->unit[at + k] = !asleep && (r->op == PL_OP_ASLEEP || is_other_reading(l, r, k))
					  ? PL_GOES
					  : PL_STAYS;
		l->gone[at + k] = PL_NEVER;
		if (asleep && r->op == PL_OP_ASLEEP && r->token < PL_CONTROL &&
			find(l, (uint16_t)r->token, r->aux, &ref))
			let_stay(l, ref);
	}
	for (int i = 0; (asleep || crash) && i < l->n; i++)
		for (uint64_t k = 0; &l->logs[i] != l->control && k < l->logs[i].n; k++)
			if (l->logs[i].rec[k].state == PL_INVOKED)
				let_stay(l, l->first[i] + (uint32_t)k);
}

static int allocate(struct pl_leave *l)
{
	size_t n = (size_t)l->nrecs + 1, units = 2 * n, size = 64;

	while (size < 2 * units)
		size *= 2;
	l->mask = (uint32_t)size - 1;
	l->unit = malloc(n * sizeof *l->unit);
	l->gone = malloc(n * sizeof *l->gone);
	l->parent = malloc(units * sizeof *l->parent);
	l->stays = calloc(units, 1);
	l->is_left = malloc(units);
	l->way = malloc(units * sizeof *l->way);
	l->cut = malloc(n * sizeof *l->cut);
	l->key = malloc(size * sizeof *l->key);
	l->of = malloc(size * sizeof *l->of);
	if (!l->unit || !l->gone || !l->parent || !l->stays || !l->is_left || !l->way || !l->cut ||
		!l->key || !l->of)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		l->unit[i] = PL_GOES, l->gone[i] = PL_NEVER;
	memset(l->parent, 0xff, units * sizeof *l->parent);
	memset(l->of, 0xff, size * sizeof *l->of);
	l->cut[0] = (struct pl_cut){ .level = 0 };
	l->ncuts = 1;
	return 0;
}

static int index_logs(struct pl_leave *l)
{
	uint64_t sum = 0;

	l->first = malloc((size_t)l->n * sizeof *l->first);
	if (!l->first)
		return -ENOMEM;
	for (int i = 0; i < l->n; i++) {
		l->first[i] = (uint32_t)sum;
		sum += l->logs[i].n;
		if (sum > PL_RECORDS_MAX / 4)
			return -ENOENT;
		if (l->logs[i].head->actor == PL_CONTROL)
			l->control = &l->logs[i];
		else
			l->head = l->head ? l->head : l->logs[i].head;
	}
	l->nrecs = (uint32_t)sum;
	return l->control && l->head ? 0 : -ENOENT;
}

int pl_leave_new(struct pl_leave *l, const struct pl_log *logs, int n, const struct pl_verdict *v)
{
	static const char *const ends[] = { "BADEOF", "BADPIPE", "NOEOF", "NOPIPE", NULL };
	uint32_t ref = 0;
	int rc;

	*l = (struct pl_leave){ .logs = logs, .n = n, .v = v, .until = INT64_MAX };
	if (v->outcome != PL_VIOLATED || n <= 0 || n > PL_ACTORS_MAX)
		return -ENOENT;
	rc = index_logs(l);
	if (rc == 0)
		rc = allocate(l);
	if (rc < 0)
		return rc;
	for (int i = 0; i < v->nwit && i < PL_WITNESS_MAX && !l->anchor; i++)
		if (v->wit[i].actor != PL_CONTROL)
			l->anchor = find(l, v->wit[i].actor, v->wit[i].seq, &ref);
	if (l->head->model < PL_MODELS && models[l->head->model])
		models[l->head->model](l);
	if (l->anchor && pl_leave_rule(l, ends))
		let_stay(l, ref);
	classify_control(l);
	return 0;
}

void pl_leave_free(struct pl_leave *l)
{
	free(l->first);
	free(l->unit);
	free(l->gone);
	free(l->parent);
	free(l->stays);
	free(l->is_left);
	free(l->way);
	free(l->cut);
	free(l->key);
	free(l->of);
	*l = (struct pl_leave){ 0 };
}

int pl_leave_room(const struct pl_leave *l, struct pl_part_of *p)
{
	*p = (struct pl_part_of){ .n = l->n };
	p->logs = calloc((size_t)l->n, sizeof *p->logs);
	p->head = calloc((size_t)l->n, sizeof *p->head);
	p->rec = malloc(((size_t)l->nrecs + 1) * sizeof *p->rec);
	if (p->logs && p->head && p->rec)
		return 0;
	pl_part_free(p);
	return -ENOMEM;
}

void pl_part_free(struct pl_part_of *p)
{
	free(p->logs);
	free(p->head);
	free(p->rec);
	*p = (struct pl_part_of){ 0 };
}

enum { UNKNOWN, LEFT, OUT };

/* Up to the root, or as far up as there is anything; what hangs in a ring goes with any of it. */
static void settle(const struct pl_leave *l, const struct pl_choice *c, uint32_t u)
{
	uint32_t n = 0;
	uint8_t all = UNKNOWN;

	while (all == UNKNOWN) {
		l->is_left[u] = LEFT;
		l->way[n++] = u;
		if (!c->keep[u] && !l->stays[u])
			all = OUT;
		else if (u == c->root)
			all = LEFT;
		else if (l->parent[u] == PL_NEVER)
			all = c->root == PL_NEVER ? LEFT : OUT;
		else
			all = l->is_left[u = l->parent[u]];
	}
	while (n > 0)
		l->is_left[l->way[--n]] = all;
}

static void settle_all(const struct pl_leave *l, const struct pl_choice *c)
{
	memset(l->is_left, UNKNOWN, l->nunits);
	for (uint32_t u = 0; u < l->nunits; u++)
		if (l->is_left[u] == UNKNOWN)
			settle(l, c, u);
}

static bool is_left(
	const struct pl_leave *l, const struct pl_choice *c, const struct pl_rec *r, uint32_t ref)
{
	uint32_t u = l->unit[ref];

	if (u == PL_GOES || c->cut >= l->gone[ref])
		return false;
	if (r->t_invoke > l->until && pl_is_op(r))
		return false;
	return u >= l->nunits || l->is_left[u] == LEFT;
}

/* A read of a stream with those of its pieces that are left. How many records. */
static uint64_t copy_read(const struct pl_leave *l, const struct pl_log *from, uint64_t i,
	uint32_t ref, struct pl_rec *to)
{
	uint64_t n = 0;
	int64_t bytes = 0;

	for (uint64_t k = i + 1; k < from->n && from->rec[k].state == PL_MORE; k++) {
		const struct pl_more *m = (const struct pl_more *)&from->rec[k];
		uint32_t u = l->unit[ref + (k - i)];

		if (u < l->nunits && l->is_left[u] != LEFT)
			continue;
		to[++n] = from->rec[k];
		bytes += m->len;
	}
	to[0] = from->rec[i];
	to[0].ret = bytes;
	return n ? n + 1 : 0;
}

static uint64_t copy_log(const struct pl_leave *l, const struct pl_choice *c, int which,
	struct pl_rec *to, uint64_t *ret_ops)
{
	const struct pl_log *from = &l->logs[which];
	uint64_t n = 0;

	for (uint64_t i = 0; i < from->n; i++) {
		const struct pl_rec *r = &from->rec[i];
		uint32_t ref = l->first[which] + (uint32_t)i;
		uint64_t more = 1;

		if (r->state == PL_MORE || !is_left(l, c, r, ref))
			continue;
		if (l->unit[ref] == PL_READ)
			more = copy_read(l, from, i, ref, to + n);
		else
			to[n] = *r;
		n += more;
		*ret_ops += more > 0 && from != l->control;
	}
	return n;
}

bool pl_leave_part(const struct pl_leave *l, const struct pl_choice *c, struct pl_part_of *p)
{
	uint64_t used = 0;

	p->ops = 0;
	if (c->cut >= l->ncuts || (c->cut > 0 && l->cut[c->cut].level < 0))
		return false;
	settle_all(l, c);
	for (int i = 0; i < l->n; i++) {
		struct pl_rec *to = p->rec + used;
		uint64_t n = copy_log(l, c, i, to, &p->ops);

		p->head[i] = *l->logs[i].head;
		p->head[i].head = n;
		if (&l->logs[i] == l->control && l->until < INT64_MAX)
			p->head[i].flags &= ~(uint32_t)PL_HIST_DRAINED;
		if (&l->logs[i] == l->control && c->cut > 0 && n > 0 && to->op == PL_OP_LEVEL)
			to->ret = l->cut[c->cut].level;
		p->logs[i] = (struct pl_log){ .head = &p->head[i], .rec = to, .n = n };
		used += n;
	}
	return true;
}

bool pl_leave_same(const struct pl_leave *l, const struct pl_verdict *v)
{
	if (v->outcome != PL_VIOLATED || strcmp(v->rule, l->v->rule) != 0)
		return false;
	if (!l->anchored || !l->anchor)
		return true;
	return v->nwit > 0 && !memcmp(&v->wit[0], &l->v->wit[0], sizeof v->wit[0]);
}
