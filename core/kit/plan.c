/* SPDX-License-Identifier: MIT
 *
 * Who does what in a round. A plan names operations for actors; without one the roles and weights
 * of the driver's table make it. Plans balance: what is put is what is taken. All draws are
 * counter-based, so that control can tell how many bytes a writer will write without asking it.
 */
#include "kit.h"

#include "../hist/rng.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_NS = 50000 };

static struct pl_ctl *const c = &pl_ctl;

uint64_t pl_unit_key(const struct pl_shared *s, unsigned actor)
{
	return pl_rand(s->seed ^ (uint64_t)s->inst << 32, (uint64_t)s->round << 16 | actor);
}

void pl_unit_draw(const struct pl_part *p, const struct pl_op *ops, uint64_t key, uint64_t unit,
	unsigned *ret_do, int64_t *v)
{
	uint64_t at = unit * (PL_ARGS_MAX + 2);
	unsigned d = *ret_do, i;

	if (!p->seq && p->ndo > 1) {
		uint64_t w = pl_rand(key, at) % p->weights;

		for (d = 0; w >= p->weight[d]; d++)
			w -= p->weight[d];
	}
	for (i = 0; i < PL_ARGS_MAX && ops[p->op[d]].arg[i].name; i++)
		v[i] = p->arg[d][i].lo == p->arg[d][i].hi
			       ? p->arg[d][i].lo
			       : pl_rand_range(key, at + 1 + i, p->arg[d][i].lo, p->arg[d][i].hi);
	if (ops[p->op[d]].how & PL_TIMED)
		v[PL_ARGS_MAX] = pl_rand_range(key, at + 7, p->timeout_ns.lo, p->timeout_ns.hi);
	*ret_do = d;
}

bool pl_plan_varies(const struct pl_part *p, const struct pl_op *ops)
{
	unsigned d, i;

	for (d = 0; d < p->ndo; d++) {
		if (ops[p->op[d]].how & PL_TIMED)
			return true;
		for (i = 0; i < PL_ARGS_MAX && ops[p->op[d]].arg[i].name; i++)
			if (p->arg[d][i].lo != p->arg[d][i].hi)
				return true;
	}
	return p->ndo > 1 && !p->seq;
}

/* What rounds draw an argument from. */
static struct pl_draw drawn(const struct pl_arg *a)
{
	bool ranged = a->kind == PL_START || a->kind == PL_LENGTH;

	if (ranged && c->shared->model != PL_MODEL_RANGES)
		return (struct pl_draw){ 0, 0 };
	return (struct pl_draw){ a->lo, a->hi };
}

static void add_op(struct pl_part *p, unsigned index, uint32_t weight)
{
	unsigned d = p->ndo, i;

	if (d >= PL_DO_MAX)
		return;
	p->op[d] = (uint8_t)index;
	p->weight[d] = weight;
	p->weights += weight;
	for (i = 0; i < PL_ARGS_MAX; i++)
		p->arg[d][i] = drawn(&c->ops[index].arg[i]);
	p->ndo++;
}

static void add_role(struct pl_part *p, const struct pl_obj *o, enum pl_role role)
{
	unsigned i;

	for (i = 0; i < c->nops; i++)
		if (c->ops[i].role == role && c->ops[i].weight && pl_fits(&c->ops[i], o))
			add_op(p, i, c->ops[i].weight);
}

static struct pl_part *begin_part(unsigned id, int handle, int64_t ops)
{
	struct pl_part *p = &c->shared->part[id];

	*p = (struct pl_part){ .in = 1,
		.handle = (uint32_t)handle,
		.units = (uint32_t)ops,
		.timeout_ns = { 0, TIMEOUT_NS } };
	return p;
}

static unsigned usable(unsigned *ids)
{
	unsigned i, n = 0;

	for (i = 0; i < c->nactors; i++)
		if (!c->actor[i].retired)
			ids[n++] = i;
	return n;
}

