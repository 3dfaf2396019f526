/* SPDX-License-Identifier: MIT
 *
 * Who waits for whom: looks of one or several drivers (the answers to `who`) joined into one graph,
 * and judged. Nobody is said to be stuck while anybody who could help may still move; what cannot be
 * seen counts as moving.
 */
#ifndef PLUMBLINE_GRAPH_H
#define PLUMBLINE_GRAPH_H

#include <jansson.h>
#include <stdbool.h>

/* In the order of what is told when several are true of one graph: the last one. */
enum hang {
	HANG_NONE,     /* nobody waits */
	HANG_SLOW,     /* somebody waits, and who could help moves, is stopped, or cannot be seen */
	HANG_ORPHANED, /* for what a dead holder has, and nothing gives back */
	HANG_DEADLOCK, /* of the plan: nobody is enabled */
	HANG_LOST_WAKE, /* what the sleeper waits for is there, and it sleeps: a violation */
};

enum role { ROLE_OTHER, ROLE_PUT, ROLE_TAKE, ROLE_ACQUIRE, ROLE_RELEASE };

const char *hang_name(enum hang h);
enum role role_of(const char *name);

struct graph;

struct graph *graph_new(void);
void graph_free(struct graph *g);

/* One driver's answer. False: it is none, or its sight is too weak to say that anybody sleeps. */
bool graph_add(struct graph *g, unsigned inst, const char *mech, const json_t *who);

/* What an actor would still do if its wait ended. Actors of which nothing is said do nothing more. */
void graph_will(struct graph *g, unsigned inst, int actor, const char *on, int end, enum role role);
void graph_more(struct graph *g, unsigned inst, int actor);

enum hang graph_judge(struct graph *g);
unsigned graph_cycle(const struct graph *g); /* its length; 0: no cycle */

/* Equal for two looks between which nothing has moved. To be freed. */
char *graph_print(const struct graph *g);

/* `kind`, `text`, `cycle`, `nodes` and `edges`: what a report draws. */
json_t *graph_json(const struct graph *g);

#endif
