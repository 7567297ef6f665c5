#ifndef IFUD_DATA_FITS_IO_IMPL_H
#define IFUD_DATA_FITS_IO_IMPL_H

#include "common/data/fits_io.h"
#include "common/data/gunzip.h"

/* Inside of the FITS reader: shared by fits_io.c and fits_values.c only. */

struct fits_in {
    char *name;
    int fault;
    int fd;
    unsigned char *mem; /* unpacked file, or NULL */
    size_t mem_size;
    struct gunzip *packed; /* opened for its headers: unpacked as it is read */
    struct fits_source src;
    struct fits_structure s;
    struct header whole; /* every card of HDU whole_of, structural ones too */
    int whole_of;        /* -1: of none */
};

/* A complaint about one HDU: the code of the file's faults. */
int fits_in_wrong(const struct fits_in *f, int hdu, struct err *err, const char *what);

/* The header of an HDU with its structural cards; borrowed until the next call. */
int fits_in_whole_header(struct fits_in *f, int hdu, const struct header **ret,
                         struct err *err);

#endif
