/* SPDX-License-Identifier: MIT
 *
 * shmget(2): a segment of memory with a key, attached by whoever knows it. It outlives its
 * processes; IPC_RMID takes the key away at once, and the memory once nobody is attached.
 *
 * Every actor attaches for itself; control attaches nothing, so nattch counts actors.
 */
#include "driver.h"
#include "word.h"

#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>

enum { PLAIN, ATOMIC };

static _Thread_local void *left; /* where the last view was that this actor detached */

static long seg_attach(struct pl_obj *o, int flags)
{
	struct shmid_ds ds;
	void *p;

	if (shmctl(o->fd[0], IPC_STAT, &ds) < 0)
		return -1;
	p = shmat(o->fd[0], NULL, flags);
	if (p == (void *)-1)
		return -1;
	o->local = p;
	o->local_len = ds.shm_segsz;
	return 0;
}

static long seg_open(struct pl_obj *o, const struct pl_args *a)
{
	if (o->create)
		return o->fd[0] = shmget(
			       pl_key(o->name), (size_t)a->v[0], IPC_CREAT | IPC_EXCL | 0600);
	o->fd[0] = shmget(pl_key(o->name), 0, 0);
	return o->fd[0] < 0 ? -1 : seg_attach(o, 0);
}

static void seg_close(struct pl_obj *o)
{
	(void)shmdt(o->local);
}

/* Keys are 31 bits of a name: a stranger's segment under the same one stays. One
 * that may not even be looked at is removed only if it is ours: else the system says EPERM. */
static int seg_unlink(const char *name)
{
	int id = shmget(pl_key(name), 0, 0);
	struct shmid_ds ds;

	if (id < 0)
		return -1;
	if (shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_perm.cuid != geteuid())
		return (int)pl_ret(EPERM);
	return shmctl(id, IPC_RMID, NULL);
}

/* A further view; the one before stays attached until the process ends. `odd`: at an address that
 * is 8 bytes off a multiple of SHMLBA. */
static long op_shmat(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	size_t len = 4 * (size_t)SHMLBA;
	char *room, *want;
	void *p;

	if (!a->v[1])
		return seg_attach(o, (int)a->v[0]);
	room = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return -1;
	(void)munmap(room, len);
	want = (char *)(((uintptr_t)room + SHMLBA - 1) / SHMLBA * SHMLBA);
	p = shmat(o->fd[0], want + 8, (int)a->v[0]);
	if (p == (void *)-1)
		return -1;
	r->out[0] = p == want;
	o->local = p;
	return 0;
}

/* `again`: the address of the view that was detached last. */
static long op_shmdt(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	void *view = a->v[0] ? left : o->local;
	int n = shmdt(view);

	if (n == 0 && !a->v[0])
		left = view, o->local = NULL;
	return n;
}

static long op_shmget(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return shmget(a->v[2] ? IPC_PRIVATE : pl_key(o->name), (size_t)a->v[0], (int)a->v[1]);
}

static long op_stat(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct shmid_ds ds = { 0 };
	int n = shmctl(a->fd, IPC_STAT, &ds);

	r->out[0] = (int64_t)ds.shm_segsz, r->out[1] = (int64_t)ds.shm_nattch;
	r->out[2] = ds.shm_perm.mode, r->out[3] = ds.shm_cpid, r->out[4] = ds.shm_lpid;
	r->out[5] = ds.shm_perm.uid == geteuid() && ds.shm_perm.cuid == geteuid();
	return n;
}

/* What a forked child sees that has inherited the views: shm_nattch, up to 255. */
static long op_nattch_in_child(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	pid_t pid = fork();
	struct shmid_ds ds;
	int status;

	if (pid == 0)
		_exit(shmctl(o->fd[0], IPC_STAT, &ds) < 0 ? 0 : (int)ds.shm_nattch);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	r->out[0] = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return 0;
}

static long op_times(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct shmid_ds ds = { 0 };
	int n = shmctl(a->fd, IPC_STAT, &ds);

	r->out[0] = ds.shm_atime, r->out[1] = ds.shm_dtime, r->out[2] = ds.shm_ctime;
	r->out[3] = time(NULL);
	return n;
}

static long op_set(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct shmid_ds ds = { 0 };

	if (shmctl(a->fd, IPC_STAT, &ds) < 0)
		return -1;
	ds.shm_perm.mode = (unsigned short)a->v[0];
	return shmctl(a->fd, IPC_SET, &ds);
}

static long op_shmctl(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return shmctl(a->v[1] ? -1 : a->fd, (int)a->v[0], NULL);
}

static const char *seg_limit(int err)
{
	return err == ENOSPC ? "kernel.shmmni" : err == ENOMEM ? "kernel.shmall" : NULL;
}

static const char *seg_probe(int variant)
{
	if (shmget(pl_key("plumb.probe"), 0, 0) >= 0 || errno != ENOSYS)
		return NULL;
	return "shmget fails with ENOSYS: the kernel was built without CONFIG_SYSVIPC";
}

#define CAPS (PL_NAMES | PL_EACH | PL_THREADS | PL_MULTI_READER | PL_MULTI_WRITER | PL_PERSIST)

static const struct pl_variant variants[] = {
	[PLAIN] = { "plain", PL_MODEL_REGISTER, CAPS },
	[ATOMIC] = { "atomic", PL_MODEL_REGISTER, CAPS },
	{ 0 },
};

static const struct pl_op ops[] = {
	WORD_OPS(1U << PLAIN, 1U << ATOMIC),
	{ "shmat", op_shmat, PL_NONE, 0, { { "flags", 0, INT32_MAX }, { "odd", 0, 1 } },
		{ "rounded" } },
	{ "shmdt", op_shmdt, PL_NONE, 0, { { "again", 0, 1 } } },
	{ "shmget", op_shmget, PL_NONE, PL_NEWFD,
		{ { "size", 0, INT64_MAX }, { "flags", 0, INT32_MAX }, { "private", 0, 1 } } },
	{ "stat", op_stat, PL_NONE, PL_NEUTRAL,
		.out = { "size", "nattch", "mode", "cpid", "lpid", "own" } },
	{ "nattch_in_child", op_nattch_in_child, PL_NONE, 0, .out = { "nattch" } },
	{ "times", op_times, PL_NONE, PL_NEUTRAL, .out = { "atime", "dtime", "ctime", "now" } },
	{ "set", op_set, PL_NONE, 0, { { "mode", 0, 0777 } } },
	{ "shmctl", op_shmctl, PL_NONE, 0, { { "cmd", 0, INT32_MAX }, { "nobody", 0, 1 } } },
	{ 0 },
};

PL_DRIVER(sysvshm, "System V shared memory", variants, ops, .open = seg_open, .close = seg_close,
	.unlink = seg_unlink, .ids = 1, .probe = seg_probe, .limit = seg_limit,
	.open_args = { { "size", 0, INT32_MAX, .def = 4096 } }, .needs = { { "shm_segments", 1 } })
