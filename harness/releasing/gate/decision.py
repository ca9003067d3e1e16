"""All that is asked of a challenger, one verdict after the other, so that all reasons against it are said at once.

Where the objective is a judge's win rate, that decides and the loss is only said; else the loss decides, and by the
judge it must not be worse.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from harness.config.objective import WIN_RATE
from harness.config.schema import GateConfig, ModelConfig
from harness.console.progress import Display
from harness.errors import HarnessError, reason
from harness.models.adapter_files import AdapterFiles
from harness.models.base import Base, open_base
from harness.releasing.checks.agreement import check_agreement
from harness.releasing.checks.completeness import check_completeness
from harness.releasing.checks.extraction import check_extraction
from harness.releasing.checks.forgetting import check_forgetting
from harness.releasing.checks.lineage import check_lineage
from harness.releasing.checks.memory import check_memory
from harness.releasing.checks.subject import Subject
from harness.releasing.checks.verdict import CheckKind, Verdict, not_run
from harness.releasing.gate.better import LOSS, WINS, better, no_worse, only_said
from harness.releasing.gate.contenders import Challenger, Champion
from harness.releasing.gate.judged import compare_judged
from harness.releasing.gate.losses import compare_losses
from harness.releasing.measured import config_beside
from harness.tracking.ancestry import Ancestry, ancestry_of
from harness.tracking.checkpoints import DIGEST
from harness.tracking.store import Store


class Gate:
    """What a checkpoint is asked before it goes into use. Its checks are made once, the comparison with each champion.

    An incomplete adapter is asked nothing else.
    """

    def __init__(self, store: Store, challenger: Challenger, settings: GateConfig, display: Display) -> None:
        self._store, self._challenger, self._settings, self._display = store, challenger, settings, display

    def compare(self, champion: Champion) -> list[Verdict]:
        """Better than that by more than the noise."""
        if not self._complete.passed:
            return []
        return list(self._compared(champion, self._subject))

    def check(self) -> Iterator[Verdict]:
        """What it must be by itself."""
        yield self._complete
        if not self._complete.passed:
            return
        subject, settings = self._subject, self._settings
        checks: dict[CheckKind, Callable[[], Verdict]] = {
            CheckKind.LINEAGE: lambda: check_lineage(subject),
            CheckKind.AGREEMENT: lambda: check_agreement(subject, settings.agreement),
            CheckKind.FORGETTING: lambda: check_forgetting(subject, settings.forgetting),
            CheckKind.MEMORY: lambda: check_memory(subject, settings.memory),
            CheckKind.EXTRACTION: lambda: check_extraction(subject, settings.extraction),
        }
        for kind, check in checks.items():
            self._display.say(f"checking {kind}")
            try:
                yield check()
            except HarnessError as error:
                yield not_run(kind, reason(error))

    def _compared(self, champion: Champion, subject: Subject) -> Iterator[Verdict]:
        than, settings = champion.said, self._settings
        try:
            judged = compare_judged(self._store, self._challenger, champion, subject)
            decides = judged is not None and self._challenger.by.name == WIN_RATE.name
            loss = compare_losses(self._store, self._challenger, champion, subject)
        except HarnessError as error:
            yield not_run(CheckKind.COMPARISON, reason(error))
            return
        verdict = (only_said if decides else better)(loss, settings, LOSS, than=than)
        if judged is None and self._challenger.by.name == WIN_RATE.name:
            verdict = replace(verdict, said=f"{verdict.said}; the loss decides, for a judge did not see both alike")
        yield verdict
        if judged is not None:
            yield (better if decides else no_worse)(judged, settings, WINS, than=than)

    @cached_property
    def _adapter(self) -> AdapterFiles:
        return self._challenger.files(self._store)

    @cached_property
    def _complete(self) -> Verdict:
        logged = self._challenger.checkpoint.tags.get(DIGEST)
        return check_completeness(lambda: self._adapter, lambda adapter: self._base, logged=logged)

    @cached_property
    def _subject(self) -> Subject:
        """Of one that is complete."""
        ancestry = _known(self._store, self._challenger.checkpoint.run_id)
        return Subject(base=self._base, adapter=self._adapter, ancestry=ancestry, display=self._display)

    @cached_property
    def _base(self) -> Base:
        adapter = self._adapter
        config = config_beside(adapter)
        given = None if config is None else config.model
        if given is None or (given.path != adapter.spec.base and adapter.spec.base is not None):
            given = ModelConfig(path=adapter.spec.base, revision=None, template_args=adapter.spec.template_args or None)
        return open_base(given, self._display, setting=f"the base of {adapter.source}")


def _known(store: Store, run_id: str) -> Ancestry | None:
    try:
        return ancestry_of(store, run_id)
    except HarnessError:
        return None


def against(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that keep it out. A run without themes writes nothing to look at: then extraction speaks for memory."""
    extraction = any(each.check is CheckKind.EXTRACTION and each.passed for each in verdicts)
    return [
        each
        for each in verdicts
        if not each.passed and not (each.check is CheckKind.MEMORY and each.not_run and extraction)
    ]
