/* SPDX-License-Identifier: MIT
 *
 * The clock's audit. It reads files by syscall(2), as the kit does: libc may be broken on purpose.
 */
#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	HANDOFFS = 20000, /* of a pair, at most */
	WHOLE = 16,	  /* CPUs of which every pair is looked at */
	SPINS = 256,	  /* looks between two that ask for the time */
	OVER = -1,
};

/* ---- where it is read ---- */

static void read_file(const char *root, const char *path, char *buf, size_t size)
{
	char full[256];
	long fd, n = 0;

	(void)snprintf(full, sizeof full, "%s%s", root, path);
	fd = syscall(SYS_openat, AT_FDCWD, full, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		n = syscall(SYS_read, fd, buf, size - 1);
		(void)syscall(SYS_close, fd);
	}
	buf[n > 0 ? n : 0] = 0;
}

static void read_line(const char *root, const char *path, char *buf, size_t size)
{
	read_file(root, path, buf, size);
	buf[strcspn(buf, "\n")] = 0;
}

/* "monotonic   86400   0": seconds and nanoseconds */
static int64_t read_offset(const char *root)
{
	char text[256], *at, *end;
	int64_t seconds;

	read_file(root, "/proc/self/timens_offsets", text, sizeof text);
	at = strstr(text, "monotonic");
	if (!at)
		return 0;
	seconds = strtoll(at + strlen("monotonic"), &end, 10);
	return seconds * 1000000000 + strtoll(end, NULL, 10);
}

void pl_clock_place(const char *root, struct pl_clock *ret)
{
	struct timespec res = { 0 };
	struct stat st = { 0 };
	char path[256];

	*ret = (struct pl_clock){ 0 };
	read_line(root, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
		ret->source, sizeof ret->source);
	read_line(root, "/proc/sys/kernel/random/boot_id", ret->boot, sizeof ret->boot);
	(void)snprintf(path, sizeof path, "%s/proc/self/ns/time", root);
	if (stat(path, &st) == 0)
		ret->timens = st.st_ino;
	ret->offset_ns = read_offset(root);
	(void)clock_getres(CLOCK_MONOTONIC, &res);
	ret->res_ns = res.tv_sec * INT64_C(1000000000) + res.tv_nsec;
	ret->error_ns = ret->res_ns;
}

/* ---- hand-offs ---- */

struct relay {
	_Alignas(64) _Atomic int64_t turn; /* whose it is: even the first's, odd the second's */
	int64_t stamp;			   /* of who handed over; published by `turn` */
	int64_t until;
};

struct side {
	struct relay *relay;
	int cpu, first_turn;
	bool pinned;
	uint64_t handoffs, backwards;
	int64_t step;
};

static int64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* Where affinity is a name only, the number of the CPU tells. */
static bool pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	return sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() == cpu;
}

/* False: the time is over, for both. The other side may have no CPU at all for a while. */
static bool await_turn(struct relay *r, int64_t turn)
{
	for (unsigned i = 1;; i++) {
		int64_t is = atomic_load_explicit(&r->turn, memory_order_acquire);

		if (is == turn || is == OVER)
			return is == turn;
		if (i % SPINS)
			continue;
		if (now() > r->until) {
			atomic_store(&r->turn, OVER);
			return false;
		}
		(void)sched_yield();
	}
}

static void *hand_over(void *arg)
{
	struct side *s = arg;
	struct relay *r = s->relay;

	s->pinned = pin(s->cpu);
	for (int64_t turn = s->first_turn; turn < HANDOFFS && await_turn(r, turn); turn += 2) {
		int64_t t = now();

		if (t < r->stamp) {
			s->backwards++;
			s->step = r->stamp - t > s->step ? r->stamp - t : s->step;
		}
		s->handoffs++;
		r->stamp = t;
		atomic_store_explicit(&r->turn, turn + 1, memory_order_release);
	}
	return NULL;
}

