/* SPDX-License-Identifier: MIT
 *
 * The kit's own system calls. They go through syscall(2), never through the libc wrappers that a
 * driver's operations use: a wrapper broken on purpose under the driver must not break the protocol
 * above it.
 */
#ifndef PLUMBLINE_RAW_H
#define PLUMBLINE_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline int64_t pl_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* An invoke stamp may err only early, a return stamp only late, and reading the clock is no access to memory: no
 * fence of C orders it. So:
 *
 * After the invoke stamp has been stored. The fence waits for the store, and its data is the reading: no access
 * that follows is made before the clock was read. A system call needs none: what follows its instruction waits.
 */
static inline void pl_stamped(void)
{
	__sync_synchronize();
}

/* Before the return stamp is read: what was stored is seen by all others from now on, in place of waiting in a
 * buffer of this processor's. A system call does not empty that either, and what looks without a lock would
 * miss it. On x86 the fence empties it, and the vDSO reads with `lfence; rdtsc` or `rdtscp`, after that. On
 * aarch64 the fence is `dmb`, which orders accesses among themselves, while `mrs cntvct_el0` may be read ahead
 * of it: the vDSO's `isb` holds that back until what came before is done, which of a store is no more than that
 * it was issued. `dsb` is done when its stores are seen, and the `isb` behind it keeps the counter there. */
static inline void pl_settle(void)
{
	__sync_synchronize();
#ifdef __aarch64__
	__asm__ volatile("dsb ish\n\tisb" ::: "memory");
#endif
}

static inline long raw_read(int fd, void *buf, size_t n)
{
	return syscall(SYS_read, fd, buf, n);
}

static inline long raw_write(int fd, const void *buf, size_t n)
{
	return syscall(SYS_write, fd, buf, n);
}

static inline long raw_close(int fd)
{
	return syscall(SYS_close, fd);
}

static inline long raw_open(const char *path, int flags, int mode)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline long raw_kill(pid_t pid, int sig)
{
	return syscall(SYS_kill, pid, sig);
}

static inline long raw_tgkill(pid_t pid, pid_t tid, int sig)
{
	return syscall(SYS_tgkill, pid, tid, sig);
}

/* A dead child, which keeps its pid until raw_wait(). 0 or below: none. */
static inline long raw_wait_peek(void)
{
	siginfo_t si = { 0 };
	long r = syscall(SYS_waitid, P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT, NULL);

	return r < 0 ? r : si.si_pid;
}

static inline bool raw_is_dead(pid_t pid)
{
	siginfo_t si = { 0 };

	return syscall(SYS_waitid, P_PID, pid, &si, WEXITED | WNOHANG | WNOWAIT, NULL) == 0 &&
	       si.si_pid == pid;
}

static inline long raw_wait(long pid, int *status)
{
	return syscall(SYS_wait4, pid, status, WNOHANG, NULL);
}

static inline _Noreturn void raw_exit(int code)
{
	for (;;)
		syscall(SYS_exit_group, code);
}

/* timeout_ns < 0: none. `mask`: the signals blocked while waiting (8 bytes), or NULL. */
static inline long raw_poll(struct pollfd *p, unsigned n, int64_t timeout_ns, const uint64_t *mask)
{
	struct {
		long sec, nsec;
	} ts = { timeout_ns / 1000000000, timeout_ns % 1000000000 };

	return syscall(SYS_ppoll, p, n, timeout_ns < 0 ? NULL : &ts, mask, 8);
}

static inline long raw_futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	return syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

/* `until`: CLOCK_MONOTONIC */
static inline long raw_futex_until(_Atomic uint32_t *word, uint32_t value, int64_t until)
{
	struct {
		long sec, nsec;
	} ts = { until / 1000000000, until % 1000000000 };

	return syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &ts, NULL, ~0U);
}

static inline long raw_futex_wake(_Atomic uint32_t *word)
{
	return syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static inline long raw_send(int fd, const struct msghdr *m)
{
	return syscall(SYS_sendmsg, fd, m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static inline long raw_recv(int fd, struct msghdr *m)
{
	return syscall(SYS_recvmsg, fd, m, MSG_CMSG_CLOEXEC);
}

#endif
