/* SPDX-License-Identifier: MIT
 *
 * Is the clock to be trusted? It is audited before the drivers start, which are told its error, and when all
 * are gone. Where it was another one, or went further back than was allowed for, what rests on stamps is not
 * known: such rounds are judged by what needs no clock, or not at all.
 */
#include "engine.h"

#include <stdio.h>
#include <string.h>

void clock_begin(struct engine *e)
{
	struct pl_clock *k = &e->clock;

	pl_clock_audit("", PL_CLOCK_BUDGET_NS, k);
	if (k->backwards)
		human_note(e,
			"clock: it steps back between CPUs, by up to %lld ns: what rests on less "
			"than %lld ns is unknown",
			(long long)k->step_ns, (long long)k->error_ns);
	if (k->unpinned)
		human_note(e,
			"clock: nobody can be bound to %u of %u CPUs: those were not looked at",
			k->unpinned, k->cpus);
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

bool clock_ours(const struct engine *e, const json_t *hello)
{
	const json_t *clock = json_object_get(hello, "clock");

	return *text(clock, "boot") && strcmp(text(clock, "boot"), e->clock.boot) == 0 &&
	       (uint64_t)json_integer_value(json_object_get(clock, "timens")) == e->clock.timens;
}

void clock_hello(struct driver *d, const json_t *hello)
{
	const json_t *clock = json_object_get(hello, "clock");
	struct pl_clock its = { 0 };
	char why[sizeof d->mix->doubt];

	(void)snprintf(its.boot, sizeof its.boot, "%s", text(clock, "boot"));
	its.timens = (uint64_t)json_integer_value(json_object_get(clock, "timens"));
	if (*d->mix->doubt || !pl_clock_differs(&d->e->clock, &its, why, sizeof why))
		return;
	memcpy(d->mix->doubt, why, sizeof why);
	human_note(d->e, "clock: %s has %s", d->mix->mech, why);
}

bool clock_decides(const json_t *violation)
{
	const json_t *slack = json_object_get(violation, "slack_ns");

	return json_is_integer(slack) && json_integer_value(slack) >= 0;
}

/* Of a kind whose clock is in doubt: what needs no clock stays, all else is unknown. */
static void doubt(struct mix *m)
{
	struct tally *t = &m->tally;

	t->violated = t->violated < m->sure ? t->violated : m->sure;
	t->judged = t->violated;
	t->unknown = t->rounds - t->judged;
}

void clock_end(struct engine *e)
{
	char why[sizeof e->cfg.mix[0].doubt];
	json_t *kept = json_array(), *v;
	size_t i;

	pl_clock_audit("", PL_CLOCK_BUDGET_NS, &e->clock_after);
	if (pl_clock_doubt(&e->clock, &e->clock_after, why, sizeof why)) {
		for (unsigned m = 0; m < e->cfg.nmix; m++)
			memcpy(e->cfg.mix[m].doubt, why, sizeof why);
		json_array_foreach(e->violations, i, v)(void)
			json_array_append(clock_decides(v) ? e->doubtful : kept, v);
		(void)json_array_clear(e->violations);
		(void)json_array_extend(e->violations, kept);
	}
	json_decref(kept);
	for (unsigned m = 0; m < e->cfg.nmix; m++)
		if (*e->cfg.mix[m].doubt)
			doubt(&e->cfg.mix[m]);
	for (unsigned k = 0; k < e->n; k++) {
		struct driver *d = &e->drv[k];

		if (!*d->mix->doubt)
			continue;
		d->judged = d->violations = d->sure;
	}
}

const char *clock_why(const struct engine *e)
{
	for (unsigned m = 0; m < e->cfg.nmix; m++)
		if (*e->cfg.mix[m].doubt)
			return e->cfg.mix[m].doubt;
	return NULL;
}

json_t *clock_json(const struct engine *e)
{
	json_t *o = pl_clock_json(&e->clock);

	(void)json_object_set_new(o, "after", pl_clock_json(&e->clock_after));
	if (clock_why(e))
		(void)json_object_set_new(o, "why", json_string(clock_why(e)));
	return o;
}
