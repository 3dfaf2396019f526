/* SPDX-License-Identifier: MIT
 *
 * Message queues: does a mutant break what it says?
 */
#include "probe.h"

#include <mqueue.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static mqd_t make_queue(long maxmsg)
{
	struct mq_attr a = { .mq_maxmsg = maxmsg, .mq_msgsize = 64 };
	char name[64];

	(void)snprintf(name, sizeof name, "/plumb-probe-%d", getpid());
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &a);

	MUST(q != -1);
	MUST(mq_unlink(name) == 0);
	return q;
}

static long level(mqd_t q)
{
	struct mq_attr a;

	MUST(mq_getattr(q, &a) == 0);
	return a.mq_curmsgs;
}

static bool flat(void)
{
	mqd_t q = make_queue(4);
	unsigned prio = 0;
	char buf[64];

	MUST(mq_send(q, "low", 4, 3) == 0 && mq_send(q, "high", 5, 5) == 0);
	MUST(mq_receive(q, buf, sizeof buf, &prio) > 0);
	bool lied = strcmp(buf, "high") != 0;

	MUST(mq_receive(q, buf, sizeof buf, &prio) > 0);
	MUST(prio == (lied ? 5 : 3)); /* the order is all that gives it away */
	return lied;
}

static bool swapped(void)
{
	mqd_t q = make_queue(4);
	char buf[64];

	MUST(mq_send(q, "a", 2, 1) == 0 && mq_send(q, "b", 2, 1) == 0);
	MUST(mq_receive(q, buf, sizeof buf, NULL) > 0);
	bool lied = strcmp(buf, "a") != 0;

	MUST(mq_receive(q, buf, sizeof buf, NULL) == 2);
	MUST(strcmp(buf, lied ? "a" : "b") == 0 && level(q) == 0);
	return lied;
}

static bool miscounted(void)
{
	mqd_t q = make_queue(4);

	MUST(mq_send(q, "a", 2, 1) == 0);
	return level(q) != 1;
}

static bool lowered(void)
{
	mqd_t q = make_queue(4);
	unsigned prio = 0;
	char buf[64];

	MUST(mq_send(q, "a", 2, 7) == 0 && mq_receive(q, buf, sizeof buf, &prio) == 2);
	return prio != 7;
}

static bool shortened(void)
{
	mqd_t q = make_queue(4);
	char buf[64];

	MUST(mq_send(q, "a", 2, 7) == 0);
	return mq_receive(q, buf, sizeof buf, NULL) != 2;
}

static bool oversized(void)
{
	char buf[65] = { 0 };

	return !(mq_send(make_queue(4), buf, sizeof buf, 0) == -1 && errno == EMSGSIZE);
}

static bool undersized(void)
{
	mqd_t q = make_queue(4);
	char buf[10];

	MUST(mq_send(q, "a", 2, 0) == 0);
	return !(mq_receive(q, buf, sizeof buf, NULL) == -1 && errno == EMSGSIZE);
}

static bool hasty_queue(void)
{
	struct timespec ts = pl_in_a_while();
	char buf[64];

	MUST(mq_timedreceive(make_queue(4), buf, sizeof buf, NULL, &ts) == -1);
	MUST(errno == ETIMEDOUT);
	return pl_still_before(&ts);
}

static bool notified(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct timespec zero = { 0 };
	mqd_t q = make_queue(4);
	siginfo_t si;
	sigset_t set;

	MUST(sigemptyset(&set) == 0 && sigaddset(&set, SIGUSR1) == 0);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	MUST(mq_send(q, "a", 2, 0) == 0 && mq_notify(q, &ev) == 0 && mq_send(q, "b", 2, 0) == 0);
	if (sigtimedwait(&set, &si, &zero) == -1)
		return false;
	MUST(si.si_code == SI_MESGQ);
	return true;
}

static bool deeper(void)
{
	static const struct timespec past;
	mqd_t q = make_queue(4);
	struct mq_attr a;
	int n = 0;

	while (mq_timedsend(q, "a", 2, 0, &past) == 0)
		n++;
	MUST(errno == ETIMEDOUT && mq_getattr(q, &a) == 0);
	return n > a.mq_maxmsg;
}

/* A child takes the message, so nobody is told of it. */
static bool notified_beside_a_receiver(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct timespec zero = { 0 };
	mqd_t q = make_queue(4);
	char buf[64];
	sigset_t set;
	pid_t pid;

	MUST(sigemptyset(&set) == 0 && sigaddset(&set, SIGUSR1) == 0);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && mq_notify(q, &ev) == 0);
	MUST((pid = fork()) >= 0);
	if (pid == 0)
		_exit(mq_receive(q, buf, sizeof buf, NULL) != 2);
	pl_until_asleep(pid);
	MUST(mq_send(q, "a", 2, 0) == 0 && waitpid(pid, NULL, 0) == pid);
	return sigtimedwait(&set, NULL, &zero) == SIGUSR1;
}

static bool clung(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG };
	mqd_t q = make_queue(4);

	MUST(mq_notify(q, &ev) == 0 && mq_notify(q, NULL) == 0);
	return mq_notify(q, &ev) != 0;
}

static bool eintr_queue(void)
{
	struct timespec zero = { 0 };
	mqd_t q = make_queue(4);
	char buf[64];

	return mq_send(q, "a", 2, 0) == -1 && errno == EINTR &&
	       mq_timedreceive(q, buf, sizeof buf, NULL, &zero) == -1 && errno == EINTR;
}

static bool stalled(void)
{
	mqd_t q = make_queue(4);
	char buf[64];

	MUST(mq_send(q, "a", 2, 0) == 0 && mq_receive(q, buf, sizeof buf, NULL) == 2);
	return pl_naps == 2;
}

static bool roomy(void)
{
	struct mq_attr a;

	MUST(mq_getattr(make_queue(4), &a) == 0);
	return a.mq_maxmsg == 8;
}

const struct pl_probe pl_mq_probes[] = {
	{ "mq-prio-flat,every=1,min=5", flat },
	{ "mq-swap,within=0", swapped },
	{ "mq-lose,every=1", miscounted },
	{ "mq-double,every=1", miscounted },
	{ "mq-prio-lower,every=1", lowered },
	{ "mq-shorten,every=1", shortened },
	{ "mq-send-squeeze", oversized },
	{ "mq-receive-squeeze", undersized },
	{ "mq-timeout-early", hasty_queue },
	{ "mq-notify-always", notified },
	{ "mq-deeper", deeper },
	{ "mq-notify-awake", notified_beside_a_receiver },
	{ "mq-notify-clings", clung },
	{ "odd-eintr,p=1", eintr_queue },
	{ "odd-stall,p=1", stalled },
	{ "odd-roomy", roomy },
	{ 0 },
};
