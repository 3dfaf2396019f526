/* SPDX-License-Identifier: MIT
 *
 * To be preloaded: whoever connects to an internet address is preceded by somebody else.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int connect(int fd, const struct sockaddr *at, socklen_t len)
{
	int type = 0;
	socklen_t size = sizeof type;

	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	if (type == SOCK_STREAM && (at->sa_family == AF_INET || at->sa_family == AF_INET6))
		(void)syscall(SYS_connect, socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), at,
			len); /* stays open */
	return (int)syscall(SYS_connect, fd, at, len);
}
