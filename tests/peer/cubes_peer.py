"""The peer's cubes where its samples have none: tabulated wavelengths, several dispersers, offsets, a choice of dispersers.

usage: cubes_peer.py SCRIPTS REFERENCES FILES OUT [NAME...]

SCRIPTS     folder with the samples' scripts
REFERENCES  folder with cubepar.fits
FILES       folder with the peer's own calibrated exposures (*_crf.fits)
OUT         where inputs go and for each case cube_NAME.fits: header and voxels of the peer's cube, as in its samples
NAME        which; default all

The peer has references of one disperser only, so exposures of others are relabelled ones: cube_build knows dispersers by
their keywords, and the WCS in the file stays. A cubepar of our own has another table for each resolution, with
steps, radii, powers and scales that change along it. Needs the peer's environment.
"""
import os
import sys

import numpy as np
from astropy.io import fits

ONE, TWO = "00001_nrs1", "00002_nrs1"
BOTH = {ONE: ("G235H", "F170LP"), TWO: ("G395M", "F290LP")}
THREE = {**BOTH, "00003_nrs1": ("G395H", "F290LP")}
NEAR = dict(wavemin=3.2, wavemax=3.25)
TABLE = dict(linear_wave=False, **NEAR)
MULTI = dict(output_type="multi", **NEAR)
OFFSETS = dict(offset_file="offsets.asdf", **NEAR)
# files: suffixes, or with the names of dispersers and filters that they are given; what cube_build is told
CASES = dict(
    table_drizzle=([ONE, TWO], TABLE),
    table_emsm=([ONE, TWO], dict(weighting="emsm", **TABLE)),
    table_msm=([ONE, TWO], dict(weighting="msm", **TABLE)),
    table_four_msm=([ONE, TWO, "00003_nrs1", "00004_nrs1"], dict(weighting="msm", **TABLE)),
    multi_drizzle=(BOTH, MULTI),
    multi_emsm=(BOTH, dict(weighting="emsm", **MULTI)),
    multi_msm=(BOTH, dict(weighting="msm", **MULTI)),
    offset_drizzle=([ONE, TWO], OFFSETS),
    offset_emsm=([ONE, TWO], dict(weighting="emsm", **OFFSETS)),
    offset_turned=([ONE, TWO], dict(cube_pa=40.0, **OFFSETS)),
    chosen=(THREE, dict(grating="g395m", filter="f290lp", **NEAR)),
    chosen_multi=(THREE, dict(grating="g395h", filter="f290lp", **MULTI)),
)


def name_of(suffix, label):
    return f"jw01234001001_02101_{suffix}_{label.lower()}_crf.fits" if label else f"jw01234001001_02101_{suffix}_crf.fits"


def inputs(case, files, out):
    """Paths of the case's exposures; those of other dispersers are made."""
    which = CASES[case][0]
    labels = which if isinstance(which, dict) else {s: None for s in which}
    paths = []
    for suffix, label in labels.items():
        path = f"{files}/{name_of(suffix, None)}"
        if label:
            path, plain = f"{out}/{name_of(suffix, label[0])}", path
            if not os.path.exists(path):
                with fits.open(plain) as h:
                    h[0].header["GRATING"], h[0].header["FILTER"] = label
                    h[0].header["FILENAME"] = os.path.basename(path)
                    h.writeto(path)
        paths.append(path)
    return paths


def parameters(case, out):
    """What cube_build is told, files with their folder."""
    return {k: f"{out}/{v}" if k == "offset_file" else v for k, v in CASES[case][1].items()}


