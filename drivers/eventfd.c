/* SPDX-License-Identifier: MIT
 *
 * eventfd(2), Linux: a 64-bit number behind a descriptor. A write adds to it, a read takes all of
 * it, or one with EFD_SEMAPHORE. At 0 the read waits; a write that would exceed 2^64-2 does. It has
 * no name.
 */
#include "driver.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { COUNTER, SEMAPHORE };
enum { INIT, NONBLOCK }; /* arguments of open */

static long evf_open(struct pl_obj *o, const struct pl_args *a)
{
	int flags = EFD_CLOEXEC | (a->v[NONBLOCK] ? EFD_NONBLOCK : 0) |
		    (o->variant == SEMAPHORE ? EFD_SEMAPHORE : 0);

	return o->fd[0] = eventfd((unsigned)a->v[INIT], flags);
}

static long op_write(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return write(a->fd, &r->tag, sizeof r->tag);
}

static long op_read(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return read(a->fd, &r->tag, sizeof r->tag);
}

/* The same with as many bytes as one likes. */
static long op_write_bytes(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	uint64_t n[2] = { (uint64_t)a->v[1] };

	return write(a->fd, n, (size_t)a->v[0]);
}

static long op_read_bytes(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	uint64_t n[2] = { 0 };
	long rc = read(a->fd, n, (size_t)a->v[0]);

	r->out[0] = (int64_t)n[0];
	return rc;
}

/* How many of so many writes an edge-triggered epoll tells of, though nobody reads. */
static long op_edges(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	uint64_t one = 1;
	int ep = epoll_create1(EPOLL_CLOEXEC), rc = ep;

	if (rc >= 0)
		rc = epoll_ctl(ep, EPOLL_CTL_ADD, a->fd, &ev);
	for (int64_t i = 0; rc >= 0 && i < a->v[0]; i++) {
		rc = write(a->fd, &one, sizeof one) < 0 ? -1 : epoll_wait(ep, &ev, 1, 0);
		r->out[0] += rc > 0;
	}
	if (ep >= 0)
		(void)close(ep);
	return rc < 0 ? -1 : 0;
}

/* The number without taking it: proc(5) shows it. */
static long op_count(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	char text[512] = "", *at;
	int fd, keep;
	long n;

	(void)snprintf(text, sizeof text, "/proc/self/fdinfo/%d", a->fd);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof text - 1);
	keep = errno;
	close(fd);
	errno = keep;
	if (n < 0)
		return -1;
	text[n] = 0;
	at = strstr(text, "eventfd-count:");
	if (!at)
		return pl_ret(ENOSYS);
	r->tag = r->amount = strtoull(at + strlen("eventfd-count:"), NULL, 16);
	r->room = UINT64_MAX - 1 - r->amount;
	r->out[0] = (int64_t)r->amount;
	return 0;
}

static long op_eventfd(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return eventfd(0, (int)a->v[0]);
}

#define CAPS                                                                                       \
	(PL_ANONYMOUS | PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_COUNTER | PL_FDPASS |             \
		PL_MULTI_READER | PL_MULTI_WRITER | PL_THREADS)

static const struct pl_variant variants[] = {
	[COUNTER] = { "counter", PL_MODEL_SUM, CAPS },
	[SEMAPHORE] = { "semaphore", PL_MODEL_COUNTER, CAPS },
	{ 0 },
};

static const struct pl_op ops[] = {
	{ "write", op_write, PL_PUT, PL_BLOCKS, { { "n", INT64_MIN, INT64_MAX, 1, 3, 1, PL_TAG } },
		.weight = 1 },
	{ "read", op_read, PL_TAKE, PL_BLOCKS | PL_DRAIN, .weight = 1 },
	{ "count", op_count, PL_OBSERVE, PL_LEVEL, .out = { "n" } },
	{ "write_bytes", op_write_bytes, PL_NONE, PL_BLOCKS,
		{ { "len", 0, 16 }, { "n", INT64_MIN, INT64_MAX, .def = 1 } } },
	{ "read_bytes", op_read_bytes, PL_NONE, PL_BLOCKS, { { "len", 0, 16 } }, { "n" } },
	{ "edges", op_edges, PL_NONE, PL_BLOCKS, { { "writes", 0, INT32_MAX } }, { "edges" } },
	{ "eventfd", op_eventfd, PL_NONE, PL_NEWFD | PL_NEUTRAL, { { "flags", 0, INT32_MAX } } },
	{ 0 },
};

PL_DRIVER(eventfd, "event counter", variants, ops, .open = evf_open,
	.open_args = { { "init", 0, UINT32_MAX }, { "nonblock", 0, 1 } })
