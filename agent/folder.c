/* SPDX-License-Identifier: MIT
 *
 * The folder of the drivers: unpacked from a stream, found, removed.
 */
#include "agent.h"
#include "kit/raw.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { BLOCK = 512, FILE_MAX = 64 << 20, FILES_MAX = 512, DEPTH_MAX = 16, YOUNG_S = 600 };

static int read_all(int fd, void *buf, size_t n)
{
	char *p = buf;

	while (n > 0) {
		long got = raw_read(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		p += got, n -= (size_t)got;
	}
	return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		long done = raw_write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -ENOSPC;
		p += done, n -= (size_t)done;
	}
	return 0;
}

static long octal(const char *field, size_t n)
{
	char text[16] = "", *end;
	long v;

	memcpy(text, field, n < sizeof text ? n : sizeof text - 1);
	v = strtol(text, &end, 8);
	return end == text || (*end && *end != ' ') || v < 0 ? -1 : v;
}

/* The header of a plain file in this very folder; all else is refused. */
static bool header_ok(const unsigned char *h, char *name, long *ret_size)
{
	long sum = 8L * ' ', i;

	for (i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? 0 : h[i];
	(void)snprintf(name, 101, "%.100s", (const char *)h);
	*ret_size = octal((const char *)h + 124, 12);
	return octal((const char *)h + 148, 8) == sum && (h[156] == '0' || h[156] == 0) && *name &&
	       *name != '.' && !strchr(name, '/') && *ret_size >= 0 && *ret_size <= FILE_MAX;
}

static int take_file(int from, int to, long size)
{
	static char buf[1 << 16];
	long left = (size + BLOCK - 1) / BLOCK * BLOCK; /* padded with zeros */
	int r = 0;

	while (left > 0 && r == 0) {
		size_t n = left < (long)sizeof buf ? (size_t)left : sizeof buf;

		r = read_all(from, buf, n);
		if (r == 0)
			r = write_all(to, buf, (long)n < size ? n : (size_t)size);
		left -= (long)n, size -= (long)n < size ? (long)n : size;
	}
	return r;
}

static int unpack_one(int fd, const char *dir, const unsigned char *header, const char **ret_why)
{
	char name[101], path[1200];
	long size;
	int to, r;

	*ret_why = "no tar of plain files";
	if (!header_ok(header, name, &size))
		return -EINVAL;
	*ret_why = "cannot write a file";
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	/* the agent's own file is there already: it runs */
	to = (int)raw_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0755);
	if (to < 0 && errno == EEXIST)
		to = (int)raw_open("/dev/null", O_WRONLY | O_CLOEXEC, 0);
	if (to < 0)
		return -errno;
	r = take_file(fd, to, size);
	if (raw_close(to) < 0 && r == 0)
		r = -errno;
	return r;
}

int folder_unpack(int fd, const char *dir, const char **ret_why)
{
	static const unsigned char zeros[BLOCK];
	unsigned char header[BLOCK];
	int files, ends = 0, r;

	for (files = 0; files < FILES_MAX && ends < 2; files++) {
		*ret_why = "the input ended in it";
		r = read_all(fd, header, sizeof header);
		if (r == 0 && !memcmp(header, zeros, sizeof header)) {
			ends++;
			continue;
		}
		if (r == 0)
			r = unpack_one(fd, dir, header, ret_why);
		if (r < 0)
			return r;
	}
	*ret_why = "too many files";
	return ends == 2 ? 0 : -E2BIG;
}

/* The agent made the folder, or was told that it is its own: all below it goes. */
static void empty(int dirfd, int depth)
{
	DIR *d = fdopendir(dirfd);
	struct dirent *e;

	if (!d) {
		(void)raw_close(dirfd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		int sub;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
			unlinkat(dirfd, e->d_name, 0) == 0 || depth == 0)
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			empty(sub, depth - 1);
		(void)unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
	}
	(void)closedir(d);
}

void folder_remove(const char *dir)
{
	int fd = (int)raw_open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);

	if (fd >= 0)
		empty(fd, DEPTH_MAX);
	(void)rmdir(dir);
}

void folder_hold(const char *dir)
{
	int fd = (int)raw_open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);

	if (fd >= 0)
		(void)flock(fd, LOCK_EX | LOCK_NB); /* until this process ends, however it ends */
}

/* A folder that nobody holds is a dead agent's; a young one may be about to be held. */
void folder_sweep(const char *parent, const char *prefix)
{
	DIR *d = opendir(parent);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		struct stat st;
		int fd;

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
			time(NULL) - st.st_ctime < YOUNG_S || flock(fd, LOCK_EX | LOCK_NB) < 0) {
			(void)raw_close(fd);
			continue;
		}
		empty(fd, DEPTH_MAX);
		(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	if (d)
		(void)closedir(d);
}

int folder_find(char *dir, size_t size)
{
	const char *name = (const char *)getauxval(AT_EXECFN); /* where there is no /proc */
	ssize_t n = readlink("/proc/self/exe", dir, size - 1);
	char *slash, *whole;

	if (n <= 0) {
		whole = name ? realpath(name, NULL) : NULL;
		if (!whole || strlen(whole) >= size) {
			free(whole);
			return -ENOENT;
		}
		n = (ssize_t)strlen(whole);
		memcpy(dir, whole, (size_t)n);
		free(whole);
	}
	dir[n] = 0;
	slash = strrchr(dir, '/');
	if (!slash)
		return -ENOENT;
	*(slash == dir ? slash + 1 : slash) = 0;
	return 0;
}
