/* SPDX-License-Identifier: MIT
 *
 * The brute-force judge: is there an order of all operations, consistent with time and with each
 * actor's own order, in which the reference model gives every result? Exponential: for a dozen
 * operations.
 */
#ifndef PLUMBLINE_CHECK_ORACLE_H
#define PLUMBLINE_CHECK_ORACLE_H

#include "check_build.h"
#include "model/model.h"

enum { ORACLE_OPS = 24, ORACLE_SIGNALS = 3 };

/* Judges the round by its model. `drained`: the queue must be empty in the end. */
bool oracle_allows(const struct round *b, bool drained);

/* Whether returns of two actors share a stamp: there the checkers see a little less than the
 * oracle. */
bool oracle_tied(const struct round *b);

#endif
