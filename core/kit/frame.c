/* SPDX-License-Identifier: MIT
 *
 * Lines in: a bounded buffer over a descriptor. A line that does not fit is dropped whole, once
 * reported.
 */
#include "kit.h"
#include "raw.h"

#include <string.h>

static struct {
	char buf[PL_LINE_MAX];
	size_t len, used; /* bytes held; bytes of them already given away */
	bool skipping, eof;
} in;

int pl_frame_fill(int fd)
{
	long n;

	memmove(in.buf, in.buf + in.used, in.len - in.used);
	in.len -= in.used, in.used = 0;
	if (in.eof || in.len == sizeof in.buf)
		return 0;
	n = raw_read(fd, in.buf + in.len, sizeof in.buf - in.len);
	if (n == 0)
		in.eof = true;
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : (in.eof = true, -errno);
	in.len += (size_t)n;
	return 0;
}

int pl_frame_next(char **ret_line, size_t *ret_len)
{
	char *start = in.buf + in.used, *lf = memchr(start, '\n', in.len - in.used);

	if (lf) {
		bool dropped = in.skipping;

		in.used = (size_t)(lf - in.buf) + 1;
		in.skipping = false;
		if (dropped)
			return -EMSGSIZE;
		*ret_line = start;
		*ret_len = (size_t)(lf - start);
		return 1;
	}
	if (in.len - in.used == sizeof in.buf || in.skipping) {
		in.skipping = true;
		in.len = in.used = 0;
	}
	return in.eof ? -EPIPE : 0;
}
