"""Compare this project's products with samples of the peer's (jwst 3.0.0).

usage: compare.py SAMPLES PRODUCTS IFURUN INSTRUMENT MORE [--json FILE]

SAMPLES     folder with the peer's samples (stage_*, cube_*, x1d_*, wcs_*.fits)
PRODUCTS    folder that scripts/compare-peer has filled
IFURUN      the program, for `ifurun wcs`
INSTRUMENT  references of the flight optics
MORE        folder with further wcs_*.fits; beside it failed-open and leakage, from the scripts of these names

Prints one line per figure: what, the value, the target, ok or MISSED; exits 1 if any
target is missed or a product is missing. Needs astropy and numpy.
"""
import glob
import json
import os
import subprocess
import sys
import warnings

import numpy as np
from astropy.io import fits

warnings.filterwarnings("ignore")
DO_NOT_USE = 1
MSA_FAILED_OPEN = 2**29
rows = []


def figure(what, value, target, above):
    """Note one figure; `above`: the value must be at least the target, else at most."""
    ok = bool(value >= target if above else value <= target)
    rows.append(dict(what=what, value=float(value), target=float(target), ok=ok))
    print(f"{'ok    ' if ok else 'MISSED'} {what:<64} {value:12.6g}  {'>=' if above else '<='} {target:g}", flush=True)


def missing(what, path):
    rows.append(dict(what=what, value=float("nan"), target=0.0, ok=False))
    print(f"MISSED {what}: {path} is not there", flush=True)


def median_of(values):
    return np.median(values) if values.size else np.inf


def wcs(path, ifurun, instrument):
    """`ifurun wcs` on the headers of a sample against the peer's own WCS."""
    name = os.path.basename(path).replace(".fits", "")
    t = fits.getdata(path, "WCS_SAMPLE")
    asked = "\n".join(f"{x} {y}" for x, y in zip(t["x"], t["y"]))
    run = subprocess.run([ifurun, "wcs", "--references", instrument, path], input=asked, capture_output=True, text=True)
    if run.returncode:
        missing(f"{name}: {run.stderr.strip()}", path)
        return
    a = np.array([[float(v) for v in line.split()] for line in run.stdout.splitlines()])
    same = a[:, 2] == t["slice"]
    figure(f"{name} slice equal", same.mean(), 0.999, True)
    good = same & (t["slice"] > 0) & np.isfinite(t["ra"])
    figure(f"{name} RA cos Dec, worst, mas", (np.abs(a[:, 3] - t["ra"]) * np.cos(np.deg2rad(t["dec"])))[good].max() * 3.6e6, 0.01, False)
    figure(f"{name} Dec, worst, mas", np.abs(a[:, 4] - t["dec"])[good].max() * 3.6e6, 0.01, False)
    figure(f"{name} wavelength, worst, um", np.abs(a[:, 5] - t["wavelength"])[good].max(), 1e-8, False)


def stage(samples, products, base):
    """Planes of flat_field, pathloss and photom, pixel by pixel."""
    with fits.open(f"{samples}/stage_{base}.fits") as peer:
        for table, suffix in (("raw_flat", "flat_field"), ("raw_path", "pathloss"), ("raw_cal", "cal")):
            path = f"{products}/{base}_{suffix}.fits"
            if table.upper() not in [h.name for h in peer]:
                continue
            if not os.path.exists(path):
                missing(f"{base} {suffix}", path)
                continue
            t = peer[table].data
            x, y = t["x"], t["y"]
            with fits.open(path) as ours:
                for plane in ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"):
                    if plane not in t.names:
                        continue
                    if plane not in ours:
                        missing(f"{base} {suffix} {plane}", path)
                        continue
                    a, b = np.asarray(t[plane], float), ours[plane].data[y, x].astype(float)
                    good = np.isfinite(a) & np.isfinite(b) & ((t["DQ"].astype("u4") & DO_NOT_USE) == 0)
                    rel = np.abs(a - b)[good] / np.maximum(np.abs(a[good]), 1e-30)
                    rel[a[good] == b[good]] = 0
                    figure(f"{base} {suffix} {plane} median relative", median_of(rel), 1e-6, False)
                    figure(f"{base} {suffix} {plane} share within 1e-4", (rel <= 1e-4).mean(), 0.999, True)
                    if plane in ("SCI", "ERR"):
                        figure(f"{base} {suffix} {plane} NaNs equal", (np.isnan(a) == np.isnan(b)).mean(), 0.9999, True)
                dq = ours["DQ"].data[y, x].astype("u4")
                figure(f"{base} {suffix} DQ all bits equal", (dq == t["DQ"].astype("u4")).mean(), 0.999, True)


