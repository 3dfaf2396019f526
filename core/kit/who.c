/* SPDX-License-Identifier: MIT
 *
 * who: who waits for what, and who has it. All of it is read, nothing is touched.
 *
 * Control keeps book of what calls have taken and not given back; in a round the records tell. What
 * a death releases by itself (PL_FREED, PL_ROBUST) is nobody's once its holder is dead; all else
 * stays with the dead. An actor that died inside of an operation leaves its object `unsure`.
 */
#include "kit.h"
#include "raw.h"
#include "round.h"

#include <string.h>

enum { ESTATES = 64, HOLDERS_TOLD = 16 };

static struct pl_ctl *const c = &pl_ctl;

static struct {
	uint32_t held[PL_ACTORS_MAX][PL_HANDLES_MAX + 1];
	bool unsure[PL_HANDLES_MAX + 1];
	struct {
		unsigned actor;
		pid_t pid;
		int handle;
		uint32_t n;
	} dead[ESTATES];
	unsigned ndead;
} book;

static const struct pl_variant *variant_of(int handle)
{
	return &c->drv->variants[c->handle[handle].obj.variant];
}

/* How many an operation takes (> 0) or gives back (< 0) when it succeeds. */
static long moves(enum pl_role role, enum pl_model model, uint64_t tag)
{
	long n = tag ? (long)tag : 1;

	if (role == PL_ACQUIRE)
		return 1;
	if (role == PL_RELEASE)
		return -1;
	if (model != PL_MODEL_COUNTER)
		return 0;
	return role == PL_TAKE ? n : role == PL_PUT ? -n : 0;
}

static bool particular(const struct pl_call *call)
{
	int i;

	for (i = 0; i < PL_ARGS_MAX && call->op->arg[i].name; i++)
		if (call->v[i] != call->op->arg[i].def)
			return true;
	return false;
}

void pl_who_done(unsigned actor, const struct pl_call *call, const struct pl_rsp *r)
{
	const struct pl_variant *v = variant_of(call->handle);
	uint32_t *held = &book.held[actor][call->handle];
	long n = moves(call->op->role, v->model, r->tag * (v->model == PL_MODEL_COUNTER));

	if (r->ret < 0 && !(call->op->role == PL_ACQUIRE && r->err == EOWNERDEAD))
		return;
	if (call->op->role == PL_RELEASE && v->caps & PL_FREED && particular(call))
		book.unsure[call->handle] = true; /* a part of what was locked */
	if (n < 0)
		*held = *held > (uint32_t)-n ? *held - (uint32_t)-n : 0;
	else if (call->op->role == PL_ACQUIRE && v->caps & PL_FREED)
		*held = 1; /* locks of files do not nest */
	else
		*held += (uint32_t)n;
}

/* The operation in flight of an actor, as far as control knows it. */
struct wait {
	const struct pl_op *op;
	int handle, end;
	uint64_t len, tag;
	struct pl_draw arg[PL_ARGS_MAX]; /* what its arguments are, or may be */
};

/* In a round an argument is drawn, and only the range it is drawn from is known. */
static void drawn(const struct pl_part *p, unsigned op, struct pl_draw *arg)
{
	unsigned d;

	for (d = 0; d < p->ndo; d++)
		if (p->op[d] == op)
			memcpy(arg, p->arg[d], sizeof p->arg[d]);
}

static void wait_of(unsigned i, struct wait *w)
{
	const struct pl_slot *s = &c->shared->slot[i];
	const struct pl_call *call = &c->actor[i].call;
	int k;

	if (call->live) {
		*w = (struct wait){ call->op, call->handle, call->end, call->len, call->tag,
			{ { 0 } } };
		for (k = 0; k < PL_ARGS_MAX; k++)
			w->arg[k] = (struct pl_draw){ call->v[k], call->v[k] };
	} else {
		const struct pl_rec *r = &pl_recs(pl_hist(c->shared, i))[s->rec % PL_RECS_MAX];

		*w = (struct wait){ &c->ops[s->op], (int)c->shared->part[i].handle, -1, r->len,
			r->aux, { { 0 } } };
		drawn(&c->shared->part[i], s->op, w->arg);
	}
	if (w->end < 0)
		w->end = pl_end_for(c->drv, w->op);
}

void pl_who_died(unsigned id)
{
	struct pl_actor *a = &c->actor[id];
	int h;

	if ((a->call.live || pl_round_busy()) && atomic_load(&c->shared->slot[id].in_op) & 1) {
		struct wait w;

		wait_of(id, &w);
		book.unsure[w.handle] |= w.op->role != PL_NONE && w.op->role != PL_OBSERVE;
	}
	for (h = 1; h <= PL_HANDLES_MAX; h++) {
		if (book.held[id][h] && !(variant_of(h)->caps & (PL_FREED | PL_ROBUST)) &&
			book.ndead < ESTATES) {
			book.dead[book.ndead].actor = id, book.dead[book.ndead].pid = a->pid;
			book.dead[book.ndead].handle = h;
			book.dead[book.ndead++].n = book.held[id][h];
		}
		book.held[id][h] = 0;
	}
}

