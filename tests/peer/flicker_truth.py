"""1/f noise that clean_flicker_noise removes, against the truth of simulated exposures.

usage: flicker_truth.py IFURUN WORK [--json FILE]

WORK has refs/ and rates/ (two exposures of ifusim, with their truth); the last one also gets
1/f noise in the order in which the instrument reads, which is not the simulator's. With PEER_WORK and
PEER_SAMPLES in the environment the peer's scene without leakage is simulated, too, and
the peer's own methods run on it with our mask.

The figure is 1 - variance of what is left / variance of what was put in, over the pixels
inside the slices, of single pixels and of means of 17, 65 and 257 pixels along the readout.
Needs numpy and astropy.
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
ifurun, work = sys.argv[1:3]
WINDOWS = (1, 17, 65, 257)
METHODS = (("gp", dict(fit_method="gp")), ("fft", dict(fit_method="fft")), ("median", {}), ("median by channel", dict(fit_by_channel="true")))
rows = []


def figure(what, value, target, above=True):
    ok = bool(value >= target if above else value <= target)
    rows.append(dict(what=what, value=float(value), target=float(target), ok=ok))
    print(f"{'ok    ' if ok else 'MISSED'} {what:<56} {value:8.4f}  {'>=' if above else '<='} {target:g}", flush=True)


def means(image, window):
    """Means of `window` pixels along y; the image is continued by its edge."""
    half = window // 2
    total = np.cumsum(np.pad(image, ((half + 1, half), (0, 0)), mode="edge"), axis=0)
    return (total[window:] - total[:-window]) / window


def removed(noise, left, inside):
    return [1 - means(left, w)[inside].var() / means(noise, w)[inside].var() for w in WINDOWS]


def fill(image):
    """Pixels that are not there take the value of the next one in their column."""
    for column in image.T:
        bad = ~np.isfinite(column)
        if bad.any() and not bad.all():
            column[bad] = np.interp(np.flatnonzero(bad), np.flatnonzero(~bad), column[~bad])
    return np.nan_to_num(image)


def ours(rate, refs, options, name):
    out = f"{work}/{name.replace(' ', '_')}"
    command = [ifurun, "spec2", "--references", refs, "--output", out, "--stop-after", "clean_flicker_noise"]
    for key, value in dict(skip="false", mask_science_regions="true", save_mask="true", **options).items():
        command += ["--set", f"clean_flicker_noise.{key}={value}"]
    done = subprocess.run([*command, rate], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    base = os.path.basename(rate).replace("_rate.fits", "")
    return f"{out}/{base}_cfn.fits", f"{out}/{base}_mask.fits"


def check(what, rate, refs, noise):
    """Removed shares of our methods; the mask that they used."""
    raw = fits.getdata(rate, "SCI").astype(float)
    before = fits.getdata(rate, "VAR_RNOISE").astype(float)
    shares = {}
    for name, options in METHODS:
        path, mask = ours(rate, refs, options, name)
        with fits.open(path) as f:
            model = raw - f["SCI"].data.astype(float)
            claimed = f["VAR_RNOISE"].data.astype(float) - before
            inside = f["REGIONS"].data > 0
        known = np.isfinite(model) & np.isfinite(claimed)
        inside[:4] = inside[-4:] = inside[:, :4] = inside[:, -4:] = False
        left = noise - fill(model)
        shares[name] = removed(noise, left, inside)
        print(f"       {what + ', ' + name:<40}" + " ".join(f"{100 * v:5.1f}" for v in shares[name]) + "  % removed", flush=True)
        if name == "gp":
            for place, where in (("inside", inside & known), ("outside", ~inside & known)):
                ratio = (left[where] ** 2).mean() / claimed[where].mean()
                print(f"       {what}, gp: squared error / variance, {place}: {ratio:.3f}", flush=True)
                figure(f"{what}, gp: squared error / variance, {place} - 1", abs(ratio - 1), 0.15, False)
    figure(f"{what}, gp: single pixels", shares["gp"][0], 0.70)
    figure(f"{what}, gp: means of 65 pixels", shares["gp"][2], 0.93)
    return shares, mask, inside


def series(rng, n):
    """1/f noise of standard deviation 1."""
    k = np.arange(n // 2 + 1)
    k[0] = 1
    t = np.fft.irfft((rng.normal(size=k.size) + 1j * rng.normal(size=k.size)) / np.sqrt(k), n)
    return t / t.std()


def reread(rate, noise, pattern):
    """The exposure as the instrument reads it: outputs of 512 rows in alternating directions."""
    rng = np.random.default_rng(7)
    at = np.arange(512)
    line = 712 if "IRS2" in pattern else 524
    at = at // 16 * 22 + at % 16 if "IRS2" in pattern else at
    samples = np.arange(2048)[:, None] * line + at
    common, image = series(rng, 2048 * line), np.empty((2048, 2048))
    for c in range(4):
        read = 0.012 * (0.85 * common + 0.527 * series(rng, 2048 * line))[samples].T
        image[512 * c:512 * (c + 1)] = read[::-1] if c % 2 else read
    out = f"{work}/{pattern.lower()}_rate.fits"
    with fits.open(rate) as f:
        f["SCI"].data = (f["SCI"].data + image - noise).astype("f4")
        f[0].header["READPATT"] = pattern
        f.writeto(out, overwrite=True)
    return out, image


def check_sim():
    for rate in sorted(glob.glob(f"{work}/rates/*_rate.fits")):
        noise = fits.getdata(rate.replace("_rate", "_truth"), "FLICKER").astype(float)
        check("ifusim " + rate[-14:-10].upper(), rate, f"{work}/refs", noise)
    for pattern in ("NRSRAPID", "NRSIRS2RAPID"):
        again, image = reread(rate, noise, pattern)
        check(f"ifusim, {pattern}", again, f"{work}/refs", image)


def check_peer():
    sys.path.insert(0, f"{os.environ['PEER_SAMPLES']}/peer")
    import logging

    import simulate
    from jwst.clean_flicker_noise import clean_flicker_noise as peer
    from stdatamodels.jwst import datamodels as dm

    logging.disable(logging.INFO)
    drawn, draw = [], simulate.flicker
    simulate.flicker = lambda rng: drawn.append(draw(rng)) or drawn[-1]
    refs = f"{simulate.WORK}/refs/G395H"
    for seed, detector in ((300, "NRS1"), (301, "NRS2")):
        rate = f"{work}/jw09999001001_02101_00001_{detector.lower()}_rate.fits"
        simulate.expose(rate, refs, detector, "F290LP", "G395H", seed=seed, leak=False)
        noise = drawn.pop().astype(float)
        shares, mask, inside = check(f"peer's scene {detector}", rate, refs, noise)
        for name, options in METHODS[1:]:
            with dm.ImageModel(rate) as model:
                raw = np.array(model.data, float)
                clean = peer.do_correction(model, fit_method=options.get("fit_method", "median"), fit_by_channel="fit_by_channel" in options, user_mask=mask)[0]
                theirs = removed(noise, noise - fill(raw - np.array(clean.data, float)), inside)
            print(f"       {detector}, the peer's {name:<26}" + " ".join(f"{100 * v:5.1f}" for v in theirs) + "  % removed", flush=True)
            for k in (0, 2):
                figure(f"{detector}, {name}: ours - the peer's, {WINDOWS[k]} pixels", shares[name][k] - theirs[k], -0.005)


check_sim()
if "PEER_WORK" in os.environ:
    check_peer()
if "--json" in sys.argv:
    with open(sys.argv[sys.argv.index("--json") + 1], "w") as f:
        json.dump(rows, f, indent=1)
bad = [r for r in rows if not r["ok"]]
print(f"{len(rows)} figures, {len(bad)} missed")
sys.exit(bool(bad))
