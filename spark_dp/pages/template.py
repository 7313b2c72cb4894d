"""Templates filled in: every value escaped, and a missing one an error."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from spark_dp.pages import text

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = "templates"


def render(template: str, **values: Any) -> str:
    """Returns a page.

    Guarantees: what the values hold is escaped; the same values give the same bytes.

    Args:
        template: name of a file in `templates/`.
        values: what the template asks for, all of it.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "visible": text.visible,
        "whole": text.whole,
        "shown": text.shown,
        "shown_all": text.shown_all,
        "rows": text.rows,
        "share": text.share,
        "distance": text.distance,
        "value": text.value,
    }
    return made


def _source(name: str) -> str:
    """Reads a template from wherever the package is: a folder, or the zip that was shipped."""
    return resources.files(__package__).joinpath(_FOLDER, name).read_text(encoding="utf-8")
