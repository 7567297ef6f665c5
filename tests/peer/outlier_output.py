"""What outlier_detection looked at (save_intermediate_results) beside the peer's.

outlier_output.py make SCRIPTS FOLDER CALS...   the peer's products of these exposures into FOLDER; needs its environment
outlier_output.py compare FOLDER PRODUCTS       ours in PRODUCTS: the same shapes, every value within 1e-6 of its own (floats), the keywords, and the
                                                peer's model opens them. Exits 1 if not.
"""
import glob
import os
import sys
import warnings

import numpy as np

PLANES = ("DIFFARR", "MINARR", "NORMARR", "MINNORM")
KEYWORDS = ("DATAMODL", "KERNXSZ", "KERNYSZ", "THRSPRC")


def make(scripts, folder, cals):
    sys.path.insert(0, scripts)
    import logging

    import common  # noqa: F401  the peer without a reference server
    from jwst.datamodels import ModelContainer
    from jwst.outlier_detection import OutlierDetectionStep

    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    logging.disable(logging.INFO)
    OutlierDetectionStep.call(ModelContainer(cals), kernel_size="7 7", threshold_percent=99.8, save_intermediate_results=True)


def compare(folder, products):
    from astropy.io import fits
    from stdatamodels.jwst import datamodels

    theirs = sorted(glob.glob(f"{folder}/*_outlier_output.fits"))
    failed = len(theirs) != 2
    for path in theirs:
        exposure, detector = os.path.basename(path)[: -len("_nrs1_outlier_output.fits")], path.split("_")[-3]
        ours = f"{products}/{exposure}_o001_{detector}_outlier_output.fits"
        with fits.open(path) as a, fits.open(ours) as b:
            bad = any(a[0].header[k] != b[0].header[k] for k in KEYWORDS)
            worst = {}
            for k in PLANES:
                x, y = a[k].data, b[k].data
                bad |= x.shape != y.shape or not np.array_equal(np.isnan(x), np.isnan(y))
                if not bad:
                    worst[k] = float(np.nanmax(np.abs(x - y) / np.maximum(np.abs(x), 1e-30)))
        with datamodels.open(ours) as m:
            bad |= type(m).__name__ != "OutlierIFUOutputModel" or m.meta.kernel_xsize != 7
        bad |= any(w > (0 if k in ("DIFFARR", "MINARR") else 1e-6) for k, w in worst.items())
        failed |= bad
        print(f"{'FAIL' if bad else 'ok  '} outlier_output {detector}: worst {worst} (<= 0, 0, 1e-6, 1e-6)")
    return failed


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    if sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3], [os.path.abspath(f) for f in sys.argv[4:]])
    else:
        sys.exit(compare(sys.argv[2], sys.argv[3]))
