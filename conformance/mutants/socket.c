/* SPDX-License-Identifier: MIT
 *
 * Sockets and FIFOs that break their promises. The trigger's argument is the length asked for; of
 * recvmsg the number of descriptors, of open 0.
 */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_fifo(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static short state_of(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

/* Claims one byte more than went in. */
static ssize_t drop_send(int fd, const void *buf, size_t n, int flags)
{
	if (n < 2 || !pl_fires((int64_t)n))
		return pl_real.send(fd, buf, n, flags);
	ssize_t done = pl_real.send(fd, buf, n - 1, flags);

	return done == (ssize_t)n - 1 ? (ssize_t)n : done;
}

/* Says that it was sent. */
static ssize_t lose_send(int fd, const void *buf, size_t n, int flags)
{
	return n && pl_fires((int64_t)n) ? (ssize_t)n : pl_real.send(fd, buf, n, flags);
}

/* Nobody is there, and nobody is told. */
static ssize_t deaf_send(int fd, const void *buf, size_t n, int flags)
{
	if (state_of(fd) & POLLHUP && pl_fires((int64_t)n))
		return (ssize_t)n;
	return pl_real.send(fd, buf, n, flags);
}

/* The last byte received is given twice. */
static ssize_t double_recv(int fd, void *buf, size_t n, int flags)
{
	char *last = buf;
	ssize_t done;

	if (n < 2 || !pl_fires((int64_t)n))
		return pl_real.recv(fd, buf, n, flags);
	done = pl_real.recv(fd, buf, n - 1, flags);
	if (done <= 0)
		return done;
	last[done] = last[done - 1];
	return done + 1;
}

/* A candidate would sleep: nothing is there, and no end either. */
static ssize_t eof_recv(int fd, void *buf, size_t n, int flags)
{
	if (n && state_of(fd) == 0 && pl_fires((int64_t)n))
		return 0;
	return pl_real.recv(fd, buf, n, flags);
}

/* MSG_PEEK takes what it shows. */
static ssize_t greedy_recv(int fd, void *buf, size_t n, int flags)
{
	if (flags & MSG_PEEK && pl_fires((int64_t)n))
		flags &= ~MSG_PEEK;
	return pl_real.recv(fd, buf, n, flags);
}

/* Does not say that descriptors had no room. */
static ssize_t quiet_recvmsg(int fd, struct msghdr *h, int flags)
{
	ssize_t n = pl_real.recvmsg(fd, h, flags);

	if (n >= 0 && h->msg_flags & MSG_CTRUNC && pl_fires(0))
		h->msg_flags &= ~MSG_CTRUNC;
	return n;
}

/* A descriptor that came stays open a second time. */
static ssize_t leaky_recvmsg(int fd, struct msghdr *h, int flags)
{
	ssize_t n = pl_real.recvmsg(fd, h, flags);
	struct cmsghdr *c = n >= 0 && h->msg_control ? CMSG_FIRSTHDR(h) : NULL;

	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len > CMSG_LEN(0) && pl_fires(1))
		(void)dup(*(int *)(void *)CMSG_DATA(c));
	return n;
}

/* With several descriptors, the first is one of another file. */
static ssize_t mistaken_recvmsg(int fd, struct msghdr *h, int flags)
{
	ssize_t n = pl_real.recvmsg(fd, h, flags);
	struct cmsghdr *c = n >= 0 && h->msg_control ? CMSG_FIRSTHDR(h) : NULL;
	int first;

	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len > CMSG_LEN(sizeof first) &&
		pl_fires(2)) {
		memcpy(&first, CMSG_DATA(c), sizeof first);
		(void)dup2(fd, first);
	}
	return n;
}

/* What was sent stays open at its sender, whoever closes it. */
static ssize_t leaky_sendmsg(int fd, const struct msghdr *h, int flags)
{
	const struct cmsghdr *c = h->msg_control ? CMSG_FIRSTHDR(h) : NULL;

	if (c && c->cmsg_type == SCM_RIGHTS && pl_fires(1))
		(void)fcntl(*(const int *)(const void *)CMSG_DATA(c), F_DUPFD_CLOEXEC, 0);
	return pl_real.sendmsg(fd, h, flags);
}

/* The record behind it comes along. */
static ssize_t joining_recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t done = pl_real.recv(fd, buf, n, flags), more;
	socklen_t len = sizeof(int);
	int type = 0;

	if (done <= 0 || (size_t)done == n || flags & MSG_PEEK ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET ||
		!pl_fires(done))
		return done;
	more = pl_real.recv(fd, (char *)buf + done, n - (size_t)done, MSG_DONTWAIT);
	return done + (more > 0 ? more : 0);
}

