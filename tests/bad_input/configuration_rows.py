"""Mistakes in the configuration's text: found before anything is opened."""

from __future__ import annotations

from bad_input.mistake import Mistake, a_file, rewritten, swap, without

FILE = [
    Mistake(what="no such configuration", code=78, says=("none.yaml", "No such file"), command=("run", "{folder}/none.yaml")),
    Mistake(what="a folder for a configuration", code=78, says=("directory",), command=("run", "{folder}")),
    Mistake(what="JSON for YAML", code=78, says=("visits.json", "YAML"), prepare=a_file("visits.json", "{}"), command=("run", "{folder}/visits.json")),
    Mistake(what="a configuration that is not UTF-8", code=78, says=("visits.yaml", "UTF-8"), prepare=rewritten(b"input: {path: \xff\xfe}")),
    Mistake(what="an empty configuration", code=78, says=("input",), prepare=rewritten("")),
    Mistake(what="a list for a configuration", code=78, says=("mapping", "a list"), prepare=rewritten("- a\n- b\n")),
    Mistake(what="an unclosed bracket", code=78, says=("not valid YAML", "visits.yaml:"), prepare=rewritten("input: [unclosed")),
    Mistake(what="a tab for an indentation", code=78, says=("not valid YAML", "visits.yaml:2"), prepare=rewritten("input:\n\tpath: x\n")),
    Mistake(what="a missing colon", code=78, says=("input.path", "colon"), text=swap("{path: ", "{path ")),
    Mistake(what="a section given twice", code=78, says=("'run'", "twice", "visits.yaml:"), text=lambda t: t + "\nrun: {directory: x, key: y}\n"),
    Mistake(what="a setting given twice", code=78, says=("'epsilon'", "twice", "visits.yaml:"), text=swap("  epsilon: 2.0\n", "  epsilon: 2.0\n  epsilon: 3.0\n")),
    Mistake(what="two documents in one file", code=78, says=("not valid YAML",), text=lambda t: t + "\n---\ninput: {path: x}\n"),
    Mistake(what="a tag that would run code", code=78, says=("tag", "python"), text=swap("{path: ", "{path: !!python/object/apply:os.system ['true'], table: ")),
    Mistake(what="nesting without end", code=78, says=("nested deeper",), prepare=rewritten("a: " + "[" * 60 + "]" * 60)),
    Mistake(what="an unknown section", code=78, says=("outptu", "output", "Did you mean"), text=swap("output:", "outptu:")),
    Mistake(what="an unknown setting", code=78, says=("privacy.epsilom", "epsilon", "Did you mean"), text=swap("  epsilon:", "  epsilom:")),
    Mistake(what="an unknown setting of a column", code=78, says=("schema.ward.valeus", "values", "Did you mean", "visits.yaml:"), text=swap("values: [A, B, C]", "valeus: [A, B, C]")),
    Mistake(what="a text for a section", code=78, says=("'input'", "mapping"), sets=("input=here",)),
    Mistake(what="a schema file that is not there", code=78, says=("schema", "none.yaml"), sets=("schema=none.yaml",)),
    Mistake(what="a schema file that is a list", code=78, says=("schema", "mapping of columns"), sets=("schema=list.yaml",), prepare=a_file("list.yaml", "- a\n")),
    Mistake(what="a mistake in a schema file", code=78, says=("schema.ward", "ward.yaml:2"), sets=("schema=ward.yaml",), prepare=a_file("ward.yaml", "age: {type: integer, min: 0, max: 9}\nward: {type: string, values: []}\n")),
    Mistake(what="a placeholder that was not filled in", code=78, says=("privacy.epsilon", "???"), text=swap("epsilon: 2.0", "epsilon: ???")),
    Mistake(what="an assignment without a value", code=78, says=("--set 'privacy.epsilon'", "privacy.epsilon=1"), sets=("privacy.epsilon",)),
    Mistake(what="an assignment without a name", code=78, says=("--set", "assignment"), sets=("=1",)),
    Mistake(what="an assignment through a number", code=78, says=("privacy.epsilon.of",), sets=("privacy.epsilon.of=1",)),
    Mistake(what="an assignment to an unknown setting", code=78, says=("privacy.epsilom", "Did you mean 'epsilon'"), sets=("privacy.epsilom=1",)),
]  # fmt: skip

