/* SPDX-License-Identifier: MIT
 *
 * The proof that nothing is left: no process below the engine, no object that a journal names.
 */
#include "engine.h"
#include "proc.h"

#include "../core/driver.h" /* pl_key() */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_NS (SEC / 4) /* for actors on their way out with their driver */
#define KILLING_NS (5 * SEC)

static void reap_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void tell(struct engine *e, const struct proc *p)
{
	(void)json_array_append_new(e->residue,
		json_pack("{s:s,s:s,s:i}", "kind", "process", "name", p->comm, "pid", (int)p->pid));
}

/* Whatever lives below the engine now has outlived its driver: a child subreaper loses no
 * descendant. */
static void processes(struct engine *e)
{
	int64_t from = now_ns();
	bool told = e->interrupts > 1;

	for (;;) {
		struct proc *p;
		unsigned n;

		reap_all();
		if (proc_tree(getpid(), &p, &n) < 0)
			return;
		if (now_ns() - from > GRACE_NS || e->interrupts > 1) {
			for (unsigned i = 0; i < n; i++) {
				if (!told)
					tell(e, &p[i]);
				(void)kill(p[i].pid, SIGKILL);
			}
			told = told || n;
		}
		free(p);
		if (!n || now_ns() - from > KILLING_NS)
			return;
		(void)poll(NULL, 0, 5); /* /proc cannot be waited on: polled with a deadline */
	}
}

/* A view of this IPC namespace's message queues, though nobody has mounted one; -1 without the
 * right to. */
static int queues_fd(void)
{
	int fs = fsopen("mqueue", FSOPEN_CLOEXEC), fd = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (fs >= 0)
		(void)close(fs);
	return fd >= 0 ? fd : open("/dev/mqueue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Where the object of a name can be seen. */
static const char *where(const char *name, int queues)
{
	const char *tmp = getenv("TMPDIR");
	const struct {
		const char *folder, *name, *kind;
	} places[] = { { "/dev/shm", name, "shared memory" },
		{ "/dev/shm/sem.", name + 1, "shared memory" }, { "", name, "file" },
		{ tmp && *tmp ? tmp : "/tmp", name, "file" } };
	char path[2 * PATH_MAX];
	int key = pl_key(name);

	if (*name != '/')
		return NULL;
	if (queues >= 0 && !strchr(name + 1, '/') &&
		faccessat(queues, name + 1, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return "message queue";
	if (msgget(key, 0) >= 0)
		return "System V queue";
	if (semget(key, 0, 0) >= 0)
		return "System V semaphores";
	if (shmget(key, 0, 0) >= 0)
		return "System V segment";
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		(void)snprintf(path, sizeof path, "%s%s", places[i].folder, places[i].name);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return places[i].kind;
	}
	return NULL;
}

/* One driver's journal. An object left by a driver that ended well is residue; one left by a driver
 * that was killed had to be left. Both are removed. True if the journal is of no more use. */
static bool journal(struct engine *e, const struct driver *d, const char *path, int queues)
{
	char line[PATH_MAX + 64], driver[NAME_MAX_], name[PATH_MAX];
	bool done = true;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof line, f)) {
		const char *kind;

		if (sscanf(line, "%31s %4095s", driver, name) != 2)
			continue;
		kind = where(name, queues);
		if (kind && d->fate == FATE_OK && !d->killed_by_us) {
			json_t *o = events_who(d);

			(void)json_object_set_new(o, "kind", json_string(kind));
			(void)json_object_set_new(o, "name", json_string(name));
			(void)json_array_append_new(e->residue, o);
		}
		if (kind || (queues < 0 && d->fate != FATE_OK))
			done = folder_unlink_object(e, driver, name) == 0 && done;
	}
	if (f)
		(void)fclose(f);
	return done;
}

static void objects(struct engine *e)
{
	int queues = queues_fd();

	for (unsigned i = 0; i < e->n; i++) {
		char dir[PATH_MAX], path[PATH_MAX + 16];

		if (e->drv[i].pid <= 0)
			continue;
		folder_inst(&e->drv[i], dir, sizeof dir);
		(void)snprintf(path, sizeof path, "%s/objects", dir);
		if (*dir && journal(e, &e->drv[i], path, queues))
			(void)unlink(path);
		(void)rmdir(dir); /* only if the driver left nothing to read */
	}
	if (queues >= 0)
		(void)close(queues);
}

void residue_check(struct engine *e)
{
	processes(e);
	objects(e);
}
