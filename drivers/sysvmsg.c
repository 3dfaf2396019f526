/* SPDX-License-Identifier: MIT
 *
 * msgget(2), msgop(2), msgctl(2): a System V message queue keeps typed messages until somebody
 * takes them. A receiver takes the oldest, the oldest of one type, of any other type, or of the
 * lowest type up to a bound. It is found by a key, and outlives its processes.
 *
 * In rounds of `fifo` all take the oldest, in those of `lowest` the oldest of the lowest type;
 * those of `selected` mix all that msgrcv can ask for.
 */
#include "driver.h"

#include <limits.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

enum { FIFO, LOWEST, SELECTED };
enum { TYPES = 4, TEXT_MAX = 8192 + 1 };

struct message {
	long type;
	char text[TEXT_MAX];
};

static _Thread_local struct message message;

static long remove_again(int id)
{
	int err = errno;

	(void)msgctl(id, IPC_RMID, NULL);
	return pl_ret(err);
}

static long msg_open(struct pl_obj *o, const struct pl_args *a)
{
	struct msqid_ds now;

	o->fd[0] = msgget(pl_key(o->name), o->create ? IPC_CREAT | IPC_EXCL | 0600 : 0);
	if (o->fd[0] < 0)
		return -1;
	if (msgctl(o->fd[0], IPC_STAT, &now) < 0)
		return 0;
	if (a->v[0] && o->create) {
		now.msg_qbytes = (msglen_t)a->v[0];
		if (msgctl(o->fd[0], IPC_SET, &now) < 0)
			return remove_again(o->fd[0]);
	}
	o->out[0] = (int64_t)now.msg_qbytes;
	o->capacity = now.msg_qbytes, o->grain = 1;
	return 0;
}

/* Keys are 31 bits of a name: a stranger's queue under the same one stays. */
static int msg_unlink(const char *name)
{
	int id = msgget(pl_key(name), 0);
	struct msqid_ds now;

	if (id < 0)
		return -1;
	if (msgctl(id, IPC_STAT, &now) == 0 && now.msg_perm.cuid != geteuid())
		return (int)pl_ret(EPERM);
	return msgctl(id, IPC_RMID, NULL);
}

static long send_with(const struct pl_args *a, const struct pl_result *r, int flags)
{
	message.type = (long)r->tag;
	memcpy(message.text, a->buf, a->len);
	return msgsnd(a->fd, &message, a->len, flags);
}

static long op_msgsnd(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return send_with(a, r, (int)a->v[2]);
}

static long op_msgsnd_nowait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return send_with(a, r, IPC_NOWAIT);
}

static long receive(struct pl_obj *o, const struct pl_args *a, struct pl_result *r, int flags)
{
	long select = a->v[1] != PL_BY_VARIANT ? (long)a->v[1]
		      : o->variant == LOWEST   ? -LONG_MAX
					       : 0;
	long n = msgrcv(a->fd, &message, a->len, select, flags);

	if (n > 0)
		memcpy(a->buf, message.text, (size_t)n);
	if (n >= 0)
		r->tag = (uint64_t)message.type;
	return n;
}

static long op_msgrcv(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return receive(o, a, r, (int)a->v[2]);
}

static long op_msgrcv_nowait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return receive(o, a, r, IPC_NOWAIT);
}

static long op_msgrcv_except(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return receive(o, a, r, IPC_NOWAIT | MSG_EXCEPT);
}

/* Room is certain for one message of any length that a plan may ask for. */
static long op_stat(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct msqid_ds now = { 0 };
	long rc = msgctl(a->fd, IPC_STAT, &now);

	r->amount = now.msg_qnum;
	r->room = now.__msg_cbytes + TEXT_MAX <= now.msg_qbytes && now.msg_qnum < now.msg_qbytes;
	r->out[0] = (int64_t)now.msg_qnum;
	r->out[1] = (int64_t)now.__msg_cbytes;
	r->out[2] = (int64_t)now.msg_qbytes;
	r->out[3] = now.msg_lspid;
	r->out[4] = now.msg_lrpid;
	r->out[5] = now.msg_perm.mode;
	return rc;
}

static long op_set(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct msqid_ds now;

	if (msgctl(a->fd, IPC_STAT, &now) < 0)
		return -1;
	now.msg_qbytes = (msglen_t)a->v[0];
	now.msg_perm.mode = (unsigned short)a->v[1];
	return msgctl(a->fd, IPC_SET, &now);
}

