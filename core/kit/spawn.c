/* SPDX-License-Identifier: MIT
 *
 * Actors from control's side: making them, ending them.
 *
 * PR_SET_PDEATHSIG plus a look at getppid() ties an actor to control. After the fork an actor
 * closes every descriptor of the kit but its own channel, the bell and the shared memory.
 */
#include "kit.h"
#include "raw.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { THERE_NS = 1000000000 };

static struct pl_ctl *const c = &pl_ctl;

/* Stopped before it is tied to control's life (see leave_control), an actor would outlive it; sent
 * a signal before it has opened what it blocks signals for, it would die of it. */
void pl_actor_await(unsigned id)
{
	const struct pl_actor *a = &c->actor[id];
	struct pl_slot *s = &c->shared->slot[id];
	int64_t patience = pl_now() + THERE_NS;

	while (a->alive && !a->dying && !a->stopped && !(atomic_load(&s->in_op) & 1) &&
		(atomic_load(&s->phase) == PHASE_NONE || atomic_load(&s->heard) != a->told) &&
		pl_now() < patience)
		(void)syscall(SYS_sched_yield);
}

int pl_signal_actor(struct pl_actor *a, int sig)
{
	int tid = c->shared->slot[a - c->actor].tid;

	if (a->pid <= 1 || !a->alive)
		return -ESRCH;
	if (sig == SIGSTOP)
		pl_actor_await((unsigned)(a - c->actor));
	if (a->kind == KIND_THREAD && sig != SIGKILL && sig != SIGSTOP && sig != SIGCONT)
		return raw_tgkill(a->pid, tid, sig) < 0 ? -errno : 0;
	return raw_kill(a->pid, sig) < 0 ? -errno : 0;
}

static void fill_env(struct pl_env *e, unsigned id, int chan)
{
	int i;

	memset(e, 0, sizeof *e);
	e->drv = c->drv, e->ops = c->ops, e->shared = c->shared;
	e->slot = &c->shared->slot[id];
	e->id = id, e->incarnation = c->actor[id].incarnation;
	e->chan = chan, e->bell = c->bell, e->sharedfd = c->sharedfd;
	for (i = 1; i <= PL_HANDLES_MAX; i++) {
		e->obj[i] = (struct pl_obj){ .fd = { -1, -1 } };
		if (!c->handle[i].used || c->handle[i].local)
			continue;
		e->obj[i] = c->handle[i].obj;
		if (e->obj[i].name) /* control's copy does not stay */
			e->obj[i].name =
				memcpy(e->name[i], c->handle[i].sysname, sizeof e->name[i]);
		e->born[i] = c->actor[id].kind == KIND_THREAD;
	}
}

/* In the child: nothing of control's stays but what an actor needs. */
static void leave_control(pid_t parent)
{
	unsigned i;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		raw_exit(0);
	pl_actor_signals();
	(void)raw_close(c->in);
	(void)raw_close(c->out);
	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].chan >= 0)
			(void)raw_close(c->actor[i].chan);
	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used && !c->handle[i].local && c->handle[i].memfd >= 0)
			(void)raw_close(c->handle[i].memfd);
}

static void close_object(struct pl_handle *h)
{
	int k;

	pl_local_close(c->drv, &h->obj);
	for (k = 0; k < PL_FDS_MAX; k++)
		if (h->obj.fd[k] >= 0 && !c->drv->ids)
			(void)raw_close(h->obj.fd[k]);
}

static void close_objects(void)
{
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used && !c->handle[i].local)
			close_object(&c->handle[i]);
}

/* In the actors' process: control's own of what every actor opens anew. */
static void drop_reopened(void)
{
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++)
		if (c->handle[i].used && !c->handle[i].local &&
			pl_reopens(c->drv, &c->handle[i].obj))
			close_object(&c->handle[i]);
}

/* What every actor opens for itself; what it opens anew is its own to close, even a thread's. */
static void attach_objects(struct pl_env *e)
{
	int i;

	for (i = 1; i <= PL_HANDLES_MAX; i++) {
		struct pl_handle *h = &c->handle[i];

		if (!h->used || h->local || !(pl_caps_of(c->drv, &h->obj) & PL_EACH))
			continue;
		e->born[i] = e->born[i] && (c->drv->mem || !pl_reopens(c->drv, &h->obj));
		pl_actor_attach(e, &e->obj[i], h->args.v);
	}
}

static _Atomic unsigned threads_left; /* of a host process */

