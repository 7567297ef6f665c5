"""How much single spaxels at a point source swing with wavelength, before and after
adaptive_trace_model.

usage: wiggles.py truth IFURUN IFUSIM WORK [ROLL...]     noiseless scenes of ifusim
       wiggles.py peer SAMPLES IFURUN REFERENCES FILE WORK [--same]
                                  a calibrated exposure of the peer's scene, dither 1, NRS1;
                                  --same: the very file that the peer's sample was made of
       wiggles.py picture IFURUN REFERENCES FILE WORK PEER_CUBE PNG

The swing: the spectrum of the brightest spaxel between 3.02 and 3.27 um over the parabola
through it, a running mean of 11 planes; half of the range that holds 95 % of it.
Prints one line per figure: what, the value, the target, ok or MISSED; exits 1 if any
target is missed. Needs astropy and numpy.
"""
import glob
import os
import shutil
import subprocess
import sys
import time
import warnings

import numpy as np
from astropy.io import fits

warnings.filterwarnings("ignore")
LOW, HIGH = 3.02, 3.27
LINE = 3.297
SKY = ["adaptive_trace_model.skip=false", "adaptive_trace_model.sampling=sky"]
TWICE = ["adaptive_trace_model.skip=false", "adaptive_trace_model.oversample=2"]
failed = False


def figure(what, value, target=None, above=False):
    """Print one figure; a target makes it a test."""
    global failed
    if target is None:
        print(f"       {what:<72} {value:10.4g}", flush=True)
        return
    ok = value >= target if above else value <= target
    failed = failed or not ok
    print(f"{'ok    ' if ok else 'MISSED'} {what:<72} {value:10.4g}  {'>=' if above else '<='} {target:g}", flush=True)


def cube(ifurun, refs, files, out, *settings):
    """Make a cube: wavelengths, SCI, spaxel in arcsec, and the seconds that it took."""
    shutil.rmtree(out, ignore_errors=True)
    sets = [a for s in ("extract_1d.skip=true", "outlier_detection.skip=true", *settings) for a in ("--set", s)]
    start = time.time()
    subprocess.run([ifurun, "spec3", "--references", refs, "--output", out, *sets, *files], check=True, capture_output=True)
    seconds = time.time() - start
    return *read(glob.glob(f"{out}/*_s3d.fits")[0]), seconds


def read(path):
    with fits.open(path) as h:
        d, head = h["SCI"].data.astype(float), h["SCI"].header
    return head["CRVAL3"] + np.arange(d.shape[0]) * head["CDELT3"], d, head["CDELT1"] * 3600


def peak(lam, d):
    """The brightest spaxel: row, column."""
    image = np.nanmedian(d[(lam > LOW) & (lam < HIGH)], 0)
    return np.unravel_index(np.nanargmax(image), image.shape)


def swing(lam, spectrum):
    k = (lam > LOW) & (lam < HIGH) & np.isfinite(spectrum)
    t, v = lam[k] - (LOW + HIGH) / 2, spectrum[k]
    smooth = np.convolve(v / np.polyval(np.polyfit(t, v, 2), t), np.ones(11) / 11, "valid")
    return (np.percentile(smooth, 97.5) - np.percentile(smooth, 2.5)) / 2


def percent(lam, d):
    return 100 * swing(lam, d[(slice(None), *peak(lam, d))])


def centre(lam, d, scale):
    j, i = peak(lam, d)
    image = np.nan_to_num(np.nanmedian(d[(lam > LOW) & (lam < HIGH)], 0))
    y, x = np.indices(image.shape)
    w = np.where(np.hypot(x - i, y - j) * scale < 0.3, image, 0)
    return (w * y).sum() / w.sum(), (w * x).sum() / w.sum()


