"""What the automatic mask, the quality measure and the guard do on whole frames.

usage: automask.py WORK BIN [MASKS RATES REFERENCES]

Exposures of ifusim, G395H NRS1, with 1/f noise of 0.012 DN/s. BIN has ifusim and ifurun.
With MASKS (nrs1_*.fits.gz, 1 on background), the automatic masks of exposures in RATES are
compared with them. Every figure has a target; the exit code tells whether all are met.
"""
import glob
import subprocess
import sys

import numpy as np
from astropy.io import fits

work, programs = sys.argv[1:3]
missed = 0
NAME = "jw01234001001_02101_00001_nrs1"
OURS = {"auto_mask": "true", "hold_out": "0.02", "guard": "true"}


def figure(what, value, limit, most=True):
    global missed
    ok = value <= limit if most else value >= limit
    missed += not ok
    print(f"{'ok    ' if ok else 'MISSED'} {what:<72} {value:10.5f}  {'<=' if most else '>='} {limit:g}", flush=True)


def simulate(folder, *options):
    command = [f"{programs}/ifusim", "--references", f"{work}/refs", "--output", f"{work}/{folder}", "--dithers", "1", "--detector", "NRS1", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return f"{work}/{folder}/{NAME}_rate.fits"


def clean(rate, options, refs=None):
    """The exposure after clean_flicker_noise, and its mask if it was saved."""
    out = f"{work}/out"
    subprocess.run(["rm", "-rf", out], check=True)
    command = [f"{programs}/ifurun", "spec2", "--references", refs or f"{work}/refs", "--output", out, "--stop-after", "clean_flicker_noise", "--set", "clean_flicker_noise.skip=false"]
    for key, value in options.items():
        command += ["--set", f"clean_flicker_noise.{key}={value}"]
    run = subprocess.run(command + [rate], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    with fits.open(glob.glob(f"{out}/*_cfn.fits")[0]) as h:
        made = {"sci": h["SCI"].data.astype(float), "regions": h["REGIONS"].data, "header": dict(h[0].header)}
    for path in glob.glob(f"{out}/*_mask.fits"):
        made["mask"] = fits.getdata(path) != 0
    return made


def means(image, window):
    """Means of `window` pixels along y; the image is continued by its edge."""
    half = window // 2
    total = np.cumsum(np.pad(image, ((half + 1, half), (0, 0)), mode="edge"), axis=0)
    return (total[window:] - total[:-window]) / window


def fill(image):
    """Pixels that are not there take the value of the next one in their column."""
    for column in image.T:
        bad = ~np.isfinite(column)
        if bad.any() and not bad.all():
            column[bad] = np.interp(np.flatnonzero(bad), np.flatnonzero(~bad), column[~bad])
    return np.nan_to_num(image)


def removed(rate, options):
    """Shares of the injected variance inside slices that are gone: of single pixels, and
    of means of 65 along the readout."""
    made = clean(rate, options)
    truth = fits.getdata(rate.replace("_rate", "_truth"), "FLICKER").astype(float)
    left = truth - fill(fits.getdata(rate, "SCI").astype(float) - made["sci"])
    inside = made["regions"] > 0
    inside[:4] = inside[-4:] = inside[:, :4] = inside[:, -4:] = False
    return [1 - means(left, w)[inside].var() / means(truth, w)[inside].var() for w in (1, 65)], made


def spill(regions):
    """Light of a uniform extended source: a slit's length is 10/11 of the rows of its
    slice, so that a row and a half at both ends get none but what is blurred along y: by
    0.8 rows and, 5 % of it, by 4 rows."""
    def shrink(v):
        return np.minimum(v, np.minimum(np.roll(v, 1, 0), np.roll(v, -1, 0)))
    once = shrink((regions > 0).astype(float))
    inside = (once + shrink(once)) / 2
    y = np.arange(-20, 21)
    kernel = sum(a * np.exp(-0.5 * (y / s) ** 2) / np.exp(-0.5 * (y / s) ** 2).sum() for a, s in ((0.95, 0.8), (0.05, 4.0)))
    return sum(w * np.roll(inside, k, 0) for k, w in zip(y, kernel))


subprocess.run([f"{programs}/ifusim", "--make-references", f"{work}/refs", "--grating", "G395H", "--filter", "F290LP"], check=True, stdout=subprocess.DEVNULL)
noise = ("--flicker", "0.012", "--cosmic-rays", "900")
methods = ("median", "fft", "gp")


print("1/f noise removed inside the slices: a star, a disc and zodiacal light")
plain, leak = simulate("plain", *noise), simulate("leak", *noise, "--leakage", "1")
for method in methods:
    (a, b), made = removed(plain, {"fit_method": method, **OURS})
    h = made["header"]
    print(f"       {method}: held out {h['CFN_HELD']} pixels; variance {h['CFN_BEF']:.3e} -> {h['CFN_AFT']:.3e}; bands " + ", ".join(f"{h[f'CFN_BEF{k}']:.2e} -> {h[f'CFN_AFT{k}']:.2e}" for k in (1, 2, 3, 4)))
    (c, d), _ = removed(plain, {"fit_method": method, "mask_science_regions": "true"})
    (e, f), _ = removed(leak, {"fit_method": method, **OURS})
    (g, k), _ = removed(leak, {"fit_method": method, "mask_science_regions": "true"})
    print(f"       {method}: single pixels, means of 65: slices masked {c:.4f} {d:.4f}, automatic {a:.4f} {b:.4f}; with leakage: slices masked {g:.4f} {k:.4f}, automatic {e:.4f} {f:.4f}")
    figure(f"{method}: automatic against slices masked, without leakage", c - a, 0.02)
    figure(f"{method}: with leakage against without, automatic, single pixels", a - e, 0.02)
    figure(f"{method}: with leakage against without, automatic, means of 65", b - f, 0.02)

print("flux of a faint extended source lost; it spills over the ends of the slices")
dark = simulate("dark", *noise, "--source", "0", "--disc", "0", "--zodi", "0")
for method in methods:
    base = clean(dark, {"fit_method": method, **OURS})
    light, inside = spill(base["regions"]), base["regions"] > 0
    for sigma in (0.1, 0.5, 3):
        with fits.open(dark) as h:
            h["SCI"].data = (h["SCI"].data + sigma * 0.0065 * light).astype("f4")
            h.writeto(f"{work}/faint_rate.fits", overwrite=True)
        got = clean(f"{work}/faint_rate.fits", {"fit_method": method, **OURS})
        good = inside & np.isfinite(got["sci"] - base["sci"])
        loss = 1 - (got["sci"] - base["sci"])[good].sum() / (sigma * 0.0065 * light[good]).sum()
        figure(f"{method}: {sigma} sigma of read noise a pixel, share lost", abs(loss), 0.005)

print("the guard: read noise and no 1/f noise")
quiet = simulate("quiet", "--flicker", "0")
for method in methods:
    made = clean(quiet, {"fit_method": method, **OURS})
    print(f"       {method}: {made['header'].get('CFN_LEFT', 'cleaned')}; variance {made['header']['CFN_BEF']:.5e} -> {made['header']['CFN_AFT']:.5e}")
    changed = made["sci"] - fits.getdata(quiet, "SCI")
    figure(f"{method}: rms of what was taken off, DN/s", float(np.nanstd(changed)), 3e-4)

if len(sys.argv) > 3:
    masks, rates, refs = sys.argv[3:6]
    print("masks drawn by hand for flight data, against automatic ones of simulated leakage")
    for detector in ("nrs1", "nrs2"):
        hand = fits.getdata(glob.glob(f"{masks}/{detector}_*.fits*")[0]) != 0
        rate = f"{rates}/jw01234001001_02101_00001_{detector}_rate.fits"
        made = clean(rate, {"save_mask": "true", **OURS}, refs)
        rest = made["regions"] == 0
        print(f"       {detector}: background by hand {hand.mean():.3f}, automatic {made['mask'].mean():.3f}, both {(hand & made['mask']).mean():.3f}; of the background by hand outside our slices the automatic mask keeps {(made['mask'] & hand & rest).sum() / (hand & rest).sum():.3f}")
sys.exit(missed != 0)
