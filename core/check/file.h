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

/* Whether each record can be one of a history: its state, its stamps, its place. 0, or -EINVAL with
 * the first that cannot in `why`. Stops there: the rest of the file is not touched. */
int pl_file_records(const struct pl_log *l, char *why, size_t why_size);

/* pl_file_parse of a regular file, mapped read-only. Never waits. pl_file_unmap takes what it gave,
 * the log's head unchanged. */
int pl_file_map(
	const char *path, struct pl_log *ret_log, size_t *ret_size, char *why, size_t why_size);
void pl_file_unmap(const struct pl_log *l, size_t size);

/* One history from the halves of a round that several drivers have kept, each with an instance of
 * its own, on machines without a common clock. Fills ret (room for n) with copies and gives their
 * number, or -EINVAL with the reason. The caller frees head and records of each. */
int pl_join(const struct pl_log *logs, int n, struct pl_log *ret, const char **why);

#endif
