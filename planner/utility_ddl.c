#include "planner/utility_ddl.h"

bool utility_ddl_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    (void)in;
    (void)scratch;
    (void)out;
    return err_set(e, PB0204, "this kind of statement is not supported");
}
