/* SPDX-License-Identifier: MIT
 *
 * When a mutant lies. Counters are shared by all processes of a driver, so that "every 1,000th"
 * means the driver's calls and not one actor's; chance is a function of (seed, candidate number),
 * so a run repeats.
 */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

static struct pl_trigger when;

uint64_t pl_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static bool set_key(
	struct pl_trigger *t, const char *key, size_t len, const char *value, char **end)
{
	static const struct {
		const char *name;
		size_t at;
	} ints[] = {
		{ "every", offsetof(struct pl_trigger, every) },
		{ "within", offsetof(struct pl_trigger, within_us) },
		{ "min", offsetof(struct pl_trigger, min) },
		{ "max", offsetof(struct pl_trigger, max) },
		{ "seed", offsetof(struct pl_trigger, seed) },
	};

	if (len == 1 && *key == 'p') {
		t->p = strtod(value, end);
		return t->p > 0 && t->p <= 1;
	}
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
		if (strlen(ints[i].name) != len || memcmp(ints[i].name, key, len) != 0)
			continue;
		int64_t v = strtoll(value, end, 0);
		memcpy((char *)t + ints[i].at, &v, sizeof v);
		return v >= 0;
	}
	return false;
}

bool pl_trigger_parse(const char *text, struct pl_trigger *t)
{
	while (*text) {
		const char *eq = strchr(text, '=');
		char *end = NULL;

		if (!eq || !set_key(t, text, (size_t)(eq - text), eq + 1, &end))
			return false;
		if (end == eq + 1 || (*end && *end != ','))
			return false;
		text = *end ? end + 1 : end;
	}
	return true;
}

void pl_trigger_set(const struct pl_trigger *t)
{
	when = *t;
}

static bool soon(void)
{
	struct timespec ts;

	pl_real.clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t now = ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
	int64_t before = atomic_exchange(&pl_shared->last_ns, now);

	return now - before <= when.within_us * 1000;
}

bool pl_fires(int64_t arg)
{
	if (arg < when.min || (when.max && arg > when.max))
		return false;
	uint64_t n = atomic_fetch_add(&pl_shared->candidates, 1);

	if (when.within_us && !soon())
		return false;
	if (when.every > 1 && (n + 1) % when.every != 0)
		return false;
	if (when.p > 0 && (double)(pl_mix(when.seed + n) >> 11) * 0x1p-53 >= when.p)
		return false;
	atomic_fetch_add(&pl_shared->fired, 1);
	return true;
}
