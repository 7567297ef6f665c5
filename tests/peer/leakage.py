"""What the peer's imprint step does, and exposures whose leakage is known.

usage: leakage.py SAMPLES-SCRIPTS OUT     PEER_WORK: the peer's exposures

Writes OUT/leak2_rate.fits (an imprint of dither 2, the sky of the first one's plus 0.5), OUT/peer.npz (the
peer's SCI and DQ with one imprint and with two), and for dither 2 on NRS1 the exposure without
leakage (clean_rate.fits), with 1.4 times the leakage (strong_rate.fits) and the leakage itself (OUT/leak.npy).
"""
import os
import shutil
import sys

scripts, out = sys.argv[1:3]
sys.path.insert(0, scripts)
from common import WORK, np  # noqa: E402
import logging  # noqa: E402

from astropy.io import fits  # noqa: E402
from simulate import expose  # noqa: E402

from jwst.imprint import ImprintStep  # noqa: E402

logging.disable(logging.WARNING)
RATES = f"{WORK}/rates"
LEAK = f"{RATES}/jw01234001001_03101_00001_nrs1_rate.fits"
DITHER = f"{RATES}/jw01234001001_02101_00002_nrs1_rate.fits"
STRENGTH = 1.4

os.makedirs(out, exist_ok=True)
other = f"{out}/leak2_rate.fits"
shutil.copy(LEAK, other)
with fits.open(other, mode="update") as h:
    h[0].header["PATT_NUM"] = 2
    h["SCI"].data += 0.5
kept = {}
for name, imprints in (("sole", [LEAK]), ("match", [LEAK, other])):
    done = ImprintStep.call(DITHER, imprints)
    assert done.meta.cal_step.imprint == "COMPLETE"
    kept[f"{name}_sci"], kept[f"{name}_dq"] = np.array(done.data), np.array(done.dq)
np.savez(f"{out}/peer.npz", **kept)

refs = f"{WORK}/refs/G395H"
made = {}
for name, leak in (("with", True), ("clean", False)):
    path = f"{out}/{name}_rate.fits"
    expose(path, refs, "NRS1", "F290LP", "G395H", 0.25, 0.15, seed=10, patt=(2, 4), leak=leak)
    made[name] = fits.getdata(path, "SCI")
leak = np.nan_to_num(made["with"] - made["clean"])
shutil.copy(f"{out}/clean_rate.fits", f"{out}/strong_rate.fits")
with fits.open(f"{out}/strong_rate.fits", mode="update") as h:
    h["SCI"].data += np.float32(STRENGTH) * leak
os.remove(f"{out}/with_rate.fits")
np.save(f"{out}/leak.npy", leak)
