/* SPDX-License-Identifier: MIT
 *
 * tcp(7), udp(7): sockets of machines that a network joins. TCP carries a stream of bytes, each
 * once and in order, some time after send has returned. UDP carries datagrams, whole or not at all.
 *
 * In rounds one direction is tried: what is put at end b is taken at end a, over loopback. Between
 * two machines each has a driver of its own. One is told a name like "0.0.0.0:0" to create: it
 * listens there (TCP) or is bound there (UDP), and says at what port. The other attaches to
 * "10.0.0.1:PORT". For TCP the first one then opens a second object with `accept`.
 */
#include "socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { TCP4, TCP6, UDP4, UDP6 };
enum { STRANGERS_MAX = 64 };
enum { NONBLOCK, SNDBUF, RCVBUF, ACCEPT };	/* arguments of open */
enum { OUT_PORT, OUT_ADDR, OUT_HIGH, OUT_LOW }; /* results of open */

static int waiting = -1; /* what listens for the object that `accept` makes */

static bool is_tcp(const struct pl_obj *o)
{
	return o->variant == TCP4 || o->variant == TCP6;
}

static int family_of(const struct pl_obj *o)
{
	return o->variant == TCP4 || o->variant == UDP4 ? AF_INET : AF_INET6;
}

static int type_of(const struct pl_obj *o)
{
	return is_tcp(o) ? SOCK_STREAM : SOCK_DGRAM;
}

/* ---- addresses ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t length_of(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void set_port(union address *at, int64_t port)
{
	if (at->any.sa_family == AF_INET)
		at->v4.sin_port = htons((uint16_t)port);
	else
		at->v6.sin6_port = htons((uint16_t)port);
}

static int port_of(const union address *at)
{
	return ntohs(at->any.sa_family == AF_INET ? at->v4.sin_port : at->v6.sin6_port);
}

static socklen_t loopback(const struct pl_obj *o, int64_t port, union address *ret)
{
	*ret = (union address){ 0 };
	ret->any.sa_family = (sa_family_t)family_of(o);
	if (family_of(o) == AF_INET)
		ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		ret->v6.sin6_addr = in6addr_loopback;
	set_port(ret, port);
	return length_of(family_of(o));
}

/* "10.0.0.1:80", "[fd00::1]:80"; a name of the kit's own means loopback. 0 with errno: neither. */
static socklen_t address_of(const struct pl_obj *o, union address *ret)
{
	const char *colon = strrchr(o->name, ':');
	char host[64];
	int n = colon ? (int)(colon - o->name) : 0;
	const char *from = o->name;

	if (*o->name == '/')
		return loopback(o, o->create ? 0 : o->out[OUT_PORT], ret);
	if (n > 2 && *from == '[' && from[n - 1] == ']')
		from++, n -= 2;
	*ret = (union address){ 0 };
	ret->any.sa_family = (sa_family_t)family_of(o);
	(void)snprintf(host, sizeof host, "%.*s", n, from);
	if (n <= 0 || n >= (int)sizeof host ||
		inet_pton(family_of(o), host,
			family_of(o) == AF_INET ? (void *)&ret->v4.sin_addr
						: (void *)&ret->v6.sin6_addr) != 1) {
		errno = EINVAL;
		return 0;
	}
	set_port(ret, atoi(colon + 1));
	return length_of(family_of(o));
}

static bool is_global(const struct sockaddr *at)
{
	return at->sa_family == AF_INET ||
	       !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)at)->sin6_addr);
}

/* Where others reach this machine, if it has an address that is not loopback: the first one. */
static void tell_address(struct pl_obj *o)
{
	struct ifaddrs *all, *i;

	if (getifaddrs(&all) < 0)
		return;
	for (i = all; i; i = i->ifa_next) {
		const union address *at = (const union address *)(const void *)i->ifa_addr;
		const uint8_t *b;
		int k;

		if (!at || at->any.sa_family != family_of(o) || i->ifa_flags & IFF_LOOPBACK ||
			!(i->ifa_flags & IFF_UP) || !is_global(&at->any))
			continue;
		if (at->any.sa_family == AF_INET)
			o->out[OUT_ADDR] = ntohl(at->v4.sin_addr.s_addr);
		b = at->v6.sin6_addr.s6_addr;
		for (k = 0; at->any.sa_family == AF_INET6 && k < 16; k++) {
			int64_t *half = &o->out[k < 8 ? OUT_HIGH : OUT_LOW];

			*half = (int64_t)((uint64_t)*half << 8 | b[k]);
		}
		break;
	}
	freeifaddrs(all);
}

/* ---- open ---- */

