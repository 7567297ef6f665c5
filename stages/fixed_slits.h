#ifndef IFUD_STAGES_FIXED_SLITS_H
#define IFUD_STAGES_FIXED_SLITS_H

/* Rows of the frame, 0-based, in which the light of the fixed slits falls: always open,
 * they are neither slice nor background. Reference: jwst user documentation. */
#define FIXED_SLITS_FIRST 922
#define FIXED_SLITS_END 1116

#endif
