/* SPDX-License-Identifier: MIT
 *
 * What dead runs have left: their objects, by the journals their drivers kept, and their processes,
 * by the run's name in their environment. A run is dead if nobody holds its lock; living ones are
 * not looked at.
 */
#include "engine.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN_ID_MIN = 12 };

/* The driver knows how its objects are removed; the name says whose they are. */
int folder_unlink_object(const struct engine *e, const char *driver, const char *name)
{
	char path[PATH_MAX], out[256];
	char *argv[] = { path, "--unlink", (char *)name, NULL };

	if (strchr(driver, '/') ||
		snprintf(path, sizeof path, "%s/plumb-%s", e->cfg.drivers, driver) >= PATH_MAX)
		return -EINVAL;
	return ask_run(argv, out, sizeof out, 5000);
}

static unsigned sweep_journal(const struct engine *e, int dir_fd, const char *inst, const char *run)
{
	char path[NAME_MAX + 32], line[PATH_MAX + 64], driver[NAME_MAX_], name[PATH_MAX], own[64];
	unsigned n = 0;
	FILE *f;
	int fd;

	(void)snprintf(own, sizeof own, ".%s.", run);
	(void)snprintf(path, sizeof path, "inst/%s/objects", inst);
	fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	while (f && fgets(line, sizeof line, f)) {
		/* its own names only: each is /plumb.RUN.INSTANCE.HANDLE */
		if (sscanf(line, "%31s %4095s", driver, name) == 2 && strstr(name, own))
			n += folder_unlink_object(e, driver, name) == 0;
	}
	if (f)
		(void)fclose(f);
	return n;
}

static unsigned sweep_objects(const struct engine *e, int dir_fd, const char *run)
{
	int fd = openat(dir_fd, "inst", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *de;
	unsigned n = 0;

	while (dir && (de = readdir(dir)))
		if (de->d_name[0] != '.')
			n += sweep_journal(e, dir_fd, de->d_name, run);
	if (dir)
		(void)closedir(dir);
	return n;
}

static unsigned sweep_processes(const char *run)
{
	char tag[80];
	struct proc *all;
	unsigned n, killed = 0;

	(void)snprintf(tag, sizeof tag, "PLUMBLINE_RUN=%s", run);
	if (proc_all(&all, &n) < 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		if (all[i].pid > 1 && all[i].pid != getpid() && all[i].state != 'Z' &&
			proc_tagged(all[i].pid, tag))
			killed += kill(all[i].pid, SIGKILL) == 0;
	free(all);
	return killed;
}

/* The dead run a folder belongs to: nobody holds its lock, and the lock is ours, since a stranger's
 * could name a run that lives. Other programs' locks have shorter ids, and their owners know what
 * else to remove. */
static bool dead(int lock, char run[48])
{
	char text[80] = "";
	struct stat st;

	return fstat(lock, &st) == 0 && st.st_uid == geteuid() &&
	       flock(lock, LOCK_EX | LOCK_NB) == 0 && read(lock, text, sizeof text - 1) > 0 &&
	       sscanf(text, "plumbline %47s", run) == 1 && strlen(run) >= RUN_ID_MIN;
}

static void sweep_run(struct engine *e, int parent_fd, const char *folder)
{
	int dir_fd = openat(parent_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int lock = dir_fd >= 0 ? openat(dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	unsigned objects, processes;
	char run[48];

	if (lock >= 0 && dead(lock, run)) {
		processes = sweep_processes(run);
		objects = sweep_objects(e, dir_fd, run);
		if (unlinkat(dir_fd, "lock", 0) == 0)
			human_note(e, "swept dead run %s: %u objects, %u processes", run, objects,
				processes);
	}
	if (lock >= 0)
		(void)close(lock);
	if (dir_fd >= 0)
		(void)close(dir_fd);
}

/* Runs lie beside this one; those that `plumbline` started one deeper, in the folder `stress` of
 * its own. */
void sweep_dead(struct engine *e, const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *de;

	while (dir && (de = readdir(dir))) {
		char nested[NAME_MAX + 16];

		if (de->d_name[0] == '.' || strcmp(de->d_name, "latest") == 0)
			continue;
		(void)snprintf(nested, sizeof nested, "%s/stress", de->d_name);
		sweep_run(e, dirfd(dir), de->d_name);
		sweep_run(e, dirfd(dir), nested);
	}
	if (dir)
		(void)closedir(dir);
}
