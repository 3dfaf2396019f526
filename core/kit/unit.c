/* SPDX-License-Identifier: MIT
 *
 * An actor's part of a round: the hot loop. One stamp an operation: the return of one is the
 * invocation of the next. What costs time (making payloads, reading them back) happens between a
 * return stamp and the next call, where it can only make an invoke stamp early.
 */
#include "kit.h"
#include "raw.h"

#include "../hist/payload.h"
#include "../hist/rng.h"
#include "../sched/sched.h"

#include <string.h>
#include <sys/mman.h>

enum { NEAR_NS = 1000000 };
enum { READ_MAX = PL_RECS_MAX / 4 * PL_MARK }; /* its extents fit into half a log */

struct worker {
	struct pl_env *e;
	const struct pl_part *part;
	struct pl_obj *obj;
	struct pl_hist_head *head;
	struct pl_rec *rec;
	uint32_t n;   /* records written */
	int64_t last; /* stamp of the last return */
	bool stream;
	uint64_t key;
	pl_sched_fn *before;
	int32_t err; /* of the last operation */
	bool varies; /* units differ in operation or arguments */
	struct pl_args args;
	int8_t size_at[PL_OPS_MAX], tag_at[PL_OPS_MAX]; /* by operation: which argument; -1 none */
};

static inline void bump(_Atomic uint64_t *a, uint64_t by)
{
	atomic_store_explicit(
		a, atomic_load_explicit(a, memory_order_relaxed) + by, memory_order_relaxed);
}

static bool given_up(const struct worker *w)
{
	return atomic_load_explicit(&w->e->shared->kick, memory_order_relaxed);
}

static bool stopped(const struct worker *w)
{
	return atomic_load_explicit(&w->e->shared->stop, memory_order_relaxed) || given_up(w);
}

static void count(struct worker *w, const struct pl_op *op, long ret)
{
	struct pl_slot *s = w->e->slot;

	bump(&s->done, 1);
	bump(ret < 0 ? &s->fail : &s->okay, 1);
	if (ret > 0 && op->role == PL_TAKE)
		bump(&s->bytes, (uint64_t)ret);
}

/* Both halves of a record around the call. The caller completes token and state of what was taken.
 */
static long perform(struct worker *w, const struct pl_op *op, const struct pl_args *a,
	struct pl_result *r, uint64_t token, uint64_t aux)
{
	struct pl_rec *rec = &w->rec[w->n];
	struct pl_slot *s = w->e->slot;
	long ret;

	__builtin_prefetch(rec + 3, 1);
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
		.len = (uint32_t)a->len };
	s->rec = w->n;
	s->since = w->last;
	pl_slot_enter(w->e, w->obj, op, a->fd);
	__atomic_store_n(&w->head->head, ++w->n, __ATOMIC_RELEASE);
	atomic_store_explicit(&s->in_op, atomic_load_explicit(&s->in_op, memory_order_relaxed) + 1,
		memory_order_release);
	if (op->how & PL_USER)
		atomic_thread_fence(memory_order_seq_cst);
	errno = 0;
	ret = op->call(w->obj, a, r);
	w->err = ret < 0 ? errno : 0;
	if (op->how & PL_USER)
		atomic_thread_fence(memory_order_seq_cst);
	w->last = pl_now();
	atomic_store_explicit(&s->in_op, atomic_load_explicit(&s->in_op, memory_order_relaxed) + 1,
		memory_order_release);
	rec->t_return = w->last;
	rec->ret = ret;
	rec->err = w->err;
	count(w, op, ret);
	return ret;
}

static void settle(struct worker *w, struct pl_rec *rec, long ret)
{
	(void)w;
	__atomic_store_n(&rec->state, ret < 0 ? PL_FAIL : PL_OK, __ATOMIC_RELEASE);
}

static bool room_for(const struct worker *w, size_t len)
{
	return w->n + 4 + (w->stream ? 2 * len / PL_MARK : 0) < PL_RECS_MAX;
}

/* What a failing operation means for its unit: try again, leave it at that, or leave the round. */
enum next { AGAIN, DONE, LEAVE };

static enum next after_failure(const struct worker *w)
{
	if (w->err == EINTR)
		return given_up(w) ? LEAVE : AGAIN;
	if (w->err == EAGAIN || w->err == ETIMEDOUT) {
		(void)syscall(SYS_sched_yield);
		return stopped(w) ? LEAVE : AGAIN;
	}
	return DONE;
}

/* One set of arguments serves all operations of a round: they are not copied about. */
static struct pl_args *args_for(
	struct worker *w, const struct pl_op *op, const int64_t *v, size_t *ret_len)
{
	int i = w->size_at[op - w->e->ops], k;
	struct pl_args *a = &w->args;

