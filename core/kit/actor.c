/* SPDX-License-Identifier: MIT
 *
 * An actor: a process or thread that performs operations, one at a time, as control tells it.
 */
#include "kit.h"
#include "raw.h"

#include "../hist/payload.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static _Thread_local struct pl_slot *own_slot;

/* Signals an actor expects are counted and told in its next reply; the kick only interrupts. */
static void on_signal(int signo, siginfo_t *si, void *context)
{
	int saved = errno;
	uint32_t n;

	(void)context;
	if (signo != PL_KICK && own_slot) {
		n = atomic_fetch_add(&own_slot->nsignals, 1);
		if (n < PL_SIGNALS_MAX)
			own_slot->signal[n] = (struct pl_seen_signal){ .signo = signo,
				.code = si->si_code,
				.pid = si->si_pid,
				.value = si->si_value.sival_int };
	}
	errno = saved;
}

void pl_actor_signals(void)
{
	static const int watched[] = { PL_KICK, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM };
	struct sigaction sa = { .sa_sigaction = on_signal };
	sigset_t none;
	unsigned i;

	for (i = 0; i < sizeof watched / sizeof *watched; i++) {
		sa.sa_flags = SA_SIGINFO | (watched[i] == PL_KICK ? 0 : SA_RESTART);
		(void)sigaction(watched[i], &sa, NULL);
	}
	(void)sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	(void)sigaction(SIGTERM, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int pl_end_for(const struct pl_driver *d, const struct pl_op *op)
{
	return d->ends[0] && op->role == PL_PUT ? 1 : 0;
}

/* A number that no process has answers for an actor that is not there: 0 and below mean groups. Control takes
 * the number away, then looks who aims at it, then reaps; here it is announced, then looked at again. Who aims
 * at what is reaped all the same has seen nothing of it. */
int64_t pl_actor_aim(struct pl_env *e, int64_t id)
{
	bool is = id >= 0 && id < PL_ACTORS_MAX;
	int32_t pid = is ? atomic_load(&e->shared->slot[id].pid) : 0;

	if (pid <= 1)
		return INT32_MAX;
	atomic_store(&e->slot->aim, pid);
	if (atomic_load(&e->shared->slot[id].pid) == pid)
		return pid;
	pl_actor_aimed(e);
	return INT32_MAX;
}

void pl_actor_aimed(struct pl_env *e)
{
	atomic_store_explicit(&e->slot->aim, 0, memory_order_release);
}

const struct pl_arg *pl_arg_of(const struct pl_op *op, enum pl_arg_kind kind, int *ret_index)
{
	int i;

	for (i = 0; i < PL_ARGS_MAX && op->arg[i].name; i++)
		if (op->arg[i].kind == kind) {
			*ret_index = i;
			return &op->arg[i];
		}
	*ret_index = -1;
	return NULL;
}

struct timespec pl_deadline_in(const struct pl_op *op, int64_t ns)
{
	struct timespec ts;
	int64_t t;

	if (op->how & PL_RELATIVE)
		ts = (struct timespec){ 0 };
	else
		clock_gettime(op->how & PL_MONO ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ts);
	if (__builtin_add_overflow(ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec, ns, &t))
		t = INT64_MAX;
	return t < 0 ? (struct timespec){ 0 }
		     : (struct timespec){ .tv_sec = t / 1000000000, .tv_nsec = t % 1000000000 };
}

void *pl_actor_buf(struct pl_env *e, size_t len)
{
	size_t want = (len + 4095) & ~(size_t)4095;

	if (want <= e->buf_len)
		return e->buf;
	if (e->buf)
		(void)munmap(e->buf, e->buf_len);
	e->buf = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (e->buf == MAP_FAILED)
		raw_exit(1);
	e->buf_len = want;
	return e->buf;
}

/* Published before an operation: what an observer must see it sleep on. */
void pl_slot_enter(struct pl_env *e, const struct pl_obj *o, const struct pl_op *op, int fd)
{
	e->slot->fd = fd;
	e->slot->mem = (uint64_t)(uintptr_t)(o->local ? o->local : o->mem);
	e->slot->mem_len = o->local ? o->local_len : o->mem ? e->drv->mem : 0;
	e->slot->op = (uint16_t)(op - e->ops);
	e->slot->timed = (op->how & PL_TIMED) != 0;
}

static void take_signals(struct pl_slot *s, struct pl_rsp *r)
{
	r->nsignals = atomic_exchange(&s->nsignals, 0);
	if (r->nsignals > PL_SIGNALS_MAX)
		r->nsignals = PL_SIGNALS_MAX;
	memcpy(r->signal, s->signal, sizeof r->signal);
}

static void tell_payload(struct pl_env *e, const struct pl_op *op, const struct pl_args *a,
	const struct pl_result *r, struct pl_rsp *rsp)
{
	struct pl_piece p;
	size_t at = 0, n;
	int size;

	if (op->role == PL_PUT) {
		rsp->sum = pl_payload_sum(a->buf, a->len);
		return;
	}
	if (pl_arg_of(op, PL_SIZE, &size) == NULL) {
		rsp->token = r->token;
		return;
	}
	if (op->role != PL_TAKE || rsp->ret <= 0)
		return;
	n = (size_t)rsp->ret < a->len ? (size_t)rsp->ret : a->len;
	rsp->token = pl_payload_token(a->buf, n, e->shared->seed);
	rsp->sum = pl_payload_sum(a->buf, n);
	for (; rsp->npieces < PL_PIECES_MAX && pl_payload_piece(a->buf, n, at, e->shared->seed, &p);
		at = p.at + p.len)
		rsp->piece[rsp->npieces++] =
			(struct pl_place_in_stream){ p.token, (uint32_t)p.offset, (uint32_t)p.len };
}

/* The request's arguments as the driver wants them. */
static void call_args(struct pl_env *e, const struct pl_cmd *m, struct pl_args *a)
{
	const struct pl_op *op = &e->ops[m->op];
	int i;

	memcpy(a->v, m->v, sizeof a->v);
	if (pl_arg_of(op, PL_ACTOR, &i))
		a->v[i] = pl_actor_aim(e, m->v[i]);
	a->deadline = (struct timespec){ .tv_sec = (time_t)m->sec, .tv_nsec = (long)m->nsec };
	(void)pl_arg_of(op, PL_SIZE, &i);
	a->len = i >= 0 ? (size_t)a->v[i] : 0;
	a->buf = pl_actor_buf(e, a->len + 1);
}

static bool strike(int64_t pid)
{
	return raw_kill((pid_t)pid, SIGKILL) == 0;
}

/* The operation itself, and beside it the end of a victim: nothing is between the two but this. */
static void perform(struct pl_env *e, const struct pl_cmd *m, const struct pl_args *a,
	struct pl_result *r, struct pl_rsp *rsp)
{
	int64_t victim = m->victim >= 0 ? pl_actor_aim(e, m->victim) : 0;

	atomic_store(&e->slot->phase, PHASE_CALL);
	e->slot->since = rsp->t_inv = pl_now();
	atomic_fetch_add(&e->slot->in_op, 1);
	pl_stamped();
	if (victim && m->first)
		rsp->killed = strike(victim);
	errno = 0;
	rsp->ret = e->ops[m->op].call(&e->obj[m->handle], a, r);
	rsp->err = rsp->ret < 0 ? errno : 0;
	if (victim && !m->first)
		rsp->killed = strike(victim);
	pl_settle();
	rsp->t_ret = pl_now();
	atomic_fetch_add(&e->slot->in_op, 1);
	pl_actor_aimed(e);
}

static void do_call(struct pl_env *e, const struct pl_cmd *m)
{
	const struct pl_op *op = &e->ops[m->op];
	struct pl_obj *o = &e->obj[m->handle];
	struct pl_args a = { .wait = m->has_deadline };
	struct pl_result r = { 0 };
	struct pl_rsp rsp = { .token = m->token, .killed = -1 };
	int i, end = m->end >= 0 ? m->end : pl_end_for(e->drv, op);

	call_args(e, m, &a);
	a.fd = o->fd[end];
	if (op->role == PL_PUT || op->role == PL_UPDATE) {
		if (!rsp.token)
			rsp.token = pl_token(e->id, e->incarnation, ++e->slot->numbered);
		a.token = rsp.token;
		pl_payload_fill(a.buf, e->shared->seed, rsp.token, 0, a.len, a.len);
	}
	if (pl_arg_of(op, PL_TAG, &i))
		r.tag = (uint64_t)a.v[i];
	pl_slot_enter(e, o, op, a.fd);
	perform(e, m, &a, &r, &rsp);
	rsp.tag = r.tag;
	rsp.len = a.len;
	memcpy(rsp.out, r.out, sizeof rsp.out);
	tell_payload(e, op, &a, &r, &rsp);
	if (rsp.ret >= 0 && op->how & PL_NEWFD && m->as) {
		e->obj[m->as] = *o;
		e->obj[m->as].local = NULL;
		e->born[m->as] = false;
		e->obj[m->as].fd[0] = (int)rsp.ret;
		e->obj[m->as].fd[1] = (int)rsp.ret;
	}
	if (rsp.ret >= 0 && op->how & PL_CLOSES)
		o->fd[end] = -1;
	take_signals(e->slot, &rsp);
	atomic_fetch_add(rsp.ret < 0 ? &e->slot->fail : &e->slot->okay, 1);
	atomic_fetch_add(&e->slot->done, 1);
	atomic_store(&e->slot->phase, PHASE_IDLE);
	(void)pl_chan_send(e->chan, &rsp, sizeof rsp, NULL, 0);
}

/* Opens the object for this process: its own view of what it inherited, or a fresh start by name. */
void pl_actor_attach(struct pl_env *e, struct pl_obj *o, const int64_t *open_args)
{
	struct pl_args a = { 0 };
	int i;

	memcpy(a.v, open_args, sizeof a.v);
	o->create = 0, o->local = NULL;
	for (i = 0; i < PL_FDS_MAX && pl_reopens(e->drv, o); i++)
		o->fd[i] = -1;
	(void)e->drv->open(o, &a);
}

/* An object that was opened after this actor began, or that an actor of kind exec must open by its
 * name. */
static void do_open(struct pl_env *e, const struct pl_cmd *m, int *fds, int nfds)
{
	struct pl_obj *o = &e->obj[m->handle];
	int i, next = 0, first;

	*o = m->obj;
	o->local = NULL;
	e->born[m->handle] = false;
	memcpy(e->name[m->handle], m->name, sizeof m->name);
	o->name = m->name[0] ? e->name[m->handle] : NULL;
	o->mem = NULL;
	if (m->mem_len && next < nfds) {
		o->mem = mmap(NULL, m->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED, fds[next], 0);
		(void)raw_close(fds[next++]);
		o->mem = o->mem == MAP_FAILED ? NULL : o->mem;
	}
	for (first = next, i = 0; i < PL_FDS_MAX; i++) {
		bool had = o->fd[i] >= 0;

		o->fd[i] = had && next < nfds ? fds[next++] : -1;
	}
	if ((next == first && o->name) || pl_caps_of(e->drv, o) & PL_EACH)
		pl_actor_attach(e, o, m->v);
}

/* Threads share what they were born with: whoever is told first closes it, once. */
static bool closes(struct pl_env *e, unsigned handle, int end)
{
	static atomic_flag closed[PL_HANDLES_MAX + 1][PL_FDS_MAX];

	return !e->born[handle] || !atomic_flag_test_and_set(&closed[handle][end]);
}

static void do_close(struct pl_env *e, unsigned handle, int end)
{
	struct pl_obj *o = &e->obj[handle];
	bool same = o->fd[0] == o->fd[1]; /* both ends of a dup are one descriptor */
	int i;

	for (i = 0; i < PL_FDS_MAX; i++) {
		if (end >= 0 && end != i && !same)
			continue;
		if (o->fd[i] >= 0 && !e->drv->ids && !(same && i > 0) && closes(e, handle, i))
			(void)raw_close(o->fd[i]);
		o->fd[i] = -1;
	}
	if (end < 0)
		pl_local_close(e->drv, o);
	if (o->mem && end < 0 && closes(e, handle, 0))
		(void)munmap(o->mem, e->drv->mem);
	o->mem = end < 0 ? NULL : o->mem;
}

static void obey(struct pl_env *e)
{
	struct pl_cmd m;
	int fds[PL_FDS_MAX + 1], nfds;

	for (;;) {
		if (pl_chan_recv(e->chan, &m, sizeof m, fds, PL_FDS_MAX + 1, &nfds) != sizeof m)
			return;
		switch (m.kind) {
		case CMD_CALL:
			do_call(e, &m);
			break;
		case CMD_OPEN:
			do_open(e, &m, fds, nfds);
			atomic_fetch_add(&e->slot->heard, 1);
			break;
		case CMD_CLOSE:
			do_close(e, m.handle, m.end);
			atomic_fetch_add(&e->slot->heard, 1);
			break;
		case CMD_RUN:
			pl_actor_stages(e, m.go);
			atomic_store(&e->slot->phase, PHASE_IDLE);
			break;
		case CMD_EXEC:
			pl_actor_become(e);
		case CMD_EXIT:
			return;
		}
	}
}

void pl_actor_main(struct pl_env *e)
{
	own_slot = e->slot;
	e->slot->tid = (int32_t)syscall(SYS_gettid);
	e->slot->pid = (int32_t)syscall(SYS_getpid);
	atomic_store(&e->slot->phase, PHASE_IDLE);
	obey(e);
	atomic_store(&e->slot->tid, 0); /* a thread's number is soon another's */
	atomic_store(&e->slot->pid, 0);
}
