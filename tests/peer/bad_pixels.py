"""badpix_selfcal and pixel_replace against the peer's own steps: flags and values, pixel by pixel.

usage: bad_pixels.py RATES CAL IFURUN REFERENCES OUT [--full]

RATES: the eight exposures; CAL: a calibrated exposure of the peer with its map of slices. fit_profile is
compared in two slices (the peer takes 4 s for each), with --full in all; trace_model with --full (the peer's model takes minutes).
"""
import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from jwst import datamodels
from jwst.adaptive_trace_model.adaptive_trace_model_step import AdaptiveTraceModelStep
from jwst.badpix_selfcal.badpix_selfcal_step import BadpixSelfcalStep
from jwst.pixel_replace.pixel_replace import PixelReplacement

warnings.filterwarnings("ignore")
parser = argparse.ArgumentParser()
for name in ("rates", "cal", "ifurun", "references", "out"):
    parser.add_argument(name)
parser.add_argument("--full", action="store_true")
args = parser.parse_args()
out = Path(args.out)
out.mkdir(parents=True, exist_ok=True)
rates = [f"{args.rates}/jw01234001001_02101_0000{k}_nrs1_rate.fits" for k in (1, 2, 3)]
failed = False


def ours(recipe, stage, folder, file, *more):
    """The product of a stage, and the seconds of its computation."""
    timings = out / f"{folder}.json"
    timings.unlink(missing_ok=True)
    subprocess.run([args.ifurun, recipe, "--references", args.references, "--output", out / folder, "--save", stage, "--stop-after", stage,
                    "--set", f"{stage}.skip=false", "--timings", timings, *more, file], check=True, capture_output=True)
    product, = [p for p in (out / folder).glob(f"*_{stage}.fits")]
    stages = {s["stage"]: s["run"] + s["write"] for s in json.loads(timings.read_text())["stages"]}
    return fits.open(product), stages[stage]


def show(what, differing, pixels, theirs, mine):
    global failed
    failed = failed or bool(differing)
    print(f"{what}: {pixels} pixels, {differing} differ; {theirs:.1f} s and {mine:.2f} s with reading and writing")


def selfcal(folder, members, **parameters):
    step = BadpixSelfcalStep()
    for name, value in parameters.items():
        setattr(step, name, value)
    model = datamodels.open(rates[0])
    model.meta.wcsinfo.dispersion_direction = 1
    begin = time.time()
    theirs, _ = step.process(model, [], list(members))
    seconds = time.time() - begin
    options = [o for m in members for o in ("--background", m)]
    options += [o for n, v in parameters.items() for o in ("--set", f"badpix_selfcal.{n}={str(v).lower()}")]
    hdus, mine = ours("spec2", "badpix_selfcal", folder, rates[0], *options)
    wrong = np.count_nonzero(theirs.dq != hdus["DQ"].data) + np.count_nonzero(np.isnan(theirs.data) != np.isnan(hdus["SCI"].data))
    show(f"badpix_selfcal {folder}", wrong, np.count_nonzero(theirs.dq & (1 << 30)), seconds, mine)


def replacement(algorithm, slices):
    model = datamodels.open(args.cal)
    if slices:
        model.regions = np.where(np.isin(model.regions, slices), model.regions, 0)
    begin = time.time()
    if algorithm == "trace_model":
        step = AdaptiveTraceModelStep()
        step.oversample, step.skip = 1.0, False
        model = step.process(model)
    PixelReplacement(model, algorithm, 3).replace()
    seconds = time.time() - begin
    hdus, mine = ours("spec3", "pixel_replace", algorithm, args.cal, "--set", f"pixel_replace.algorithm={algorithm}", "--set",
                      "outlier_detection.skip=true")
    where = np.isin(hdus["REGIONS"].data, slices) if slices else np.ones(model.dq.shape, bool)
    wrong = np.count_nonzero((model.dq != hdus["DQ"].data)[where])
    for plane, name in (("data", "SCI"), ("err", "ERR"), ("var_poisson", "VAR_POISSON"), ("var_rnoise", "VAR_RNOISE"), ("var_flat", "VAR_FLAT")):
        a, b = getattr(model, plane)[where], hdus[name].data[where]
        # the same within 1e-4, NaNs in the same places
        wrong += np.count_nonzero(~np.isclose(a, b, rtol=1e-4, atol=0, equal_nan=True))
    show(f"pixel_replace {algorithm}", wrong, np.count_nonzero(model.dq[where] & (1 << 28)), seconds, mine)


selfcal("two", rates[1:], flagfrac_upper=0.005)
selfcal("alone", [], force_single=True, kernel_size=7)
replacement("mingrad", None)
replacement("fit_profile", None if args.full else [3, 20])
if args.full:
    replacement("trace_model", None)
sys.exit(failed)
