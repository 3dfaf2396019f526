/* SPDX-License-Identifier: MIT
 *
 * Operations that every descriptor has, whatever is behind it: offered by all drivers whose objects
 * are descriptors. Like a driver's own they call libc, for they are part of what is judged.
 */
#include "kit.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static long fd_close(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return close(a->fd);
}

static long fd_dup(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fcntl(a->fd, F_DUPFD_CLOEXEC, 3);
}

static long fd_poll(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct pollfd p = { .fd = a->fd, .events = (short)a->v[0] };
	long n = poll(&p, 1, (int)a->v[1]);

	r->out[0] = p.revents;
	return n;
}

static long fd_fcntl(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fcntl(a->fd, (int)a->v[0], (int)a->v[1]);
}

static long fd_nonblock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	int flags = fcntl(a->fd, F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(a->fd, F_SETFL, a->v[0] ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

const struct pl_op pl_fd_ops[] = {
	{ "close", fd_close, PL_NONE, PL_CLOSES },
	{ "dup", fd_dup, PL_NONE, PL_NEWFD },
	{ "poll", fd_poll, PL_OBSERVE, PL_BLOCKS,
		{ { "events", 0, 0x7fff, .def = POLLIN | POLLOUT }, { "timeout_ms", -1, 600000 } },
		{ "revents" } },
	{ "fcntl", fd_fcntl, PL_NONE, 0,
		{ { "cmd", 0, 1 << 20 }, { "arg", INT32_MIN, INT32_MAX } } },
	{ "nonblock", fd_nonblock, PL_NONE, 0, { { "value", 0, 1, .def = 1 } } },
	{ 0 },
};