static int default_plan(int handle, uint32_t ops, char *why, size_t size)
{
	const struct pl_obj *o = &c->handle[handle].obj;
	const struct pl_variant *v = &c->drv->variants[o->variant];
	unsigned ids[PL_ACTORS_MAX], n = usable(ids), i, takers;

	takers = v->model == PL_MODEL_STREAM || v->model == PL_MODEL_SUM || v->caps & PL_OWNED
			 ? 1
			 : n / 2;
	for (i = 0; i < n; i++) {
		struct pl_part *p = begin_part(ids[i], handle, ops);

		if (v->model == PL_MODEL_LOCK || v->model == PL_MODEL_RANGES)
			add_role(p, o, PL_ACQUIRE);
		else if (v->model == PL_MODEL_VECTOR)
			add_role(p, o, PL_ACQUIRE), add_role(p, o, PL_OBSERVE);
		else if (v->model == PL_MODEL_REGISTER)
			add_role(p, o, PL_PUT), add_role(p, o, PL_OBSERVE),
				add_role(p, o, PL_UPDATE);
		else if (n == 1)
			return (void)snprintf(
				       why, size, "a default plan needs two actors: give a plan"),
			       -EINVAL;
		else
			add_role(p, o, i < n - takers ? PL_PUT : PL_TAKE);
	}
	return n ? 0 : ((void)snprintf(why, size, "no actors"), -EINVAL);
}

static int read_draw(json_t *j, struct pl_draw *ret)
{
	if (json_is_integer(j))
		return ret->lo = ret->hi = json_integer_value(j), 0;
	if (json_array_size(j) != 2 || !json_is_integer(json_array_get(j, 0)) ||
		!json_is_integer(json_array_get(j, 1)))
		return -EINVAL;
	ret->lo = json_integer_value(json_array_get(j, 0));
	ret->hi = json_integer_value(json_array_get(j, 1));
	return ret->lo <= ret->hi ? 0 : -EINVAL;
}

/* What has no role is not in the model, but may have changed what the model is about: a counter set, an
 * object removed, a socket shut down. */
static bool meddles(unsigned op)
{
	return c->shared->model != PL_MODEL_NONE && c->ops[op].role == PL_NONE &&
	       !(c->ops[op].how & PL_NEUTRAL);
}

/* Made for the rounds of another variant, it does what that one's model is about. */
static bool strange(const struct pl_op *op, const struct pl_obj *o)
{
	return op->role != PL_NONE && op->role != PL_OBSERVE && !pl_fits(op, o);
}

static int plan_ops(struct pl_part *p, json_t *group, char *why, size_t size)
{
	json_t *list = json_object_get(group, "do"), *j;
	size_t k;
	unsigned i;

	json_array_foreach(list, k, j)
	{
		const char *name = json_string_value(j);

		for (i = 0; name && i < c->nops; i++)
			if (!strcmp(c->ops[i].name, name))
				break;
		if (name && i < c->nops && c->ops[i].how & PL_CLOSES)
			return (void)snprintf(why, size,
				       "plan: '%s' ends the object: only a call may do that", name),
			       -EINVAL;
		if (!name || i == c->nops || p->ndo == PL_DO_MAX)
			return (void)snprintf(why, size,
				       "plan: 'do' lists up to %d operations of this driver",
				       PL_DO_MAX),
			       -EINVAL;
		add_op(p, i, 1);
		c->shared->beyond |= meddles(i) || strange(&c->ops[i], &c->handle[p->handle].obj);
		c->handle[p->handle].altered |= c->ops[i].role == PL_NONE;
		c->handle[p->handle].strayed |= c->ops[i].role == PL_NONE;
	}
	return p->ndo ? 0 : ((void)snprintf(why, size, "plan: 'do' is empty"), -EINVAL);
}

