/* SPDX-License-Identifier: MIT
 *
 * The memory that control and its actors share: one memfd, the state first, then a history an
 * actor. It is sparse: what is not touched does not exist, and what a slice of rounds has used is
 * given back after it.
 */
#include "kit.h"
#include "raw.h"

#include <sys/mman.h>

enum { HIST_SIZE = PL_HIST_HEAD + PL_RECS_MAX * PL_REC };

static size_t state_size(void)
{
	return (sizeof(struct pl_shared) + 4095) & ~(size_t)4095;
}

size_t pl_shared_size(void)
{
	return state_size() + (size_t)(PL_ACTORS_MAX + 1) * HIST_SIZE;
}

struct pl_shared *pl_shared_map(int fd)
{
	void *p = mmap(
		NULL, pl_shared_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct pl_hist_head *pl_hist(struct pl_shared *s, unsigned index)
{
	return (struct pl_hist_head *)((char *)s + state_size() + (size_t)index * HIST_SIZE);
}

struct pl_rec *pl_recs(struct pl_hist_head *h)
{
	return (struct pl_rec *)((char *)h + PL_HIST_HEAD);
}

void pl_shared_forget(int fd)
{
	(void)syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(long)state_size(), (long)(pl_shared_size() - state_size()));
}
