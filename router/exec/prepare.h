/*
 * PREPARE and EXECUTE as SQL. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_PREPARE_H
#define ROUTER_EXEC_PREPARE_H

#include "router/exec/exec_int.h"

void exec_sql_prepare(struct exec *x);
void exec_sql_execute(struct exec *x);
/* Describe of a statement that is an EXECUTE; false: it is none. */
bool exec_describe_execute(struct exec *x, struct prepared *p);

#endif
