/* SPDX-License-Identifier: MIT
 *
 * The loop: one thread, one poll. The end of input stops all drivers, and nothing of them is left.
 */
#include "agent.h"
#include "kit/raw.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SECOND INT64_C(1000000000)

enum { FDS = 2 + 3 * CHANNELS };

struct agent agent = { .stop_id = -1 };

static uint64_t unblocked; /* signal mask while waiting */
static volatile sig_atomic_t asked_to_end;

static void on_child(int signo)
{
	(void)signo;
}

static void on_term(int signo)
{
	(void)signo;
	asked_to_end = 1;
}

/* The stop sequence: end of input, 4 s, SIGTERM, 5 s, SIGKILL of the group. */
void stop(int64_t id)
{
	unsigned i;

	if (agent.stopping)
		return;
	agent.stopping = true;
	agent.stop_id = id;
	say_event("stopping", 0, NULL); /* before the drivers' ends, which it explains */
	agent.due = pl_now() + 4 * SECOND;
	for (i = 1; i < agent.top; i++)
		if (agent.channel[i])
			channel_close(agent.channel[i]);
}

static void stop_harder(void)
{
	unsigned i;

	for (i = 1; i < agent.top; i++) {
		struct channel *c = agent.channel[i];

		if (c && !c->dead && c->pid > 1)
			(void)raw_kill(
				agent.stage ? -c->pid : c->pid, agent.stage ? SIGKILL : SIGTERM);
	}
	agent.stage++;
	agent.due = pl_now() + 5 * SECOND;
}

void say_flush(void)
{
	if (!agent.deaf && queue_flush(&agent.said, agent.out) == 0)
		return;
	agent.deaf = true; /* whoever listened is gone */
	queue_drop(&agent.said);
	stop(-1);
}

static bool reads_on(void)
{
	return !agent.input_over && queue_size(&agent.said) < OUT_MAX;
}

static void read_requests(void)
{
	char *line;
	size_t len;
	int r;

	while (reads_on() && (r = pl_frame_next(&agent.requests, &line, &len)) != 0) {
		int64_t ch = r == 1 ? line_channel(line, len) : -1;

		if (r == -EPIPE) {
			agent.input_over = true;
			stop(-1);
		} else if (ch > 0)
			channel_give(ch, line, len);
		else
			request(r == 1 ? line : NULL, r == 1 ? len : 0);
	}
}

/* Round and round, so that nobody is always the first while there is room. */
static void pass_on(void)
{
	unsigned i;

	for (i = 0; i < agent.top; i++) {
		struct channel *c = agent.channel[(agent.turn + i) % agent.top];

		if (c && !channel_done(c))
			channel_pass_on(c);
		if (queue_size(&agent.said) >= OUT_HIGH) {
			agent.turn = (agent.turn + i + 1) % agent.top;
			return;
		}
	}
	agent.turn = agent.top ? (agent.turn + 1) % agent.top : 0;
}

/* A line that was read and could not be passed on for want of room. */
static bool lines_wait(const struct channel *c)
{
	return memchr(c->said.buf + c->said.used, '\n', c->said.len - c->said.used) != NULL;
}

static unsigned wanted(struct pollfd *p, struct channel **who, int64_t *next)
{
	bool room = queue_size(&agent.said) < OUT_HIGH;
	unsigned n = 2, i;

	p[0] = (struct pollfd){ .fd = reads_on() ? agent.in : -1, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = queue_size(&agent.said) ? agent.out : -1, .events = POLLOUT };
	for (i = 1; i < agent.top; i++) {
		struct channel *c = agent.channel[i];

		if (!c)
			continue;
		if (room && (c->dead || (!c->out_over && lines_wait(c))))
			*next = 0;
		who[n] = who[n + 1] = who[n + 2] = c;
		p[n++] = (struct pollfd){ .fd = queue_size(&c->input) ? c->in : -1,
			.events = POLLOUT };
		p[n++] = (struct pollfd){ .fd = room ? c->out : -1, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = c->err, .events = POLLIN };
	}
	return n;
}