def radii(d, at, scale, fine=10):
    """Distance from the centre of each of fine x fine points of every spaxel, arcsec."""
    ny, nx = d.shape[1:]
    y = (np.arange(ny * fine) + 0.5) / fine - 0.5 - at[0]
    x = (np.arange(nx * fine) + 0.5) / fine - 0.5 - at[1]
    return np.hypot(y[:, None], x[None, :]) * scale


def aperture(d, at, scale, radius, fine=10):
    inside = radii(d, at, scale, fine) < radius
    share = inside.reshape(d.shape[1], fine, d.shape[2], fine).mean((1, 3))
    return np.nansum(d * share, axis=(1, 2)) * scale**2


def line(lam, d):
    """Flux and velocity (km/s) of the line in each spaxel, over a straight continuum."""
    v = abs(lam / LINE - 1) < 0.0025
    c = (abs(lam / LINE - 1) < 0.006) & (abs(lam / LINE - 1) > 0.0035)
    t = lam - LINE
    a = np.stack([np.ones(c.sum()), t[c]], 1)
    fit = np.linalg.lstsq(a, np.nan_to_num(d[c]).reshape(c.sum(), -1), rcond=None)[0]
    f = d[v] - (fit[0] + t[v][:, None] * fit[1]).reshape(v.sum(), *d.shape[1:])
    flux = f.sum(0)
    return flux, (f * ((lam[v] / LINE - 1) * 299792.458)[:, None, None]).sum(0) / flux


def binned(d, at, scale):
    """Spaxels of a pixel's size, 0.1 arcsec: finer ones show the staircase of pixels in one
    and the model in the other. And the centre in them."""
    if scale > 0.07:
        return d, at, scale
    ny, nx = d.shape[1] // 2, d.shape[2] // 2
    four = d[:, : 2 * ny, : 2 * nx].reshape(len(d), ny, 2, nx, 2)
    return four.mean((2, 4)), ((at[0] - 0.5) / 2, (at[1] - 0.5) / 2), 2 * scale


def changes(name, before, after, noisy):
    """What must not change: the aperture's flux, the disc's lines."""
    lam, d, scale, _ = before
    s = after[1]
    at = centre(lam, s, scale)
    k = (lam > LOW) & (lam < HIGH)
    ratio = (aperture(s, at, scale, 0.45) / aperture(d, at, scale, 0.45))[k]
    figure(f"{name}: flux within 0.45 arcsec, mean change, %", 100 * abs(np.nanmedian(ratio) - 1), 0.3)
    if not noisy:
        figure(f"{name}: the same, any plane, %", 100 * np.nanmax(abs(ratio - 1)))
    d, _, _ = binned(d, at, scale)
    s, at, scale = binned(s, at, scale)
    (f0, v0), (f1, v1) = line(lam, d), line(lam, s)
    r = np.hypot(*(np.indices(f0.shape) - np.array(at)[:, None, None])) * scale
    disc = (r > 0.3) & (r < 1.0) & np.isfinite(f0) & np.isfinite(f1)
    disc &= f0 > 0.1 * np.nanmax(np.where(disc, f0, 0))
    figure(f"{name}: flux of the disc's line, change, %", 100 * abs(f1[disc].sum() / f0[disc].sum() - 1), 0.5)
    figure(f"{name}: its velocity, rms change, km/s", np.sqrt(np.average((v1 - v0)[disc] ** 2, weights=f0[disc])), 2)


