/* SPDX-License-Identifier: MIT
 *
 * The symbols that stand before libc's, and the choice of the mutant behind them.
 *
 * Only process-shared mutexes are handed on to a mutant: the private ones belong to libc and
 * libraries. The same holds for descriptors: each mutant looks whether it has a pipe before it.
 */
#undef _FILE_OFFSET_BITS /* it would turn the definition of fcntl into one of fcntl64 */
#include "shim.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { PSHARED_BIT = 128 }; /* in glibc's __kind */

static struct {
	int (*fcntl)(int, int, ...);
	mqd_t (*mq_open)(const char *, int, ...);
	int (*flock)(int, int);
	int (*lock)(pthread_mutex_t *);
	int (*trylock)(pthread_mutex_t *);
	int (*timedlock)(pthread_mutex_t *, const struct timespec *);
	int (*clocklock)(pthread_mutex_t *, clockid_t, const struct timespec *);
} libc;

static const struct pl_mutant *const tables[] = { pl_pipe_mutants, pl_mq_mutants, pl_mutex_mutants,
	pl_memory_mutants, pl_counter_mutants, pl_signal_mutants, pl_file_lock_mutants,
	pl_sysvmsg_mutants, pl_socket_mutants, pl_oddities, pl_socket_oddities };

static struct pl_calls calls;
struct pl_calls pl_real;
struct pl_shared *pl_shared;

static int real_setpipe_sz(int fd, int size)
{
	return libc.fcntl(fd, F_SETPIPE_SZ, size);
}

static mqd_t real_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *attr)
{
	return libc.mq_open(name, flags, mode, attr);
}

static int real_file_lock(const struct pl_file_lock *a)
{
	return a->l ? libc.fcntl(a->fd, a->op, a->l) : libc.flock(a->fd, a->op);
}

static int real_acquire(pthread_mutex_t *m, const struct pl_attempt *a)
{
	switch (a->how) {
	case PL_LOCK:
		return libc.lock(m);
	case PL_TRYLOCK:
		return libc.trylock(m);
	case PL_TIMEDLOCK:
		return libc.timedlock(m, a->abs);
	case PL_CLOCKLOCK:
		return libc.clocklock(m, a->clock, a->abs);
	}
	return EINVAL;
}

void pl_find(const struct pl_symbol *all)
{
	for (; all->name; all++) {
		void *f = dlsym(RTLD_NEXT, all->name);

		assert(f);
		memcpy(all->to, &f, sizeof f);
	}
}

static void find_libc(void)
{
	static const struct pl_symbol all[] = {
		{ "fcntl", &libc.fcntl },
		{ "mq_open", &libc.mq_open },
		{ "pthread_mutex_lock", &libc.lock },
		{ "pthread_mutex_trylock", &libc.trylock },
		{ "pthread_mutex_timedlock", &libc.timedlock },
		{ "pthread_mutex_clocklock", &libc.clocklock },
		{ "write", &pl_real.write },
		{ "read", &pl_real.read },
		{ "pipe2", &pl_real.pipe2 },
		{ "mq_timedsend", &pl_real.mq_send },
		{ "mq_timedreceive", &pl_real.mq_receive },
		{ "mq_notify", &pl_real.mq_notify },
		{ "mq_getattr", &pl_real.mq_getattr },
		{ "pthread_mutex_unlock", &pl_real.unlock },
		{ "pthread_mutex_consistent", &pl_real.consistent },
		{ "pthread_mutex_init", &pl_real.init },
		{ "clock_gettime", &pl_real.clock_gettime },
		{ "shm_open", &pl_real.shm_open },
		{ "memfd_create", &pl_real.memfd_create },
		{ "ftruncate", &pl_real.ftruncate },
		{ "mmap", &pl_real.mmap },
		{ "shmget", &pl_real.shmget },
		{ "shmat", &pl_real.shmat },
		{ "shmdt", &pl_real.shmdt },
		{ "shmctl", &pl_real.shmctl },
		{ "flock", &libc.flock },
		{ "kill", &pl_real.kill },
		{ "sigqueue", &pl_real.sigqueue },
		{ "sigtimedwait", &pl_real.sigtimedwait },
		{ "signalfd", &pl_real.signalfd },
		{ "msgsnd", &pl_real.msgsnd },
		{ "msgrcv", &pl_real.msgrcv },
		{ NULL, NULL },
	};

	pl_find(all);
	pl_real.setpipe_sz = real_setpipe_sz;
	pl_real.mq_open = real_mq_open;
	pl_real.acquire = real_acquire;
	pl_real.file_lock = real_file_lock;
	pl_find_semaphores();
	pl_find_sockets();
	pl_find_files();
}

