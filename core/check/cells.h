/* SPDX-License-Identifier: MIT
 *
 * The bytes that a round's ranges are about, in cells: runs of bytes that no range parts. A range is a mask of cells.
 */
#ifndef PLUMBLINE_CHECK_CELLS_H
#define PLUMBLINE_CHECK_CELLS_H

#include "internal.h"

enum { PL_CELLS = 64 };

/* Cell i is the bytes [edge[i], edge[i + 1]). */
struct pl_cells {
	uint64_t edge[PL_CELLS + 1];
	int n; /* edges */
};

/* False: the ranges of this round make more cells than a mask has bits. */
bool pl_cells_make(struct pl_cells *ret, const struct pl_case *c);

/* The cells of an acquire or a release. */
uint64_t pl_cells_of(const struct pl_cells *k, const struct pl_rec *r);

/* What an actor holds, cell by cell, and how that changes. */
struct pl_held {
	uint64_t alone, shared;
};

/* After it succeeded. */
void pl_held_after(
	struct pl_held *h, const struct pl_cells *k, const struct pl_rec *r, enum pl_role role);

/* What of it is in the way of another's acquire. */
uint64_t pl_held_against(const struct pl_held *h, const struct pl_cells *k, const struct pl_rec *r);

/* Whether nobody but `who` could hold at time `at` what is in the way of its acquire r; `asleep`: an actor that waits
 * itself, and has nothing by that. */
bool pl_cells_free(const struct pl_case *c, int who, const struct pl_rec *r, int64_t at,
	bool (*asleep)(const struct pl_case *c, int who));

#endif
