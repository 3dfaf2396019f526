/* SPDX-License-Identifier: MIT
 *
 * Two ways from the fuzzer's bytes to histories, and what must hold of any verdict.
 */
#ifndef PLUMBLINE_TESTS_FUZZ_HISTORY_H
#define PLUMBLINE_TESTS_FUZZ_HISTORY_H

#include "check/check.h"

#include <stdbool.h>

void fuzz_files(const uint8_t *data, size_t size);
void fuzz_world(const uint8_t *data, size_t size);

/* Aborts when a verdict is no verdict, or finds fault with a history that is right. */
void fuzz_judge(const struct pl_log *logs, int n, bool right);

#endif
