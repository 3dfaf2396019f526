/* SPDX-License-Identifier: MIT
 *
 * One operation by one actor, asked for by name; its deadline, and how it is cancelled: a signal
 * that interrupts, every millisecond, then SIGKILL and a new actor.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { KICK_EVERY_NS = 1000000, GRACE_NS = 200000000 };

static struct pl_ctl *const c = &pl_ctl;

static const struct pl_op *find_op(const char *name)
{
	unsigned i;

	for (i = 0; name && i < c->nops; i++)
		if (!strcmp(c->ops[i].name, name))
			return &c->ops[i];
	return NULL;
}

static int new_local(const char *as, int from, unsigned actor)
{
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (!c->handle[i].used) {
			c->handle[i] = c->handle[from];
			c->handle[i].local = true, c->handle[i].created = false;
			c->handle[i].from = from;
			c->handle[i].primed = false,
			c->handle[i].left = 0; /* the object's own has it */
			c->handle[i].owner = (int)actor;
			(void)snprintf(c->handle[i].name, PL_HANDLE_NAME, "%s", as);
			return i;
		}
	return -EMFILE;
}

static int parse_deadline(
	const struct pl_op *op, json_t *req, struct pl_cmd *m, char *why, size_t n)
{
	json_t *rel = json_object_get(req, "timeout_ns"), *abs = json_object_get(req, "abstime");

	if (!rel && !abs) {
		if (op->how & PL_TIMED)
			return (void)snprintf(why, n, "'%s' needs timeout_ns or abstime", op->name),
			       -EINVAL;
		return 0;
	}
	if (!(op->how & PL_TIMED))
		return (void)snprintf(why, n, "'%s' takes no time-out", op->name), -EINVAL;
	if (abs && (json_array_size(abs) != 2 || !json_is_integer(json_array_get(abs, 0)) ||
			   !json_is_integer(json_array_get(abs, 1))))
		return (void)snprintf(why, n, "timeout_ns is an integer, abstime is [sec, nsec]"),
		       -EINVAL;
	m->has_deadline = 1;
	if (abs) {
		m->sec = json_integer_value(json_array_get(abs, 0));
		m->nsec = json_integer_value(json_array_get(abs, 1));
	} else {
		struct timespec ts = pl_deadline_in(op, json_integer_value(rel));

		m->sec = ts.tv_sec, m->nsec = ts.tv_nsec;
	}
	return 0;
}

static int parse_token(json_t *j, uint64_t *ret)
{
	const char *s = json_string_value(j);
	char *end;

	*ret = 0;
	if (!s)
		return 0;
	*ret = strtoull(s, &end, 16);
	return strspn(s, "0123456789abcdefABCDEFx") == strlen(s) && *s && !*end ? 0 : -EINVAL;
}

/* Who is to die beside the call, right before or right after it. */
static int parse_victim(const struct pl_op *op, json_t *req, struct pl_cmd *m, char *why, size_t n)
{
	json_t *before = json_object_get(req, "kill_before");
	json_t *after = json_object_get(req, "kill_after");
	int aims;

	m->first = before != NULL;
	m->victim = before || after ? (int32_t)json_integer_value(before ? before : after) : -1;
	(void)pl_arg_of(op, PL_ACTOR, &aims);
	if ((before && after) || (m->victim >= 0 && aims >= 0))
		return (void)snprintf(why, n, "one operation aims at one actor"), -EINVAL;
	return 0;
}

