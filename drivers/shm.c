/* SPDX-License-Identifier: MIT
 *
 * shm_overview(7): memory that many processes map. shm_open gives it a name, memfd_create none: its
 * descriptor is inherited. Every actor maps it for itself, at an address of its own.
 *
 * Rounds store, load and exchange one word of it. Nothing orders their plain accesses but the
 * processors' promise that an aligned word is whole, and is where it was put.
 */
#include "driver.h"
#include "litmus.h"
#include "word.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { POSIX, POSIX_ATOMIC, MEMFD, MEMFD_ATOMIC };
enum { SIZE, SEALS }; /* arguments of open */
enum { BEYOND = 2 };  /* pages that a view is longer than its object */

#define ONLY(a, b) (1U << (a) | 1U << (b))

static size_t pages(off_t size, int more)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (((size_t)size + page - 1) / page + (size_t)more) * page;
}

/* Below the address that the system would choose, by a distance of this thread's own. */
static void *elsewhere(size_t len, int prot, int flags, int fd, off_t off)
{
	size_t apart = pages(0, 1 + (int)(gettid() % 61));
	char *room = mmap(NULL, len + apart, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room != MAP_FAILED)
		(void)munmap(room, len + apart);
	return mmap(room == MAP_FAILED ? NULL : room, len, prot, flags, fd, off);
}

static void shm_unmap(struct pl_obj *o)
{
	(void)munmap(o->local, o->local_len);
}

static long shm_view(struct pl_obj *o)
{
	struct stat st;
	void *p;

	if (fstat(o->fd[0], &st) < 0)
		return -1;
	o->local_len = pages(st.st_size, BEYOND);
	p = elsewhere(o->local_len, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd[0], 0);
	if (p == MAP_FAILED)
		return -1;
	o->local = p;
	return 0;
}

static long shm_open_object(struct pl_obj *o, const struct pl_args *a)
{
	int keep;

	if (!o->create) {
		if (o->name)
			o->fd[0] = shm_open(o->name, O_RDWR, 0);
		return o->fd[0] < 0 ? -1 : shm_view(o);
	}
	o->fd[0] = o->name ? shm_open(o->name, O_RDWR | O_CREAT | O_EXCL, 0600)
			   : memfd_create(
				     "plumb", MFD_CLOEXEC | (a->v[SEALS] ? MFD_ALLOW_SEALING : 0));
	if (o->fd[0] < 0)
		return -1;
	if (a->v[SIZE] == 0 || ftruncate(o->fd[0], a->v[SIZE]) == 0)
		return 0;
	keep = errno;
	if (o->name)
		(void)shm_unlink(o->name);
	errno = keep;
	return -1;
}

/* What it maps is this process's view from then on, if there is no error. */
static long op_mmap(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	size_t len = (size_t)a->v[0];
	int flags = (int)a->v[3];
	void *p = elsewhere(len, (int)a->v[2], flags, flags & MAP_ANONYMOUS ? -1 : a->fd, a->v[1]);

	if (p == MAP_FAILED)
		return -1;
	if (o->local)
		shm_unmap(o);
	o->local = p;
	o->local_len = len;
	return 0;
}

static long op_where(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	r->out[0] = (int64_t)(uintptr_t)o->local;
	r->out[1] = (int64_t)o->local_len, r->out[2] = sysconf(_SC_PAGESIZE);
	return 0;
}

static long op_msync(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return msync(o->local, o->local_len, (int)a->v[0]);
}

static long op_ftruncate(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return ftruncate(a->fd, a->v[0]);
}

static long op_fallocate(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return fallocate(a->fd, (int)a->v[0], a->v[1], a->v[2]);
}

static long op_fstat(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	struct stat st = { 0 };
	long n = fstat(a->fd, &st);

	r->out[0] = st.st_size, r->out[1] = st.st_mode & 07777;
	r->out[2] = st.st_uid == geteuid() && st.st_gid == getegid();
	r->out[3] = (int64_t)st.st_blocks, r->out[4] = (int64_t)st.st_ino;
	return n;
}

static long op_pread(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return pread(a->fd, &r->out[0], sizeof r->out[0], a->v[0]);
}

static long op_pwrite(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return pwrite(a->fd, &a->v[1], sizeof a->v[1], a->v[0]);
}

/* A futex for all who map it, not one of this process. */
static long op_futex_wait(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	void *w = word_at(o, a->v[0]);

	return w ? syscall(SYS_futex, w, FUTEX_WAIT, (uint32_t)a->v[1], NULL) : -1;
}

static long op_futex_wake(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	void *w = word_at(o, a->v[0]);

	return w ? syscall(SYS_futex, w, FUTEX_WAKE, (int)a->v[1]) : -1;
}

