#include "planner/catalog_hide.h"

#include "planner/analyse_int.h"

void catalog_hide(struct an *an)
{
    (void)an;
}
