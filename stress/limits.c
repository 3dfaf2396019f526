/* SPDX-License-Identifier: MIT
 *
 * The budget: what the run needs of each limit of this system, before anything starts. The engine
 * knows limits, not mechanisms: what a driver costs is in its hello.
 */
#include "engine.h"
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ROWS = 20, ENGINE_FDS = 48, DRIVER_FDS = 3, PROCESS_KIB = 160, SPARE_PROCESSES = 16 };
enum { CAP_SYS_ADMIN_ = 21, CAP_SYS_RESOURCE_ = 24 };

/* What is needed of each kind; a row of the budget names one of them. */
enum kind {
	FDS,
	PROCESSES,
	QUEUES,
	MQUEUE_BYTES,
	PIPE_PAGES,
	SYSV_QUEUES,
	SYSV_ARRAYS,
	SHM_SEGMENTS,
	SHM_BYTES,
	MEMORY_KIB,
	KINDS
};

struct want {
	int64_t of[KINDS];
};

struct row {
	const char *name, *lift; /* the limit; what raises it */
	int64_t have, used;	 /* have: INT64_MAX without bound, -1 unknown */
	enum kind kind;
	bool soft; /* beyond it things work otherwise, not worse: a warning */
};

static bool capable(int cap)
{
	unsigned long long mask = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "CapEff: %llx", &mask) == 1)
			break;
	if (f)
		(void)fclose(f);
	return mask >> cap & 1;
}

static int64_t rlimit(int which)
{
	struct rlimit r;

	if (getrlimit(which, &r) < 0)
		return -1;
	return r.rlim_cur == RLIM_INFINITY ? INT64_MAX : (int64_t)r.rlim_cur;
}

static void raise_soft(int which)
{
	struct rlimit r;

	if (getrlimit(which, &r) < 0 || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(which, &r);
}

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What one driver costs. */
static struct want cost(const struct engine *e, const struct mix *m)
{
	int64_t processes = max64(1 + e->cfg.actors, m->needs.processes);

	return (struct want){ .of = {
				      [FDS] = DRIVER_FDS,
				      [PROCESSES] = processes,
				      [QUEUES] = m->needs.queues,
				      [MQUEUE_BYTES] = m->needs.mqueue_bytes,
				      [PIPE_PAGES] = m->needs.pipe_pages,
				      [SYSV_QUEUES] = m->needs.sysv_queues,
				      [SYSV_ARRAYS] = m->needs.sysv_arrays,
				      [SHM_SEGMENTS] = m->needs.shm_segments,
				      [SHM_BYTES] = m->needs.shm_bytes,
				      [MEMORY_KIB] = processes * PROCESS_KIB,
			      } };
}

static struct want want_of(const struct engine *e)
{
	struct want w = { .of = { [FDS] = ENGINE_FDS, [PROCESSES] = SPARE_PROCESSES } };
	int64_t drivers = 0, judges;

	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		const struct mix *m = &e->cfg.mix[i];
		int64_t n = !m->supported ? 0 : e->cfg.only >= 0 ? 1 : m->n - m->over;
		struct want one = cost(e, m);

		drivers += n;
		for (int k = 0; k < KINDS; k++)
			w.of[k] += n * one.of[k];
	}
	/* each driver in a run forks a judge */
	judges = e->cfg.lanes && e->cfg.lanes < drivers ? e->cfg.lanes : drivers;
	w.of[PROCESSES] += judges;
	w.of[MEMORY_KIB] += (SPARE_PROCESSES + judges) * PROCESS_KIB;
	return w;
}

/* Tasks of this user, threads included, as RLIMIT_NPROC counts them. */
static int64_t my_tasks(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *de;
	int64_t n = 0;

	while (dir && (de = readdir(dir))) {
		char path[64];
		struct stat st;

		if (atoi(de->d_name) <= 0)
			continue;
		(void)snprintf(path, sizeof path, "/proc/%d/task", atoi(de->d_name));
		if (stat(path, &st) == 0 && st.st_uid == getuid())
			n += (int64_t)st.st_nlink - 2;
	}
	if (dir)
		(void)closedir(dir);
	return n;
}

static int64_t all_tasks(void)
{
	FILE *f = fopen("/proc/loadavg", "re");
	long long n = 0;

	if (f) {
		(void)!fscanf(f, "%*f %*f %*f %*d/%lld", &n);
		(void)fclose(f);
	}
	return n;
}

static int64_t mem_available_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	long long kib = -1;
	char line[128];

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %lld", &kib) == 1)
			break;
	if (f)
		(void)fclose(f);
	return kib;
}

/* The tightest pids.max on the way from our cgroup to the root; version 2, or the pids controller
 * of 1. */
