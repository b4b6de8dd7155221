"""Where links of a page lead: to other pages, to files that go with the site, to the repository."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from lib.parameters import ROOT, StudyError

LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\(([^()\s]+)\)")
GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$")


def repository() -> str:
    """owner/name of the public repository: GITHUB_REPOSITORY, which its workflows set, else that of
    the git remote; "" where neither says. Raises StudyError."""
    given = os.environ.get("GITHUB_REPOSITORY", "")
    if given and not re.fullmatch(r"[\w.-]+/[\w.-]+", given):
        raise StudyError(f"GITHUB_REPOSITORY: got {given}; accepted: owner/name")
    if not given:
        command = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
        try:
            told = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        except OSError:
            told = ""
        given = found[1] if (found := GITHUB.search(told)) else ""
    return given


def branch() -> str:
    return os.environ.get("GITHUB_REF_NAME") or "main"


class Links:
    """Of all pages: which files of the project are pages, and which go with the site."""

    def __init__(self, pages: dict[str, str], source: Path, extra: Path):
        """pages: a project's file to its page, both without folders above the root; source, extra:
        the folders that Sphinx reads, and copies as they are."""
        self.pages, self.source, self.extra = pages, source, extra
        self.repository = repository()

    def file(self, path: str, at: str) -> str:
        """The address of a project's file or folder, seen from page `at`, "" without one. A file
        goes with the site, but where the repository is known."""
        file = ROOT / path
        if not file.exists():
            raise StudyError(f"site: a page links to {path}, which there is not")
        if self.repository:
            kind = "tree" if file.is_dir() else "blob"
            return f"https://github.com/{self.repository}/{kind}/{branch()}/{quote(path)}"
        return "" if file.is_dir() else self.local(path, file.read_bytes(), at)

    def local(self, path: str, content: bytes, at: str) -> str:
        """Put a file into the site; its address, seen from page `at`."""
        target = self.extra / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return f"{up(at)}files/{quote(path)}"

    def relinked(self, text: str, folder: str, at: str, profile: str = "") -> str:
        """Markdown of a file in a folder of the project, for page `at` (of a profile): links to
        what is a page lead there, pictures go along, links to other files lead to these."""

        def one(match: re.Match) -> str:
            picture, words, target = match.groups()
            address, hash_, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target) or not address:
                return match[0]
            path = os.path.relpath((ROOT / folder / address).resolve(), ROOT).replace(os.sep, "/")
            name = Path(path).stem
            page = self.pages.get(f"{profile}/{name}" if path.endswith(".ipynb") else "")
            if page := page or self.pages.get(path):
                return f"[{words}]({up(at)}{page}{hash_}{anchor})"
            if picture:
                place = self.source / "pictures" / path
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, place)
                return f"![{words}]({up(at)}pictures/{path})"
            address = self.file(path, at)
            return f'<a href="{address}{hash_}{anchor}">{words}</a>' if address else words

        return LINK.sub(one, text)


def up(at: str) -> str:
    """From a page to the root of the site."""
    return "../" * at.count("/")


def toctree(names: list[str], caption: str = "") -> str:
    """A list of pages for the side bar: "page" or "title <page>"."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["```{toctree}", *options, "", *names, "```"])