def truth(ifurun, ifusim, work, rolls):
    refs = f"{work}/refs"
    subprocess.run([ifusim, "--make-references", refs, "--grating", "G395H", "--filter", "F290LP"], check=True, capture_output=True)
    for roll in rolls:
        cals = simulate(ifurun, ifusim, refs, f"{work}/{roll}", roll)
        for n in (1, 4):
            for scale in (0.1, 0.05):
                name = f"roll {roll}, {n} dither{'s' * (n > 1)}, {scale} arcsec"
                size = f"cube_build.scalexy={scale}"
                plain = cube(ifurun, refs, cals[:n], f"{work}/cube", size)
                figure(f"{name}: swing, plain, %", percent(*plain[:2]))
                if n == 1:
                    figure(f"{name}: swing, oversample 2, %", percent(*cube(ifurun, refs, cals[:n], f"{work}/cube", size, *TWICE)[:2]))
                sky = cube(ifurun, refs, cals[:n], f"{work}/cube", size, *SKY)
                figure(f"{name}: swing, sky, %", percent(*sky[:2]), 0.7 if n == 1 else 0.4)
                changes(name, plain, sky, False)
        shutil.rmtree(f"{work}/{roll}")


def simulate(ifurun, ifusim, refs, folder, roll):
    subprocess.run([ifusim, "--references", refs, "--output", folder, "--noise", "false", "--bad-pixels", "0", "--detector", "NRS1", "--truth", "false", "--dithers", "4", "--roll", str(roll)],
                   check=True, capture_output=True)
    for rate in sorted(glob.glob(f"{folder}/*_rate.fits")):
        subprocess.run([ifurun, "spec2", "--references", refs, "--output", folder, "--stop-after", "photom", rate], check=True, capture_output=True)
        os.remove(rate)
    return sorted(glob.glob(f"{folder}/*_cal.fits"))


def peer(samples, ifurun, refs, path, work, same):
    plain = cube(ifurun, refs, [path], f"{work}/plain")
    twice = cube(ifurun, refs, [path], f"{work}/twice", *TWICE)
    sky = cube(ifurun, refs, [path], f"{work}/sky", *SKY)
    figure("the peer's scene: swing, plain, %", percent(*plain[:2]), 15, True)
    figure("the peer's scene: swing, oversample 2, %", percent(*twice[:2]), 2.8)
    figure("the peer's scene: swing, sky, %", percent(*sky[:2]), 0.7)
    changes("the peer's scene", plain, sky, True)
    figure("more seconds than without, oversample 2", twice[3] - plain[3])
    figure("more seconds than without, sky", sky[3] - plain[3])
    t = fits.getdata(f"{samples}/cube_one_atm.fits", "VOXELS")
    ours = twice[1][t["k"], t["j"], t["i"]]
    figure("oversample 2: voxels filled as the peer's, share", np.mean(np.isfinite(ours) == np.isfinite(t["SCI"])), 0.999, True)
    off = abs(ours - t["SCI"])[np.isfinite(ours)]
    allowed = np.maximum(1e-4 * abs(t["SCI"]), 1e-3 * t["ERR"])[np.isfinite(ours)]
    figure("oversample 2: voxels as the peer's, 1e-4 or 0.001 ERR, share", np.mean(off <= allowed), *((0.999, True) if same else ()))


def picture(ifurun, refs, path, work, theirs, png):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.figure(figsize=(7, 3.2))
    for name, (lam, d) in (("without", cube(ifurun, refs, [path], f"{work}/plain")[:2]),
                           ("peer's, oversample 2", read(theirs)[:2]),
                           ("sampling = sky", cube(ifurun, refs, [path], f"{work}/sky", *SKY)[:2])):
        k = (lam > 2.95) & (lam < 3.6)
        plt.plot(lam[k], d[(k, *peak(lam, d))], lw=0.7, label=f"{name}: {percent(lam, d):.2f} %")
    plt.ylim(150, 800)
    plt.xlabel("wavelength, um")
    plt.ylabel("brightest spaxel, MJy/sr")
    plt.legend(fontsize=8)
    plt.tight_layout()
    plt.savefig(png, dpi=80)


if __name__ == "__main__":
    mode, *rest = sys.argv[1:]
    if mode == "truth":
        truth(*rest[:3], [int(r) for r in rest[3:]] or [60, 0, 37])
    elif mode == "peer":
        peer(*rest[:5], "--same" in rest)
    else:
        picture(*rest)
    sys.exit(failed)
