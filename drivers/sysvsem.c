/* SPDX-License-Identifier: MIT
 *
 * semget(2), semop(2), semctl(2): a set of System V semaphores. One call does several operations on
 * them, all or none. A process may have what it did undone when it ends (SEM_UNDO). The set is
 * found by a key, and outlives its processes.
 *
 * Rounds of `plain` raise and lower semaphore 0. Rounds of `undo` use it as a lock, which a death
 * releases; beside it lies a plain counter that holders alone touch. Rounds of `vector` take of
 * several semaphores in one call, and give back in another; a death gives back, too.
 */
#include "driver.h"

#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN, UNDO, VECTOR };
enum { NSEMS, VALUE }; /* arguments of open */
enum { SEMS_MAX = 250, VALUE_MAX = 32767, OPS_MAX = 1024 };
enum { SOME = 3 }; /* semaphores of a vector, and tokens in each */

struct guarded {
	volatile uint64_t count, twin; /* equal whenever nobody is inside */
	int odd;		       /* it began with another value than 1: it is no lock */
};

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static long fill(int id, int n, unsigned short value)
{
	unsigned short all[SEMS_MAX];

	for (int i = 0; i < n; i++)
		all[i] = value;
	return semctl(id, 0, SETALL, (union semun){ .array = all });
}

/* What is in each at first, if nobody says. */
static unsigned short usual_value(int variant)
{
	return variant == VECTOR ? SOME : variant == UNDO;
}

/* What the first of so many semaphores hold. */
static uint64_t in_places(int n, unsigned short value)
{
	unsigned short v[PL_PLACES] = { 0 };

	for (int i = 0; i < n && i < PL_PLACES; i++)
		v[i] = value;
	return pl_places(v);
}

static long sem_open_object(struct pl_obj *o, const struct pl_args *a)
{
	int n = a->v[NSEMS] >= 0 ? (int)a->v[NSEMS] : o->variant == VECTOR ? SOME : 1;
	bool again = o->create && o->fd[0] >= 0; /* after a death: the set is there */
	unsigned short value =
		a->v[VALUE] < 0 ? usual_value(o->variant) : (unsigned short)a->v[VALUE];

	o->capacity = o->variant == VECTOR ? in_places(n, value) : VALUE_MAX;
	if (!again)
		o->fd[0] = semget(pl_key(o->name), o->create ? n : 0,
			o->create ? IPC_CREAT | IPC_EXCL | 0600 : 0);
	if (o->fd[0] < 0 || !o->create)
		return o->fd[0];
	((struct guarded *)o->mem)->odd = value != 1;
	return fill(o->fd[0], n, value);
}

/* Keys are 31 bits of a name: a stranger's set under the same one stays. */
static int sem_unlink_object(const char *name)
{
	int id = semget(pl_key(name), 0, 0);
	struct semid_ds ds;

	if (id < 0 || semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0)
		return -1;
	if (ds.sem_perm.cuid != geteuid())
		return (int)pl_ret(EPERM);
	return semctl(id, 0, IPC_RMID);
}

static long one(const struct pl_args *a, int64_t op, int flags)
{
	struct sembuf b = { .sem_op = (short)op, .sem_flg = (short)flags };

	return semop(a->fd, &b, 1);
}

static long op_post(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return one(a, a->v[0], 0);
}

static long op_wait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return one(a, -a->v[0], 0);
}

static long op_trywait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return one(a, -a->v[0], IPC_NOWAIT);
}

static long op_timedwait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sembuf b = { .sem_op = (short)-a->v[0] };

	return semtimedop(a->fd, &b, 1, a->wait ? &a->deadline : NULL);
}

static long enter(struct pl_obj *o, const struct pl_args *a, struct pl_result *r, int flags)
{
	const struct guarded *g = o->mem;
	long rc = g->odd ? pl_ret(EINVAL) : one(a, -1, SEM_UNDO | flags);

	if (rc == 0) {
		r->tag = g->count;
		r->out[0] = g->count != g->twin; /* torn: somebody else is inside */
	}
	return rc;
}

static long op_lock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return enter(o, a, r, 0);
}

static long op_trylock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return enter(o, a, r, IPC_NOWAIT);
}

static long op_unlock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct guarded *g = o->mem;

	if (a->v[0]) {
		uint64_t n = g->count + 1;

		g->count = n;
		g->twin = n;
	}
	return one(a, 1, SEM_UNDO);
}

