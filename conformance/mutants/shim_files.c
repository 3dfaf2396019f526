/* SPDX-License-Identifier: MIT
 *
 * close and poll, the names of shared memory, futexes, and the end of a process, that stand before libc's.
 */
#include "shim.h"

#include <assert.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long (*libc_syscall)(long, ...);

static long real_futex_wake(uint32_t *word, int n)
{
	return libc_syscall(SYS_futex, word, FUTEX_WAKE, n);
}

void pl_find_files(void)
{
	static const struct pl_symbol all[] = {
		{ "syscall", &libc_syscall },
		{ "close", &pl_real.close },
		{ "poll", &pl_real.poll },
		{ "shm_unlink", &pl_real.shm_unlink },
		{ "_exit", &pl_real.exit_now },
		{ NULL, NULL },
	};

	pl_find(all);
	pl_real.futex_wake = real_futex_wake;
}

EXPORT int close(int fd)
{
	return pl_calls_now()->close(fd);
}

EXPORT int poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	return pl_calls_now()->poll(p, n, timeout_ms);
}

EXPORT int __poll_chk(struct pollfd *p, nfds_t n, int timeout_ms, size_t room);
EXPORT int __poll_chk(struct pollfd *p, nfds_t n, int timeout_ms, size_t room)
{
	assert(n * sizeof *p <= room);
	return pl_calls_now()->poll(p, n, timeout_ms);
}

EXPORT int shm_unlink(const char *name)
{
	return pl_calls_now()->shm_unlink(name);
}

EXPORT void _exit(int status)
{
	pl_calls_now()->exit_now(status);
	abort();
}

EXPORT long syscall(long number, ...)
{
	enum { ARGS = 6 };
	long a[ARGS];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < ARGS; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_futex && (int)a[1] == FUTEX_WAKE)
		return pl_calls_now()->futex_wake((uint32_t *)a[0], (int)a[2]);
	(void)pl_calls_now(); /* libc's own must be known */
	return libc_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
