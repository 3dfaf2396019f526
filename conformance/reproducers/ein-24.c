/* SPDX-License-Identifier: MIT
 *
 * Clause    EIN-24: a handler that runs ends sigtimedwait with EINTR.
 * Source    sigwaitinfo(2), EINTR: "the wait was interrupted by a signal handler; see signal(7)". POSIX.1-2017
 *           sigtimedwait says "may".
 * Expected  SIGUSR1 is waited for, and SIGALRM comes, whose handler has no SA_RESTART: -1 EINTR.
 * Observed  musl 1.2.3: the handler runs, and the wait begins anew each time.
 *
 * Exit 0: held, 1: violated, 77: no alarm came.  cc -o ein-24 ein-24.c && ./ein-24
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ALARMS = 3, WAIT_S = 2 };

static volatile sig_atomic_t alarms;

static void on_alarm(int signo)
{
	(void)signo;
	if (++alarms < ALARMS)
		(void)alarm(1);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct timespec wait = { WAIT_S, 0 };
	sigset_t set;
	int r, error;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	if (sigaction(SIGALRM, &sa, NULL) < 0)
		return 77;
	(void)alarm(1);
	r = sigtimedwait(&set, NULL, &wait);
	error = errno;
	printf("sigtimedwait gave %d (%s), the handler ran %d times\n", r, strerror(error),
		(int)alarms);
	return alarms == 0 ? 77 : !(r < 0 && error == EINTR);
}
