/* SPDX-License-Identifier: MIT
 *
 * Lines in: a bounded buffer over a descriptor. All zero: nothing has been read yet.
 */
#ifndef PLUMBLINE_FRAME_H
#define PLUMBLINE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

enum { PL_LINE_MAX = 65536 };

struct pl_frame {
	char buf[PL_LINE_MAX];
	size_t len, used; /* bytes held; bytes of them already given away */
	bool skipping, eof;
};

/* Reads once; 0 also when there was nothing, or no room, or at the end. */
int pl_frame_fill(struct pl_frame *f, int fd);
/* 1 a line (no LF), 0 none yet, -EMSGSIZE a line too long was dropped, -EPIPE end of input */
int pl_frame_next(struct pl_frame *f, char **ret_line, size_t *ret_len);

#endif