/* The object once more, or a name with something wrong about it (POSIX ones never create). */
static long op_open(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	static const char *const odd[] = { NULL, "/plumb.a/b", "/", "", "plumb-without-slash" };
	char text[NAME_MAX + 3] = "/";
	int fd;

	if (!o->name) {
		(void)snprintf(text, sizeof text, "/proc/self/fd/%d", a->fd);
		fd = open(text, (int)a->v[0] | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && access("/proc/self/fd", X_OK) < 0)
			errno = ENOSYS; /* without /proc there is no other way to it */
		return fd;
	}
	if (a->v[1] == 0)
		return shm_open(o->name, (int)a->v[0], (mode_t)a->v[2]);
	if (a->v[1] < (int64_t)(sizeof odd / sizeof *odd))
		return shm_open(odd[a->v[1]], O_RDWR, 0);
	memset(text + 1, 'n', sizeof text - 2);
	return shm_open(text, O_RDWR, 0);
}

static long op_unlink(struct pl_obj *o, const struct pl_args *a, struct pl_result *r)
{
	return o->name ? shm_unlink(o->name) : pl_ret(ENOENT);
}

static const char *shm_limit(int err)
{
	return err == ENOSPC ? "size of /dev/shm" : NULL;
}

static const char *shm_probe(int variant)
{
	static const char name[] = "/plumb.probe";

	if (variant == MEMFD || variant == MEMFD_ATOMIC) {
		int fd = memfd_create("plumb", MFD_CLOEXEC);

		return fd < 0 ? "memfd_create fails: it came with Linux 3.17" : (close(fd), NULL);
	}
	if (shm_open(name, O_RDONLY, 0) < 0 && errno != ENOENT)
		return "shm_open fails: is there a tmpfs on /dev/shm?";
	if (access("/dev/shm", F_OK) < 0)
		return "there is no /dev/shm";
	return access("/dev/shm", W_OK | X_OK) < 0 ? "/dev/shm may not be written" : NULL;
}

#define CAPS (PL_EACH | PL_THREADS | PL_MULTI_READER | PL_MULTI_WRITER | PL_PERSIST)

static const struct pl_variant variants[] = {
	[POSIX] = { "posix", PL_MODEL_REGISTER, CAPS | PL_NAMES },
	[POSIX_ATOMIC] = { "posix-atomic", PL_MODEL_REGISTER, CAPS | PL_NAMES },
	[MEMFD] = { "memfd", PL_MODEL_REGISTER, CAPS | PL_ANONYMOUS },
	[MEMFD_ATOMIC] = { "memfd-atomic", PL_MODEL_REGISTER, CAPS | PL_ANONYMOUS },
	{ 0 },
};

static const struct pl_op ops[] = {
	WORD_OPS(ONLY(POSIX, MEMFD), ONLY(POSIX_ATOMIC, MEMFD_ATOMIC)),
	LITMUS_OPS,
	{ "futex_wait", op_futex_wait, PL_NONE, PL_BLOCKS | PL_NEUTRAL,
		{ WORD_AT, { "expected", 0, UINT32_MAX } } },
	{ "futex_wake", op_futex_wake, PL_WAKE, 0, { WORD_AT, { "n", 0, INT32_MAX, .def = 1 } } },
	{ "mmap", op_mmap, PL_NONE, 0,
		{ { "len", 0, INT32_MAX, .def = 4096 }, { "offset", 0, INT32_MAX },
			{ "prot", 0, 7, .def = PROT_READ | PROT_WRITE },
			{ "flags", 0, INT32_MAX, .def = MAP_SHARED } } },
	{ "where", op_where, PL_NONE, PL_USER | PL_NEUTRAL, .out = { "address", "bytes", "page" } },
	{ "msync", op_msync, PL_NONE, PL_NEUTRAL, { { "flags", 0, 7, .def = MS_SYNC } } },
	{ "ftruncate", op_ftruncate, PL_NONE, 0, { { "size", INT64_MIN, INT64_MAX } } },
	{ "fallocate", op_fallocate, PL_NONE, 0,
		{ { "mode", 0, 255 }, { "at", 0, INT32_MAX }, { "len", 0, INT64_MAX } } },
	{ "fstat", op_fstat, PL_NONE, PL_NEUTRAL,
		.out = { "size", "mode", "own", "blocks", "inode" } },
	{ "pread", op_pread, PL_NONE, PL_NEUTRAL, { { "at", 0, INT32_MAX } }, { "value" } },
	{ "pwrite", op_pwrite, PL_NONE, 0,
		{ { "at", 0, INT32_MAX }, { "value", INT64_MIN, INT64_MAX } } },
	{ "open", op_open, PL_NONE, PL_NEWFD,
		{ { "flags", 0, INT32_MAX, .def = O_RDWR }, { "odd", 0, 5 },
			{ "mode", 0, 07777, .def = 0600 } } },
	{ "unlink", op_unlink, PL_NONE, 0 },
	{ 0 },
};

PL_DRIVER(shm, "shared memory", variants, ops, .open = shm_open_object, .close = shm_unmap,
	.unlink = shm_unlink, .probe = shm_probe, .limit = shm_limit,
	.open_args = { { "size", 0, INT32_MAX, .def = 4096 }, { "seals", 0, 1, .def = 1 } },
	.needs = { { "shm_bytes", 4096 } })
