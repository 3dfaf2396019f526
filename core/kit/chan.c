/* SPDX-License-Identifier: MIT
 *
 * Messages between control and an actor: fixed structs over SOCK_SEQPACKET, descriptors by
 * SCM_RIGHTS.
 */
#include "kit.h"
#include "raw.h"

#include <string.h>
#include <sys/uio.h>

union rights {
	char buf[CMSG_SPACE(sizeof(int) * (PL_FDS_MAX + 1))];
	struct cmsghdr align;
};

int pl_chan_send(int fd, const void *msg, size_t len, const int *fds, int nfds)
{
	union rights u = { 0 };
	struct iovec io = { .iov_base = (void *)msg, .iov_len = len };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	struct cmsghdr *c;
	long n;

	if (nfds > 0) {
		m.msg_control = u.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)nfds);
	}
	do {
		n = raw_send(fd, &m);
	} while (n < 0 && errno == EINTR);
	return n == (long)len ? 0 : n < 0 ? -errno : -EIO;
}

long pl_chan_recv(int fd, void *msg, size_t len, int *fds, int maxfds, int *ret_nfds)
{
	union rights u;
	struct iovec io = { .iov_base = msg, .iov_len = len };
	struct msghdr m = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof u.buf };
	struct cmsghdr *c;
	long n;

	do {
		n = raw_recv(fd, &m);
	} while (n < 0 && errno == EINTR);
	*ret_nfds = 0;
	if (n <= 0)
		return n < 0 ? -errno : 0;
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int got = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)), i;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < got; i++) {
			int one;

			memcpy(&one, CMSG_DATA(c) + (size_t)i * sizeof one, sizeof one);
			if (*ret_nfds < maxfds)
				fds[(*ret_nfds)++] = one;
			else
				(void)raw_close(one);
		}
	}
	return n;
}
