/* SPDX-License-Identifier: MIT
 *
 * fcntl(2), flock(2): a lock on a file. Record locks belong to a process, and any close of
 * the file gives them up; OFD locks and flock belong to an open file description. A death releases
 * all of them, and nobody is told.
 *
 * The file holds a counter that owners alone touch, in a mapping: acquiring reads it, releasing
 * adds one, unless the lock was shared. Two owners at once lose an update. Locks on ranges guard
 * nothing: their rounds are judged by who had which bytes when.
 */
#include "driver.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD, OFD, FLOCK, RECORD_RANGES, OFD_RANGES };
enum { SHARED = 1 };

struct guarded {
	volatile uint64_t count, twin; /* equal whenever nobody is inside */
};

/* Zeros that are written have their place: on a full disk a store in a mapping of a hole would end
 * who makes it, by SIGBUS. */
static long begin_count(int fd)
{
	struct guarded zero = { 0 };
	long n = write(fd, &zero, sizeof zero);

	if (n >= 0 && n < (long)sizeof zero)
		errno = ENOSPC;
	return n == (long)sizeof zero ? 0 : -1;
}

static int is_ranges(const struct pl_obj *o)
{
	return o->variant == RECORD_RANGES || o->variant == OFD_RANGES;
}

static int is_ofd(const struct pl_obj *o)
{
	return o->variant == OFD || o->variant == OFD_RANGES;
}

static long lock_open(struct pl_obj *o, const struct pl_args *a)
{
	char path[PL_PATH_MAX];
	void *mem;
	int fd;

	o->fd[0] = open(pl_path(o->name, path),
		O_RDWR | O_CLOEXEC | (o->create ? O_CREAT | O_EXCL : 0), 0600);
	if (o->fd[0] < 0 || is_ranges(o))
		return o->fd[0] < 0 ? -1 : 0;
	if (o->create && begin_count(o->fd[0]) < 0)
		return -1;
	/* A mapping keeps its description alive, with its locks: it gets one of its own. Not so for
	 * record locks, which are not the description's, and which the close would give up. */
	fd = o->variant == RECORD ? o->fd[0] : open(path, O_RDWR | O_CLOEXEC);
	mem = fd < 0 ? MAP_FAILED
		     : mmap(NULL, sizeof(struct guarded), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			       0);
	if (fd >= 0 && fd != o->fd[0])
		(void)close(fd);
	if (mem == MAP_FAILED)
		return -1;
	o->local = mem, o->local_len = sizeof(struct guarded);
	return 0;
}

static void lock_close(struct pl_obj *o)
{
	if (o->local)
		(void)munmap(o->local, o->local_len);
}

static int lock_unlink(const char *name)
{
	char path[PL_PATH_MAX];

	return unlink(pl_path(name, path));
}

/* type: F_RDLCK, F_WRLCK or F_UNLCK, on bytes [start, start + len) */
static long take_lock(struct pl_obj *o, const struct pl_args *a, short type, int wait)
{
	struct flock l = { .l_type = type, .l_start = a->v[1], .l_len = a->v[2] };

	if (o->variant == FLOCK)
		return flock(a->fd, (type == F_WRLCK	      ? LOCK_EX
					    : type == F_RDLCK ? LOCK_SH
							      : LOCK_UN) |
					    (wait ? 0 : LOCK_NB));
	if (is_ofd(o))
		return fcntl(a->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
	return fcntl(a->fd, wait ? F_SETLKW : F_SETLK, &l);
}

static long entered(struct pl_obj *o, struct pl_result *r, long rc)
{
	struct guarded *g = o->local;

	if (rc == 0 && g) {
		r->tag = g->count;
		r->out[0] = g->count != g->twin; /* torn: somebody else is inside */
	}
	return rc;
}

static long op_lock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return entered(o, r, take_lock(o, a, a->v[0] == SHARED ? F_RDLCK : F_WRLCK, 1));
}

