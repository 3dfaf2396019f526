/* SPDX-License-Identifier: MIT
 *
 * Clause    PMQ-13: notification comes when a message arrives at an empty queue.
 * Source    POSIX.1-2017 mq_notify; mq_notify(3).
 * Expected  mq_notify succeeds, and a message that is sent then raises SIGUSR1 once.
 * Observed  Held on Linux. Programs under qemu-user 7.2: mq_notify fails with ENOSYS. PMQ-12, PMQ-14 to 17, 26,
 *           27, 40 and 42 are of the same cause.
 *
 * Exit 0: held, 1: violated, 77: no queue can be made.  cc -o pmq-13 pmq-13.c -lrt && ./pmq-13
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t told;

static void on_signal(int signo)
{
	(void)signo;
	told++;
}

int main(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	char name[32];
	int r, error;
	mqd_t q;

	(void)snprintf(name, sizeof name, "/repro.%d", (int)getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == (mqd_t)-1)
		return 77;
	(void)mq_unlink(name);
	(void)signal(SIGUSR1, on_signal);
	r = mq_notify(q, &ev);
	error = errno;
	if (r == 0)
		(void)mq_send(q, "x", 1, 0);
	printf("mq_notify gave %d (%s), and SIGUSR1 came %d times\n", r,
		r < 0 ? strerror(error) : "no error", (int)told);
	return !(r == 0 && told == 1);
}