/* An argument outside of what rounds draw may make the operation another one than the model's: a
 * peek, a shared lock, a lock of some bytes. What has no role is not judged anyway. */
static bool beyond(unsigned op, const struct pl_arg *a, const struct pl_draw *w)
{
	bool formed = c->shared->model == PL_MODEL_SELECT || c->shared->model == PL_MODEL_LOCK ||
		      c->shared->model == PL_MODEL_RANGES || c->shared->model == PL_MODEL_VECTOR;
	bool may = a->kind == PL_INT || a->kind == PL_START || a->kind == PL_LENGTH ||
		   (a->kind == PL_FORM && !formed);
	struct pl_draw usual = drawn(a);

	return pl_judged_role(op) != PL_NONE && may && (w->lo < usual.lo || w->hi > usual.hi);
}

/* Ranges of arguments by name, for every operation of the part that has such an argument. */
static int plan_args(struct pl_part *p, json_t *group, char *why, size_t size)
{
	json_t *t = json_object_get(group, "timeout_ns"), *j;
	unsigned d, i;

	if (t && read_draw(t, &p->timeout_ns) < 0)
		return (void)snprintf(why, size, "plan: timeout_ns is a number or [low, high]"),
		       -EINVAL;
	for (d = 0; d < p->ndo; d++)
		for (i = 0; i < PL_ARGS_MAX && c->ops[p->op[d]].arg[i].name; i++) {
			const struct pl_arg *a = &c->ops[p->op[d]].arg[i];
			struct pl_draw *w = &p->arg[d][i];

			j = json_object_get(group, a->name);
			if (j && (read_draw(j, w) < 0 || w->lo < a->min || w->hi > a->max))
				return (void)snprintf(why, size,
					       "plan: '%s' is a number or [low, high] in [%lld, "
					       "%lld]",
					       a->name, (long long)a->min, (long long)a->max),
				       -EINVAL;
			c->shared->beyond |= j && beyond(p->op[d], a, w);
			if (a->kind == PL_SIZE && c->ops[p->op[d]].role == PL_PUT &&
				w->lo < PL_MARK)
				w->lo = PL_MARK, w->hi = w->hi < PL_MARK ? PL_MARK : w->hi;
		}
	return 0;
}

static int plan_group(json_t *group, int handle, uint32_t ops, char *why, size_t size)
{
	json_t *ids = json_object_get(group, "ids"), *units = json_object_get(group, "ops"), *j;
	size_t k;

	if (json_array_size(ids) == 0)
		return (void)snprintf(why, size, "plan: 'ids' is a list of actors"), -EINVAL;
	if (units && (!json_is_integer(units) || json_integer_value(units) < 0 ||
			     json_integer_value(units) > PL_RECS_MAX / 4))
		return (void)snprintf(
			       why, size, "plan: 'ops' is an integer in [0, %d]", PL_RECS_MAX / 4),
		       -EINVAL;
	json_array_foreach(ids, k, j)
	{
		json_int_t id = json_integer_value(j);
		struct pl_part *p;

		if (!json_is_integer(j) || id < 0 || id >= (json_int_t)c->nactors ||
			c->actor[id].retired)
			return (void)snprintf(why, size, "plan: no actor %lld", (long long)id),
			       -EINVAL;
		if (c->shared->part[id].in)
			return (void)snprintf(
				       why, size, "plan: actor %lld is in it twice", (long long)id),
			       -EINVAL;
		p = begin_part((unsigned)id, handle, units ? json_integer_value(units) : ops);
		p->seq = json_is_true(json_object_get(group, "seq"));
		if (plan_ops(p, group, why, size) < 0 || plan_args(p, group, why, size) < 0)
			return -EINVAL;
	}
	return 0;
}

static bool takes(const struct pl_part *p)
{
	unsigned d;

	for (d = 0; p->in && d < p->ndo; d++)
		if (c->ops[p->op[d]].role == PL_TAKE)
			return true;
	return false;
}