static void *thread_main(void *arg)
{
	struct pl_env *e = arg;
	sigset_t none;

	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
	attach_objects(e);
	pl_actor_main(e);
	if (atomic_fetch_sub(&threads_left, 1) == 1)
		raw_exit(0);
	(void)raw_close(e->chan);
	return NULL;
}

struct host_plan {
	unsigned n, id[PL_ACTORS_MAX];
	int chan[PL_ACTORS_MAX];
};

static _Noreturn void host_main(const struct host_plan *h)
{
	struct pl_env *env = calloc(h->n, sizeof *env);
	sigset_t all;
	pthread_t t;
	unsigned i;

	atomic_store(&threads_left, h->n);
	(void)sigfillset(
		&all); /* this thread is no actor: what is sent to the process is for those */
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	drop_reopened();
	for (i = 0; env && i < h->n; i++) {
		fill_env(&env[i], h->id[i], h->chan[i]);
		env[i].thread = true;
		pl_place_actor(h->id[i], c->actor[h->id[i]].place);
		if (pthread_create(&t, NULL, thread_main, &env[i]) != 0)
			raw_exit(1);
	}
	for (;;) {
		_Atomic uint32_t never = 0;

		(void)raw_futex_wait(&never, 0);
	}
}

static _Noreturn void child_main(const struct host_plan *h, enum pl_kind kind)
{
	static struct pl_env env __attribute__((aligned(4096))); /* one page, not two */

	if (kind == KIND_THREAD)
		host_main(h);
	fill_env(&env, h->id[0], h->chan[0]);
	pl_place_actor(h->id[0], c->actor[h->id[0]].place);
	if (kind == KIND_EXEC) {
		close_objects();
		pl_actor_become(&env);
	}
	drop_reopened();
	attach_objects(&env);
	(void)madvise(c, sizeof *c, MADV_DONTNEED);
	pl_actor_main(&env);
	raw_exit(0);
}

static void tell_started(const struct host_plan *h)
{
	unsigned i;

	for (i = 0; i < h->n; i++)
		if (c->actor[h->id[i]].incarnation > 0)
			pl_event("actor", json_pack("{sisiss}", "actor", (int)h->id[i], "pid",
						  (int)c->actor[h->id[i]].pid, "is", "started"));
}

/* One process for the actors in h. */
static int start(struct host_plan *h)
{
	struct pl_actor *first = &c->actor[h->id[0]];
	int ours[PL_ACTORS_MAX];
	pid_t self = getpid(), pid;
	unsigned i;

	for (i = 0; i < h->n; i++) {
		int sv[2];

		if (syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
			int err = errno;

			while (i-- > 0)
				(void)raw_close(ours[i]), (void)raw_close(h->chan[i]);
			return -err;
		}
		ours[i] = sv[0], h->chan[i] = sv[1];
		atomic_store(&c->shared->slot[h->id[i]].phase, PHASE_NONE);
		atomic_store(&c->shared->slot[h->id[i]].in_op, 0);
		atomic_store(&c->shared->slot[h->id[i]].tid, 0);
		atomic_store(&c->shared->slot[h->id[i]].pid, 0);
		atomic_store(&c->shared->slot[h->id[i]].aim, 0);
		atomic_store(&c->shared->slot[h->id[i]].heard, 0);
		c->actor[h->id[i]].told = 0;
	}
	pid = fork();
	if (pid == 0) {
		leave_control(self);
		for (i = 0; i < h->n; i++)
			(void)raw_close(ours[i]);
		child_main(h, first->kind);
	}
	for (i = 0; i < h->n; i++) {
		struct pl_actor *a = &c->actor[h->id[i]];

		(void)raw_close(h->chan[i]);
		if (pid < 0) {
			(void)raw_close(ours[i]);
			continue;
		}
		a->chan = ours[i], a->pid = pid;
		a->alive = true, a->dying = a->asked = a->stopped = false;
	}
	if (pid < 0)
		return -errno;
	tell_started(h);
	return first->kind == KIND_EXEC ? pl_objects_give(first) : 0;
}

int pl_spawn(unsigned id)
{
	struct host_plan h = { 0 };
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (i == id ||
			(c->actor[id].kind == KIND_THREAD && c->actor[i].kind == KIND_THREAD &&
				c->actor[i].host == c->actor[id].host && !c->actor[i].alive &&
				!c->actor[i].retired))
			h.id[h.n++] = i;
	for (i = 0; i < h.n; i++)
		c->actor[h.id[i]].incarnation++;
	return start(&h);
}

static int parse_kind(const char *s, enum pl_kind *ret)
{
	static const char *const names[] = { "process", "thread", "exec" };
	unsigned i;

	for (i = 0; i < 3; i++)
		if (!s || !strcmp(s, names[i])) {
			*ret = (enum pl_kind)(s ? i : 0);
			return 0;
		}
	return -EINVAL;
}

