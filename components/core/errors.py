"""The one tree of errors that Detent raises on purpose.

    DetentError
    ├── ConfigError        (ValueError)         a parameter, option or file of settings is wrong
    ├── SourceError        (ValueError)         a folder, table or address of input cannot be used
    ├── DataError          (ValueError)         rows or tables break a contract (schema, ids, NaN)
    │   └── LeakError                           the same content stands in two splits
    ├── IntegrityError     (ValueError)         a digest does not match what was recorded
    ├── StateError         (RuntimeError)       the workspace or a store is not in a state that allows this
    │   └── ConflictError                       somebody else moved it first
    ├── RefusedError       (PermissionError)    this actor may not do this
    ├── StorageError       (OSError)            a disk is full or a target cannot be written
    └── UnavailableError   (RuntimeError)       an optional engine, port or package is missing

A message says what is wrong, what was found, what is allowed and what to do next. A model that the gate
refuses is a Decision, not an error. The command line maps these to exit code 2 (1 for the last four).
"""

from __future__ import annotations


class DetentError(Exception):
    """Base of every error that Detent raises on purpose; its text is meant for the user."""

    exit_code = 2


class ConfigError(DetentError, ValueError):
    """A parameter, an option or a settings file is wrong."""


class SourceError(DetentError, ValueError):
    """A folder, table or address named as input cannot be used."""


class DataError(DetentError, ValueError):
    """Rows or tables break a contract: schema, ids, values."""


class LeakError(DataError):
    """The same content, or content derived from it, stands in two splits."""


class IntegrityError(DetentError, ValueError):
    """Content does not have the digest that was recorded for it."""


class StateError(DetentError, RuntimeError):
    """The workspace or a store is not in a state that allows the request."""

    exit_code = 1


class ConflictError(StateError):
    """Another actor changed the state first; look again, then decide again."""


class RefusedError(DetentError, PermissionError):
    """The actor's role does not allow the request."""

    exit_code = 1


class StorageError(DetentError, OSError):
    """A disk is full or a target cannot be written."""

    exit_code = 1


class UnavailableError(DetentError, RuntimeError):
    """An optional engine, a port, a package or a service is not there."""

    exit_code = 1
