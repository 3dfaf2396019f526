/* SPDX-License-Identifier: MIT
 *
 * The deadlock gallery: small scripts, each of which ends in a wait that must be named right. A scene
 * is a row of the table in scenes.c; gallery.c plays all of them at once, naming.c looks and names.
 *
 * A script is a list of steps, in phases: "0 lock a, 1 lock b | 0 lock b, 1 lock a". A step is an
 * actor, an operation, the handle it is on, and arguments as name=number. Steps of one actor and
 * phase follow each other; actors do not wait for one another, except that a phase begins when the
 * one before it is over. `*` stands for every actor, `@` for the handle with the actor's own letter,
 * `@+1` for the next one, round about. Faults are written with a colon: ":kill", ":stop", ":cont",
 * and ":cancel", which interrupts the actor's call; ":await" goes on when all the others that are in
 * a call are asleep in it.
 */
#ifndef PLUMBLINE_GALLERY_H
#define PLUMBLINE_GALLERY_H

#include "engine.h"
#include "graph.h"

enum { SCENE_ACTORS = 9, SCENE_STEPS = 64, SCENE_OBJECTS = 8 };

struct scene_row {
	const char *name, *kind; /* kind: driver/variant */
	unsigned actors, objects;
	const char *open; /* further arguments of every open, as JSON: "\"maxmsg\":1" */
	bool split;	  /* every actor is in a driver of its own: the objects have names */
	const char *script, *rescue;
	enum hang expect;
	unsigned cycle;
};

extern const struct scene_row scene_rows[];
extern const unsigned nscene_rows;

struct step {
	unsigned actor, phase;
	bool rescue, done;
	char f[NAME_MAX_], on[NAME_MAX_]; /* f ":kill": a fault */
	char args[96];			  /* ",\"size\":3" */
};

/* 0, or -EINVAL for a row that says nothing: the table is wrong. */
int scene_parse(const struct scene_row *row, struct step *ret, unsigned *ret_n);

enum scene_state { SCENE_WAITS, SCENE_PLAYS, SCENE_RESCUE, SCENE_OVER };

struct cast {
	struct driver *d;
	int id;
	int64_t call; /* the request under way; 0: none */
	bool dead;
};

struct scene {
	const struct scene_row *row;
	struct engine *e;
	struct mix *mix;
	unsigned from, n;   /* its drivers */
	json_t *ops, *ends; /* of their hello */
	json_t *names;	    /* of the objects, by handle */
	struct cast cast[SCENE_ACTORS];
	struct step step[SCENE_STEPS];
	unsigned nsteps, phase;
	enum scene_state state;
	int64_t begun_ns, moved_ns; /* moved: when it last asked or heard of a call */

	json_t *look[SCENE_ACTORS]; /* by driver; NULL: not answered yet */
	unsigned owed;		    /* answers */
	int64_t look_ns, first_ns;  /* look: when the last one began; first: when the first one of
				       those that agree was complete */
	char *seen;		    /* what they agree in */
	bool weak;		    /* looks do not tell who sleeps */

	const char *verdict; /* held, violated, skipped or broken; NULL: not yet */
	enum hang found;
	unsigned cycle;
	int64_t named_ns, rescued_ns; /* since it began; 0: not */
	double named_ms;	      /* from the last move to the name */
	json_t *hang;
	char why[512];
};

struct gallery {
	struct scene *scene;
	unsigned n, over;
};

/* gallery.c */
void scene_advance(struct scene *s);
void scene_end(struct scene *s, const char *verdict, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
unsigned scene_busy(const struct scene *s); /* calls under way */

/* gallery_tell.c */
void hang_told(struct scene *s, int64_t quiet_ns);
void gallery_tell(const struct scene *s);
void scene_wrong(struct scene *s); /* what was found is not what its row says */

/* naming.c */
void naming_look(struct scene *s, int64_t now);
void naming_answer(struct scene *s, unsigned seat, const json_t *who);

#endif
