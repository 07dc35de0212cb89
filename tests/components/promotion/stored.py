"""A journal as schema 1 left it: two catalogues, a rollback, a rejection, proposals that wait, a signer."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from components.core.files import read_json
from components.promotion.journal import ANCHOR_FILE

FOLDER = Path(__file__).with_name("stored")
ROWS = FOLDER / "version1.rows.json"
PUBLIC_KEYS = {"eve": "481e113f16d3b7cf6894031fb1869f32ffe4fc265de481f0b902dddb0ad7d356"}
NOW = datetime(2026, 11, 3, tzinfo=UTC)  # its proposals have not expired


def restore(url: str, home: Path, *, rows: list[dict[str, object]] | None = None) -> list[dict[str, object]]:
    """Put the stored journal with its anchor where `url` and `home` say; returns its rows."""
    kept: list[dict[str, object]] = rows if rows is not None else json.loads(ROWS.read_text(encoding="utf-8"))
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / "version1.head.json", home / ANCHOR_FILE)
    engine = sa.create_engine(url)
    statements = (FOLDER / f"version1.{engine.dialect.name}.sql").read_text(encoding="utf-8").split(";;")
    names = list(kept[0])
    insert = f"INSERT INTO detent_journal ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.execute(sa.text(insert), kept)
        connection.execute(sa.text("INSERT INTO detent_journal_schema VALUES (1)"))
    engine.dispose()
    assert read_json(home / ANCHOR_FILE)["head"]["sequence"] == len(kept)
    return kept
