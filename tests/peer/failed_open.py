"""Pixels that the peer's msa_flagging flags, with an MSA made up for it.

usage: failed_open.py SAMPLES-SCRIPTS OUT     PEER_WORK: the peer's references and exposures

Writes OUT/msa.asdf (four quadrants of shutters in published pitch and place), OUT/msaoper.json
(some of them failed) and OUT/flagged_<detector>.npz.
"""
import json
import os
import sys

scripts, out = sys.argv[1:3]
sys.path.insert(0, scripts)
from common import REFT, WORK, np  # noqa: E402
import logging  # noqa: E402

import asdf  # noqa: E402
from astropy.modeling import models  # noqa: E402

from jwst.assign_wcs import AssignWcsStep  # noqa: E402
from jwst.msaflagopen import MSAFlagOpenStep  # noqa: E402

logging.disable(logging.INFO)
COLUMNS, ROWS = 365, 171
PITCH_X, PITCH_Y = 0.105e-3, 0.204e-3
PLACES = {1: (23.7e-3, 24.7e-3), 2: (23.7e-3, -24.7e-3), 3: (-23.7e-3, 24.7e-3), 4: (-23.7e-3, -24.7e-3)}
FAILED = [(1, 1, 10), (1, 180, 85), (1, 365, 171), (2, 3, 160), (2, 200, 90), (3, 40, 20), (3, 300, 100), (4, 365, 1), (4, 100, 140), (4, 270, 33)]


def quadrant(number):
    n = np.arange(COLUMNS * ROWS)
    x, y = n % COLUMNS, n // COLUMNS
    data = np.zeros(n.size, dtype=[("NO", "<i4"), ("XC", "<f8"), ("YC", "<f8"), ("SIZEX", "<f8"), ("SIZEY", "<f8")])
    data["NO"] = n + 1
    data["XC"], data["YC"] = (x - 182) * PITCH_X, (y - 85) * PITCH_Y
    data["SIZEX"], data["SIZEY"] = 0.078e-3, 0.178e-3
    at_x, at_y = PLACES[number]
    turned = models.Polynomial2D(1, c0_0=at_x, c1_0=1.0002, c0_1=0.0005) & models.Polynomial2D(1, c0_0=at_y, c1_0=-0.0005, c0_1=0.9997)
    turned = models.Mapping((0, 1, 0, 1)) | turned
    turned.inverse = models.Identity(2)  # nobody asks for it
    return {"model": turned, "data": data}


def references():
    from stdatamodels.jwst.datamodels import MSAModel

    m = MSAModel()
    for q in (1, 2, 3, 4):
        setattr(m, f"Q{q}", quadrant(q))
    m.Q5 = quadrant(4)
    meta = m.meta
    meta.reftype, meta.author, meta.pedigree, meta.description = "msa", "made up", "DUMMY", "Made-up MSA"
    meta.useafter, meta.telescope, meta.title = "2022-01-01T00:00:00", "JWST", "Made-up MSA"
    meta.instrument.name, meta.exposure.type, meta.exposure.p_exptype = "NIRSPEC", "NRS_IFU", "NRS_IFU|NRS_MSASPEC|"
    m.to_asdf(f"{out}/msa.asdf")
    rows = []
    for k, (q, x, y) in enumerate(FAILED):
        states = ["closed", "closed", "normal"]
        states[k % 3] = "open"
        rows.append({"Q": q, "x": x, "y": y, "state": states[0], "TA state": states[1], "Internal state": states[2], "Vignetted": "no"})
        rows.append({"Q": q, "x": 9, "y": 9, "state": "closed", "TA state": "closed", "Internal state": "closed", "Vignetted": "no"})
    head = {"title": "Made-up MSA", "reftype": "MSAOPER", "pedigree": "DUMMY", "author": "made up", "instrument": "NIRSPEC",
            "exp_type": "NRS_IFU|NRS_MSASPEC", "telescope": "JWST", "useafter": "2022-01-01T00:00:00", "descrip": "Made-up failures"}
    with open(f"{out}/msaoper.json", "w") as f:
        json.dump({**head, "msaoper": rows, "history": "made up"}, f)


def flagged(detector):
    refs = f"{WORK}/refs/G395H"
    use = {f"override_{k}": f"{refs}/{k}.asdf" for k in REFT}
    use.update({f"override_{k}": "N/A" for k in ("distortion", "filteroffset", "specwcs", "regions")})
    use["override_msa"] = f"{out}/msa.asdf"
    model = AssignWcsStep.call(f"{WORK}/rates/jw01234001001_02101_00001_{detector}_rate.fits", **use)
    model.dq[:] = 0
    done = MSAFlagOpenStep.call(model, override_msaoper=f"{out}/msaoper.json")
    np.savez_compressed(f"{out}/flagged_{detector}.npz", flagged=(done.dq & 2**29) != 0)
    print(detector, int(((done.dq & 2**29) != 0).sum()), "pixels flagged by the peer", flush=True)


os.makedirs(out, exist_ok=True)
references()
for detector in ("nrs1", "nrs2"):
    flagged(detector)
