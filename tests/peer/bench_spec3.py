"""Time the peer's (jwst 3.0.0) steps of spec3, each in a process of its own.

usage: bench_spec3.py SAMPLES REFERENCES OUTPUT.json STEP... -- CAL...

STEP is outlier, drizzle, emsm, msm, x1d or atm. SAMPLES is the folder whose peer/ scripts know how to
run it without a reference server; the environment has PEER_WORK. All steps get the CAL files but
atm, which gets the first; x1d takes the cube that drizzle left. Written: wall and CPU seconds, with
threads and children, and peak memory of each step; imports are left out.
"""
import json
import multiprocessing
import os
import resource
import sys
import time

samples, refs, output = sys.argv[1:4]
split = sys.argv.index("--")
steps, cals = sys.argv[4:split], sys.argv[split + 1 :]
os.environ["PEER_REFS"] = refs
sys.path.insert(0, f"{samples}/peer")
import spec3  # noqa: E402

cube = f"{os.path.dirname(os.path.abspath(output))}/bench_peer_s3d.fits"


def build(weighting):
    result = spec3.CubeBuildStep.call(spec3.ModelContainer(cals), **spec3.CUBE, weighting=weighting)
    result = result[0] if isinstance(result, (list, spec3.ModelContainer)) else result
    if weighting == "drizzle":
        result.save(cube)


work = {
    "outlier": lambda: spec3.OutlierDetectionStep.call(spec3.ModelContainer(cals), kernel_size="7 7", threshold_percent=99.8),
    "drizzle": lambda: build("drizzle"),
    "emsm": lambda: build("emsm"),
    "msm": lambda: build("msm"),
    "x1d": lambda: spec3.Extract1dStep.call(cube, **spec3.X1, ifu_set_srctype="POINT", ifu_autocen=True),
    "atm": lambda: spec3.AdaptiveTraceModelStep.call(cals[0], skip=False, oversample=2.0, maximum_cores="none"),
}


def child(step, queue):
    begun, used = time.time(), time.process_time()
    work[step]()
    queue.put(dict(wall=time.time() - begun, cpu=time.process_time() - used, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


results = {}
fork = multiprocessing.get_context("fork")
for step in steps:
    queue = fork.Queue()
    process = fork.Process(target=child, args=(step, queue))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"the peer's {step} failed")
    results[step] = queue.get()
    print(f"peer {step}: {results[step]['wall']:.1f} s, CPU {results[step]['cpu']:.1f} s, {results[step]['peak_mb']:.0f} MB", flush=True)
with open(output, "w") as f:
    json.dump(results, f, indent=1)
