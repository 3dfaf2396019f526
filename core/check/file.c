/* SPDX-License-Identifier: MIT
 *
 * History files. A file is a claim by someone else: each field is checked before it is used.
 */
#include "file.h"

#include <fcntl.h>
#include <stdarg.h>
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

int pl_file_map(const char *path, struct pl_log *ret, char *why, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	void *p = MAP_FAILED;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	else if (fd >= 0 && !S_ISREG(st.st_mode))
		err = EINVAL;
	else if (fd >= 0)
		err = ENODATA;
	err = err ? err : p == MAP_FAILED ? errno : 0;
	if (fd >= 0)
		(void)close(fd);
	if (err) {
		(void)bad(why, n, "%s",
			err == ENODATA	? "the file is empty"
			: err == EINVAL ? "not a regular file"
					: strerror(err));
		return -err;
	}
	return pl_file_parse(p, (size_t)st.st_size, ret, why, n);
}
