/* SPDX-License-Identifier: MIT
 *
 * Signals, locks on files, System V message queues: does a mutant break what it says?
 */
#include "probe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>

static sigset_t block(void)
{
	sigset_t set;

	MUST(sigemptyset(&set) == 0 && sigaddset(&set, SIGRTMIN) == 0);
	MUST(sigaddset(&set, SIGUSR1) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	return set;
}

static void send(int value)
{
	MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = value }) == 0);
}

/* What is pending, as decimal digits. */
static int taken(const sigset_t *set)
{
	struct timespec zero = { 0 };
	siginfo_t si;
	int all = 0;

	while (all < 1000 && sigtimedwait(set, &si, &zero) > 0)
		all = 10 * all + si.si_value.sival_int;
	MUST(all >= 1000 || errno == EAGAIN);
	return all;
}

static bool dropped(void)
{
	sigset_t set = block();

	send(1);
	return taken(&set) != 1;
}

static bool kill_dropped(void)
{
	struct timespec zero = { 0 };
	sigset_t set = block();

	MUST(kill(getpid(), SIGUSR1) == 0);
	return sigtimedwait(&set, NULL, &zero) != SIGUSR1;
}

static bool merged(void)
{
	sigset_t set = block();

	send(1), send(2);
	return taken(&set) != 12;
}

static bool twice(void)
{
	sigset_t set = block();

	send(1);
	MUST(taken(&set) == 1);
	send(2);
	return taken(&set) != 2;
}

static bool not_seen(void)
{
	struct timespec zero = { 0 };
	sigset_t set = block();

	send(1);
	return sigtimedwait(&set, NULL, &zero) != SIGRTMIN;
}

static bool read_two(void)
{
	sigset_t set = block();
	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	struct signalfd_siginfo f;

	MUST(fd >= 0);
	send(1), send(2);
	MUST(read(fd, &f, sizeof f) == sizeof f);
	return taken(&set) != 2;
}

static bool untold(void)
{
	struct timespec zero = { 0 };
	sigset_t set = block();
	siginfo_t si;

	send(1);
	MUST(sigtimedwait(&set, &si, &zero) == SIGRTMIN && si.si_pid == getpid());
	MUST(kill(getpid(), SIGUSR1) == 0 && sigtimedwait(&set, &si, &zero) == SIGUSR1);
	return si.si_pid != getpid();
}

/* Two descriptions of a file, the first of which has the lock. */
static void two(int fd[2])
{
	char path[32];

	fd[0] = memfd_create("plumb-probe", MFD_CLOEXEC);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]);
	fd[1] = open(path, O_RDWR | O_CLOEXEC);
	MUST(fd[0] >= 0 && fd[1] >= 0 && flock(fd[0], LOCK_EX) == 0);
}

static int ofd_lock(int fd, short type)
{
	struct flock l = { .l_type = type };

	return fcntl(fd, F_OFD_SETLK, &l);
}

static bool greedy(void)
{
	int fd[2];

	two(fd);
	MUST(ofd_lock(fd[0], F_WRLCK) == 0);
	return flock(fd[1], LOCK_EX | LOCK_NB) == 0 && ofd_lock(fd[1], F_WRLCK) == 0;
}

static bool void_shared(void)
{
	int fd[2];

	two(fd);
	MUST(flock(fd[0], LOCK_UN) == 0 && flock(fd[0], LOCK_SH) == 0);
	MUST(ofd_lock(fd[0], F_RDLCK) == 0);
	return flock(fd[1], LOCK_EX | LOCK_NB) == 0 && ofd_lock(fd[1], F_WRLCK) == 0;
}

static bool kept(void)
{
	int fd[2];

	two(fd);
	MUST(ofd_lock(fd[0], F_WRLCK) == 0 && ofd_lock(fd[0], F_UNLCK) == 0);
	MUST(flock(fd[0], LOCK_UN) == 0);
	return flock(fd[1], LOCK_EX | LOCK_NB) != 0 && ofd_lock(fd[1], F_WRLCK) != 0;
}

static bool busy(void)
{
	int fd[2];

	two(fd);
	MUST(flock(fd[0], LOCK_UN) == 0);
	bool lied = flock(fd[1], LOCK_EX | LOCK_NB) != 0 && ofd_lock(fd[1], F_WRLCK) != 0;

	MUST(!lied || errno == EAGAIN);
	return lied;
}

static void on_alarm(int signo)
{
	(void)signo;
}

static int wait_for(int fd, off_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_SETLKW, &l);
}

/* A child has a byte and sleeps until the parent gives up another. The parent asks for the child's, which closes the
 * ring: who sleeps then is woken by a timer. */