/* The request, made into a message; the error is told in `why`. */
static int parse_call(
	json_t *req, struct pl_cmd *m, const struct pl_op **ret_op, char *why, size_t n)
{
	const char *f = json_string_value(json_object_get(req, "f"));
	const char *on = json_string_value(json_object_get(req, "on"));
	const struct pl_op *op = find_op(f);
	int handle;

	if (!op)
		return (void)snprintf(why, n, "no operation '%s': see ops in hello", f ? f : ""),
		       -ENOENT;
	handle = on ? pl_handle_find(on, &m->end) : -ENOENT;
	if (handle < 0)
		return (void)snprintf(why, n, "'on' must name an open handle (and an end of it)"),
		       -EINVAL;
	*m = (struct pl_cmd){ .kind = CMD_CALL,
		.op = (uint32_t)(op - c->ops),
		.handle = (uint32_t)handle,
		.end = m->end };
	*ret_op = op;
	if (parse_token(json_object_get(req, "token"), &m->token) < 0)
		return (void)snprintf(why, n, "token is a string \"0x...\""), -EINVAL;
	if (pl_args_parse(op->arg, req, m->v, why, n) < 0)
		return -EINVAL;
	if (parse_victim(op, req, m, why, n) < 0)
		return -EINVAL;
	return parse_deadline(op, req, m, why, n);
}

static struct pl_actor *free_actor(int64_t id, json_t *req, unsigned *ret)
{
	json_t *j = json_object_get(req, "actor");
	json_int_t n = json_integer_value(j);

	if (!j || n >= (json_int_t)c->nactors)
		return pl_reply_err(id, "usage", true, NULL, "no such actor"), NULL;
	*ret = (unsigned)n;
	if (!c->actor[n].alive || c->actor[n].dying)
		return pl_reply_err(id, "usage", true, json_pack("{si}", "actor", (int)n),
			       "actor %d is dead", (int)n),
		       NULL;
	if (c->actor[n].call.live || pl_round_busy())
		return pl_reply_err(id, "usage", true, json_pack("{si}", "actor", (int)n),
			       "actor %d is busy", (int)n),
		       NULL;
	return &c->actor[n];
}

static void forget_as(struct pl_call *call)
{
	if (call->as)
		c->handle[call->as] = (struct pl_handle){ .memfd = -1 };
	call->as = 0;
}

/* What is remembered of a call while it is under way. */
static struct pl_call call_of(int64_t id, const struct pl_op *op, const struct pl_cmd *m)
{
	struct pl_call call = {
		.live = true, .id = id, .op = op, .handle = (int)m->handle, .end = m->end
	};
	int size, tag;

	(void)pl_arg_of(op, PL_SIZE, &size);
	(void)pl_arg_of(op, PL_TAG, &tag);
	call.len = size >= 0 ? (uint64_t)m->v[size] : 0;
	call.tag = tag >= 0 ? (uint64_t)m->v[tag] : 0;
	memcpy(call.v, m->v, sizeof call.v);
	return call;
}

void pl_req_call(int64_t id, json_t *req)
{
	const char *as = json_string_value(json_object_get(req, "as"));
	json_t *dl = json_object_get(req, "deadline_ms");
	struct pl_cmd m = { 0 };
	const struct pl_op *op;
	struct pl_actor *a;
	unsigned actor;
	char why[160];
	int r;

	a = free_actor(id, req, &actor);
	if (!a)
		return;
	r = parse_call(req, &m, &op, why, sizeof why);
	if (r < 0)
		return pl_reply_err(
			id, r == -ENOENT ? "unsupported" : "usage", true, NULL, "%s", why);
	if (c->handle[m.handle].local && c->handle[m.handle].owner != (int)actor)
		return pl_reply_err(id, "usage", true, NULL, "that descriptor belongs to actor %d",
			c->handle[m.handle].owner);
	a->call = call_of(id, op, &m);
	c->handle[m.handle].altered |= op->role == PL_NONE;
	c->handle[m.handle].strayed |= op->role == PL_NONE && !(op->how & PL_CLOSES);
	if (as && op->how & PL_NEWFD) {
		r = !pl_handle_name_ok(as)	   ? -EINVAL
		    : pl_handle_find(as, NULL) > 0 ? -EEXIST
						   : new_local(as, (int)m.handle, actor);
		if (r < 0) {
			a->call.live = false;
			return pl_reply_err(
				id, "usage", true, NULL, "handle '%s' cannot be had", as);
		}
		a->call.as = r;
		m.as = (uint32_t)r;
	}
	a->call.deadline = pl_now() + (dl ? json_integer_value(dl) : 10000) * 1000000;
	r = pl_chan_send(a->chan, &m, sizeof m, NULL, 0);
	if (r < 0) {
		a->call.live = false;
		forget_as(&a->call);
		pl_reply_err(id, "crash", true, NULL, "actor %u does not listen: %s", actor,
			strerror(-r));
	}
}

