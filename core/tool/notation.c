/* SPDX-License-Identifier: MIT
 *
 * One map a line, in JSON or in EDN. Words are what EDN has keywords for.
 */
#include "notation.h"

#include <inttypes.h>

void notation_open(struct notation *n)
{
	(void)fputc('{', n->file);
	n->inside = false;
}

void notation_close(struct notation *n)
{
	(void)fputs("}\n", n->file);
}

void notation_key(struct notation *n, const char *key)
{
	const char *comma = n->edn ? ", " : ",";

	(void)fprintf(n->file, n->edn ? "%s:%s " : "%s\"%s\":", n->inside ? comma : "", key);
	n->inside = true;
}

void notation_word(struct notation *n, const char *word)
{
	(void)fprintf(n->file, n->edn ? ":%s" : "\"%s\"", word);
}

void notation_text(struct notation *n, const char *text)
{
	(void)fprintf(n->file, "\"%s\"", text);
}

void notation_int(struct notation *n, int64_t i)
{
	(void)fprintf(n->file, "%" PRId64, i);
}

void notation_nil(struct notation *n)
{
	(void)fputs(n->edn ? "nil" : "null", n->file);
}

void notation_list(struct notation *n)
{
	(void)fputc('[', n->file);
}

void notation_next(struct notation *n)
{
	(void)fputc(n->edn ? ' ' : ',', n->file);
}

void notation_end(struct notation *n)
{
	(void)fputc(']', n->file);
}
