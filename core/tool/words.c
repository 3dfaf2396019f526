/* SPDX-License-Identifier: MIT
 *
 * Names of what a history holds.
 */
#include "tool.h"

#include "../kit/kit.h"

enum { TURNS = 8, LENGTH = 256 };

/* Only what is printable, and no end of a string or of a command, reaches the terminal. */
const char *words_clean(const char *s, size_t n)
{
	static char out[TURNS][LENGTH];
	static unsigned turn;
	char *o = out[turn++ % TURNS];
	size_t i;

	for (i = 0; i < n && i < LENGTH - 1 && s[i]; i++)
		o[i] = s[i] >= ' ' && s[i] <= '~' && s[i] != '"' && s[i] != '\\' ? s[i] : '?';
	o[i] = 0;
	return o;
}

const char *words_op(const struct pl_hist_head *h, const struct pl_rec *r)
{
	static const char *const control[] = { "fork", "kill", "reap", "open", "close", "release",
		"level", "asleep", "kick", "drain", "stop", "cont" };

	if (r->op >= PL_OP_FORK && r->op < PL_OP_FORK + sizeof control / sizeof *control)
		return control[r->op - PL_OP_FORK];
	return r->op < h->nops ? CLEAN(h->op[r->op].name) : "?";
}

const char *words_model(uint32_t model)
{
	return model < PL_MODELS ? pl_model_name((enum pl_model)model) : "?";
}

enum pl_role words_role(const struct pl_log *l, const struct pl_rec *r)
{
	return r->op < l->head->nops && r->op < PL_HIST_OPS && l->head->actor != PL_CONTROL &&
			       r->state <= PL_FAIL
		       ? (enum pl_role)l->head->op[r->op].role
		       : PL_NONE;
}
