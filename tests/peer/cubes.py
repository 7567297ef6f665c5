"""Cubes of every weighting and coordinate system beside the peer's.

usage: cubes.py SAMPLES IFURUN REFERENCES FILES OUT [--json FILE] [--more] [NAME...]

SAMPLES     folder with the peer's samples (cube_dith_*.fits, cube_one_*.fits)
REFERENCES  those the peer used
FILES       folder with the peer's own calibrated exposures, as outlier_detection left them (*_crf.fits)
OUT         where our cubes go
--more      SAMPLES is what cubes_peer.py made: its cases
NAME        which; default all

From the same files: same grid, same WCS keywords, 99.9 % of the sampled voxels within the larger of 1e-4 of the value and 0.001 ERR.
Prints one line per figure; exits 1 if any target is missed. Needs astropy and numpy.
"""
import glob
import json
import os
import subprocess
import sys
import time
import warnings

import numpy as np
from astropy.io import fits

import cubes_peer

warnings.filterwarnings("ignore")
CUBES = dict(
    dith_drizzle=["weighting=drizzle"],
    dith_emsm=["weighting=emsm"],
    dith_msm=["weighting=msm"],
    dith_ifualign=["coord_system=ifualign"],
    one_internal=["coord_system=internal_cal", "exact_planes=false"],
)
WCS = ("CRVAL1", "CRVAL2", "CRVAL3", "CRPIX1", "CRPIX2", "CRPIX3", "CDELT1", "CDELT2", "CDELT3", "PC1_1", "PC1_2", "PC2_1", "PC2_2")
NAMES = ("CTYPE1", "CTYPE2", "CTYPE3", "CUNIT1", "CUNIT2", "CUNIT3", "BUNIT")
rows = []


def figure(what, value, target, above):
    ok = bool(value >= target if above else value <= target)
    rows.append(dict(what=what, value=float(value), target=float(target), ok=ok))
    print(f"{'ok    ' if ok else 'MISSED'} {what:<64} {value:12.6g}  {'>=' if above else '<='} {target:g}", flush=True)


def sampled(name, files):
    """Inputs and settings of a cube of the peer's samples."""
    inputs = sorted(glob.glob(f"{files}/*_crf.fits"))
    if name.startswith("one"):
        inputs = [f for f in inputs if "_00001_nrs1" in f]
    return inputs, CUBES[name]


def more(name, files, samples):
    """The same of a case of cubes_peer."""
    settings = [f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in cubes_peer.parameters(name, samples).items()]
    return cubes_peer.inputs(name, files, samples), settings + [f"override_cubepar={samples}/cubepar.fits"]


def make(name, inputs, settings, ifurun, references, out):
    """Our cube; returns its path and the seconds cube_build took."""
    folder = f"{out}/{name}"
    os.makedirs(folder, exist_ok=True)
    for old in glob.glob(f"{folder}/*"):
        os.remove(old)
    command = [ifurun, "spec3", "--references", references, "--output", folder, "--stop-after", "cube_build", "--timings", f"{folder}/timings.json"]
    for other in ("outlier_detection", "master_background", "adaptive_trace_model", "pixel_replace"):
        command += ["--set", f"{other}.skip=true"]
    for pair in settings:
        command += ["--set", f"cube_build.{pair}"]
    run = subprocess.run(command + inputs, capture_output=True, text=True)
    made = glob.glob(f"{folder}/*_s3d.fits")
    if run.returncode or not made:
        raise SystemExit(f"{name}: {run.stderr}")
    with open(f"{folder}/timings.json") as f:
        stages = {s["stage"]: s["run"] for s in json.loads(f.readlines()[-1])["stages"]}
    return made[0], stages["cube_build"]


def compare(name, samples, path):
    with fits.open(f"{samples}/cube_{name}.fits") as peer, fits.open(path) as ours:
        hp, ho = peer["SCI_HEADER"].header, ours["SCI"].header
        same = all(hp[f"SIZE{a}"] == ho[f"NAXIS{a}"] for a in (1, 2, 3))
        figure(f"{name} same grid", float(same), 1, True)
        if not same:
            return
        worst = max(abs(float(hp[k]) - float(ho[k])) for k in WCS if k in hp)
        figure(f"{name} WCS keywords, worst difference", worst, 1e-8, False)
        differ = [k for k in NAMES if str(hp.get(k)).strip() != str(ho.get(k)).strip()]
        figure(f"{name} names and units that differ {differ or ''}".strip(), len(differ), 0, False)
        for k in ("WTYPE", "ROIS", "ROIW", "WPOWER"):
            if k not in peer[0].header:  # of tables the peer does not say
                continue
            if str(peer[0].header[k]) != str(ours[0].header[k]) and abs(float(peer[0].header[k]) - float(ours[0].header[k])) > 1e-9:
                figure(f"{name} {k} {peer[0].header[k]} {ours[0].header[k]}", 1, 0, False)
        if "WAVES" in peer:
            apart = np.abs(peer["WAVES"].data["wavelength"] - np.ravel(ours["WCS-TABLE"].data["wavelength"][0]))
            figure(f"{name} wavelengths, worst difference", apart.max(), 1e-6, False)
        v = peer["VOXELS"].data
        at = v["k"], v["j"], v["i"]
        sci, err, dq, wmap = (ours[e].data[at] for e in ("SCI", "ERR", "DQ", "WMAP"))
        a, e = v["SCI"].astype(float), v["ERR"].astype(float)
        good = np.isfinite(a) & np.isfinite(sci)
        close = np.abs(a - sci)[good] <= np.maximum(1e-4 * np.abs(a), 0.001 * e)[good]
        figure(f"{name} SCI within 1e-4 or 0.001 ERR", close.mean(), 0.999, True)
        figure(f"{name} ERR within 1e-3", (np.abs(e - err)[good] <= 1e-3 * e[good]).mean(), 0.999, True)
        figure(f"{name} NaNs equal", (np.isnan(a) == np.isnan(sci)).mean(), 0.999, True)
        figure(f"{name} DQ equal", (v["DQ"].astype("u4") == dq).mean(), 0.999, True)
        figure(f"{name} WMAP equal", (np.abs(wmap - v["WMAP"]) <= 1e-4 * np.maximum(v["WMAP"], 1)).mean(), 0.999, True)


def main():
    args = sys.argv[1:]
    target = None
    if "--json" in args:
        i = args.index("--json")
        target = args[i + 1]
        del args[i : i + 2]
    cases, of = CUBES, sampled
    if "--more" in args:
        args.remove("--more")
        cases, of = cubes_peer.CASES, more
    samples, ifurun, references, files, out = args[:5]
    for name in args[5:] or cases:
        inputs, settings = of(name, files) if cases is CUBES else of(name, files, samples)
        path, seconds = make(name, inputs, settings, ifurun, references, out)
        print(f"       {name}: cube_build {seconds:.2f} s", flush=True)
        compare(name, samples, path)
    if target:
        with open(target, "w") as f:
            json.dump(rows, f, indent=1)
    return 0 if all(r["ok"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
