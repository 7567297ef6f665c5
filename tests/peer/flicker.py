"""Compare clean_flicker_noise with the peer's (jwst 3.0.0), run beside it, and time both.

usage: flicker.py SAMPLES RATE IFURUN REFERENCES WORK [--only-time] [--json FILE]

SAMPLES is the folder whose peer/ scripts run the peer without a reference server, and whose
golden/ holds samples of its own run; the environment has PEER_WORK. Each configuration is
run by both on the exposure RATE with the same mask (ours, save_mask) or none, and on windows
cut from it. Told: rms of the difference of the noise models in units of the rms of the
peer's. WORK is a folder for what is made. --only-time: no figures but the seconds of the
step alone, the peer's in this process, ours (two threads) by --timings.
"""
import json
import os
import resource
import subprocess
import sys
import time

samples, rate, ifurun, refs, work = sys.argv[1:6]
sys.path.insert(0, f"{samples}/peer")
from runpeer import np  # noqa: E402
from astropy.io import fits  # noqa: E402
from jwst.clean_flicker_noise import clean_flicker_noise as peer  # noqa: E402
from stdatamodels.jwst import datamodels as dm  # noqa: E402

rows, times = [], {}
os.makedirs(work, exist_ok=True)


def figure(what, value, target):
    ok = bool(value <= target)
    rows.append(dict(what=what, value=float(value), target=float(target), ok=ok))
    print(f"{'ok    ' if ok else 'MISSED'} {what:<64} {value:12.6g}  <= {target:g}", flush=True)


