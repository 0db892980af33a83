/*
 * The SQL of this folder: sql/NAME.sql is embedded at build as sql_NAME.
 */
#ifndef MIGRATE_SQL_H
#define MIGRATE_SQL_H

extern const char sql_place_column[];
extern const char sql_place_identity[];
extern const char sql_place_obstacles[];
extern const char sql_place_referrers[];
extern const char sql_place_sequences[];
extern const char sql_place_session[];
extern const char sql_place_table[];

#endif