	for (k = 0; k < PL_ARGS_MAX && op->arg[k].name; k++)
		a->v[k] = v[k];
	a->wait = 0;
	a->fd = w->obj->fd[pl_end_for(w->e->drv, op)];
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

static enum next put_unit(struct worker *w, const struct pl_op *op, const int64_t *v)
{
	size_t total, off = 0;
	struct pl_args *a = args_for(w, op, v, &total);
	uint64_t token = pl_token(w->e->id, w->e->incarnation, ++w->e->slot->numbered);
	int tag = w->tag_at[op - w->e->ops];
	char *base = a->buf;

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
		settle(w, &w->rec[w->n - 1], ret);
		if (ret >= 0) {
			off += (size_t)ret;
			if (!w->stream || off >= total)
				return DONE;
			if (given_up(w))
				return LEAVE;
			continue;
		}
		n = after_failure(w);
		if (n != AGAIN)
			return n;
	}
}

/* The extents of what a read returned follow its record, published before its state is. */
static void log_extents(struct worker *w, const char *buf, size_t len)
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

static long take(struct worker *w, const struct pl_op *op, struct pl_args *a)
{
	struct pl_result r = { 0 };
	long ret = perform(w, op, a, &r, 0, 0);
	struct pl_rec *rec = &w->rec[w->n - 1];

	if (ret >= 0) {
		size_t n = (size_t)ret < a->len ? (size_t)ret : a->len;

		rec->aux = r.tag;
		if (w->stream)
			log_extents(w, a->buf, n);
		else
			rec->token = pl_payload_token(a->buf, n, w->e->shared->seed);
	}
	settle(w, rec, ret);
	return ret;
}

/* Takes one payload, or up to `most` bytes of a stream. */
static enum next take_unit(struct worker *w, const struct pl_op *op, const int64_t *v,
	uint64_t most, uint64_t *ret_got)
{
	size_t len;
	struct pl_args *a = args_for(w, op, v, &len);

	if (w->stream && a->len > most)
		a->len = most;
	if (w->stream && a->len > READ_MAX)
		a->len = READ_MAX;
	for (;;) {
		enum next n;
		long ret;

		if (!room_for(w, a->len))
			return LEAVE;
		set_deadline(op, a, v);
		ret = take(w, op, a);
		if (ret >= 0) {
			*ret_got = w->stream ? (uint64_t)ret : 1;
			return w->stream && ret == 0 ? LEAVE : DONE;
		}
		n = after_failure(w);
		if (n != AGAIN)
			return n;
	}
}

static const struct pl_op *op_of_role(const struct worker *w, enum pl_role role)
{
	const struct pl_op *op;

	for (op = w->e->ops; op->name; op++)
		if (op->role == role)
			return op;
	return NULL;
}

static long simple(struct worker *w, const struct pl_op *op, const int64_t *v)
{
	struct pl_result r = { 0 };
	size_t len;
	struct pl_args *a = args_for(w, op, v, &len);
	long ret;

	set_deadline(op, a, v);
	ret = perform(w, op, a, &r, 0, 0);
	w->rec[w->n - 1].aux = r.tag;
	if (op->how & PL_NEWFD && ret >= 0)
		(void)raw_close((int)ret);
	if (op->role == PL_ACQUIRE && r.out[0])
		w->rec[w->n - 1].sum = 1; /* what is guarded was seen torn */
	settle(w, &w->rec[w->n - 1], ret);
	return ret;
}

/* Acquire to release is one unit; the release's own arguments are those of the table. */
static enum next lock_unit(struct worker *w, const struct pl_op *op, const int64_t *v)
{
	const struct pl_op *release = op_of_role(w, PL_RELEASE), *repair = op_of_role(w, PL_REPAIR);
	int64_t plain[PL_ARGS_MAX + 1] = { 0 };
	int i;

	if (!room_for(w, 0))
		return LEAVE;
	for (i = 0; release && i < PL_ARGS_MAX && release->arg[i].name; i++)
		plain[i] = release->arg[i].lo;
	if (simple(w, op, v) < 0 && w->err != EOWNERDEAD)
		return DONE;
	if (w->err == EOWNERDEAD && repair)
		(void)simple(w, repair, plain);
	if (release)
		(void)simple(w, release, plain);
	return DONE;
}

static enum next one(
	struct worker *w, unsigned d, const int64_t *v, uint64_t left, uint64_t *ret_got)
{
	const struct pl_op *op = &w->e->ops[w->part->op[d]];

	*ret_got = 1;
	switch (op->role) {
	case PL_PUT:
		return put_unit(w, op, v);
	case PL_TAKE:
		return take_unit(w, op, v, left, ret_got);
	case PL_ACQUIRE:
		return lock_unit(w, op, v);
	default:
		if (!room_for(w, 0))
			return LEAVE;
		(void)simple(w, op, v);
		return DONE;
	}
}

