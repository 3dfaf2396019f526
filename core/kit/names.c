/* SPDX-License-Identifier: MIT
 *
 * Names for numbers: one table each. musl has no strerrorname_np, and signal names differ between
 * libcs.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct name {
	long n;
	const char *s;
};

#define E(x)                                                                                       \
	{                                                                                          \
		x, #x                                                                              \
	}
static const struct name errnos[] = { E(EPERM), E(ENOENT), E(ESRCH), E(EINTR), E(EIO), E(ENXIO),
	E(E2BIG), E(EBADF), E(ECHILD), E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(EBUSY),
	E(EEXIST), E(EXDEV), E(ENODEV), E(ENOTDIR), E(EISDIR), E(EINVAL), E(ENFILE), E(EMFILE),
	E(ENOTTY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EMLINK), E(EPIPE), E(EDOM),
	E(ERANGE), E(EDEADLK), E(ENAMETOOLONG), E(ENOLCK), E(ENOSYS), E(ELOOP), E(ENOMSG), E(EIDRM),
	E(EPROTO), E(EOVERFLOW), E(ENOTSOCK), E(EDESTADDRREQ), E(EMSGSIZE), E(EPROTOTYPE),
	E(ENOPROTOOPT), E(EPROTONOSUPPORT), E(EOPNOTSUPP), E(EAFNOSUPPORT), E(EADDRINUSE),
	E(EADDRNOTAVAIL), E(ENETDOWN), E(ENETUNREACH), E(ECONNABORTED), E(ECONNRESET), E(ENOBUFS),
	E(EISCONN), E(ENOTCONN), E(ETIMEDOUT), E(ECONNREFUSED), E(EALREADY), E(EINPROGRESS),
	E(ESTALE), E(EDQUOT), E(ECANCELED), E(EOWNERDEAD), E(ENOTRECOVERABLE), E(ETOOMANYREFS),
	{ 0, NULL } };
#undef E

#define S(x)                                                                                       \
	{                                                                                          \
		SIG##x, #x                                                                         \
	}
static const struct name signals[] = { S(HUP), S(INT), S(QUIT), S(ILL), S(TRAP), S(ABRT), S(BUS),
	S(FPE), S(KILL), S(USR1), S(SEGV), S(USR2), S(PIPE), S(ALRM), S(TERM), S(CHLD), S(CONT),
	S(STOP), S(TSTP), S(TTIN), S(TTOU), S(URG), S(XCPU), S(XFSZ), S(VTALRM), S(PROF), S(WINCH),
	S(IO), S(SYS), { 0, NULL } };
#undef S

#define C(x)                                                                                       \
	{                                                                                          \
		SYS_##x, #x                                                                        \
	}
static const struct name syscalls[] = { C(read), C(write), C(readv), C(writev), C(futex), C(ppoll),
	C(pselect6), C(epoll_pwait), C(mq_timedsend), C(mq_timedreceive), C(msgsnd), C(msgrcv),
	C(semop), C(semtimedop), C(sendto), C(recvfrom), C(sendmsg), C(recvmsg), C(accept),
	C(accept4), C(connect), C(openat), C(fcntl), C(flock), C(wait4), C(waitid),
	C(rt_sigtimedwait), C(rt_sigsuspend), C(nanosleep), C(clock_nanosleep), C(splice), C(tee),
	C(restart_syscall),
#ifdef SYS_poll
	C(poll), C(select), C(pause), C(open),
#endif
	{ -1, NULL } };
#undef C

static const struct name caps[] = { { PL_STREAM, "stream" }, { PL_DATAGRAM, "datagram" },
	{ PL_PRIORITY, "priority" }, { PL_NAMES, "names" }, { PL_ANONYMOUS, "anonymous" },
	{ PL_BLOCKING, "blocking" }, { PL_NONBLOCK, "nonblock" }, { PL_TIMEOUT, "timeout" },
	{ PL_POLL, "poll" }, { PL_MULTI_READER, "multi_reader" },
	{ PL_MULTI_WRITER, "multi_writer" }, { PL_LOCK, "lock" }, { PL_COUNTER, "counter" },
	{ PL_ROBUST, "robust" }, { PL_NOTIFY, "notify" }, { PL_FDPASS, "fdpass" },
	{ PL_PERSIST, "persist" }, { PL_THREADS, "threads" }, { PL_INHERIT, "inherit" },
	{ PL_LOWEST, "lowest" }, { PL_EACH, "each" }, { PL_OWNED, "owned" }, { PL_LATE, "late" },
	{ PL_LOSSY, "lossy" }, { PL_FREED, "freed" }, { PL_PIECEMEAL, "piecemeal" },
	{ PL_APART, "apart" }, { PL_PUTONLY, "putonly" }, { 0, NULL } };

static const struct name limits[] = { { EMFILE, "RLIMIT_NOFILE" }, { ENFILE, "fs.file-max" },
	{ ENOMEM, "memory" }, { 0, NULL } };

static const char *find(const struct name *t, long n)
{
	for (; t->s; t++)
		if (t->n == n)
			return t->s;
	return NULL;
}

const char *pl_errno_name(int err)
{
	static char other[16];
	const char *s = find(errnos, err);

	if (s)
		return s;
	(void)snprintf(other, sizeof other, "errno %d", err);
	return other;
}

const char *pl_signal_name(int signo)
{
	static char other[16];
	const char *s = find(signals, signo);

	if (s)
		return s;
	(void)snprintf(other, sizeof other, "#%d", signo);
	return other;
}

int pl_signal_number(const char *name)
{
	const struct name *t;

	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (t = signals; t->s; t++)
		if (!strcasecmp(t->s, name))
			return (int)t->n;
	return -EINVAL;
}

const char *pl_syscall_name(long nr)
{
	static char other[24];
	const char *s = find(syscalls, nr);

	if (s)
		return s;
	(void)snprintf(other, sizeof other, "syscall %ld", nr);
	return other;
}

const char *pl_model_name(enum pl_model m)
{
	static const char *const names[] = { "none", "fifo", "priority", "lock", "stream",
		"counter", "sum", "register", "datagram", "signal", "select", "ranges", "vector" };

	return names[m];
}

const char *pl_role_name(enum pl_role r)
{
	static const char *const names[] = { "none", "put", "take", "observe", "acquire", "release",
		"repair", "wake", "update" };

	return names[r];
}

json_t *pl_caps_json(uint32_t set)
{
	json_t *a = json_array();
	const struct name *t;

	for (t = caps; t->s; t++)
		if (set & (uint32_t)t->n)
			(void)json_array_append_new(a, json_string(t->s));
	return a;
}

const char *pl_limit_of(const struct pl_driver *d, int err)
{
	const char *own = d && d->limit ? d->limit(err) : NULL;

	return own ? own : find(limits, err);
}