static json_t *hex(uint64_t v)
{
	char s[24];

	(void)snprintf(s, sizeof s, "0x%llx", (unsigned long long)v);
	return json_string(s);
}

static void add_payload(json_t *o, const struct pl_op *op, const struct pl_rsp *r)
{
	json_t *pieces;
	uint32_t i;

	if (op->role == PL_PUT || (op->role == PL_TAKE && r->ret >= 0)) {
		(void)json_object_set_new(o, "len", json_integer((json_int_t)r->len));
		(void)json_object_set_new(o, "token", hex(r->token));
		(void)json_object_set_new(o, "sum", hex(r->sum));
	}
	if ((op->role == PL_OBSERVE && r->token) || (op->role == PL_UPDATE && r->ret >= 0))
		(void)json_object_set_new(o, "token", hex(r->token));
	if (op->role == PL_PUT || op->role == PL_TAKE || op->role == PL_ACQUIRE)
		(void)json_object_set_new(o, "tag", json_integer((json_int_t)r->tag));
	if (op->role != PL_TAKE || r->ret <= 0)
		return;
	pieces = json_array();
	for (i = 0; i < r->npieces; i++)
		(void)json_array_append_new(
			pieces, json_pack("[oii]", hex(r->piece[i].token), (int)r->piece[i].offset,
					(int)r->piece[i].len));
	(void)json_object_set_new(o, "pieces", pieces);
}

static json_t *call_ok(const struct pl_op *op, const struct pl_rsp *r)
{
	json_t *o = json_pack("{sIsIsIsI}", "ret", (json_int_t)r->ret, "t_inv",
		(json_int_t)pl_time(r->t_inv), "t_ret", (json_int_t)pl_time(r->t_ret), "dt_ns",
		(json_int_t)(r->t_ret - r->t_inv));
	json_t *sigs;
	uint32_t i;

	if (r->ret < 0)
		(void)json_object_set_new(o, "errno", json_string(pl_errno_name(r->err)));
	if (r->ret < 0 && pl_limit_of(c->drv, r->err))
		(void)json_object_set_new(o, "limit", json_string(pl_limit_of(c->drv, r->err)));
	if (r->killed >= 0)
		(void)json_object_set_new(o, "killed", json_boolean(r->killed));
	add_payload(o, op, r);
	for (i = 0; i < PL_OUT_MAX && op->out[i]; i++)
		(void)json_object_set_new(o, op->out[i], json_integer((json_int_t)r->out[i]));
	if (r->nsignals == 0)
		return o;
	sigs = json_array();
	for (i = 0; i < r->nsignals; i++)
		(void)json_array_append_new(
			sigs, json_pack("{sssisisI}", "signal", pl_signal_name(r->signal[i].signo),
				      "code", r->signal[i].code, "pid", r->signal[i].pid, "value",
				      (json_int_t)r->signal[i].value));
	(void)json_object_set_new(o, "signals", sigs);
	return o;
}

void pl_call_answer(unsigned id)
{
	struct pl_actor *a = &c->actor[id];
	struct pl_rsp r;
	int fds[1], nfds;
	json_t *ok;
	long n = pl_chan_recv(a->chan, &r, sizeof r, fds, 0, &nfds);

	if (n <= 0) {
		if (a->kind == KIND_THREAD)
			pl_actor_left(id);
		else
			a->dying = true; /* its death will be reaped */
		return;
	}
	if (n != sizeof r || !a->call.live)
		return;
	if (r.ret < 0)
		forget_as(&a->call);
	else if (a->call.as)
		c->handle[a->call.as].used = true;
	pl_who_done(id, &a->call, &r);
	pl_primed_by(&a->call, &r);
	a->call.live = false;
	if (a->call.timed_out)
		return pl_reply_err(a->call.id, "timeout", false,
			json_pack("{si}", "actor", (int)id),
			"%s did not return before its deadline", a->call.op->name);
	ok = call_ok(a->call.op, &r);
	if (a->call.canceled)
		(void)json_object_set_new(ok, "canceled", json_true());
	pl_reply(a->call.id, ok);
}