static bool slept(void)
{
	struct itimerval often = { { 0, 100000 }, { 0, 100000 } };
	int fd = memfd_create("plumb-probe", MFD_CLOEXEC), up[2], rc;
	struct sigaction sa = { .sa_handler = on_alarm };
	pid_t pid;
	char c;

	MUST(fd >= 0 && pipe(up) == 0 && wait_for(fd, 0) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		MUST(wait_for(fd, 1) == 0 && write(up[1], "", 1) == 1);
		_exit(wait_for(fd, 0));
	}
	MUST(read(up[0], &c, 1) == 1);
	pl_until_asleep(pid);
	MUST(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
	rc = wait_for(fd, 1);
	bool lied = rc < 0 && errno != EDEADLK;

	often = (struct itimerval){ 0 };
	MUST(rc < 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
	MUST(close(fd) == 0 && waitpid(pid, NULL, 0) == pid);
	return lied;
}

struct message {
	long type;
	char text[8];
};

static int make_queue(void)
{
	int id = msgget(IPC_PRIVATE, 0600);

	MUST(id >= 0);
	return id;
}

static void put(int id, long type)
{
	struct message m = { .type = type, .text = "abcdefg" };

	MUST(msgsnd(id, &m, sizeof m.text, 0) == 0);
}

static bool miscounted(void)
{
	struct msqid_ds ds;
	int id = make_queue();

	put(id, 1);
	MUST(msgctl(id, IPC_STAT, &ds) == 0 && msgctl(id, IPC_RMID, NULL) == 0);
	return ds.msg_qnum != 1;
}

static bool no_room(void)
{
	struct message m = { .type = 1 };
	int id = make_queue();
	bool lied = msgsnd(id, &m, sizeof m.text, IPC_NOWAIT) == -1 && errno == EAGAIN;

	MUST(msgctl(id, IPC_RMID, NULL) == 0);
	return lied;
}

static bool not_lowest(void)
{
	struct message m;
	int id = make_queue();

	put(id, 2), put(id, 1);
	MUST(msgrcv(id, &m, sizeof m.text, -2, 0) == sizeof m.text);
	MUST(msgctl(id, IPC_RMID, NULL) == 0);
	return m.type != 1;
}

static bool not_of_type(void)
{
	struct message m;
	int id = make_queue();

	put(id, 2), put(id, 1);
	MUST(msgrcv(id, &m, sizeof m.text, 1, 0) == sizeof m.text);
	MUST(msgctl(id, IPC_RMID, NULL) == 0);
	return m.type != 1;
}

static bool squeezed(void)
{
	struct message m;
	int id = make_queue();

	put(id, 1);
	bool lied = !(msgrcv(id, &m, 4, 0, 0) == -1 && errno == E2BIG);

	MUST(msgctl(id, IPC_RMID, NULL) == 0);
	return lied;
}

static bool not_told(void)
{
	struct message m;
	int id = make_queue(), status;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		_exit(msgrcv(id, &m, sizeof m.text, 0, 0) == -1 ? errno : 0);
	pl_until_asleep(pid);
	MUST(msgctl(id, IPC_RMID, NULL) == 0);
	MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status) != EIDRM;
}

/* A child's last message, and nothing after it. */
static bool haunted(void)
{
	struct message m;
	int id = make_queue();
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid == 0)
		put(id, 1), _exit(0);
	MUST(waitpid(pid, NULL, 0) == pid);
	MUST(msgrcv(id, &m, sizeof m.text, 0, 0) == sizeof m.text);
	bool lied = msgrcv(id, &m, sizeof m.text, 0, IPC_NOWAIT) >= 0;

	MUST(msgctl(id, IPC_RMID, NULL) == 0);
	return lied;
}

static bool slept_before(void)
{
	sigset_t set = block();

	send(1);
	MUST(taken(&set) == 1);
	return pl_naps > 0;
}

/* A child asks for the lock that its parent lost by closing another descriptor of the file. */
static bool clung(void)
{
	struct flock l = { .l_type = F_WRLCK };
	int fd[2], status;
	pid_t pid;

	two(fd);
	MUST(fcntl(fd[0], F_SETLK, &l) == 0 && close(fd[1]) == 0 && (pid = fork()) >= 0);
	if (pid == 0)
		_exit(fcntl(fd[0], F_SETLK, &l) == 0 ? 0 : errno);
	MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status) != 0;
}

const struct pl_probe pl_queues_probes[] = {
	{ "sig-distracted,every=1", merged },
	{ "odd-sig-late,p=1", slept_before },
	{ "file-lock-clings", clung },
	{ "msg-haunts", haunted },
	{ "sig-drop,every=1", dropped },
	{ "sig-drop,every=1,max=30", kill_dropped },
	{ "sig-merge,within=0", merged },
	{ "sig-swap,within=0", merged },
	{ "sig-twice,every=2", twice },
	{ "sig-blind,every=1", not_seen },
	{ "sig-fd-greedy,every=1", read_two },
	{ "file-lock-greedy,every=1", greedy },
	{ "file-share-void,every=1", void_shared },
	{ "file-unlock-mute,every=1", kept },
	{ "file-trylock-busy,every=1", busy },
	{ "file-lock-ring", slept },
	{ "msg-lose,every=1", miscounted },
	{ "msg-no-room,every=1", no_room },
	{ "msg-double,every=1", miscounted },
	{ "msg-first,every=1", not_lowest },
	{ "msg-careless,every=1", not_of_type },
	{ "msg-squeeze", squeezed },
	{ "msg-removed-silent", not_told },
	{ "odd-sig-untold,p=1", untold },
	{ 0 },
};