/* Which CPUs could be had goes to `pinned`. */
static void look_at_pair(int a, int b, int64_t budget_ns, bool *pinned, struct pl_clock *ret)
{
	struct relay r = { .until = now() + budget_ns };
	struct side side[2] = { { &r, a, 0 }, { &r, b, 1 } };
	pthread_t t[2];
	int n = 0;

	while (n < 2 && pthread_create(&t[n], NULL, hand_over, &side[n]) == 0)
		n++;
	if (n < 2)
		atomic_store(&r.turn, OVER);
	for (int i = 0; i < n; i++)
		(void)pthread_join(t[i], NULL);
	pinned[a] |= n == 2 && side[0].pinned, pinned[b] |= n == 2 && side[1].pinned;
	if (n < 2 || !side[0].pinned || !side[1].pinned || side[1].handoffs == 0)
		return;
	ret->pairs++;
	for (int i = 0; i < 2; i++) {
		ret->handoffs += side[i].handoffs, ret->backwards += side[i].backwards;
		ret->step_ns = side[i].step > ret->step_ns ? side[i].step : ret->step_ns;
	}
}

static unsigned list_cpus(int *cpu)
{
	cpu_set_t set;
	unsigned n = 0;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 0;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET((unsigned)i, &set))
			cpu[n++] = i;
	return n;
}

void pl_clock_audit(const char *root, int64_t budget_ns, struct pl_clock *ret)
{
	bool pinned[CPU_SETSIZE] = { 0 };
	int cpu[CPU_SETSIZE];
	unsigned n = list_cpus(cpu), from, left, hubs = n > WHOLE ? 1 : n;

	pl_clock_place(root, ret);
	ret->cpus = n;
	ret->all_pairs = n > 1 ? n * (n - 1) / 2 : 0;
	left = n > WHOLE ? n - 1 : ret->all_pairs;
	for (from = 0; from < hubs; from++)
		for (unsigned to = from + 1; to < n; to++, left--) {
			int64_t begun = now();

			look_at_pair(cpu[from], cpu[to], budget_ns / left, pinned, ret);
			budget_ns -= now() - begun;
			budget_ns = budget_ns > 0 ? budget_ns : 0;
		}
	for (unsigned i = 0; n > 1 && i < n; i++)
		ret->unpinned += !pinned[cpu[i]];
	/* Two that were not looked at together may each differ from the first, one way and the other. */
	ret->error_ns = ret->step_ns * (n > WHOLE ? 2 : 1) + ret->res_ns;
}

/* ---- what is made of it ---- */

bool pl_clock_differs(const struct pl_clock *a, const struct pl_clock *b, char *why, size_t size)
{
	if (*a->boot && *b->boot && strcmp(a->boot, b->boot) != 0)
		return (void)snprintf(why, size, "another kernel's clock"), true;
	if (a->timens && b->timens && a->timens != b->timens)
		return (void)snprintf(why, size,
			       "another time namespace, %llu, than %llu, in which the clock was "
			       "looked at",
			       (unsigned long long)b->timens, (unsigned long long)a->timens),
		       true;
	return false;
}

bool pl_clock_doubt(
	const struct pl_clock *before, const struct pl_clock *after, char *why, size_t size)
{
	if (pl_clock_differs(before, after, why, size))
		return true;
	if (strcmp(before->source, after->source) != 0)
		return (void)snprintf(why, size, "the clock source changed from %s to %s",
			       before->source, after->source),
		       true;
	if (after->error_ns > before->error_ns)
		return (void)snprintf(why, size,
			       "the clock stepped back by %lld ns at the end; %lld ns were allowed "
			       "for",
			       (long long)after->step_ns, (long long)before->error_ns),
		       true;
	return false;
}

json_t *pl_clock_json(const struct pl_clock *c)
{
	json_t *o = json_pack("{sssssIsIsIsi}", "source", c->source, "boot", c->boot, "timens",
		(json_int_t)c->timens, "offset_ns", (json_int_t)c->offset_ns, "res_ns",
		(json_int_t)c->res_ns, "cpus", (int)c->cpus);

	(void)json_object_update_new(
		o, json_pack("{sisisisIsIsIsI}", "unpinned", (int)c->unpinned, "pairs",
			   (int)c->pairs, "all_pairs", (int)c->all_pairs, "handoffs",
			   (json_int_t)c->handoffs, "backwards", (json_int_t)c->backwards,
			   "step_ns", (json_int_t)c->step_ns, "error_ns", (json_int_t)c->error_ns));
	return o;
}
