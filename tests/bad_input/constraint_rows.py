"""Mistakes in the constraints: found before anything is opened."""

from __future__ import annotations

from bad_input.mistake import Mistake, a_file


def rule(what: str, item: str, *says: str, also: str = "") -> Mistake:
    """A constraint written so, and what the message has to hold."""
    return Mistake(what=what, code=78, says=("constraints", *says), sets=(f"constraints=[{also}{item}]",))


def mapped(what: str, content: str, *says: str) -> Mistake:
    """A mapping in a file with this content."""
    return Mistake(
        what=what,
        code=78,
        says=("constraints[0].mapping", *says),
        sets=("constraints=[{determines: {ward: urgent}, mapping: wards.csv}]",),
        prepare=a_file("wards.csv", content),
    )


ROWS = [
    rule("a constraint that cuts through a bin", "{forbid: {age: '<15', ward: A}}", "constraints[0].forbid.age", "10 or 20"),
    rule("a constraint on one value of a bin", "{forbid: {age: 15, ward: A}}", "[10, 20)"),
    rule("a constraint that cuts the last bin", "{forbid: {age: '>105', ward: A}}", "[100, 110]"),
    rule("a constraint on no value", "{forbid: {age: '>200', ward: A}}", "no declared value", "0 to 110"),
    rule("a constraint on an unknown column", "{forbid: {age: '<10', wart: A}}", "constraints[0].forbid.wart", "Did you mean 'ward'?"),
    rule("a constraint on an unknown value", "{forbid: {age: '<10', ward: elsewher}}", "'elsewher'", "A, B, C, elsewhere", "Did you mean 'elsewhere'?"),
    rule("a constraint on null where there is none", "{forbid: {age: '<10', ward: null}}", "not nullable"),
    rule("a constraint on one column", "{forbid: {age: '<10'}}", "fewer than two columns"),
    rule("a constraint of another kind", "{forbidden: {age: '<10', ward: A}}", "Did you mean 'forbid'?"),
    rule("a constraint with a condition", "{forbid: {age: '<10', ward: A}, unless: urgent}", "constraints[0].unless", "unknown"),
    rule("a constraint that leaves no row", "{forbid: {urgent: [true, false], ward: [A, B, C, elsewhere]}}", "no possible row", "urgent and ward"),
    rule(
        "constraints that contradict each other",
        "{forbid: {urgent: false, ward: {not: A}}}, {forbid: {urgent: [true, false], ward: A}}",
        "constraints[2]",
        "contradict",
        also="{forbid: {urgent: true, ward: {not: A}}}, ",
    ),
    Mistake(
        what="a constraint too large for the model",
        code=78,
        says=("constraints[0]", "age x ward x cost", "480 cells", "400", "max_model_mb"),
        sets=("constraints=[{forbid: {age: '<10', ward: A, cost: '<100'}}]", "mechanism.max_model_mb=0.0032"),
    ),
    rule("a mapping that is missing", "{determines: {ward: urgent}}", "constraints[0].mapping", "missing"),
    rule("a mapping with a gap", "{determines: {ward: urgent}, mapping: {A: true, C: false}}", "1 of the 3", "B"),
    rule("a mapping of an unknown value", "{determines: {ward: urgent}, mapping: {A: true, B: true, C: true, elsewher: true}}", "Did you mean 'elsewhere'?"),
    rule("a mapping to an unknown value", "{determines: {urgent: ward}, mapping: {true: A, false: elsewher}}", "Did you mean 'elsewhere'?"),
    rule("a mapping to several values", "{determines: {ward: age}, mapping: {A: '<30', B: '<10', C: '<10'}}", "3 cells"),
    rule("a column that determines itself", "{determines: {ward: ward}, mapping: {A: A, B: B, C: C}}", "itself"),
    rule("a mapping that is the table", "{determines: {ward: urgent}, mapping: in/part-0.parquet}", "protected (input)", "public"),
    rule("a mapping that is not there", "{determines: {ward: urgent}, mapping: nowhere.csv}", "nowhere.csv", "No such file"),
    mapped("a mapping without its columns", "wards,urgent\nA,true\n", "no column 'ward'", "as in the schema"),
    mapped("a mapping that says two things", "ward,urgent\nA,true\nB,true\nC,true\nA,false\n", "wards.csv:2", "wards.csv:5"),
    mapped("a mapping that is no CSV", "\x00\x01", "wards.csv"),
    mapped("a mapping that is empty", "", "wards.csv"),
    Mistake(
        what="a constraint on a column that is learned",
        code=78,
        says=("constraints[0].forbid.ward", "private step"),
        sets=(
            "schema.ward={type: string, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-9}, other: Z}",
            "constraints=[{forbid: {ward: Z, age: '<10'}}]",
        ),
    ),
    Mistake(what="constraints that are no list", code=78, says=("constraints", "no list"), sets=("constraints={forbid: {age: '<10', ward: A}}",)),
]  # fmt: skip