/* A file lets actors of kind exec share the state; otherwise a page inherited by fork is enough. */
static void share_state(void)
{
	const char *path = getenv("PLUMB_MUTANT_STATE");
	int fd = -1, how = MAP_SHARED | MAP_ANONYMOUS;

	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || pl_real.ftruncate(fd, sizeof *pl_shared) != 0)
			abort();
		how = MAP_SHARED;
	}
	pl_shared = pl_real.mmap(NULL, sizeof *pl_shared, PROT_READ | PROT_WRITE, how, fd, 0);
	if (pl_shared == MAP_FAILED)
		abort();
	if (fd >= 0)
		(void)close(fd);
}

static const struct pl_mutant *find_mutant(const char *name, size_t len)
{
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		for (const struct pl_mutant *m = tables[t]; m->name; m++) {
			if (strlen(m->name) == len && memcmp(m->name, name, len) == 0)
				return m;
		}
	}
	return NULL;
}

/* A mutant that is not known must not look like one that was not noticed: the driver does not
 * start. */
static void choose(const char *spec)
{
	size_t len = strcspn(spec, ",");
	const struct pl_mutant *m = find_mutant(spec, len);
	struct pl_trigger t = m ? m->when : (struct pl_trigger){ 0 };

	if (!m || !pl_trigger_parse(spec + len + (spec[len] == ','), &t)) {
		fprintf(stderr, "libplumb-mutants: PLUMB_MUTANT=%s is not known\n", spec);
		_exit(2);
	}
	share_state();
	pl_trigger_set(&t);

	/* struct pl_calls holds function pointers only: one loop serves all of them */
	enum { N = sizeof calls / sizeof(void (*)(void)) };
	void (*lie[N])(void), (*use[N])(void);

	memcpy(lie, &m->lie, sizeof lie);
	memcpy(use, &calls, sizeof use);
	for (size_t i = 0; i < N; i++) {
		if (lie[i])
			use[i] = lie[i];
	}
	memcpy(&calls, use, sizeof calls);
}

/* As early as anything of ours can be called, which may be before this library's own constructor.
 */
__attribute__((constructor)) static void start(void)
{
	if (calls.write)
		return;
	const char *spec = getenv("PLUMB_MUTANT");

	find_libc();
	calls = pl_real;
	if (spec && *spec)
		choose(spec);
}

const struct pl_calls *pl_calls_now(void)
{
	if (__builtin_expect(!calls.write, 0))
		start();
	return &calls;
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	return pl_calls_now()->write(fd, buf, n);
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	return pl_calls_now()->read(fd, buf, n);
}

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	assert(n <= room);
	return pl_calls_now()->read(fd, buf, n);
}

EXPORT int pipe2(int fd[2], int flags)
{
	return pl_calls_now()->pipe2(fd, flags);
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list ap;

	va_start(ap, cmd);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	const struct pl_calls *c = pl_calls_now();

	switch (cmd) {
	case F_SETPIPE_SZ:
		return c->setpipe_sz(fd, (int)(intptr_t)arg);
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return c->file_lock(&(struct pl_file_lock){ fd, cmd, arg });
	default:
		return libc.fcntl(fd, cmd, arg);
	}
}

EXPORT int fcntl64(int fd, int cmd, ...) __attribute__((alias("fcntl")));

EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	struct mq_attr *attr = flags & O_CREAT ? va_arg(ap, struct mq_attr *) : NULL;
	va_end(ap);
	return pl_calls_now()->mq_open(name, flags, mode, attr);
}

EXPORT int mq_send(mqd_t q, const char *buf, size_t n, unsigned prio)
{
	return pl_calls_now()->mq_send(q, buf, n, prio, NULL);
}

