"""Builds dist/spark_dp.zip: the package as pure Python, for spark-submit --py-files.

The zip is the same, byte by byte, whenever the sources are: entries are sorted and their times fixed.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "dist" / "spark_dp.zip"
KEPT = {".py", ".properties", ".typed", ".html", ".css", ".json"}


def main() -> None:
    TARGET.parent.mkdir(exist_ok=True)
    sources = sorted(p for p in (ROOT / "spark_dp").rglob("*") if p.suffix in KEPT)
    temporary = TARGET.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sources:
            entry = zipfile.ZipInfo(str(source.relative_to(ROOT)), date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, source.read_bytes())
    temporary.replace(TARGET)
    print(f"{TARGET.relative_to(ROOT)}: {len(sources)} files, {TARGET.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
