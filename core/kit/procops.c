/* SPDX-License-Identifier: MIT
 *
 * Operations that every process has, whatever the mechanism: who it is, and what it may do from now
 * on. Like a driver's own they call libc.
 */
#include "kit.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

static long proc_ids(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->out[0] = getpid(), r->out[1] = geteuid(), r->out[2] = getegid();
	return 0;
}

static long proc_seteuid(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return seteuid((uid_t)a->v[0]);
}

static long proc_rlimit(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct rlimit l;

	if (getrlimit((int)a->v[0], &l) < 0)
		return -1;
	l.rlim_cur = (rlim_t)a->v[1];
	return setrlimit((int)a->v[0], &l);
}

static long proc_scheduler(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct sched_param p = { .sched_priority = (int)a->v[1] };

	return sched_setscheduler(0, (int)a->v[0], &p);
}

static long proc_unshare(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return unshare((int)a->v[0]);
}

const struct pl_op pl_proc_ops[] = {
	{ "ids", proc_ids, PL_OBSERVE, 0, .out = { "pid", "uid", "gid" } },
	{ "seteuid", proc_seteuid, PL_NONE, 0, { { "uid", 0, INT32_MAX } } },
	{ "rlimit", proc_rlimit, PL_NONE, 0, { { "what", 0, 31 }, { "n", 0, INT32_MAX } } },
	{ "scheduler", proc_scheduler, PL_NONE, 0, { { "policy", 0, 31 }, { "priority", 0, 99 } } },
	{ "unshare", proc_unshare, PL_NONE, 0, { { "flags", 0, UINT32_MAX } } },
	{ 0 },
};