def ours(path, options, timings=None):
    out = f"{work}/ours"
    command = [ifurun, "spec2", "--references", refs, "--output", out, "--threads", "2", "--stop-after", "clean_flicker_noise", "--set", "clean_flicker_noise.skip=false"]
    for name, value in options.items():
        command += ["--set", f"clean_flicker_noise.{name}={str(value).lower() if isinstance(value, bool) else value}"]
    if timings:
        command += ["--timings", timings]
    done = subprocess.run([*command, path], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    base = os.path.basename(path).replace("_rate.fits", "")
    with fits.open(f"{out}/{base}_cfn.fits") as f:
        clean = f["SCI"].data.astype(float)
    mask = f"{out}/{base}_mask.fits"
    return clean, mask


def theirs(path, options, with_wcs=None):
    model = with_wcs.copy() if with_wcs else dm.ImageModel(path)
    box = options.get("background_box_size")
    settings = dict(options, background_box_size=[int(v) for v in box.split(",")] if box else None)
    if settings.pop("apply_flat_field", False):
        settings["flat_filename"] = settings.pop("override_flat")
    begun, cpu = time.time(), time.process_time()
    result, mask, background, noise, status = peer.do_correction(model, **settings)
    seconds = time.time() - begun, time.process_time() - cpu
    if status != "COMPLETE":
        sys.exit(f"the peer failed: {options}")
    return np.array(result.data, float), seconds


def compare(what, path, options, target):
    """Noise models of both; n_sigma clips at limits that rounding may move by a pixel."""
    with fits.open(path) as f:
        data = f["SCI"].data.astype(float)
    a, _ = theirs(path, options)
    b, _ = ours(path, options)
    noise, difference = data - a, a - b
    good = np.isfinite(noise) & np.isfinite(b)
    rms = np.sqrt((noise[good] ** 2).mean())
    figure(f"{what}: noise, rms difference / rms", np.sqrt((difference[good] ** 2).mean()) / rms, target)
    figure(f"{what}: NaNs differ", (np.isnan(a) != np.isnan(b)).sum(), 0)
    return rms


def golden():
    """The samples of the peer's own run with the slices masked, at 35,000 pixels of each detector."""
    for det in ("nrs1", "nrs2"):
        path = rate.replace("nrs1", det)
        sample = f"{samples}/golden/stage_{os.path.basename(path).replace('_rate.fits', '')}.fits"
        with fits.open(sample) as f:
            tables = {h.name: h.data for h in f[1:]}
        x, y = tables["RATE"]["x"], tables["RATE"]["y"]
        before = tables["RATE"]["SCI"].astype(float)
        for table, options, target in (
            ("NSCLEAN", dict(fit_method="fft", background_method="none", mask_science_regions=True), 0.02),
            ("MEDIAN", dict(mask_science_regions=True), 1e-4),
        ):
            if table not in tables:
                continue
            a, b = tables[table]["SCI"].astype(float), ours(path, options)[0][y, x]
            good = np.isfinite(before) & np.isfinite(a) & np.isfinite(b)
            rms = np.sqrt(((before - a)[good] ** 2).mean())
            figure(f"sample {table} {det}: noise, rms difference / rms", np.sqrt(((a - b)[good] ** 2).mean()) / rms, target)
            figure(f"sample {table} {det}: NaNs differ", (np.isnan(a) != np.isnan(b)).sum(), 0)


def window(path, x0, y0, nx, ny):
    """A rate file of part of the frame."""
    out = f"{work}/window{nx}x{ny}_nrs{path[path.index('nrs') + 3]}_rate.fits"
    with fits.open(path) as f:
        parts = [f[0]]
        for name in ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"):
            parts.append(fits.ImageHDU(f[name].data[y0:y0 + ny, x0:x0 + nx], f[name].header))
        f[0].header.update(SUBARRAY="SUB512", SUBSTRT1=x0 + 1, SUBSTRT2=y0 + 1, SUBSIZE1=nx, SUBSIZE2=ny)
        fits.HDUList(parts).writeto(out, overwrite=True)
    return out


def clock(runs=5):
    """Seconds of the stage alone, after assign_wcs, its best of some runs; ours with two threads."""
    from runpeer import WCS
    from jwst.assign_wcs import AssignWcsStep
    with_wcs = AssignWcsStep.call(rate, **WCS)
    mask = dict(user_mask=ours(rate, dict(mask_science_regions=True, save_mask=True))[1])
    for name, options in (
        ("fft, slices masked, no background", dict(fit_method="fft", background_method="none", mask_science_regions=True)),
        ("fft, slices masked", dict(fit_method="fft", mask_science_regions=True)),
        ("fft, defaults", dict(fit_method="fft")),
        ("fft, user mask, no background", dict(mask, fit_method="fft", background_method="none")),
        ("median, slices masked", dict(mask_science_regions=True)),
        ("median, defaults", dict()),
        ("median, user mask", dict(mask)),
        ("median, model background", dict(background_method="model")),
    ):
        theirs_s = min(theirs(rate, options, with_wcs)[1] for _ in range(2))
        log = f"{work}/timings.json"
        if os.path.exists(log):
            os.remove(log)
        for _ in range(runs):
            ours(rate, options, log)
        with open(log) as f:
            ours_s = min(s["run"] for line in f for s in json.loads(line)["stages"] if s["stage"] == "clean_flicker_noise")
        times[name] = dict(peer=theirs_s[0], ours=ours_s)
        print(f"{name:<40}{theirs_s[0]:8.2f} s {ours_s:8.3f} s {theirs_s[0] / ours_s:7.1f}", flush=True)


def flat_file():
    """A flat with structure and holes."""
    out = f"{work}/flat.fits"
    y, x = np.mgrid[0:2048, 0:2048]
    flat = (1 + 0.2 * np.sin(x / 90) * np.cos(y / 70) + 0.02 * ((x * 7 + y * 3) % 11 - 5)).astype("f4")
    flat[300:330, 500:520] = np.nan
    flat[1000:1004] = 0
    model = dm.FlatModel(flat)
    model.dq = np.zeros(flat.shape, "u4")
    model.err = np.zeros(flat.shape, "f4")
    m = model.meta
    m.instrument.name, m.instrument.detector, m.reftype = "NIRSPEC", "NRS1", "FLAT"
    s = m.subarray
    s.xstart, s.ystart, s.xsize, s.ysize, s.fastaxis, s.slowaxis = 1, 1, 2048, 2048, 2, 1
    model.save(out)
    return out


def figures():
    golden()
    mask = ours(rate, dict(mask_science_regions=True, save_mask=True))[1]
    masked = dict(user_mask=mask)
    for name, options, target in (
        ("fft, no background", dict(masked, fit_method="fft", background_method="none"), 0.02),
        ("fft, median background", dict(masked, fit_method="fft"), 0.02),
        ("fft, model background", dict(masked, fit_method="fft", background_method="model"), 0.02),
        ("median, no background", dict(masked, background_method="none"), 1e-4),
        ("median, median background", dict(masked), 1e-4),
        ("median by channel", dict(masked, fit_by_channel=True), 1e-4),
        ("median, model background", dict(masked, background_method="model"), 1e-2),
        ("median, model background, no mask", dict(background_method="model"), 1e-2),
        ("median, boxes of 60 x 100, no mask", dict(background_method="model", background_box_size="60,100"), 1e-2),
        ("median, no mask", dict(), 1e-4),
        ("median, no mask, n_sigma 5", dict(n_sigma=5), 1e-4),
        ("median, flat", dict(apply_flat_field=True, override_flat=flat_file()), 1e-3),
        ("median, histogram", dict(fit_histogram=True), 1e-3),
    ):
        compare(name, rate, options, target)
    for x0, y0, nx, ny in ((900, 0, 16, 2048), (700, 300, 512, 64)):
        path = window(rate, x0, y0, nx, ny)
        for name, options, target in (("fft", dict(fit_method="fft"), 0.02), ("fft, no background", dict(fit_method="fft", background_method="none"), 0.02), ("median", dict(), 1e-4)):
            compare(f"window {nx} x {ny}, {name}", path, options, target)
    other = rate.replace("nrs1", "nrs2")
    compare("NRS2, fft, median background", other, dict(fit_method="fft"), 0.02)
    path = window(other, 900, 0, 16, 2048)
    compare("NRS2, window 16 x 2048, fft", path, dict(fit_method="fft"), 0.02)


def main():
    if "--only-time" in sys.argv:
        clock()
    else:
        figures()
    if "--json" in sys.argv:
        with open(sys.argv[sys.argv.index("--json") + 1], "w") as f:
            json.dump(dict(figures=rows, times=times), f, indent=1)
    good = sum(r["ok"] for r in rows)
    print(f"flicker figures: {good} passed, {len(rows) - good} failed")
    return 0 if good == len(rows) else 1


sys.exit(main())
