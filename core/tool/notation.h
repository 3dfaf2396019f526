/* SPDX-License-Identifier: MIT
 *
 * Maps in JSON or EDN, one a line. Texts are not escaped: words.c makes what needs none.
 */
#ifndef PLUMBLINE_NOTATION_H
#define PLUMBLINE_NOTATION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct notation {
	FILE *file;
	bool edn;    /* else JSON */
	bool inside; /* the map has a key already */
};

void notation_open(struct notation *n);
void notation_close(struct notation *n);
void notation_key(struct notation *n, const char *key);
void notation_word(struct notation *n, const char *word);
void notation_text(struct notation *n, const char *text);
void notation_int(struct notation *n, int64_t i);
void notation_nil(struct notation *n);
void notation_list(struct notation *n); /* then a value, and each further one after _next */
void notation_next(struct notation *n);
void notation_end(struct notation *n);

#endif
