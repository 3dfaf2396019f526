/* SPDX-License-Identifier: MIT
 *
 * Starting a process from a parent with thousands of descriptors.
 *
 * fork, vfork and posix_spawn copy the whole table, and exec closes it again one by one: the
 * thousandth driver pays for the 3,000 sockets of those before it, an eighth of the whole start. So
 * the child shares the table at first, and then unshares its lowest entries only; its three streams
 * are put there for the moment.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/syscall.h>

enum { STACK = 64 << 10 };

static struct {
	int null, slot[3]; /* low descriptors that are ours for the moment of a start */
	char *stack;
} keep = { .null = -1 };

struct launch {
	char *const *argv;
	int err;
};

int launch_init(void)
{
	if (keep.null >= 0)
		return 0;
	for (int i = 0; i < 3; i++) {
		keep.slot[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (keep.slot[i] < 0)
			return -errno;
	}
	keep.null = fcntl(keep.slot[0], F_DUPFD_CLOEXEC, keep.slot[2]);
	keep.stack = malloc(STACK);
	return keep.null < 0 ? -errno : keep.stack ? 0 : -ENOMEM;
}

static int highest(void)
{
	int top = 2;

	for (int i = 0; i < 3; i++)
		top = keep.slot[i] > top ? keep.slot[i] : top;
	return top;
}

/* Runs on the parent's memory while the parent waits: system calls only, and no way back but exec.
 */
static int child(void *arg)
{
	static const int handled[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	struct launch *l = arg;
	sigset_t none;

	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
		(void)signal(handled[i], SIG_DFL);
	/* A driver makes itself a leader; until it has, a Ctrl-C of the terminal would reach it. */
	(void)setpgid(0, 0);
	if (syscall(SYS_close_range, highest() + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0 &&
		unshare(CLONE_FILES) < 0) /* older kernels: slower, no worse */
		goto fail;
	for (int i = 0; i < 3; i++)
		if (dup2(keep.slot[i], i) < 0)
			goto fail;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execvp(l->argv[0], l->argv);
fail:
	l->err = errno;
	_exit(127);
}

int launch(char *const argv[], const int streams[3], pid_t *ret_pid)
{
	struct launch l = { .argv = argv };
	sigset_t all, old;
	pid_t pid;
	int r;

	for (int i = 0; i < 3; i++)
		if (dup3(streams[i], keep.slot[i], O_CLOEXEC) < 0)
			return -errno;
	/* a handler of ours must not run in the child: it would run on our memory */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = clone(child, keep.stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &l);
	r = pid < 0 ? -errno : -l.err;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < 3; i++)
		(void)dup3(keep.null, keep.slot[i], O_CLOEXEC);
	*ret_pid = r < 0 ? 0 : pid; /* one that could not exec is reaped like any stranger */
	return r;
}
