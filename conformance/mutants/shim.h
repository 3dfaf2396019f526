/* SPDX-License-Identifier: MIT
 *
 * libplumb-mutants: libc calls that lie on purpose, to show that Plumbline notices.
 *
 * Loaded by LD_PRELOAD under a dynamic driver, chosen by PLUMB_MUTANT="name[,key=value...]". Every
 * call below goes through a table of functions; without PLUMB_MUTANT that table is libc's own. A
 * mutant is a row that replaces some of its entries, and a trigger that says when the replacement
 * lies.
 */
#ifndef PLUMBLINE_MUTANTS_SHIM_H
#define PLUMBLINE_MUTANTS_SHIM_H

#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

enum pl_how_lock { PL_LOCK, PL_TRYLOCK, PL_TIMEDLOCK, PL_CLOCKLOCK };

/* One attempt to take a mutex, or a semaphore's token, whichever function was called. */
struct pl_attempt {
	enum pl_how_lock how;
	clockid_t clock;	    /* PL_CLOCKLOCK */
	const struct timespec *abs; /* PL_TIMEDLOCK, PL_CLOCKLOCK */
};

/* One call about a lock on a file: fcntl's, or flock's, without a range. */
struct pl_file_lock {
	int fd, op;
	struct flock *l; /* NULL: flock */
};

static inline bool pl_lock_waits(const struct pl_file_lock *a)
{
	return a->l ? a->op == F_SETLKW || a->op == F_OFD_SETLKW : !(a->op & LOCK_NB);
}

static inline bool pl_lock_ends(const struct pl_file_lock *a)
{
	return a->l ? a->l->l_type == F_UNLCK : a->op & LOCK_UN;
}

