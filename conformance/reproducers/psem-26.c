/* SPDX-License-Identifier: MIT
 *
 * Clause    PSEM-26: sem_open of a name that is too long fails with ENAMETOOLONG.
 * Source    sem_open(3) ERRORS: ENAMETOOLONG. (POSIX.1-2017 lets sem_open fail so.)
 * Expected  ENAMETOOLONG for a slash and 256 characters.
 * Observed  glibc 2.36: EINVAL, as for every name that it cannot make a file's name of.
 *
 * Exit 0: held, 1: violated, 77: no named semaphores here.  cc -pthread -o psem-26 psem-26.c && ./psem-26
 */
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	char name[NAME_MAX + 3] = "/";
	sem_t *s;

	memset(name + 1, 'n', sizeof name - 2);
	s = sem_open(name, 0);
	if (s != SEM_FAILED || errno == ENOSYS)
		return 77;
	printf("sem_open of a slash and %zu characters: %s\n", strlen(name) - 1, strerror(errno));
	return errno != ENAMETOOLONG;
}