static int new_socket(const struct pl_obj *o)
{
	return socket(family_of(o), type_of(o) | SOCK_CLOEXEC, 0);
}

static long bound(struct pl_obj *o, const union address *at, socklen_t len)
{
	union address is;
	int fd = new_socket(o);

	if (fd < 0)
		return -1;
	o->fd[0] = fd;
	if (bind(fd, &at->any, len) < 0 || (is_tcp(o) && listen(fd, 8) < 0) ||
		getsockname(fd, &is.any, &len) < 0)
		return -1;
	o->out[OUT_PORT] = port_of(&is);
	return fd;
}

static long connected(struct pl_obj *o, const union address *at, socklen_t len)
{
	o->fd[1] = new_socket(o);
	return o->fd[1] < 0 ? -1 : connect(o->fd[1], &at->any, len);
}

static bool is_from(const union address *peer, int end)
{
	union address is = { 0 };
	socklen_t len = sizeof is;

	return getsockname(end, &is.any, &len) == 0 && len == length_of(peer->any.sa_family) &&
	       memcmp(peer, &is, len) == 0;
}

/* The other side of `end`. The port is open to everybody on this machine: whoever else came first
 * is turned away. */
static int accept_of(int listener, int end)
{
	int i;

	for (i = 0; i <= STRANGERS_MAX; i++) {
		union address peer = { 0 };
		socklen_t len = sizeof peer;
		int fd = accept4(listener, &peer.any, &len, SOCK_CLOEXEC);

		if (fd < 0 || is_from(&peer, end))
			return fd;
		(void)close(fd);
	}
	errno = ECONNABORTED;
	return -1;
}

/* Both ends here: bound or listening, connected, accepted. */
static long open_both(struct pl_obj *o)
{
	union address at;
	socklen_t len = loopback(o, 0, &at);
	int listener;

	if (bound(o, &at, len) < 0)
		return -1;
	set_port(&at, o->out[OUT_PORT]);
	if (connected(o, &at, len) < 0)
		return -1;
	if (!is_tcp(o))
		return 0;
	listener = o->fd[0];
	o->fd[0] = accept_of(listener, o->fd[1]);
	(void)close(listener);
	return o->fd[0];
}

static long open_ends(struct pl_obj *o, const struct pl_args *a)
{
	union address at;
	socklen_t len;

	if (o->create && a->v[ACCEPT])
		return o->fd[0] = accept4(waiting, NULL, NULL, SOCK_CLOEXEC);
	if (o->create && *o->name == '/')
		return open_both(o);
	if (!o->create && *o->name == '/' && is_tcp(o))
		return 0; /* a connection has two ends, and others have them */
	len = address_of(o, &at);
	if (len == 0)
		return -1;
	if (!o->create)
		return connected(o, &at, len);
	if (bound(o, &at, len) < 0)
		return -1;
	tell_address(o);
	waiting = o->fd[0];
	return is_tcp(o) ? fcntl(waiting, F_SETFL, O_NONBLOCK) : 0;
}

static long set_size(int fd, int what, int64_t size)
{
	int n = (int)size;

	return fd < 0 || !size ? 0 : setsockopt(fd, SOL_SOCKET, what, &n, sizeof n);
}

static long inet_open(struct pl_obj *o, const struct pl_args *a)
{
	int i;

	if (open_ends(o, a) < 0 || set_size(o->fd[1], SO_SNDBUF, a->v[SNDBUF]) < 0 ||
		set_size(o->fd[0], SO_RCVBUF, a->v[RCVBUF]) < 0)
		return -1;
	for (i = 0; i < 2 && a->v[NONBLOCK]; i++)
		if (o->fd[i] >= 0 && fcntl(o->fd[i], F_SETFL, O_NONBLOCK) < 0)
			return -1;
	return 0;
}

/* An address is no object that could be left behind. */
static int inet_unlink(const char *name)
{
	errno = ENOENT;
	return -1;
}