EXPORT int mq_timedsend(
	mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs)
{
	return pl_calls_now()->mq_send(q, buf, n, prio, abs);
}

EXPORT ssize_t mq_receive(mqd_t q, char *buf, size_t n, unsigned *prio)
{
	return pl_calls_now()->mq_receive(q, buf, n, prio, NULL);
}

EXPORT ssize_t mq_timedreceive(mqd_t q, char *restrict buf, size_t n, unsigned *restrict prio,
	const struct timespec *restrict abs)
{
	return pl_calls_now()->mq_receive(q, buf, n, prio, abs);
}

EXPORT int mq_notify(mqd_t q, const struct sigevent *ev)
{
	return pl_calls_now()->mq_notify(q, ev);
}

EXPORT int mq_getattr(mqd_t q, struct mq_attr *attr)
{
	return pl_calls_now()->mq_getattr(q, attr);
}

static const struct pl_calls *for_mutex(const pthread_mutex_t *m)
{
	const struct pl_calls *c = pl_calls_now();

	return m->__data.__kind & PSHARED_BIT ? c : &pl_real;
}

EXPORT int pthread_mutex_lock(pthread_mutex_t *m)
{
	return for_mutex(m)->acquire(m, &(struct pl_attempt){ .how = PL_LOCK });
}

EXPORT int pthread_mutex_trylock(pthread_mutex_t *m)
{
	return for_mutex(m)->acquire(m, &(struct pl_attempt){ .how = PL_TRYLOCK });
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *restrict m, const struct timespec *restrict abs)
{
	return for_mutex(m)->acquire(m, &(struct pl_attempt){ .how = PL_TIMEDLOCK, .abs = abs });
}

EXPORT int pthread_mutex_clocklock(
	pthread_mutex_t *restrict m, clockid_t clock, const struct timespec *restrict abs)
{
	return for_mutex(m)->acquire(
		m, &(struct pl_attempt){ .how = PL_CLOCKLOCK, .clock = clock, .abs = abs });
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *m)
{
	return for_mutex(m)->unlock(m);
}

EXPORT int pthread_mutex_consistent(pthread_mutex_t *m)
{
	return for_mutex(m)->consistent(m);
}

EXPORT int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	return pl_calls_now()->init(m, attr);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ts)
{
	return pl_calls_now()->clock_gettime(clock, ts);
}

EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
	return pl_calls_now()->shm_open(name, flags, mode);
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
	return pl_calls_now()->memfd_create(name, flags);
}

EXPORT int ftruncate(int fd, off_t size)
{
	return pl_calls_now()->ftruncate(fd, size);
}

EXPORT int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

EXPORT void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return pl_calls_now()->mmap(at, len, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

EXPORT int shmget(key_t key, size_t size, int flags)
{
	return pl_calls_now()->shmget(key, size, flags);
}

EXPORT void *shmat(int id, const void *at, int flags)
{
	return pl_calls_now()->shmat(id, at, flags);
}

EXPORT int shmdt(const void *at)
{
	return pl_calls_now()->shmdt(at);
}

EXPORT int shmctl(int id, int cmd, struct shmid_ds *ds)
{
	return pl_calls_now()->shmctl(id, cmd, ds);
}

EXPORT int flock(int fd, int op)
{
	return pl_calls_now()->file_lock(&(struct pl_file_lock){ fd, op, NULL });
}

EXPORT int kill(pid_t pid, int signo)
{
	return pl_calls_now()->kill(pid, signo);
}

EXPORT int sigqueue(pid_t pid, int signo, const union sigval value)
{
	return pl_calls_now()->sigqueue(pid, signo, value);
}

EXPORT int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict si,
	const struct timespec *restrict within)
{
	return pl_calls_now()->sigtimedwait(set, si, within);
}

EXPORT int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict si)
{
	return pl_calls_now()->sigtimedwait(set, si, NULL);
}

EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	return pl_calls_now()->signalfd(fd, set, flags);
}

EXPORT int msgsnd(int id, const void *m, size_t n, int flags)
{
	return pl_calls_now()->msgsnd(id, m, n, flags);
}

EXPORT ssize_t msgrcv(int id, void *m, size_t n, long type, int flags)
{
	return pl_calls_now()->msgrcv(id, m, n, type, flags);
}