MISSING = [
    Mistake(what=f"no {name}", code=78, says=(f"privacy.{name}", "no default"), text=without(name))
    for name in ("epsilon", "delta", "unit", "ledger", "dataset")
] + [
    Mistake(what="no schema", code=78, says=("schema", "columns"), sets=("schema=null",)),
    Mistake(what="a schema without a column", code=78, says=("schema",), sets=("schema={}",)),
    Mistake(what="no bound", code=78, says=("privacy.unit.max_rows", "no default"), sets=("privacy.unit={column: person}",)),
    Mistake(what="no unit column", code=78, says=("privacy.unit.column", "unit: row"), sets=("privacy.unit={max_rows: 3}",)),
    Mistake(what="no input", code=78, says=("input.path", "input.table"), sets=("input=null",)),
    Mistake(what="no output", code=78, says=("output.path",), sets=("output=null",)),
    Mistake(what="no run directory", code=78, says=("run.directory",), sets=("run={key: first}",)),
    Mistake(what="no run key", code=78, says=("run.key", "2013-W01"), sets=("run={directory: runs}",)),
]  # fmt: skip

PRIVACY = [
    Mistake(what="an epsilon of zero", code=78, says=("privacy.epsilon", "0"), sets=("privacy.epsilon=0",)),
    Mistake(what="a negative epsilon", code=78, says=("privacy.epsilon", "-1"), sets=("privacy.epsilon=-1",)),
    Mistake(what="an epsilon that is no number", code=78, says=("privacy.epsilon", "'much'"), sets=("privacy.epsilon=much",)),
    Mistake(what="an epsilon in quotes", code=78, says=("privacy.epsilon", "without quotes"), sets=("privacy.epsilon='1'",)),
    Mistake(what="an epsilon without bound", code=78, says=("privacy.epsilon", ".inf"), sets=("privacy.epsilon=.inf",)),
    Mistake(what="an epsilon of NaN", code=78, says=("privacy.epsilon", ".nan"), sets=("privacy.epsilon=.nan",)),
    Mistake(what="a delta of zero", code=78, says=("privacy.delta", "0"), sets=("privacy.delta=0",)),
    Mistake(what="a delta of one", code=78, says=("privacy.delta", "1"), sets=("privacy.delta=1",)),
    Mistake(what="a delta that is too large", code=78, says=("privacy.delta", "0.001", "confirm_large_delta"), sets=("privacy.delta=1e-3",)),
    Mistake(what="a bound of zero rows", code=78, says=("privacy.unit.max_rows", "'0'", "from 1"), sets=("privacy.unit.max_rows=0",)),
    Mistake(what="a bound of half a row", code=78, says=("privacy.unit.max_rows", "'2.5'"), sets=("privacy.unit.max_rows=2.5",)),
    Mistake(what="a bound of true", code=78, says=("privacy.unit.max_rows", "'true'"), sets=("privacy.unit.max_rows=true",)),
    Mistake(what="a learned bound without a limit", code=78, says=("privacy.unit.at_most", "max_rows is auto"), sets=("privacy.unit={column: person, max_rows: auto, share: 0.1}",)),
    Mistake(what="a learned bound without a share", code=78, says=("privacy.unit.share", "max_rows is auto"), sets=("privacy.unit={column: person, max_rows: auto, at_most: 50}",)),
    Mistake(what="a learned bound of at most one row", code=78, says=("privacy.unit.at_most", "'1'", "from 2"), sets=("privacy.unit={column: person, max_rows: auto, at_most: 1, share: 0.1}",)),
    Mistake(what="a learned bound at a quantile of one", code=78, says=("privacy.unit.quantile", "between 0 and 1"), sets=("privacy.unit={column: person, max_rows: auto, at_most: 50, quantile: 1, share: 0.1}",)),
    Mistake(what="a learned bound that takes all", code=78, says=("privacy.unit.share", "between 0 and 1"), sets=("privacy.unit={column: person, max_rows: auto, at_most: 50, share: 1.5}",)),
    Mistake(what="a share of a bound that is declared", code=78, says=("privacy.unit.share", "max_rows: auto"), sets=("privacy.unit={column: person, max_rows: 3, share: 0.1}",)),
    Mistake(what="an epsilon that leaves no noise to draw", code=78, says=("privacy.epsilon", "no less than", "smaller epsilon"), sets=("privacy.epsilon=1e14", "privacy.unit=row")),
    Mistake(what="a bound whose noise cannot be drawn", code=78, says=("privacy.unit.max_rows", "100,000,000", "can be drawn", "smaller max_rows"), sets=("privacy.unit.max_rows=100000000",)),
    Mistake(what="several private values of one row", code=78, says=("schema.ward.values.per_unit", "a row has one value"), sets=("privacy.unit=row", "schema.ward={type: string, values: {private: 5, per_unit: 2, share: 0.1, delta: 1e-9}, other: Z}")),
    Mistake(what="a unit that is a name alone", code=78, says=("privacy.unit", "{column: person, max_rows: K}"), sets=("privacy.unit=person",)),
    Mistake(what="a unit column and unit columns", code=78, says=("privacy.unit.columns", "Keep one"), sets=("privacy.unit.columns=[person]",)),
    Mistake(what="a unit column called row", code=78, says=("privacy.unit.column", "'row'"), sets=("privacy.unit.column=row",)),
    Mistake(what="a unit column with a comma", code=78, says=("privacy.unit.column", "comma"), sets=("privacy.unit.column='a,b'",)),
    Mistake(what="an unknown policy for null ids", code=78, says=("privacy.unit.nulls", "'keep'", "drop, error, one_unit"), sets=("privacy.unit.nulls=keep",)),
    Mistake(what="an unknown way of bounding", code=78, says=("privacy.unit.bounding", "weight, sample"), sets=("privacy.unit.bounding=clip",)),
    Mistake(what="an unknown adjacency", code=78, says=("privacy.neighbours", "add_remove, replace"), sets=("privacy.neighbours=swap",)),
    Mistake(what="a ledger that is a path", code=78, says=("privacy.ledger", "sqlite:///ledger.db"), sets=("privacy.ledger=ledger.db",)),
    Mistake(what="a ledger in a variable that is not set", code=78, says=("privacy.ledger", "NOT_SET_ANYWHERE"), sets=("privacy.ledger=env:NOT_SET_ANYWHERE",)),
]  # fmt: skip

