"""The configuration as a JSON Schema, for editors: made from the table that the readers read.

    python -m spark_dp.pipeline.config_schema > conf/run.schema.json

It is of draft 7, which editors know best. What it accepts, the reader may still refuse (bins that do not increase, a column
that the schema has not); what it refuses, the reader refuses or would have to guess at.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from spark_dp.pipeline.config_fields import (
    CLIQUE,
    DETERMINES,
    EVALUATE,
    FORBID,
    INPUT,
    MECHANISM,
    OUTPUT,
    PRIVACY,
    ROOT,
    RUN,
    UNIT,
    WORKLOAD,
    Form,
    Setting,
    Settings,
)
from spark_dp.pipeline.config_sections import PATTERNS
from spark_dp.pipeline.config_tree import UNFILLED
from spark_dp.schema.private import PRIVATE, Cut
from spark_dp.schema.settings import SETTINGS as COLUMN
from spark_dp.schema.types import TYPE_NAMES

Schema = dict[str, Any]

_SCALAR: Schema = {"type": ["string", "number", "boolean"], "not": {"enum": [UNFILLED, ""]}}
"""A text as a field of text takes it: `2013`, `NO` and `true` are texts there, without quotes."""

_NAMES: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1, "uniqueItems": True}]}
_DECIMAL = r"decimal\(\s*[0-9]{1,3}\s*,\s*[0-9]{1,3}\s*\)"
_TYPE = "^({})$".format("|".join([*(name for name in TYPE_NAMES if name != "decimal"), _DECIMAL]))
_BINNED = "^(float|double|timestamp|timestamp_ntz)$"


def config_schema() -> Schema:
    """Returns the JSON Schema of a run's configuration."""
    own = {"rows": _rows(), "unit": _unit(), "workload": _workload()}
    sections = {
        "input": {
            **_section(INPUT),
            "oneOf": [
                {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
                for name in ("path", "table")
            ],
        },
        "output": _section(OUTPUT, own),
        "privacy": _section(PRIVACY, own),
        "schema": _columns(),
        "constraints": _constraints(),
        "mechanism": _section(MECHANISM, own),
        "run": _section(RUN),
        "evaluate": _section(EVALUATE),
        "spark": {
            **_of(ROOT["spark"]),
            "propertyNames": {"pattern": "^spark\\."},
        },
    }
    described = {name: {"description": _sentence(ROOT[name]), **sections[name]} for name in ROOT}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A run of spark-dp",
        **_object(described, required=[name for name, setting in ROOT.items() if setting.required]),
    }


def _section(settings: Settings, own: dict[str, Schema] | None = None) -> Schema:
    properties = {}
    for name, setting in settings.items():
        form = (own or {})[name] if setting.form is Form.OWN else _of(setting)
        if name in PATTERNS:
            form = {**form, "pattern": PATTERNS[name]}
        optional = form if setting.required else {"anyOf": [form, {"type": "null"}]}
        properties[name] = {"description": _sentence(setting), **optional}
    made = _object(properties, required=[name for name, setting in settings.items() if setting.required])
    return made if made.get("required") else {**made, "type": ["object", "null"]}


def _of(setting: Setting) -> Schema:
    """Returns the schema of a value by its form; of which choices it has the names."""
    match setting.form:
        case Form.NUMBER:
            return {"type": "number"} | ({} if setting.above is None else {"exclusiveMinimum": setting.above})
        case Form.INTEGER:
            most = {} if setting.most is None else {"maximum": setting.most}
            return {"type": "integer", "minimum": setting.least or 0} | most
        case Form.FLAG:
            return {"type": "boolean"}
        case Form.NAMES:
            return _NAMES
        case Form.TEXTS:
            return {"type": ["object", "null"], "additionalProperties": _SCALAR}
        case _:
            return {"enum": [str(choice) for choice in setting.choices]} if setting.choices else _SCALAR


def _rows() -> Schema:
    return {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 0}]}


def _unit() -> Schema:
    """Either `row`, or a mapping with one of `column` and `columns`."""
    named = [{"required": [name]} for name in ("column", "columns")]
    bound = {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}
    learned = {
        "if": {"required": ["max_rows"], "properties": {"max_rows": {"const": "auto"}}},
        "then": {"required": ["at_most", "share"]},
        "else": {"not": {"anyOf": [{"required": [name]} for name in ("at_most", "quantile", "share")]}},
    }
    return {"anyOf": [{"const": "row"}, {**_section(UNIT, {"max_rows": bound}), "oneOf": named, **learned}]}