static int make(unsigned n, enum pl_kind kind, enum pl_place place, unsigned *ret_first)
{
	struct host_plan h = { 0 };
	unsigned i, first = c->nactors;
	int r = 0;

	*ret_first = first;
	for (i = first; i < first + n; i++) {
		c->actor[i] = (struct pl_actor){ .kind = kind,
			.place = place,
			.chan = -1,
			.host = kind == KIND_THREAD ? (int)first : (int)i };
		h.id[h.n++] = i;
	}
	c->nactors = first + n;
	if (kind == KIND_THREAD)
		return start(&h);
	for (i = first; i < first + n && r == 0; i++) {
		struct host_plan one = { .n = 1, .id = { i } };

		r = start(&one);
	}
	return r;
}

/* What was begun is gone, with its descriptors, when the request is refused. */
static void unmake(unsigned first)
{
	int64_t patience = pl_now() + THERE_NS;
	unsigned i;

	for (i = first; i < c->nactors; i++) {
		c->actor[i].retired = true;
		pl_kill_actor(i, true);
	}
	for (i = first; i < c->nactors; i++)
		while (c->actor[i].alive && pl_now() < patience) {
			pl_reap();
			(void)syscall(SYS_sched_yield);
		}
	while (c->nactors > first && !c->actor[c->nactors - 1].alive)
		c->nactors--; /* never began: its id is still free */
}

void pl_req_actor(int64_t id, json_t *req)
{
	json_int_t n = json_integer_value(json_object_get(req, "n"));
	json_t *ids, *pids;
	enum pl_place place;
	enum pl_kind kind;
	unsigned first, i;
	const char *limit;
	int r;

	if (!json_object_get(req, "n"))
		n = 1;
	if (parse_kind(json_string_value(json_object_get(req, "kind")), &kind) < 0)
		return pl_reply_err(id, "usage", true, NULL, "kind is process, thread or exec");
	if (pl_place_parse(json_string_value(json_object_get(req, "place")), &place) < 0)
		return pl_reply_err(id, "usage", true, NULL, "place is free, same or spread");
	if (pl_round_busy())
		return pl_reply_err(id, "usage", true, NULL, "a run is under way");
	if (kind == KIND_EXEC && !pl_exec_works())
		return pl_reply_err(id, "unsupported", true, NULL, PL_NO_EXEC);
	if (n < 1 || n > (json_int_t)(PL_ACTORS_MAX - c->nactors))
		return pl_reply_err(id, "usage", true, NULL,
			"n must be 1 to %u (%u of %d ids are used)", PL_ACTORS_MAX - c->nactors,
			c->nactors, PL_ACTORS_MAX);
	r = make((unsigned)n, kind, place, &first);
	if (r < 0) {
		unmake(first);
		if (r == -EOPNOTSUPP)
			return pl_reply_err(id, "usage", true, NULL,
				"an open descriptor has no name: it cannot reach an actor of kind "
				"exec");
		limit = -r == EAGAIN ? "RLIMIT_NPROC" : pl_limit_of(NULL, -r);
		return pl_reply_err(id, "os", true,
			json_pack("{ssssss}", "name", pl_errno_name(-r), "call", "fork", "limit",
				limit ? limit : "processes"),
			"cannot start actors: %s", strerror(-r));
	}
	for (i = first; i < c->nactors; i++) /* whoever is told their pids may stop them */
		pl_actor_await(i);
	ids = json_array(), pids = json_array();
	for (i = first; i < c->nactors; i++) {
		(void)json_array_append_new(ids, json_integer(i));
		(void)json_array_append_new(pids, json_integer(c->actor[i].pid));
	}
	pl_reply(id, json_pack("{soso}", "ids", ids, "pids", pids));
}

void pl_kill_actor(unsigned id, bool asked)
{
	struct pl_actor *a = &c->actor[id];
	int64_t before = pl_now();
	unsigned i;

	if (!a->alive || a->dying || a->pid <= 1)
		return;
	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive && c->actor[i].pid == a->pid) {
			c->actor[i].dying = true;
			c->actor[i].asked = asked;
			pl_control_note(PL_OP_KILL, i, before, before, 0, 0);
		}
	(void)raw_kill(a->pid, SIGKILL);
}

int pl_actors_kill_all(void)
{
	unsigned i;
	int n = 0;

	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive) {
			pl_kill_actor(i, true);
			n++;
		}
	return n;
}
