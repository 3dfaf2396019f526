/* SPDX-License-Identifier: MIT
 *
 * Raw floors: the same system calls as a driver's, in plain loops, with nothing recorded. The reach of recorded rounds
 * is told as a ratio to these, taken in the same run.
 *
 * usage: floor [NAME [TURNS]]. Prints one line a floor: name, operations a second, and ns of processor time an
 * operation, of all processes. A floor that cannot be had here is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64 };

static struct {
	int in, out; /* descriptors, or one identifier in both */
	pid_t peer;
	struct shared {
		pthread_mutex_t mutex;
		sem_t sem;
	} * shared;
	char path[64];
} o;

/* ---- one end puts, the other takes ---- */

static bool fd_put(void)
{
	char buf[SIZE] = { 1 };

	return write(o.in, buf, sizeof buf) == sizeof buf;
}

static bool fd_take(void)
{
	char buf[SIZE];
	ssize_t n = 0, got = 1;

	for (; n < SIZE && got > 0; n += got)
		got = read(o.out, buf, sizeof buf - (size_t)n);
	return n == SIZE;
}

static bool open_pipe(void)
{
	int fd[2];

	if (pipe(fd) < 0)
		return false;
	o.out = fd[0], o.in = fd[1];
	return true;
}

static bool open_fifo(void)
{
	(void)snprintf(o.path, sizeof o.path, "/tmp/plumb-floor-%d", getpid());
	if (mkfifo(o.path, 0600) < 0)
		return false;
	o.out = o.in = open(o.path, O_RDWR | O_CLOEXEC);
	(void)unlink(o.path);
	return o.in >= 0;
}

static bool open_pair(int type)
{
	int fd[2];

	if (socketpair(AF_UNIX, type, 0, fd) < 0)
		return false;
	o.out = fd[0], o.in = fd[1];
	return true;
}

static bool open_stream(void)
{
	return open_pair(SOCK_STREAM);
}

static bool open_dgram(void)
{
	return open_pair(SOCK_DGRAM);
}

static bool open_seqpacket(void)
{
	return open_pair(SOCK_SEQPACKET);
}

static bool open_tcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	o.in = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) < 0 ||
		connect(o.in, (struct sockaddr *)&a, sizeof a) < 0)
		return false;
	o.out = accept(fd, NULL, NULL);
	(void)close(fd);
	return o.out >= 0;
}

static bool open_mq(void)
{
	struct mq_attr a = { .mq_maxmsg = 10, .mq_msgsize = SIZE };

	(void)snprintf(o.path, sizeof o.path, "/plumb-floor-%d", getpid());
	o.in = o.out = mq_open(o.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &a);
	(void)mq_unlink(o.path);
	return o.in >= 0;
}

static bool mq_put(void)
{
	char buf[SIZE] = { 1 };

	return mq_send(o.in, buf, sizeof buf, 0) == 0;
}

static bool mq_take(void)
{
	char buf[SIZE];

	return mq_receive(o.out, buf, sizeof buf, NULL) == SIZE;
}

static bool open_msg(void)
{
	o.in = o.out = msgget(IPC_PRIVATE, 0600);
	return o.in >= 0;
}

static void close_msg(void)
{
	(void)msgctl(o.in, IPC_RMID, NULL);
}

struct message {
	long type;
	char text[SIZE];
};

static bool msg_put(void)
{
	struct message m = { .type = 1 };

	return msgsnd(o.in, &m, SIZE, 0) == 0;
}

static bool msg_take(void)
{
	struct message m;

	return msgrcv(o.out, &m, SIZE, 0, 0) == SIZE;
}

static bool open_signal(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGRTMIN);
	return sigprocmask(SIG_BLOCK, &set, NULL) == 0;
}

/* At the limit of what may be pending: until there is room. */
static bool signal_put(void)
{
	while (sigqueue(o.peer, SIGRTMIN, (union sigval){ .sival_int = 1 }) < 0)
		if (errno != EAGAIN || sched_yield() < 0)
			return false;
	return true;
}

static bool signal_take(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGRTMIN);
	return sigwaitinfo(&set, NULL) == SIGRTMIN;
}

static bool open_eventfd(void)
{
	o.in = o.out = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	return o.in >= 0;
}

static bool eventfd_put(void)
{
	return eventfd_write(o.in, 1) == 0;
}

static bool eventfd_take(void)
{
	eventfd_t n;

	return eventfd_read(o.out, &n) == 0;
}