def _workload() -> Schema:
    clique = {"anyOf": [_NAMES, _section(CLIQUE)]}
    cliques = {"type": "array", "items": clique, "minItems": 1}
    one = [{"required": [name]} for name in WORKLOAD]
    return {"anyOf": [cliques, {**_section(WORKLOAD, {"cliques": cliques}), "oneOf": one}]}


def _constraints() -> Schema:
    """A list, or the path of a file that has one."""
    value: Schema = {"type": ["string", "number", "boolean", "null"], "not": {"enum": [UNFILLED]}}
    some = {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}]}
    left_out = _object({"not": some}, required=["not"])
    combination = {
        "type": "object",
        "minProperties": 2,
        "additionalProperties": {"anyOf": [*some["anyOf"], left_out]},
    }
    columns = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": _SCALAR}
    mapping = {"anyOf": [_SCALAR, {"type": "object", "minProperties": 1, "additionalProperties": value}]}
    kinds = [
        _section(FORBID, {"forbid": combination}),
        _section(DETERMINES, {"determines": columns, "mapping": mapping}),
    ]
    return {"anyOf": [_SCALAR, {"type": ["array", "null"], "items": {"anyOf": kinds}}]}


def _columns() -> Schema:
    column = _column()
    columns = {"type": "object", "minProperties": 1, "additionalProperties": column}
    return {"anyOf": [{"type": "string", "not": {"enum": [UNFILLED, ""]}}, columns]}


def _column() -> Schema:
    literal = {"type": ["string", "number", "boolean"], "not": {"enum": [UNFILLED]}}
    edges = {"type": "array", "items": literal, "minItems": 2}
    forms: dict[str, Schema] = {
        "type": {"type": "string", "pattern": _TYPE},
        "values": {
            "anyOf": [
                {"type": "array", "items": literal, "minItems": 1, "uniqueItems": True},
                _private("values"),
            ]
        },
        "min": literal,
        "max": literal,
        "bins": {"anyOf": [{"type": "integer", "minimum": 1}, edges, _private("bins")]},
        "other": literal,
        "undeclared": literal,
        "nullable": {"anyOf": [{"type": "boolean"}, _private("nullable")]},
        "nan": {"anyOf": [{"enum": ["null", "cell", "drop", None]}, {"type": "number"}]},
        "infinity": {"enum": ["clip", "null", "drop", None]},
        "timezone": {"type": "string", "minLength": 1, "not": {"enum": [UNFILLED]}},
    }
    properties = {
        name: {"description": f"{what[0].upper()}{what[1:]}.", **forms[name]} for name, what in COLUMN.items()
    }
    return {
        **_object(properties, required=["type"]),
        "allOf": [
            _if_type("^string$", required=["values"], without=["min", "max", "bins"]),
            _if_type("^boolean$", without=["min", "max", "bins"]),
            _if_type(_BINNED, required=["bins"], without=["values"]),
            {"not": {"required": ["values", "bins"]}},
            {"not": {"required": ["values", "min"]}},
            {"not": {"required": ["values", "max"]}},
            {"not": {"required": ["other", "undeclared"]}},
        ],
    }


def _private(setting: str) -> Schema:
    """A setting that is left to a private step, with its share of the budget."""
    part = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    forms: dict[str, Schema] = {
        "private": {"const": True} if setting == "nullable" else {"type": "integer", "minimum": 1},
        "per_unit": {"type": "integer", "minimum": 1},
        "cut": {"enum": [cut.value for cut in Cut]},
        "share": part,
        "delta": part,
    }
    described = {
        name: {"description": f"{what[0].upper()}{what[1:]}.", **forms[name]}
        for name, what in PRIVATE[setting].items()
    }
    return _object(described, required=[name for name in described if name != "cut"])


def _if_type(pattern: str, *, without: list[str], required: list[str] | None = None) -> Schema:
    refused = {"not": {"anyOf": [{"required": [name]} for name in without]}}
    return {
        "if": {"required": ["type"], "properties": {"type": {"type": "string", "pattern": pattern}}},
        "then": {**refused, **({"required": required} if required else {})},
    }


def _object(properties: dict[str, Schema], *, required: list[str]) -> Schema:
    made: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**made, "required": required} if required else made


def _sentence(setting: Setting) -> str:
    usual = f" By default {setting.usual}." if setting.usual is not None else ""
    return f"{setting.what[0].upper()}{setting.what[1:]}.{usual}"


def schema_text() -> str:
    """Returns the JSON Schema as it is kept in conf/run.schema.json."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
