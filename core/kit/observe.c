/* SPDX-License-Identifier: MIT
 *
 * The /proc observer. /proc/PID/task/TID/syscall names the call and its object; where it is missing
 * the state letter of /proc/PID/task/TID/stat is all there is. A lower rung costs power, never
 * soundness.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long slurp(const char *path, char *buf, size_t size)
{
	long fd = raw_open(path, O_RDONLY | O_CLOEXEC, 0), n;

	if (fd < 0)
		return -errno;
	n = raw_read((int)fd, buf, size - 1);
	(void)raw_close((int)fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0 ? n : -EIO;
}

static int see_syscall(pid_t pid, pid_t tid, struct pl_sight *ret)
{
	char path[64], buf[256], *end;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
	if (slurp(path, buf, sizeof buf) < 0)
		return -ENOENT;
	ret->nr = -1;
	if (!strncmp(buf, "running", 7))
		return 0;
	ret->nr = strtol(buf, &end, 10);
	ret->arg0 = strtoull(end, NULL, 16);
	return 0;
}

/* Does the file name the calls of this very program? Under user-mode emulation it shows the host's.
 */
static bool syscall_file_is_true(void)
{
	struct pl_sight s;
	char path[64], buf[256];
	long fd, n;

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", getpid(), getpid());
	fd = raw_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = raw_read((int)fd, buf, sizeof buf - 1);
	(void)raw_close((int)fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	s.nr = strtol(buf, NULL, 10);
	return s.nr == SYS_read && strstr(buf, " 0x") != NULL &&
	       strtol(strstr(buf, " 0x") + 1, NULL, 16) == fd;
}

/* In a pid namespace without a /proc of its own our numbers name strangers there. */
static bool proc_is_ours(void)
{
	char buf[512];

	return slurp("/proc/self/stat", buf, sizeof buf) > 0 && strtol(buf, NULL, 10) == getpid();
}

enum pl_rung pl_rung(void)
{
	static int known = -1;

	if (known < 0)
		known = !proc_is_ours()		 ? RUNG_NONE
			: syscall_file_is_true() ? RUNG_SYSCALL
						 : RUNG_STAT;
	return (enum pl_rung)known;
}

int pl_observe(pid_t pid, pid_t tid, struct pl_sight *ret)
{
	char path[64], buf[512], *paren;

	*ret = (struct pl_sight){ .state = '?', .nr = -1 };
	if (pl_rung() == RUNG_NONE)
		return -ENOSYS;
	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
	if (slurp(path, buf, sizeof buf) < 0)
		return -ESRCH;
	paren = strrchr(buf, ')');
	if (paren && paren[1])
		ret->state = paren[2];
	if (pl_rung() == RUNG_SYSCALL && see_syscall(pid, tid, ret) < 0)
		return -ESRCH;
	return 0;
}
