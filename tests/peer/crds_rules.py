"""Choice of references by a CRDS context: ifurun refs against the crds package itself.

usage: crds_rules.py RATE IFURUN FOLDER [--contexts N] [--exposures M]

Makes caches of made-up rules with everything that the rules of the observatory may say, and
made-up exposures (headers of RATE, changed), asks both, and compares every answer: the
file, not applicable, or none. Offline.
"""
import argparse
import hashlib
import os
import pprint
import random
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("rate")
parser.add_argument("ifurun")
parser.add_argument("folder")
parser.add_argument("--contexts", type=int, default=20)
parser.add_argument("--exposures", type=int, default=15)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

cache = Path(args.folder).resolve()
os.environ.update(CRDS_PATH=str(cache), CRDS_SERVER_URL="https://crds-serverless-mode.stsci.edu",
                  CRDS_OBSERVATORY="jwst", CRDS_READONLY_CACHE="1", CRDS_MODE="local")
os.environ.pop("CRDS_CONTEXT", None)

import crds  # noqa: E402
import numpy as np  # noqa: E402
from astropy.io import fits  # noqa: E402
from crds.core import heavy_client, log  # noqa: E402

log.set_verbose(-3)
rng = random.Random(args.seed)
TYPES = """assign_wcs camera collimator disperser fore fpa ifufore ifupost ifuslicer ote wavelengthrange
msaoper msa fflat sflat dflat pathloss photom area cubepar extract1d""".split()[1:]
PAIRS = [("PRISM", "CLEAR"), ("G140M", "F070LP"), ("G140M", "F100LP"), ("G140H", "F070LP"), ("G140H", "F100LP"),
         ("G235M", "F170LP"), ("G235H", "F170LP"), ("G395M", "F290LP"), ("G395H", "F290LP")]
# key of the rules: keyword, values
KEYS = {
    "META.INSTRUMENT.DETECTOR": ("DETECTOR", ["NRS1", "NRS2"]),
    "META.INSTRUMENT.FILTER": ("FILTER", sorted({f for _, f in PAIRS})),
    "META.INSTRUMENT.GRATING": ("GRATING", sorted({g for g, _ in PAIRS})),
    "META.INSTRUMENT.LAMP_STATE": ("LAMP", ["NONE", "FLAT4", "N/A", None]),
    "META.INSTRUMENT.LAMP_MODE": ("OPMODE", ["IFU", "GRATING-ONLY", None]),
    "META.EXPOSURE.TYPE": ("EXP_TYPE", ["NRS_IFU"]),
    "META.EXPOSURE.READPATT": ("READPATT", ["NRSIRS2", "NRSIRS2RAPID", "NRSRAPID", "NRS", "ANY", None]),
    "META.SUBARRAY.NAME": ("SUBARRAY", ["FULL", "SUB512", "SUB2048", "GENERIC", "N/A"]),
    "META.VISIT.TYPE": ("VISITYPE", ["PRIME_TARGETED_FIXED", "PRIME_WFSC_ROUTINE", "1.50", None]),
    "META.VISIT.TSOVISIT": ("TSOVISIT", [True, False, None]),
}
MORE = {"META.EXPOSURE.TYPE": ["NRS_IFU", "NRS_FIXEDSLIT", "NRS_MSASPEC"]}
DATES = ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")


def write(path, text):
    """A mapping with its checksum, as the crds package takes it."""
    kept = "".join(line for line in text.splitlines(True) if "sha1sum" not in line)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("SUM", hashlib.sha1(kept.encode()).hexdigest()))


def mapping(name, kind, parkey, selector, **more):
    header = dict(derived_from="made by hand", mapping=kind, name=name, observatory="JWST", parkey=parkey,
                  sha1sum="SUM", **more)
    lines = "".join(f"    {key!r} : {value!r},\n" for key, value in header.items())
    write(cache / "mappings/jwst" / name,
          f"header = {{\n{lines}}}\n\ncomment = \"\"\"\nmade up \\o/ 'so'\n\"\"\"\n\nselector = {selector}\n")


def pattern(key):
    values = [str(v) for v in MORE.get(key, KEYS[key][1]) if v is not None]
    one = rng.choice(values)
    some = rng.sample(values, min(len(values), 2))
    return rng.choice([one] * 6 + ["N/A"] * 5 + ["ANY", "*", " | ".join(some), "|".join(some) + "|", one[:3] + "*", "{" + one + "}",
                                                 "NOT " + one, one.lower(), tuple(some), "NOT_APPLICABLE", one[0] + "?" + one[2:] + "|X"])


