/* SPDX-License-Identifier: MIT
 *
 * History files: what must hold of the bytes before any of them is looked at as a history.
 */
#ifndef PLUMBLINE_CHECK_FILE_H
#define PLUMBLINE_CHECK_FILE_H

#include "check.h"

/* A history in memory. 0, or -EINVAL with one line in `why` that says what is wrong and at which
 * offset. The log points into `bytes`, which must be aligned to eight. */
int pl_file_parse(
	const void *bytes, size_t size, struct pl_log *ret_log, char *why, size_t why_size);

/* The same of a file, mapped read-only and for good. Also -errno, and then `why` says which call
 * failed. */
int pl_file_map(const char *path, struct pl_log *ret_log, char *why, size_t why_size);

/* One history from the halves of a round that several drivers have kept, each with an instance of
 * its own, on machines without a common clock. Fills ret (room for n) with copies and gives their
 * number, or -EINVAL with the reason. The caller frees head and records of each. */
int pl_join(const struct pl_log *logs, int n, struct pl_log *ret, const char **why);

#endif
