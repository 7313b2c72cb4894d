"""The README says what the quick start does, which is run command by command."""

from __future__ import annotations

import re

from doc_pages import ROOT, page

README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK_START = page("quickstart.md")


def configuration(text: str) -> list[str]:
    """The lines of the page's configuration, but for Spark's settings, which are for speed only."""
    found = re.search(r"^```yaml\n(.*?)^```$", text, re.M | re.S)
    assert found is not None
    return [line.rstrip() for line in found.group(1).splitlines() if not line.startswith("spark:")]


def commands(text: str) -> list[str]:
    """The commands of spark-dp that stand at the beginning of a line, single spaces, without remarks."""
    found = re.findall(r"^spark-dp .*$", text, re.M)
    return [" ".join(line.partition(" #")[0].split()) for line in found]


def test_the_readme_shows_the_configuration_of_the_quick_start():
    assert configuration(README) == configuration(QUICK_START)


def test_every_command_of_the_readme_is_in_the_quick_start():
    done = commands(QUICK_START)
    shown = commands(README)
    assert len(shown) > 4
    assert [command for command in shown if not any(other.startswith(command) for other in done)] == []


def test_every_link_of_the_readme_leads_to_a_file():
    targets = re.findall(r"\]\(([^)#]+)", README)
    assert len(targets) > 10
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
