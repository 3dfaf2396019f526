/* SPDX-License-Identifier: MIT
 *
 * Clause    USEQ-07: a send to a SOCK_SEQPACKET peer that is gone fails with EPIPE and SIGPIPE.
 * Source    send(2), EPIPE: "the process will also receive a SIGPIPE unless MSG_NOSIGNAL is set".
 * Expected  -1 EPIPE, and SIGPIPE once.
 * Observed  Linux 6.18: -1 EPIPE, and no signal. The same program with SOCK_STREAM gets it.
 *
 * Exit 0: held, 1: violated, 77: no such sockets here.  cc -o useq-07 useq-07.c && ./useq-07
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int signo)
{
	(void)signo;
	signals++;
}

int main(void)
{
	int sv[2];
	long r;

	(void)signal(SIGPIPE, on_signal);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) < 0)
		return 77;
	(void)close(sv[0]);
	r = send(sv[1], "x", 1, 0);
	printf("send gave %ld (%s), SIGPIPE came %d times\n", r,
		r < 0 ? strerror(errno) : "no error", (int)signals);
	return !(r < 0 && errno == EPIPE && signals == 1);
}
