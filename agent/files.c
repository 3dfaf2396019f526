/* SPDX-License-Identifier: MIT
 *
 * A work folder on the target for whoever needs one (the engine's results), read over the same
 * stream. Nothing outside of it can be read, and it goes with the agent.
 */
#include "agent.h"
#include "kit/kit.h"
#include "kit/raw.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 36 << 10, LIST_MAX = 1000, NAME_CUT = 60 };

static char work[1100];

static bool try_work(const char *in)
{
	if (!in || !*in || strlen(in) > 1024)
		return false;
	folder_sweep(in, "plumb.work.");
	(void)snprintf(work, sizeof work, "%s/plumb.work.XXXXXX", in);
	if (!mkdtemp(work))
		work[0] = 0;
	else
		folder_hold(work);
	return work[0] != 0;
}

void req_folder(json_t *id, json_t *req, int64_t number)
{
	if (!work[0] && !try_work(agent.temporary ? agent.dir : getenv("TMPDIR")) &&
		!try_work("/tmp") && !try_work("/dev/shm") && !try_work("/var/tmp"))
		return say_err(id, "os", pl_errno_name(errno), "no folder can be made: %s",
			pl_errno_name(errno));
	say_ok(id, json_pack("{so}", "path", text_json(work, strlen(work))));
}

void files_remove(void)
{
	if (work[0])
		folder_remove(work);
}

/* Opened part by part, so that neither ".." nor a link leads out of the work folder. -errno */
static int open_below(const char *path)
{
	char part[256];
	int fd = work[0] ? (int)raw_open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) : -1, next,
	    err;
	size_t n;

	if (fd < 0)
		return -ENOENT;
	for (; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (n == 0 || n >= sizeof part || path[0] == '.') {
			(void)raw_close(fd);
			return -EINVAL;
		}
		memcpy(part, path, n);
		part[n] = 0;
		next = openat(fd, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		err = next < 0 ? -errno : 0;
		(void)raw_close(fd);
		if (err)
			return err;
		fd = next;
	}
	return fd;
}

static void base64(const unsigned char *in, size_t n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i, k;

	for (i = 0; i < n; i += 3, out += 4) {
		uint32_t v = 0;

		for (k = 0; k < 3; k++)
			v = v << 8 | (i + k < n ? in[i + k] : 0);
		for (k = 0; k < 4; k++)
			out[k] = i + k > n ? '=' : digits[v >> (18 - 6 * k) & 63];
	}
	*out = 0;
}

void req_read(json_t *id, json_t *req, int64_t number)
{
	static unsigned char bytes[CHUNK];
	static char text[CHUNK / 3 * 4 + 5];
	const char *path = json_string_value(json_object_get(req, "path"));
	int64_t at = json_integer_value(json_object_get(req, "at"));
	int fd = path ? open_below(path) : -EINVAL;
	ssize_t n = fd < 0 ? 0 : pread(fd, bytes, sizeof bytes, at);
	int err = fd < 0 ? -fd : n < 0 ? errno : 0;

	if (fd >= 0)
		(void)raw_close(fd);
	if (err)
		return say_err(
			id, "os", pl_errno_name(err), "cannot be read: %s", pl_errno_name(err));
	base64(bytes, (size_t)n, text);
	say_ok(id, json_pack("{ss}", "data", text));
}

static json_t *names(DIR *d, int64_t from)
{
	json_t *a = json_array();
	struct dirent *e;
	int64_t i = 0;

	while ((e = readdir(d)) != NULL && json_array_size(a) < LIST_MAX)
		if (e->d_name[0] != '.' && strlen(e->d_name) < NAME_CUT && i++ >= from)
			(void)json_array_append_new(a, text_json(e->d_name, strlen(e->d_name)));
	return a;
}

/* A file has no list: its client then reads it. */
void req_list(json_t *id, json_t *req, int64_t number)
{
	const char *path = json_string_value(json_object_get(req, "path"));
	int fd = path ? open_below(path) : -EINVAL;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	int err = fd < 0 ? -fd : errno;

	if (!d) {
		if (fd >= 0)
			(void)raw_close(fd);
		return say_err(
			id, "os", pl_errno_name(err), "cannot be listed: %s", pl_errno_name(err));
	}
	say_ok(id, json_pack("{so}", "names",
			   names(d, json_integer_value(json_object_get(req, "at")))));
	(void)closedir(d);
}