static long op_rmid(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return msgctl(a->fd, IPC_RMID, NULL);
}

/* The queue of the object's own key, as msgget finds or makes it; IPC_PRIVATE ones are removed. */
static long op_msgget(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int id = msgget(a->v[1] ? IPC_PRIVATE : pl_key(o->name), (int)a->v[0]);

	r->out[0] = id == a->fd;
	if (a->v[1] && id >= 0)
		(void)msgctl(id, IPC_RMID, NULL);
	return id < 0 ? -1 : 0;
}

static const char *msg_limit(int err)
{
	return err == ENOSPC ? "kernel.msgmni" : NULL;
}

static const char *msg_probe(int variant)
{
	if (msgget(1, 0) >= 0 || errno != ENOSYS)
		return NULL;
	return "msgget fails with ENOSYS: the kernel was built without CONFIG_SYSVIPC";
}

#define CAPS                                                                                       \
	(PL_DATAGRAM | PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_MULTI_READER | PL_MULTI_WRITER |  \
		PL_PERSIST)

static const struct pl_variant variants[] = {
	[FIFO] = { "fifo", PL_MODEL_FIFO, CAPS },
	[LOWEST] = { "lowest", PL_MODEL_PRIORITY, CAPS | PL_PRIORITY | PL_LOWEST },
	[SELECTED] = { "selected", PL_MODEL_SELECT, CAPS },
	{ 0 },
};

#define PUT                                                                                        \
	{                                                                                          \
		{ "size", 0, TEXT_MAX, 32, 64, 32, PL_SIZE },                                      \
			{ "type", INT64_MIN, INT64_MAX, 1, TYPES, 1, PL_TAG },                     \
		{                                                                                  \
			"flags", 0, INT32_MAX                                                      \
		}                                                                                  \
	}
#define TAKE(lo, hi)                                                                               \
	{                                                                                          \
		{ "size", 0, TEXT_MAX, 64, 64, 64, PL_SIZE },                                      \
			{ "select", INT64_MIN, INT64_MAX, lo, hi, lo, PL_FORM },                   \
		{                                                                                  \
			"flags", 0, INT32_MAX                                                      \
		}                                                                                  \
	}
#define BY_VARIANT TAKE(PL_BY_VARIANT, PL_BY_VARIANT)

static const struct pl_op ops[] = {
	{ "msgsnd", op_msgsnd, PL_PUT, PL_BLOCKS, PUT, .weight = 8 },
	{ "msgsnd_nowait", op_msgsnd_nowait, PL_PUT, 0, PUT, .weight = 1 },
	{ "msgrcv", op_msgrcv, PL_TAKE, PL_BLOCKS, BY_VARIANT, .weight = 8 },
	{ "msgrcv_nowait", op_msgrcv_nowait, PL_TAKE, PL_DRAIN, BY_VARIANT, .weight = 1 },
	{ "msgrcv_type", op_msgrcv_nowait, PL_TAKE, 0, TAKE(-TYPES, TYPES), .weight = 6,
		.only = 1U << SELECTED },
	{ "msgrcv_except", op_msgrcv_except, PL_TAKE, PL_EXCEPT, TAKE(1, TYPES), .weight = 2,
		.only = 1U << SELECTED },
	{ "stat", op_stat, PL_OBSERVE, PL_LEVEL,
		.out = { "qnum", "cbytes", "qbytes", "lspid", "lrpid", "mode" } },
	{ "set", op_set, PL_NONE, 0,
		{ { "qbytes", 0, INT64_MAX }, { "mode", 0, 0777, .def = 0600 } } },
	{ "rmid", op_rmid, PL_NONE, 0 },
	{ "msgget", op_msgget, PL_NONE, 0, { { "flags", 0, INT32_MAX }, { "private", 0, 1 } },
		{ "same" } },
	{ 0 },
};

PL_DRIVER(sysvmsg, "System V message queue", variants, ops, .open = msg_open, .ids = 1,
	.unlink = msg_unlink, .open_args = { { "qbytes", 0, INT32_MAX } }, .open_out = { "qbytes" },
	.probe = msg_probe, .limit = msg_limit, .needs = { { "sysv_queues", 1 } })
