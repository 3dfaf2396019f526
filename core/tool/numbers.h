/* SPDX-License-Identifier: MIT
 *
 * Small numbers for the tokens of a round, in order of the tokens: from 1 on, 0 for none.
 */
#ifndef PLUMBLINE_NUMBERS_H
#define PLUMBLINE_NUMBERS_H

#include "tool.h"

struct numbers {
	uint64_t *token, n;
};

/* Of all tokens, or of those that were stored: put, or tried to. 0 or -ENOMEM. */
int numbers_of(const struct round *r, bool stored, struct numbers *ret);
int64_t numbers_get(const struct numbers *s, uint64_t token);
void numbers_free(struct numbers *s);

#endif
