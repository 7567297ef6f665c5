#!/usr/bin/env python3
"""The gWCS of calibrated exposures, both ways.

usage: wcs_in_files.py SAMPLES OURS PEER IFURUN REFS OUT [--full]

SAMPLES  the peer's scripts (PEER_SAMPLES/peer)
OURS     a _cal file of this program; PEER: the peer's own of the same exposure
REFS     references of both; OUT: a folder for what is made

1. jwst opens ours; its WCS is compared with what `ifurun wcs` says, and with the peer's own.
2. ifurun spec3 makes cubes of the peer's file, with the WCS of the file in the forms that the archive has (jwst 3.0,
   the same with nrs_ifu_slice_wcs, jwst 1.8 with the tags of ASDF 1.5), without WCS references, and with references:
   the same within 1e-4 of the value or 0.001 ERR.
3. --full: the peer's cube_build on its own file and on the same with our extension: the same.

Needs the peer (jwst 3.0.0), PEER_WORK. Exit 1 on failure.
"""
import glob
import io
import os
import shutil
import subprocess
import sys

import numpy as np
from astropy.io import fits

samples, ours, peer, ifurun, refs, out = sys.argv[1:7]
full = "--full" in sys.argv
sys.path.insert(0, samples)
os.environ.setdefault("PEER_REFS", refs)

from runpeer import RATES, WCS  # before jwst: where its settings are
import asdf
import gwcs
from astropy.modeling.models import Identity, Mapping, Scale, Shift
from jwst.assign_wcs import AssignWcsStep, nirspec, pointing
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import CameraModel, FPAModel, IFUFOREModel
from stdatamodels.jwst.transforms.models import Slit2MsaLegacy

bad = 0


def say(right, line):
    global bad
    print(("ok    " if right else "WRONG ") + line)
    bad |= not right


def apart(a, b):
    """RA and Dec in mas, wavelength in um, and where only one is a number."""
    ra = np.nanmax(np.abs(a[0] - b[0]) * np.cos(np.deg2rad(b[1]))) * 3.6e6
    return ra, np.nanmax(np.abs(a[1] - b[1])) * 3.6e6, np.nanmax(np.abs(a[2] - b[2])), int(
        np.sum(np.isnan(a[2]) != np.isnan(b[2]))
    )


def check_ours():
    with datamodels.open(ours) as model:
        wcs = model.meta.wcs
        with datamodels.open(peer) as other:
            theirs = other.meta.wcs
            same = all(
                nirspec.nrs_wcs_set_input(model, i).bounding_box.bounding_box()
                == nirspec.nrs_wcs_set_input(other, i).bounding_box.bounding_box()
                for i in (0, 11, 29)
            )
            say(same, "bounding boxes of slices are the peer's")
            y, x = (v.astype(float).ravel() for v in np.mgrid[5:2048:41, 3:2048:13])
            got = wcs(x, y)
            ra, dec, um, nan = apart(got, theirs(x, y))
            line = f"ours in jwst against the peer's: RA {ra:.1e} mas, Dec {dec:.1e} mas, {um:.1e} um, NaN differs {nan}"
            say(ra < 1e-6 and dec < 1e-6 and um < 1e-9 and nan == 0, line)
        there = np.isfinite(got[2])
        text = "\n".join(f"{int(a)} {int(b)}" for a, b in zip(x[there], y[there]))
        answer = subprocess.run(
            [ifurun, "wcs", "--references", refs, ours], input=text, capture_output=True, text=True, check=True
        ).stdout
        told = np.array([line.split()[3:6] for line in answer.splitlines() if line[:1].isdigit()], dtype=float).T
        ra, dec, um, nan = apart([v[there] for v in got], told)
        line = f"ours in jwst against ifurun: RA {ra:.1e} mas, Dec {dec:.1e} mas, {um:.1e} um, of {there.sum()} points"
        say(ra < 1e-6 and dec < 1e-6 and um < 1e-12 and nan == 0, line)
        back = wcs.backward_transform(*(v[there] for v in got))
        far = max(np.nanmax(np.abs(back[0] - x[there])), np.nanmax(np.abs(back[1] - y[there])))
        say(far < 0.02, f"there and back by the stored inverses: {far:.1e} pixel")


# ---- forms of the archive ----


def put_wcs(tree_bytes, path, regions):
    with fits.open(peer) as hdus:
        keep = [h for h in hdus if h.name != "ASDF" and (regions or h.name != "REGIONS")]
        cell = np.frombuffer(tree_bytes, np.uint8)[None, :]
        column = fits.Column("ASDF_METADATA", f"{len(tree_bytes)}B", array=cell)
        keep.append(fits.BinTableHDU.from_columns([column], name="ASDF"))
        fits.HDUList(keep).writeto(path, overwrite=True)


def tree_of(wcs, version):
    stream = io.BytesIO()
    asdf.AsdfFile({"meta": {"wcs": wcs}}, version=version).write_to(stream)
    return stream.getvalue()


def by_name():
    """The WCS through all frames, the slice as input (nrs_ifu_slice_wcs)."""
    rate = f"{RATES}/" + os.path.basename(peer).removeprefix("raw_").replace("_cal", "_rate")
    return AssignWcsStep.call(rate, nrs_ifu_slice_wcs=True, **WCS).meta.wcs


