/* SPDX-License-Identifier: MIT
 *
 * open, and the symbols of sockets, that stand before libc's.
 */
#undef _FILE_OFFSET_BITS /* it would turn the definition of open into one of open64 */
#include "shim.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>

static int (*libc_open)(const char *, int, ...);

static int real_open(const char *path, int flags, mode_t mode)
{
	return libc_open(path, flags, mode);
}

void pl_find_sockets(void)
{
	static const struct pl_symbol all[] = {
		{ "open", &libc_open },
		{ "send", &pl_real.send },
		{ "recv", &pl_real.recv },
		{ "recvfrom", &pl_real.recvfrom },
		{ "recvmsg", &pl_real.recvmsg },
		{ "sendmsg", &pl_real.sendmsg },
		{ "shutdown", &pl_real.shutdown },
		{ NULL, NULL },
	};

	pl_find(all);
	pl_real.open = real_open;
}

EXPORT int open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return pl_calls_now()->open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) __attribute__((alias("open")));

EXPORT int __open_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags)
{
	return pl_calls_now()->open(path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	return pl_calls_now()->send(fd, buf, n, flags);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	return pl_calls_now()->recv(fd, buf, n, flags);
}

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	assert(n <= room);
	return pl_calls_now()->recv(fd, buf, n, flags);
}

EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags,
	struct sockaddr *restrict from, socklen_t *restrict len)
{
	return pl_calls_now()->recvfrom(fd, buf, n, flags, from, len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	return pl_calls_now()->recvmsg(fd, h, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	return pl_calls_now()->sendmsg(fd, h, flags);
}

EXPORT int shutdown(int fd, int how)
{
	return pl_calls_now()->shutdown(fd, how);
}