static long op_trylock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return entered(o, r, take_lock(o, a, a->v[0] == SHARED ? F_RDLCK : F_WRLCK, 0));
}

static long op_unlock(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct guarded *g = o->local;

	if (a->v[0] && !a->v[3] && g) {
		uint64_t n = g->count + 1;

		g->count = n;
		g->twin = n;
	}
	return take_lock(o, a, F_UNLCK, 0);
}

/* Who is in the way of a lock: type 2 (F_UNLCK) means nobody. */
static long op_getlk(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct flock l = { .l_type = a->v[0] == SHARED ? F_RDLCK : F_WRLCK,
		.l_start = a->v[1],
		.l_len = a->v[2] };
	long rc = fcntl(a->fd, is_ofd(o) ? F_OFD_GETLK : F_GETLK, &l);

	r->out[0] = l.l_type == F_UNLCK ? 2 : l.l_type == F_RDLCK, r->out[1] = l.l_pid;
	r->out[2] = l.l_start, r->out[3] = l.l_len;
	return rc;
}

/* The file once more: a description of its own. */
static long op_open(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	char path[PL_PATH_MAX];

	return open(pl_path(o->name, path), (int)a->v[0] | O_CLOEXEC);
}

/* A child that tries for itself to take what its parent may hold: what it was told. */
static long op_fork(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(take_lock(o, a, F_WRLCK, 0) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return pl_ret(WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
}

#define CAPS (PL_LOCK | PL_NAMES | PL_BLOCKING | PL_NONBLOCK | PL_EACH | PL_FREED)

static const struct pl_variant variants[] = {
	[RECORD] = { "record", PL_MODEL_LOCK, CAPS | PL_APART },
	[OFD] = { "ofd", PL_MODEL_LOCK, CAPS },
	[FLOCK] = { "flock", PL_MODEL_LOCK, CAPS },
	[RECORD_RANGES] = { "record-ranges", PL_MODEL_RANGES, CAPS | PL_APART },
	[OFD_RANGES] = { "ofd-ranges", PL_MODEL_RANGES, CAPS },
	{ 0 },
};

/* Some bytes of the first few: most ranges meet some others. */
#define RANGE                                                                                      \
	{ "start", 0, INT64_MAX, 0, 7, 0, PL_START },                                              \
	{                                                                                          \
		"len", 0, INT64_MAX, 0, 8, 0, PL_LENGTH                                            \
	}
#define KIND(form)                                                                                 \
	{                                                                                          \
		{ "shared", 0, 1, form, form, form, PL_FORM }, RANGE                               \
	}

static const struct pl_op ops[] = {
	{ "lock", op_lock, PL_ACQUIRE, PL_BLOCKS, KIND(0), { "torn" }, .weight = 8 },
	{ "trylock", op_trylock, PL_ACQUIRE, 0, KIND(0), { "torn" }, .weight = 2 },
	{ "lock_shared", op_lock, PL_ACQUIRE, PL_BLOCKS, KIND(1), { "torn" }, .weight = 3 },
	{ "trylock_shared", op_trylock, PL_ACQUIRE, 0, KIND(1), { "torn" }, .weight = 1 },
	{ "unlock", op_unlock, PL_RELEASE, 0,
		{ { "count", 0, 1, .lo = 1, .hi = 1, .def = 1 }, RANGE,
			{ "shared", 0, 1, .kind = PL_FORM } } },
	{ "getlk", op_getlk, PL_OBSERVE, 0, KIND(0), { "type", "pid", "start", "len" } },
	{ "fork", op_fork, PL_NONE, 0, KIND(0) },
	{ "open", op_open, PL_NONE, PL_NEWFD, { { "flags", 0, INT32_MAX, .def = O_RDWR } } },
	{ 0 },
};

PL_DRIVER(lock, "file lock", variants, ops, .open = lock_open, .close = lock_close,
	.unlink = lock_unlink)
