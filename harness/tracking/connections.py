"""Connections to a database are closed when the process ends: an open one leaves its log beside a SQLite database.

Python would do it while it looks for garbage at the end, which takes a second and which commands spare themselves.
"""

import atexit
from functools import cache
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event


@cache  # once for the process
def close_connections_at_exit() -> None:
    """Of all engines that connect from now on, whoever made them. Not those that a thread still uses then."""
    engines: WeakSet[Engine] = WeakSet()

    def remember(connection: Connection) -> None:
        engines.add(connection.engine)

    def close() -> None:
        for engine in list(engines):
            engine.dispose()

    event.listen(Engine, "engine_connect", remember)
    atexit.register(close)
