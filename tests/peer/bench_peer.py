"""Time the peer (jwst 3.0.0) on one exposure, all stages in one process and in memory.

usage: bench_peer.py SAMPLES RATE REFERENCES OUTPUT.json

SAMPLES is the folder whose peer/ scripts know how to run it without a reference server;
the environment has PEER_WORK. Written: seconds of every stage (wall
and CPU) and the peak memory.
"""
import json
import os
import resource
import sys
import time

samples, rate, refs, output = sys.argv[1:5]
os.environ["PEER_REFS"] = refs
sys.path.insert(0, f"{samples}/peer")
started = time.time()
from runpeer import R, WCS, ov  # noqa: E402
from jwst.assign_wcs import AssignWcsStep  # noqa: E402
from jwst.cube_build import CubeBuildStep  # noqa: E402
from jwst.extract_1d import Extract1dStep  # noqa: E402
from jwst.flatfield import FlatFieldStep  # noqa: E402
from jwst.pathloss import PathLossStep  # noqa: E402
from jwst.photom import PhotomStep  # noqa: E402
from jwst.srctype import SourceTypeStep  # noqa: E402

detector = "nrs1" if "nrs1" in rate else "nrs2"
times = {"import": time.time() - started}
cpu = {"import": time.process_time()}


def timed(name, f):
    begin, used = time.time(), time.process_time()
    result = f()
    times[name], cpu[name] = time.time() - begin, time.process_time() - used
    print(f"peer {name}: {times[name]:.2f} s", flush=True)
    return result


model = timed("assign_wcs", lambda: AssignWcsStep.call(rate, **WCS))
model = timed("srctype", lambda: SourceTypeStep.call(model))
model = timed("flat_field", lambda: FlatFieldStep.call(model, **ov(fflat=f"{R}/fflat.fits", sflat=f"{R}/sflat_{detector}.fits", dflat=f"{R}/dflat_{detector}.fits")))
model = timed("pathloss", lambda: PathLossStep.call(model, override_pathloss=f"{R}/pathloss.fits"))
model = timed("photom", lambda: PhotomStep.call(model, override_photom=f"{R}/photom.fits", override_area=f"{R}/area.fits"))
timed("write cal", lambda: model.save(f"{os.path.dirname(os.path.abspath(output))}/bench_peer_cal.fits"))
cube = timed("cube_build", lambda: CubeBuildStep.call(model, override_cubepar=f"{R}/cubepar.fits"))
cube = cube[0] if isinstance(cube, list) or not hasattr(cube, "save") else cube
timed("write s3d", lambda: cube.save(f"{os.path.dirname(os.path.abspath(output))}/bench_peer_s3d.fits"))
x1d = timed("extract_1d", lambda: Extract1dStep.call(cube, override_extract1d=f"{R}/extract1d.asdf", override_apcorr="N/A", override_pastasoss="N/A", override_specprofile="N/A", override_speckernel="N/A", override_psf="N/A"))
timed("write x1d", lambda: x1d.save(f"{os.path.dirname(os.path.abspath(output))}/bench_peer_x1d.fits"))
times["total"] = time.time() - started
cpu["total"] = time.process_time()
cpu["rate to x1d"] = cpu["total"] - cpu["import"]
times["rate to x1d"] = times["total"] - times["import"]
with open(output, "w") as f:
    json.dump(dict(seconds=times, cpu=cpu, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), f, indent=1)
