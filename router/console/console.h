/*
 * The console: database "pgbraid" on the same port. One command a Query message; its grammar is a table (console.c),
 * which SHOW HELP prints. Commands run on a control thread and ask the workers for what only they know.
 */
#ifndef ROUTER_CONSOLE_CONSOLE_H
#define ROUTER_CONSOLE_CONSOLE_H

#include "base/span.h"

struct session;

/* Body of a Query message. The session waits (RUNNING) until the command is done. */
void console_query(struct session *s, struct span body);
/* An extended-protocol message: not spoken here. */
void console_extended(struct session *s, char type);

#endif