/* All that the form says of each semaphore, in one call; in steps of one, or as few as can be. */
static long move(const struct pl_args *a, int sign, int flags, bool by_one)
{
	struct sembuf b[PL_PLACES * PL_OF_PLACE];
	size_t n = 0;

	for (int i = 0; i < PL_PLACES; i++) {
		int all = (int)pl_of_place(a->v[0], i), step = by_one ? 1 : all;

		for (int done = 0; done < all; done += step)
			b[n++] = (struct sembuf){ (unsigned short)i, (short)(sign * step),
				(short)(SEM_UNDO | flags) };
	}
	return semtimedop(a->fd, b, n, a->wait ? &a->deadline : NULL);
}

static long op_take(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return move(a, -1, 0, false);
}

static long op_take_by_one(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return move(a, -1, 0, true);
}

static long op_trytake(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return move(a, -1, IPC_NOWAIT, false);
}

static long op_give(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return move(a, 1, 0, false);
}

/* All semaphores at one moment. */
static long op_look(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned short all[SEMS_MAX] = { 0 };
	long rc = semctl(a->fd, 0, GETALL, (union semun){ .array = all });

	r->tag = r->amount = pl_places(all);
	for (int i = 0; i < PL_PLACES; i++)
		r->out[i] = all[i];
	return rc;
}

static long op_semop(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sembuf b = { (unsigned short)a->v[0], (short)a->v[1], (short)a->v[2] };

	return semop(a->fd, &b, 1);
}

static long op_semop2(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sembuf b[2] = { { (unsigned short)a->v[0], (short)a->v[1], (short)a->v[2] },
		{ (unsigned short)a->v[3], (short)a->v[4], (short)a->v[5] } };

	return semop(a->fd, b, 2);
}

/* Two steps and a limit of time. */
static long op_semtimedop2(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sembuf b[2] = { { (unsigned short)a->v[0], (short)a->v[1], 0 },
		{ (unsigned short)a->v[2], (short)a->v[3], 0 } };

	return semtimedop(a->fd, b, 2, a->wait ? &a->deadline : NULL);
}

/* So many steps that each add `add` to semaphore 0. */
static long op_semop_many(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sembuf b[OPS_MAX];

	for (int i = 0; i < a->v[0]; i++)
		b[i] = (struct sembuf){ .sem_op = (short)a->v[1], .sem_flg = IPC_NOWAIT };
	return semop(a->fd, b, (size_t)a->v[0]);
}

static long op_getval(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	long n = semctl(a->fd, (int)a->v[0], GETVAL);

	if (n < 0)
		return n;
	r->out[0] = n;
	r->tag = r->amount = (uint64_t)n;
	r->room = (uint64_t)(VALUE_MAX - n);
	return 0;
}

static long op_getall(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned short all[SEMS_MAX] = { 0 };
	long rc = semctl(a->fd, 0, GETALL, (union semun){ .array = all });

	for (int i = 0; i < PL_OUT_MAX; i++)
		r->out[i] = all[i];
	return rc;
}

/* One token from semaphore 0 to 1 and back, each way in one call. */
static long op_swing(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sembuf there[2] = { { 0, -1, 0 }, { 1, 1, 0 } },
		      back[2] = { { 1, -1, 0 }, { 0, 1, 0 } };

	for (int64_t i = 0; i < a->v[0]; i++)
		if (semop(a->fd, there, 2) < 0 || semop(a->fd, back, 2) < 0)
			return -1;
	return 0;
}

/* Two steps that leave everything as it was. */
static long op_pulse(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned short num = (unsigned short)a->v[0];

	return semop(a->fd, (struct sembuf[]){ { num, 1, 0 }, { num, -1, 0 } }, 2);
}

/* How often semaphores 0 and 1 together held something else than `sum`. */
static long op_watch(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned short all[SEMS_MAX] = { 0 };

	for (int64_t i = 0; i < a->v[0]; i++) {
		if (semctl(a->fd, 0, GETALL, (union semun){ .array = all }) < 0)
			return -1;
		r->out[0] += all[0] + all[1] != a->v[1];
	}
	return 0;
}

/* A child of this process, which ends at once. */
static long op_child(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, &status, 0) < 0 ? -1 : 0;
}

static long op_setval(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return semctl(a->fd, (int)a->v[0], SETVAL, (union semun){ .val = (int)a->v[1] });
}

