/* SPDX-License-Identifier: MIT
 *
 * Shared memory: does a mutant break what it says?
 */
#include "probe.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SIZE = 4096 };

static int object(int size)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);

	MUST(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}

static bool private(void)
{
	int fd = object(SIZE);
	volatile char *a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile char *b = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

	MUST(a != MAP_FAILED && b != MAP_FAILED);
	*a = 1;
	return *b != 1;
}

static bool dirty(void)
{
	char byte = 0;
	int fd = object(SIZE);

	MUST(pread(fd, &byte, 1, 0) == 1);
	return byte != 0;
}

static bool creates_twice(void)
{
	char name[40];
	int a, b;

	(void)snprintf(name, sizeof name, "/plumb.probe.%d", (int)getpid());
	MUST((a = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)) >= 0);
	b = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	MUST(shm_unlink(name) == 0);
	return b >= 0;
}

static bool writes_read_only(void)
{
	char name[40];
	int a, b;
	bool is;

	(void)snprintf(name, sizeof name, "/plumb.probe.%d", (int)getpid());
	MUST((a = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)) >= 0);
	MUST(ftruncate(a, SIZE) == 0);
	b = shm_open(name, O_RDONLY, 0);
	is = mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, b, 0) != MAP_FAILED;
	MUST(shm_unlink(name) == 0);
	return is;
}

static int segment(void)
{
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);

	MUST(id >= 0);
	return id;
}

static bool shares_key(void)
{
	int key = 0x70000000 | (int)getpid(), a = shmget(key, SIZE, IPC_CREAT | IPC_EXCL | 0600), b;

	MUST(a >= 0);
	b = shmget(key, SIZE, IPC_CREAT | IPC_EXCL | 0600);
	MUST(shmctl(a, IPC_RMID, NULL) == 0);
	return b >= 0;
}

/* In which mode a page of this process is mapped: the fifth character of its line. */
static bool is_writable(const void *at)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char how[8];
	bool is = false;

	while (f && fscanf(f, "%lx-%lx %7s%*[^\n]", &from, &to, how) == 3)
		if (from <= (unsigned long)at && (unsigned long)at < to)
			is = how[1] == 'w';
	if (f)
		(void)fclose(f);
	return is;
}

static bool attaches_writable(void)
{
	int id = segment();
	const void *p = shmat(id, NULL, SHM_RDONLY);
	bool is = is_writable(p);

	MUST(shmctl(id, IPC_RMID, NULL) == 0);
	return is;
}

static bool copies(void)
{
	int id = segment();
	volatile char *a = shmat(id, NULL, 0);
	volatile char *b = shmat(id, NULL, 0);

	MUST(shmctl(id, IPC_RMID, NULL) == 0);
	*a = 1;
	return *b != 1;
}

static bool stays(void)
{
	int id = segment();
	struct shmid_ds ds;

	MUST(shmdt(shmat(id, NULL, 0)) == 0);
	MUST(shmctl(id, IPC_STAT, &ds) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
	return ds.shm_nattch != 0;
}

static bool keeps(void)
{
	int id = segment();
	struct shmid_ds ds;
	void *p = shmat(id, NULL, 0);
	bool kept;

	MUST(shmctl(id, IPC_RMID, NULL) == 0 && shmctl(id, IPC_STAT, &ds) == 0);
	kept = !(ds.shm_perm.mode & SHM_DEST);
	MUST(shmdt(p) == 0);
	(void)shmctl(id, IPC_RMID, NULL);
	return kept;
}

static bool freed(void)
{
	char name[40];
	int fd;

	(void)snprintf(name, sizeof name, "/plumb.probe.%d", (int)getpid());
	MUST((fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)) >= 0 &&
		ftruncate(fd, SIZE) == 0);
	volatile char *a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	MUST(a != MAP_FAILED);
	*a = 1;
	MUST(shm_unlink(name) == 0);
	return *a != 1;
}

static bool wakes_nobody(void)
{
	uint32_t *word =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	MUST(word != MAP_FAILED && pid >= 0);
	if (pid == 0)
		_exit(syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL) != 0);
	pl_until_asleep(pid);
	bool lied = syscall(SYS_futex, word, FUTEX_WAKE, 1) != 1;

	MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return lied;
}

const struct pl_probe pl_memory_probes[] = {
	{ "map-private", private },
	{ "grow-dirty", dirty },
	{ "shm-open-shares", creates_twice },
	{ "shm-open-writable", writes_read_only },
	{ "shm-unlink-frees", freed },
	{ "futex-mute", wakes_nobody },
	{ "shmget-shares", shares_key },
	{ "shmat-writable", attaches_writable },
	{ "shmat-copies", copies },
	{ "shmdt-stays", stays },
	{ "rmid-waits", keeps },
	{ 0 },
};