/* The calls that can be broken. `abs` NULL: the form without a deadline. */
struct pl_calls {
	ssize_t (*write)(int fd, const void *buf, size_t n);
	ssize_t (*read)(int fd, void *buf, size_t n);
	int (*pipe2)(int fd[2], int flags);
	int (*setpipe_sz)(int fd, int size); /* fcntl(F_SETPIPE_SZ) */
	mqd_t (*mq_open)(const char *name, int flags, mode_t mode, struct mq_attr *attr);
	int (*mq_send)(
		mqd_t q, const char *buf, size_t n, unsigned prio, const struct timespec *abs);
	ssize_t (*mq_receive)(
		mqd_t q, char *buf, size_t n, unsigned *prio, const struct timespec *abs);
	int (*mq_notify)(mqd_t q, const struct sigevent *ev);
	int (*mq_getattr)(mqd_t q, struct mq_attr *attr);
	int (*acquire)(pthread_mutex_t *m, const struct pl_attempt *a);
	int (*unlock)(pthread_mutex_t *m);
	int (*consistent)(pthread_mutex_t *m);
	int (*init)(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
	int (*clock_gettime)(clockid_t clock, struct timespec *ts);
	int (*shm_open)(const char *name, int flags, mode_t mode);
	int (*memfd_create)(const char *name, unsigned flags);
	int (*ftruncate)(int fd, off_t size);
	void *(*mmap)(void *at, size_t len, int prot, int flags, int fd, off_t offset);
	int (*shmget)(key_t key, size_t size, int flags);
	void *(*shmat)(int id, const void *at, int flags);
	int (*shmdt)(const void *at);
	int (*shmctl)(int id, int cmd, struct shmid_ds *ds);
	int (*shm_unlink)(const char *name);
	int (*open)(const char *path, int flags, mode_t mode);
	int (*close)(int fd);
	int (*poll)(struct pollfd *p, nfds_t n, int timeout_ms);
	void (*exit_now)(int status);		   /* _exit */
	long (*futex_wake)(uint32_t *word, int n); /* syscall(SYS_futex, word, FUTEX_WAKE, n) */
	ssize_t (*send)(int fd, const void *buf, size_t n, int flags);
	ssize_t (*recv)(int fd, void *buf, size_t n, int flags);
	ssize_t (*recvfrom)(
		int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len);
	ssize_t (*recvmsg)(int fd, struct msghdr *h, int flags);
	ssize_t (*sendmsg)(int fd, const struct msghdr *h, int flags);
	int (*shutdown)(int fd, int how);
	int (*kill)(pid_t pid, int signo);
	int (*sigqueue)(pid_t pid, int signo, union sigval value);
	/* `within` NULL: sigwaitinfo */
	int (*sigtimedwait)(const sigset_t *set, siginfo_t *si, const struct timespec *within);
	int (*signalfd)(int fd, const sigset_t *set, int flags);
	int (*file_lock)(const struct pl_file_lock *a);
	int (*msgsnd)(int id, const void *m, size_t n, int flags);
	ssize_t (*msgrcv)(int id, void *m, size_t n, long type, int flags);
	int (*sem_post)(sem_t *s);
	int (*sem_take)(sem_t *s, const struct pl_attempt *a);
	int (*sem_getvalue)(sem_t *s, int *value);
	int (*sem_init)(sem_t *s, int pshared, unsigned value);
	int (*semop)(int id, struct sembuf *ops, size_t n, const struct timespec *timeout);
	int (*semctl)(int id, int num, int cmd, void *arg);
};

/* When a mutant lies: all conditions that are given must hold. Calls that could not show the lie (a
 * lock that is free, a read that would not block) are no candidates: they neither fire nor count.
 */
struct pl_trigger {
	uint64_t every; /* each N-th candidate; 0 and 1: all */
	double p;	/* with this probability, a function of (seed, number of the candidate); 0:
			   certain */
	int64_t within_us; /* only this soon after the candidate before; 0: any time */
	int64_t min, max;  /* bounds of the call's argument (length, priority); max 0: none */
	uint64_t seed;
};

struct pl_mutant {
	const char *name; /* NULL ends a table */
	struct pl_trigger when;
	struct pl_calls lie; /* NULL entries: libc's own */
};

extern const struct pl_mutant pl_pipe_mutants[], pl_mq_mutants[], pl_mutex_mutants[],
	pl_memory_mutants[], pl_counter_mutants[], pl_signal_mutants[], pl_file_lock_mutants[],
	pl_sysvmsg_mutants[], pl_socket_mutants[], pl_oddities[], pl_socket_oddities[];
enum {
	PL_STASH_MAX = 8192,
	PL_LIES_MAX = 256,
	PL_MEMORIES_MAX = 64,
	PL_SENT_MAX = 64,
	PL_SENT_LEN = 1024
};

/* What all processes of a driver share. Nothing in it is a lock: an actor may be killed at any
 * instruction. */
struct pl_shared {
	_Atomic uint64_t candidates, fired;
	_Atomic int64_t last_ns;
	/* a message taken out of turn, given to the next receiver of queue `ino` */
	struct {
		_Atomic int state;
		uint64_t ino;
		unsigned prio;
		ssize_t len;
		char buf[PL_STASH_MAX];
	} stash;
	/* messages sent with another priority than asked for, by hash of their bytes */
	struct {
		_Atomic uint64_t hash;
		unsigned prio;
	} lied[PL_LIES_MAX];
	/* who asked to be told of a message */
	struct {
		_Atomic uint64_t ino;
		pid_t pid;
		int signo;
		union sigval value;
	} notify;
	/* the driver's memory objects, by inode: the harness maps memory too */
	struct {
		_Atomic uint64_t ino[PL_MEMORIES_MAX], n;
	} memory;
	_Atomic uintptr_t dead_again; /* mutex whose next owner is told of a death, too */
	_Atomic pid_t last_owner;
	/* the last message that a process sent to System V queue `id`, by its pid; whole when `pid` is set */
	struct {
		_Atomic pid_t pid;
		int id;
		size_t len;
		struct {
			long type;
			char text[PL_SENT_LEN];
		} m;
	} sent[PL_SENT_MAX];
	_Atomic int receivers; /* of a message queue, in the call */
	_Atomic bool roomy,
		shut; /* a queue that holds one more; a socket that was shut for sending */
};

#define EXPORT __attribute__((visibility("default")))

/* What a call goes to, now that everything is found. */
const struct pl_calls *pl_calls_now(void);

/* A symbol of libc's own, and where its address goes. A table ends with a NULL. */
struct pl_symbol {
	const char *name;
	void *to;
};

void pl_find(const struct pl_symbol *all);
void pl_find_semaphores(void);
void pl_find_sockets(void);
void pl_find_files(void);

extern struct pl_calls pl_real;
extern struct pl_shared *pl_shared;

/* Fills the trigger from "key=value,..." over its defaults. False: a key or value is not known. */
bool pl_trigger_parse(const char *text, struct pl_trigger *t);
void pl_trigger_set(const struct pl_trigger *t);

/* A candidate call with its argument: shall it lie? */
bool pl_fires(int64_t arg);

uint64_t pl_mix(uint64_t x);
bool pl_is_pipe(int fd);

#endif
