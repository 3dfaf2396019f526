/* SPDX-License-Identifier: MIT
 *
 * History files. A file is a claim by someone else: each field is checked before it is used.
 */
#include "file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int bad(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int pl_file_parse(const void *bytes, size_t size, struct pl_log *ret, char *why, size_t n)
{
	const struct pl_hist_head *h = bytes;

	if (size < sizeof h->magic || memcmp(h->magic, PL_HIST_MAGIC, sizeof h->magic) != 0)
		return bad(why, n, "offset 0: no history: it does not begin with " PL_HIST_MAGIC);
	if (size < PL_HIST_HEAD)
		return bad(why, n, "offset %zu: cut off inside the header of %d bytes", size,
			PL_HIST_HEAD);
	if (h->endian != PL_HIST_ENDIAN)
		return bad(why, n, "offset %zu: %s", offsetof(struct pl_hist_head, endian),
			h->endian == __builtin_bswap32(PL_HIST_ENDIAN)
				? "written on a machine of the other byte order"
				: "neither byte order");
	if (h->version != PL_HIST_VERSION)
		return bad(why, n, "offset %zu: format version %u, this tool reads %d",
			offsetof(struct pl_hist_head, version), h->version, PL_HIST_VERSION);
	if (h->head_size != PL_HIST_HEAD || h->rec_size != PL_REC)
		return bad(why, n,
			"offset %zu: header of %u and records of %u bytes, not %d and %d",
			offsetof(struct pl_hist_head, head_size), h->head_size, h->rec_size,
			PL_HIST_HEAD, PL_REC);
	if (h->nops > PL_HIST_OPS)
		return bad(why, n, "offset %zu: %u operations, at most %d fit",
			offsetof(struct pl_hist_head, nops), h->nops, PL_HIST_OPS);
	if (h->head > (size - PL_HIST_HEAD) / PL_REC)
		return bad(why, n, "offset %zu: cut off: %llu records are announced, %zu are there",
			size, (unsigned long long)h->head, (size - PL_HIST_HEAD) / PL_REC);
	*ret = (struct pl_log){ .head = h,
		.rec = (const struct pl_rec *)((const char *)bytes + PL_HIST_HEAD),
		.n = h->head };
	return 0;
}

/* What is wrong with a record by itself, or after the one before it; NULL: nothing. Control's notes need not be in
 * order. */
static const char *wrong(const struct pl_rec *r, bool control, bool *stuck, int64_t *t)
{
	bool operation = r->state >= PL_INVOKED && r->state <= PL_FAIL;

	if (r->state < PL_INVOKED || r->state > PL_MORE)
		return r->state ? "its state is none of the five" : "it was never written";
	if (!operation || control)
		return NULL;
	if (*stuck)
		return "it follows an operation that never returned";
	if (r->t_invoke < *t)
		return "it began before the one before it returned";
	*stuck = r->state == PL_INVOKED;
	*t = *stuck ? r->t_invoke : r->t_return;
	if (*t < r->t_invoke)
		return "it returned before it began";
	return *t >= INT64_MAX / 8 ? "its stamps are out of range" : NULL;
}

int pl_file_records(const struct pl_log *l, char *why, size_t n)
{
	bool stuck = false;
	int64_t t = 0;

	for (uint64_t i = 0; i < l->n; i++) {
		const char *text = wrong(&l->rec[i], l->head->actor == PL_CONTROL, &stuck, &t);

		if (text)
			return bad(why, n, "offset %llu: record %llu: %s",
				(unsigned long long)(PL_HIST_HEAD + i * PL_REC),
				(unsigned long long)i, text);
	}
	return 0;
}

/* A FIFO without a writer must not make us wait, nor a terminal become ours. */
static int open_plain(const char *path, size_t *ret_size, char *why, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		(void)bad(why, n, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		(void)bad(why, n, "not a regular file");
	else if (st.st_size == 0)
		(void)bad(why, n, "the file is empty");
	else {
		*ret_size = (size_t)st.st_size;
		return fd;
	}
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int pl_file_map(
	const char *path, struct pl_log *ret_log, size_t *ret_size, char *why, size_t why_size)
{
	int fd = open_plain(path, ret_size, why, why_size);
	void *p;

	if (fd < 0)
		return -EINVAL;
	p = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)close(fd);
	if (p == MAP_FAILED)
		return bad(why, why_size, "%s", strerror(errno));
	if (pl_file_parse(p, *ret_size, ret_log, why, why_size) == 0)
		return 0;
	(void)munmap(p, *ret_size);
	return -EINVAL;
}

void pl_file_unmap(const struct pl_log *l, size_t size)
{
	(void)munmap((void *)l->head, size);
}
