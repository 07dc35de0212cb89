"""The PostgreSQL to test with: its address, and a schema that is dropped afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

POSTGRES = "DETENT_TEST_POSTGRES"
DEFAULT_POSTGRES = "postgresql+psycopg://root@127.0.0.1:5432/test"


def answers(url: str) -> bool:
    """Whether a PostgreSQL is there."""
    engine = sa.create_engine(url, connect_args={"connect_timeout": 2})
    try:
        engine.connect().close()
    except sa.exc.DBAPIError:
        return False
    finally:
        engine.dispose()
    return True


@contextmanager
def own_schema(url: str, *, options: str = "") -> Iterator[str]:
    """The address of a new schema, which is dropped at the end."""
    schema = f"detent_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    try:
        query = {"options": f"-csearch_path={schema} {options}".strip()}
        yield sa.make_url(url).update_query_dict(query).render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()
