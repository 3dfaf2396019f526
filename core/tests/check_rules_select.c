/* SPDX-License-Identifier: MIT
 *
 * Claim: of takes that select, each rule accuses the smallest history that breaks it, and lets the same history
 * pass when the take selects something else.
 */
#include "check_rules.h"

/* What is put is of type 1, 2, 1, one after the other; then one take, which got number n. */
static struct round *chosen(int op, int32_t form, int n)
{
	static const uint64_t type[] = { 0, 1, 2, 1 };
	struct round *b = b_new(PL_MODEL_SELECT, 3);
	struct pl_rec *r;

	for (int i = 1; i <= 3; i++)
		b_put(b, 0, i, 10 * i, 10 * i + 5)->aux = type[i];
	r = b_take(b, 1, n ? n : 1, 50, 60);
	r->op = (uint8_t)op;
	r->sum = (uint32_t)form;
	r->aux = type[n];
	if (!n)
		b_fail(r, ENOMSG)->token = 0;
	for (int i = 1; i <= 3; i++)
		if (i != n)
			b_take(b, 2, i, 60 + 10 * i, 65 + 10 * i)->aux = type[i];
	return b;
}

RULE(VSELECT)
{
	red(chosen(B_TAKE, 2, 1), "VSELECT");
	green(chosen(B_TAKE, 1, 1), "VSELECT");
	red(chosen(B_EXCEPT, 1, 1), "VSELECT");
	green(chosen(B_EXCEPT, 1, 2), "VSELECT");
	red(chosen(B_TAKE, -1, 2), "VSELECT");
	green(chosen(B_TAKE, -1, 1), "VSELECT");
}

RULE(VORD_of_what_is_selected)
{
	red(chosen(B_TAKE, 0, 2), "VORD");
	green(chosen(B_TAKE, 2, 2), "VORD");
	red(chosen(B_TAKE, 1, 3), "VORD");
	red(chosen(B_EXCEPT, 2, 3), "VORD");
	red(chosen(B_TAKE, -2, 3), "VORD");
	green(chosen(B_TAKE, 0, 1), "VORD");
	green(chosen(B_EXCEPT, 2, 1), "VORD");
}

RULE(VPRIO_of_what_is_selected)
{
	red(chosen(B_TAKE, -2, 2), "VPRIO");
	green(chosen(B_TAKE, -2, 1), "VPRIO");
}

RULE(VWIT_of_what_is_selected)
{
	red(chosen(B_TAKE, 0, 0), "VWIT");
	red(chosen(B_TAKE, 2, 0), "VWIT");
	red(chosen(B_TAKE, -1, 0), "VWIT");
	red(chosen(B_EXCEPT, 1, 0), "VWIT");
	green(chosen(B_TAKE, 3, 0), "VWIT");
	green(chosen(B_TAKE, -1, 1), "VWIT");
}

/* Who wants one type may sleep beside others; who takes anything may not. */
RULE(LOSTWAKE_of_what_is_selected)
{
	for (uint32_t form = 0; form < 2; form++) {
		struct round *b = b_new(PL_MODEL_SELECT, 2);

		b_put(b, 0, 1, 0, 10)->aux = 2;
		b_fail(b_take(b, 1, 0, 5, 100), EINTR)->sum = form;
		b_control(b, PL_OP_LEVEL, 0, 50, 51)->ret = 1;
		b_control(b, PL_OP_ASLEEP, 1, 52, 52)->aux = 0;
		b_control(b, PL_OP_KICK, 1, 60, 60);
		b_take(b, 0, 1, 110, 120)->aux = 2;
		(form ? green : red)(b, "LOSTWAKE");
	}
}
