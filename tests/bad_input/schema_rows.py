"""Mistakes in the declared columns: found before anything is opened."""

from __future__ import annotations

from bad_input.mistake import Mistake


def column(what: str, name: str, settings: str, *says: str) -> Mistake:
    """A column declared so, and what the message has to hold."""
    return Mistake(what=what, code=78, says=(f"schema.{name}", *says), sets=(f"schema.{name}={settings}",))


ROWS = [
    column("no type", "ward", "{values: [A], undeclared: drop}", "schema.ward.type"),
    column("an unknown type", "age", "{type: interger, min: 0, max: 9}", "'interger'", "integer"),
    column("a type that is not supported", "ward", "{type: binary, values: [a]}", "'binary'", "string"),
    column("a decimal of too many digits", "cost", "{type: 'decimal(50,2)', min: 0, max: 9, bins: 3}", "decimal(50,2)"),
    column("a scalar for a column", "ward", "string", "'string'", "{type: string"),
    column("a text without values", "ward", "{type: string}", "schema.ward.values"),
    column("a text with a range", "ward", "{type: string, min: A, max: C}", "string", "values"),
    column("no declared value", "ward", "{type: string, values: [], undeclared: drop}", "schema.ward.values", "empty"),
    column("a value twice", "ward", "{type: string, values: [A, B, A], undeclared: drop}", "'A'", "twice"),
    column("values without a place for others", "ward", "{type: string, values: [A, B]}", "undeclared", "other"),
    column("other and undeclared", "ward", "{type: string, values: [A], other: Z, undeclared: drop}", "Keep one"),
    column("an other that is declared", "ward", "{type: string, values: [A, B], other: B}", "schema.ward.other", "'B'"),
    column("an undeclared that is no value", "ward", "{type: string, values: [A, B], undeclared: C}", "schema.ward.undeclared", "'C'", "drop"),
    column("a range without an end", "age", "{type: integer, min: 0}", "schema.age.max"),
    column("a range that ends before it starts", "age", "{type: integer, min: 9, max: 0}", "schema.age.max", "below"),
    column("values and a range", "age", "{type: integer, values: [1, 2], min: 0, max: 9, undeclared: drop}", "Keep one"),
    column("no bin", "age", "{type: integer, min: 0, max: 9, bins: 0}", "schema.age.bins"),
    column("more bins than values", "age", "{type: integer, min: 0, max: 9, bins: 20}", "schema.age.bins"),
    column("one edge", "age", "{type: integer, bins: [3]}", "schema.age.bins", "two"),
    column("edges out of order", "age", "{type: integer, bins: [0, 9, 3]}", "schema.age.bins"),
    column("a fraction for an integer", "age", "{type: integer, min: 0.5, max: 9}", "schema.age.min", "0.5"),
    column("a number that the type cannot hold", "age", "{type: byte, min: 0, max: 300, bins: 3}", "schema.age.max", "300"),
    column("a float without bins", "score", "{type: double, min: 0, max: 1}", "schema.score.bins"),
    column("a float by its values", "score", "{type: double, values: [0.5], undeclared: drop}", "schema.score.values"),
    column("a range that is infinite", "score", "{type: double, min: 0, max: .inf, bins: 3}", "schema.score.max"),
    column("an unknown policy for NaN", "score", "{type: double, min: 0, max: 1, bins: 3, nan: keep}", "schema.score.nan", "cell"),
    column("NaN to null in a column without null", "score", "{type: double, min: 0, max: 1, bins: 3, nan: 'null'}", "schema.score.nan", "nullable"),
    column("a policy for NaN of integers", "age", "{type: integer, min: 0, max: 9, nan: drop}", "schema.age.nan"),
    column("an unknown policy for infinity", "score", "{type: double, min: 0, max: 1, bins: 3, infinity: keep}", "schema.score.infinity"),
    column("an unknown time zone", "at", "{type: timestamp, timezone: Europe/Belrin, min: 2024-01-01, max: 2025-01-01, bins: 3}", "schema.at.timezone", "Belrin"),
    column("a time zone for a date", "visited", "{type: date, timezone: UTC, min: 2024-01-01, max: 2024-12-31, bins: 3}", "schema.visited.timezone"),
    column("a day that does not exist", "visited", "{type: date, min: 2024-02-30, max: 2024-12-31, bins: 3}", "schema.visited.min", "2024-02-30"),
    column("a day in another order", "visited", "{type: date, min: 31.12.2024, max: 2025-12-31, bins: 3}", "schema.visited.min", "31.12.2024"),
    column("nullable perhaps", "age", "{type: integer, min: 0, max: 9, nullable: perhaps}", "schema.age.nullable", "'perhaps'"),
    column("a column of too many cells", "age", "{type: long, min: 0, max: 99999999999}", "schema.age", "cells"),
    column("private values without other", "ward", "{type: string, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-9}}", "schema.ward.values", "other: LITERAL"),
    column("private values whose rest is to be dropped", "ward", "{type: string, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-9}, other: drop}", "schema.ward.values", "'drop'", "drops no row", "other: elsewhere"),
    column("private values without a bound on one person", "ward", "{type: string, values: {private: 5, share: 0.1, delta: 1e-9}, other: Z}", "schema.ward.values.per_unit", "missing"),
    column("private values without a delta", "ward", "{type: string, values: {private: 5, per_unit: 1, share: 0.1}, other: Z}", "schema.ward.values.delta", "missing"),
    column("private values with a delta that no float resolves", "ward", "{type: string, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-305}, other: Z}", "schema.ward.values.delta", "1e-305", "1e-100"),
    column("private values that cost all of delta", "ward", "{type: string, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-7}, other: Z}", "schema.ward.values.delta", "1e-07", "privacy.delta"),
    column("private values of a double", "score", "{type: double, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-9}, other: 1}", "schema.score.values", "private bins"),
    column("private values of a boolean", "urgent", "{type: boolean, values: {private: 2, per_unit: 1, share: 0.1, delta: 1e-9}, other: true}", "schema.urgent.values", "boolean"),
    column("a private setting that is unknown", "ward", "{type: string, values: {private: 5, per_person: 1, share: 0.1, delta: 1e-9}, other: Z}", "schema.ward.values.per_person", "per_unit"),
    column("private values and a range", "age", "{type: integer, values: {private: 5, per_unit: 1, share: 0.1, delta: 1e-9}, other: 7, min: 0, max: 9}", "Keep one"),
    column("private bins of a text", "ward", "{type: string, bins: {private: 5, share: 0.1}, other: Z}", "schema.ward.bins", "string"),
    column("private bins without a public range", "age", "{type: integer, bins: {private: 5, share: 0.1}}", "schema.age.min"),
    column("private bins without a share", "age", "{type: integer, min: 0, max: 9, bins: {private: 5}}", "schema.age.bins.share", "missing"),
    column("no private bin", "age", "{type: integer, min: 0, max: 9, bins: {private: 0, share: 0.1}}", "schema.age.bins.private", "'0'"),
    column("an unknown cut", "age", "{type: integer, min: 0, max: 9, bins: {private: 3, cut: deep, share: 0.1}}", "schema.age.bins.cut", "mass"),
    column("a share of all", "age", "{type: integer, min: 0, max: 9, bins: {private: 3, share: 1}}", "schema.age.bins.share", "'1'"),
    column("a share that is a word", "age", "{type: integer, min: 0, max: 9, bins: {private: 3, share: half}}", "schema.age.bins.share", "'half'"),
    column("shares that leave nothing", "age", "{type: integer, min: 0, max: 9, bins: {private: 3, share: 0.6}, nullable: {private: true, share: 0.4}}", "schema.age.nullable.share", "come to 1"),
    column("private nulls that are not wanted", "age", "{type: integer, min: 0, max: 9, nullable: {private: false, share: 0.1}}", "schema.age.nullable.private", "nullable: false"),
]  # fmt: skip
