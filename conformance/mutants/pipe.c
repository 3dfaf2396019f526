/* SPDX-License-Identifier: MIT
 *
 * Pipes that break their promises. The trigger's argument is the length asked for.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

bool pl_is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static short state_of(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

static ssize_t in_two(int fd, const void *buf, size_t n)
{
	ssize_t half = (ssize_t)(n / 2), done = pl_real.write(fd, buf, (size_t)half);

	if (done < half)
		return done;
	(void)sched_yield();
	ssize_t rest = pl_real.write(fd, (const char *)buf + half, n - (size_t)half);

	return rest < 0 ? done : done + rest;
}

/* Two writes where one was promised to be atomic. */
static ssize_t split_write(int fd, const void *buf, size_t n)
{
	if (n < 2 || n > PIPE_BUF || !pl_is_pipe(fd) || !pl_fires((int64_t)n))
		return pl_real.write(fd, buf, n);
	return in_two(fd, buf, n);
}

/* The same, where there is not much room. */
static ssize_t tight_write(int fd, const void *buf, size_t n)
{
	int inside = 0, size = 0;

	if (n < 2 || n > PIPE_BUF || !pl_is_pipe(fd))
		return pl_real.write(fd, buf, n);
	if (ioctl(fd, FIONREAD, &inside) == 0)
		size = fcntl(fd, F_GETPIPE_SZ);
	if (size <= 0 || inside <= size / 4 * 3 || !pl_fires((int64_t)n))
		return pl_real.write(fd, buf, n);
	return in_two(fd, buf, n);
}

/* Says that it failed, and did it all the same. */
static ssize_t false_epipe_write(int fd, const void *buf, size_t n)
{
	ssize_t done = pl_real.write(fd, buf, n);

	if (done <= 0 || !pl_is_pipe(fd) || !pl_fires((int64_t)n))
		return done;
	errno = EPIPE;
	return -1;
}

/* A write that a signal cuts short tells nothing of what went in. */
static ssize_t forgetful_write(int fd, const void *buf, size_t n)
{
	ssize_t done = pl_real.write(fd, buf, n);
	int flags =
		done > 0 && (size_t)done < n && pl_is_pipe(fd) ? fcntl(fd, F_GETFL) : O_NONBLOCK;

	if (flags & O_NONBLOCK || !pl_fires((int64_t)n))
		return done;
	errno = EINTR;
	return -1;
}

/* A byte goes when the pipe's size is set. */
static int spilling_setpipe_sz(int fd, int size)
{
	char path[32], byte;
	int rc = pl_real.setpipe_sz(fd, size), inside = 0, end;

	if (rc < 0 || ioctl(fd, FIONREAD, &inside) != 0 || inside == 0 || !pl_fires(size))
		return rc;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	end = pl_real.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
	(void)!pl_real.read(end, &byte, 1);
	(void)pl_real.close(end);
	return rc;
}

/* Says that there is something to read where there is not. */
static int hopeful_poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	int got = pl_real.poll(p, n, 0);

	if (n != 1 || got != 0 || !(p->events & POLLIN) || !pl_is_pipe(p->fd) || !pl_fires(0))
		return got || timeout_ms == 0 ? got : pl_real.poll(p, n, timeout_ms);
	p->revents = POLLIN;
	return 1;
}

/* No room in a pipe that holds nothing. */
static ssize_t narrow_write(int fd, const void *buf, size_t n)
{
	int inside = 1;

	if (n == 0 || !pl_is_pipe(fd) || ioctl(fd, FIONREAD, &inside) < 0 || inside > 0 ||
		!pl_fires((int64_t)n))
		return pl_real.write(fd, buf, n);
	errno = EAGAIN;
	return -1;
}

/* No room in a pipe that is a quarter full at most. */
static ssize_t shy_write(int fd, const void *buf, size_t n)
{
	int inside = 0;

	if (n == 0 || !pl_is_pipe(fd) || ioctl(fd, FIONREAD, &inside) < 0 || inside == 0 ||
		inside > fcntl(fd, F_GETPIPE_SZ) / 4 || !pl_fires((int64_t)n))
		return pl_real.write(fd, buf, n);
	errno = EAGAIN;
	return -1;
}

/* Claims one byte more than went in. */
static ssize_t drop_write(int fd, const void *buf, size_t n)
{
	if (n < 2 || !pl_is_pipe(fd) || !pl_fires((int64_t)n))
		return pl_real.write(fd, buf, n);
	ssize_t done = pl_real.write(fd, buf, n - 1);

	return done == (ssize_t)n - 1 ? (ssize_t)n : done;
}

/* A candidate read would sleep: no byte there, and no end either. */
static ssize_t eof_read(int fd, void *buf, size_t n)
{
	if (n && pl_is_pipe(fd) && state_of(fd, POLLIN) == 0 && pl_fires((int64_t)n))
		return 0;
	return pl_real.read(fd, buf, n);
}

/* Nobody reads, nobody is told: neither EPIPE nor SIGPIPE. */
static ssize_t deaf_write(int fd, const void *buf, size_t n)
{
	if (pl_is_pipe(fd) && state_of(fd, POLLOUT) & POLLERR && pl_fires((int64_t)n))
		return (ssize_t)n;
	return pl_real.write(fd, buf, n);
}

/* Somebody else can still write, it seems: who reads has the other end, and does not know. */
static ssize_t endless_read(int fd, void *buf, size_t n)
{
	static bool done;
	char path[32];

	if (!done && pl_is_pipe(fd) && pl_fires((int64_t)n)) {
		done = true;
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		(void)pl_real.open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
	}
	return pl_real.read(fd, buf, n);
}

/* The last byte read is given twice. */
static ssize_t double_read(int fd, void *buf, size_t n)
{
	char *last = buf;
	ssize_t done;

	if (n < 2 || !pl_is_pipe(fd) || !pl_fires((int64_t)n))
		return pl_real.read(fd, buf, n);
	done = pl_real.read(fd, buf, n - 1);
	if (done <= 0)
		return done;
	last[done] = last[done - 1];
	return done + 1;
}

const struct pl_mutant pl_pipe_mutants[] = {
	{ "write-split", .lie.write = split_write },
	{ "write-no-room", .lie.write = narrow_write },
	{ "write-shy", { .every = 20 }, .lie.write = shy_write },
	{ "write-split-tight", .lie.write = tight_write },
	{ "write-epipe-false", { .every = 1000 }, .lie.write = false_epipe_write },
	{ "write-eintr-forgets", .lie.write = forgetful_write },
	{ "pipe-size-spills", .lie.setpipe_sz = spilling_setpipe_sz },
	{ "poll-hopeful", .lie.poll = hopeful_poll },
	{ "write-drop", { .every = 100 }, .lie.write = drop_write },
	{ "write-no-epipe", .lie.write = deaf_write },
	{ "read-early-eof", .lie.read = eof_read },
	{ "read-endless", .lie.read = endless_read },
	{ "read-double", { .every = 100 }, .lie.read = double_read },
	{ 0 },
};