static void work(struct worker *w)
{
	bool bytes = w->stream && w->e->ops[w->part->op[0]].role == PL_TAKE;
	int64_t v[PL_DO_MAX][PL_ARGS_MAX + 1];
	uint64_t done = 0, unit = 0, got = 0;

	while (done < w->part->quota && !stopped(w)) {
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
		done += bytes ? got : 1;
	}
}

/* Empties the object: a take whose deadline has passed, or one that poll(2) says will not wait. */
static void drain(struct worker *w)
{
	const struct pl_op *op;
	int64_t v[PL_ARGS_MAX + 1] = { 0 };
	struct pl_args *a;
	size_t len;
	int i;

	for (op = w->e->ops; op->name; op++)
		if (op->how & PL_DRAIN)
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
		else if (raw_poll(&p, 1, 0, NULL) == 0 || !(p.revents & POLLIN))
			break;
		if (take(w, op, a) == 0 && w->stream)
			break;
		if (w->err == EINTR)
			continue;
		if (w->err)
			break;
	}
	w->e->shared->drained = w->err == 0 || w->err == EAGAIN || w->err == ETIMEDOUT;
}

static void index_args(struct worker *w)
{
	const struct pl_op *op;
	int size, tag;

	for (op = w->e->ops; op->name; op++) {
		(void)pl_arg_of(op, PL_SIZE, &size);
		(void)pl_arg_of(op, PL_TAG, &tag);
		w->size_at[op - w->e->ops] = (int8_t)size;
		w->tag_at[op - w->e->ops] = (int8_t)tag;
	}
}

/* How many records this round will take: as many as the largest one so far. */
static uint32_t expected(const struct worker *w)
{
	uint32_t first = w->part->units * 2, most = w->e->slot->most;

	most = most > first ? most : first;
	return most < PL_RECS_MAX ? most : PL_RECS_MAX;
}

static void prepare(struct worker *w, struct pl_env *e, enum pl_stage stage)
{
	struct pl_shared *s = e->shared;

	*w = (struct worker){ .e = e,
		.part = &s->part[e->id],
		.head = pl_hist(s, e->id),
		.stream = s->model == PL_MODEL_STREAM,
		.key = pl_unit_key(s, e->id),
		.before = pl_sched_before((enum pl_sched)s->sched) };
	w->obj = &e->obj[w->part->handle];
	w->rec = pl_recs(w->head);
	w->n = (uint32_t)__atomic_load_n(&w->head->head, __ATOMIC_RELAXED);
	index_args(w);
	w->varies = pl_plan_varies(w->part, e->ops);
	if (stage == STAGE_WORK) /* page faults belong before the start, not into an operation */
		(void)madvise(w->head, PL_HIST_HEAD + (size_t)expected(w) * PL_REC,
			23 /* MADV_POPULATE_WRITE, since Linux 5.14 */);
}

/* Asleep while it is far, awake when it is near: all begin within microseconds. */
static void wait_for_start(struct worker *w)
{
	struct pl_shared *s = w->e->shared;
	int64_t left;

	while ((left = s->start_at - pl_now()) > 0 && !stopped(w)) {
		if (left > 2 * NEAR_NS)
			(void)raw_futex_until(&s->stop, 0, s->start_at - NEAR_NS);
		else
			(void)syscall(SYS_sched_yield);
	}
}

static void park(struct pl_env *e, uint32_t records)
{
	uint64_t ring = 1;

	if (records > e->slot->most)
		e->slot->most = records;
	atomic_store(&e->slot->phase, PHASE_PARKED);
	if (!atomic_exchange(&e->slot->parked, 1) && atomic_fetch_sub(&e->shared->running, 1) == 1)
		(void)raw_write(e->bell, &ring, sizeof ring);
}

/* Number and stage come in one word, so that a stage is done once. A number left out was the end of
 * the run, seen too late: there are messages to be read before the next one. */
void pl_actor_stages(struct pl_env *e, uint32_t seen)
{
	struct worker w;

	for (;;) {
		enum pl_stage stage;
		uint32_t word;

		atomic_store(&e->slot->phase, PHASE_PARKED);
		while (atomic_load(&e->slot->go) == seen)
			(void)raw_futex_wait(&e->slot->go, seen);
		word = atomic_load(&e->slot->go);
		stage = word & STAGE_MASK;
		if (stage == STAGE_OVER ||
			(word | STAGE_MASK) != (seen | STAGE_MASK) + STAGE_MASK + 1)
			return;
		seen = word;
		atomic_store(&e->slot->phase, PHASE_ROUND);
		prepare(&w, e, stage);
		if (stage == STAGE_WORK) {
			wait_for_start(&w);
			w.last = pl_now();
			work(&w);
		} else {
			w.last = pl_now();
			drain(&w);
		}
		park(e, w.n);
	}
}
