"""What the runs of one process share: the tracking store, the display, and what was last used.

Knows nothing of a single run: what one starts from is in inputs.py.
"""

import threading
from collections.abc import Hashable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.checks import check_values
from harness.config.schema import Config, ModelConfig, TrackingConfig
from harness.console.progress import Display
from harness.data.dataset import Split
from harness.errors import HarnessError
from harness.machine import blas
from harness.machine.group import ALONE, Group
from harness.models.base import Base, open_base
from harness.models.digests import Stamp
from harness.models.reading import read_split
from harness.run.followers import Followers
from harness.tuning.trunk_cache import Trunks

if TYPE_CHECKING:  # MLflow takes seconds to import: see open_session
    from harness.tracking.store import Store


class Session:
    """The store, the display, the base and tokenized splits last used, and what was found out about that base.

    `trunks`: what the frozen blocks made of the splits; `disagreements`: how steps that leave things out compared with
    whole ones, None where they agreed (see shortcuts.py); `followers`: the other processes, which train with this one.
    A run changes none of it.
    """

    def __init__(
        self,
        store: "Store | Future[Store]",
        display: Display,
        trunks: Trunks | None = None,
        followers: Followers | None = None,
    ) -> None:
        self._store = store
        self.followers = followers or Followers(ALONE)
        self.display = display
        self.trunks = Trunks() if trunks is None else trunks
        self.disagreements: dict[Hashable, str | None] = {}
        self._warned: set[str] = set()
        self._config: ModelConfig | None = None
        self._base: Base | None = None
        self._splits: dict[Hashable, Split] = {}

    @property
    def group(self) -> Group:
        """This process and those that train with it."""
        return self.followers.group

    @property
    def store(self) -> "Store":
        """Waits for one that is being opened.

        Raises:
            HarnessError: when it cannot be.
        """
        return self._store.result() if isinstance(self._store, Future) else self._store

    def prepare(self, config: Config) -> None:
        """Read base and lines, which need no store.

        Raises:
            HarnessError: for values, a base or a line that cannot work.
        """
        check_values(config)
        self.base(config.model)
        for name in ("train", "valid"):
            self.split(config, name)

    def warn_once(self, line: str) -> None:
        """Say a warning, once for all runs of the session."""
        if line not in self._warned:
            self._warned.add(line)
            self.display.say(f"warning: {line}")

    def base(self, config: ModelConfig) -> Base:
        if self._base is None or config != self._config:
            self._base = None  # let the former go before the next is loaded
            self._splits.clear()
            self._base, self._config = open_base(config, self.display), config
        return self._base

    def split(self, config: Config, name: str) -> Split:
        """`name`.jsonl tokenized for the base of `config`, again only when the file is another one.

        Raises:
            HarnessError: for the first line that cannot work.
        """
        base, folder = self.base(config.model), Path(config.data.path).expanduser()
        if not folder.is_dir():
            raise HarnessError(
                f"data.path={folder} must be a folder with train.jsonl and valid.jsonl, but there is none"
            )
        file = folder / f"{name}.jsonl"
        written = Stamp.of(file) if file.exists() else None
        reading = (config.data.labels, config.train.max_seq_length, config.train.mask_prompt, config.data.thinking)
        key = (file.resolve(), written, repr(reading))
        if key not in self._splits:
            self._splits[key] = read_split(config, name, base)
        return self._splits[key]


def open_session(tracking: TrackingConfig, display: Display, followers: Followers | None = None) -> Session:
    """The session of a command whose process does nothing else: it says what MLX computes with.

    MLflow is imported, and the store opened for writing, by a thread; `store` waits for it, and so does the import of
    any module that needs MLflow.
    """
    opened: Future[Store] = Future()

    def work() -> None:
        try:
            from harness.tracking.store import open_writable_store

            opened.set_result(open_writable_store(tracking))
        except BaseException as error:
            opened.set_exception(error)

    threading.Thread(target=work, name="opening the store").start()  # no daemon: ended in an import, one may abort
    display.say(blas.load().words)
    return Session(opened, display, followers=followers)