static void cgroup_pids(int64_t *ret_max, int64_t *ret_used)
{
	char line[PATH_MAX], own[PATH_MAX], path[2 * PATH_MAX];
	FILE *f = fopen("/proc/self/cgroup", "re");

	*ret_max = INT64_MAX;
	*ret_used = 0;
	while (f && fgets(line, sizeof line, f)) {
		const char *root =
			strstr(line, ":pids:") ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
		char *slash = strchr(line, '/');

		if (!slash || (strncmp(line, "0::", 3) != 0 && !strstr(line, ":pids:")))
			continue;
		(void)snprintf(own, sizeof own, "%.*s", (int)strcspn(slash, "\n"), slash);
		for (;;) {
			int64_t max, used;

			(void)snprintf(path, sizeof path, "%s%s/pids.max", root, own);
			max = proc_number(path);
			(void)snprintf(path, sizeof path, "%s%s/pids.current", root, own);
			used = proc_number(path);
			if (max > 0 && max < INT64_MAX && max - used < *ret_max - *ret_used) {
				*ret_max = max;
				*ret_used = used;
			}
			slash = strrchr(own, '/');
			if (!slash)
				break;
			*slash = 0;
		}
	}
	if (f)
		(void)fclose(f);
}

static int64_t queues_now(void)
{
	DIR *dir = opendir("/dev/mqueue");
	int64_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n > 2 ? n - 2 : 0;
}

/* Objects of System V that exist: a line each, after one of headings. */
static int64_t sysv_now(const char *kind)
{
	char path[32], line[256];
	int64_t n = -1;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/sysvipc/%s", kind);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		n++;
	if (f)
		(void)fclose(f);
	return n > 0 ? n : 0;
}

/* The last of the four numbers: how many arrays there may be. */
static int64_t semmni(void)
{
	FILE *f = fopen("/proc/sys/kernel/sem", "re");
	long long n = -1;

	if (f) {
		(void)!fscanf(f, "%*d %*d %*d %lld", &n);
		(void)fclose(f);
	}
	return n;
}

static int64_t shm_free(void)
{
	struct statvfs v;

	return statvfs("/dev/shm", &v) < 0 || v.f_blocks == 0
		       ? -1
		       : (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

/* Queues of its own: no foreign queue counts against us, none of ours can outlive us, and the
 * number may be raised without touching anybody else's. The same holds for what System V has.
 * Only done when the mix has any of these.
 */
static void private_ipc(struct engine *e, const struct want *w)
{
	int64_t queues = w->of[QUEUES];
	static const char path[] = "/proc/sys/fs/mqueue/queues_max";
	char text[32];
	int fd, n;

	if (!(queues || w->of[SYSV_QUEUES] || w->of[SYSV_ARRAYS] || w->of[SHM_SEGMENTS]) ||
		e->cfg.ntarget || unshare(CLONE_NEWIPC) < 0)
		return;
	e->private_ipc = true;
	if (!queues || proc_number(path) >= queues + 8)
		return;
	n = snprintf(text, sizeof text, "%lld", (long long)queues + 8);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, text, (size_t)n);
		(void)close(fd);
	}
}

static size_t fill(struct row *r, const struct engine *e)
{
	bool admin = capable(CAP_SYS_ADMIN_) || capable(CAP_SYS_RESOURCE_);
	int64_t pids, pids_used, any = INT64_MAX;
	int64_t tasks = all_tasks(), hard = proc_number("/proc/sys/fs/pipe-user-pages-hard"),
		soft = proc_number("/proc/sys/fs/pipe-user-pages-soft");
	size_t n = 0;

	cgroup_pids(&pids, &pids_used);
	r[n++] = (struct row){ "RLIMIT_NOFILE", "ulimit -n", rlimit(RLIMIT_NOFILE), 0, FDS };
	/* the kernel asks for the real uid 0 or either capability */
	r[n++] = (struct row){ "RLIMIT_NPROC", "ulimit -u",
		getuid() == 0 || admin ? any : rlimit(RLIMIT_NPROC), my_tasks(), PROCESSES };
	r[n++] = (struct row){ "kernel.pid_max", "sysctl", proc_number("/proc/sys/kernel/pid_max"),
		tasks, PROCESSES };
	r[n++] = (struct row){ "kernel.threads-max", "sysctl",
		proc_number("/proc/sys/kernel/threads-max"), tasks, PROCESSES };
	r[n++] = (struct row){ "pids.max", "the cgroup", pids, pids_used, PROCESSES };
	r[n++] = (struct row){ "fs.mqueue.queues_max", "sysctl",
		proc_number("/proc/sys/fs/mqueue/queues_max"), e->private_ipc ? 0 : queues_now(),
		QUEUES };
	r[n++] = (struct row){ "RLIMIT_MSGQUEUE", "ulimit -q",
		capable(CAP_SYS_RESOURCE_) ? any : rlimit(RLIMIT_MSGQUEUE), 0, MQUEUE_BYTES };
	r[n++] = (struct row){ "fs.pipe-user-pages-hard", "sysctl", admin || !hard ? any : hard, 0,
		PIPE_PAGES };
	r[n++] = (struct row){ "fs.pipe-user-pages-soft", "sysctl", admin || !soft ? any : soft, 0,
		PIPE_PAGES, true };
	r[n++] = (struct row){ "kernel.msgmni", "sysctl", proc_number("/proc/sys/kernel/msgmni"),
		e->private_ipc ? 0 : sysv_now("msg"), SYSV_QUEUES };
	r[n++] = (struct row){ "kernel.sem (SEMMNI)", "sysctl", semmni(),
		e->private_ipc ? 0 : sysv_now("sem"), SYSV_ARRAYS };
	r[n++] = (struct row){ "kernel.shmmni", "sysctl", proc_number("/proc/sys/kernel/shmmni"),
		e->private_ipc ? 0 : sysv_now("shm"), SHM_SEGMENTS };
	r[n++] = (struct row){ "free in /dev/shm", "mount -o remount,size=", shm_free(), 0,
		SHM_BYTES };
	r[n++] = (struct row){ "MemAvailable (KiB)", "memory", mem_available_kib(), 0, MEMORY_KIB };
	return n;
}

