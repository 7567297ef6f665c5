#!/usr/bin/env python3
"""Open products with the readers that others use.

usage: readers.py PRODUCT.fits...      (_cal, _s3d, _x1d or _c1d)

Needs stdatamodels, specutils and jdaviz. Each reader opens each product it is
meant for; the cube's FITS keywords and its generalised WCS must agree. Exit 1 on failure.
"""
import sys
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

warnings.simplefilter("ignore")
MODELS = {"cal": "IFUImageModel", "s3d": "IFUCubeModel", "x1d": "MultiSpecModel", "c1d": "MultiCombinedSpecModel"}
TABLES = {"x1d": "EXTRACT1D", "c1d": "COMBINE1D"}


def check_model(path, kind):
    from stdatamodels.jwst import datamodels

    with datamodels.open(path) as model:
        assert type(model).__name__ == MODELS[kind], type(model)
        model.validate()
        if kind in TABLES:
            with fits.open(path) as hdus:
                tables = [h for h in hdus if h.name == TABLES[kind]]
                assert len(model.spec) == len(tables)
                for ours, table in zip(model.spec, tables):
                    assert np.array_equal(ours.spec_table["FLUX"], table.data["FLUX"], equal_nan=True)
            return
        assert model.data.shape == model.err.shape == model.dq.shape
        if kind == "s3d":
            check_wcs(path, model.meta.wcs)
        if kind == "cal":
            check_exposure(path, model.meta.wcs)


def check_exposure(path, gwcs):
    with fits.open(path) as hdus:
        y, x = (v[::997].astype(float) for v in np.nonzero(hdus["REGIONS"].data))
        wavelength = hdus["WAVELENGTH"].data[y.astype(int), x.astype(int)]
        ra, dec = hdus["SCI"].header["RA_REF"], hdus["SCI"].header["DEC_REF"]
    ours = gwcs(x, y)
    # the plane holds floats; the field is 3 arcsec wide
    assert np.allclose(ours[2], wavelength, rtol=1e-6, atol=0)
    assert np.all(np.hypot((ours[0] - ra) * np.cos(np.deg2rad(dec)), ours[1] - dec) < 10 / 3600)
    back = gwcs.backward_transform(*ours)
    assert np.allclose(back, (x, y), rtol=0, atol=0.05)


def check_wcs(path, gwcs):
    with fits.open(path) as hdus:
        shape = hdus["SCI"].data.shape
        linear = hdus["SCI"].header["CTYPE3"] == "WAVE"
        wcs = WCS(hdus["SCI"].header, hdus)
        ends = [np.array([0.0, (n - 1) / 3, n - 1]) for n in shape[::-1]]
        ra, dec, wavelength = wcs.all_pix2world(*ends, 0)
    ours = gwcs(*ends)
    # 1e-9 degrees is 4e-6 arcsec (and 1 nm on the slicer); the FITS table of wavelengths holds floats
    assert np.allclose(ours[0], ra, rtol=0, atol=1e-9)
    assert np.allclose(ours[1], dec, rtol=0, atol=1e-9)
    scale = 1e6 if linear else 1
    assert np.allclose(ours[2], wavelength * scale, rtol=1e-9 if linear else 1e-6)


def check_specutils(path, kind):
    from specutils import Spectrum, SpectrumList

    with fits.open(path) as hdus:
        data = hdus[TABLES[kind]].data["FLUX"] if kind in TABLES else hdus["SCI"].data
        n = sum(h.name == TABLES.get(kind) for h in hdus)
    if n > 1:  # of several sources
        spectra = SpectrumList.read(path)
        assert len(spectra) == n
        spectrum = spectra[0]
    else:
        spectrum = Spectrum.read(path)  # recognised by itself
    assert np.array_equal(spectrum.flux.value, data, equal_nan=True)
    assert np.all(np.diff(spectrum.spectral_axis.value) > 0)


def check_jdaviz(path, kind):
    from jdaviz import Cubeviz, Specviz

    viewer = (Cubeviz if kind == "s3d" else Specviz)()
    viewer.load(path)
    with fits.open(path) as hdus:
        shape = hdus["SCI"].data.shape if kind == "s3d" else hdus["EXTRACT1D"].data["FLUX"].shape
    assert viewer.app.data_collection[0].shape == shape


def main(paths):
    bad = 0
    for path in paths:
        kind = path.removesuffix(".fits").rsplit("_", 1)[-1]
        with fits.open(path) as hdus:
            hdus.verify("exception")
        for name, reader in (("stdatamodels", check_model), ("specutils", check_specutils), ("jdaviz", check_jdaviz)):
            if kind == "cal" and reader is not check_model or kind == "c1d" and reader is check_jdaviz:
                continue
            try:
                reader(path, kind)
                print(f"{path}: opened by {name}")
            except Exception as error:
                print(f"{path}: {name}: {type(error).__name__}: {error}")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