static bool open_shared(void)
{
	pthread_mutexattr_t a;

	o.shared = mmap(
		NULL, sizeof *o.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (o.shared == MAP_FAILED)
		return false;
	(void)pthread_mutexattr_init(&a);
	(void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	return pthread_mutex_init(&o.shared->mutex, &a) == 0 && sem_init(&o.shared->sem, 1, 0) == 0;
}

static bool semaphore_wait(void)
{
	return sem_wait(&o.shared->sem) == 0;
}

static bool semaphore_post(void)
{
	return sem_post(&o.shared->sem) == 0;
}

static bool open_sysvsem(void)
{
	o.in = semget(IPC_PRIVATE, 1, 0600);
	return o.in >= 0;
}

static void close_sysvsem(void)
{
	(void)semctl(o.in, 0, IPC_RMID);
}

/* No more than a semaphore holds. */
static bool sysvsem_put(void)
{
	struct sembuf s = { 0, 1, 0 };

	while (semop(o.in, &s, 1) < 0)
		if (errno != ERANGE || sched_yield() < 0)
			return false;
	return true;
}

static bool sysvsem_take(void)
{
	struct sembuf s = { 0, -1, 0 };

	return semop(o.in, &s, 1) == 0;
}

/* ---- both ends do the same, in turn a begin and its end ---- */

static bool mutex_lock(void)
{
	return pthread_mutex_lock(&o.shared->mutex) == 0;
}

static bool mutex_unlock(void)
{
	return pthread_mutex_unlock(&o.shared->mutex) == 0;
}

static bool open_file(void)
{
	FILE *f = tmpfile();

	o.in = f ? fileno(f) : -1;
	return f != NULL;
}

static bool record(short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(o.in, F_SETLKW, &l) == 0;
}

static bool record_lock(void)
{
	return record(F_WRLCK);
}

static bool record_unlock(void)
{
	return record(F_UNLCK);
}

/* ---- one process, in and out again ---- */

static long alone(bool (*put)(void), bool (*take)(void), long turns)
{
	long done = 0;

	while (done < turns && put() && take())
		done++;
	return done;
}

struct floor {
	const char *name;
	bool (*open)(void);
	bool (*put)(void), (*take)(void);
	enum { ONE_WAY, BOTH, ALONE } how;
	long turns;
	void (*close)(void);
};

static const struct floor floors[] = {
	{ "pipe", open_pipe, fd_put, fd_take, ALONE, 500000, NULL },
	{ "mutex", open_shared, mutex_lock, mutex_unlock, ALONE, 5000000, NULL },
	{ "pipe/stream", open_pipe, fd_put, fd_take, ONE_WAY, 500000, NULL },
	{ "fifo/fifo", open_fifo, fd_put, fd_take, ONE_WAY, 500000, NULL },
	{ "unix/stream", open_stream, fd_put, fd_take, ONE_WAY, 300000, NULL },
	{ "unix/dgram", open_dgram, fd_put, fd_take, ONE_WAY, 300000, NULL },
	{ "unix/seqpacket", open_seqpacket, fd_put, fd_take, ONE_WAY, 300000, NULL },
	{ "inet/tcp4", open_tcp, fd_put, fd_take, ONE_WAY, 200000, NULL },
	{ "mq/mq", open_mq, mq_put, mq_take, ONE_WAY, 300000, NULL },
	{ "sysvmsg/fifo", open_msg, msg_put, msg_take, ONE_WAY, 300000, close_msg },
	{ "signal/rt", open_signal, signal_put, signal_take, ONE_WAY, 200000, NULL },
	{ "eventfd/semaphore", open_eventfd, eventfd_put, eventfd_take, ONE_WAY, 300000, NULL },
	{ "sem/unnamed", open_shared, semaphore_post, semaphore_wait, ONE_WAY, 2000000, NULL },
	{ "sysvsem/plain", open_sysvsem, sysvsem_put, sysvsem_take, ONE_WAY, 300000,
		close_sysvsem },
	{ "mutex/normal", open_shared, mutex_lock, mutex_unlock, BOTH, 2000000, NULL },
	{ "lock/record", open_file, record_lock, record_unlock, BOTH, 100000, NULL },
};

static double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Of this process and of its children that ended. */
static double processor_s(void)
{
	static const int whose[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	struct rusage u;
	double sum = 0;

	for (int i = 0; i < 2; i++)
		if (getrusage(whose[i], &u) == 0)
			sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	return sum;
}

/* With a child, which takes, or does the same. */
static long both(const struct floor *f, long turns)
{
	long done = 0;
	int status = 1;

	o.peer = fork();
	if (o.peer == 0) {
		while (done < turns && (f->how == ONE_WAY || f->put()) && f->take())
			done++;
		_exit(done < turns);
	}
	while (o.peer > 0 && done < turns && f->put() && (f->how == ONE_WAY || f->take()))
		done++;
	if (o.peer > 0 && done < turns)
		(void)kill(o.peer, SIGKILL);
	return o.peer > 0 && waitpid(o.peer, &status, 0) == o.peer && status == 0 ? done : -1;
}

static int measure(const struct floor *f, long turns)
{
	double t, cpu;
	long n;

	if (!f->open())
		return 0;
	turns = turns > 0 ? turns : f->turns;
	t = now_s(), cpu = processor_s();
	n = f->how == ALONE ? alone(f->put, f->take, turns) : both(f, turns);
	t = now_s() - t, cpu = processor_s() - cpu;
	if (f->close)
		f->close();
	if (n != turns)
		return -1;
	n *= f->how == BOTH ? 4 : 2;
	(void)printf("%s %.0f %.1f\n", f->name, (double)n / t, cpu * 1e9 / (double)n);
	return 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof floors / sizeof *floors; i++)
		if ((argc < 2 || !strcmp(argv[1], floors[i].name)) &&
			measure(&floors[i], argc > 2 ? atol(argv[2]) : 0) < 0)
			return 1;
	return 0;
}
