/* SPDX-License-Identifier: MIT
 *
 * Words as a shell would split them: blanks between, quotes and backslashes around what belongs together.
 * Nothing is expanded.
 */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One word, unquoted in place; where the next begins, or NULL if a quote is not closed. */
static char *word(char *s)
{
	char *to = s, quote = 0;

	for (; *s && (quote || !strchr(" \t\n", *s)); s++)
		if (*s == quote)
			quote = 0;
		else if (!quote && (*s == '\'' || *s == '"'))
			quote = *s;
		else if (*s == '\\' && s[1] && quote != '\'' && (!quote || strchr("\"\\$`", s[1])))
			*to++ = *++s;
		else
			*to++ = *s;
	s += *s != 0;
	*to = 0;
	return quote ? NULL : s;
}

int words_split(char *s, char **ret_word, int max)
{
	int n = 0;

	while (s && *(s += strspn(s, " \t\n"))) {
		if (n == max)
			return -E2BIG;
		ret_word[n++] = s;
		s = word(s);
	}
	return s ? n : -EINVAL;
}