static long op_setall(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned short all[SEMS_MAX];

	for (int i = 0; i < SEMS_MAX; i++)
		all[i] = (unsigned short)a->v[i < PL_ARGS_MAX ? i : PL_ARGS_MAX - 1];
	return semctl(a->fd, 0, SETALL, (union semun){ .array = all });
}

/* Who waits for more, who for zero, who did the last semop, and whether that was the caller. */
static long op_counts(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int num = (int)a->v[0];
	long n = semctl(a->fd, num, GETNCNT);

	if (n < 0)
		return n;
	r->out[0] = n;
	r->out[1] = semctl(a->fd, num, GETZCNT);
	r->out[2] = semctl(a->fd, num, GETPID);
	r->out[3] = r->out[2] == getpid();
	return 0;
}

static long op_stat(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct semid_ds ds = { 0 };
	long rc = semctl(a->fd, 0, IPC_STAT, (union semun){ .buf = &ds });

	r->out[0] = (int64_t)ds.sem_nsems, r->out[1] = ds.sem_otime, r->out[2] = ds.sem_ctime;
	r->out[3] = ds.sem_perm.mode & 0777, r->out[4] = time(NULL);
	r->out[5] = ds.sem_perm.uid == geteuid() && ds.sem_perm.cuid == geteuid();
	return rc;
}

