/* SPDX-License-Identifier: MIT
 *
 * An actor's part of a round: the hot loop. One stamp an operation: the return of one is the
 * invocation of the next. What costs time (making payloads, reading them back) happens between a
 * return stamp and the next call, where it can only make an invoke stamp early.
 */
#include "raw.h"
#include "unit.h"

#include "../hist/payload.h"

#include <string.h>

enum { READ_MAX = PL_RECS_MAX / 4 * PL_MARK }; /* its extents fit into half a log */

/* A return from a function entered before a system call is mispredicted: the kernel leaves no trace of who called.
 * Few are to lie between the loop and the call (a pipe recorded, of raw: 0.77 with two more of them, 0.83 without). */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static inline void bump(_Atomic uint64_t *a, uint64_t by)
{
	atomic_store_explicit(
		a, atomic_load_explicit(a, memory_order_relaxed) + by, memory_order_relaxed);
}

static void count(struct pl_worker *w, const struct pl_op *op, long ret)
{
	struct pl_slot *s = w->e->slot;

	bump(&s->done, 1);
	bump(ret < 0 ? &s->fail : &s->okay, 1);
	if (ret > 0 && op->role == PL_TAKE)
		bump(&s->bytes, (uint64_t)ret);
}

/* Both halves of a record around the call. The caller completes token and state of what was taken. */
static ALWAYS_INLINE long perform(struct pl_worker *w, const struct pl_op *op,
	const struct pl_args *a, struct pl_result *r, uint64_t token, uint64_t aux)
{
	struct pl_rec *rec = &w->rec[w->n];
	struct pl_slot *s = w->e->slot;
	int owner = w->owner_at[op - w->e->ops];
	long ret;

	__builtin_prefetch(rec + 3, 1);
	if (owner >= 0)
		w->args.v[owner] = pl_actor_aim(w->e, w->e->shared->owner);
	if (w->before) {
		int64_t fresh = w->before(~w->key, w->n);

		w->last = fresh ? fresh : w->last;
	}
	*rec = (struct pl_rec){ .seq = w->n,
		.actor = (uint16_t)w->e->id,
		.op = (uint8_t)(op - w->e->ops),
		.state = PL_INVOKED,
		.t_invoke = w->last,
		.handle = w->part->handle,
		.token = token,
		.aux = aux,
		.sum = w->form,
		.len = (uint32_t)a->len };
	s->rec = w->n;
	s->since = w->last;
	pl_slot_enter(w->e, w->obj, op, a->fd);
	__atomic_store_n(&w->head->head, ++w->n, __ATOMIC_RELEASE);
	atomic_store_explicit(&s->in_op, atomic_load_explicit(&s->in_op, memory_order_relaxed) + 1,
		memory_order_release);
	if (op->how & PL_USER)
		pl_stamped();
	errno = 0;
	ret = op->call(w->obj, a, r);
	w->err = ret < 0 ? errno : 0;
	pl_settle();
	w->last = pl_now();
	atomic_store_explicit(&s->in_op, atomic_load_explicit(&s->in_op, memory_order_relaxed) + 1,
		memory_order_release);
	if (owner >= 0)
		pl_actor_aimed(w->e);
	rec->t_return = w->last;
	rec->ret = ret;
	rec->err = w->err;
	count(w, op, ret);
	return ret;
}

static void settle(struct pl_rec *rec, long ret)
{
	__atomic_store_n(&rec->state, ret < 0 ? PL_FAIL : PL_OK, __ATOMIC_RELEASE);
}

static bool room_for(const struct pl_worker *w, size_t len)
{
	return w->n + 4 + (w->stream ? 2 * len / PL_MARK : 0) < PL_RECS_MAX;
}

/* No room, or nothing there: not now, perhaps later. */
static bool found_nothing(const struct pl_worker *w)
{
	return w->err == EAGAIN || w->err == ETIMEDOUT || w->err == ENOMSG;
}

/* What a failing operation means for its unit: try again, leave it at that, or leave the round. */
enum next { AGAIN, DONE, LEAVE };

