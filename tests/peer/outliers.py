"""Outlier flags beside the peer's, and beside the truth of the peer's scene.

outliers.py peer GOLDEN PRODUCTS LEAST [PRODUCTS LEAST ...]
    GOLDEN: flags_<exposure>.fits, the pixels that jwst 3.0.0 outlier_detection flagged.
    PRODUCTS: folder of <exposure>_o001_crf.fits of all eight exposures; LEAST: the Jaccard
    index (pixels flagged by both / by either) below which this fails; 1: the same pixels.
outliers.py truth CALS PRODUCTS
    CALS: the _cal.fits that PRODUCTS were made from. The hits are known: simulate.py's random
    numbers are drawn again. Those of the leakage exposure are in every exposure, as holes.
"""
import glob
import os
import sys

import numpy as np
from astropy.io import fits

DO_NOT_USE, OUTLIER = 1, 16
N = 2048
FOUND, FALSE = 0.95, 5e-4


def exposures(folder):
    for crf in sorted(glob.glob(f"{folder}/*_o001_crf.fits")):
        with fits.open(crf) as h:
            yield os.path.basename(crf).replace("_o001_crf.fits", ""), h["DQ"].data, h["REASON"].data, h["SCI"].data


def compare(golden, folder, least):
    failed = not glob.glob(f"{folder}/*_crf.fits")
    for name, dq, reason, sci in exposures(folder):
        with fits.open(f"{golden}/flags_{name}.fits") as h:
            theirs = set(zip(h["OUTLIERS"].data["y"].tolist(), h["OUTLIERS"].data["x"].tolist()))
        ours = set(zip(*(a.tolist() for a in np.nonzero(dq & OUTLIER))))
        whole = np.array_equal((dq & OUTLIER) > 0, reason > 0) and np.isnan(sci[reason > 0]).all()
        jaccard = len(ours & theirs) / max(len(ours | theirs), 1)
        bad = jaccard < least or not whole
        failed |= bad
        print(f"{'FAIL' if bad else 'ok  '} {name}: peer {len(theirs)}, ours {len(ours)}, Jaccard index {jaccard:.5f} (>= {least})")
    return failed


def hits(seed):
    """Pixels that simulate.py hits in the exposure of this seed: its draws in its order."""
    rng = np.random.default_rng(seed)
    rng.normal(size=(N, N))
    for _ in range(10):
        rng.normal(size=512 * 2100 // 2 + 1)
    bad = rng.random((N, N)) < 0.002
    rng.normal(size=bad.sum())
    rng.random((N, N))
    mask = np.zeros((N, N), bool)
    for _ in range(900):
        y, x = rng.integers(4, 2044, 2)
        h, w = rng.integers(1, 4), rng.integers(1, 4)
        rng.uniform(-0.3, 1.3)
        mask[y:y + h, x:x + w] = True
    return mask


def truth(cals, folder):
    sums = np.zeros(4, int)
    leakage = {d: hits(90 + (d == "nrs2")) for d in ("nrs1", "nrs2")}
    for name, _, reason, _ in exposures(folder):
        _, _, dither, detector = name.split("_")
        with fits.open(f"{cals}/{name}_cal.fits") as h:
            good = h["DQ"].data & DO_NOT_USE == 0
        mask = hits(10 * (int(dither) - 1) + (detector == "nrs2"))
        hit, other = good & mask, good & ~mask & ~leakage[detector]
        n = np.array([(reason[hit] > 0).sum(), hit.sum(), (reason[other] > 0).sum(), other.sum()])
        sums += n
        print(f"     {name}: {n[0]} of {n[1]} found, {n[2]} others rejected ({100 * n[2] / n[3]:.4f} %)")
    found, false = sums[0] / max(sums[1], 1), sums[2] / max(sums[3], 1)
    bad = not (found >= FOUND and false <= FALSE)
    print(f"{'FAIL' if bad else 'ok  '} pixels hit that are found: {100 * found:.2f} % (>= {100 * FOUND} %); others rejected: {100 * false:.4f} % (<= {100 * FALSE} %)")
    return bad


if __name__ == "__main__":
    if sys.argv[1] == "truth":
        sys.exit(truth(*sys.argv[2:]))
    rest = sys.argv[3:]
    sys.exit(any([compare(sys.argv[2], folder, float(least)) for folder, least in zip(rest[::2], rest[1::2])]))
