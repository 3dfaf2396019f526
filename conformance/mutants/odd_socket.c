/* SPDX-License-Identifier: MIT
 *
 * Oddities of sockets: strange, and allowed. The trigger's argument is the length asked for.
 */
#include "shim.h"

#include <string.h>
#include <sys/socket.h>

static bool is(int fd, int type, bool inet)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at, n = sizeof(int);
	int t = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &t, &n) == 0 && t == type &&
	       (!inet || (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
				 at.ss_family != AF_UNIX));
}

/* A part of n, 1 at least. */
static size_t part(size_t n)
{
	uint64_t r = pl_mix(atomic_load(&pl_shared->candidates));

	return r & 1 ? 1 : 1 + (size_t)(r >> 1) % n;
}

static ssize_t short_send(int fd, const void *buf, size_t n, int flags)
{
	bool cut = n > 1 && is(fd, SOCK_STREAM, false) && pl_fires((int64_t)n);

	return pl_real.send(fd, buf, cut ? part(n) : n, flags);
}

static ssize_t short_recv(int fd, void *buf, size_t n, int flags)
{
	bool cut = n > 1 && !(flags & MSG_WAITALL) && is(fd, SOCK_STREAM, false) &&
		   pl_fires((int64_t)n);

	return pl_real.recv(fd, buf, cut ? part(n) : n, flags);
}

/* Of UDP: a datagram is lost, comes twice, or comes after the next one of its sender. */
static ssize_t careless_send(int fd, const void *buf, size_t n, int flags)
{
	enum { KEPT_MAX = 4096, WAYS = 3 };
	static struct {
		int fd;
		size_t n;
		char buf[KEPT_MAX];
	} kept;
	uint64_t way = WAYS;
	ssize_t done;

	if (n > 0 && n <= KEPT_MAX && is(fd, SOCK_DGRAM, true) && pl_fires((int64_t)n))
		way = pl_mix(atomic_load(&pl_shared->candidates)) % WAYS;
	if (way == 0)
		return (ssize_t)n;
	if (way == 1 && kept.n == 0) {
		kept.fd = fd, kept.n = n;
		memcpy(kept.buf, buf, n);
		return (ssize_t)n;
	}
	done = pl_real.send(fd, buf, n, flags);
	if (way == 2 && done >= 0)
		(void)pl_real.send(fd, buf, n, flags | MSG_DONTWAIT);
	if (kept.n > 0 && kept.fd == fd && done >= 0) {
		(void)pl_real.send(fd, kept.buf, kept.n, flags | MSG_DONTWAIT);
		kept.n = 0;
	}
	return done;
}

const struct pl_mutant pl_socket_oddities[] = {
	{ "odd-short-send", { .p = 0.1 }, { .send = short_send } },
	{ "odd-short-recv", { .p = 0.1 }, { .recv = short_recv } },
	{ "odd-udp", { .p = 0.05 }, { .send = careless_send } },
	{ 0 },
};
