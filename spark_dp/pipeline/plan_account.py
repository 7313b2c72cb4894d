"""Where a run stands with its account before it begins: what is left, what it takes, whether it was charged already.

Reads the ledger and changes nothing. What cannot be read is said in a sentence, for a plan needs no ledger. The
ledger's URL is in none of these sentences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from spark_dp.errors import LedgerError, SparkDPError
from spark_dp.pipeline.config import RunConfig
from spark_dp.privacy.account_views import AccountView, RunView
from spark_dp.privacy.composition import Accounting
from spark_dp.privacy.ledger import Ledger
from spark_dp.privacy.stated import at_least, at_most, pair
from spark_dp.privacy.thresholds import delta_left

ENOUGH: Final = "enough"
SHORT: Final = "short"
CLOSED: Final = "closed"
CHARGED: Final = "charged"
TAKEN: Final = "key taken"
REFUSED: Final = "refused"
NOT_OPENED: Final = "not opened"
UNREACHABLE: Final = "unreachable"

_NOTHING: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger says about a run that is planned. The owner's figures, and not noisy.

    Attributes:
        state: 'enough', 'short', 'closed', 'charged' (under this key), 'key taken' (by other settings), 'refused' (the
            account protects something else), 'not opened' (the ledger has no such account), or 'unreachable'.
        said: why, where it is not 'enough'.
        dataset: the account.
        account: None where it could not be read.
        rho: what the run takes; 0 where it was charged already.
        fits: the epsilon that the rest pays for at the run's delta, or that one release may take of it where that is less;
            None where the account could not be read.
    """

    state: str
    said: str
    dataset: str
    account: AccountView | None
    rho: Fraction
    fits: float | None

    @property
    def accounting(self) -> Accounting:
        """The account's; that of new accounts where it could not be read."""
        return Accounting.GAUSSIAN if self.account is None else self.account.accounting

    @property
    def is_refused(self) -> bool:
        """Whether the run would not begin."""
        return self.state in (SHORT, CLOSED, TAKEN, REFUSED)

    @property
    def left_after(self) -> Fraction | None:
        """The rho that is left when the run has been charged; None where it cannot be."""
        if self.account is None or self.is_refused:
            return None
        return self.account.remaining_rho - self.rho

    @property
    def epsilon_after(self) -> float | None:
        """The epsilon that one more run may then ask for, at the account's delta."""
        left = self.left_after
        if left is None or self.account is None:
            return None
        return affordable_epsilon(left, self.account.delta, self.account.accounting)

    @property
    def runs_after(self) -> int | None:
        """How many more runs that cost the same could follow."""
        return None if self.left_after is None or not self.rho else int(self.left_after / self.rho)

    def facts(self) -> dict[str, Any]:
        """Returns it JSON-able."""
        account, after = self.account, self.left_after
        return {
            "dataset": self.dataset,
            "state": self.state,
            "message": self.said,
            "epsilon": None if account is None else account.epsilon,
            "delta": None if account is None else account.delta,
            "rho": None if account is None else float(account.rho),
            "accounting": None if account is None else account.accounting.value,
            "left_rho_before": None if account is None else float(account.remaining_rho),
            "left_epsilon_before": None if account is None else account.remaining_epsilon,
            "left_rho_after": None if after is None else float(after),
            "left_epsilon_after": self.epsilon_after,
            "more_runs_like_this": self.runs_after,
            "epsilon_that_fits": self.fits,
        }


def standing_of(config: RunConfig) -> Standing:
    """Asks the ledger about a run; fails never, and reserves nothing."""
    privacy = config.privacy
    try:
        ledger = Ledger.connect(privacy.ledger_url())
        account = ledger.show(privacy.dataset)
        run = next((run for run in ledger.history(privacy.dataset) if run.key == config.run.key), None)
    except SparkDPError as error:
        missing = isinstance(error, LedgerError) and error.field == "privacy.dataset"
        return _unknown(config, NOT_OPENED if missing else UNREACHABLE, error.message)
    state, said = _judged(config, account, run)
    return Standing(
        state=state,
        said=said,
        dataset=privacy.dataset,
        account=account,
        rho=Fraction(0) if state == CHARGED else privacy.budget.rho_in(account.accounting),
        fits=affordable_epsilon(
            _payable(account),
            delta_left(privacy.budget.delta, privacy.budget.thresholds),
            account.accounting,
        ),
    )