static enum next after_failure(const struct pl_worker *w)
{
	if (w->err == EINTR)
		return pl_given_up(w) ? LEAVE : AGAIN;
	if (found_nothing(w)) {
		(void)syscall(SYS_sched_yield);
		return pl_stopped(w) ? LEAVE : AGAIN;
	}
	return DONE;
}

/* Into a record's 32 bits: what lies beyond them lies beyond all tags, too. */
static uint32_t form_of(int64_t v)
{
	return v == PL_BY_VARIANT ? 0
	       : v > INT32_MAX	  ? INT32_MAX
	       : v < -INT32_MAX	  ? (uint32_t)-INT32_MAX
				  : (uint32_t)v;
}

/* One set of arguments serves all operations of a round: they are not copied about. */
static struct pl_args *args_for(
	struct pl_worker *w, const struct pl_op *op, const int64_t *v, size_t *ret_len)
{
	int i = w->size_at[op - w->e->ops], form = w->form_at[op - w->e->ops];
	struct pl_args *a = &w->args;

	memcpy(a->v, v, sizeof a->v);
	w->form = form >= 0 ? form_of(v[form]) : 0;
	a->wait = 0;
	a->fd = w->fd_at[op - w->e->ops];
	a->len = *ret_len = i >= 0 ? (size_t)v[i] : 0;
	a->buf = a->len < w->e->buf_len ? w->e->buf : pl_actor_buf(w->e, a->len + 1);
	return a;
}

static void set_deadline(const struct pl_op *op, struct pl_args *a, const int64_t *v)
{
	if (!(op->how & PL_TIMED))
		return;
	a->wait = 1;
	a->deadline = pl_deadline_in(op, v[PL_ARGS_MAX]);
}

static uint64_t fresh_token(struct pl_worker *w)
{
	return pl_token(w->e->id, w->e->incarnation, ++w->e->slot->numbered);
}

static enum next put_unit(struct pl_worker *w, const struct pl_op *op, const int64_t *v)
{
	size_t total, off = 0;
	struct pl_args *a = args_for(w, op, v, &total);
	uint64_t token = fresh_token(w);
	int tag = w->tag_at[op - w->e->ops];
	char *base = a->buf;

	a->token = token;
	if (total > 0)
		pl_payload_fill(a->buf, w->e->shared->seed, token, 0, total, total);
	for (;;) {
		struct pl_result r = { .tag = tag >= 0 ? (uint64_t)v[tag] : 0 };
		uint64_t aux = w->stream ? off : r.tag;
		long ret;
		enum next n;

		if (!room_for(w, 0))
			return LEAVE;
		a->buf = base + off, a->len = total - off;
		set_deadline(op, a, v);
		ret = perform(w, op, a, &r, token, aux);
		if (!w->stream)
			w->rec[w->n - 1].aux = r.tag;
		settle(&w->rec[w->n - 1], ret);
		if (ret >= 0) {
			off += (size_t)ret;
			if (!w->stream || off >= total)
				return DONE;
			if (pl_given_up(w))
				return LEAVE;
			continue;
		}
		n = after_failure(w);
		if (n != AGAIN)
			return n;
	}
}

/* The extents of a read that is not one whole payload follow its record, published before its state is. */
static void log_extents(struct pl_worker *w, const char *buf, size_t len)
{
	struct pl_piece p;
	size_t at = 0;

	for (; pl_payload_piece(buf, len, at, w->e->shared->seed, &p); at = p.at + p.len) {
		size_t left = p.len, from = p.at;

		do { /* a fragment longer than `raw` is told in two */
			struct pl_more *m = (struct pl_more *)&w->rec[w->n];
			size_t n = p.kind == PL_FRAGMENT && left > sizeof m->raw ? sizeof m->raw
										 : left;

			*m = (struct pl_more){ .seq = w->n,
				.actor = (uint16_t)w->e->id,
				.state = PL_MORE,
				.kind = (uint8_t)p.kind,
				.len = (uint32_t)n,
				.token = p.token,
				.offset = (uint32_t)p.offset,
				.total = (uint32_t)p.total };
			if (p.kind != PL_EXTENT)
				memcpy(m->raw, buf + from, n < sizeof m->raw ? n : sizeof m->raw);
			w->n++;
			left -= n, from += n;
		} while (left > 0);
	}
	__atomic_store_n(&w->head->head, w->n, __ATOMIC_RELEASE);
}

