/* SPDX-License-Identifier: MIT
 *
 * Clause    SIG-05: with SA_NOCLDWAIT no child that has ended is left to wait for.
 * Source    POSIX.1-2017 sigaction SA_NOCLDWAIT, wait; sigaction(2).
 * Expected  wait blocks until the last child has ended, then fails with ECHILD.
 * Observed  Held on Linux. Programs under qemu-user 7.2: wait gives the child; the flag does not reach the
 *           system.
 *
 * Exit 0: held, 1: violated, 77: no child.  cc -o sig-05 sig-05.c && ./sig-05
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	pid_t child, r;
	int error;

	if (sigaction(SIGCHLD, &sa, NULL) < 0 || (child = fork()) < 0)
		return 77;
	if (child == 0)
		_exit(0);
	r = wait(NULL);
	error = errno;
	printf("wait gave %s (%s)\n",
		r == child ? "the child"
		: r < 0	   ? "-1"
			   : "somebody",
		r < 0 ? strerror(error) : "no error");
	return !(r < 0 && error == ECHILD);
}