void pl_who_forget(int handle)
{
	unsigned i, n = 0;

	for (i = 0; i < PL_ACTORS_MAX; i++)
		book.held[i][handle] = 0;
	for (i = 0; i < book.ndead; i++)
		if (book.dead[i].handle != handle)
			book.dead[n++] = book.dead[i];
	book.ndead = n;
	book.unsure[handle] = false;
}

/* What an actor has acquired and not released in the round under way. */
static uint32_t held_in_round(unsigned i, int handle)
{
	struct pl_hist_head *h = pl_hist(c->shared, i);
	const struct pl_rec *r = pl_recs(h);
	uint64_t n = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE), k;
	uint32_t depth = 0;

	if (!c->job || !c->shared->part[i].in || c->job->handle != handle)
		return 0;
	for (k = 0; k < n && k < PL_RECS_MAX; k++) {
		uint8_t state = __atomic_load_n(&r[k].state, __ATOMIC_ACQUIRE);
		enum pl_role role = r[k].op < c->nops ? c->ops[r[k].op].role : PL_NONE;

		if (state == PL_MORE)
			continue;
		if (role == PL_ACQUIRE)
			depth += state == PL_OK || (state == PL_FAIL && r[k].err == EOWNERDEAD);
		else if (role == PL_RELEASE)
			depth -= state == PL_OK && depth > 0;
	}
	return depth;
}

static void add_holder(json_t *all, unsigned actor, pid_t pid, uint32_t n, bool dead)
{
	json_t *o;

	if (!n || json_array_size(all) >= HOLDERS_TOLD)
		return;
	o = json_pack("{sisisI}", "actor", (int)actor, "pid", (int)pid, "n", (json_int_t)n);
	if (dead)
		(void)json_object_set_new(o, "dead", json_true());
	(void)json_array_append_new(all, o);
}

static json_t *object(int handle)
{
	const struct pl_handle *h = &c->handle[handle];
	const struct pl_variant *v = variant_of(handle);
	bool outlives = !(v->caps & (PL_FREED | PL_ROBUST));
	json_t *holders = json_array();
	json_t *o = json_pack("{sssssssosi}", "on", h->name, "variant", v->name, "model",
		pl_model_name(v->model), "holders", holders, "ends", c->drv->ends[1] ? 2 : 1);
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		uint32_t n = book.held[i][handle] + held_in_round(i, handle);
		bool dead = !c->actor[i].alive || c->actor[i].dying;

		if (!dead || outlives)
			add_holder(holders, i, c->actor[i].pid, n, dead);
	}
	for (i = 0; i < book.ndead; i++)
		if (book.dead[i].handle == handle)
			add_holder(holders, book.dead[i].actor, book.dead[i].pid, book.dead[i].n,
				true);
	if (h->sysname[0])
		(void)json_object_set_new(o, "name", json_string(h->sysname));
	if (book.unsure[handle])
		(void)json_object_set_new(o, "unsure", json_true());
	if (h->local)
		(void)json_object_set_new(o, "local", json_true());
	if (v->caps & PL_LATE)
		(void)json_object_set_new(o, "late", json_true());
	if (v->caps & PL_OWNED)
		(void)json_object_set_new(o, "owned", json_true());
	return o;
}

/* What is taken comes out of descriptor 0 and what is put goes into 1, as the reading operation has
 * it. Who waits at the other end of a socket pair sees it the other way round. */
static struct pl_obj as_seen_from(const struct wait *w)
{
	struct pl_obj o = c->handle[w->handle].obj;

	if (c->drv->ends[1] && w->end != (w->op->role == PL_PUT)) {
		int fd = o.fd[0];

		o.fd[0] = o.fd[1], o.fd[1] = fd;
	}
	return o;
}

static const struct pl_op *level_op(const struct pl_obj *o)
{
	const struct pl_op *op;

	for (op = c->ops; op->name; op++)
		if (op->how & PL_LEVEL && pl_fits(op, o))
			return op;
	return NULL;
}

/* Which argument of `op` is the one of that name; -1: none. */
static int arg_named(const struct pl_op *op, const char *name)
{
	int i;

	for (i = 0; op && i < PL_ARGS_MAX && op->arg[i].name; i++)
		if (!strcmp(op->arg[i].name, name))
			return i;
	return -1;
}

/* The level as the waiter would find it: read from its end, with the arguments it shares with the
 * reading operation. False when there is no way to tell. */