def conditioned(item):
    """The pattern as the package compares it."""
    from crds.core.selectors import MatchSelector
    return MatchSelector.condition_key_element(item)


def date():
    return f"20{rng.randint(22, 24)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}:00:00"


def rmap(name, kind):
    files = [f"jwst_nirspec_{kind}_{rng.randint(1, 40):04d}.fits" for _ in range(30)]
    keys = rng.sample(sorted(KEYS), rng.randint(0, 4))
    more = {}
    if rng.random() < 0.3 and "META.SUBARRAY.NAME" in keys:
        more["substitutions"] = {"META.SUBARRAY.NAME": {"SUB512": "FULL|SUB512", "GENERIC": rng.choice(["N/A", "FULL"])}}
    table = {"META.SUBARRAY.NAME": {"GENERIC": "N/A"}} | more.get("substitutions", {})
    direct = rng.random() < 0.2
    rules, seen = {}, set()
    for _ in range(rng.randint(1, 12)):
        key = tuple(pattern(k) for k in keys)
        same = tuple(conditioned(table.get(k, {}).get(v, v) if isinstance(v, str) else v) for k, v in zip(keys, key))
        if same in seen:
            continue
        seen.add(same)
        if direct or rng.random() < 0.1:
            rules[key] = repr(rng.choice(files + ["N/A", "OMIT"]))
        else:
            dates = {date(): rng.choice(files + ["N/A"]) for _ in range(rng.randint(0, 5))}
            if rng.random() < 0.5:
                dates["2022-06-01 00:00:00"] = rng.choice(files)
            rules[key] = "UseAfter({\n" + "".join(f"        {d!r} : {f!r},\n" for d, f in dates.items()) + "    })"
    body = "".join(f"    {(k[0] if len(k) == 1 and not isinstance(k[0], tuple) and rng.random() < 0.5 else k)!r} : {v},\n" for k, v in rules.items())
    if rng.random() < 0.5:
        more["reffile_required"] = rng.choice(["YES", "NO", "NONE"])
    known = keys + ["META.VISIT.TSOVISIT"]
    key = rng.choice(known)
    value = str(rng.choice([v for v in KEYS[key][1] if v is not None]))
    test = rng.choice([f'({key} == "{value}")', f'({key} != "{value}")', f'({key} not in ("{value}", "X"))', f'({key} in ["{value}"])',
                       f'((not {key} in ("{value}",)) and True or "A" < "B")', "(NOWHERE == 'X')", "ALWAYS"])
    if rng.random() < 0.25:
        more["rmap_relevance"] = test
    elif rng.random() < 0.15:
        more["rmap_omit"] = test if test != "ALWAYS" else "False"
    elif rng.random() < 0.25 and keys and "NOWHERE" not in test and test != "ALWAYS":
        more["parkey_relevance"] = {rng.choice(keys).lower(): test}
    elif rng.random() < 0.2 and keys:
        more["comment_parkeys"] = (keys[0],)
    if rng.random() < 0.2:
        more["merge_overlaps"] = rng.choice(["True", "False"])
    if rng.random() < 0.2:
        more["extra_keys"] = ("META.EXPOSURE.TYPE",)
    mapping(name, "REFERENCE", (tuple(keys),) if direct else (tuple(keys), DATES), "Match({\n" + body + "})", filekind=kind.upper(),
            instrument="NIRSPEC", classes=("Match",) if direct else ("Match", "UseAfter"), filetype=kind.upper(), **more)
    return files


def context(number):
    rmaps = {}
    for kind in TYPES:
        name = f"jwst_nirspec_{kind}_{number:04d}.rmap"
        layout = cache / "references/jwst/nirspec"
        layout.mkdir(parents=True, exist_ok=True)
        for file in rmap(name, kind):
            (layout / file).write_text(file)
        rmaps[kind] = name if rng.random() < 0.95 else rng.choice(["N/A", "OMIT"])
    imap, pmap = f"jwst_nirspec_{number:04d}.imap", f"jwst_{number:04d}.pmap"
    mapping(imap, "INSTRUMENT", ("REFTYPE",), pprint.pformat(rmaps), instrument="NIRSPEC")
    mapping(pmap, "PIPELINE", ("META.INSTRUMENT.NAME",), repr({"NIRSPEC": imap, "MIRI": "N/A"}))
    return pmap


