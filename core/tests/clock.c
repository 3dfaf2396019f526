/* SPDX-License-Identifier: MIT
 *
 * The audit sees a clock that steps back from one CPU to another, and says when a clock is not the one it was.
 */
#include "hist/clock.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SKEW_NS = 10000000 };

static bool skewed;

/* In place of libc's: on all CPUs but the first it is late. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	if (!skewed || sched_getcpu() == 0)
		return r;
	ts->tv_nsec -= SKEW_NS;
	if (ts->tv_nsec < 0)
		ts->tv_sec--, ts->tv_nsec += 1000000000;
	return r;
}

static unsigned first_and_another(void)
{
	cpu_set_t all, two;
	unsigned n = 0;

	CPU_ZERO(&two);
	cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
	for (unsigned i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &all) && (n > 0 || i == 0)) {
			CPU_SET(i, &two);
			n++;
		}
	(void)sched_setaffinity(0, sizeof two, &two);
	return n;
}

Test(clock, a_step_back_is_seen)
{
	struct pl_clock k;

	if (first_and_another() < 2)
		cr_skip_test("one CPU");
	skewed = true;
	pl_clock_audit("", PL_CLOCK_BUDGET_NS, &k);
	cr_assert_eq(k.all_pairs, 1);
	cr_assert(k.pairs == 1 && k.backwards > 0, "%llu of %llu hand-offs",
		(unsigned long long)k.backwards, (unsigned long long)k.handoffs);
	cr_assert(k.step_ns > 0 && k.step_ns <= SKEW_NS);
	cr_assert_eq(k.error_ns, k.step_ns + k.res_ns);
}

Test(clock, without_one_the_error_is_the_resolution)
{
	struct pl_clock k;

	pl_clock_audit("", PL_CLOCK_BUDGET_NS, &k);
	cr_assert(k.res_ns > 0 && k.cpus > 0 && k.pairs <= k.all_pairs && k.unpinned <= k.cpus);
	cr_assert_eq(k.error_ns, k.step_ns * (k.cpus > 16 ? 2 : 1) + k.res_ns);
}

Test(clock, one_cpu_has_no_pair)
{
	struct pl_clock k;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
	pl_clock_audit("", PL_CLOCK_BUDGET_NS, &k);
	cr_assert_eq(k.cpus, 1);
	cr_assert_eq(k.all_pairs, 0);
	cr_assert_eq(k.handoffs, 0);
	cr_assert_eq(k.unpinned, 0);
	cr_assert_eq(k.error_ns, k.res_ns);
}

static void put(const char *root, const char *path, const char *text)
{
	char full[PATH_MAX], *slash;
	FILE *f;

	(void)snprintf(full, sizeof full, "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "w");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

#define SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

Test(clock, where_it_is_read)
{
	char root[] = "/tmp/plumb-clock-XXXXXX";
	struct pl_clock k;

	cr_assert(mkdtemp(root));
	put(root, SOURCE, "hpet\n");
	put(root, "/proc/sys/kernel/random/boot_id", "123e4567-e89b-12d3-a456-426614174000\n");
	put(root, "/proc/self/timens_offsets", "monotonic           -2 500000000\nboottime 1 0\n");
	put(root, "/proc/self/ns/time", "");
	pl_clock_place(root, &k);
	cr_assert_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	cr_assert_str_eq(k.source, "hpet");
	cr_assert_str_eq(k.boot, "123e4567-e89b-12d3-a456-426614174000");
	cr_assert_eq(k.offset_ns, -1500000000);
	cr_assert(k.timens > 0);
	pl_clock_place("/nowhere", &k);
	cr_assert(!*k.source && !*k.boot && !k.timens && !k.offset_ns && k.res_ns > 0);
}

Test(clock, doubt)
{
	struct pl_clock a = { .source = "tsc", .boot = "x", .timens = 7, .error_ns = 5 }, b = a;
	char why[160] = "";

	cr_assert(!pl_clock_doubt(&a, &b, why, sizeof why));
	b.error_ns = 4;
	cr_assert(!pl_clock_doubt(&a, &b, why, sizeof why), "better than thought");
	b.error_ns = 6;
	cr_assert(pl_clock_doubt(&a, &b, why, sizeof why) && strstr(why, "stepped back"));
	b = a;
	(void)snprintf(b.source, sizeof b.source, "hpet");
	cr_assert(pl_clock_doubt(&a, &b, why, sizeof why) && strstr(why, "from tsc to hpet"));
	b = a, b.timens = 8;
	cr_assert(pl_clock_differs(&a, &b, why, sizeof why) && strstr(why, "time namespace"));
	cr_assert(pl_clock_doubt(&a, &b, why, sizeof why));
	b = a, b.boot[0] = 'y';
	cr_assert(pl_clock_differs(&a, &b, why, sizeof why) && strstr(why, "kernel"));
	b.boot[0] = 0, b.timens = 0;
	cr_assert(!pl_clock_differs(&a, &b, why, sizeof why), "who cannot tell does not differ");
}
