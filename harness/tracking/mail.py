"""The thread that sends a run's journal to MLflow, as long as the run is this process's.

Knows when to send, and when a store does not answer or a run was deleted; not what is sent (see sender.py).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.errors import DeletedError, reason
from harness.tracking.journal import Journal
from harness.tracking.sender import Sender
from harness.tracking.store import Store, was_deleted

_SEND_EVERY_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 10.0  # whether the run was deleted, where nothing is told that would show it
_LONGEST_WAIT_SECONDS = 30.0  # between attempts on a store that does not answer
_PATIENCE_SECONDS = 0.15  # at the end, with nothing sent, before asking whether the store answers


class Mail:
    """The thread that sends one journal. Nothing that goes wrong there reaches who writes it."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store, self._journal = store, journal
        self._wake, self._moved = threading.Event(), threading.Event()
        self._over = False
        self._users = 2  # of the run's lock: the writer and the thread
        self._users_guard = threading.Lock()
        self._failures = 0
        self._looked = time.monotonic()
        self.trouble: str | None = None
        self.deleted = False

    @contextmanager
    def sending(self, lock: ExitStack) -> Iterator[None]:
        """Send inside. The lock is let go when no request is under way any more, which may be after."""

        def work() -> None:
            try:
                self._work()
            finally:
                self._let_go(lock)

        # a daemon: a request that hangs must not keep the process
        thread = threading.Thread(target=work, name=f"tracking {self._journal.folder.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over = True
            self._wake.set()
            thread.join(timeout=_PATIENCE_SECONDS)
            self._let_go(lock)

    def _let_go(self, lock: ExitStack) -> None:
        with self._users_guard:
            self._users -= 1
            if self._users == 0:
                lock.close()

    def drain(self) -> None:
        """Wait until all is sent, an attempt fails, or the store is found not to answer."""
        failures = self._failures
        self._wake.set()
        while self._journal.waiting and self._failures == failures:
            if not self._moved.wait(_PATIENCE_SECONDS) and not self._store.answers():
                return
            self._moved.clear()

    def _work(self) -> None:
        sender, wait = Sender(self._store, self._journal), _SEND_EVERY_SECONDS
        while not self._over:
            asked = self._wake.wait(wait)
            self._wake.clear()
            try:
                while self._journal.waiting:  # also what a request that hung left behind it
                    sender.send_next()
                    self._moved.set()
                if not self._over and (asked or time.monotonic() - self._looked > _LOOK_EVERY_SECONDS):
                    self._look(sender)
                self.trouble, wait = None, _SEND_EVERY_SECONDS
            except DeletedError:
                self.deleted, self.trouble = True, None
                self._moved.set()
            except Exception as error:  # SQLAlchemy's, requests' and MLflow's errors share no base class
                self.trouble, wait = reason(error), min(2 * wait, _LONGEST_WAIT_SECONDS)
                self._failures += 1
                self._moved.set()

    def _look(self, sender: Sender) -> None:
        sender.look()
        begun = self._journal.begun
        parent = None if begun is None else begun["parent"]
        self.deleted = parent is not None and was_deleted(self._store, parent)
        self._looked = time.monotonic()
