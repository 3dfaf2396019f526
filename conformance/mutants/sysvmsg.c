/* SPDX-License-Identifier: MIT
 *
 * System V message queues that break their promises. The trigger's argument is the length.
 */
#include "shim.h"

#include <errno.h>
#include <string.h>
#include <sys/msg.h>
#include <unistd.h>

static int lose_send(int id, const void *m, size_t n, int flags)
{
	return *(const long *)m > 0 && pl_fires((int64_t)n) ? 0 : pl_real.msgsnd(id, m, n, flags);
}

/* Who does not wait is sent away, whether there is room or not. */
static int narrow_send(int id, const void *m, size_t n, int flags)
{
	if (!(flags & IPC_NOWAIT) || !pl_fires((int64_t)n))
		return pl_real.msgsnd(id, m, n, flags);
	errno = EAGAIN;
	return -1;
}

static int double_send(int id, const void *m, size_t n, int flags)
{
	int rc = pl_real.msgsnd(id, m, n, flags);

	if (rc == 0 && pl_fires((int64_t)n))
		(void)pl_real.msgsnd(id, m, n, IPC_NOWAIT);
	return rc;
}

/* The oldest of all where the oldest of the lowest type was asked for. */
static ssize_t first_receive(int id, void *m, size_t n, long type, int flags)
{
	return pl_real.msgrcv(id, m, n, type < 0 && pl_fires((int64_t)n) ? 0 : type, flags);
}

/* The oldest of all where one type was asked for. */
static ssize_t careless_receive(int id, void *m, size_t n, long type, int flags)
{
	bool lies = type > 0 && !(flags & MSG_EXCEPT) && pl_fires((int64_t)n);

	return pl_real.msgrcv(id, m, n, lies ? 0 : type, flags);
}

/* A buffer that is too small gets the start of the message, and the rest is gone. */
static ssize_t squeeze_receive(int id, void *m, size_t n, long type, int flags)
{
	return pl_real.msgrcv(id, m, n, type, pl_fires((int64_t)n) ? flags | MSG_NOERROR : flags);
}

/* Nobody is told that the queue was removed under him. */
static ssize_t stale_receive(int id, void *m, size_t n, long type, int flags)
{
	ssize_t got = pl_real.msgrcv(id, m, n, type, flags);

	if (got < 0 && errno == EIDRM && pl_fires((int64_t)n))
		errno = EINVAL;
	return got;
}

/* What a process sent last stays behind, and is sent once more when it is dead. */
static int haunting_send(int id, const void *m, size_t n, int flags)
{
	int rc = pl_real.msgsnd(id, m, n, flags), at = getpid() % PL_SENT_MAX;

	if (rc != 0 || n > PL_SENT_LEN)
		return rc;
	atomic_store(&pl_shared->sent[at].pid, 0);
	pl_shared->sent[at].id = id;
	pl_shared->sent[at].len = n;
	memcpy(&pl_shared->sent[at].m, m, sizeof(long) + n);
	atomic_store(&pl_shared->sent[at].pid, getpid());
	return rc;
}

static ssize_t haunted_receive(int id, void *m, size_t n, long type, int flags)
{
	for (int i = 0; i < PL_SENT_MAX; i++) {
		pid_t pid = atomic_load(&pl_shared->sent[i].pid);

		if (pid && pl_shared->sent[i].id == id && pl_real.kill(pid, 0) < 0 &&
			atomic_compare_exchange_strong(&pl_shared->sent[i].pid, &pid, 0) &&
			pl_fires((int64_t)n))
			(void)pl_real.msgsnd(
				id, &pl_shared->sent[i].m, pl_shared->sent[i].len, IPC_NOWAIT);
	}
	return pl_real.msgrcv(id, m, n, type, flags);
}

const struct pl_mutant pl_sysvmsg_mutants[] = {
	{ "msg-lose", { .every = 1000 }, { .msgsnd = lose_send } },
	{ "msg-no-room", { .every = 100 }, { .msgsnd = narrow_send } },
	{ "msg-double", { .every = 1000 }, { .msgsnd = double_send } },
	{ "msg-haunts", { 0 }, { .msgsnd = haunting_send, .msgrcv = haunted_receive } },
	{ "msg-first", { .every = 100 }, { .msgrcv = first_receive } },
	{ "msg-careless", { .every = 100 }, { .msgrcv = careless_receive } },
	{ "msg-squeeze", { 0 }, { .msgrcv = squeeze_receive } },
	{ "msg-removed-silent", { 0 }, { .msgrcv = stale_receive } },
	{ 0 },
};
