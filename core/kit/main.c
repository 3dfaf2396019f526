/* SPDX-License-Identifier: MIT
 *
 * A driver's main: guards stdout, says hello, then one thread and one poll loop until stop or end
 * of input.
 */
#include "kit.h"
#include "raw.h"

#include "../hist/clock.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

enum { STOP_NS = 2000000000, STARTUP_TICK_NS = 1000000000, FDS = 3 + PL_ACTORS_MAX };

struct pl_ctl pl_ctl;
static struct pl_ctl *const c = &pl_ctl;
static uint64_t unblocked; /* signal mask while waiting */
static struct pl_frame requests;

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

const struct pl_op *pl_ops_table(const struct pl_driver *d, unsigned *ret_n)
{
	static struct pl_op all[PL_OPS_MAX + 1];
	unsigned n = 0, i;

	for (i = 0; d->ops[i].name && n < PL_OPS_MAX; i++)
		all[n++] = d->ops[i];
	for (i = 0; pl_is_fd(d) && pl_fd_ops[i].name && n < PL_OPS_MAX; i++)
		all[n++] = pl_fd_ops[i];
	for (i = 0; pl_proc_ops[i].name && n < PL_OPS_MAX; i++)
		all[n++] = pl_proc_ops[i];
	if (ret_n)
		*ret_n = n;
	return all;
}

static int usage(const struct pl_driver *d, FILE *to, int code)
{
	(void)fprintf(to,
		"plumb-%s: Plumbline's driver for: %s.\n\n"
		"It takes requests on stdin and answers on stdout, one JSON object a line "
		"(protocol plumb/1);\n"
		"plumb-stress and plumbline start it. By hand:\n"
		"  plumb-%s --hello         what it can do, as JSON\n"
		"  plumb-%s --clock         whether the clock is to be trusted here, as JSON\n"
		"  plumb-%s --stdio         the protocol, also on a terminal\n"
		"  plumb-%s --unlink NAME   remove an object that a dead run left behind\n",
		d->name, d->title, d->name, d->name, d->name, d->name);
	return code;
}

static int unlink_main(const struct pl_driver *d, const char *name)
{
	if (!name || strncmp(name, "/plumb.", 7) != 0) {
		(void)fprintf(stderr, "plumb-%s: --unlink takes a name that begins with /plumb.\n",
			d->name);
		return 2;
	}
	if (!d->unlink || d->unlink(name) == 0 || errno == ENOENT)
		return 0;
	(void)fprintf(stderr, "plumb-%s: cannot unlink %s: %s\n", d->name, name, strerror(errno));
	return 1;
}

static int one_line(const char *ev, json_t *o)
{
	int failed = json_object_set_new(o, "ev", json_string(ev));
	char *s = failed ? NULL : json_dumps(o, JSON_COMPACT);

	failed |= !s || puts(s) < 0 || fflush(stdout) != 0;
	free(s);
	json_decref(o);
	return failed ? 1 : 0;
}

static int clock_main(void)
{
	struct pl_clock k;

	pl_clock_audit("", PL_CLOCK_BUDGET_NS, &k);
	return one_line("clock", pl_clock_json(&k));
}

/* A stray printf lands in the log, a stray read gets nothing. */
static int guard_streams(void)
{
	int null = (int)raw_open("/dev/null", O_RDWR | O_CLOEXEC, 0);

	c->out = (int)syscall(SYS_fcntl, 1, F_DUPFD_CLOEXEC, 3);
	c->in = (int)syscall(SYS_fcntl, 0, F_DUPFD_CLOEXEC, 3);
	if (c->out < 0 || c->in < 0)
		return -EBADF;
	(void)syscall(SYS_dup3, 2, 1, 0);
	if (null >= 0) {
		(void)syscall(SYS_dup3, null, 0, 0);
		(void)raw_close(null);
	} else
		(void)raw_close(0);
	(void)syscall(
		SYS_fcntl, c->out, F_SETFL, syscall(SYS_fcntl, c->out, F_GETFL, 0) | O_NONBLOCK);
	return 0;
}

static int prepare(const struct pl_driver *d)
{
	struct sigaction sa = { .sa_handler = on_child };
	sigset_t block;
	int i;

	c->drv = d;
	c->tick_ns = STARTUP_TICK_NS;
	json_object_seed(1); /* else jansson reads /dev/urandom through libc */
	c->sharedfd = (int)syscall(SYS_memfd_create, "plumb-shared", 1U);
	if (c->sharedfd < 0 || syscall(SYS_ftruncate, c->sharedfd, (long)pl_shared_size()) < 0)
		return -errno;
	c->shared = pl_shared_map(c->sharedfd);
	c->bell = (int)syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!c->shared || c->bell < 0)
		return -ENOMEM;
	for (i = 0; i < PL_ACTORS_MAX; i++)
		c->actor[i].chan = -1;
	(void)sigaction(SIGCHLD, &sa, NULL);
	(void)sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGCHLD);
	(void)sigaddset(&block, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &block, NULL);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}

static bool actors_left(void)
{
	unsigned i;

	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive)
			return true;
	return c->checker > 0;
}

void pl_stop(int64_t id)
{
	if (c->stopping)
		return;
	c->stopping = true;
	c->stop_id = id;
	c->stop_at = pl_now() + STOP_NS;
	if (c->checker > 0)
		(void)raw_kill(c->checker, SIGKILL);
	(void)pl_actors_kill_all();
}

