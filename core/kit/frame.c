/* SPDX-License-Identifier: MIT
 *
 * Lines in. A line that does not fit is dropped whole, once reported.
 */
#include "frame.h"
#include "raw.h"

#include <string.h>

int pl_frame_fill(struct pl_frame *f, int fd)
{
	long n;

	memmove(f->buf, f->buf + f->used, f->len - f->used);
	f->len -= f->used, f->used = 0;
	if (f->eof || f->len == sizeof f->buf)
		return 0;
	n = raw_read(fd, f->buf + f->len, sizeof f->buf - f->len);
	if (n == 0)
		f->eof = true;
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : (f->eof = true, -errno);
	f->len += (size_t)n;
	return 0;
}

int pl_frame_next(struct pl_frame *f, char **ret_line, size_t *ret_len)
{
	char *start = f->buf + f->used, *lf = memchr(start, '\n', f->len - f->used);

	if (lf) {
		bool dropped = f->skipping;

		f->used = (size_t)(lf - f->buf) + 1;
		f->skipping = false;
		if (dropped)
			return -EMSGSIZE;
		*ret_line = start;
		*ret_len = (size_t)(lf - start);
		return 1;
	}
	if (f->len - f->used == sizeof f->buf || f->skipping) {
		f->skipping = true;
		f->len = f->used = 0;
	}
	return f->eof ? -EPIPE : 0;
}
