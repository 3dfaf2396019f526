/* SPDX-License-Identifier: MIT
 *
 * The run's folder: run.json, events.jsonl, inst/NN/, and `lock`, which is flock'ed while the run
 * lives and removed at its end. A lock that nobody holds therefore means a run that died: see
 * sweep.c.
 */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESULTS "plumbline-results"

int folder_parent(const struct config *c, char *buf, size_t size)
{
	char *slash;
	int n;

	if (!c->out)
		n = snprintf(buf, size, RESULTS);
	else
		n = snprintf(buf, size, "%s", c->out);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	if (!c->out)
		return 0;
	while (n > 1 && buf[n - 1] == '/')
		buf[--n] = 0;
	slash = strrchr(buf, '/');
	if (slash)
		slash[slash == buf] = 0;
	else
		(void)snprintf(buf, size, ".");
	return 0;
}

static int refuse(const char *path, const char *why)
{
	(void)fprintf(stderr, "plumb-stress: the run's folder '%s': %s\n", path, why);
	return EXIT_BROKEN;
}

/* Locked before it has its name: nobody ever sees it without its lock. */
static int make_lock(struct engine *e)
{
	char tmp[64], text[80];
	int n = snprintf(text, sizeof text, "plumbline %s\n", e->run), r = 0;
	int held = openat(e->dir_fd, "lock", O_RDONLY | O_CLOEXEC);

	if (held >= 0) {
		r = flock(held, LOCK_EX | LOCK_NB) < 0 || unlinkat(e->dir_fd, "lock", 0) < 0
			    ? -EBUSY
			    : 0;
		(void)close(held);
		if (r < 0)
			return r;
	}
	(void)snprintf(tmp, sizeof tmp, "lock.%d", (int)getpid());
	e->lock_fd = openat(e->dir_fd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (e->lock_fd < 0)
		return -errno;
	errno = ENOSPC; /* what a short write means */
	if (flock(e->lock_fd, LOCK_EX | LOCK_NB) < 0 || write(e->lock_fd, text, (size_t)n) != n ||
		linkat(e->dir_fd, tmp, e->dir_fd, "lock", 0) < 0)
		r = errno == EEXIST ? -EBUSY : -errno;
	(void)unlinkat(e->dir_fd, tmp, 0);
	return r;
}

static int make_dirs(struct engine *e, char *path, size_t size)
{
	if (e->cfg.out)
		(void)snprintf(path, size, "%s", e->cfg.out);
	else {
		(void)snprintf(path, size, RESULTS);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		(void)snprintf(path, size, RESULTS "/%s", e->run);
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (!realpath(path, e->dir))
		return -errno;
	e->dir_fd = open(e->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return e->dir_fd < 0 ? -errno : 0;
}

int folder_open(struct engine *e)
{
	char path[PATH_MAX];
	int r = make_dirs(e, path, sizeof path);

	if (r < 0)
		return refuse(path, strerror(-r));
	if (faccessat(e->dir_fd, "run.json", F_OK, 0) == 0)
		return refuse(e->dir, "holds a finished run already");
	r = make_lock(e);
	if (r < 0)
		return refuse(e->dir, r == -EBUSY ? "another run is using it" : strerror(-r));
	if (mkdirat(e->dir_fd, "inst", 0755) < 0 && errno != EEXIST)
		return refuse(e->dir, strerror(errno));
	if (!e->cfg.lanes) { /* without it they are not limited, and that is all */
		int fd = openat(e->dir_fd, "checkers", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

		if (fd >= 0)
			(void)close(fd);
	}
	e->events_fd = openat(e->dir_fd, "events.jsonl",
		O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	return e->events_fd < 0 ? refuse(e->dir, strerror(errno)) : 0;
}

void folder_inst(const struct driver *d, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s/inst/%02u", d->e->dir, d->inst);

	if (n < 0 || (size_t)n >= size)
		*buf = 0;
}

void folder_make_inst(const struct driver *d, char *buf, size_t size)
{
	folder_inst(d, buf, size);
	if (*buf && mkdir(buf, 0755) < 0 && errno != EEXIST)
		*buf = 0;
}

void folder_stderr(const struct driver *d)
{
	unsigned from = d->nring > RING ? d->nring - RING : 0;
	char path[PATH_MAX];
	FILE *f;

	if (!d->nring)
		return;
	folder_make_inst(d, path, sizeof path - 16);
	(void)strncat(path, "/stderr.log", 16);
	f = fopen(path, "we");
	if (!f)
		return;
	if (from)
		(void)fprintf(f, "(%u lines before these)\n", from);
	for (unsigned i = from; d->ring && i < d->nring; i++)
		(void)fprintf(f, "%s\n", d->ring[i % RING]);
	(void)fclose(f);
}

/* `latest` is replaced by a rename: a reader finds the old one or the new one. */
static void set_latest(const struct engine *e)
{
	char tmp[PATH_MAX + 64], link[PATH_MAX + 64], parent[PATH_MAX], *slash;

	(void)snprintf(parent, sizeof parent, "%s", e->dir);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return;
	*slash = 0;
	if (strcmp(strrchr(parent, '/') ? strrchr(parent, '/') + 1 : parent, RESULTS) != 0)
		return; /* a folder of somebody's own choice gets no link beside it */
	(void)snprintf(tmp, sizeof tmp, "%s/.latest.%d", parent, (int)getpid());
	(void)snprintf(link, sizeof link, "%s/latest", parent);
	if (symlink(slash + 1, tmp) < 0 || rename(tmp, link) < 0)
		(void)unlink(tmp);
}

void folder_close(struct engine *e)
{
	(void)unlinkat(e->dir_fd, "inst", AT_REMOVEDIR); /* only if nothing is in it */
	(void)unlinkat(e->dir_fd, "checkers", 0);
	(void)unlinkat(e->dir_fd, "lock", 0);
	set_latest(e);
}
