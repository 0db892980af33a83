/*
 * How a client proves who it is: the rule for it (hba.h), then the method's exchange, up to a session that may log in
 * or a FATAL error with PostgreSQL's message and SQLSTATE.
 *
 *   SESSION_STARTUP --auth_start--> SESSION_AUTH --proved--> login_proved()
 *                                        \--not, or the client left--> SESSION_CLOSING
 *
 * An unknown user, one without a password, and one whose password is of another kind get the same exchange and the same
 * error as a wrong password (a mock verifier whose salt depends on the name and a secret of the directory).
 *
 * What costs more than microseconds (a password in the clear against a SCRAM verifier, names of the operating system's
 * users) runs on a helper thread; the session's input waits meanwhile. All functions: the worker's loop thread.
 */
#ifndef ROUTER_AUTH_AUTH_H
#define ROUTER_AUTH_AUTH_H

#include <stddef.h>

struct session;

/* The start-up packet has been read. Sends the first question, or goes on to the end. */
void auth_start(struct session *s);
/* Input of a session in SESSION_AUTH; returns how many bytes were consumed. */
size_t auth_feed(struct session *s, const char *data, size_t len);
/* The session closes. */
void auth_drop(struct session *s);

#endif
