/*
 * Views over distributed tables. They are on the home shard only, like all views, so the router puts the view's text in
 * the place of its name, and plans what comes out: "FROM v" becomes "FROM (SELECT ...) AS v". Views in that text are
 * expanded when it is planned.
 *
 * On one server a view reads its tables as its owner, its text as the client. So it is expanded only for roles that may
 * read the view and all that it reads by themselves, where no policy tells owner and client apart, and where the text,
 * which names what is in pg_catalog without its schema, means the same under the client's search_path. Else it is
 * refused, and so are places where a sub-query is not as good as a view: its row as a value, "schema.view.column", row
 * locks, ONLY. Changes through such views are refused elsewhere.
 */
#ifndef PLANNER_VIEW_H
#define PLANNER_VIEW_H

#include "planner/analyse.h"

/*
 * True: *text is the statement with the views that it mentions in FROM expanded, in `a`, or NULL if there is none that
 * could be. False: the refusal.
 */
MUSTCHECK bool view_expand(const struct plan_input *in, struct arena *a, const char **text, struct err *e);

#endif
