"""The errors that supplyguard raises on purpose.

Everything that a caller may want to catch is a `SupplyguardError`; anything else that
escapes is a bug.
"""

from __future__ import annotations


class SupplyguardError(Exception):
    """An expected failure: what went wrong, and (as `hint`) what the user can do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SupplyguardError):
    """The command line or an API call asks for something that cannot be done."""


class ConfigError(SupplyguardError):
    """A configuration file or value is wrong; the message names the path to the bad key."""


class RuleError(SupplyguardError):
    """A rule, knowledge or advisory data file does not follow its format."""


class OutputError(SupplyguardError):
    """A report could not be written."""


class FetchError(SupplyguardError):
    """A network resource could not be had."""


class StoreError(SupplyguardError):
    """The local advisory store is damaged, locked or of another version."""


class UnreadableError(SupplyguardError):
    """A file cannot be opened or read."""


class MalformedError(SupplyguardError):
    """A file breaks its own format; `offset` is where, in bytes from the member's start."""

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class UnsupportedError(SupplyguardError):
    """A file is well formed but needs something (a codec, a version) that is not here."""


class BudgetExceededError(SupplyguardError):
    """A limit of the Budget was reached; `resource` names the field of `Limits`."""

    def __init__(self, resource: str, limit: float) -> None:
        super().__init__(f"limit reached: {resource.replace('_', ' ')} (at most {limit:,})")
        self.resource = resource
        self.limit = limit
