/* SPDX-License-Identifier: MIT
 *
 * Actors of kind exec: the same program begun anew, with a fresh address space and nothing inherited but the kit's own
 * three descriptors.
 */
#include "kit.h"
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static _Noreturn void exec_self(char *const *argv)
{
	extern char **environ;

	(void)syscall(SYS_execve, "/proc/self/exe", argv, environ);
	(void)syscall(SYS_execve, getauxval(AT_EXECFN), argv, environ); /* no /proc */
	raw_exit(127);
}

/* Under an emulator the system may not know how to start this program. Asked once, with a call that ends in a usage
 * error at once. */
bool pl_exec_works(void)
{
	static int known = -1;
	char *argv[] = { (char *)pl_ctl.drv->name, "--actor", NULL };
	int status = 0;
	pid_t pid;

	if (known >= 0)
		return known;
	pid = fork();
	if (pid == 0)
		exec_self(argv);
	while (pid > 0 && syscall(SYS_wait4, pid, &status, 0, NULL) < 0 && errno == EINTR)
		;
	known = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == PL_EXIT_USAGE;
	return known;
}

/* Becomes an actor of kind exec under the same id: nothing but the kit's three descriptors
 * survives. */
_Noreturn void pl_actor_become(struct pl_env *e)
{
	char id[12], inc[12], chan[12], bell[12], mem[12];
	char *argv[] = { (char *)e->drv->name, "--actor", id, inc, chan, bell, mem, NULL };
	int keep[] = { e->chan, e->bell, e->sharedfd }, i;

	for (i = 0; i < 3; i++)
		(void)syscall(SYS_fcntl, keep[i], F_SETFD, 0);
	(void)snprintf(id, sizeof id, "%u", e->id);
	(void)snprintf(inc, sizeof inc, "%u", e->incarnation);
	(void)snprintf(chan, sizeof chan, "%d", e->chan);
	(void)snprintf(bell, sizeof bell, "%d", e->bell);
	(void)snprintf(mem, sizeof mem, "%d", e->sharedfd);
	exec_self(argv);
}

/* `plumb-X --actor ID INCARNATION CHANNEL BELL SHARED`: the far side of pl_actor_become(). */
int pl_exec_main(int argc, char **argv, const struct pl_driver *d)
{
	static struct pl_env e;
	int i;

	if (argc != 7)
		return PL_EXIT_USAGE;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	e.drv = d, e.ops = pl_ops_table(d, NULL);
	e.id = (unsigned)atoi(argv[2]), e.incarnation = (unsigned)atoi(argv[3]);
	e.chan = atoi(argv[4]), e.bell = atoi(argv[5]), e.sharedfd = atoi(argv[6]);
	e.shared = pl_shared_map(e.sharedfd);
	if (!e.shared || e.id >= PL_ACTORS_MAX)
		return 2;
	e.slot = &e.shared->slot[e.id];
	for (i = 0; i <= PL_HANDLES_MAX; i++)
		e.obj[i] = (struct pl_obj){ .fd = { -1, -1 } };
	pl_actor_signals();
	for (i = 0; i < 3; i++)
		(void)syscall(SYS_fcntl, atoi(argv[4 + i]), F_SETFD, FD_CLOEXEC);
	pl_actor_main(&e);
	return 0;
}