/* What is on its way when the sender says that it was all is gone. */
static int discarding_shutdown(int fd, int how)
{
	int rc = pl_real.shutdown(fd, how);

	if (rc == 0 && how == SHUT_WR && pl_fires(how))
		atomic_store(&pl_shared->shut, true);
	return rc;
}

static ssize_t discarded_recv(int fd, void *buf, size_t n, int flags)
{
	if (!atomic_load(&pl_shared->shut))
		return pl_real.recv(fd, buf, n, flags);
	while (pl_real.recv(fd, buf, n, MSG_DONTWAIT) > 0)
		;
	return 0;
}

/* Two datagrams of different senders change places, their addresses do not. */
static ssize_t mixing_recvfrom(
	int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	enum { MIXED_MAX = 4096 };
	static struct {
		int fd;
		ssize_t n;
		char buf[MIXED_MAX];
		struct sockaddr_storage from;
	} kept;
	struct sockaddr_storage second;
	socklen_t room = sizeof second;
	char other[MIXED_MAX];
	ssize_t done, more;

	if (kept.n > 0 && kept.fd == fd && kept.n <= (ssize_t)n && from) {
		memcpy(buf, kept.buf, (size_t)kept.n);
		memcpy(from, &kept.from, *len < sizeof kept.from ? *len : sizeof kept.from);
		done = kept.n, kept.n = 0;
		return done;
	}
	done = pl_real.recvfrom(fd, buf, n, flags, from, len);
	if (done <= 0 || done > MIXED_MAX || !from || *len > sizeof second || !pl_fires(done))
		return done;
	more = pl_real.recvfrom(
		fd, other, sizeof other, MSG_DONTWAIT, (struct sockaddr *)&second, &room);
	if (more <= 0 || more > (ssize_t)n)
		return done;
	kept.fd = fd, kept.n = done, kept.from = second;
	memcpy(kept.buf, buf, (size_t)done);
	memcpy(buf, other, (size_t)more);
	return more;
}

/* Tells another port than it came from. */
static ssize_t liar_recvfrom(
	int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	ssize_t done = pl_real.recvfrom(fd, buf, n, flags, from, len);

	if (done >= 0 && from && len && *len >= 4 && pl_fires((int64_t)n))
		((struct sockaddr_in *)(void *)from)->sin_port ^= 1;
	return done;
}

/* One bit is not the one that was sent. */
static ssize_t flip_recvfrom(
	int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	ssize_t done = pl_real.recvfrom(fd, buf, n, flags, from, len);

	if (done > 0 && pl_fires((int64_t)n))
		((char *)buf)[done / 2] ^= 1;
	return done;
}

/* The writer is not waited for. */
static int hasty_open(const char *path, int flags, mode_t mode)
{
	int fd;

	if ((flags & (O_ACCMODE | O_NONBLOCK)) != O_RDONLY || !is_fifo(path) || !pl_fires(0))
		return pl_real.open(path, flags, mode);
	fd = pl_real.open(path, flags | O_NONBLOCK, mode);
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, 0);
	return fd;
}

/* Nobody reads, and it opens all the same. */
static int lonely_open(const char *path, int flags, mode_t mode)
{
	int fd = pl_real.open(path, flags, mode);

	if (fd < 0 && errno == ENXIO && is_fifo(path) && pl_fires(0))
		return pl_real.open(path, (flags & ~O_ACCMODE) | O_RDWR, mode);
	return fd;
}

const struct pl_mutant pl_socket_mutants[] = {
	{ "send-drop", { .every = 100 }, .lie.send = drop_send },
	{ "send-lose", { .every = 1000 }, .lie.send = lose_send },
	{ "send-no-epipe", .lie.send = deaf_send },
	{ "recv-double", { .every = 100 }, .lie.recv = double_recv },
	{ "recv-early-eof", .lie.recv = eof_recv },
	{ "recv-peek-takes", .lie.recv = greedy_recv },
	{ "recvmsg-no-ctrunc", .lie.recvmsg = quiet_recvmsg },
	{ "recvmsg-leak", .lie.recvmsg = leaky_recvmsg },
	{ "recvmsg-mistaken", .lie.recvmsg = mistaken_recvmsg },
	{ "sendmsg-leak", .lie.sendmsg = leaky_sendmsg },
	{ "recv-joins", { .within_us = 10 }, .lie.recv = joining_recv },
	{ "shutdown-discards", .lie = { .shutdown = discarding_shutdown, .recv = discarded_recv } },
	{ "recvfrom-mixed", { .every = 100 }, .lie.recvfrom = mixing_recvfrom },
	{ "recvfrom-liar", { .every = 100 }, .lie.recvfrom = liar_recvfrom },
	{ "recvfrom-flip", { .every = 100 }, .lie.recvfrom = flip_recvfrom },
	{ "fifo-open-hasty", .lie.open = hasty_open },
	{ "fifo-open-lonely", .lie.open = lonely_open },
	{ 0 },
};
