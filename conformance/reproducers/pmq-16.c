/* SPDX-License-Identifier: MIT
 *
 * Clause    PMQ-16: closing another descriptor of the queue leaves the registrant's registration in place.
 * Source    POSIX.1-2017 mq_close: a registration made "via this mqdes" is removed; mq_close(3).
 * Expected  After mq_close of a second descriptor another process still gets EBUSY from mq_notify.
 * Observed  Linux 6.18: it can register. ipc/mqueue.c drops the registration at any close by its owner.
 *
 * Exit 0: held, 1: violated, 77: no message queues here.  cc -o pmq-16 pmq-16.c && ./pmq-16
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What another process is told that asks for the notification too. */
static int other_is_told(mqd_t q, const struct sigevent *ev)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(mq_notify(q, ev) < 0 ? errno : 0);
	(void)waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

int main(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];
	mqd_t first, second;
	int before, after;

	(void)snprintf(name, sizeof name, "/pmq-16.%d", (int)getpid());
	first = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	second = mq_open(name, O_RDWR);
	(void)mq_unlink(name);
	if (first < 0 || second < 0 || mq_notify(first, &ev) < 0)
		return 77;
	before = other_is_told(first, &ev);
	(void)mq_close(second);
	after = other_is_told(first, &ev);
	printf("another process is told: before the close %s, after it %s\n", strerror(before),
		after ? strerror(after) : "success");
	return !(before == EBUSY && after == EBUSY);
}
