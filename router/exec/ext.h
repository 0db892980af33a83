/*
 * The steps of the extended protocol. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_EXT_H
#define ROUTER_EXEC_EXT_H

#include "router/exec/exec_int.h"

/* The portal just bound is not executed yet, and no server can hold it: it is kept in the session until it is. */
void exec_keep_portal(struct exec *x);
/* A named portal that is to be bound on these parts exists already elsewhere. */
MUSTCHECK bool exec_check_portal(const struct exec *x, struct err *e);
void exec_step_parse(struct exec *x, const struct step *st);
void exec_step_bind(struct exec *x, const struct step *st);
void exec_step_describe(struct exec *x, const struct step *st);
void exec_step_execute(struct exec *x, const struct step *st);
void exec_step_close(struct exec *x, const struct step *st);
/* The statement has changed its columns since the client was told of them (rule P13). */
void exec_refuse_shape(struct exec *x);
/* Run the portal being put together, up to Describe or Execute. */
void exec_run_group(struct exec *x);
/* A portal that was bound but neither executed nor described yet is sent before something else happens: then false. */
bool exec_settle_bind(struct exec *x, const struct step *next);
/* A Describe of a statement has been answered: T or n, with its body. */
void exec_note_shape(struct exec *x);
/* The RowDescription at the end of x->out, of the statement: with the portal's formats. */
void exec_put_formats(struct exec *x, size_t at);

#endif
