/*
 * Child processes of the demo. They outlive it (each is its own session, its output goes to a file), so who runs is
 * told by pid files, and a pid found there is believed only when /proc shows that the process belongs to the demo's
 * folder. One thread.
 */
#ifndef BIN_DEMO_PROC_H
#define BIN_DEMO_PROC_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* SIGINT, SIGTERM and SIGHUP from now on only end waits: see proc_pause. */
void proc_hold_signals(void);
/* Wait. False once one of those signals has come: the caller gives up with proc_interrupted(). */
MUSTCHECK bool proc_pause(uint32_t ms);
/* Sets the error of a caller that gives up; returns false. */
bool proc_interrupted(struct err *e);

/* Start argv[0] (a path) with standard output and error appended to `log`; as `user` (not root) if we are root. */
MUSTCHECK bool proc_start(const char *const *argv, const char *log, const char *user, pid_t *pid, struct err *e);
/* The same and wait for its end: an error with the log's last line when it fails. */
MUSTCHECK bool proc_run(const char *const *argv, const char *log, const char *user, struct err *e);
/* Has a child of ours ended? Reaps it. */
bool proc_has_ended(pid_t child);
/* Appends what the log says last (its last line, cut) to the error's detail. */
void proc_explain(const char *log, struct err *e);

/* First number in a file, or 0. */
pid_t proc_read_pid(const char *pidfile);
/* Is the process's working directory this (real) path? */
bool proc_works_in(pid_t pid, const char *dir);
/* Is it run with these arguments somewhere in this order? */
bool proc_has_args(pid_t pid, const char *verb, const char *arg);

/* Can the user enter the folder? */
bool proc_user_can_enter(const char *user, const char *dir);
/* Is the port of 127.0.0.1 free to listen on? */
bool proc_port_free(uint32_t port);

#endif
