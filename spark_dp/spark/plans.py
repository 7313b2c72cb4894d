"""What Spark's analysed plan says of a condition and of where a column comes from. Classic Spark only.

A text can hide what it means: a function's body, a literal put together from pieces. The analysed plan cannot. On Spark
Connect the plan stays with the server, and nothing is found.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from spark_dp.spark.plan_times import may_read_the_clock
from spark_dp.spark.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BUILT_IN = re.compile(r"org\.apache\.spark\.sql\.(catalyst\.expressions|types)\..+")
_OBJECTS = re.compile(r"org\.apache\.spark\..+")
_NOT_ROW_WISE = re.compile(
    r"\w*(Subquery|UDF|UDAF)|\w*Subquery(Argument)?Expression|Exists|ListQuery|Current\w+|Now|LocalTimestamp|"
    r"WindowExpression|VariableReference|ApplyFunctionExpression|CallMethodViaReflection"
)
_CHANCE = ("AesEncrypt",)
"""What draws at random and says that it is deterministic."""
_HIDDEN = "__metadata_col"
"""The mark of a column that a format keeps beside the table's own: a file's name, a row's place in it."""


def beyond_its_row(kept: DataFrame, rows: DataFrame) -> str | None:
    """Returns what a filter uses besides columns of its row and Spark's own functions; None where it uses nothing else.

    Args:
        kept: the filtered rows.
        rows: what was filtered. How these were made is not looked at.
    """
    if is_connect(rows.sparkSession):
        return None
    below = _analysed(rows)
    top = _analysed(kept)
    if _class(top) != "Filter" or not top.child().fastEquals(below):
        return "more than a look at each row, such as a window of time"
    for node in _nodes(_analysed(kept), below):
        for expression in _each(node.expressions()):
            for part in _parts(expression):
                found = _fault(part)
                if found is not None:
                    return found
            if may_read_the_clock(expression):
                return "a time whose text is put together, or names a moment of the clock"
    return None


def inferred_partitions(rows: DataFrame, names: Collection[str]) -> list[str]:
    """Returns the folders' columns whose type Spark took from the folders' names and that make any of `names`.

    Strings are left out: they are as the folders spell them. So are a catalog's tables, which declare their types.
    """
    if is_connect(rows.sparkSession):
        return []
    plan = _analysed(rows)
    made_of: defaultdict[int, set[int]] = defaultdict(set)
    folders: dict[int, str] = {}
    for node in _nodes(plan):
        for expression in _each(node.expressions()):
            if _class(expression) == "Alias":
                made_of[_id(expression)] |= {_id(part) for part in _each(expression.references().toSeq())}
        if _class(node) == "Union":
            for child in _each(node.children()):
                for made, part in zip(_each(node.output()), _each(child.output()), strict=False):
                    made_of[_id(made)].add(_id(part))
        inferred = _inferred_by(node)
        folders |= {
            _id(column): column.name() for column in _each(node.output()) if column.name() in inferred
        }
    wanted = {_id(column) for column in _each(plan.output()) if column.name() in names}
    seen: set[int] = set()
    while wanted - seen:
        new = wanted - seen
        seen |= new
        wanted = wanted.union(*(made_of[made] for made in new))
    return sorted({folders[column] for column in seen if column in folders})


def _fault(part: Any) -> str | None:
    kind = _class(part)
    if _NOT_ROW_WISE.fullmatch(kind) or not _BUILT_IN.fullmatch(part.getClass().getName()):
        return "a subquery, a clock, or a function that is not Spark's own"
    if kind == "AttributeReference" and part.metadata().contains(_HIDDEN):
        return "a column that is none of the table's own, such as where a row is stored"
    if kind in _CHANCE or not part.deterministic():
        return "chance, or where a row is stored"
    if kind == "StaticInvoke" and not _OBJECTS.fullmatch(part.staticObject().getName()):
        return "a function that is not Spark's own"
    if kind == "Literal" and _type(part) == "object":
        of = part.value().getClass().getName()
        return None if _OBJECTS.fullmatch(of) else "a function that is not Spark's own"
    return None


def _inferred_by(node: Any) -> set[str]:
    """The names of the folders' columns of a relation of files whose types come from the folders' names."""
    if _class(node) == "LogicalRelation":
        if node.catalogTable().isDefined() or _class(node.relation()) != "HadoopFsRelation":
            return set()
        index = node.relation().location()
    elif _class(node) == "DataSourceV2Relation" and "fileIndex" in dir(node.table()):
        index = node.table().fileIndex()
    else:
        return set()
    if _class(index) not in ("InMemoryFileIndex", "MetadataLogFileIndex"):
        return set()  # a log or a catalog declares its types
    fields = index.partitionSchema().fields()
    return {field.name() for field in fields if _type(field) != "string"}


def _analysed(rows: DataFrame) -> Any:
    return rows._jdf.queryExecution().analyzed()


def _nodes(plan: Any, below: Any = None) -> Iterator[Any]:
    if below is not None and plan.fastEquals(below):
        return
    yield plan
    for child in _each(plan.children()):
        yield from _nodes(child, below)


def _parts(expression: Any) -> Iterator[Any]:
    yield expression
    for child in _each(expression.children()):
        yield from _parts(child)


def _each(sequence: Any) -> Iterator[Any]:
    return (sequence.apply(i) for i in range(sequence.size()))


def _class(of: Any) -> str:
    return str(of.getClass().getSimpleName())


def _type(expression: Any) -> str:
    """The type's name, without its length, precision or collation."""
    return re.split(r"[ (]", str(expression.dataType().typeName()))[0]


def _id(attribute: Any) -> int:
    return int(attribute.exprId().id())
