/* SPDX-License-Identifier: MIT
 *
 * What /proc says about processes. Everything answers -1, 0 or '?' where the kernel does not tell.
 */
#ifndef PLUMBLINE_PROC_H
#define PLUMBLINE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
	pid_t pid, ppid, pgid;
	char state; /* R S D T Z ... */
	char comm[20];
};

int proc_read(pid_t pid, struct proc *ret);
int64_t proc_run_delay(pid_t pid);		  /* ns it was runnable without a CPU */
int proc_all(struct proc **ret, unsigned *ret_n); /* of this pid namespace; free() it */

/* Descendants of `root`, root excluded, as a snapshot: to be repeated until empty. Zombies are left
 * out. */
int proc_tree(pid_t root, struct proc **ret, unsigned *ret_n);
void proc_kill_tree(pid_t root);

bool proc_tagged(pid_t pid, const char *env); /* "NAME=value" is in its initial environment */
int64_t proc_number(const char *path);	      /* first integer of a file; "max": INT64_MAX; -1 */

#endif
