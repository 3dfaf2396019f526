/* SPDX-License-Identifier: MIT
 *
 * Where objects that are files live.
 */
#include "../driver.h"

#include <stdio.h>
#include <stdlib.h>

const char *pl_path(const char *name, char buf[PL_PATH_MAX])
{
	const char *dir = getenv("TMPDIR");

	(void)snprintf(buf, PL_PATH_MAX, "%s/%s", dir && *dir ? dir : "/tmp",
		name[0] == '/' ? name + 1 : name);
	return buf;
}
