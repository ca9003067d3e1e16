"""A round's steps as the commands that a user would type: module and words. Runs none of them."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.checks import ADAPTER_SHAPE
from harness.config.overrides import as_typed, prepare
from harness.config.schema import Config
from harness.data.sources import reviewed
from harness.errors import HarnessError
from harness.rounds.folder import TESTED_ON, TRAINED_ON
from harness.rounds.source import Champion
from harness.rounds.state import Round, Settings

_REPLACED = ("data.path=", "data.labels=", "train.init_adapter=")  # of the last sweep's words
_SEARCH = "sweep."
_PASSED_ON = ("model.path", "model.revision", "train.max_seq_length", "data.system")


@dataclass(frozen=True, kw_only=True)
class Command:
    """`python -m` and these."""

    module: str
    words: list[str]

    @property
    def typed(self) -> str:
        return shlex.join(["python", "-m", self.module, *self.words])


def check(settings: Settings, champion: Champion) -> None:
    """Whether the next sweep can begin as it is to.

    Raises:
        HarnessError: when a name that it is to vary is none, or its trials cannot all begin with those weights.
    """
    prepare(["-m", *(settings.vary or ())], Config)
    varied = champion.varied if settings.vary is None else {_name(word) for word in settings.vary}
    if settings.from_weights and (found := sorted(ADAPTER_SHAPE & varied)):
        raise HarnessError(
            f"--from-weights needs the champion's own {' and '.join(found)}, but the next sweep is to vary that; "
            "say --vary with other names, such as 'train.learning_rate=1e-5,3e-5', or --from-base"
        )


def generate(current: Round, settings: Settings, champion: Champion) -> Command:
    """The best of the sweep's trials write, unless other adapters are named; a ranking takes two, if of the base."""
    named = any(word.startswith("adapters=") for word in settings.write)
    of = f"sweeps:/{current.sweep}"
    adapters = [] if named else [f"adapters={f'[none,{of}]' if settings.judge and champion.alone else of}"]
    words = [*adapters, *settings.write, f"out={current.samples}", *_store(settings)]
    return Command(module="harness.generate", words=words)


def judge(current: Round, settings: Settings, champion: Champion) -> Command:
    words = [f"samples={current.samples}", f"out={current.ranking}", f"data.path={champion.data}"]
    return Command(module="harness.judge", words=[*words, *settings.judge, *_store(settings)])


def review(current: Round, settings: Settings, *, write: bool = False) -> Command:
    """The page; `write`: only the files of what was decided."""
    ranking = ["--ranking", str(current.ranking)] if settings.judge else []
    uri = [] if settings.tracking_uri is None else ["--tracking-uri", settings.tracking_uri]
    words = [str(current.samples), *ranking, *uri, *(["--write"] if write else [])]
    return Command(module="harness.review", words=words)


def prepare_data(current: Round, settings: Settings, champion: Champion) -> Command:
    """What was kept joins the lines that the champion was trained on, in their form, for its base."""
    words = ["source=reviewed", f"source.path={current.review}", f"source.earlier=[{champion.data}]"]
    words += [f"data.path={current.data}", f"source.format={_form(champion)}"]
    words += [f"{name}={champion.setting(name)}" for name in _PASSED_ON]
    if not (champion.data / TESTED_ON).exists():  # of lines that were trained on, none is to be a test
        words.append("source.test=0")
    return Command(module="harness.prepare", words=[*words, *settings.prepare, *_store(settings)])


def train(current: Round, settings: Settings, champion: Champion) -> Command:
    """The last sweep again, or what is to vary around the champion, on the new lines."""
    words = champion.sweep_words if settings.vary is None else _around(champion, settings.vary)
    words = [word for word in words if word not in ("-m", "--multirun") and not word.startswith(_REPLACED)]
    start = [f"train.init_adapter={champion.reference}"] if settings.from_weights else []
    data = [f"data.path={current.data}", *_labels(champion)]
    return Command(module="harness.train", words=["-m", *words, *data, *start])


def _labels(champion: Champion) -> list[str]:
    """Where only lines of some labels are trained on, those of what was kept too."""
    labels = champion.setting("data.labels")
    if labels == "null":
        return []
    return [f"data.labels=[{','.join(dict.fromkeys([*labels.split(','), *reviewed.LABELS.values()]))}]"]


def _around(champion: Champion, vary: Sequence[str]) -> list[str]:
    """The champion's single values, but for the names that vary; how it is searched as in the last sweep."""
    names = {_name(word) for word in vary}
    words = [word for word in champion.run_words if not _name(word).startswith(_SEARCH)]  # of a worker's own
    words += [word for word in champion.sweep_words if _name(word).startswith(_SEARCH)]
    return [*(word for word in words if _name(word) not in names), *vary]


def _name(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def as_kept(words: Sequence[str]) -> list[str]:
    """The words of a sweep as its study keeps them."""
    return [as_typed(word) for word in prepare(words, Config)]


def _form(champion: Champion) -> str:
    """Of the lines so far: the chat markers written out, or messages.

    Raises:
        HarnessError: when they are gone.
    """
    file = champion.data / TRAINED_ON
    try:
        with file.open(encoding="utf-8") as opened:
            first = json.loads(next(opened))
    except (OSError, ValueError, StopIteration) as error:
        raise HarnessError(
            f"{file}, which the champion was trained on, cannot be read: {error}; put it back"
        ) from error
    return "text" if isinstance(first, dict) and "text" in first else "messages"


def _store(settings: Settings) -> list[str]:
    return [] if settings.tracking_uri is None else [f"tracking.uri={settings.tracking_uri}"]