/* After a cancel by SIGKILL somebody takes the place of the dead, under a new id. */
static int replace(unsigned id)
{
	unsigned n = c->nactors;

	c->actor[id].retired = true;
	if (n >= PL_ACTORS_MAX || c->stopping)
		return -1;
	c->actor[n] = (struct pl_actor){
		.chan = -1, .host = (int)n, .kind = c->actor[id].kind, .place = c->actor[id].place
	};
	c->nactors++;
	if (c->actor[n].kind == KIND_THREAD)
		c->actor[n].kind = KIND_PROCESS;
	return pl_spawn(n) < 0 ? -1 : (int)n;
}

void pl_call_died(unsigned id)
{
	struct pl_actor *a = &c->actor[id];
	struct pl_call call = a->call;
	const char *kind = call.timed_out		  ? "timeout"
			   : call.canceled || c->stopping ? "canceled"
							  : "crash";
	json_t *more;
	int heir;

	if (!call.live)
		return;
	a->call.live = false;
	pl_primed_by(&call, NULL);
	forget_as(&call);
	heir = call.canceled || call.timed_out ? replace(id) : -1;
	more = heir >= 0 ? json_pack("{si}", "actor", heir) : json_object();
	if (call.canceled && !call.timed_out)
		(void)json_object_set_new(more, "canceled", json_true());
	if (WIFSIGNALED(a->status))
		(void)json_object_set_new(
			more, "signal", json_string(pl_signal_name(WTERMSIG(a->status))));
	if (atomic_load(&c->shared->slot[id].in_op) & 1)
		(void)json_object_set_new(more, "in", json_string(call.op->name));
	pl_reply_err(call.id, kind, false, more, "actor %u died in %s", id, call.op->name);
}

void pl_req_cancel(int64_t id, json_t *req)
{
	json_t *j = json_object_get(req, "target");
	json_int_t target = j ? json_integer_value(j) : -1;
	json_t *grace = json_object_get(req, "grace_ms");
	int64_t now = pl_now(), kill_at;
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_call *call = &c->actor[i].call;

		if (!call->live || call->id != target)
			continue;
		call->canceled = true;
		call->kick_at = now;
		kill_at = now + (grace ? json_integer_value(grace) * 1000000 : GRACE_NS);
		if (!call->kill_at ||
			kill_at < call->kill_at) /* asking again does not put it off */
			call->kill_at = kill_at;
		pl_reply(id, json_object());
		(void)pl_call_timers(now);
		return;
	}
	if (pl_round_cancel(target) == 0)
		return pl_reply(id, json_object());
	pl_reply_err(
		id, "usage", true, NULL, "no call or run %lld is under way", (long long)target);
}

int64_t pl_call_timers(int64_t now)
{
	int64_t next = INT64_MAX;
	unsigned i;

	for (i = 0; i < c->nactors; i++) {
		struct pl_call *call = &c->actor[i].call;

		if (!call->live)
			continue;
		if (!call->kill_at && now >= call->deadline) {
			call->timed_out = true;
			call->kick_at = now;
			call->kill_at = now + GRACE_NS;
		}
		if (call->kill_at && now >= call->kill_at)
			pl_kill_actor(i, true);
		else if (call->kick_at && now >= call->kick_at) {
			(void)pl_signal_actor(&c->actor[i], PL_KICK);
			call->kick_at = now + KICK_EVERY_NS;
		}
		if (c->actor[i].dying)
			continue;
		next = call->kill_at && call->kick_at < next ? call->kick_at : next;
		next = !call->kill_at && call->deadline < next ? call->deadline : next;
	}
	return next;
}