def exposure(primary, science, path):
    """A file, and what the peer's model would tell the crds package of it."""
    header, parameters = primary.copy(), {"meta.instrument.name": "NIRSPEC"}
    grating, pair = rng.choice(PAIRS)
    for key, (keyword, values) in KEYS.items():
        value = {"FILTER": pair, "GRATING": grating}.get(keyword, rng.choice(values))
        if keyword == "DETECTOR" and (grating[-1] != "H" or pair == "F070LP"):
            value = "NRS1"
        header.pop(keyword, None)
        if value is not None:
            header[keyword] = value
            parameters[key.lower()] = value
    header["DATE-OBS"] = f"20{rng.randint(22, 24)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    header["TIME-OBS"] = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59999) / 1000:06.3f}"
    header["SUBSTRT1"], header["SUBSTRT2"], header["SUBSIZE1"], header["SUBSIZE2"] = 1, 1, 8, 8
    parameters[DATES[0].lower()], parameters[DATES[1].lower()] = header["DATE-OBS"], header["TIME-OBS"]
    planes = [fits.ImageHDU(np.zeros((8, 8), np.uint32 if n == "DQ" else np.float32), science if n == "SCI" else None, name=n)
              for n in ("SCI", "ERR", "DQ")]
    fits.HDUList([fits.PrimaryHDU(header=header), *planes]).writeto(path, overwrite=True)
    return parameters


def peer(parameters, pmap):
    """What the package says of each type: a file, "N/A" or "none"."""
    said = heavy_client.local_bestrefs(parameters, TYPES, pmap)  # as getreferences does, before it looks for the files
    ret = {}
    for kind in TYPES:
        value = said.get(kind, "N/A")  # omitted
        if not isinstance(value, str):
            value = "none"  # several files at once, which is for no step
        ret[kind] = "N/A" if value.upper() == "NOT FOUND N/A" else "none" if value.startswith("NOT FOUND") else value
    return ret


def ours(path, pmap):
    run = subprocess.run([args.ifurun, "refs", "--crds-path", cache, "--crds-context", pmap, path], capture_output=True, text=True)
    ret = {}
    for line in run.stdout.splitlines():
        kind, rest = line.split(None, 2)[1:]
        found, why = rest.split(":", 1)
        ret[kind] = (Path(found).name if found != "none" else "N/A" if "not applicable" in why else "none", why.strip())
    if not ret:
        sys.exit(f"ifurun refs {path}: {run.stderr}")
    return ret


(cache / "config/jwst").mkdir(parents=True, exist_ok=True)
pmaps = [context(k + 1) for k in range(args.contexts)]
(cache / "config/jwst/server_config").write_text(pprint.pformat(
    {"observatory": "jwst", "operational_context": pmaps[0], "latest_context": pmaps[-1], "edit_context": pmaps[-1], "bad_files": "", "bad_files_list": [],
     "force_remote_mode": False, "last_synced": "2026-01-01 00:00:00", "crds_version": {"str": "14.0"}, "status": "s3", "connected": False}))
with fits.open(args.rate) as f:
    primary, science = f[0].header, f["SCI"].header
for k in ("NAXIS1", "NAXIS2"):
    science[k] = 8
path, n, files, wrong = cache / "one_rate.fits", 0, 0, []
for pmap in pmaps:
    for _ in range(args.exposures):
        parameters = exposure(primary, science, path)
        theirs, mine = peer(parameters, pmap), ours(path, pmap)
        for kind in TYPES:
            if kind not in mine:
                continue
            n += 1
            files += theirs[kind] not in ("N/A", "none")
            if theirs[kind] != mine[kind][0]:
                wrong.append((pmap, kind, theirs[kind], *mine[kind], parameters))
latest = subprocess.run([args.ifurun, "refs", path], capture_output=True, text=True, env=os.environ | {"CRDS_PATH": str(cache)})
is_latest = pmaps[-1] in latest.stdout
print(f"crds {crds.__version__}: {n} choices in {len(pmaps)} contexts, {files} of them files: "
      f"{len(wrong)} differ; newest context without being told: {'yes' if is_latest else 'no'}")
for w in wrong[:5]:
    pprint.pprint(w, width=150)
sys.exit(bool(wrong) or not is_latest)
