/* SPDX-License-Identifier: MIT
 *
 * Starting a driver: three pipes, a fork, and a fourth pipe that says why exec failed.
 */
#include "agent.h"
#include "kit/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { ARGS_MAX = 64, PIPES = 4, IN = 0, OUT = 1, ERR = 2, REPORT = 3 };

extern char **environ;

struct rlimit start_nofile;

void start_prepare(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &start_nofile) < 0)
		return;
	r = start_nofile;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static _Noreturn void child(int pipes[PIPES][2], const char *path, char **argv, json_t *env)
{
	static const int caught[] = { SIGPIPE, SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	const char *name;
	sigset_t none;
	json_t *value;
	unsigned i;
	int err;

	(void)setpgid(0, 0);
	for (i = 0; i < sizeof caught / sizeof *caught; i++)
		(void)sigaction(caught[i], &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (start_nofile.rlim_max > 0)
		(void)setrlimit(RLIMIT_NOFILE, &start_nofile);
	json_object_foreach(env, name, value)
	{
		(void)setenv(name, json_string_value(value), 1);
	}
	(void)syscall(SYS_dup3, pipes[IN][0], 0, 0);
	(void)syscall(SYS_dup3, pipes[OUT][1], 1, 0);
	(void)syscall(SYS_dup3, pipes[ERR][1], 2, 0);
	(void)syscall(SYS_execve, path, argv, environ);
	err = errno;
	(void)raw_write(pipes[REPORT][1], &err, sizeof err);
	raw_exit(127);
}

static void close_all(int pipes[PIPES][2])
{
	int i, k;

	for (i = 0; i < PIPES; i++)
		for (k = 0; k < 2; k++)
			if (pipes[i][k] >= 0)
				(void)raw_close(pipes[i][k]);
}

static int launch(struct channel *c, const char *path, char **argv, json_t *env, const char **call)
{
	int pipes[PIPES][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } }, i, err = 0;

	*call = "pipe";
	for (i = 0; i < PIPES; i++)
		if (syscall(SYS_pipe2, pipes[i], O_CLOEXEC) < 0) {
			err = errno;
			close_all(pipes);
			return -err;
		}
	*call = "fork";
	c->pid = fork();
	if (c->pid == 0)
		child(pipes, path, argv, env);
	err = c->pid < 0 ? errno : 0;
	(void)raw_close(pipes[REPORT][1]);
	pipes[REPORT][1] = -1;
	if (err == 0) {
		*call = "exec";
		(void)setpgid(c->pid, c->pid); /* whoever comes first: a signal must find it */
		while (raw_read(pipes[REPORT][0], &err, sizeof err) < 0 && errno == EINTR)
			;
		if (err != 0)
			(void)syscall(SYS_wait4, c->pid, NULL, 0, NULL);
	}
	if (err == 0) {
		c->in = pipes[IN][1], c->out = pipes[OUT][0], c->err = pipes[ERR][0];
		pipes[IN][1] = pipes[OUT][0] = pipes[ERR][0] = -1;
		(void)syscall(SYS_fcntl, c->in, F_SETFL, O_WRONLY | O_NONBLOCK);
	}
	close_all(pipes);
	return -err;
}

int channel_start(unsigned number, const char *driver, json_t *args, json_t *env, pid_t *ret_pid,
	const char **ret_call)
{
	char path[1200], *argv[ARGS_MAX + 2];
	struct channel *c = calloc(1, sizeof *c);
	size_t i, n = json_array_size(args);
	int r;

	*ret_call = "malloc";
	if (!c)
		return -ENOMEM;
	if (n > ARGS_MAX) {
		free(c);
		*ret_call = "exec";
		return -E2BIG;
	}
	(void)snprintf(path, sizeof path, "%s/plumb-%s", agent.dir, driver);
	(void)snprintf(c->driver, sizeof c->driver, "%s", driver);
	argv[0] = path;
	for (i = 0; i < n; i++)
		argv[i + 1] = (char *)json_string_value(json_array_get(args, i));
	argv[n + 1] = NULL;
	c->number = number;
	r = launch(c, path, argv, env, ret_call);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret_pid = c->pid;
	agent.channel[number] = c;
	agent.alive++;
	if (number >= agent.top)
		agent.top = number + 1;
	return 0;
}