static bool short_of(const struct row *r, const struct want *w)
{
	return r->have >= 0 && w->of[r->kind] > 0 && r->used + w->of[r->kind] > r->have;
}

static void show_row(const struct row *r, const struct want *w)
{
	char have[32];

	(void)snprintf(have, sizeof have, "%lld", (long long)r->have);
	(void)printf("%-26s %12s %12lld %12lld  %s\n", r->name,
		r->have < 0	       ? "unknown"
		: r->have == INT64_MAX ? "no limit"
				       : have,
		(long long)r->used, (long long)w->of[r->kind],
		!short_of(r, w) ? "ok"
		: r->soft	? "beyond: pipes get smaller"
				: "TOO SMALL");
}

/* One driver less of what there is most of, among those that need what is short. It keeps its
 * number and is skipped. */
static bool give_up_one(struct engine *e, const struct row *r)
{
	struct mix *most = NULL;

	for (unsigned i = 0; i < e->cfg.nmix; i++) {
		struct mix *m = &e->cfg.mix[i];

		if (m->supported && m->n > m->over && cost(e, m).of[r->kind] > 0 &&
			(!most || m->n - m->over >= most->n - most->over))
			most = m;
	}
	if (!most)
		return false;
	most->over++;
	(void)snprintf(most->why, sizeof most->why,
		"limit %s: it is %lld with %lld in use: raise it (%s) for more drivers", r->name,
		(long long)r->have, (long long)r->used, r->lift);
	return true;
}

void limits_fit(struct engine *e)
{
	struct want w = want_of(e);
	struct row row[ROWS];
	size_t n;

	raise_soft(RLIMIT_NOFILE);
	raise_soft(RLIMIT_NPROC);
	raise_soft(RLIMIT_MSGQUEUE);
	private_ipc(e, &w);
	n = e->cfg.fit ? fill(row, e) : 0;
	for (size_t i = 0; i < n; i++) {
		w = want_of(e);

		while (!row[i].soft && short_of(&row[i], &w) && give_up_one(e, &row[i]))
			w = want_of(e);
	}
}

/* How a run ends that does not fit; what is only worse is told. */
static int refuse(struct engine *e, const struct row *r, const struct want *w)
{
	if (r->soft) {
		human_note(e, "warning: %s is %lld, this run uses %lld: some pipes will be smaller",
			r->name, (long long)r->have, (long long)w->of[r->kind]);
		return 0;
	}
	(void)fprintf(stderr,
		"plumb-stress: %s is %lld with %lld in use, this run needs %lld more: raise it "
		"(%s), run less, or say --fit\n",
		r->name, (long long)r->have, (long long)r->used, (long long)w->of[r->kind],
		r->lift);
	return EXIT_BROKEN;
}

int limits_check(struct engine *e, bool show)
{
	struct want w = want_of(e);
	struct row row[ROWS];
	size_t n = fill(row, e);
	int r = 0;

	if (show)
		(void)printf("%-26s %12s %12s %12s\n", "limit", "value", "in use", "needed");
	for (size_t i = 0; i < n; i++) {
		if (show)
			show_row(&row[i], &w);
		if (!short_of(&row[i], &w))
			continue;
		if (show)
			r = row[i].soft ? r : EXIT_BROKEN;
		else if (!r)
			r = refuse(e, &row[i], &w);
	}
	return r;
}
