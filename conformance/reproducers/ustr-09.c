/* SPDX-License-Identifier: MIT
 *
 * Clause    USTR-09: with SO_PEEK_OFF a look goes on behind the one before.
 * Source    socket(7) SO_PEEK_OFF.
 * Expected  Two looks at "ab", one byte each, show 'a' and 'b'.
 * Observed  Held on Linux. Programs under qemu-user 7.2: setsockopt fails with ENOPROTOOPT.
 *
 * Exit 0: held, 1: violated, 77: no such sockets here.  cc -o ustr-09 ustr-09.c && ./ustr-09
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void)
{
	int sv[2], r, error, from = 0;
	char look[3] = "--";

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0 || send(sv[0], "ab", 2, 0) != 2)
		return 77;
	r = setsockopt(sv[1], SOL_SOCKET, SO_PEEK_OFF, &from, sizeof from);
	error = errno;
	for (int i = 0; i < 2; i++)
		(void)recv(sv[1], look + i, 1, MSG_PEEK);
	printf("setsockopt gave %d (%s), two looks showed %s\n", r,
		r < 0 ? strerror(error) : "no error", look);
	return !(r == 0 && strcmp(look, "ab") == 0);
}
