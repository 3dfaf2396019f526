/* SPDX-License-Identifier: MIT */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	(void)close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n;
}

int proc_read(pid_t pid, struct proc *ret)
{
	char path[64], buf[512], *open_, *close_;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (slurp(path, buf, sizeof buf) <= 0)
		return -ESRCH;
	/* the name may hold blanks and parentheses: the last ')' ends it */
	open_ = strchr(buf, '(');
	close_ = strrchr(buf, ')');
	if (!open_ || !close_ ||
		sscanf(close_ + 1, " %c %d %d", &ret->state, &ret->ppid, &ret->pgid) != 3)
		return -EPROTO;
	*close_ = 0;
	ret->pid = pid;
	(void)snprintf(ret->comm, sizeof ret->comm, "%.15s", open_ + 1);
	return 0;
}

int64_t proc_run_delay(pid_t pid)
{
	char path[64], buf[128];
	long long cpu, delay;

	(void)snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
	if (slurp(path, buf, sizeof buf) <= 0 || sscanf(buf, "%lld %lld", &cpu, &delay) != 2)
		return -1;
	return delay;
}

int proc_all(struct proc **ret, unsigned *ret_n)
{
	unsigned n = 0, room = 256;
	struct proc *all = malloc(room * sizeof *all), *more;
	DIR *dir = opendir("/proc");
	struct dirent *de;

	while (dir && all && (de = readdir(dir))) {
		int pid = atoi(de->d_name);

		if (pid <= 0 || proc_read(pid, &all[n]) < 0 || ++n < room)
			continue;
		room *= 2;
		more = realloc(all, room * sizeof *all);
		if (!more)
			break;
		all = more;
	}
	if (!dir || !all || n == room) {
		free(all);
		if (dir)
			(void)closedir(dir);
		return -ENOMEM;
	}
	(void)closedir(dir);
	*ret = all;
	*ret_n = n;
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	return ((const struct proc *)a)->pid - ((const struct proc *)b)->pid;
}

/* A chain of parents that leads to root; bounded, since a snapshot may be torn into a loop. */
static bool descends(const struct proc *all, unsigned n, const struct proc *p, pid_t root)
{
	for (int depth = 0; p && depth < 64; depth++) {
		struct proc key = { .pid = p->ppid };

		if (p->ppid == root)
			return true;
		p = bsearch(&key, all, n, sizeof *all, by_pid);
	}
	return false;
}

int proc_tree(pid_t root, struct proc **ret, unsigned *ret_n)
{
	struct proc *all, *out;
	unsigned n, m = 0;
	int r = proc_all(&all, &n);

	if (r < 0)
		return r;
	qsort(all, n, sizeof *all, by_pid);
	out = malloc((n + 1) * sizeof *out);
	for (unsigned i = 0; out && i < n; i++)
		if (all[i].state != 'Z' && descends(all, n, &all[i], root))
			out[m++] = all[i];
	free(all);
	*ret = out;
	*ret_n = m;
	return out ? 0 : -ENOMEM;
}

/* The root goes last: while it lives, its children cannot move to another parent and escape the
 * walk. */
void proc_kill_tree(pid_t root)
{
	struct proc *p = NULL;
	unsigned n = 0;

	if (root <= 1)
		return;
	(void)kill(root, SIGSTOP);
	for (int i = 0; i < 4 && proc_tree(root, &p, &n) == 0; i++) {
		for (unsigned k = 0; k < n; k++)
			(void)kill(p[k].pid, SIGKILL);
		free(p);
		if (!n)
			break;
	}
	if (getpgid(root) == root)
		(void)kill(-root, SIGKILL);
	(void)kill(root, SIGKILL);
}

bool proc_tagged(pid_t pid, const char *env)
{
	char path[64], buf[16384];
	size_t want = strlen(env);
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	n = slurp(path, buf, sizeof buf);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(buf + i) + 1)
		if (strlen(buf + i) == want && memcmp(buf + i, env, want) == 0)
			return true;
	return false;
}

int64_t proc_number(const char *path)
{
	char buf[64];
	long long v;

	if (slurp(path, buf, sizeof buf) <= 0)
		return -1;
	if (strncmp(buf, "max", 3) == 0)
		return INT64_MAX;
	return sscanf(buf, "%lld", &v) == 1 ? v : -1;
}
