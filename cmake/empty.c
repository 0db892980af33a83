/* A layer without sources yet. */
typedef int pgbraid_empty;
