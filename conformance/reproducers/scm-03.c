/* SPDX-License-Identifier: MIT
 *
 * Clause    SCM-03: descriptors that the control buffer has no room for are closed, and none is leaked.
 * Source    unix(7) SCM_RIGHTS: "if the buffer is too small, the excess descriptors are closed".
 * Expected  Two descriptors are sent, and received with room for a header alone: none is there afterwards.
 * Observed  Held on Linux. Programs under qemu-user 7.2: qemu receives with more room than the program gave,
 *           cuts what does not fit, and leaves it open.
 *
 * Exit 0: held, 1: violated, 77: nothing was received.  cc -o scm-03 scm-03.c && ./scm-03
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 2, LOOK = 64 };

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDS * sizeof(int))];
};

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < LOOK; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int main(void)
{
	union control to = { 0 }, from = { 0 };
	int sv[2], before, after;
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &to, .msg_controllen = sizeof to
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return 77;
	*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(FDS * sizeof(int)) };
	memcpy(CMSG_DATA(c), sv, sizeof sv);
	before = open_fds();
	if (sendmsg(sv[0], &m, 0) != 1)
		return 77;
	m.msg_control = &from, m.msg_controllen = CMSG_LEN(0);
	if (recvmsg(sv[1], &m, 0) != 1)
		return 77;
	after = open_fds();
	printf("%d descriptors were open before, %d afterwards\n", before, after);
	return after != before;
}
