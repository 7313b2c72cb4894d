"""Builds the pages and follows their links: `make docs`. Needs no network.

A warning of Sphinx is an error, and so are a link within the pages that leads nowhere and a page that loads a script,
a style or a picture from elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SOURCE = Path("docs")
BUILT = SOURCE / "_build" / "html"
BY_SPHINX = ("genindex.html", "search.html", "py-modindex.html")
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors.update(value for value in (found.get("id"), found.get("name")) if value)
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        elif tag in LOADED and found.get(LOADED[tag]):
            self.loads.append(str(found[LOADED[tag]]))


def faults(folder: Path) -> list[str]:
    """Returns a line for each link within the pages that leads nowhere, and for each thing loaded from elsewhere."""
    folder = folder.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder)
        found += [f"{name} loads {target}" for target in page.loads if _is_elsewhere(target)]
        within = (target for target in page.links + page.loads if not _is_elsewhere(target))
        dead = (target for target in within if not _leads_somewhere(target, path, pages))
        found += [f"{name} links to {target}, which is not there" for target in dead]
    return found


def _is_elsewhere(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "mailto")


def _leads_somewhere(target: str, page: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(target)
    if parts.scheme == "data":
        return True
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    path = path / "index.html" if path.is_dir() else path
    if path not in pages or path.name in BY_SPHINX or not parts.fragment:
        return path.exists()
    return unquote(parts.fragment) in pages[path].anchors


def main() -> int:
    sphinx = [sys.executable, "-m", "sphinx", "-b", "html", "-E", "-a", "-q", "-n", "-W", "--keep-going"]
    if code := subprocess.run([*sphinx, str(SOURCE), str(BUILT)], check=False).returncode:
        return code
    for line in (broken := faults(BUILT)):
        print(line, file=sys.stderr)
    if not broken:
        print(f"The pages are in {BUILT}/index.html")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