def make_cubepar(references, path):
    """Tables that differ: steps of 0.9 to 1.4 nm, and everything else grows along them, at another pace for each resolution."""
    with fits.open(f"{references}/cubepar.fits") as h:
        for hdu in h[1:]:
            if not hdu.name.startswith("MULTICHAN"):
                continue
            pace = dict(PRISM=1.0, MED=1.5, HIGH=2.0)[hdu.name.split("_")[1]]
            n = len(hdu.data)
            ramp = np.arange(n) / n
            hdu.data["WAVELENGTH"] = 2.9 + 0.45 * pace * (ramp + 0.2 * ramp**2)
            names = hdu.columns.names
            for column, low, rise in (("ROISPATIAL", 0.15, 0.1), ("ROISPECTRAL", 0.0015, 0.002), ("POWER", 1.5, 1.0), ("SOFTRAD", 0.01, 0.01), ("SCALERAD", 0.05, 0.04)):
                if column in names:
                    hdu.data[column] = low + rise * pace * ramp
        for hdu in (h["CUBEPAR_MSM"], h["CUBEPAR_EMSM"]):
            names = list(hdu.data["DISPERSER"])
            if "G395M" not in names:
                table = fits.FITS_rec.from_columns(hdu.columns, nrows=len(names) + 1)
                for column in hdu.columns.names:
                    table[column][-1] = table[column][names.index("G395H")]
                table["DISPERSER"][-1] = "G395M"
                hdu.data = table
        h.writeto(path, overwrite=True)


def make_offsets(files, path):
    import asdf

    names = [os.path.basename(p) for p in files]
    tree = dict(units="arcsec", filename=names, raoffset=[0.07 * (k + 1) for k in range(len(names))], decoffset=[-0.11 * (k + 1) + 0.2 for k in range(len(names))])
    asdf.AsdfFile(tree).write_to(path)


def sample(path, out, n=40000):
    """All voxels of a small cube, some of a large one, with its headers."""
    rng = np.random.default_rng(4)
    with fits.open(path) as h:
        sci = h["SCI"].data
        at = np.arange(sci.size)
        if len(at) > n:
            full = np.flatnonzero(np.isfinite(sci))
            at = np.sort(np.concatenate([rng.choice(full, min(len(full), n * 3 // 4), replace=False), rng.choice(at, n // 4, replace=False)]))
        k, j, i = np.unravel_index(at, sci.shape)
        columns = [fits.Column(c, "J", array=v) for c, v in (("i", i), ("j", j), ("k", k))]
        for c in ("SCI", "ERR", "WMAP"):
            columns.append(fits.Column(c, "E", array=h[c].data[k, j, i]))
        columns.append(fits.Column("DQ", "K", array=h["DQ"].data[k, j, i].astype("i8")))
        header = fits.ImageHDU(header=h["SCI"].header, name="SCI_HEADER")
        for a in (1, 2, 3):
            header.header[f"SIZE{a}"] = h["SCI"].header[f"NAXIS{a}"]
        hdus = [fits.PrimaryHDU(header=h[0].header), header, fits.BinTableHDU.from_columns(columns, name="VOXELS")]
        if "WCS-TABLE" in h:
            waves = np.ravel(h["WCS-TABLE"].data["wavelength"][0])
            hdus.append(fits.BinTableHDU.from_columns([fits.Column("wavelength", "D", array=waves)], name="WAVES"))
        fits.HDUList(hdus).writeto(out, overwrite=True)


def run(case, files, out):
    from jwst.cube_build import CubeBuildStep
    from jwst.datamodels import ModelContainer

    cubes = CubeBuildStep.call(ModelContainer(inputs(case, files, out)), override_cubepar=f"{out}/cubepar.fits", **parameters(case, out))
    assert len(cubes) == 1, (case, len(cubes))
    cubes[0].save(f"{out}/made_s3d.fits")
    sample(f"{out}/made_s3d.fits", f"{out}/cube_{case}.fits")
    os.remove(f"{out}/made_s3d.fits")


def main():
    import logging

    scripts, references, files, out = sys.argv[1:5]
    sys.path.insert(0, scripts)
    import common  # noqa: F401  the peer without a reference server

    os.makedirs(out, exist_ok=True)
    logging.disable(logging.INFO)
    make_cubepar(references, f"{out}/cubepar.fits")
    make_offsets([name_of(s, None) for s in (TWO, ONE)], f"{out}/offsets.asdf")
    for case in sys.argv[5:] or CASES:
        print(f"       the peer: {case}", flush=True)
        run(case, files, out)


if __name__ == "__main__":
    main()
