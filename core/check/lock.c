#include "internal.h"
void pl_check_lock(struct pl_case *c)
{
	pl_check_none(c);
}
