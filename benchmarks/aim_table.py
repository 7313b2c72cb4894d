"""The table of `aim.py` and `peers.py` in Markdown, and how ours compares: python -m benchmarks.aim_table FILE...

In each setting the better of our mechanisms by the mean error of triples is set against the best of all peers. What peers
were measured at earlier, elsewhere or by other means stands in EARLIER, and is marked in the table.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.records import Record, read

OURS: Final = "ours"
COMPARED: Final = {"aim": ("oneshot", "aim"), "mst": ("mst",)}
"""What is set against the peers' AIM and all else, and against their MST: the better of these mechanisms of ours."""

Setting = tuple[str, float]


def _earlier(who: str, mechanism: str, setting: Setting, cpu: float, errors: Sequence[float]) -> Record:
    one, two, three = errors
    return Record(
        who=who,
        mechanism=mechanism,
        table=setting[0],
        epsilon=setting[1],
        seed=-1,
        cpu=cpu,
        wall=float("nan"),
        errors=(one, two, three),
        note="measured earlier",
    )


_UNKNOWN: Final = float("nan")
EARLIER: Final = (
    _earlier("mbi", "aim, quick projections", ("adult", 1.0), 784, (0.0116, 0.0431, 0.0935)),
    _earlier("dpsynth", "swift", ("adult", 1.0), 431, (0.0124, 0.0495, 0.1052)),
    _earlier("mbi", "mst", ("adult", 1.0), 203, (0.0086, 0.0527, 0.114)),
    _earlier("mbi", "mst, quick projections", ("adult", 10.0), 93, (0.0013, 0.0412, 0.0998)),
    _earlier("mbi", "aim, quick projections", ("titanic", 1.0), 74, (0.1188, 0.2547, 0.3936)),
    _earlier("mbi", "mst", ("titanic", 1.0), 21, (0.0915, 0.2279, 0.3624)),
    _earlier("dpsynth", "swift", ("titanic", 1.0), 74, (0.0893, 0.2228, 0.3682)),
    _earlier("dpsynth", "independent", ("titanic", 1.0), _UNKNOWN, (0.0704, 0.2072, 0.3543)),
    _earlier("mbi", "aim, quick projections", ("nltcs", 1.0), 649, (0.0007, 0.0034, 0.0073)),
    _earlier("mbi", "mst", ("nltcs", 1.0), 12.5, (0.0007, 0.0850, 0.1374)),
)


def main() -> None:
    show((*EARLIER, *read(Path(file) for file in sys.argv[1:])))


def show(records: Iterable[Record]) -> None:
    """Prints all runs, a row for those of one mechanism in one setting, and the comparisons."""
    groups: dict[Setting, dict[tuple[str, str], list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        groups[record.setting][record.who, record.mechanism].append(record)
    print("| table | ε | runs | mechanism | CPU s | wall s | TVD 1 / 2 / 3 (sd of the last) |")
    print("|---|---|---|---|---|---|---|")
    for setting in sorted(groups):
        for (who, mechanism), runs in sorted(
            groups[setting].items(), key=lambda kv: (kv[0][0] != OURS, kv[0])
        ):
            print(_row(setting, who, mechanism, runs))
    for kind in COMPARED:
        _compare(groups, kind)


def _row(setting: Setting, who: str, mechanism: str, runs: Sequence[Record]) -> str:
    label = f"**{mechanism}**" if who == OURS else f"*{who} {mechanism}*"
    early = " †" if runs[0].note == "measured earlier" else ""
    return (
        f"| {setting[0]} | {setting[1]:g} | {len(runs)} | {label}{early} | {_seconds([r.cpu for r in runs])} | "
        f"{_seconds([r.wall for r in runs])} | {_errors(runs)} |"
    )


def _seconds(values: Sequence[float]) -> str:
    middle = float(np.median(values))
    return "" if np.isnan(middle) else f"{middle:.1f}" if middle < 100 else f"{middle:.0f}"


def _errors(runs: Sequence[Record]) -> str:
    ended = np.array([r.errors for r in runs if r.errors is not None])
    if not len(ended):
        return runs[0].note
    means = " / ".join(f"{error:.4f}".lstrip("0") for error in ended.mean(axis=0))
    return means + (f" ({ended[:, 2].std(ddof=1):.4f})".replace("(0", "(") if len(ended) > 1 else "")


def _compare(groups: Mapping[Setting, Mapping[tuple[str, str], Sequence[Record]]], kind: str) -> None:
    """Prints ours against the best peer: errors of triples, CPU seconds, and the mean over settings.

    Time is set against the quickest of the peer's runs of that kind, ended or not: a simpler mechanism that has less error
    there is no measure of it.
    """
    print(
        f"\n| {kind} | ε | ours | best peer | error: ours / theirs | time of {kind}: theirs / ours, CPU and wall |"
    )
    print("|---|---|---|---|---|---|")
    ratios = []
    for setting, found in sorted(groups.items()):
        ours = {k: r for k, r in found.items() if k[0] == OURS and k[1] in COMPARED[kind]}
        peers = {k: r for k, r in found.items() if k[0] != OURS and _counts(kind, k[1]) and _ended(r)}
        if not ours:
            continue
        mine = min(ours, key=lambda k: _mean(ours[k]))
        start = f"| {setting[0]} | {setting[1]:g} | {mine[1]} {_mean(ours[mine]):.4f} |"
        time = _slower(
            [r for k, runs in found.items() if k[0] != OURS and kind in k[1] for r in runs], ours[mine]
        )
        if not peers:
            print(f"{start} none that counts | | {time} |")
            continue
        theirs = min(peers, key=lambda k: _mean(peers[k]))
        ratios.append(_mean(ours[mine]) / _mean(peers[theirs]))
        print(f"{start} {' '.join(theirs)} {_mean(peers[theirs]):.4f} | {ratios[-1]:.2f} | {time} |")
    if ratios:
        mean = float(np.exp(np.mean(np.log(ratios))))
        print(f"\nGeometric mean of {len(ratios)} settings {mean:.3f}, largest {max(ratios):.3f}")


def _counts(kind: str, mechanism: str) -> bool:
    """Whether a peer's mechanism is one to compare with: MST with MST, the better of ours with all."""
    return kind == "aim" or kind in mechanism


def _slower(theirs: Sequence[Record], ours: Sequence[Record]) -> str:
    if not theirs:
        return ""
    quickest = min(theirs, key=lambda record: (record.errors is None, record.cpu))
    times = quickest.cpu / np.median([r.cpu for r in ours]), quickest.wall / np.median([r.wall for r in ours])
    more = "" if quickest.errors else "> "
    return ", ".join("–" if np.isnan(ratio) else f"{more}{_times(float(ratio))}" for ratio in times)


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


def _ended(runs: Sequence[Record]) -> bool:
    return any(record.errors is not None for record in runs)


def _mean(runs: Sequence[Record]) -> float:
    return float(np.mean([r.errors[2] for r in runs if r.errors is not None]))


if __name__ == "__main__":
    main()