PLACES = [
    Mistake(what="a path and a table", code=78, says=("input.table", "input.path"), sets=("input.table=a.b",)),
    Mistake(what="an output in the input", code=78, says=("output.path", "input.path", "Neither"), sets=("output.path={folder}/in/out",)),
    Mistake(what="an output that is the input", code=78, says=("output.path", "input.path"), sets=("output.path=file:{folder}/in",)),
    Mistake(what="a run directory in the output", code=78, says=("output.path", "run.directory"), sets=("run.directory={folder}/out/runs",)),
    Mistake(what="a negative number of rows", code=78, says=("output.rows", "'-5'"), sets=("output.rows=-5",)),
    Mistake(what="rows in words", code=78, says=("output.rows", "'many'"), sets=("output.rows=many",)),
    Mistake(what="an unknown partition column", code=78, says=("output.partition_by", "'wrad'", "Did you mean 'ward'"), sets=("output.partition_by=[wrad]",)),
    Mistake(what="a partition column twice", code=78, says=("output.partition_by", "'ward'", "twice"), sets=("output.partition_by=[ward, ward]",)),
    Mistake(what="partitions by every column", code=78, says=("output.partition_by", "every column"), sets=("output.partition_by=[ward, age, cost, score, visited, at, urgent]",)),
    Mistake(what="an unknown output mode", code=78, says=("output.mode", "'replace'", "overwrite_partitions"), sets=("output.mode=replace",)),
    Mistake(what="partitions to overwrite and none named", code=78, says=("output.mode", "output.partition_by"), sets=("output.mode=overwrite_partitions",)),
    Mistake(what="overwriting on an object store", code=78, says=("output.mode", "object store", "a path of its own"), sets=("output.mode=overwrite", "output.path=s3://bucket/out")),
    Mistake(what="a key with a slash", code=78, says=("run.key", "'a/b'"), sets=("run.key=a/b",)),
    Mistake(what="a key of dots", code=78, says=("run.key", "'..'"), sets=("run.key=..",)),
    Mistake(what="a negative seed", code=78, says=("run.seed", "'-1'"), sets=("run.seed=-1",)),
    Mistake(what="a seed that is too large", code=78, says=("run.seed", "2**64"), sets=("run.seed=18446744073709551616",)),
    Mistake(what="perhaps an evaluation", code=78, says=("evaluate.against_input", "true or false"), sets=("evaluate.against_input=perhaps",)),
    Mistake(what="a setting of Spark that changes results", code=78, says=("spark", "spark.sql.caseSensitive"), sets=("spark={spark.sql.caseSensitive: 'true'}",)),
    Mistake(what="a setting of Spark that changes what a time is", code=78, says=("spark.spark.sql.timestampType", "changes what is read", "Leave it out"), sets=("spark={spark.sql.timestampType: TIMESTAMP_NTZ}",)),
    Mistake(what="a setting of Spark without a value", code=78, says=("spark.spark.executor.cores", "null"), sets=("spark={spark.executor.cores: null}",)),
]  # fmt: skip

