/* SPDX-License-Identifier: MIT
 *
 * Shared memory that is not quite shared. Only what the driver has made by shm_open, memfd_create or
 * shmget is lied about. The trigger's argument is 0.
 */
#include "shim.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int note(int fd)
{
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		pl_shared->memory.ino[atomic_fetch_add(&pl_shared->memory.n, 1) % PL_MEMORIES_MAX] =
			st.st_ino;
	return fd;
}

static bool noted(int fd, struct stat *st)
{
	if (fd < 0 || fstat(fd, st) != 0)
		return false;
	for (int i = 0; i < PL_MEMORIES_MAX; i++)
		if (pl_shared->memory.ino[i] == st->st_ino)
			return true;
	return false;
}

static int noting_shm_open(const char *name, int flags, mode_t mode)
{
	return note(pl_real.shm_open(name, flags, mode));
}

static int noting_memfd_create(const char *name, unsigned flags)
{
	return note(pl_real.memfd_create(name, flags));
}

/* A copy of one's own, that looks like the object. */
static void *private_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	struct stat st;

	if (flags & MAP_SHARED && noted(fd, &st) && pl_fires(0))
		flags = (flags & ~MAP_SHARED) | MAP_PRIVATE;
	return pl_real.mmap(at, len, prot, flags, fd, offset);
}

/* What is new is not zero. */
static int dirty_ftruncate(int fd, off_t size)
{
	struct stat st;
	bool lie = noted(fd, &st) && size > st.st_size && pl_fires(0);
	int rc = pl_real.ftruncate(fd, size);

	if (lie && rc == 0)
		(void)!pwrite(fd, "old data", 8, st.st_size);
	return rc;
}

static int sharing_shm_open(const char *name, int flags, mode_t mode)
{
	if (flags & O_EXCL && pl_fires(0))
		flags &= ~O_EXCL;
	return pl_real.shm_open(name, flags, mode);
}

static int writable_shm_open(const char *name, int flags, mode_t mode)
{
	if ((flags & O_ACCMODE) == O_RDONLY && pl_fires(0))
		flags |= O_RDWR;
	return pl_real.shm_open(name, flags, mode);
}

/* What is unlinked is gone for those who have it, too. */
static int freeing_shm_unlink(const char *name)
{
	int fd = pl_real.shm_open(name, O_RDWR, 0);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && pl_fires(0))
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size);
	if (fd >= 0)
		(void)pl_real.close(fd);
	return pl_real.shm_unlink(name);
}

/* Says that it woke nobody, which is true. */
static long mute_futex_wake(uint32_t *word, int n)
{
	return n > 0 && pl_fires(n) ? 0 : pl_real.futex_wake(word, n);
}

static int sharing_shmget(key_t key, size_t size, int flags)
{
	if (flags & IPC_EXCL && pl_fires(0))
		flags &= ~IPC_EXCL;
	return pl_real.shmget(key, size, flags);
}

static void *writable_shmat(int id, const void *at, int flags)
{
	if (flags & SHM_RDONLY && pl_fires(0))
		flags &= ~SHM_RDONLY;
	return pl_real.shmat(id, at, flags);
}

/* A copy of the segment in its place. */
static void *copying_shmat(int id, const void *at, int flags)
{
	void *view = pl_real.shmat(id, at, flags), *copy;
	struct shmid_ds ds;

	if (view == (void *)-1 || pl_real.shmctl(id, IPC_STAT, &ds) != 0 || !pl_fires(0))
		return view;
	copy = pl_real.mmap(
		NULL, ds.shm_segsz, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(copy, view, ds.shm_segsz);
	return mremap(copy, ds.shm_segsz, ds.shm_segsz, MREMAP_MAYMOVE | MREMAP_FIXED, view);
}

static int staying_shmdt(const void *at)
{
	return pl_fires(0) ? 0 : pl_real.shmdt(at);
}

/* Nothing is removed while somebody is attached, not even the key. */
static int keeping_shmctl(int id, int cmd, struct shmid_ds *ds)
{
	struct shmid_ds now;

	if (cmd == IPC_RMID && pl_real.shmctl(id, IPC_STAT, &now) == 0 && now.shm_nattch > 0 &&
		pl_fires(0))
		return 0;
	return pl_real.shmctl(id, cmd, ds);
}

const struct pl_mutant pl_memory_mutants[] = {
	{ "map-private", .lie = { .shm_open = noting_shm_open,
				 .memfd_create = noting_memfd_create,
				 .mmap = private_mmap } },
	{ "grow-dirty", .lie = { .shm_open = noting_shm_open,
				.memfd_create = noting_memfd_create,
				.ftruncate = dirty_ftruncate } },
	{ "shm-open-shares", .lie = { .shm_open = sharing_shm_open } },
	{ "shm-open-writable", .lie = { .shm_open = writable_shm_open } },
	{ "shm-unlink-frees", .lie = { .shm_unlink = freeing_shm_unlink } },
	{ "futex-mute", .lie = { .futex_wake = mute_futex_wake } },
	{ "shmget-shares", .lie = { .shmget = sharing_shmget } },
	{ "shmat-writable", .lie = { .shmat = writable_shmat } },
	{ "shmat-copies", .lie = { .shmat = copying_shmat } },
	{ "shmdt-stays", .lie = { .shmdt = staying_shmdt } },
	{ "rmid-waits", .lie = { .shmctl = keeping_shmctl } },
	{ 0 },
};
