/* SPDX-License-Identifier: MIT
 *
 * mq_overview(7): a POSIX message queue keeps messages, each with a priority, until somebody takes
 * them. What comes out is the oldest message of the highest priority. It has a name, and outlives
 * its processes.
 */
#include "driver.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAXMSG, MSGSIZE, NONBLOCK };			  /* arguments of open */
enum { OUT_FLAGS, OUT_MAXMSG, OUT_MSGSIZE, OUT_CURMSGS }; /* results of getattr */

static void tell(int64_t *out, const struct mq_attr *a)
{
	out[OUT_FLAGS] = a->mq_flags, out[OUT_MAXMSG] = a->mq_maxmsg;
	out[OUT_MSGSIZE] = a->mq_msgsize, out[OUT_CURMSGS] = a->mq_curmsgs;
}

static long mq_open_object(struct pl_obj *o, const struct pl_args *a)
{
	struct mq_attr want = { .mq_maxmsg = (long)a->v[MAXMSG],
		.mq_msgsize = (long)a->v[MSGSIZE] },
		       got;
	int flags = O_RDWR | (o->create ? O_CREAT | O_EXCL : 0) | (a->v[NONBLOCK] ? O_NONBLOCK : 0);

	o->fd[0] = mq_open(o->name, flags, 0600, &want);
	if (o->fd[0] < 0)
		return -1;
	if (mq_getattr(o->fd[0], &got) == 0) {
		tell(o->out, &got);
		o->capacity = (uint64_t)got.mq_maxmsg;
	}
	return 0;
}

static long op_send(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return mq_send(a->fd, a->buf, a->len, (unsigned)r->tag);
}

static long op_timedsend(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return mq_timedsend(a->fd, a->buf, a->len, (unsigned)r->tag, &a->deadline);
}

static long op_receive(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned prio = 0;
	long n = mq_receive(a->fd, a->buf, a->len, &prio);

	r->tag = prio;
	return n;
}

static long op_timedreceive(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	unsigned prio = 0;
	long n = mq_timedreceive(a->fd, a->buf, a->len, &prio, &a->deadline);

	r->tag = prio;
	return n;
}

static long op_getattr(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct mq_attr now = { 0 };
	long n = mq_getattr(a->fd, &now);

	tell(r->out, &now);
	r->amount = (uint64_t)now.mq_curmsgs;
	r->room = (uint64_t)(now.mq_maxmsg - now.mq_curmsgs);
	return n;
}

static long op_setattr(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct mq_attr want = { .mq_flags = (long)a->v[0], .mq_maxmsg = 1, .mq_msgsize = 1 },
		       old = { 0 };
	long n = mq_setattr(a->fd, &want, &old);

	tell(r->out, &old);
	return n;
}

/* how: 0 SIGUSR1 with `value`, 1 SIGEV_NONE, 2 deregister, 3 a notification that is none (EINVAL).
 */
static long op_notify(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	static const int how[] = { SIGEV_SIGNAL, SIGEV_NONE, 0, 12345 };
	struct sigevent ev = { .sigev_notify = how[a->v[0]], .sigev_signo = SIGUSR1 };

	ev.sigev_value.sival_int = (int)a->v[1];
	return mq_notify(a->fd, a->v[0] == 2 ? NULL : &ev);
}

/* `odd`: a name with something wrong about it. */
static long op_open(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	static const char *const odd[] = { NULL, "/plumb.a/b", "/" };
	struct mq_attr want = { .mq_maxmsg = (long)a->v[1], .mq_msgsize = (long)a->v[2] };

	return mq_open(a->v[3] ? odd[a->v[3]] : o->name, (int)a->v[0], 0600,
		a->v[1] || a->v[2] ? &want : NULL);
}

static long op_unlink(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return mq_unlink(o->name);
}

static const char *mq_limit(int err)
{
	return err == ENOSPC   ? "fs.mqueue.queues_max"
	       : err == EMFILE ? "RLIMIT_MSGQUEUE, RLIMIT_NOFILE"
			       : NULL;
}

static const char *mq_probe(int variant)
{
	static const char name[] = "/plumb.probe";

	if (mq_open(name, O_RDONLY) >= 0 || errno != ENOSYS)
		return NULL;
	return "mq_open fails with ENOSYS: the kernel was built without CONFIG_POSIX_MQUEUE";
}

static const struct pl_variant variants[] = {
	{ "mq", PL_MODEL_PRIORITY,
		PL_DATAGRAM | PL_PRIORITY | PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_TIMEOUT |
			PL_POLL | PL_MULTI_READER | PL_MULTI_WRITER | PL_NOTIFY | PL_PERSIST },
	{ 0 },
};

#define SIZE_PUT                                                                                   \
	{                                                                                          \
		"size", 0, 65536, 32, 64, 32, PL_SIZE                                              \
	}
#define SIZE_TAKE                                                                                  \
	{                                                                                          \
		"size", 0, 65536, 64, 64, 64, PL_SIZE                                              \
	}
#define PRIO                                                                                       \
	{                                                                                          \
		"prio", 0, UINT32_MAX, 0, 3, 0, PL_TAG                                             \
	}
#define ATTR                                                                                       \
	{                                                                                          \
		"flags", "maxmsg", "msgsize", "curmsgs"                                            \
	}

static const struct pl_op ops[] = {
	{ "send", op_send, PL_PUT, PL_BLOCKS, { SIZE_PUT, PRIO }, .weight = 8 },
	{ "timedsend", op_timedsend, PL_PUT, PL_TIMED, { SIZE_PUT, PRIO }, .weight = 1 },
	{ "receive", op_receive, PL_TAKE, PL_BLOCKS, { SIZE_TAKE }, .weight = 8 },
	{ "timedreceive", op_timedreceive, PL_TAKE, PL_TIMED | PL_DRAIN, { SIZE_TAKE },
		.weight = 1 },
	{ "getattr", op_getattr, PL_OBSERVE, PL_LEVEL, .out = ATTR },
	{ "setattr", op_setattr, PL_NONE, 0, { { "flags", INT32_MIN, INT32_MAX } }, ATTR },
	{ "notify", op_notify, PL_NONE, 0, { { "how", 0, 3 }, { "value", INT32_MIN, INT32_MAX } } },
	{ "open", op_open, PL_NONE, PL_NEWFD | PL_NEUTRAL,
		{ { "flags", 0, INT32_MAX, .def = O_RDWR }, { "maxmsg", 0, 1 << 20 },
			{ "msgsize", 0, 1 << 24 }, { "odd", 0, 2 } } },
	{ "unlink", op_unlink, PL_NONE, 0 },
	{ 0 },
};

PL_DRIVER(mq, "POSIX message queue", variants, ops, .open = mq_open_object, .unlink = mq_unlink,
	.open_args = { { "maxmsg", 0, 1 << 20, .def = 10 }, { "msgsize", 0, 1 << 24, .def = 64 },
		{ "nonblock", 0, 1 } },
	.open_out = ATTR, .probe = mq_probe, .limit = mq_limit,
	.needs = { { "queues", 1 }, { "mqueue_bytes", 10 * (64 + 48 + 8) } })
