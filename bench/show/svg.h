/*
 * svg.h - makes gnuplot's drawing fit into a page with other drawings
 *
 * What gnuplot writes is a file of its own. Put into one page as they are, two
 * of them share the names of their parts, and their black text can't be read
 * on a dark page. So every drawing is read, checked and written anew:
 *
 *      id='gpPt5'               id="p3-gpPt5"      names are its own
 *      stroke='black'           currentColor       as the page's text
 *      color='rgb(11, 79, 168)' var(--c0b4fa8,#0b4fa8)  the page may change it
 *      <script>, onclick, http: refused or left out
 *
 * The page gives --paper and --grid, and other values for the colours where
 * its background is dark.
 */
#ifndef BENCH_SVG_H
#define BENCH_SVG_H

#include <stddef.h>

/*
 * The content of the <svg> element in drawing[len], without that element, for
 * use in HTML: the caller's to free. `name` (letters and digits) goes before
 * every id. NULL with one sentence in why[cap] when it isn't such a drawing,
 * or without memory.
 */
char *svg_content(const char *drawing, size_t len, const char *name, char *why,
                  size_t cap);

#endif
