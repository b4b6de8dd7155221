"""The doors to the environment: environment.yml pins what uv.lock pins, and bootstrap.py finds uv
or installs one."""

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
BOOTSTRAP = runpy.run_path(str(ROOT / "bootstrap.py"))
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
PYTHON = next(entry.removeprefix("python=") for entry in CONDA if str(entry).startswith("python="))
PIP = next(entry["pip"] for entry in CONDA if isinstance(entry, dict))


def test_pins_are_the_locks():
    """Every direct dependency of pyproject.toml, no other, in the version that uv.lock holds for
    the conda Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    here = {"python_full_version": f"{PYTHON}.99", "python_version": PYTHON}
    locked = {package["name"]: package["version"] for package in packages}
    root = next(package for package in packages if package["name"] == project["name"])
    for entry in root[
        "dependencies"
    ]:  # a package locked in several versions has an entry with a marker for each
        if "version" in entry and Marker(entry["marker"]).evaluate(here):
            locked[entry["name"]] = entry["version"]
    direct = sorted(canonicalize_name(Requirement(text).name) for text in project["dependencies"])
    pins = [f"{name}=={locked[name]}" for name in direct] + ["-e ."]
    assert pins == PIP, "the pip section of environment.yml has to be:\n" + "\n".join(
        f"      - {pin}" for pin in pins
    )


def run(*command, **options):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )


@pytest.fixture
def uv():
    if not (program := BOOTSTRAP["find"]()):
        pytest.skip("neither the PATH nor .uv/ has a uv that suits: `make setup` installs one")
    return program


@pytest.fixture
def requirements(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("\n".join(PIP))
    return file


def test_pip_section_resolves(uv, requirements):
    ran = run(uv, "pip", "compile", "--python-version", PYTHON, requirements, cwd=ROOT)
    if "Failed to fetch" in ran.stderr:
        pytest.skip("the package index cannot be reached")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.environment
def test_pip_section_installs(uv, requirements, tmp_path):
    """Into an empty environment: 5 GB on Linux."""
    venv = tmp_path / "venv"
    commands = (
        (uv, "venv", "--python", PYTHON, venv),
        (uv, "pip", "install", "--python", venv, "--requirements", requirements),
        (venv / "bin" / "python", "-P", "-c", "import lib.training, torch"),
        (venv / "bin" / "study", "--help"),
    )
    try:
        for command in commands:
            ran = run(*command, cwd=ROOT)
            assert ran.returncode == 0, ran.stderr
    finally:
        shutil.rmtree(venv, ignore_errors=True)


@pytest.mark.parametrize("intact", [True, False])
def test_bootstrap_downloads_uv(tmp_path, intact):
    """Without uv and pip, the index's wheel is unpacked into .uv/ and run; a wrong checksum leaves
    nothing there."""
    version, machine = BOOTSTRAP["UV_VERSION"], os.uname().machine
    index, project = tmp_path / "simple" / "uv", tmp_path / "project"
    index.mkdir(parents=True)
    project.mkdir()
    shutil.copy(ROOT / "bootstrap.py", project)
    links = ""
    for tag in "manylinux_2_17_{0}.musllinux_1_1_{0}", "macosx_11_0_{0}":
        wheel = index / f"uv-{version}-py3-none-{tag.format(machine)}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"uv-{version}.data/scripts/uv", '#!/bin/sh\necho "uv got $@"\n')
        checksum = hashlib.sha256(wheel.read_bytes() if intact else b"").hexdigest()
        links += f'<a href="{wheel.name}#sha256={checksum}">{wheel.name}</a>\n'
    (index / "index.html").write_text(links)
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/simple"
        environment = {"PATH": str(project), "UV_DEFAULT_INDEX": address, "PIP_NO_INDEX": "1"}
        done = run(sys.executable, project / "bootstrap.py", "sync", "--locked", env=environment)
        server.shutdown()
    if intact:
        assert (done.returncode, done.stdout) == (0, "uv got sync --locked\n"), done.stderr
    else:
        assert done.returncode == 1
        assert "checksum" in done.stderr.splitlines()[-1]
        assert not (project / ".uv").exists()