static ALWAYS_INLINE long take(struct pl_worker *w, const struct pl_op *op, struct pl_args *a)
{
	int tag = w->tag_at[op - w->e->ops];
	struct pl_result r = { .tag = tag >= 0 ? (uint64_t)a->v[tag] : 0 };
	long ret = perform(w, op, a, &r, 0, r.tag);
	struct pl_rec *rec = &w->rec[w->n - 1];

	w->taken = r.tag;
	if (ret >= 0) {
		size_t n = (size_t)ret < a->len ? (size_t)ret : a->len;

		rec->aux = r.tag;
		if (w->size_at[op - w->e->ops] < 0)
			rec->token = r.token;
		else if (!w->stream || n <= PL_ATOMIC)
			rec->token = pl_payload_token(a->buf, n, w->e->shared->seed);
		if (w->stream && !rec->token)
			log_extents(w, a->buf, n);
	}
	settle(rec, ret);
	return ret;
}

/* Where puts get lost, takers go on until nobody puts any more. */
static bool putters_done(const struct pl_worker *w)
{
	const struct pl_shared *s = w->e->shared;
	unsigned i;

	for (i = 0; i < PL_ACTORS_MAX; i++)
		if (s->part[i].in && s->part[i].ndo && w->e->ops[s->part[i].op[0]].role == PL_PUT &&
			!atomic_load(&s->slot[i].parked))
			return false;
	return true;
}

/* Takes one payload, or up to `most` bytes of a stream. */
static enum next take_unit(struct pl_worker *w, const struct pl_op *op, const int64_t *v,
	uint64_t most, uint64_t *ret_got)
{
	size_t len;
	struct pl_args *a = args_for(w, op, v, &len);

	if (w->stream && a->len > most)
		a->len = most;
	if (w->stream && a->len > READ_MAX)
		a->len = READ_MAX;
	for (;;) {
		bool last = w->lossy && putters_done(w);
		enum next n;
		long ret;

		if (!room_for(w, a->len))
			return LEAVE;
		set_deadline(op, a, v);
		ret = take(w, op, a);
		if (ret >= 0) {
			*ret_got = w->stream ? (uint64_t)ret : w->counted ? w->taken : 1;
			return w->stream && ret == 0 ? LEAVE : DONE;
		}
		n = last ? LEAVE : after_failure(w);
		if (n == AGAIN && w->form) { /* something else may be there */
			*ret_got = 0;
			return DONE;
		}
		if (n != AGAIN)
			return n;
	}
}

static const struct pl_op *op_of_role(const struct pl_worker *w, enum pl_role role)
{
	const struct pl_op *op;

	for (op = w->e->ops; op->name; op++)
		if (op->role == role && pl_fits(op, w->obj))
			return op;
	return NULL;
}

long pl_unit_simple(struct pl_worker *w, const struct pl_op *op, const int64_t *v)
{
	struct pl_result r = { 0 };
	size_t len;
	struct pl_args *a = args_for(w, op, v, &len);
	int start = w->start_at[op - w->e->ops], length = w->length_at[op - w->e->ops];
	long ret;

	set_deadline(op, a, v);
	w->form <<= 1; /* see pl_rec.sum */
	a->len = length >= 0 ? (size_t)v[length] : a->len;
	ret = perform(w, op, a, &r, start >= 0 ? (uint64_t)v[start] : 0, 0);
	w->rec[w->n - 1].aux = r.tag;
	if (start < 0)
		w->rec[w->n - 1].token = r.token;
	if (op->how & PL_NEWFD && ret >= 0)
		(void)raw_close((int)ret);
	if (op->role == PL_ACQUIRE && r.out[0])
		w->rec[w->n - 1].sum |= PL_SUM_TORN; /* what is guarded was seen torn */
	settle(&w->rec[w->n - 1], ret);
	return ret;
}

/* Puts one number in the place of another, whatever that was. */
static enum next update_unit(struct pl_worker *w, const struct pl_op *op, const int64_t *v)
{
	struct pl_result r = { 0 };
	size_t len;
	struct pl_args *a = args_for(w, op, v, &len);
	long ret;

