/* SPDX-License-Identifier: MIT
 *
 * Locks on files that break their promises, whichever call takes them.
 */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

/* The same without waiting. */
static int attempt(const struct pl_file_lock *a)
{
	struct pl_file_lock now = *a;

	if (!a->l)
		now.op |= LOCK_NB;
	else
		now.op = a->op == F_OFD_SETLKW ? F_OFD_SETLK : a->op == F_SETLKW ? F_SETLK : a->op;
	return pl_real.file_lock(&now);
}

/* A lock that another holds is had all the same. */
static int greedy_lock(const struct pl_file_lock *a)
{
	int rc;

	if (pl_lock_ends(a))
		return pl_real.file_lock(a);
	rc = attempt(a);
	if (rc < 0 && (errno == EAGAIN || errno == EACCES))
		return pl_fires(0) ? 0 : pl_real.file_lock(a);
	return rc;
}

/* Who shares keeps nobody out. */
static int void_share(const struct pl_file_lock *a)
{
	bool shares = a->l ? a->l->l_type == F_RDLCK : a->op & LOCK_SH;

	return shares && pl_fires(0) ? 0 : pl_real.file_lock(a);
}

/* A range with another end. */
static int resized(const struct pl_file_lock *a, off_t len)
{
	struct pl_file_lock other = *a;
	struct flock range = *a->l;

	range.l_len = len;
	other.l = &range;
	return pl_real.file_lock(&other);
}

/* A range is locked as far as its first byte, wherever it should end. */
static int short_lock(const struct pl_file_lock *a)
{
	bool longer = a->l && a->l->l_len != 1 && !pl_lock_ends(a);

	return longer && pl_fires(0) ? resized(a, 1) : pl_real.file_lock(a);
}

/* A range is locked up to the end of the file. */
static int far_lock(const struct pl_file_lock *a)
{
	bool ends = a->l && a->l->l_len != 0 && !pl_lock_ends(a);

	return ends && pl_fires(0) ? resized(a, 0) : pl_real.file_lock(a);
}

/* A hole in the middle takes along all that follows it. */
static int wide_unlock(const struct pl_file_lock *a)
{
	bool ends = a->l && a->l->l_len != 0 && pl_lock_ends(a);

	return ends && pl_fires(0) ? resized(a, 0) : pl_real.file_lock(a);
}

static int mute_unlock(const struct pl_file_lock *a)
{
	return pl_lock_ends(a) && pl_fires(0) ? 0 : pl_real.file_lock(a);
}

static int busy_lock(const struct pl_file_lock *a)
{
	struct pl_file_lock back = *a;
	int rc = pl_real.file_lock(a);
	struct flock range;

	if (rc != 0 || pl_lock_ends(a) || pl_lock_waits(a) || !pl_fires(0))
		return rc;
	if (a->l) {
		range = *a->l;
		range.l_type = F_UNLCK;
		back.l = &range;
	} else {
		back.op = LOCK_UN;
	}
	(void)pl_real.file_lock(&back);
	errno = EAGAIN;
	return -1;
}

/* A ring of waiters that nobody notices. */
static int ring_lock(const struct pl_file_lock *a)
{
	int rc = pl_real.file_lock(a);

	if (rc == 0 || errno != EDEADLK || !pl_fires(0))
		return rc;
	return poll(NULL, 0, -1);
}

/* The locks of a process outlive its closing another descriptor of the file. */
static struct {
	int fd;
	struct flock l;
} held = { .fd = -1 };

static int noting_lock(const struct pl_file_lock *a)
{
	int rc = pl_real.file_lock(a);

	if (rc == 0 && (a->op == F_SETLK || a->op == F_SETLKW) && a->l) {
		held.fd = pl_lock_ends(a) ? -1 : a->fd;
		held.l = *a->l;
	}
	return rc;
}

static int keeping_close(int fd)
{
	struct stat of, st;
	bool same = held.fd >= 0 && fd != held.fd && fstat(held.fd, &of) == 0 &&
		    fstat(fd, &st) == 0 && of.st_ino == st.st_ino && of.st_dev == st.st_dev;
	int rc = pl_real.close(fd);

	if (same && pl_fires(0))
		(void)pl_real.file_lock(&(struct pl_file_lock){ held.fd, F_SETLK, &held.l });
	return rc;
}

const struct pl_mutant pl_file_lock_mutants[] = {
	{ "file-lock-greedy", { .every = 100 }, { .file_lock = greedy_lock } },
	{ "file-share-void", { .every = 100 }, { .file_lock = void_share } },
	{ "file-unlock-mute", { .every = 100 }, { .file_lock = mute_unlock } },
	{ "file-lock-short", { .every = 100 }, { .file_lock = short_lock } },
	{ "file-lock-far", { .every = 100 }, { .file_lock = far_lock } },
	{ "file-unlock-wide", { .every = 100 }, { .file_lock = wide_unlock } },
	{ "file-trylock-busy", { .every = 500 }, { .file_lock = busy_lock } },
	{ "file-lock-ring", { 0 }, { .file_lock = ring_lock } },
	{ "file-lock-clings", .lie = { .file_lock = noting_lock, .close = keeping_close } },
	{ 0 },
};
