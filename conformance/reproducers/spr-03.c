/* SPDX-License-Identifier: MIT
 *
 * Clause    SPR-03: socketpair refuses a family, type or protocol that has none.
 * Source    socketpair(2), socket(2) EINVAL: unknown type. POSIX.1-2017 lets it be EPROTOTYPE.
 * Expected  A type of 99 fails with EINVAL.
 * Observed  Held on Linux. Programs under qemu-user 7.2: it succeeds; what qemu does not know of the type
 *           is cut off, and the rest passed on.
 *
 * Exit 0: held, 1: violated.  cc -o spr-03 spr-03.c && ./spr-03
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void)
{
	int sv[2], r = socketpair(AF_UNIX, 99, 0, sv);

	printf("socketpair of type 99 gave %d (%s)\n", r, r < 0 ? strerror(errno) : "no error");
	return !(r < 0 && (errno == EINVAL || errno == EPROTOTYPE));
}
