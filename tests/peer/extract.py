"""Compare extract_1d and combine_1d with the peer's, both on the same cubes and spectra.

usage: extract.py make REFS FOLDER                 write an apcorr reference (none is delivered)
       extract.py compare REFS FOLDER [--full] [--json FILE]

REFS    the references of the exposures
FOLDER  filled by scripts/compare-peer: <case>/*_s3d.fits and *_x1d.fits of ours, combined/*_c1d.fits

The peer's functions run on our _s3d and _x1d files, so that nothing but the extraction differs.
Prints one line per figure: what, the value, the target, ok or MISSED; exits 1 if any is missed.
"""
import glob
import json
import logging
import sys
import time
import warnings

import numpy as np
from astropy.io import fits

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

# Of these only the first two without --full (the others are like those of compare.py).
# case: source type and what the peer is given; scripts/compare-peer gives ours the same
CASES = {
    "extended": ("EXTENDED", {}),
    "apcorr": ("POINT", {"apcorr": True}),
    "target": ("POINT", {}),
    "autocen": ("POINT", {"ifu_autocen": True}),
    "center": ("POINT", {"center_xy": (20.3, 18.7)}),
    "plain": ("POINT", {"subtract_background": False, "ifu_covar_scale": 1.62}),
    "clip": ("POINT", {"bkg_sigma_clip": 1.5}),
}
COLUMNS = ("WAVELENGTH", "FLUX", "FLUX_ERROR", "SURF_BRIGHT", "SB_ERROR", "BACKGROUND", "BKGD_ERROR", "NPIXELS")
rows = []


def figure(what, value, target, above):
    ok = bool(value >= target if above else value <= target)
    rows.append(dict(what=what, value=float(value), target=target, ok=ok))
    print(f"{what:58s} {value:<12.6g} {'>=' if above else '<='} {target:<8g} {'ok' if ok else 'MISSED'}")


def make(folder):
    from stdatamodels.jwst.datamodels import NrsIfuApcorrModel
    wave = np.linspace(2.5, 5.5, 13).astype("f4")
    radius = np.outer([0.15, 0.3, 0.45, 0.7, 1.0], 1 + 0.1 * (wave - 3)).astype("f4")
    model = NrsIfuApcorrModel()
    model.apcorr_table = dict(filter="F290LP", grating="G395H", wavelength=wave, wavelength_units="micron", radius=radius,
                              radius_units="arcsec", apcorr=(1 + 0.3 * np.exp(-4 * radius) * wave / 3).astype("f4"),
                              apcorr_err=np.zeros_like(radius))
    model.meta.instrument.name = "NIRSPEC"
    model.meta.exposure.type = "NRS_IFU"
    model.meta.reftype = "apcorr"
    model.meta.author = model.meta.pedigree = model.meta.description = "compare-peer"
    model.meta.useafter = "2022-01-01T00:00:00"
    model.save(f"{folder}/apcorr.asdf")


def same(what, a, b, columns):
    figure(f"{what} rows less", abs(len(a) - len(b)), 0, False)
    if len(a) != len(b):
        return
    for column in columns:
        p, q = np.asarray(a[column], float), np.asarray(b[column], float)
        used = (np.asarray(b["DQ"]) & 1) == 0
        near = (np.abs(p - q) <= 1e-3 * np.abs(p)) | (np.isnan(p) & np.isnan(q))
        figure(f"{what} {column} within 1e-3", near[used].mean(), 0.99, True)


def compare(refs, folder):
    from jwst.combine_1d.combine1d import combine_1d_spectra
    from jwst.datamodels import ModelContainer
    from jwst.extract_1d.ifu import ifu_extract1d
    from stdatamodels.jwst import datamodels
    for case, (kind, given) in list(CASES.items())[: None if "--full" in sys.argv else 2]:
        given = dict(given)
        reference = f"{folder}/apcorr.asdf" if given.pop("apcorr", False) else "N/A"
        given = {"subtract_background": None, "bkg_sigma_clip": 3.0, **given}
        with datamodels.IFUCubeModel(glob.glob(f"{folder}/{case}/*_s3d.fits")[0]) as cube:
            begun = time.time()
            peer = ifu_extract1d(cube, f"{refs}/extract1d.asdf", kind, apcorr_ref_file=reference, **given)
            seconds = time.time() - begun
        with fits.open(glob.glob(f"{folder}/{case}/*_x1d.fits")[0]) as ours:
            same(f"extract_1d {case}", peer.spec[0].spec_table, ours["EXTRACT1D"].data, COLUMNS)
            if case != "extended":
                centre = [ours["EXTRACT1D"].header[k] for k in ("EXTR_X", "EXTR_Y")]
                away = np.hypot(centre[0] - peer.spec[0].extraction_x, centre[1] - peer.spec[0].extraction_y)
                figure(f"extract_1d {case} centre, spaxels", away, 1e-3, False)
        print(f"  the peer: {seconds:.2f} s")
    spectra = sorted(glob.glob(f"{folder}/[ct]*/*_x1d.fits")) # center, clip, target
    for name, clip in (("combined", None), ("clipped", 3.0)):
        peer = combine_1d_spectra(ModelContainer(spectra), "exposure_time", sigma_clip=clip)
        with fits.open(glob.glob(f"{folder}/{name}/*_c1d.fits")[0]) as ours:
            same(f"combine_1d {name}", peer.spec[0].spec_table, ours["COMBINE1D"].data,
                 ("WAVELENGTH", "FLUX", "ERROR", "SURF_BRIGHT", "SB_ERROR", "DQ", "WEIGHT", "N_INPUT"))


def main():
    if sys.argv[1] == "make":
        make(sys.argv[3])
        return 0
    compare(sys.argv[2], sys.argv[3])
    if "--json" in sys.argv:
        with open(sys.argv[sys.argv.index("--json") + 1], "w") as f:
            json.dump(rows, f, indent=1)
    good = sum(r["ok"] for r in rows)
    print(f"extract_1d and combine_1d: {good} figures passed, {len(rows) - good} failed")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
