"""What the peer (jwst 3.0.0) subtracts as a background, beside ours.

usage: background.py make SCRIPTS RATES OUT                the peer's bkg_subtract
       background.py master SCRIPTS CAL SPECTRUM CUBEPAR OUT   its master_background, and a cube of it
       background.py compare OUT OURS                      one line per figure; exits 1 if any is missed

SCRIPTS holds the samples' scripts: their common.py lets the peer run without its reference server.

bkg_subtract of the first dither, NRS1: one dedicated background; the three other dithers; five exposures clipped at
1.5 sigma, once and until nothing changes. master_background of a calibrated exposure, with a user's spectrum.
"""
import logging
import os
import sys
import warnings

import numpy as np
from astropy.io import fits

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
SCIENCE = "jw01234001001_02101_00001_nrs1"
NODS = [f"jw01234001001_02101_0000{k}_nrs1" for k in (2, 3, 4)]
FIVE = NODS + ["jw01234001001_03101_00001_nrs1", "jw01234002001_02101_00001_nrs1"]
CASES = {
    "dedicated": (["jw01234002001_02101_00001_nrs1"], {}),
    "nods": (NODS, {}),
    "five": (FIVE, dict(sigma=1.5)),
    "five-once": (FIVE, dict(sigma=1.5, maxiters=1)),
}


def make(scripts, rates, out):
    sys.path.insert(0, scripts)
    import common  # noqa: F401
    from jwst.background import BackgroundStep

    for name, (files, parameters) in CASES.items():
        path = f"{out}/{name}.fits"
        if not os.path.exists(path):
            r = BackgroundStep.call(f"{rates}/{SCIENCE}_rate.fits", [f"{rates}/{f}_rate.fits" for f in files], **parameters)
            r.save(path)


def master(scripts, cal, spectrum, cubepar, out):
    sys.path.insert(0, scripts)
    import common  # noqa: F401
    from jwst.cube_build import CubeBuildStep
    from jwst.master_background import MasterBackgroundStep

    sub = MasterBackgroundStep.call(cal, user_background=spectrum)
    cube = CubeBuildStep.call(sub, override_cubepar=cubepar)
    cube = cube[0] if isinstance(cube, (list, tuple)) or not hasattr(cube, "data") else cube
    cube.save(out)


missed = 0


def figure(what, value, target, above=True):
    global missed
    ok = value >= target if above else value <= target
    missed += not ok
    print(f"{'ok    ' if ok else 'MISSED'} {what:<64} {value:12.6g}  {'>=' if above else '<='} {target:g}", flush=True)


def compare(out, ours):
    for name in CASES:
        with fits.open(f"{out}/{name}.fits") as p, fits.open(f"{ours}/{name}/{SCIENCE}_bsub.fits") as q:
            a, b = p["SCI"].data.astype(float), q["SCI"].data.astype(float)
            both = np.isfinite(a) & np.isfinite(b)
            figure(f"bkg_subtract {name} NaNs equal", (np.isnan(a) == np.isnan(b)).mean(), 1)
            figure(f"bkg_subtract {name} SCI worst, DN/s", np.abs(a - b)[both].max(), 1e-5, False)
            figure(f"bkg_subtract {name} DQ equal", (p["DQ"].data.astype("u4") == q["DQ"].data.astype("u4")).mean(), 1)
    peer, own = f"{out}/master_s3d.fits", f"{ours}/master/jw01234-o001_simtarg_nirspec_g395h-f290lp_s3d.fits"
    with fits.open(peer) as p, fits.open(own) as q:
        a, b, e = p["SCI"].data.astype(float), q["SCI"].data.astype(float), p["ERR"].data.astype(float)
        figure("master_background cube same grid", float(a.shape == b.shape), 1)
        if a.shape == b.shape:
            both = np.isfinite(a) & np.isfinite(b) & (e > 0)
            d = np.abs(a - b)[both]
            figure("master_background cube SCI within 1e-4 or 0.001 ERR", (d <= np.maximum(1e-4 * np.abs(a[both]), 1e-3 * e[both])).mean(), 0.99)
            figure("master_background cube SCI, worst, in ERR", (d / e[both]).max(), 0.1, False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit({"make": make, "master": master, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