static bool level(const struct wait *w, struct pl_result *ret)
{
	struct pl_handle *h = &c->handle[w->handle];
	struct pl_obj o = as_seen_from(w);
	struct pl_args a = { .fd = o.fd[0] };
	const struct pl_op *op = level_op(&o);
	int i, k;

	if (!op || h->local || h->released || (a.fd < 0 && pl_is_fd(c->drv)))
		return false;
	for (i = 0; i < PL_ARGS_MAX && op->arg[i].name; i++) {
		k = arg_named(w->op, op->arg[i].name);
		if (k >= 0 && w->arg[k].lo != w->arg[k].hi)
			return false;
		a.v[i] = k >= 0 ? w->arg[k].lo : op->arg[i].def;
	}
	*ret = (struct pl_result){ 0 };
	return op->call(&o, &a, ret) >= 0;
}

/* Does it want something particular? Then there may be much, and still not that: a message of one
 * type, bytes all at once, another address. */
static bool is_picky(const struct wait *w)
{
	bool counts = variant_of(w->handle)->model == PL_MODEL_COUNTER;
	const struct pl_op *reads = level_op(&c->handle[w->handle].obj);
	int i;

	for (i = 0; i < PL_ARGS_MAX && w->op->arg[i].name; i++) {
		const struct pl_arg *a = &w->op->arg[i];

		if (a->kind == PL_SIZE || arg_named(reads, a->name) >= 0 ||
			(a->kind == PL_TAG && (w->op->role == PL_PUT || counts)))
			continue;
		if (w->arg[i].lo != a->def || w->arg[i].hi != a->def)
			return true;
	}
	return false;
}

static void tell_need(json_t *o, const struct wait *w)
{
	enum pl_model model = variant_of(w->handle)->model;
	uint64_t need = model == PL_MODEL_COUNTER && w->tag		    ? w->tag
			: model == PL_MODEL_STREAM && w->op->role == PL_PUT ? w->len
									    : 1;

	(void)json_object_set_new(o, "need", json_integer((json_int_t)need));
	if (is_picky(w) || model == PL_MODEL_VECTOR)
		(void)json_object_set_new(o, "picky", json_true());
}

static void tell_wait(json_t *o, unsigned i, uint32_t in_op)
{
	struct pl_slot *s = &c->shared->slot[i];
	struct pl_result at;
	struct wait w;

	wait_of(i, &w);
	(void)json_object_update_new(
		o, json_pack("{sssssssisIsI}", "f", w.op->name, "role", pl_role_name(w.op->role),
			   "on", c->handle[w.handle].name, "end", w.end, "op", (json_int_t)in_op,
			   "since", (json_int_t)pl_time(s->since)));
	if (w.op->how & PL_TIMED || !(w.op->how & PL_BLOCKS))
		(void)json_object_set_new(o, "ends", json_true());
	if (w.op->role != PL_PUT && w.op->role != PL_TAKE && w.op->role != PL_ACQUIRE)
		return;
	tell_need(o, &w);
	if (variant_of(w.handle)->model == PL_MODEL_VECTOR || !level(&w, &at))
		return; /* of several places no one number tells */
	(void)json_object_set_new(o, "amount", json_integer((json_int_t)at.amount));
	(void)json_object_set_new(o, "room", json_integer((json_int_t)at.room));
}

/* asleep: in the very call on the very object, as /proc/PID/syscall shows; blocked: it does not
 * run, and more cannot be said. */
static json_t *actor(unsigned i)
{
	struct pl_slot *s = &c->shared->slot[i];
	uint32_t in_op = atomic_load(&s->in_op);
	json_t *o = json_pack("{sisi}", "id", (int)i, "pid", (int)c->actor[i].pid);
	struct pl_sight v = { .state = '?' };
	bool busy = c->actor[i].call.live ||
		    (c->job && c->shared->part[i].in && !atomic_load(&s->parked));
	const char *is = !busy ? "idle" : "running";

	if (!c->actor[i].alive || c->actor[i].dying)
		is = "dead";
	else if (busy && in_op & 1) {
		tell_wait(o, i, in_op);
		if (pl_observe(c->actor[i].pid, s->tid, &v) == 0 &&
			atomic_load(&s->in_op) == in_op && v.state == 'S')
			is = pl_rung() == RUNG_SYSCALL && pl_in_its_call(s, &v) ? "asleep"
										: "blocked";
		if (v.nr >= 0)
			(void)json_object_set_new(o, "in", json_string(pl_syscall_name(v.nr)));
	}
	if (c->actor[i].stopped && is[0] != 'd')
		is = "stopped";
	(void)json_object_set_new(o, "is", json_string(is));
	return o;
}

json_t *pl_who(void)
{
	static const char *const rungs[] = { "none", "stat", "syscall" };
	json_t *actors = json_array(), *objects = json_array();
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (!c->actor[i].retired || c->actor[i].alive)
			(void)json_array_append_new(actors, actor(i));
	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used)
			(void)json_array_append_new(objects, object((int)i));
	return json_pack("{sssisssoso}", "state", pl_round_state(), "round", (int)c->shared->round,
		"rung", rungs[pl_rung()], "actors", actors, "objects", objects);
}

void pl_req_who(int64_t id, json_t *req)
{
	pl_reply(id, pl_who());
}