/* Lines wait while the reader of the replies does not read. */
static bool reads_on(void)
{
	return !c->input_over && pl_out_queued() <= PL_OUT_HIGH;
}

static void read_requests(void)
{
	char *line;
	size_t len;
	int r;

	c->lines_left = false;
	while ((r = pl_frame_next(&requests, &line, &len)) != 0) {
		if (r == -EPIPE) {
			c->input_over = true;
			return pl_stop(-1);
		}
		pl_request(r > 0 ? line : NULL, r > 0 ? len : 0);
		if (!reads_on()) {
			c->lines_left = true;
			return;
		}
	}
}

/* What was asked before the end was known is answered too. */
static void last_requests(void)
{
	struct pollfd p = { .fd = c->in, .events = POLLIN };

	if (reads_on())
		read_requests();
	while (reads_on() && raw_poll(&p, 1, 0, NULL) > 0) {
		(void)pl_frame_fill(&requests, c->in);
		read_requests();
	}
}

static void finish(void)
{
	json_t *leaked;
	unsigned i;

	(void)pl_actors_kill_all();
	for (i = 0; i < c->nactors; i++)
		pl_call_died(i); /* not reaped in time */
	pl_round_abandon();
	last_requests();
	if (c->inited)
		pl_tick(pl_now()); /* what was done since the last one is not lost */
	leaked = pl_objects_drop();
	if (c->stop_id >= 0)
		pl_reply(c->stop_id, json_pack("{sO}", "leaked", leaked));
	pl_event("bye", json_pack("{so}", "leaked", leaked));
	pl_out_drain(pl_now() + STOP_NS);
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t timers(void)
{
	int64_t now = pl_now(), next = INT64_MAX;

	if (c->inited && now >= c->next_tick)
		pl_tick(now);
	if (c->inited)
		next = c->next_tick;
	next = min64(next, pl_call_timers(now));
	next = min64(next, pl_round_timers(now));
	next = min64(next, pl_reap_timer(now));
	if (c->stopping)
		next = min64(next, c->stop_at);
	return next;
}

static void step(void)
{
	struct pollfd p[FDS];
	unsigned who[FDS], n = 3, i;
	int64_t next = timers(), now = pl_now();

	p[0] = (struct pollfd){ .fd = reads_on() ? c->in : -1, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = pl_out_queued() > 0 ? c->out : -1, .events = POLLOUT };
	p[2] = (struct pollfd){ .fd = c->bell, .events = POLLIN };
	for (i = 0; i < c->nactors; i++)
		if (c->actor[i].alive && !c->actor[i].dying && c->actor[i].chan >= 0) {
			p[n] = (struct pollfd){ .fd = c->actor[i].chan, .events = POLLIN };
			who[n++] = i;
		}
	if (reads_on() && c->lines_left)
		next = now;
	if (raw_poll(p, n, next == INT64_MAX ? -1 : next > now ? next - now : 0, &unblocked) < 0)
		n = 0; /* EINTR: a child ended, or we are to end */
	if (asked_to_end)
		pl_stop(-1);
	if (n && p[1].revents)
		pl_out_flush();
	for (i = 3; i < n; i++)
		if (p[i].revents && c->actor[who[i]].chan == p[i].fd)
			pl_call_answer(who[i]);
	pl_reap();
	if (n && p[2].revents) {
		uint64_t count;

		(void)raw_read(c->bell, &count, sizeof count);
		pl_round_bell();
	}
	if (n && p[0].revents)
		(void)pl_frame_fill(&requests, c->in);
	if (n && reads_on() && (p[0].revents || c->lines_left))
		read_requests();
}

/* The hello is the longest thing that an idle driver ever says: its memory is not kept. */
static void say_hello(void)
{
	pl_event("hello", pl_hello());
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

static int serve(const struct pl_driver *d)
{
	if (guard_streams() < 0) {
		(void)fprintf(stderr, "plumb-%s: stdin and stdout must be open\n", d->name);
		return 1;
	}
	if (prepare(d) < 0) {
		(void)fprintf(
			stderr, "plumb-%s: no memory to share, or no descriptors left\n", d->name);
		return 1;
	}
	say_hello();
	while (!c->stopping || (actors_left() && pl_now() < c->stop_at))
		step();
	finish();
	return c->exit_code;
}

int pl_main(int argc, char **argv, const struct pl_driver *d)
{
	c->drv = d;
	c->stop_id = -1;
	c->ops = pl_ops_table(d, &c->nops);
	if (argc > 1 && !strcmp(argv[1], "--actor"))
		return pl_exec_main(argc, argv, d);
	if (argc == 2 && !strcmp(argv[1], "--hello"))
		return one_line("hello", pl_hello());
	if (argc == 2 && !strcmp(argv[1], "--clock"))
		return clock_main();
	if (argc == 3 && !strcmp(argv[1], "--unlink"))
		return unlink_main(d, argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(d, stdout, 0);
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return printf("plumb-%s %s\n", d->name, PL_BUILD) < 0;
	if (argc > 1 && strcmp(argv[1], "--stdio") != 0)
		return usage(d, stderr, 2);
	if (argc == 1 && isatty(0))
		return usage(d, stderr, 2);
	return serve(d);
}
