#include "planner/utility.h"

bool utility_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    (void)in;
    (void)scratch;
    (void)out;
    err_set(e, PB0204, "this kind of statement is not supported");
    return err_hint(e, "SELECT, INSERT, UPDATE, DELETE and MERGE are.");
}
