"""What a command answers: one value, shown as JSON or as text and tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

GATE_SAID_NO = 3  # the exit code of a command whose answer is that the gate let nothing through


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table for people: a title, column names and rows of texts."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of a command: `value` for machines, `lines` and `tables` for people, the exit code."""

    value: Mapping[str, Any]
    lines: Sequence[str] = ()
    tables: Sequence[Table] = field(default=())
    after: Sequence[str] = ()
    exit_code: int = 0


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer on standard output."""
    if as_json:
        click.echo(json.dumps(answer.value, indent=2, default=str, ensure_ascii=False))
        return
    for line in answer.lines:
        click.echo(line)
    for table in answer.tables:
        _show_table(table)
    for line in answer.after:
        click.echo(line)


def _show_table(table: Table) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    drawn = RichTable(title=escape(table.title), title_justify="left")
    for name in table.columns:
        drawn.add_column(escape(name))
    for row in table.rows:
        drawn.add_row(*(escape(cell) for cell in row))
    console.print(drawn)