static void step(void)
{
	static struct pollfd p[FDS];
	static struct channel *who[FDS];
	int64_t now = pl_now(), next = channels_timers(now), wait;
	unsigned n, i;

	if (agent.stopping && now >= agent.due)
		stop_harder();
	if (agent.stopping && agent.due < next)
		next = agent.due;
	wait = next == INT64_MAX ? -1 : next > now ? next - now : 0;
	next = -1;
	n = wanted(p, who, &next);
	if (raw_poll(p, n, next == 0 ? 0 : wait, &unblocked) < 0)
		n = 0; /* EINTR: a driver ended, or we are to end */
	if (asked_to_end)
		stop(-1);
	if (n && p[0].revents)
		(void)pl_frame_fill(&agent.requests, agent.in);
	for (i = 2; i < n; i += 3) {
		if (p[i].revents)
			channel_flush(who[i]);
		if (p[i + 1].revents && who[i]->out >= 0)
			(void)pl_frame_fill(&who[i]->said, who[i]->out);
		if (p[i + 2].revents)
			channel_hear(who[i]);
	}
	channels_reap();
	read_requests();
	pass_on();
	say_flush();
}

static int parent_of(const char *pid)
{
	char path[64], text[512], *p;
	int fd, ppid = 0;
	long n;

	(void)snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	fd = (int)raw_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	n = raw_read(fd, text, sizeof text - 1);
	(void)raw_close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strrchr(text, ')');
	if (p)
		(void)sscanf(p + 1, " %*c %d", &ppid);
	return ppid;
}

/* What left its driver's group fell to us, its subreaper; without /proc it stays unseen. */
static int orphans(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)) != NULL) {
		int pid = atoi(e->d_name);

		if (pid > 1 && parent_of(e->d_name) == (int)getpid()) {
			(void)raw_kill(pid, SIGKILL);
			n++;
		}
	}
	if (d)
		(void)closedir(d);
	return n;
}

static void finish(void)
{
	struct pollfd p = { .fd = agent.out, .events = POLLOUT };
	int64_t deadline = pl_now() + 2 * SECOND;
	int left = orphans();

	while (left > 0 && pl_now() < deadline && orphans() > 0)
		channels_reap();
	files_remove();
	if (agent.temporary)
		folder_remove(agent.dir);
	if (agent.stop_id >= 0) {
		json_t *id = json_integer(agent.stop_id);

		say_ok(id, json_pack("{si}", "left", left));
		json_decref(id);
	}
	say_event("bye", 0, json_pack("{si}", "left", left));
	for (say_flush(); queue_size(&agent.said) > 0 && pl_now() < deadline; say_flush())
		(void)raw_poll(&p, 1, deadline - pl_now(), NULL);
}

void loop_prepare(void)
{
	struct sigaction child = { .sa_handler = on_child }, term = { .sa_handler = on_term };
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t block;
	unsigned i;

	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGCHLD);
	(void)sigaction(SIGCHLD, &child, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	for (i = 0; i < sizeof ends / sizeof *ends; i++) {
		(void)sigaction(ends[i], &term, NULL);
		(void)sigaddset(&block, ends[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &block, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	json_object_seed(1);
	start_prepare();
}

/* Descriptors of our own: a driver's pipes never land on 0, 1 or 2. */
int loop_streams(void)
{
	agent.in = (int)syscall(SYS_fcntl, 0, F_DUPFD_CLOEXEC, 3);
	agent.out = (int)syscall(SYS_fcntl, 1, F_DUPFD_CLOEXEC, 3);
	if (agent.in < 0 || agent.out < 0)
		return -EBADF;
	if (syscall(SYS_fcntl, 2, F_GETFD) < 0)
		(void)syscall(SYS_dup3, agent.out, 2, 0);
	return (int)syscall(SYS_fcntl, agent.out, F_SETFL,
		syscall(SYS_fcntl, agent.out, F_GETFL, 0) | O_NONBLOCK);
}

int loop(void)
{
	while (!agent.stopping || (agent.alive > 0 && agent.stage < 3))
		step();
	finish();
	return agent.exit_code;
}
