/* SPDX-License-Identifier: MIT
 *
 * Claim: rings are named, and nobody is called deadlocked while somebody who could help may still move
 * or cannot be seen; a lost wake-up, an orphan and what is merely slow are none of the others.
 */
#include "../graph.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char actors[8192], objects[8192];

static void put(char *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(char *to, const char *fmt, ...)
{
	size_t n = strlen(to);
	va_list ap;

	va_start(ap, fmt);
	if (n)
		to[n++] = ',';
	(void)vsnprintf(to + n, 8192 - n, fmt, ap);
	va_end(ap);
}

static void begin(void)
{
	*actors = *objects = 0;
}

static void idle(int id)
{
	put(actors, "{'id':%d,'pid':%d,'is':'idle'}", id, 100 + id);
}

/* An actor in lock of `on`. */
static void locks(int id, const char *is, const char *on)
{
	put(actors,
		"{'id':%d,'pid':%d,'is':'%s','f':'lock','role':'acquire','on':'%s','end':0,'op':1,"
		"'need':1}",
		id, 100 + id, is, on);
}

static void in(
	int id, const char *role, const char *on, int end, int amount, int room, const char *more)
{
	put(actors,
		"{'id':%d,'pid':%d,'is':'asleep','f':'%s','role':'%s','on':'%s','end':%d,'op':1,"
		"'need':1,'amount':%d,'room':%d%s}",
		id, 100 + id, role, role, on, end, amount, room, more);
}

static void mutex(const char *on, const char *holders, const char *more)
{
	put(objects, "{'on':'%s','model':'lock','ends':1,'holders':[%s]%s}", on, holders, more);
}

static void queue(const char *on, int ends, const char *more)
{
	put(objects, "{'on':'%s','model':'fifo','ends':%d,'holders':[]%s}", on, ends, more);
}

static json_t *look(const char *rung)
{
	static char all[20000];
	json_error_t e;
	json_t *o;

	(void)snprintf(all, sizeof all, "{'rung':'%s','actors':[%s],'objects':[%s]}", rung, actors,
		objects);
	for (char *c = all; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	o = json_loads(all, 0, &e);
	cr_assert_not_null(o, "%s: %s", e.text, all);
	return o;
}

static struct graph *add(struct graph *g, unsigned inst, const char *mech)
{
	json_t *o = look("syscall");

	cr_assert(graph_add(g, inst, mech, o));
	json_decref(o);
	return g;
}

static void is(struct graph *g, enum hang kind, unsigned cycle, const char *words)
{
	enum hang found = graph_judge(g);
	json_t *o = graph_json(g);
	const char *text = json_string_value(json_object_get(o, "text"));

	cr_assert_eq(found, kind, "%s, not %s: %s", hang_name(found), hang_name(kind), text);
	cr_assert_eq(
		graph_cycle(g), cycle, "a cycle of %u, not %u: %s", graph_cycle(g), cycle, text);
	cr_assert_eq(json_array_size(json_object_get(o, "cycle")), cycle);
	if (words)
		cr_assert_not_null(strstr(text, words), "'%s' is not in '%s'", words, text);
	json_decref(o);
	graph_free(g);
}

static const char *name_of(int i)
{
	static char name[2][2];
	static int turn;

	turn = !turn;
	name[turn][0] = (char)('a' + i);
	return name[turn];
}

/* Actor i has mutex i and wants the next one; actor `odd` is in another state. */
static struct graph *ring(int n, int odd, const char *state)
{
	begin();
	for (int i = 0; i < n; i++) {
		char holder[64];

		(void)snprintf(holder, sizeof holder, "{'actor':%d,'pid':%d,'n':1}", i, 100 + i);
		mutex(name_of(i), holder, "");
		locks(i, i == odd ? state : "asleep", name_of((i + 1) % n));
	}
	return add(graph_new(), 0, "mutex");
}

Test(graph, rings)
{
	is(ring(1, -1, ""), HANG_DEADLOCK, 1, "waits for mutex a, held by actor 0");
	is(ring(2, -1, ""), HANG_DEADLOCK, 2,
		"actor 0 (pid 100) waits for mutex b, held by actor 1 (pid 101), which waits for "
		"mutex a, held by actor 0");
	is(ring(3, -1, ""), HANG_DEADLOCK, 3, "mutex c");
	is(ring(8, -1, ""), HANG_DEADLOCK, 8, "mutex h");
}

Test(graph, who_may_move_makes_it_slow)
{
	static const char *const states[] = { "running", "stopped", "blocked", "new to us" };

	for (int n = 2; n < 6; n++)
		for (int odd = 0; odd < n; odd++)
			for (size_t s = 0; s < 4; s++)
				is(ring(n, odd, states[s]), HANG_SLOW, 0, NULL);
	is(ring(2, 1, "stopped"), HANG_SLOW, 0, "which is stopped");
}

Test(graph, a_wait_that_ends_by_itself_is_slow)
{
	begin();
	mutex("a", "{'actor':1,'pid':101,'n':1}", "");
	mutex("b", "{'actor':0,'pid':100,'n':1}", "");
	locks(0, "asleep", "a");
	put(actors, "{'id':1,'pid':101,'is':'asleep','f':'timedlock','role':'acquire','on':'b',"
		    "'op':1,'need':1,'ends':true}");
	is(add(graph_new(), 0, "mutex"), HANG_SLOW, 0, NULL);
}

Test(graph, bystanders_are_not_in_the_ring)
{
	struct graph *g;

	begin();
	mutex("a", "{'actor':0,'pid':100,'n':1}", "");
	mutex("b", "{'actor':1,'pid':101,'n':1}", "");
	locks(2, "asleep", "a");
	locks(3, "asleep", "b");
	locks(0, "asleep", "b");
	locks(1, "asleep", "a");
	idle(4);
	g = add(graph_new(), 0, "mutex");
	graph_more(g, 0, 4); /* moves, but has nothing that anybody waits for */
	is(g, HANG_DEADLOCK, 2, NULL);
}

Test(graph, the_smallest_ring_is_told)
{
	begin();
	mutex("a", "{'actor':0,'pid':100,'n':1},{'actor':2,'pid':102,'n':1}", "");
	mutex("b", "{'actor':1,'pid':101,'n':1}", "");
	mutex("c", "{'actor':3,'pid':103,'n':1}", "");
	locks(0, "asleep", "b");
	locks(1, "asleep", "a");
	locks(2, "asleep", "c");
	locks(3, "asleep", "b");
	is(add(graph_new(), 0, "mutex"), HANG_DEADLOCK, 2, NULL);
}

Test(graph, one_of_several_holders_is_enough)
{
	begin();
	mutex("a", "{'actor':1,'pid':101,'n':1},{'actor':2,'pid':102,'n':1}", "");
	mutex("b", "{'actor':0,'pid':100,'n':1}", "");
	locks(0, "asleep", "a");
	locks(1, "asleep", "b");
	locks(2, "running", "b");
	is(add(graph_new(), 0, "mutex"), HANG_SLOW, 0, NULL);
}

Test(graph, orphans)
{
	begin();
	mutex("a", "{'actor':0,'pid':100,'n':1,'dead':true}", "");
	put(actors, "{'id':0,'pid':100,'is':'dead'}");
	locks(1, "asleep", "a");
	mutex("b", "{'actor':1,'pid':101,'n':1}", "");
	locks(2, "asleep", "b");
	is(add(graph_new(), 0, "mutex"), HANG_ORPHANED, 0,
		"actor 1 (pid 101) waits for mutex a, held by actor 0 (pid 100), which is dead");
}

Test(graph, a_token_that_died_with_its_taker)
{
	begin();
	put(objects, "{'on':'s','model':'counter','ends':1,"
		     "'holders':[{'actor':0,'pid':100,'n':1,'dead':true}]}");
	put(actors, "{'id':0,'pid':100,'is':'dead'}");
	in(1, "take", "s", 0, 0, 9, "");
	is(add(graph_new(), 0, "sem"), HANG_ORPHANED, 0,
		"waits for sem s, taken by actor 0 (pid 100), which is dead");
}

Test(graph, a_new_actor_under_the_number_of_a_dead_one_is_somebody_else)
{
	begin();
	mutex("a", "{'actor':0,'pid':77,'n':1,'dead':true}", "");
	locks(0, "asleep", "a");
	is(add(graph_new(), 0, "mutex"), HANG_ORPHANED, 0, "held by actor 0 (pid 77)");
}

Test(graph, who_holds_and_does_no_more)
{
	struct graph *g;

	begin();
	mutex("a", "{'actor':0,'pid':100,'n':1}", "");
	idle(0);
	locks(1, "asleep", "a");
	is(add(graph_new(), 0, "mutex"), HANG_DEADLOCK, 0, "which has nothing more to do");
	g = add(graph_new(), 0, "mutex");
	graph_more(g, 0, 0);
	is(g, HANG_SLOW, 0, NULL);
}

Test(graph, a_free_lock_and_a_sleeper)
{
	begin();
	mutex("a", "", "");
	locks(0, "asleep", "a");
	is(add(graph_new(), 0, "mutex"), HANG_LOST_WAKE, 0, "although nobody has it");
	/* somebody is at it: he may be about to wake */
	locks(1, "running", "a");
	is(add(graph_new(), 0, "mutex"), HANG_SLOW, 0, NULL);
	/* a death cut an operation short: it may have taken the lock, or the wake-up */
	begin();
	mutex("a", "", ",'unsure':true");
	locks(0, "asleep", "a");
	is(add(graph_new(), 0, "mutex"), HANG_SLOW, 0, NULL);
	/* held by somebody whom the reading shows and the book does not know */
	begin();
	mutex("a", "", "");
	in(0, "acquire", "a", 0, 0, 0, "");
	is(add(graph_new(), 0, "lock"), HANG_SLOW, 0, NULL);
}

Test(graph, levels)
{
	begin();
	queue("a", 1, "");
	in(0, "take", "a", 0, 1, 9, "");
	is(add(graph_new(), 0, "mq"), HANG_LOST_WAKE, 0, "1 can be taken");
	begin();
	queue("a", 1, "");
	in(0, "take", "a", 0, 1, 9, ",'picky':true"); /* it may want another kind */
	is(add(graph_new(), 0, "mq"), HANG_SLOW, 0, NULL);
	begin();
	queue("a", 1, "");
	in(0, "take", "a", 0, 0, 9, "");
	is(add(graph_new(), 0, "mq"), HANG_DEADLOCK, 0, "nobody is left to put anything there");
	begin();
	queue("a", 1, "");
	in(0, "put", "a", 0, 3, 1, "");
	is(add(graph_new(), 0, "mq"), HANG_LOST_WAKE, 0, "there is room for 1");
	begin();
	queue("a", 1, "");
	in(0, "put", "a", 0, 3, 0, "");
	is(add(graph_new(), 0, "mq"), HANG_DEADLOCK, 0, "nobody is left to take anything");
	begin();
	queue("a", 1, "");
	in(0, "put", "a", 0, 3, 0, ",'picky':true"); /* it may go elsewhere, where there is room */
	is(add(graph_new(), 0, "mq"), HANG_SLOW, 0, NULL);
	begin();
	queue("a", 1, "");
	in(0, "take", "a", 0, 0, 9,
		",'picky':true"); /* where there is nothing, there is not that */
	is(add(graph_new(), 0, "mq"), HANG_DEADLOCK, 0, NULL);
	begin();
	queue("a", 2, ",'late':true"); /* what was put may be under way */
	in(0, "take", "a", 0, 0, 9, "");
	is(add(graph_new(), 0, "inet"), HANG_SLOW, 0, NULL);
	begin(); /* what cannot be read is not claimed */
	queue("a", 1, "");
	put(actors, "{'id':0,'pid':100,'is':'asleep','f':'read','role':'take','on':'a','op':1,"
		    "'need':1}");
	is(add(graph_new(), 0, "mq"), HANG_SLOW, 0, "more cannot be seen");
	begin();
	queue("a", 1, ",'local':true");
	in(0, "take", "a", 0, 1, 9, "");
	is(add(graph_new(), 0, "mq"), HANG_SLOW, 0, NULL);
}

Test(graph, a_script_supplies)
{
	struct graph *g;

	for (int filled = 0; filled < 2; filled++) { /* two pipes, both ways */
		const char *role = filled ? "put" : "take";
		enum role other = filled ? ROLE_TAKE : ROLE_PUT;

		begin();
		queue("a", 2, "");
		queue("b", 2, "");
		in(0, role, "a", filled, filled ? 9 : 0, 0, "");
		in(1, role, "b", filled, filled ? 9 : 0, 0, "");
		g = add(graph_new(), 0, "pipe");
		graph_will(g, 0, 0, "b", !filled, other);
		graph_will(g, 0, 1, "a", !filled, other);
		is(g, HANG_DEADLOCK, 2,
			filled ? "room in pipe a" : "pipe a to be filled by actor 1");
	}
	/* what is put into one end of a pair does not come out at the same end */
	begin();
	queue("p", 2, "");
	in(0, "put", "p", 0, 9, 0, "");
	in(1, "put", "p", 1, 9, 0, "");
	g = add(graph_new(), 0, "unix");
	graph_will(g, 0, 0, "p", 0, ROLE_TAKE);
	graph_will(g, 0, 1, "p", 1, ROLE_TAKE);
	is(g, HANG_DEADLOCK, 2, NULL);
	/* of two semaphores that each will give back both, nobody waits for himself */
	begin();
	queue("a", 1, "");
	queue("b", 1, "");
	in(0, "take", "b", 0, 0, 9, "");
	in(1, "take", "a", 0, 0, 9, "");
	g = add(graph_new(), 0, "sem");
	for (int i = 0; i < 4; i++)
		graph_will(g, 0, i / 2, i % 2 ? "a" : "b", 0, ROLE_PUT);
	is(g, HANG_DEADLOCK, 2, NULL);
	begin(); /* alone it does */
	queue("a", 1, "");
	in(0, "take", "a", 0, 0, 9, "");
	g = add(graph_new(), 0, "sem");
	graph_will(g, 0, 0, "a", 0, ROLE_PUT);
	is(g, HANG_DEADLOCK, 1, "to be filled by actor 0");
	/* somebody else is going to */
	begin();
	queue("a", 1, "");
	in(0, "take", "a", 0, 0, 9, "");
	idle(1);
	g = add(graph_new(), 0, "mq");
	graph_will(g, 0, 1, "a", 0, ROLE_PUT);
	is(g, HANG_SLOW, 0, NULL);
}

static struct graph *two_drivers(const char *second_name)
{
	struct graph *g = graph_new();
	char more[64];

	(void)snprintf(more, sizeof more, ",'name':'%s'", second_name);
	for (unsigned inst = 0; inst < 2; inst++) {
		begin();
		queue("a", 1, inst ? more : ",'name':'/x'");
		queue("b", 1, ",'name':'/y'");
		in(0, "take", inst ? "b" : "a", 0, 0, 9, "");
		(void)add(g, inst, "mq");
	}
	graph_will(g, 0, 0, "b", 0, ROLE_PUT);
	graph_will(g, 1, 0, "a", 0, ROLE_PUT);
	return g;
}

Test(graph, drivers_meet_by_the_name_of_the_object)
{
	is(two_drivers("/x"), HANG_DEADLOCK, 2, "actor 0 of instance 1 (pid 100)");
	is(two_drivers("/z"), HANG_DEADLOCK, 0, NULL);
}

Test(graph, a_holder_of_another_driver_is_known_by_its_pid)
{
	struct graph *g = graph_new();

	begin();
	mutex("f", "{'pid':100,'n':1}", ",'name':'/f'");
	put(actors, "{'id':0,'pid':555,'is':'asleep','f':'lock','role':'acquire','on':'f','op':1,"
		    "'need':1}");
	(void)add(g, 0, "lock");
	begin();
	locks(0, "running", "none");
	(void)add(g, 1, "lock");
	is(g, HANG_SLOW, 0, "held by actor 0 of instance 1 (pid 100), which runs");
}

Test(graph, weak_eyes_and_garbage)
{
	struct graph *g = graph_new();
	json_t *o;

	begin();
	locks(0, "asleep", "a");
	o = look("stat");
	cr_assert_not(graph_add(g, 0, "mutex", o), "a state letter is no proof of sleep");
	json_decref(o);
	o = json_pack("{s:s,s:[i,s,{},n],s:[i,{s:i},{s:[i]}]}", "rung", "syscall", "actors", 1, "x",
		"objects", 3, "on", 4, "holders", 5);
	cr_assert(graph_add(g, 0, "mutex", o));
	json_decref(o);
	graph_will(g, 9, 9, "nothing", 0, ROLE_PUT);
	is(g, HANG_NONE, 0, NULL);
	g = graph_new();
	begin();
	for (int i = 0; i < 60; i++)
		idle(i);
	for (unsigned inst = 0; inst < 5; inst++)
		(void)add(g, inst, "mq");
	is(g, HANG_SLOW, 0, "more actors and objects than are looked at");
}

Test(graph, two_looks_print_alike_only_if_nothing_moved)
{
	struct graph *a = ring(3, -1, ""), *b = ring(3, -1, ""), *c = ring(3, 1, "running");
	char *s[3];

	(void)graph_judge(a), (void)graph_judge(b), (void)graph_judge(c);
	s[0] = graph_print(a), s[1] = graph_print(b), s[2] = graph_print(c);
	cr_assert_str_eq(s[0], s[1]);
	cr_assert_str_neq(s[0], s[2]);
	for (int i = 0; i < 3; i++)
		free(s[i]);
	graph_free(a), graph_free(b), graph_free(c);
}

/* Against the definition: of those who sleep, who cannot reach anybody live by any way? */
Test(graph, random_graphs_against_reachability)
{
	enum { N = 6 };
	unsigned seed = 1;

	for (int round = 0; round < 3000; round++) {
		bool reach[N] = { 0 }, stuck = false, changed = true;
		int waits[N], holder[N];
		struct graph *g;
		enum hang found;

		begin();
		for (int i = 0; i < N; i++) {
			char h[64];

			seed = seed * 1103515245 + 12345;
			waits[i] = (int)(seed >> 16) % (N + 1); /* N: it runs */
			holder[i] = (int)(seed >> 20) % N;
			reach[i] = waits[i] == N;
			(void)snprintf(h, sizeof h, "{'actor':%d,'pid':%d,'n':1}", holder[i],
				100 + holder[i]);
			mutex(name_of(i), h, "");
		}
		for (int i = 0; i < N; i++)
			locks(i, reach[i] ? "running" : "asleep",
				reach[i] ? "" : name_of(waits[i]));
		while (changed) {
			changed = false;
			for (int i = 0; i < N; i++)
				if (!reach[i] && reach[holder[waits[i]]])
					reach[i] = changed = true;
		}
		for (int i = 0; i < N; i++)
			stuck |= !reach[i];
		g = add(graph_new(), 0, "mutex");
		found = graph_judge(g);
		cr_assert_eq(found == HANG_DEADLOCK, stuck, "round %d: %s", round, actors);
		cr_assert(!stuck || graph_cycle(g) > 0,
			"who waits for ever among holders is in a ring");
		graph_free(g);
	}
}