def cube(samples, products, name, path):
    """One cube: grid, WCS and the sampled voxels."""
    path = f"{products}/{path}"
    if not os.path.exists(path):
        missing(f"cube {name}", path)
        return
    with fits.open(f"{samples}/cube_{name}.fits") as peer, fits.open(path) as ours:
        h, g = peer["SCI_HEADER"].header, ours["SCI"].header
        same = all(h[f"SIZE{a}"] == g[f"NAXIS{a}"] for a in (1, 2, 3))
        figure(f"cube {name} same grid", float(same), 1, True)
        worst = 0.0
        for key, scale in (("CRVAL1", 1), ("CRVAL2", 1), ("CRPIX1", 1), ("CRPIX2", 1), ("CRPIX3", 1), ("CDELT1", 1e-5), ("CDELT2", 1e-5), ("CRVAL3", 1), ("CDELT3", 1e-3), ("PC1_1", 1), ("PC1_2", 1), ("PC2_1", 1), ("PC2_2", 1)):
            if key in h:
                worst = max(worst, abs(h[key] - g.get(key, np.nan)) / scale) if key in g else np.inf
        figure(f"cube {name} WCS keywords, worst difference", worst, 1e-8, False)
        if not same:
            return
        t = peer["VOXELS"].data
        i, j, k = t["i"], t["j"], t["k"]
        sci, err, w = (ours[e].data[k, j, i].astype(float) for e in ("SCI", "ERR", "WMAP"))
        a, e = np.asarray(t["SCI"], float), np.asarray(t["ERR"], float)
        both = np.isfinite(a) & np.isfinite(sci)
        close = np.abs(a - sci)[both] <= np.maximum(1e-4 * np.abs(a[both]), 1e-3 * np.abs(e[both]))
        figure(f"cube {name} SCI within 1e-4 or 0.001 ERR", close.mean(), 0.999, True)
        good = both & np.isfinite(e) & (e > 0)
        figure(f"cube {name} ERR within 1e-3", (np.abs(e - err)[good] <= 1e-3 * e[good]).mean(), 0.999, True)
        figure(f"cube {name} NaNs equal", (np.isnan(a) == np.isnan(sci)).mean(), 0.999, True)
        wp = np.asarray(t["WMAP"], float)
        figure(f"cube {name} WMAP equal", (np.abs(wp - w) <= 1e-4 * np.maximum(np.abs(wp), 1)).mean(), 0.999, True)


def spectrum(samples, products, name, path):
    path = f"{products}/{path}"
    if not os.path.exists(path):
        missing(f"x1d {name}", path)
        return
    with fits.open(f"{samples}/x1d_{name}.fits") as peer, fits.open(path) as ours:
        a, b = peer["EXTRACT1D"].data, ours["EXTRACT1D"].data
        same = len(a) == len(b)
        figure(f"x1d {name} same length", float(same), 1, True)
        if not same:
            return
        for column in ("WAVELENGTH", "FLUX", "FLUX_ERROR", "SURF_BRIGHT", "NPIXELS"):
            p, q = np.asarray(a[column], float), np.asarray(b[column], float)
            both = np.isnan(p) & np.isnan(q)
            near = both | (np.abs(p - q) <= 1e-3 * np.abs(p))
            figure(f"x1d {name} {column} within 1e-3", near.mean(), 0.99, True)


def failed_open(products, made):
    """Flags of msa_flagging, pixel by pixel."""
    for det in ("nrs1", "nrs2"):
        path = f"{products}/msa/jw01234001001_02101_00001_{det}_msa_flagging.fits"
        if not os.path.exists(path):
            missing(f"msa_flagging {det}", path)
            continue
        peer = np.load(f"{made}/flagged_{det}.npz")["flagged"]
        ours = (fits.getdata(path, "DQ").astype("u4") & MSA_FAILED_OPEN) != 0
        figure(f"msa_flagging {det} share of the {peer.sum()} flags equal", (peer & ours).sum() / (peer | ours).sum(), 0.999, True)


def same_image(what, a, b, dq_a, dq_b):
    """Data within 1e-5, NaNs and DQ."""
    good = np.isfinite(a) & np.isfinite(b)
    rel = np.abs(a - b)[good] / np.maximum(np.abs(a[good]), 1e-30)
    rel[a[good] == b[good]] = 0
    figure(f"{what} SCI, worst relative", rel.max(), 1e-5, False)
    figure(f"{what} NaNs equal", (np.isnan(a) == np.isnan(b)).mean(), 1, True)
    figure(f"{what} DQ all bits equal", (dq_a.astype("u4") == dq_b.astype("u4")).mean(), 1, True)


