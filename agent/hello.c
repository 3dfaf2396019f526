/* SPDX-License-Identifier: MIT
 *
 * What the agent says first: its drivers, and the facts about this place that its client, being
 * elsewhere, cannot see.
 */
#include "agent.h"
#include "kit/raw.h"

#include <dirent.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

enum { TMPFS = 0x01021994 };

/* a program that a driver's name can stand for */
static bool is_driver(const char *file)
{
	static const char *const tools[] = { "agent", "stress", "check", "fake" };
	char path[1400];
	unsigned i;

	if (strncmp(file, "plumb-", 6) != 0 || strchr(file, '.'))
		return false;
	for (i = 0; i < sizeof tools / sizeof *tools; i++)
		if (!strcmp(file + 6, tools[i]))
			return false;
	(void)snprintf(path, sizeof path, "%s/%s", agent.dir, file);
	return access(path, X_OK) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static json_t *drivers(void)
{
	json_t *a = json_array();
	struct dirent **e;
	int i, n = scandir(agent.dir, &e, NULL, by_name);

	for (i = 0; i < n; i++) {
		if (is_driver(e[i]->d_name) && json_array_size(a) < 256)
			(void)json_array_append_new(
				a, text_json(e[i]->d_name + 6, strlen(e[i]->d_name + 6)));
		free(e[i]);
	}
	if (n >= 0)
		free(e);
	return a;
}

static bool readable(const char *path)
{
	char byte;
	int fd = (int)raw_open(path, O_RDONLY | O_CLOEXEC, 0);
	bool yes = fd >= 0 && raw_read(fd, &byte, 1) == 1;

	if (fd >= 0)
		(void)raw_close(fd);
	return yes;
}

static const char *shm(void)
{
	struct statfs s;

	if (statfs("/dev/shm", &s) < 0)
		return "not there";
	if (access("/dev/shm", W_OK | X_OK) < 0)
		return "not writable";
	return s.f_type == TMPFS ? "tmpfs" : "a plain folder";
}

static json_t *limits(void)
{
	static const struct {
		const char *name;
		int which;
	} all[] = {
		{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
		{ "RLIMIT_NPROC", RLIMIT_NPROC },
		{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
		{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
		{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	};
	json_t *o = json_object();
	struct rlimit r;
	unsigned i;

	for (i = 0; i < sizeof all / sizeof *all; i++) {
		if (getrlimit(all[i].which, &r) < 0)
			continue;
		if (all[i].which == RLIMIT_NOFILE && start_nofile.rlim_max > 0)
			r = start_nofile;
		(void)json_object_set_new(o, all[i].name,
			json_integer(r.rlim_cur == RLIM_INFINITY ? -1 : (json_int_t)r.rlim_cur));
	}
	return o;
}

static uint64_t capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	return syscall(SYS_capget, &h, d) < 0 ? 0 : (uint64_t)d[1].effective << 32 | d[0].effective;
}

static json_t *place(void)
{
	struct utsname u = { 0 };
	char caps[20];

	(void)uname(&u);
	(void)snprintf(caps, sizeof caps, "0x%llx", (unsigned long long)capabilities());
	return json_pack("{sssssssisssisbssssso}", "kernel", u.release, "version", u.version,
		"machine", u.machine, "uid", (int)getuid(), "capabilities", caps, "seccomp",
		prctl(PR_GET_SECCOMP), "no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
		"rung",
		readable("/proc/self/syscall") ? "syscall"
		: readable("/proc/self/stat")  ? "stat"
					       : "none",
		"shm", shm(), "limits", limits());
}

json_t *hello(void)
{
	json_t *p = place();

	return json_pack("{s[i]sssissso so s{sisisi}}", "proto", 1, "agent", PL_BUILD, "pid",
		(int)getpid(), "dir", agent.dir, "drivers", drivers(), "place",
		p ? p : json_object(), "limits", "line", PL_LINE_MAX, "channels", CHANNELS, "queue",
		INPUT_MAX);
}
