/* SPDX-License-Identifier: MIT
 *
 * libFuzzer: any bytes on the agent's stdin, and any bytes as a bundle. No driver can be started:
 * its folder does not exist.
 */
#include "agent.h"
#include "kit/raw.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lines(const char *p, size_t size)
{
	const char *end = p + size, *lf;

	for (; p < end; p = lf + 1) {
		int64_t ch;

		lf = memchr(p, '\n', (size_t)(end - p));
		lf = lf ? lf : end;
		ch = line_channel(p, (size_t)(lf - p));
		assert(ch >= -1);
		if (ch > 0)
			channel_give(ch, p, (size_t)(lf - p));
		else
			request(p, (size_t)(lf - p));
		agent.bad_lines = 0;
		agent.stopping = false;
		queue_drop(&agent.said);
	}
}

/* Everything that is written lands in a folder of its own. */
static void bundle(const uint8_t *data, size_t size)
{
	static char dir[] = "/dev/shm/plumb.fuzz.XXXXXX";
	static bool made;
	const char *why;
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	if (!made)
		made = mkdtemp(dir) != NULL;
	else
		assert(mkdir(dir, 0700) == 0);
	assert(write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	(void)folder_unpack(fd, dir, &why);
	folder_remove(dir);
	assert(access(dir, F_OK) < 0);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);

	memcpy(agent.dir, "/nonexistent", sizeof "/nonexistent");
	memcpy(copy, data, size);
	if (size > 0 && data[0] == 'T')
		bundle(data + 1, size - 1);
	else
		lines(copy, size);
	free(copy);
	return 0;
}
