#ifndef IFUD_TESTS_CRDS_KIT_H
#define IFUD_TESTS_CRDS_KIT_H

#include <stdbool.h>

/*
 * A CRDS cache of one's own: mapping files with their checksums. Every failure ends the test.
 */

/* <cache>/mappings/jwst/<name>: kind "REFERENCE", parkey and selector as Python text, more
 * lines of the header ("'key' : 'value',") or "". */
void crds_kit_write(const char *cache, const char *name, const char *kind,
                    const char *parkey, const char *more, const char *selector);

/* jwst_<number>.pmap and its .imap of `rmaps`, Python text such as "{'area' : 'a.rmap'}". */
void crds_kit_context(const char *cache, int number, const char *rmaps);

/* A context whose rules choose every reference of a folder by what the file says that it
 * suits; the files are moved into the cache, in the layout with or without nirspec/. */
void crds_kit_adopt(const char *cache, const char *folder, int number, bool flat);

#endif
