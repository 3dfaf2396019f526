/* SPDX-License-Identifier: MIT
 *
 * Asking a driver, before any run, what it is: `plumb-X --hello`.
 */
#include "engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawn_to(char *const argv[], int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t fa;
	int r;

	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&fa, out, 1);
	(void)posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(ret_pid, argv[0], &fa, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	return -r;
}

/* Reads to the end of output, but no further than the deadline. */
static bool read_all(int fd, char *buf, size_t size, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char rest[512];
	size_t n = 0;

	for (;;) {
		int64_t left = deadline - now_ns();
		ssize_t got;

		if (left <= 0 || poll(&p, 1, (int)(left / MS) + 1) <= 0)
			return false;
		got = n + 1 < size ? read(fd, buf + n, size - 1 - n) : read(fd, rest, sizeof rest);
		if (got <= 0)
			return true;
		if (n + 1 < size)
			n += (size_t)got;
		buf[n] = 0;
	}
}

int ask_run(char *const argv[], char *buf, size_t size, int deadline_ms)
{
	int fd[2], r, status = 0;
	pid_t pid;
	bool ended;

	*buf = 0;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	r = spawn_to(argv, fd[1], &pid);
	(void)close(fd[1]);
	if (r < 0) {
		(void)close(fd[0]);
		return r;
	}
	ended = read_all(fd[0], buf, size, now_ns() + deadline_ms * MS);
	(void)close(fd[0]);
	if (!ended)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static rlim_t soft(int what)
{
	struct rlimit r = { 0 };

	(void)getrlimit(what, &r);
	return r.rlim_cur;
}

static json_t *get_hello(const struct config *c, const char *path, char *why, size_t nwhy)
{
	char *argv[TARGET_MAX + 3], *buf = malloc(LINE_MAX_ * 2);
	int n = c->ntarget, r;
	json_t *o = NULL;

	memcpy(argv, c->target, (size_t)n * sizeof *argv);
	argv[n] = (char *)path;
	argv[n + 1] = "--hello";
	argv[n + 2] = NULL;
	r = buf ? ask_run(argv, buf, LINE_MAX_ * 2, 5000) : -ENOMEM;
	if (r == -EAGAIN)
		(void)snprintf(why, nwhy,
			"%s --hello: no process more: RLIMIT_NPROC is %llu, or the cgroup's "
			"pids.max",
			path, (unsigned long long)soft(RLIMIT_NPROC));
	else if (r < 0)
		(void)snprintf(why, nwhy, "%s --hello: %s", path, strerror(-r));
	else if (r > 0)
		(void)snprintf(why, nwhy, "%s --hello: exit status %d", path, r);
	else if (!(o = json_loads(buf, JSON_DISABLE_EOF_CHECK, NULL)))
		(void)snprintf(why, nwhy, "%s --hello: no line of JSON", path);
	free(buf);
	return o;
}

static int64_t need(const json_t *hello, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(hello, "needs"), name));
}

static int find_variant(struct mix *m, const json_t *hello)
{
	size_t i;
	json_t *v;

	json_array_foreach(json_object_get(hello, "variants"), i, v)
	{
		const char *name = json_string_value(json_object_get(v, "name"));
		const char *why = json_string_value(json_object_get(v, "why"));

		if (!name || (*m->variant && strcmp(name, m->variant) != 0))
			continue;
		m->supported = !json_is_false(json_object_get(v, "supported"));
		if (!m->supported)
			(void)snprintf(m->why, sizeof m->why, "%s",
				why && *why ? why : "not supported here");
		return 0;
	}
	return -ENOENT;
}

/* 0, EXIT_USAGE for a mechanism or variant that does not exist, or EXIT_BROKEN; with one line. */
int ask_hello(struct config *c, struct mix *m)
{
	char path[PATH_MAX], why[PATH_MAX + 80] = "", name[2 * NAME_MAX_];
	int64_t n = m->objects ? m->objects : 1;
	json_t *hello;
	int r;

	(void)snprintf(path, sizeof path, "%s/plumb-%s", c->drivers, m->mech);
	if (!c->ntarget && access(path, X_OK) < 0 && c->job) {
		(void)snprintf(m->why, sizeof m->why, "there is no driver '%s'", m->mech);
		return 0;
	}
	if (!c->ntarget && access(path, X_OK) < 0) {
		(void)fprintf(stderr,
			"plumb-stress: no driver '%s' (%s: %s); --list shows what there is\n",
			m->mech, path, strerror(errno));
		return EXIT_USAGE;
	}
	m->path = strdup(path);
	hello = get_hello(c, path, why, sizeof why);
	if (!hello) {
		(void)fprintf(stderr, "plumb-stress: %s\n", why);
		return EXIT_BROKEN;
	}
	m->needs = (struct needs){ need(hello, "processes"), need(hello, "queues") * n,
		need(hello, "mqueue_bytes") * n, need(hello, "pipe_pages") * n, need(hello, "fds"),
		need(hello, "sysv_queues") * n, need(hello, "sysv_arrays") * n,
		need(hello, "shm_segments") * n, need(hello, "shm_bytes") * n };
	r = find_variant(m, hello);
	json_decref(hello);
	if (r < 0 && c->job) {
		(void)snprintf(m->why, sizeof m->why, "its driver has no variant '%s'", m->variant);
		return 0;
	}
	if (r < 0)
		(void)fprintf(stderr,
			"plumb-stress: driver '%s' has no variant '%s'; --list shows them\n",
			m->mech, mix_name(m, name) + strcspn(name, "/") + 1);
	return r < 0 ? EXIT_USAGE : 0;
}

static void list_one(const struct config *c, const char *name)
{
	char path[PATH_MAX], why[PATH_MAX + 80];
	json_t *hello, *v;
	size_t i;

	(void)snprintf(path, sizeof path, "%s/%s", c->drivers, name);
	hello = get_hello(c, path, why, sizeof why);
	if (!hello) {
		(void)printf("%-24s broken: %s\n", name + 6, why);
		return;
	}
	if (c->json) {
		char *s = json_dumps(hello, JSON_COMPACT);

		(void)puts(s);
		free(s);
	} else {
		json_array_foreach(json_object_get(hello, "variants"), i, v)
		{
			char who[2 * NAME_MAX_];
			bool no = json_is_false(json_object_get(v, "supported"));
			const char *vn = json_string_value(json_object_get(v, "name"));
			const char *model = json_string_value(json_object_get(v, "model"));
			const char *reason = json_string_value(json_object_get(v, "why"));

			(void)snprintf(who, sizeof who, "%.31s/%.31s", name + 6, vn ? vn : "?");
			(void)printf("%-24s %-10s %s%s\n", who, model ? model : "?",
				no ? "not supported: " : "supported", no && reason ? reason : "");
		}
	}
	json_decref(hello);
}

static int drivers_only(const struct dirent *de)
{
	return strncmp(de->d_name, "plumb-", 6) == 0 && !strchr(de->d_name, '.') &&
	       strcmp(de->d_name, "plumb-stress") != 0 && strcmp(de->d_name, "plumb-check") != 0;
}

int ask_list(struct config *c)
{
	struct dirent **all;
	int n = scandir(c->drivers, &all, drivers_only, alphasort);

	for (int i = 0; i < n; i++) {
		list_one(c, all[i]->d_name);
		free(all[i]);
	}
	if (n <= 0)
		(void)fprintf(stderr, "plumb-stress: no drivers in '%s'\n", c->drivers);
	else
		free(all);
	return n > 0 ? EXIT_HELD : EXIT_NOTHING;
}
