"""From a choice of runs to a registered version with an alias, if the gate lets it through, and what is said of it.

A refusal leaves the registry as it was. Of two at once, the second is compared with what the first has promoted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.config.objective import VALID_LOSS
from harness.config.schema import GateConfig, TrackingConfig
from harness.console.interrupt import requests_collected
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.releasing.checks.verdict import CheckKind, Verdict
from harness.releasing.choice import Choice, Chosen, choose
from harness.releasing.gate.contenders import Challenger, Champion, champion_of
from harness.releasing.gate.decision import Gate, against
from harness.releasing.gate.page import page, tags, word
from harness.releasing.strangers import stranger, taken_in
from harness.tracking import queries
from harness.tracking.luck import TEST, luck_of
from harness.tracking.moves import Move, MovedBy, forget_move, keep_move, moved
from harness.tracking.registry import (
    Version,
    alias_version,
    check_alias,
    check_name,
    check_version,
    one_promotion,
    register,
    set_alias,
)
from harness.tracking.store import Store, open_store


class NotPromotedError(HarnessError):
    """The registry is as it was. The message has every reason."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which a checkpoint is promoted. `force`: a person's reason to promote what the gate refuses."""

    gate: GateConfig
    force: str | None = None

    def __post_init__(self) -> None:
        if self.force is not None and not self.force.strip():
            raise HarnessError('--force needs a reason, which is kept with the version; say --force "why"')


def promote(tracking: TrackingConfig, choice: Choice, terms: Terms, *, name: str | None, alias: str) -> None:
    """Register the best checkpoint of the choice and point the alias at it, if the gate lets it through.

    Raises:
        NotPromotedError: with all reasons.
        HarnessError: when there is nothing to choose from.
    """
    check_alias(alias)
    store = open_store(tracking)
    challenger, name = _challenger(store, choice, name)
    gate = Gate(store, challenger, terms.gate, Display())
    checked: list[Verdict] = []
    while True:
        champion = champion_of(store, name, alias)
        if champion.model_id == challenger.checkpoint.model_id:
            print(f"{challenger.said} is {champion.reference} already; {champion.stays}")
            return
        compared = _said(gate.compare(champion))
        checked = checked or [each for check in gate.check() for each in _said([check])]
        verdicts = [*compared, *checked]
        if terms.force is None and (reasons := against(verdicts)):
            raise _refused(reasons, champion)
        if _promoted(store, challenger, champion, terms, verdicts):
            return
        print(f"{champion.reference} has moved meanwhile; compared again")


def _challenger(store: Store, choice: Choice, name: str | None) -> tuple[Challenger, str]:
    """And the registered model's name."""
    if choice.adapter is not None:
        if name is None:
            raise HarnessError("--adapter needs --name, the registered model that it becomes a version of")
        check_name(name)
        return stranger(store, choice.only_adapter()), name
    chosen = choose(store, choice)
    name = name or chosen.experiment
    check_name(name)
    _say_choice(store, chosen)
    return Challenger(checkpoint=chosen.best[0], among=chosen.among, by=chosen.by), name


def roll_to(tracking: TrackingConfig, choice: Choice, *, name: str | None, alias: str, version: int) -> None:
    """Point the alias at a version that is there already. No gate is asked; the move is kept."""
    if name is None:
        raise HarnessError("--version needs --name, the registered model whose version it is")
    if choice.given:
        raise HarnessError(f"--version names what to promote; leave out {' and '.join(choice.given)}")
    check_alias(alias)
    store = open_store(tracking)
    with one_promotion(store), requests_collected():
        before = alias_version(store, name, alias)
        why = f"--version {version}"
        _point(store, name, version, moved(alias, before=before, by=MovedBy.ROLL_BACK, why=why))
    _say_alias(name, alias, version, before)


