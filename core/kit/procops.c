/* SPDX-License-Identifier: MIT
 *
 * Operations that every process has, whatever the mechanism: who it is, and what it may do from now
 * on. Like a driver's own they call libc.
 */
#include "kit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

static void say(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
}

/* In a new user namespace the caller is who it was: without that it could make no file there. */
static long proc_unshare(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	char uid[40], gid[40];

	(void)snprintf(uid, sizeof uid, "%u %u 1\n", geteuid(), geteuid());
	(void)snprintf(gid, sizeof gid, "%u %u 1\n", getegid(), getegid());
	if (unshare((int)a->v[0]) < 0)
		return -1;
	if (a->v[0] & CLONE_NEWUSER) {
		say("/proc/self/setgroups", "deny");
		say("/proc/self/uid_map", uid);
		say("/proc/self/gid_map", gid);
	}
	return 0;
}

/* Enters namespaces that another actor is in. */
static long proc_join(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)a->v[0], 0), rc = fd, keep;

	if (fd >= 0)
		rc = setns(fd, (int)a->v[1]);
	keep = errno;
	if (fd >= 0)
		(void)close(fd);
	errno = keep;
	return rc;
}

const struct pl_op pl_proc_ops[] = {
	{ "ids", proc_ids, PL_OBSERVE, 0, .out = { "pid", "uid", "gid" } },
	{ "seteuid", proc_seteuid, PL_NONE, 0, { { "uid", 0, INT32_MAX } } },
	{ "rlimit", proc_rlimit, PL_NONE, 0, { { "what", 0, 31 }, { "n", 0, INT32_MAX } } },
	{ "scheduler", proc_scheduler, PL_NONE, 0, { { "policy", 0, 31 }, { "priority", 0, 99 } } },
	{ "unshare", proc_unshare, PL_NONE, 0, { { "flags", 0, UINT32_MAX } } },
	{ "join", proc_join, PL_NONE, 0,
		{ { "to", 0, PL_ACTORS_MAX - 1, .kind = PL_ACTOR }, { "flags", 0, UINT32_MAX } } },
	{ 0 },
};
