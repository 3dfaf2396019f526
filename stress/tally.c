/* SPDX-License-Identifier: MIT
 *
 * Sums of what drivers report.
 */
#include "engine.h"

#include <errno.h>
#include <math.h>

#define FIELD(name, member)                                                                        \
	{                                                                                          \
		name, offsetof(struct tally, member)                                               \
	}

struct field {
	const char *name;
	size_t at;
};

static const struct field run_fields[] = {
	FIELD("rounds", rounds),
	FIELD("judged", judged),
	FIELD("unknown", unknown),
	FIELD("violated", violated),
	FIELD("done", done),
	FIELD("okay", okay),
	FIELD("fail", fail),
	FIELD("pending", pending),
	FIELD("killed", killed),
	FIELD("bytes", bytes),
	FIELD("ordered", ordered),
	FIELD("short", short_ops),
	FIELD("overlapped", overlapped),
	FIELD("elapsed_ns", elapsed_ns),
	FIELD("round_ns", round_ns),
};

static const struct field tick_fields[] = {
	FIELD("done", tick_done),
	FIELD("okay", tick_okay),
	FIELD("fail", tick_fail),
	FIELD("bytes", tick_bytes),
	FIELD("rounds", tick_rounds),
};

static int add(struct tally *t, const struct field *f, size_t n, const json_t *o)
{
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		json_int_t v = json_integer_value(json_object_get(o, f[i].name));

		if (v < 0)
			r = -EPROTO;
		else
			*(uint64_t *)((char *)t + f[i].at) += (uint64_t)v;
	}
	return r;
}

/* A round has at most one verdict; nothing overlaps more often than it happens. */
int tally_run(struct tally *t, const json_t *o)
{
	struct tally one = { 0 };
	int r = add(&one, run_fields, sizeof run_fields / sizeof *run_fields, o);

	if (one.judged > one.rounds || one.unknown > one.rounds || one.violated > one.rounds ||
		one.overlapped > one.short_ops || one.okay > one.done)
		r = -EPROTO;
	one.slices = 1;
	tally_add(t, &one);
	return r;
}

/* Four buckets an octave: an error of 9 % at most. */
static unsigned bucket(int64_t ns)
{
	double b = ns > 1 ? log2((double)ns) * 4 : 0;

	return b > 255 ? 255 : (unsigned)b;
}

void tally_tick(struct tally *t, const json_t *o)
{
	const json_t *lat = json_object_get(o, "lat_ns");
	json_int_t done = json_integer_value(json_object_get(o, "done"));
	json_int_t max = json_integer_value(json_object_get(lat, "max"));

	(void)add(t, tick_fields, sizeof tick_fields / sizeof *tick_fields, o);
	if (max > t->lat.max)
		t->lat.max = max;
	if (max <= 0 || done <= 0)
		return;
	t->lat.p50[bucket(json_integer_value(json_object_get(lat, "p50")))] += (uint64_t)done;
	t->lat.p99[bucket(json_integer_value(json_object_get(lat, "p99")))] += (uint64_t)done;
}

void tally_add(struct tally *t, const struct tally *more)
{
	const struct field *all[] = { run_fields, tick_fields };
	const size_t n[] = { sizeof run_fields / sizeof *run_fields,
		sizeof tick_fields / sizeof *tick_fields };

	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < n[k]; i++)
			*(uint64_t *)((char *)t + all[k][i].at) +=
				*(const uint64_t *)((const char *)more + all[k][i].at);
	t->slices += more->slices;
	for (int i = 0; i < 256; i++) {
		t->lat.p50[i] += more->lat.p50[i];
		t->lat.p99[i] += more->lat.p99[i];
	}
	if (more->lat.max > t->lat.max)
		t->lat.max = more->lat.max;
}

static double median(const uint64_t h[256])
{
	uint64_t total = 0, seen = 0;

	for (int i = 0; i < 256; i++)
		total += h[i];
	for (int i = 0; i < 256; i++) {
		seen += h[i];
		if (total && seen * 2 >= total)
			return exp2((i + 0.5) / 4);
	}
	return 0;
}

json_t *tally_json(const struct tally *t, double seconds)
{
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof run_fields / sizeof *run_fields; i++)
		(void)json_object_set_new(o, run_fields[i].name,
			json_integer((json_int_t) *
				     (const uint64_t *)((const char *)t + run_fields[i].at)));
	(void)json_object_set_new(o, "ops", json_integer((json_int_t)t->done));
	(void)json_object_set_new(
		o, "ops_per_s", json_real(seconds > 0 ? (double)t->done / seconds : 0));
	(void)json_object_set_new(o, "slices", json_integer((json_int_t)t->slices));
	(void)json_object_set_new(o, "overlap",
		t->short_ops ? json_real((double)t->overlapped / (double)t->short_ops)
			     : json_null());
	(void)json_object_set_new(o, "lat_ns",
		json_pack("{s:I,s:I,s:I}", "p50", (json_int_t)median(t->lat.p50), "p99",
			(json_int_t)median(t->lat.p99), "max", (json_int_t)t->lat.max));
	return o;
}
