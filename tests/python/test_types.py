"""Types hold: the package checks strictly, and the stubs say what the module has."""

import subprocess
import sys
from pathlib import Path

import hinet

#: The package as it is tested: a copy beside the module that was built.
PACKAGE = Path(hinet.__file__).parent
SETTINGS = Path(__file__).parents[2] / "crates/py/pyproject.toml"


def run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_checks_strictly():
    run("mypy", "--config-file", str(SETTINGS), "--strict", "-p", "hinet")


def test_the_stubs_say_what_the_module_has():
    run("mypy.stubtest", "hinet._hinet", "--mypy-config-file", str(SETTINGS))


def test_the_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()
