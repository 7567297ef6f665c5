"""Outlier flags beside the peer's: outliers.py GOLDEN PRODUCTS LEAST [PRODUCTS LEAST ...]

GOLDEN: flags_<exposure>.fits, the pixels that jwst 3.0.0 outlier_detection flagged.
PRODUCTS: folder of <exposure>_o001_crf.fits of all eight exposures; LEAST: the Jaccard index
(pixels flagged by both / by either) below which this fails; 1: the same pixels.
"""
import glob
import os
import sys

import numpy as np
from astropy.io import fits

OUTLIER = 16


def compare(golden, folder, least):
    failed = not glob.glob(f"{folder}/*_crf.fits")
    for crf in sorted(glob.glob(f"{folder}/*_o001_crf.fits")):
        name = os.path.basename(crf).replace("_o001_crf.fits", "")
        with fits.open(f"{golden}/flags_{name}.fits") as h:
            theirs = set(zip(h["OUTLIERS"].data["y"].tolist(), h["OUTLIERS"].data["x"].tolist()))
        with fits.open(crf) as h:
            dq, reason, sci = h["DQ"].data, h["REASON"].data, h["SCI"].data
        ours = set(zip(*(a.tolist() for a in np.nonzero(dq & OUTLIER))))
        whole = np.array_equal((dq & OUTLIER) > 0, reason > 0) and np.isnan(sci[reason > 0]).all()
        jaccard = len(ours & theirs) / max(len(ours | theirs), 1)
        bad = jaccard < least or not whole
        failed |= bad
        print(f"{'FAIL' if bad else 'ok  '} {name}: peer {len(theirs)}, ours {len(ours)}, Jaccard index {jaccard:.5f} (>= {least})")
    return failed


if __name__ == "__main__":
    rest = sys.argv[2:]
    bad = [compare(sys.argv[1], folder, float(least)) for folder, least in zip(rest[::2], rest[1::2])]
    sys.exit(any(bad))