def leakage(samples, products, made):
    """imprint_subtract beside the peer's step, its sample, and the leakage that is known."""
    peer = np.load(f"{made}/peer.npz")
    name = "jw01234001001_02101_00002_nrs1_imprint_subtract.fits"
    for kind in ("sole", "match"):
        path = f"{products}/{kind}/{name}"
        if not os.path.exists(path):
            missing(f"imprint {kind}", path)
            continue
        with fits.open(path) as ours:
            same_image(f"imprint {kind}", peer[f"{kind}_sci"], ours["SCI"].data, peer[f"{kind}_dq"], ours["DQ"].data)

    first = f"{products}/peer/jw01234001001_02101_00001_nrs1_imprint_subtract.fits"
    with fits.open(f"{samples}/stage_jw01234001001_02101_00001_nrs1.fits") as sample, fits.open(first) as ours:
        t = {k: sample[k].data for k in ("RATE", "NSCLEAN", "IMPRINT")}
        x, y = t["RATE"]["x"], t["RATE"]["y"]
        # the sample was cleaned before: what was subtracted is compared, to the rounding of either difference
        peer_took, we_took = (np.asarray(a, float) - np.asarray(b, float) for a, b in ((t["NSCLEAN"]["SCI"], t["IMPRINT"]["SCI"]), (t["RATE"]["SCI"], ours["SCI"].data[y, x])))
        good = np.isfinite(peer_took) & np.isfinite(we_took)
        room = 1e-5 * np.maximum(np.abs(peer_took), np.abs(np.asarray(t["RATE"]["SCI"], float)))
        figure("imprint sample, subtracted within 1e-5", (np.abs(peer_took - we_took)[good] <= room[good]).mean(), 1, True)
        figure("imprint sample DQ all bits equal", (ours["DQ"].data[y, x].astype("u4") == t["IMPRINT"]["DQ"].astype("u4")).mean(), 1, True)
        for plane in ("ERR", "VAR_POISSON", "VAR_RNOISE"):
            a, b = t["IMPRINT"][plane], ours[plane].data[y, x]
            figure(f"imprint sample {plane} equal (propagate_errors=false)", ((a == b) | (np.isnan(a) & np.isnan(b))).mean(), 1, True)

    leak, clean = np.load(f"{made}/leak.npy"), fits.getdata(f"{made}/clean_rate.fits", "SCI")
    for kind, target in (("unscaled", 0.5), ("fitted", 0.1)):
        with fits.open(f"{products}/{kind}/strong_imprint_subtract.fits") as ours:
            left = ours["SCI"].data - clean
            good = (ours["REGIONS"].data > 0) & np.isfinite(left) & ((ours["DQ"].data.astype("u4") & DO_NOT_USE) == 0)
            share = abs((leak * left)[good].sum(dtype=float) / (1.4 * leak * leak)[good].sum(dtype=float))
            figure(f"imprint {kind}: leakage left in the slices, share", share, target, False)
            if kind == "fitted":
                h = ours[0].header
                figure("imprint fitted: amplitude off 1.4, in its errors", abs(h["IMPRAMP"] - 1.4) / h["IMPRAERR"], 5, False)


def main():
    samples, products, ifurun, instrument, more = sys.argv[1:6]
    for path in sorted(glob.glob(f"{samples}/wcs_*.fits") + glob.glob(f"{more}/wcs_*.fits")):
        wcs(path, ifurun, instrument)
    for k in (1, 2, 3, 4):
        for det in ("nrs1", "nrs2"):
            base = f"jw01234001001_02101_{k:05d}_{det}"
            if os.path.exists(f"{samples}/stage_{base}.fits"):
                stage(samples, products, base)
    one = "jw01234001001_02101_00001_nrs1"
    cube(samples, products, f"raw_{one}", f"{one}_s3d.fits")
    spectrum(samples, products, f"raw_{one}", f"{one}_x1d.fits")
    for kind in ("point", "ext", "target"):
        group = f"{kind}/jw01234-o001_simtarg_nirspec_g395h-f290lp"
        if kind == "point":
            cube(samples, products, "raw_dith_drizzle", f"{group}_s3d.fits")
        spectrum(samples, products, f"raw_dith_{kind}", f"{group}_x1d.fits")
    work = os.path.dirname(os.path.abspath(more))
    failed_open(products, f"{work}/failed-open")
    leakage(samples, products, f"{work}/leakage")
    if "--json" in sys.argv:
        with open(sys.argv[sys.argv.index("--json") + 1], "w") as f:
            json.dump(rows, f, indent=1)
    good = sum(r["ok"] for r in rows)
    print(f"peer figures: {good} passed, {len(rows) - good} failed")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
