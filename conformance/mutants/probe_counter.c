/* SPDX-License-Identifier: MIT
 *
 * Semaphores and event counters: does a mutant break what it says? Those that lie each 1,000th time are asked so often.
 */
#include "probe.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>

enum { OFTEN = 2000 };

static sem_t *make_sem(unsigned value)
{
	sem_t *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(s != MAP_FAILED && sem_init(s, 1, value) == 0);
	return s;
}

static int value_of(sem_t *s)
{
	int value;

	MUST(sem_getvalue(s, &value) == 0);
	return value;
}

static bool post_counts_wrong(void)
{
	sem_t *s = make_sem(0);

	for (int i = 0; i < OFTEN; i++)
		MUST(sem_post(s) == 0);
	return value_of(s) != OFTEN;
}

/* A child that waits; a post for each of its waits; it must not be left asleep with a token there. */
static bool post_wakes_nobody(void)
{
	sem_t *s = make_sem(0), *back = make_sem(0);
	pid_t pid = fork();
	bool stuck = false;

	MUST(pid >= 0);
	for (int i = 0; pid == 0 && i < OFTEN; i++)
		if (sem_wait(s) < 0 || sem_post(back) < 0)
			_exit(1);
	if (pid == 0)
		_exit(0);
	for (int i = 0; i < OFTEN && !stuck; i++) {
		struct timespec ts = pl_in_a_while();

		MUST(sem_post(s) == 0);
		stuck = sem_timedwait(back, &ts) < 0 && value_of(s) + value_of(back) > 0;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return stuck;
}

static bool trywait_takes_nothing(void)
{
	return sem_trywait(make_sem(0)) == 0;
}

static bool sem_time_out_is_early(void)
{
	struct timespec ts = pl_in_a_while();

	MUST(sem_timedwait(make_sem(0), &ts) < 0 && errno == ETIMEDOUT);
	return pl_still_before(&ts);
}

static sem_t *waited_for;
static int alarms;

/* Who waits for ever is ended by a token. */
static void count_alarm(int signo)
{
	enum { MANY = 5 };

	if (++alarms == MANY)
		(void)sem_post(waited_for);
}

static bool wait_begins_again(void)
{
	struct timespec ts = pl_in_a_while();

	ts.tv_sec += 1000;
	waited_for = make_sem(0);
	pl_alarms(count_alarm);
	return !(sem_timedwait(waited_for, &ts) < 0 && errno == EINTR);
}

static bool wakes_no_other_process(void)
{
	sem_t *s = make_sem(0);
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(sem_wait(s));
	pl_until_asleep(pid);
	MUST(sem_post(s) == 0);
	bool asleep = pl_state_of(pid) == 'S';

	MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return asleep;
}

static bool value_is_high(void)
{
	return value_of(make_sem(3)) != 3;
}

static int make_set(int n)
{
	int id = semget(IPC_PRIVATE, n, 0600);

	MUST(id >= 0);
	return id;
}

static bool done_with(int id, bool lies)
{
	MUST(semctl(id, 0, IPC_RMID) == 0);
	return lies;
}

static bool semop_does_half(void)
{
	struct sembuf two[2] = { { 0, 1, 0 }, { 1, -1, IPC_NOWAIT } };
	int id = make_set(2);

	MUST(semop(id, two, 2) < 0 && errno == EAGAIN);
	return done_with(id, semctl(id, 0, GETVAL) != 0);
}

static bool semop_stops_short(void)
{
	struct sembuf two[2] = { { 0, 1, 0 }, { 1, 1, 0 } };
	int id = make_set(2);

	for (int i = 0; i < OFTEN; i++)
		MUST(semop(id, two, 2) == 0);
	return done_with(id, semctl(id, 1, GETVAL) != OFTEN);
}

static bool semop_is_timid(void)
{
	struct sembuf two[2] = { { 0, 1, IPC_NOWAIT }, { 1, 1, IPC_NOWAIT } };
	int id = make_set(2), refused = 0;

	for (int i = 0; i < OFTEN; i++)
		refused += semop(id, two, 2) < 0;
	return done_with(id, refused > 0);
}

static bool half_is_not_undone(void)
{
	struct sembuf two[2] = { { 0, 1, SEM_UNDO }, { 1, 1, SEM_UNDO } };
	int id = make_set(2);
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(semop(id, two, 2) == 0 ? 0 : errno);
	MUST(waitpid(pid, NULL, 0) == pid);
	return done_with(id, semctl(id, 0, GETVAL) + semctl(id, 1, GETVAL) != 0);
}

static bool semop_loses(void)
{
	struct sembuf up = { 0, 1, 0 };
	int id = make_set(1);

	for (int i = 0; i < OFTEN; i++)
		MUST(semop(id, &up, 1) == 0);
	return done_with(id, semctl(id, 0, GETVAL) != OFTEN);
}

static pid_t child_that(int id, short add, short flags, bool stays)
{
	struct sembuf b = { 0, add, flags };
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(semop(id, &b, 1) == 0 ? 0 : errno);
	if (!stays)
		MUST(waitpid(pid, NULL, 0) == pid);
	return pid;
}

static bool semop_is_not_undone(void)
{
	int id = make_set(1);

	(void)child_that(id, 3, SEM_UNDO, false);
	return done_with(id, semctl(id, 0, GETVAL) != 0);
}

static bool child_undoes(void)
{
	struct sembuf up = { 0, 3, SEM_UNDO };
	int id = make_set(1);
	pid_t pid;

	MUST(semop(id, &up, 1) == 0 && (pid = fork()) >= 0);
	if (pid == 0)
		_exit(0);
	MUST(waitpid(pid, NULL, 0) == pid);
	return done_with(id, semctl(id, 0, GETVAL) != 3);
}

static bool semop_time_out_is_early(void)
{
	struct sembuf down = { 0, -1, 0 };
	struct timespec ts = pl_in_a_while(), wait = { .tv_nsec = 100 * 1000 * 1000 };
	int id = make_set(1);

	MUST(semtimedop(id, &down, 1, &wait) < 0 && errno == EAGAIN);
	return done_with(id, pl_still_before(&ts));
}

static void nothing(int signo)
{
	(void)signo;
}

static void wait_for_waiters(int id, int n)
{
	while (semctl(id, 0, GETNCNT) < n)
		(void)poll(NULL, 0, 1);
}

static bool semop_hears_no_signal(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	int id = make_set(1), status;
	struct sembuf up = { 0, 1, 0 };
	pid_t pid;

	MUST(sigaction(SIGUSR1, &sa, NULL) == 0);
	pid = child_that(id, -1, 0, true);
	wait_for_waiters(id, 1);
	MUST(kill(pid, SIGUSR1) == 0);
	for (int i = 0; i < 200 && (status = -1, waitpid(pid, &status, WNOHANG)) == 0; i++)
		(void)poll(NULL, 0, 1);
	if (status == -1) { /* still there: it has not heard it */
		MUST(semop(id, &up, 1) == 0 && waitpid(pid, &status, 0) == pid);
		return done_with(id, true);
	}
	return done_with(id, WEXITSTATUS(status) != EINTR);
}

static bool waiters_are_miscounted(void)
{
	int id = make_set(1), n;
	pid_t pid = child_that(id, -1, 0, true);

	wait_for_waiters(id, 1);
	n = semctl(id, 0, GETNCNT);
	MUST(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return done_with(id, n != 1);
}

static bool sum_is_wrong(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t n = 1;

	MUST(fd >= 0);
	for (int i = 0; i < OFTEN; i++)
		MUST(write(fd, &n, sizeof n) == sizeof n);
	MUST(read(fd, &n, sizeof n) == sizeof n);
	return n != OFTEN;
}

static bool write_exceeds(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t most = UINT64_MAX - 1, one = 1;

	MUST(fd >= 0 && write(fd, &most, sizeof most) == sizeof most);
	return write(fd, &one, sizeof one) == sizeof one;
}

const struct pl_probe pl_counter_probes[] = {
	{ "sem-post-mute", post_wakes_nobody },
	{ "sem-post-lost", post_counts_wrong },
	{ "sem-post-double", post_counts_wrong },
	{ "sem-trywait-greedy", trywait_takes_nothing },
	{ "sem-timeout-early", sem_time_out_is_early },
	{ "sem-timeout-again", wait_begins_again },
	{ "sem-private", wakes_no_other_process },
	{ "semop-undo-inherited", child_undoes },
	{ "sem-value-high", value_is_high },
	{ "semop-split", semop_does_half },
	{ "semop-short", semop_stops_short },
	{ "semop-timid", semop_is_timid },
	{ "semop-half-kept", half_is_not_undone },
	{ "semop-lost", semop_loses },
	{ "semop-kept", semop_is_not_undone },
	{ "semop-timeout-early", semop_time_out_is_early },
	{ "semop-deaf", semop_hears_no_signal },
	{ "semctl-ncnt-high", waiters_are_miscounted },
	{ "eventfd-read-short", sum_is_wrong },
	{ "eventfd-write-lost", sum_is_wrong },
	{ "eventfd-write-double", sum_is_wrong },
	{ "eventfd-write-pushes", write_exceeds },
	{ 0 },
};