TYPES = "camera collimator fore ifufore ote chromcorr fpa disperser ifupost ifuslicer wavelengthrange".split()


def of_1_8():
    """The frames and transforms of jwst 1.8: names in no transform, no bounding boxes."""
    files = {k: f"{refs}/{k}.asdf" for k in TYPES}
    with datamodels.open(peer) as m:
        detector = m.meta.instrument.detector
        turn = Shift(-2047) & Shift(-2047) | Scale(-1) & Scale(-1) if detector == "NRS2" else Identity(2)
        d = nirspec.get_disperser(m, files["disperser"])
        rotation = nirspec.Rotation3DToGWA([d["theta_x"], d["theta_y"], d["theta_z"], d["tilt_y"]], axes_order="xyzy")
        fpa = getattr(FPAModel(files["fpa"]), detector.lower() + "_model")
        to_gwa = Identity(2) & (fpa | CameraModel(files["camera"]).model | nirspec.Unitless2DirCos() | rotation)
        to_slit = nirspec.gwa_to_ifuslit(np.arange(30), m, d, files, (-0.55, 0.55))
        to_slicer = Slit2MsaLegacy(np.arange(30), nirspec.ifuslit_to_slicer(np.arange(30), files)[0].models)
        twice = Mapping((0, 1, 2, 2))
        twice.inverse = Identity(3)
        info = m.meta.wcsinfo
        aberration = pointing.dva_corr_model(m.meta.velocity_aberration.scale_factor, info.v2_ref, info.v3_ref)
        det, sca, gwa, slit, _, msa, oteip, chromatic, v2v3, corrected, world = nirspec.create_frames()
        return gwcs.WCS(
            [
                (det, Shift(m.meta.subarray.xstart - 1) & Shift(m.meta.subarray.ystart - 1) | turn),
                (sca, to_gwa),
                (gwa, to_slit),
                (slit, to_slicer),
                ("slicer", twice | IFUFOREModel(files["ifufore"]).model & Identity(1)),
                (msa, nirspec.ifu_msa_to_oteip(files)),
                (oteip, nirspec.oteip_to_chromcorr(files)),
                (chromatic, nirspec.oteip_to_v23(files)),
                (v2v3, aberration & Identity(1)),
                (corrected, pointing.v23tosky(m) & Identity(1)),
                (world, None),
            ]
        )


def cube(name, path, source, folder):
    where = f"{out}/{name}"
    command = [ifurun, "spec3", "--references", folder, "--output", where, "--set", f"assign_wcs.wcs_source={source}"]
    skip = ["--set", "extract_1d.skip=true", "--set", "outlier_detection.skip=true"]
    subprocess.run([*command, *skip, path], check=True, capture_output=True)
    with fits.open(glob.glob(where + "/*_s3d.fits")[0]) as hdus:
        return [hdus[n].data.astype(float) for n in ("SCI", "ERR", "DQ")]


def same_cube(name, a, b):
    if a[0].shape != b[0].shape:
        say(False, f"{name}: a cube of {a[0].shape}, not {b[0].shape}")
        return
    nan = int(np.sum(np.isnan(a[0]) != np.isnan(b[0])))
    allowed = np.maximum(1e-4 * np.abs(b[0]), 1e-3 * b[1])
    share = np.nanmax(np.abs(a[0] - b[0]) / np.where(allowed > 0, allowed, np.nan))
    right = nan == 0 and share <= 1 and np.array_equal(a[2], b[2])
    say(right, f"{name}: {a[0].size} voxels, at most {share:.1e} of what is allowed, NaN differs {nan}")


def check_forms():
    few = f"{out}/few"  # no references of the WCS
    os.makedirs(few, exist_ok=True)
    for path in [*glob.glob(refs + "/*.fits"), refs + "/extract1d.asdf"]:
        shutil.copy(path, few)
    want = cube("references", peer, "references", refs)
    same_cube("jwst 3.0", cube("by-pixel", peer, "auto", few), want)
    path = f"{out}/{os.path.basename(peer)}"
    put_wcs(tree_of(by_name(), None), path, True)
    same_cube("by name", cube("by-name", path, "auto", few), want)
    put_wcs(tree_of(of_1_8(), "1.5.0"), path, False)
    same_cube("jwst 1.8", cube("of-1-8", path, "auto", few), want)
    os.remove(path)


def check_peers_cube():
    from jwst.cube_build import CubeBuildStep

    path = f"{out}/{os.path.basename(peer)}"
    with fits.open(peer) as theirs, fits.open(ours) as mine:
        keep = [h for h in theirs if h.name != "ASDF"]
        fits.HDUList([*keep, mine["ASDF"]]).writeto(path, overwrite=True)
    cubes = []
    for name in (path, peer):
        model = CubeBuildStep.call(name, override_cubepar=f"{refs}/cubepar.fits")[0]
        cubes.append([np.array(v, float) for v in (model.data, model.err, model.dq)])
    same_cube("the peer's cube_build with our extension", *cubes)
    os.remove(path)


os.makedirs(out, exist_ok=True)
check_ours()
check_forms()
if full:
    check_peers_cube()
sys.exit(bad)
