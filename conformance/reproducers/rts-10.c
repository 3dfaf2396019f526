/* SPDX-License-Identifier: MIT
 *
 * Clause    RTS-10: each number from SIGRTMIN to SIGRTMAX can be sent and taken.
 * Source    POSIX.1-2017 signal.h: "realtime signals … in the range SIGRTMIN to SIGRTMAX".
 * Expected  As many as there are.
 * Observed  Held on Linux. Programs under qemu-user 7.2: the last two, 63 and 64, fail with EINVAL: it has
 *           fewer numbers to give than it says.
 *
 * Exit 0: held, 1: violated.  cc -o rts-10 rts-10.c && ./rts-10
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	const struct timespec now = { 0, 0 };
	int usable = 0, there = SIGRTMAX - SIGRTMIN + 1;

	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
		sigset_t set;

		(void)sigemptyset(&set);
		(void)sigaddset(&set, signo);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
		usable += sigqueue(getpid(), signo, (union sigval){ .sival_int = signo }) == 0 &&
			  sigtimedwait(&set, NULL, &now) == signo;
	}
	printf("of %d real-time numbers %d can be sent and taken\n", there, usable);
	return usable != there || there < 8;
}
