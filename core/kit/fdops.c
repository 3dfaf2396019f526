/* SPDX-License-Identifier: MIT
 *
 * Operations that every descriptor has, whatever is behind it: offered by all drivers whose objects
 * are descriptors. Like a driver's own they call libc, for they are part of what is judged.
 */
#include "kit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
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

/* Told in the bits of poll, so that the three can be compared: POLLIN where it is readable, POLLOUT
 * where it is writable. */
static long fd_select(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct timeval t = { .tv_sec = a->v[1] / 1000, .tv_usec = a->v[1] % 1000 * 1000 };
	fd_set in, out;
	long n;

	if (a->fd < 0 || a->fd >= FD_SETSIZE) {
		errno = EBADF;
		return -1;
	}
	FD_ZERO(&in);
	FD_ZERO(&out);
	if (a->v[0] & POLLIN)
		FD_SET(a->fd, &in);
	if (a->v[0] & POLLOUT)
		FD_SET(a->fd, &out);
	n = select(a->fd + 1, &in, &out, NULL, a->v[1] < 0 ? NULL : &t);
	if (n >= 0)
		r->out[0] =
			(FD_ISSET(a->fd, &in) ? POLLIN : 0) | (FD_ISSET(a->fd, &out) ? POLLOUT : 0);
	return n;
}

/* An instance of its own, level-triggered, for one look. */
static long fd_epoll(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct epoll_event e = { .events = (uint32_t)a->v[0] };
	int ep = epoll_create1(EPOLL_CLOEXEC), err;
	long n = -1;

	if (ep < 0)
		return -1;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, a->fd, &e) == 0)
		n = epoll_wait(ep, &e, 1, (int)a->v[1]);
	err = errno;
	r->out[0] = n > 0 ? e.events : 0;
	(void)close(ep);
	errno = err;
	return n;
}

static long fd_epoll_create(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

/* Adds the descriptor to the instance that has the number `ep`. */
static long fd_epoll_add(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct epoll_event e = { .events = (uint32_t)a->v[1] };

	return epoll_ctl((int)a->v[0], EPOLL_CTL_ADD, a->fd, &e);
}

/* Of an instance: one event. */
static long fd_epoll_wait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct epoll_event e = { 0 };
	long n = epoll_wait(a->fd, &e, 1, (int)a->v[0]);

	r->out[0] = n > 0 ? e.events : 0;
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

#define EVENTS                                                                                     \
	{                                                                                          \
		"events", 0, 0x7fff, .def = POLLIN | POLLOUT                                       \
	}
#define TIMEOUT                                                                                    \
	{                                                                                          \
		"timeout_ms", -1, 600000                                                           \
	}

const struct pl_op pl_fd_ops[] = {
	{ "close", fd_close, PL_NONE, PL_CLOSES },
	{ "dup", fd_dup, PL_NONE, PL_NEWFD },
	{ "poll", fd_poll, PL_OBSERVE, PL_BLOCKS, { EVENTS, TIMEOUT }, { "revents" } },
	{ "select", fd_select, PL_OBSERVE, PL_BLOCKS, { EVENTS, TIMEOUT }, { "revents" } },
	{ "epoll", fd_epoll, PL_OBSERVE, PL_BLOCKS, { EVENTS, TIMEOUT }, { "revents" } },
	{ "epoll_create", fd_epoll_create, PL_NONE, PL_NEWFD },
	{ "epoll_add", fd_epoll_add, PL_NONE, 0,
		{ { "ep", 0, 1 << 20 }, { "events", 0, UINT32_MAX, .def = POLLIN } } },
	{ "epoll_wait", fd_epoll_wait, PL_OBSERVE, PL_BLOCKS, { TIMEOUT }, { "revents" } },
	{ "fcntl", fd_fcntl, PL_NONE, 0,
		{ { "cmd", 0, 1 << 20 }, { "arg", INT32_MIN, INT32_MAX } } },
	{ "nonblock", fd_nonblock, PL_NONE, 0, { { "value", 0, 1, .def = 1 } } },
	{ 0 },
};
