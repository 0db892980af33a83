/*
 * The verbs of the command line. A new one is a function here and a line in pgbraid.c. Each gets what follows its name
 * and returns the exit status (enum in base/cmd.h).
 */
#ifndef BIN_VERBS_H
#define BIN_VERBS_H

int verb_serve(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_shard(int argc, char **argv);
int verb_table(int argc, char **argv);
int verb_transaction(int argc, char **argv);
int verb_demo(int argc, char **argv);

#endif
