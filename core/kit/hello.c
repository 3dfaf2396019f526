/* SPDX-License-Identifier: MIT
 *
 * What a driver says of itself, generated from its tables.
 */
#include "kit.h"
#include "raw.h"

#include "../hist/clock.h"

static json_t *ranges(const struct pl_arg *t)
{
	json_t *o = json_object();
	int i;

	for (i = 0; i < PL_ARGS_MAX && t[i].name; i++)
		(void)json_object_set_new(o, t[i].name,
			json_pack("[II]", (json_int_t)t[i].min, (json_int_t)t[i].max));
	return o;
}

static json_t *names(const char *const *t, int max)
{
	json_t *a = json_array();
	int i;

	for (i = 0; i < max && t[i]; i++)
		(void)json_array_append_new(a, json_string(t[i]));
	return a;
}

static json_t *op_json(const struct pl_op *op)
{
	json_t *o = json_pack("{sssbsbso}", "role", pl_role_name(op->role), "blocks",
		(op->how & (PL_BLOCKS | PL_TIMED)) != 0, "timed", (op->how & PL_TIMED) != 0, "args",
		ranges(op->arg));
	int i;

	if (pl_arg_of(op, PL_SIZE, &i))
		(void)json_object_set_new(o, "size", json_string(op->arg[i].name));
	if (pl_arg_of(op, PL_TAG, &i))
		(void)json_object_set_new(o, "tag", json_string(op->arg[i].name));
	if (op->out[0])
		(void)json_object_set_new(o, "out", names(op->out, PL_OUT_MAX));
	if (op->how & PL_NEUTRAL)
		(void)json_object_set_new(o, "neutral", json_true());
	if (op->how & PL_NEWFD)
		(void)json_object_set_new(o, "newfd", json_true());
	return o;
}

static json_t *variants(const struct pl_driver *d)
{
	json_t *a = json_array();
	int i;

	for (i = 0; d->variants[i].name; i++) {
		const struct pl_variant *v = &d->variants[i];
		const char *why = d->probe ? d->probe(i) : NULL;
		json_t *o =
			json_pack("{sssssosb}", "name", v->name, "model", pl_model_name(v->model),
				"caps", pl_caps_json(v->caps), "supported", why == NULL);

		if (why)
			(void)json_object_set_new(o, "why", json_string(why));
		(void)json_array_append_new(a, o);
	}
	return a;
}

static json_t *clock_json(void)
{
	struct pl_clock k;

	pl_clock_place("", &k);
	return json_pack("{sssIsssI}", "name", "CLOCK_MONOTONIC", "res_ns", (json_int_t)k.res_ns,
		"boot", k.boot, "timens", (json_int_t)k.timens);
}

static json_t *needs(const struct pl_driver *d)
{
	json_t *o = json_pack("{sisi}", "processes", 1, "fds", 8);
	int i;

	for (i = 0; i < PL_NEEDS_MAX && d->needs[i].limit; i++)
		(void)json_object_set_new(
			o, d->needs[i].limit, json_integer((json_int_t)d->needs[i].cost));
	return o;
}

json_t *pl_hello(void)
{
	const struct pl_driver *d = pl_ctl.drv;
	json_t *ops = json_object(), *o;
	unsigned i;

	for (i = 0; i < pl_ctl.nops; i++)
		(void)json_object_set_new(ops, pl_ctl.ops[i].name, op_json(&pl_ctl.ops[i]));
	o = json_pack("{s[i]sssssssisIso}", "proto", 1, "driver", d->name, "title", d->title,
		"build", PL_BUILD, "pid", (int)getpid(), "now", (json_int_t)pl_now(), "clock",
		clock_json());
	(void)json_object_update_new(
		o, json_pack("{sosososososo}", "variants", variants(d), "ops", ops, "open",
			   ranges(d->open_args), "ends", names(d->ends, PL_FDS_MAX), "needs",
			   needs(d), "limits",
			   json_pack("{sisisisi}", "line", PL_LINE_MAX, "actors", PL_ACTORS_MAX,
				   "ops", PL_RECS_MAX, "len", PL_LEN_MAX)));
	return o;
}
