"""Run uv with the arguments given: the one on the PATH if it suits pyproject.toml, else the one in
.uv/, which is the project's own.

A missing uv comes from pip or, where there is no pip, straight from the package index. This needs
nothing but Python's standard library (3.8 or later), and leaves the system's Python as it is:

    python3 bootstrap.py sync --locked
"""

import hashlib
import html
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from subprocess import DEVNULL

UV_VERSION = "0.13.8"
ROOT = Path(__file__).resolve().parent
OWN = ROOT / ".uv"


def runs(*command):
    try:
        streams = {"stdin": DEVNULL, "stdout": DEVNULL, "stderr": DEVNULL}
        return subprocess.run(command, cwd=ROOT, **streams).returncode == 0
    except OSError:
        return False


def find():
    """The first uv that runs here, or None. One that required-version in pyproject.toml excludes
    refuses to run."""
    candidates = shutil.which("uv"), str(OWN / "bin" / "uv")
    return next((uv for uv in candidates if uv and runs(uv, "cache", "dir")), None)


def get(url):
    with urllib.request.urlopen(url, timeout=60) as reply:
        return reply.read()


def download():
    """Put the uv program out of this machine's wheel into .uv/bin, once its checksum is the one
    that the package index has."""
    settings = map(os.environ.get, ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
    index = next(filter(None, settings), "https://pypi.org/simple")
    page = re.sub(r"^[\w-]+=", "", index).rstrip("/") + "/uv/"  # uv also takes NAME=URL
    linux = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    system, machine = platform.system(), platform.machine()
    kind = {"Darwin": "macosx", "Linux": linux}.get(system)
    name = rf"uv-{re.escape(UV_VERSION)}-py3-none-[^/]*{kind}[^/]*_{machine}\b[^/]*[.]whl"
    links = re.findall(rf'href="([^"#]*{name})#sha256=(\w+)"', get(page).decode())
    if not links:
        raise LookupError(f"{page} has no wheel of it for {system} on {machine}")
    url, checksum = urllib.parse.urljoin(page, html.unescape(links[0][0])), links[0][1]
    wheel = get(url)
    if hashlib.sha256(wheel).hexdigest() != checksum:
        raise ValueError(f"the checksum of {url} is not the one in {page}")
    program = zipfile.ZipFile(io.BytesIO(wheel)).read(f"uv-{UV_VERSION}.data/scripts/uv")
    new = OWN / "bin" / "uv.new"
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_bytes(program)
    new.chmod(0o755)
    new.replace(OWN / "bin" / "uv")


def main():
    uv = find()
    if not uv:
        print(f"installing uv {UV_VERSION} into .uv/", file=sys.stderr, flush=True)
        pip = sys.executable, "-m", "pip", "install", "--upgrade", "--target", str(OWN)
        if not runs(*pip, f"uv=={UV_VERSION}"):
            try:
                download()
            except Exception as error:  # whatever a network or an index may hold: one line
                ways = "neither with pip nor by a download"
                sys.exit(f"bootstrap.py: cannot install uv {UV_VERSION}, {ways}: {error}")
        useless = f"uv {UV_VERSION} is in .uv/, but does not run here or is too old"
        uv = find() or sys.exit(f"bootstrap.py: {useless}")
    os.execv(uv, [uv, *sys.argv[1:]])


if __name__ == "__main__":
    main()