def _said(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """A line each, as they come."""
    for each in verdicts:
        print(f"{each.check}: {word(each)}: {each.said}", flush=True)
    return verdicts


def _refused(reasons: Sequence[Verdict], champion: Champion) -> NotPromotedError:
    every = "; ".join(f"{each.check}: {each.said}" for each in reasons)
    return NotPromotedError(f'not promoted: {every}; {champion.stays} (--force "reason" promotes it all the same)')


def _promoted(
    store: Store, challenger: Challenger, champion: Champion, terms: Terms, verdicts: Sequence[Verdict]
) -> bool:
    """False where the champion is another than the one that was compared with; else all is written, or nothing."""
    name = champion.name
    forced = terms.force if against(verdicts) else None
    by, why = (MovedBy.GATE, _why(verdicts)) if forced is None else (MovedBy.FORCE, forced)
    move = moved(champion.alias, before=champion.number, by=by, why=why)
    own = {"gate": "passed" if forced is None else f"forced: {forced}", "promoted_by": move.who, "promoted_at": move.at}
    with one_promotion(store), requests_collected():
        if alias_version(store, name, champion.alias) != champion.number:
            return False
        point = taken_in(store, challenger, name)
        version = register(
            store, point, name, tags=tags(verdicts) | own, page=page(_head(challenger, champion, move), verdicts)
        )
        _point(store, name, version.number, move)
    _say_version(challenger, version)
    _say_alias(name, champion.alias, version.number, champion.number)
    return True


def _head(challenger: Challenger, champion: Champion, move: Move) -> str:
    """Of a version's page."""
    point = challenger.checkpoint
    how = f"forced, “{move.why}”" if move.by is MovedBy.FORCE else "passed the gate"
    score = f", {point.metric} {point.value:.4f}" if point.metric else ""
    of = challenger.said
    return f"{of[0].upper()}{of[1:]}{score}, against {champion.said}: {how}, {move.at[:16]} UTC, by {move.who}."


def _why(verdicts: Sequence[Verdict]) -> str:
    """Of a promotion by the gate: what it was better by."""
    return "; ".join(each.said for each in verdicts if each.check in (CheckKind.COMPARISON, CheckKind.JUDGED))


def _point(store: Store, name: str, number: int, move: Move) -> None:
    """Move the alias there and write that down, or neither. What does not move is no move."""
    check_version(store, name, number)
    if move.before == number:
        return
    key = keep_move(store, name, replace(move, to=number))
    try:
        set_alias(store, name, move.alias, number)
    except BaseException:
        forget_move(store, name, key)
        raise


def _say_choice(store: Store, chosen: Chosen) -> None:
    best = chosen.best[0]
    if chosen.elsewhere:
        print(f"{chosen.elsewhere} checkpoints scored on other data are left out: not comparable")
    print(f"best of {len(chosen.best)} checkpoints in {chosen.where}: {chosen.by.label} {best.value:.4f}")
    if chosen.by == VALID_LOSS:
        _say_what_is_left(store, [point.run_id for point in chosen.best])


def _say_what_is_left(store: Store, run_ids: list[str]) -> None:
    """Of a loss that was chosen: the best's run stands first."""
    luck = luck_of(store, list(dict.fromkeys(run_ids)))
    if luck is not None:
        print(luck.said)
        if others := len(luck.alike - {run_ids[0]}):
            print(f"{others} other run{'s' if others > 1 else ''} may be as good: the validation rows do not tell")
    tested = queries.get(store, run_ids[0]).metrics.get(TEST)
    if tested is not None:
        print(f"on the test split: {tested:.4f}")


def _say_version(challenger: Challenger, version: Version) -> None:
    verb = "registered as" if version.new else "is already"
    print(f"{challenger.said} {verb} {version.name} version {version.number}")


def _say_alias(name: str, alias: str, number: int, before: int | None) -> None:
    if before == number:
        print(f"models:/{name}@{alias} was version {number} already")
        return
    print(f"models:/{name}@{alias} is now version {number}")
    if before is not None:
        print(f"it was version {before}; back with: python -m harness.promote --name {name} --version {before}")