MECHANISM = [
    Mistake(what="an unknown mechanism", code=78, says=("mechanism.name", "'mts'", "independent", "Did you mean 'mst'", "--set"), sets=("mechanism.name=mts",)),
    Mistake(what="a workload of degree zero", code=78, says=("mechanism.workload.degree", "'0'"), sets=("mechanism.workload.degree=0",)),
    Mistake(what="a workload of an unknown column", code=78, says=("mechanism.workload", "'wrad'", "ward"), sets=("mechanism.workload=[[wrad, age]]",)),
    Mistake(what="a workload with a column twice", code=78, says=("mechanism.workload", "twice"), sets=("mechanism.workload=[[age, age]]",)),
    Mistake(what="a weight of zero", code=78, says=("mechanism.workload", "weight", "above 0"), sets=("mechanism.workload=[{columns: [age, ward], weight: 0}]",)),
    Mistake(what="a negative weight", code=78, says=("mechanism.workload", "'-1'", "above 0"), sets=("mechanism.workload=[{columns: [age, ward], weight: -1}]",)),
    Mistake(what="weights that are all zero", code=78, says=("mechanism.workload", "'0.0'", "above 0"), sets=("mechanism.workload=[{columns: [age, ward], weight: 0.0}, {columns: [age, cost], weight: 0.0}]",)),
    Mistake(what="a weight beyond all others", code=78, says=("mechanism.workload", "'1e400'", "1e+09"), sets=("mechanism.workload=[{columns: [age, ward], weight: 1e400}, [age, cost]]",)),
    Mistake(what="a weight of nothing", code=78, says=("mechanism.workload", "'1e-400'", "above 0"), sets=("mechanism.workload=[{columns: [age, ward], weight: 1e-400}]",)),
    Mistake(what="a workload of no group", code=78, says=("mechanism.workload", "neither", "list of groups"), sets=("mechanism.workload=[]",)),
    Mistake(what="a degree and cliques", code=78, says=("mechanism.workload.cliques", "Keep one"), sets=("mechanism.workload={degree: 2, cliques: [[age, ward]]}",)),
    Mistake(what="targets that nothing uses", code=78, says=("mechanism.targets",), sets=("mechanism.name=independent", "mechanism.targets=[age]")),
    Mistake(what="a model of no size", code=78, says=("mechanism.max_model_mb", "above 0"), sets=("mechanism.max_model_mb=0",)),
    Mistake(what="a model too small for single columns", code=78, says=("mechanism.max_model_mb", "largest column"), sets=("mechanism.max_model_mb=0.0001",)),
    Mistake(what="counts that do not fit the driver", code=78, says=("spark.driver.memory", "MB"), sets=("mechanism.workload={degree: 3}", "schema.age={type: integer, min: 0, max: 20000}", "schema.cost.bins=2000", "mechanism.max_model_mb=8000", "spark={spark.driver.memory: 64m}")),
]  # fmt: skip

ROWS = FILE + MISSING + PRIVACY + PLACES + MECHANISM