static const char *inet_probe(int variant)
{
	static char why[80];
	struct pl_obj o = { .variant = variant, .fd = { -1, -1 } };
	union address at;
	socklen_t len = loopback(&o, 0, &at);
	int fd = new_socket(&o), way = socket(family_of(&o), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && bind(fd, &at.any, len) == 0, there;

	loopback(&o, 9, &at);
	there = bound && way >= 0 && connect(way, &at.any, len) == 0; /* sends nothing */
	(void)snprintf(why, sizeof why, "no %s loopback %s here: %s",
		family_of(&o) == AF_INET ? "IPv4" : "IPv6", bound ? "link" : "address",
		strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	if (way >= 0)
		(void)close(way);
	return there ? NULL : why;
}

/* ---- moving bytes ---- */

/* One payload in two pieces. */
static long op_sendmsg(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	size_t half = a->len / 2;
	struct iovec io[2] = { { a->buf, half }, { (char *)a->buf + half, a->len - half } };
	struct msghdr h = { .msg_iov = io, .msg_iovlen = 2 };

	return sendmsg(a->fd, &h, (int)a->v[1]);
}

static long op_sendto(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	union address at;
	socklen_t len = loopback(o, a->v[2], &at);

	return sendto(a->fd, a->buf, a->len, (int)a->v[1], &at.any, len);
}

static long op_recvfrom(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	union address from = { 0 };
	socklen_t len = sizeof from;
	long n = recvfrom(a->fd, a->buf, a->len, (int)a->v[1], &from.any, &len);

	r->out[0] = n < 0 || len == 0 ? 0 : port_of(&from);
	r->tag = (uint64_t)r->out[0];
	return n;
}

enum { BATCH = 64 };

/* `n` messages in one call: as many bytes in each as its number says, from 1. */
static long batch(const struct pl_args *a, struct pl_result *r, bool sends)
{
	static char room[BATCH][BATCH];
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec io[BATCH];
	long n = a->v[0];

	for (long i = 0; i < n; i++) {
		io[i] = (struct iovec){ room[i], sends ? (size_t)i + 1 : sizeof room[i] };
		m[i].msg_hdr.msg_iov = &io[i], m[i].msg_hdr.msg_iovlen = 1;
	}
	n = sends ? sendmmsg(a->fd, m, (unsigned)n, (int)a->v[1])
		  : recvmmsg(a->fd, m, (unsigned)n, (int)a->v[1], NULL);
	for (long i = 0; i < n; i++)
		r->out[0] += m[i].msg_len;
	return n;
}

static long op_sendmmsg(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return batch(a, r, true);
}

static long op_recvmmsg(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return batch(a, r, false);
}

/* Waits a little, so that a round in which datagrams got lost has an end. */
static long op_tryrecvfrom(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };
	struct pl_args now = *a;

	if (a->v[2] > 0 && poll(&p, 1, (int)a->v[2]) < 0)
		return -1;
	now.v[1] |= MSG_DONTWAIT;
	return op_recvfrom(o, &now, r);
}

/* Empties the connection: what the other side has not yet seen acknowledged is still on its way. */
static long op_recvrest(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	for (;;) {
		int64_t away = 0;
		bool all = o->fd[1] < 0 || ioctl_int(o->fd[1], TIOCOUTQ, &away) < 0 || away == 0;
		long n = recv(a->fd, a->buf, a->len, MSG_DONTWAIT);
		struct pollfd p = { .fd = a->fd, .events = POLLIN };

		if (all || n >= 0 || errno != EAGAIN || poll(&p, 1, 1) < 0)
			return n;
	}
}

static long op_fionread(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	long rc = ioctl_int(a->fd, FIONREAD, &r->out[0]);

	r->amount = r->out[0] > 0 ? (uint64_t)r->out[0] : 0;
	return rc;
}

static long op_sockatmark(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return sockatmark(a->fd);
}

/* ---- connections: ports are those of loopback ---- */

static long op_socket(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return socket(family_of(o), type_of(o) | SOCK_CLOEXEC | (int)a->v[0], 0);
}

static long op_bind(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	union address at;
	socklen_t len = loopback(o, a->v[0], &at);

	return bind(a->fd, &at.any, len);
}

/* port -1: to nobody any more. */
static long op_connect(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	union address at;
	socklen_t len = loopback(o, a->v[0] < 0 ? 0 : a->v[0], &at);

	if (a->v[0] < 0)
		at.any.sa_family = AF_UNSPEC;
	return connect(a->fd, &at.any, len);
}

static long op_getsockname(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	union address is = { 0 };
	socklen_t len = sizeof is;
	long rc = getsockname(a->fd, &is.any, &len);

	r->out[0] = rc < 0 ? 0 : port_of(&is);
	return rc;
}

static long op_linger(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct linger l = { .l_onoff = 1, .l_linger = (int)a->v[0] };

	return setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

/* SO_RCVTIMEO or SO_SNDTIMEO. */
static long op_settimeo(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct timeval t = { .tv_sec = a->v[1] / 1000, .tv_usec = a->v[1] % 1000 * 1000 };

	return setsockopt(a->fd, SOL_SOCKET, a->v[0] ? SO_SNDTIMEO : SO_RCVTIMEO, &t, sizeof t);
}

#define CAPS                                                                                       \
	(PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_POLL | PL_MULTI_READER | PL_MULTI_WRITER |      \
		PL_LATE | PL_PUTONLY)
#define TCP (1 << TCP4 | 1 << TCP6)
#define UDP (1 << UDP4 | 1 << UDP6)

static const struct pl_variant variants[] = {
	[TCP4] = { "tcp4", PL_MODEL_STREAM, CAPS | PL_STREAM | PL_PIECEMEAL },
	[TCP6] = { "tcp6", PL_MODEL_STREAM, CAPS | PL_STREAM | PL_PIECEMEAL },
	[UDP4] = { "udp4", PL_MODEL_DATAGRAM, CAPS | PL_DATAGRAM | PL_LOSSY },
	[UDP6] = { "udp6", PL_MODEL_DATAGRAM, CAPS | PL_DATAGRAM | PL_LOSSY },
	{ 0 },
};

#define PORT                                                                                       \
	{                                                                                          \
		"port", -1, 65535                                                                  \
	}

static const struct pl_op ops[] = {
	{ "send", op_send, PL_PUT, PL_BLOCKS, { SIZE_PUT, FLAGS }, .weight = 6 },
	{ "write", op_write, PL_PUT, PL_BLOCKS, { SIZE_PUT }, .weight = 1 },
	{ "sendmsg", op_sendmsg, PL_PUT, PL_BLOCKS, { SIZE_PUT, FLAGS }, .weight = 1 },
	{ "sendto", op_sendto, PL_PUT, PL_BLOCKS, { SIZE_PUT, FLAGS, PORT } },
	{ "recv", op_recv, PL_TAKE, PL_BLOCKS, { SIZE_TAKE, FLAGS }, .weight = 6, .only = TCP },
	{ "read", op_read, PL_TAKE, PL_BLOCKS, { SIZE_TAKE }, .weight = 1, .only = TCP },
	{ "recvrest", op_recvrest, PL_TAKE, PL_DRAIN, { SIZE_TAKE }, .only = TCP },
	{ "recvfrom", op_recvfrom, PL_TAKE, PL_BLOCKS, { SIZE_TAKE, FLAGS }, { "port" } },
	{ "tryrecvfrom", op_tryrecvfrom, PL_TAKE, PL_DRAIN,
		{ SIZE_TAKE, FLAGS, { "ms", 0, 60000, 1, 1 } }, { "port" }, .weight = 1,
		.only = UDP },
	{ "sendmmsg", op_sendmmsg, PL_NONE, PL_BLOCKS, { { "n", 1, BATCH }, FLAGS }, { "bytes" } },
	{ "recvmmsg", op_recvmmsg, PL_NONE, PL_BLOCKS, { { "n", 1, BATCH }, FLAGS }, { "bytes" } },
	{ "fionread", op_fionread, PL_OBSERVE, PL_LEVEL, .out = { "bytes" } },
	{ "outq", op_outq, PL_OBSERVE, 0, .out = { "bytes" } },
	{ "getsockopt", op_getsockopt, PL_OBSERVE, 0, { LEVEL_AND_NAME }, { "value" } },
	{ "setsockopt", op_setsockopt, PL_NONE, 0,
		{ LEVEL_AND_NAME, { "value", INT32_MIN, INT32_MAX } } },
	{ "linger", op_linger, PL_NONE, 0, { { "secs", 0, 60 } } },
	{ "settimeo", op_settimeo, PL_NONE, 0, { { "sending", 0, 1 }, { "ms", 0, 600000 } } },
	{ "getsockname", op_getsockname, PL_OBSERVE, 0, .out = { "port" } },
	{ "sockatmark", op_sockatmark, PL_OBSERVE, 0 },
	{ "shutdown", op_shutdown, PL_NONE, 0, { { "how", 0, INT32_MAX } } },
	{ "socket", op_socket, PL_NONE, PL_NEWFD | PL_NEUTRAL, { FLAGS } },
	{ "bind", op_bind, PL_NONE, 0, { PORT } },
	{ "listen", op_listen, PL_NONE, 0, { { "backlog", INT32_MIN, INT32_MAX, .def = 8 } } },
	{ "connect", op_connect, PL_NONE, PL_BLOCKS, { PORT } },
	{ "accept", op_accept, PL_NONE, PL_BLOCKS | PL_NEWFD, { FLAGS } },
	{ 0 },
};

PL_DRIVER(inet, "internet socket", variants, ops, .open = inet_open, .unlink = inet_unlink,
	.probe = inet_probe, .ends = { "a", "b" },
	.open_args = { { "nonblock", 0, 1 }, { "sndbuf", 0, INT32_MAX }, { "rcvbuf", 0, INT32_MAX },
		{ "accept", 0, 1 } },
	.open_out = { "port", "addr", "high", "low" })