	a->token = fresh_token(w);
	ret = perform(w, op, a, &r, a->token, 0);
	w->rec[w->n - 1].aux = r.token;
	settle(&w->rec[w->n - 1], ret);
	return DONE;
}

/* Acquire to release is one unit; the release's own arguments are those of the table. */
static enum next lock_unit(struct pl_worker *w, const struct pl_op *op, const int64_t *v)
{
	const struct pl_op *release = op_of_role(w, PL_RELEASE), *repair = op_of_role(w, PL_REPAIR);
	int64_t plain[PL_ARGS_MAX + 1] = { 0 };
	int i, form = w->form_at[op - w->e->ops];

	for (i = 0; release && i < PL_ARGS_MAX && release->arg[i].name; i++)
		plain[i] =
			release->arg[i].kind == PL_FORM && form >= 0 ? v[form] : release->arg[i].lo;
	if (pl_unit_simple(w, op, v) < 0 && w->err != EOWNERDEAD)
		return DONE;
	if (w->err == EOWNERDEAD && repair)
		(void)pl_unit_simple(w, repair, plain);
	if (release && w->e->shared->model == PL_MODEL_RANGES)
		pl_unit_ranges(w, release);
	if (release)
		(void)pl_unit_simple(w, release, plain);
	return DONE;
}

static enum next one(
	struct pl_worker *w, unsigned d, const int64_t *v, uint64_t left, uint64_t *ret_got)
{
	const struct pl_op *op = &w->e->ops[w->part->op[d]];

	*ret_got = 1;
	if (!room_for(w, 0))
		return LEAVE;
	switch (op->role) {
	case PL_PUT:
		return put_unit(w, op, v);
	case PL_TAKE:
		return take_unit(w, op, v, left, ret_got);
	case PL_ACQUIRE:
		return lock_unit(w, op, v);
	case PL_UPDATE:
		return update_unit(w, op, v);
	default:
		(void)pl_unit_simple(w, op, v);
		return DONE;
	}
}

void pl_work(struct pl_worker *w)
{
	bool bytes = (w->stream || w->counted) && w->e->ops[w->part->op[0]].role == PL_TAKE;
	int64_t v[PL_DO_MAX][PL_ARGS_MAX + 1] = { 0 };
	uint64_t done = 0, unit = 0, got = 0;

	while (done < w->part->quota && !pl_stopped(w)) {
		unsigned d = 0, last = w->part->seq ? w->part->ndo : 1;
		unsigned k;

		for (k = 0; k < last; k++) {
			d = k;
			if (unit == 0 || w->varies)
				pl_unit_draw(w->part, w->e->ops, w->key, unit, &d, v[k]);
			if (one(w, d, v[k], bytes ? w->part->quota - done : PL_LEN_MAX, &got) ==
				LEAVE)
				return;
		}
		unit++;
		done += bytes || got == 0 ? got : 1;
	}
}

/* Empties the object: a take whose deadline has passed, one that poll(2) says will not wait, or one
 * that never waits. */
void pl_drain(struct pl_worker *w)
{
	const struct pl_op *op;
	int64_t v[PL_ARGS_MAX + 1] = { 0 };
	struct pl_args *a;
	size_t len;
	int i;

	for (op = w->e->ops; op->name; op++)
		if (op->how & PL_DRAIN && pl_fits(op, w->obj))
			break;
	for (i = 0; i < PL_ARGS_MAX; i++)
		v[i] = op->arg[i].hi;
	a = args_for(w, op, v, &len);
	for (;;) {
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		if (!room_for(w, a->len))
			return;
		if (op->how & PL_TIMED)
			a->deadline = (struct timespec){ 0 };
		else if (op->how & PL_BLOCKS && a->fd < 0)
			return; /* it has nothing to take from, and cannot say that nothing is there */
		else if (op->how & PL_BLOCKS &&
			 (raw_poll(&p, 1, 0, NULL) == 0 || !(p.revents & POLLIN)))
			break;
		if (take(w, op, a) == 0 && w->stream)
			break;
		if (w->err == EINTR)
			continue;
		if (w->err)
			break;
	}
	w->e->shared->drained = w->err == 0 || found_nothing(w);
}
