"""The machine, the programs and the packages that all parts share."""

import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Reports, data and the peers' environment stay here, wherever cargo builds.
TARGET = ROOT / "target"
# torch-rechub and FuxiCTR bring what they need along; the others are named because the scripts import them.
PACKAGES = (
    "numpy", "torch", "pandas", "pyarrow", "scikit-learn", "onnx", "onnxruntime", "torch-rechub", "vowpalwabbit", "fuxictr",
)
VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


@dataclasses.dataclass(frozen=True)
class Context:
    """What parts need to name their commands."""

    python: str
    # By package: why it is not there; absent where it is.
    lacking: dict
    # Where cargo builds.
    built: pathlib.Path
    seconds: float
    batches: tuple
    quick: bool

    @property
    def folder(self):
        """Data, exported models and batches of this comparison."""
        folder = TARGET / "peers"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def worker(self, script, *arguments):
        """The command of a script that runs in the environment of the peers."""
        return [self.python, HERE / "workers" / script, *arguments]

    def hinet(self, command, *arguments):
        """A command of hinet's side, the example `peers` of `hinet-train`."""
        return [self.built / "release" / "examples" / "peers", command, *arguments]

    def lacks(self, *packages):
        """Why a peer that needs these packages cannot run, if so."""
        return next((self.lacking[name] for name in packages if name in self.lacking), None)


def build():
    """Builds hinet's side, with the features of the whole workspace as in a release; says where."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--workspace", "--example", "peers"], cwd=ROOT, check=True)
    return (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()


def environment(given):
    """A Python with the peers, the versions of what it has, and reasons for what it lacks.

    `given` is an interpreter that has all it needs; without it a virtual environment is made below target/.
    """
    reasons = {}
    python = given
    if not given:
        folder = TARGET / "peers-venv"
        python = str(folder / "bin" / "python")
        if not pathlib.Path(python).exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        reasons = install(python)
    found = subprocess.run([python, "-c", VERSIONS, *PACKAGES], check=True, capture_output=True, text=True)
    versions = json.loads(found.stdout)
    lacking = {
        name: f"{name} did not install: {reasons[name]}" if name in reasons else f"{name} is not installed"
        for name, version in versions.items() if version is None
    }
    return python, versions, lacking


def install(python):
    """One package at a time, so that one which has no wheel for this machine does not cost the others."""
    reasons = {}
    for name in PACKAGES:
        print(f"pip install {name}", file=sys.stderr)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", name]
        done = subprocess.run(pip, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            reasons[name] = lines[-1].strip() if lines else f"pip ended with {done.returncode}"
    return reasons


def facts():
    """The machine and the commit, for whoever reads the numbers later."""
    cpu = proc("/proc/cpuinfo")
    return {
        "commit": commit(),
        "processor": next((value for name, value in cpu if name == "model name"), platform.processor()),
        "instructions": " ".join(flag for flag in ("avx2", "avx512f", "amx_bf16") if flag in flags()) or "-",
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "memory_gb": round(memory("MemTotal") / 1e9, 1),
        "system": platform.platform(),
    }


def commit():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if git("status", "--porcelain") else "")


def flags():
    """What the processor can do, as Linux spells it."""
    return next((value.split() for name, value in proc("/proc/cpuinfo") if name == "flags"), [])


def memory(name):
    """A line of /proc/meminfo in bytes; 0 where there is none."""
    found = (value for key, value in proc("/proc/meminfo") if key == name)
    return int(next(found, "0 kB").split()[0]) * 1024


def proc(path):
    """Name and value of each line; nothing on systems without such files."""
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [(name.strip(), value.strip()) for name, _, value in pairs]
