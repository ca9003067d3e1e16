"""The one exception that users are meant to read."""


class HarnessError(Exception):
    """Something the user can mend. The message is one line: the rule, the value, the next step."""
