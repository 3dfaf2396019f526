/* SPDX-License-Identifier: MIT
 *
 * A checker on trial: small random histories, right ones and spoilt ones, that brute force judges beside it.
 */
#ifndef PLUMBLINE_CHECK_TRIAL_H
#define PLUMBLINE_CHECK_TRIAL_H

#include "check_dice.h"

struct trial {
	const char *name;
	struct round *(*make)(struct dice *d, bool deaths);
	void (*spoil)(struct round *b, struct dice *d);
	bool (*emptied)(const struct round *b); /* all that was left has been taken; NULL: never */
	int percent; /* of the wrong ones must be caught; 0: all, but where two actors' returns share a stamp */
};

/* No false alarm with this seed and a fresh one, none from a clock that is late, no finding of parts of what is right,
 * and what the search for an order says is what brute force says. */
void trial_run(const struct trial *t, uint64_t seed);

#endif