static long op_set(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct semid_ds ds = { 0 };

	if (semctl(a->fd, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0)
		return -1;
	ds.sem_perm.mode = (unsigned short)a->v[0];
	return semctl(a->fd, 0, IPC_SET, (union semun){ .buf = &ds });
}

static long op_rmid(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return semctl(a->fd, 0, IPC_RMID);
}

/* `fresh`: a set of nobody's, which lives no longer than the call; its first value. */
static long op_semget(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int id = semget(a->v[2] ? IPC_PRIVATE : pl_key(o->name), (int)a->v[0], (int)a->v[1]);

	if (id < 0)
		return -1;
	r->out[0] = id == a->fd;
	if (a->v[2]) {
		r->out[1] = semctl(id, 0, GETVAL);
		(void)semctl(id, 0, IPC_RMID);
	}
	return 0;
}

static const char *sem_limit(int err)
{
	return err == ENOSPC ? "kernel.sem (SEMMNI or SEMMNS)" : NULL;
}

static const char *sem_probe(int variant)
{
	if (semget(pl_key("plumb.probe"), 0, 0) >= 0 || errno != ENOSYS)
		return NULL;
	return "semget fails with ENOSYS: the kernel was built without CONFIG_SYSVIPC";
}

#define CAPS (PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_PERSIST | PL_MULTI_READER | PL_MULTI_WRITER)

static const struct pl_variant variants[] = {
	[PLAIN] = { "plain", PL_MODEL_COUNTER, CAPS | PL_TIMEOUT | PL_COUNTER | PL_THREADS },
	[UNDO] = { "undo", PL_MODEL_LOCK, CAPS | PL_LOCK | PL_FREED | PL_APART },
	[VECTOR] = { "vector", PL_MODEL_VECTOR, CAPS | PL_FREED | PL_APART },
	{ 0 },
};

#define TOKENS                                                                                     \
	{                                                                                          \
		{                                                                                  \
			"n", 1, VALUE_MAX, 1, 1, 1, PL_TAG                                         \
		}                                                                                  \
	}
#define NUM                                                                                        \
	{                                                                                          \
		"num", 0, UINT16_MAX                                                               \
	}
#define STEP(n, o, f)                                                                              \
	{ n, 0, UINT16_MAX }, { o, INT16_MIN, INT16_MAX },                                         \
	{                                                                                          \
		f, INT16_MIN, INT16_MAX                                                            \
	}
#define OF                                                                                         \
	{                                                                                          \
		{                                                                                  \
			"of", 1, (1 << 2 * PL_PLACES) - 1, 1, (1 << 2 * SOME) - 1, 1, PL_FORM      \
		}                                                                                  \
	}
#define P 1U << PLAIN
#define U 1U << UNDO
#define V 1U << VECTOR

static const struct pl_op ops[] = {
	{ "post", op_post, PL_PUT, 0, TOKENS, .weight = 1, .only = P },
	{ "wait", op_wait, PL_TAKE, PL_BLOCKS, TOKENS, .weight = 8, .only = P },
	{ "trywait", op_trywait, PL_TAKE, PL_DRAIN, TOKENS, .weight = 2, .only = P },
	{ "timedwait", op_timedwait, PL_TAKE, PL_TIMED | PL_RELATIVE, TOKENS, .weight = 1,
		.only = P },
	{ "lock", op_lock, PL_ACQUIRE, PL_BLOCKS, .out = { "torn" }, .weight = 8, .only = U },
	{ "trylock", op_trylock, PL_ACQUIRE, 0, .out = { "torn" }, .weight = 2, .only = U },
	{ "unlock", op_unlock, PL_RELEASE, 0, { { "count", 0, 1, .lo = 1, .hi = 1, .def = 1 } },
		.only = U },
	{ "take", op_take, PL_ACQUIRE, PL_BLOCKS, OF, .weight = 6, .only = V },
	{ "take_by_one", op_take_by_one, PL_ACQUIRE, PL_BLOCKS, OF, .weight = 2, .only = V },
	{ "trytake", op_trytake, PL_ACQUIRE, 0, OF, .weight = 3, .only = V },
	{ "timedtake", op_take, PL_ACQUIRE, PL_TIMED | PL_RELATIVE, OF, .weight = 1, .only = V },
	{ "give", op_give, PL_RELEASE, 0, OF, .only = V },
	{ "look", op_look, PL_OBSERVE, PL_LEVEL, .out = { "a", "b", "c", "d" }, .weight = 3,
		.only = V },
	{ "getval", op_getval, PL_OBSERVE, PL_LEVEL, { NUM }, { "value" }, .only = P },
	{ "semop", op_semop, PL_NONE, PL_BLOCKS, { STEP("num", "add", "flags") } },
	{ "semop2", op_semop2, PL_NONE, PL_BLOCKS,
		{ STEP("num", "add", "flags"), STEP("num2", "add2", "flags2") } },
	{ "semtimedop2", op_semtimedop2, PL_NONE, PL_TIMED | PL_RELATIVE,
		{ NUM, { "add", INT16_MIN, INT16_MAX }, { "num2", 0, UINT16_MAX },
			{ "add2", INT16_MIN, INT16_MAX } } },
	{ "pulse", op_pulse, PL_NONE, PL_NEUTRAL, { NUM } },
	{ "semop_many", op_semop_many, PL_NONE, 0,
		{ { "steps", 0, OPS_MAX }, { "add", INT16_MIN, INT16_MAX } } },
	{ "swing", op_swing, PL_NONE, 0, { { "turns", 0, INT32_MAX } } },
	{ "watch", op_watch, PL_NONE, PL_NEUTRAL,
		{ { "turns", 0, INT32_MAX }, { "sum", 0, UINT16_MAX } }, { "parts" } },
	{ "child", op_child, PL_NONE, 0 },
	{ "getall", op_getall, PL_NONE, PL_NEUTRAL, .out = { "a", "b", "c", "d", "e", "f" } },
	{ "setval", op_setval, PL_NONE, 0, { NUM, { "value", INT32_MIN, INT32_MAX } } },
	{ "setall", op_setall, PL_NONE, 0,
		{ { "a", 0, UINT16_MAX }, { "b", 0, UINT16_MAX }, { "c", 0, UINT16_MAX },
			{ "d", 0, UINT16_MAX }, { "e", 0, UINT16_MAX },
			{ "rest", 0, UINT16_MAX } } },
	{ "counts", op_counts, PL_NONE, PL_NEUTRAL, { NUM }, { "ncnt", "zcnt", "pid", "me" } },
	{ "stat", op_stat, PL_NONE, PL_NEUTRAL,
		.out = { "nsems", "otime", "ctime", "mode", "now", "own" } },
	{ "set", op_set, PL_NONE, 0, { { "mode", 0, 0777 } } },
	{ "rmid", op_rmid, PL_NONE, 0 },
	{ "semget", op_semget, PL_NONE, 0,
		{ { "nsems", INT32_MIN, INT32_MAX, .def = 1 }, { "flags", 0, INT32_MAX },
			{ "fresh", 0, 1 } },
		{ "same", "value" } },
	{ 0 },
};

PL_DRIVER(sysvsem, "System V semaphores", variants, ops, .open = sem_open_object, .ids = 1,
	.unlink = sem_unlink_object, .mem = sizeof(struct guarded), .probe = sem_probe,
	.limit = sem_limit,
	.open_args = { { "nsems", -1, SEMS_MAX, .def = -1 },
		{ "value", -1, UINT16_MAX, .def = -1 } },
	.needs = { { "sysv_arrays", 1 } })
