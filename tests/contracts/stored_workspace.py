"""Packs a workspace with its home into an archive that can be opened anywhere, and unpacks it again.

`PYTHONPATH=. .venv/bin/python -m tests.contracts.stored_workspace FOLDER ARCHIVE` packs what small_release.py has made
below FOLDER. What is made again when it is missing stays out: caches, DVC's cache, Prefect's database, the code.
MLflow's store names its artefacts by absolute addresses; in the archive they begin with a word that `unpack`
replaces by the folder unpacked into.
"""

import shutil
import sqlite3
import sys
import tarfile
import tempfile
from pathlib import Path

ARCHIVE = Path(__file__).with_name("workspace-31040d2.tar.gz")
PLACE = "/DETENT-STORED"
KEPT = {
    "workspace": ("params.yaml", "dvc.yaml", "dvc.lock", ".dvcignore", ".dvc/config", "data"),
    "home": ("journal.db", "journal.head.json", "mlflow", "bentoml", "deployments", "recordings", "reports"),
}
LEFT_OUT = shutil.ignore_patterns("*.lock", "__pycache__", ".release.lock", "tmp")


def unpack(into: Path, archive: Path = ARCHIVE) -> Path:
    """Unpack the archive's `workspace` and `home` into a folder, and let MLflow's addresses lead there."""
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    move_addresses(into / "home" / "mlflow" / "mlflow.db", PLACE, str(into.resolve()))
    return into


def pack(folder: Path, archive: Path = ARCHIVE) -> None:
    """Pack what is to be kept of `folder`; nothing there is changed."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for part, names in KEPT.items():
            for name in names:
                keep(folder / part / name, copy / part / name)
        store = copy / "home" / "mlflow" / "mlflow.db"
        move_addresses(store, str(folder.resolve()), PLACE)
        move_addresses(store, str(Path.cwd()), PLACE)  # MLflow makes a default experiment of its own there
        with tarfile.open(archive, "w:gz", compresslevel=9) as tar:
            for path in sorted(copy.rglob("*")):
                tar.add(path, path.relative_to(copy).as_posix(), recursive=False, filter=anonymous)


def keep(source: Path, target: Path) -> None:
    """Copy a file, or a folder's files; a database as a whole, with what still stands in its log."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=LEFT_OUT)
        for database in source.rglob("*.db"):
            keep(database, target / database.relative_to(source))
    elif source.suffix == ".db":
        target.unlink(missing_ok=True)
        with sqlite3.connect(source) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
        for log in target.parent.glob(f"{target.name}-*"):
            log.unlink()
    else:
        shutil.copyfile(source, target)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member without its owner and time."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def move_addresses(database: Path, old: str, new: str) -> None:
    """Replace the beginning of every path in every text of a database."""
    with sqlite3.connect(database) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info('{table}')").fetchall():
                if kind.upper().startswith(("VARCHAR", "TEXT")):
                    connection.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE "{column}" LIKE ?',
                        (old, new, f"%{old}%"),
                    )
    with sqlite3.connect(database) as connection:
        connection.execute("VACUUM")


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
