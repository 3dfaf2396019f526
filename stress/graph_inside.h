/* SPDX-License-Identifier: MIT
 *
 * A graph's inside: graph.c builds and judges it, graph_say.c tells it.
 */
#ifndef PLUMBLINE_GRAPH_INSIDE_H
#define PLUMBLINE_GRAPH_INSIDE_H

#include "graph.h"

#include <stdint.h>

enum { NODES_MAX = 256, OBJECTS_MAX = 128, WILLS_MAX = 1024, HOLDERS_MAX = 16, TEXT = 48 };

enum is { IS_DEAD, IS_IDLE, IS_ASLEEP, IS_BLOCKED, IS_STOPPED, IS_RUNNING };
enum enabled { NOT, PERHAPS, CERTAINLY };

struct node {
	unsigned inst;
	int id;
	int64_t pid;
	enum is is;
	bool more; /* its script is not over */
	bool ends; /* its wait does, by itself */
	bool picky, level;
	enum role role;
	char f[TEXT];
	int object, end; /* object -1: it is in no operation, or in one on nothing known */
	int64_t need, amount, room, op;
	enum enabled enabled;
	bool live; /* may still move */
};

struct holder {
	int node; /* -1: not in the graph any more */
	unsigned inst;
	int id;
	int64_t pid;
	bool dead;
};

struct object {
	unsigned inst;
	char mech[TEXT], on[TEXT], name[128]; /* name "": known to one driver only */
	int ends;
	bool lock, unsure, blind, late;
	unsigned nholders;
	struct holder holder[HOLDERS_MAX];
};

struct will {
	int node, object, end;
	enum role role;
};

struct graph {
	struct node node[NODES_MAX];
	struct object object[OBJECTS_MAX];
	struct will will[WILLS_MAX];
	unsigned nnodes, nobjects, nwills;
	bool overflow; /* more than fits: nothing is claimed */
	bool several;  /* of several drivers */
	enum hang kind;
	int witness[NODES_MAX]; /* nodes, each of which waits for the next */
	unsigned nwitness;
	bool cyclic; /* and the last for the first */
};

/* The nodes that could end the wait of node n, at most NODES_MAX. */
unsigned graph_suppliers(const struct graph *g, int n, int ret[NODES_MAX]);
const struct holder *graph_dead_holder(const struct graph *g, int n);

#endif
