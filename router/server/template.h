/*
 * What a new client of a (database, user) is told and what every server connection for it is brought to: asked once
 * from the home shard as that user, on a control thread (rule P30). Also the check of a client's start-up settings.
 */
#ifndef ROUTER_SERVER_TEMPLATE_H
#define ROUTER_SERVER_TEMPLATE_H

#include "base/err.h"
#include "base/span.h"

struct poolset;
struct session;

/* Start asking, unless it is being asked already; login_continue() is called for the waiting logins. */
void template_ask(struct poolset *ps);
void template_free(struct poolset *ps);
/* What a server connection reports for a setting (any case) before any is changed; NULL if it reports no such one. */
const char *template_parameter(const struct poolset *ps, const char *name);

/*
 * Find the environment for a client's start-up settings (rest of the start-up parameters, database and user left out).
 * Returns true when s->env is set; false when it is being asked for (login_continue follows) or the login was
 * refused.
 */
bool template_login(struct session *s, struct span params);
/* Free the worker's cache of verified settings. */
struct worker;
void template_forget_logins(struct worker *w);

#endif
