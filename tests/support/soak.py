"""Many short runs with random kills against one account, and what has to be true of it all the time and in the end."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.wreck import DATASET, Left, Place, require_mended
from support.zygote import Zygotes

from spark_dp.privacy.accounting import gaussian_epsilon, mu_of_rho
from spark_dp.privacy.budget import PrivacyBudget
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import Ledger

LEASE = {"SPARK_DP_LEASE_SECONDS": "2"}
KILLED, REFUSED = -signal.SIGKILL, 77


@dataclass
class Soak:
    """One soak.

    Attributes:
        folder, source: where, and the input.
        drivers: to kill.
        runs: how many are started, beside those that finish what is left in the end.
        keys: how many there are; the account can pay for three in four of them.
        at_once: how many drivers live at a time.
        seed: of the kills and the keys.
    """

    folder: Path
    source: Path
    drivers: Zygotes
    runs: int
    keys: int
    at_once: int = 3
    seed: int = 0
    ended: Counter[int] = field(default_factory=Counter)
    together: int = 0
    _answers: dict[tuple[str, str, int], bytes] = field(default_factory=dict)
    _running: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seconds: float = 6.0

    def run(self) -> dict[str, Any]:
        """Runs it all, checks it, and returns its figures.

        Raises:
            AssertionError: a guarantee was broken.
        """
        began = time.monotonic()
        rng = random.Random(self.seed)
        whole = PrivacyBudget(epsilon=50.0, delta=1e-7)
        paid = whole.rho_in(Accounting.GAUSSIAN) * (3 * self.keys // 4)
        account = gaussian_epsilon(mu_of_rho(paid), 1e-7) + 0.01
        first = Place.make(
            self.folder / "keys" / "key-00", self.source, account=account, **self._of("key-00")
        )
        places = [first] + [self._place(f"key-{i:02d}") for i in range(1, self.keys)]
        self._attempt(first, None)  # Spark is slow at first
        started = time.monotonic()
        self._attempt(places[1], None)
        self._seconds = max(1.0, time.monotonic() - started)
        plan = [
            (rng.choice(places), rng.random() * 1.2 if rng.random() < 0.85 else None)
            for _ in range(self.runs)
        ]
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(lambda step: self._attempt(*step), plan))
        killed = self.ended[KILLED]
        with ThreadPoolExecutor(2) as pool:
            codes = list(pool.map(lambda place: self._attempt(place, None), places))
        return self._check(places, codes) | {
            "runs": self.runs,
            "killed": killed,
            "two of one key at once": self.together,
            "seconds": round(time.monotonic() - began),
        }

    def _of(self, key: str) -> dict[str, Any]:
        return {"key": key, "ledger": f"sqlite:///{self.folder}/ledger.db", "runs": self.folder / "runs"}

    def _place(self, key: str) -> Place:
        folder = self.folder / "keys" / key
        folder.mkdir()
        return Place(folder=folder, input=self.source, **self._of(key)).configured()

    def _attempt(self, place: Place, share: float | None) -> int:
        """Runs a key, and kills it after a share of the time that a run takes."""
        with self._lock:
            self._running[place.key] += 1
            self.together += self._running[place.key] == 2
        driver = self.drivers.start(*place.arguments, folder=place.folder, **LEASE)
        timer = None
        if share is not None:
            timer = threading.Timer(share * self._seconds * self.at_once / 2, driver.kill)
            timer.start()
        ended = driver.wait()
        if timer is not None:
            timer.cancel()
        with self._lock:
            self._running[place.key] -= 1
            self.ended[ended.code] += 1
            assert ended.code in (0, KILLED, REFUSED, 75), ended.said
            if ended.code == REFUSED:
                assert "left of" in ended.said, ended.said
            self._watch()
        return ended.code

    def _watch(self) -> None:
        """What holds at all times: nothing is overspent, and no answer ever changes."""
        ledger = Ledger.connect(f"sqlite:///{self.folder}/ledger.db")
        account, runs = ledger.show(DATASET), ledger.history(DATASET)
        assert account.spent_rho <= account.rho
        for run in runs:
            root = self.folder / "runs" / run.key / "state" / "answers" / run.run_id / "answers"
            for query in run.queries:
                if query.state == "answered":
                    content = (root / f"{query.ordinal:05d}-{query.answer_epoch}.npz").read_bytes()
                    assert self._answers.setdefault((run.key, run.run_id, query.ordinal), content) == content

    def _check(self, places: list[Place], codes: list[int]) -> dict[str, Any]:
        ledger = Ledger.connect(places[0].url)
        account, runs = ledger.show(DATASET), ledger.history(DATASET)
        charged = [run for run in runs if run.status != "voided"]
        assert account.spent_rho == sum(run.rho for run in charged) <= account.rho
        assert set(codes) <= {0, REFUSED}, codes
        done = [place for place, code in zip(places, codes, strict=True) if code == 0]
        assert {place.key for place in done} == {run.key for run in charged}
        assert all(run.status == "complete" for run in charged)
        ids = {run.run_id for run in charged}
        assert {run_id for _, run_id, _ in self._answers} == ids, "an answer was lost, or given back"
        for place in done:
            require_mended(place, Left.of(place, {}), None)
        return {
            "keys": len(places),
            "keys complete": len(done),
            "keys refused for want of budget": codes.count(REFUSED),
            "answers": len(self._answers),
            "entries of the chain": account.head.seq,
            "spent": float(account.spent_rho),
            "total": float(account.rho),
            "exit codes": {str(code): n for code, n in sorted(self.ended.items())},
        }