/* Threads of one process are no parties to what is between processes; who has a name alone may not
 * be able to take. */
static int parties(int handle, char *why, size_t size)
{
	const struct pl_variant *v = &c->drv->variants[c->handle[handle].obj.variant];
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		const struct pl_part *p = &c->shared->part[i];

		if (p->in && c->actor[i].kind == KIND_THREAD && v->caps & PL_APART)
			return (void)snprintf(why, size,
				       "actor %u is a thread, and %s is between processes", i,
				       v->name),
			       -EINVAL;
		if (takes(p) && c->actor[i].kind == KIND_EXEC && v->caps & PL_PUTONLY)
			return (void)snprintf(why, size,
				       "actor %u has %s by its name, which leads to the putting "
				       "end: it cannot take",
				       i, v->name),
			       -EINVAL;
	}
	return 0;
}

int pl_plan_make(json_t *plan, int handle, uint32_t ops, char *why, size_t n)
{
	json_t *groups = json_object_get(plan, "actors"), *g;
	size_t k;

	memset(c->shared->part, 0, sizeof c->shared->part);
	c->shared->beyond = 0;
	if (!plan)
		return default_plan(handle, ops, why, n) < 0 ? -EINVAL : parties(handle, why, n);
	if (json_array_size(groups) == 0)
		return (void)snprintf(why, n, "plan: 'actors' is a list of groups"), -EINVAL;
	json_array_foreach(groups, k, g)
	{
		if (plan_group(g, handle, ops, why, n) < 0)
			return -EINVAL;
	}
	return parties(handle, why, n);
}

static enum pl_role role_of(const struct pl_part *p)
{
	return p->in && p->ndo && !p->seq ? c->ops[p->op[0]].role : PL_NONE;
}

/* What an actor will put, in the unit that takers count: bytes of a stream, the sum of amounts. */
static uint64_t amount_put(unsigned actor, enum pl_arg_kind unit)
{
	const struct pl_part *p = &c->shared->part[actor];
	uint64_t key = pl_unit_key(c->shared, actor), sum = 0, u;
	bool varies = pl_plan_varies(p, c->ops);
	int64_t v[PL_ARGS_MAX + 1];
	int at;

	for (u = 0; u < (varies ? p->units : 1); u++) {
		unsigned d = 0;

		pl_unit_draw(p, c->ops, key, u, &d, v);
		(void)pl_arg_of(&c->ops[p->op[d]], unit, &at);
		sum += at >= 0 ? (uint64_t)v[at] : unit == PL_TAG;
	}
	return varies ? sum : sum * p->units;
}

/* Quotas of this round: a taker's share of what will be put. */
void pl_plan_balance(void)
{
	enum pl_model model = (enum pl_model)c->shared->model;
	bool lossy = c->shared->caps & PL_LOSSY;
	bool counted = model == PL_MODEL_SUM || model == PL_MODEL_COUNTER;
	uint64_t put = 0, takers = 0, nth = 0, share;
	unsigned i;

	c->shared->owner = PL_ACTORS_MAX;
	for (i = 0; i < c->nactors; i++) {
		struct pl_part *p = &c->shared->part[i];

		p->quota = p->in ? p->units : 0;
		if (role_of(p) == PL_PUT)
			put += model == PL_MODEL_STREAM ? amount_put(i, PL_SIZE)
			       : counted		? amount_put(i, PL_TAG)
							: p->units;
		takers += role_of(p) == PL_TAKE;
	}
	for (i = 0; i < c->nactors; i++) {
		struct pl_part *p = &c->shared->part[i];

		if (role_of(p) != PL_TAKE)
			continue;
		c->shared->owner = i;
		share = put / takers;
		p->quota = ++nth == takers ? put - share * (takers - 1) : share;
		p->quota = lossy || c->shared->half ? UINT64_MAX : p->quota;
	}
}