def affordable_epsilon(rho: Fraction, delta: float, accounting: Accounting) -> float:
    """Returns an epsilon of at most four digits that `rho` pays for at this delta, and little less than the largest."""
    if rho <= 0:
        return 0.0
    epsilon = accounting.epsilon(rho, delta)
    if epsilon < _NOTHING:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(epsilon)) - 3)
    steps = math.floor(epsilon / unit * (1 + 1e-8))
    while steps > 0 and accounting.rho(round_to(steps, unit), delta) > rho:
        steps -= 1
    return round_to(steps, unit)


def round_to(steps: int, unit: float) -> float:
    """Returns steps * unit as the float that is written with the fewest digits."""
    return float(f"{steps * unit:.4g}")


def _judged(config: RunConfig, account: AccountView, run: RunView | None) -> tuple[str, str]:
    privacy, budget, key = config.privacy, config.privacy.budget, config.run.key
    if account.unit != privacy.unit.label or account.neighbours is not privacy.neighbours:
        return REFUSED, (
            f"The account protects {account.unit} (neighbours: {account.neighbours}), and this run protects "
            f"{privacy.unit.label} (neighbours: {privacy.neighbours}): it would be refused. Charge another account."
        )
    if run is not None and run.status != "voided":
        if (run.epsilon, run.delta) != (float(budget.epsilon), float(budget.delta)):
            return TAKEN, (
                f"Key {key!r} was charged with (ε, δ) = {pair(run.epsilon, run.delta)}: this run would be refused under "
                "it. Choose another run.key, or restore that ε and δ."
            )
        return CHARGED, (
            f"Key {key!r} was charged already: with the same settings and input it resumes and costs nothing again; "
            "with others it would be refused."
        )
    if account.status == "closed":
        return CLOSED, "The account is closed: a new run would be refused."
    if budget.rho_in(account.accounting) > _payable(account):
        return SHORT, _short(account, config)
    if budget.thresholds > _payable_delta(account):
        return SHORT, _short_of_delta(account, budget.thresholds)
    return ENOUGH, ""


def _payable(account: AccountView) -> Fraction:
    """Returns the rho that one run may take: what is left, and no more than the share of a release."""
    left, share = account.remaining_rho, account.release_rho
    return left if share is None else min(left, share)


def _payable_delta(account: AccountView) -> Fraction:
    """Returns the delta of thresholds that one run may take."""
    left = account.thresholds - account.spent_thresholds
    return left if account.releases is None else min(left, account.thresholds / account.releases)


def _short(account: AccountView, config: RunConfig) -> str:
    budget, payable = config.privacy.budget, _payable(account)
    beside = delta_left(budget.delta, budget.thresholds)
    fits = affordable_epsilon(payable, beside, account.accounting)
    advice = (
        f"privacy.epsilon: {fits:g} would fit at this δ." if fits else "Nothing is left for a run of any ε."
    )
    asked = (
        f"the run asks for ρ = {float(budget.rho_in(account.accounting)):.4g}, and ρ = {float(payable):.4g}"
    )
    if payable < account.remaining_rho:
        return f"The account is for {account.releases} releases: {asked} is the share of one. {advice}"
    return f"The account has too little left: {asked} is left. {advice}"


def _short_of_delta(account: AccountView, asked: Fraction) -> str:
    if not account.thresholds:
        return (
            f"The run learns private values at δ = {at_least(float(asked), 3)}, and the account was opened without a part "
            "of its δ for them (ledger open --thresholds-delta): it would be refused. Declare the values, or charge an "
            "account that has one."
        )
    return (
        f"The run learns private values at δ = {at_least(float(asked), 3)}, and the account has "
        f"{at_most(float(_payable_delta(account)), 3)} for those of one run: it would be refused. "
        "Lower the δ of private values, or declare the values."
    )


def _unknown(config: RunConfig, state: str, said: str) -> Standing:
    return Standing(
        state=state,
        said=said,
        dataset=config.privacy.dataset,
        account=None,
        rho=config.privacy.budget.rho_in(Accounting.GAUSSIAN),
        fits=None,
    )
