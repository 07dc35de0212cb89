"""The command line, `detent`: results on standard output, all else on standard error.

Exit codes: 0 done, 1 something broke, 2 wrong usage or input, 3 the gate said no. Everything here is a
documented Python call too; a command only reads its options, calls, and prints. Imports are lazy, so that
`detent --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import click

from components.core.errors import DetentError
from flows.answers import Answer, show

STAGE_NAMES = ("release", "validation", "synthesis", "training", "selection", "packaging")


class Commands(click.Group):
    """Lists commands in the order of a release's life."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands as they were added."""
        del ctx
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="detent", prog_name="detent")
@click.option("--workspace", type=click.Path(file_okay=False), envvar="DETENT_WORKSPACE", help="Folder of params.yaml.")
@click.option("--home", type=click.Path(file_okay=False), envvar="DETENT_HOME", help="Folder of all state.")
def detent(workspace: str | None, home: str | None) -> None:
    """Release better vision models without breaking what already works."""
    if workspace is not None:
        os.environ["DETENT_WORKSPACE"] = workspace
    if home is not None:
        os.environ["DETENT_HOME"] = home


def set_up_environment() -> None:
    """Telemetry off and homes below DETENT_HOME; Prefect and others read these when a command imports them."""
    from components.core.settings import Settings, prepare_environment

    prepare_environment(Settings())


def answering(command: Callable[..., Answer]) -> Callable[..., None]:
    """Give a command --json, and print the Answer that it returns."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def run(as_json: bool, **options: Any) -> None:
        set_up_environment()
        answer = command(**options)
        show(answer, as_json=as_json)
        if answer.exit_code:
            sys.exit(answer.exit_code)

    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__click_params__ = [*getattr(command, "__click_params__", []), *run.__click_params__]  # type: ignore[attr-defined]
    return run


@detent.command()
@answering
@click.option("--seed", default=0, show_default=True, help="Another seed draws another catalogue and other photos.")
@click.option("--fresh", is_flag=True, help="Throw the demo's earlier state away first.")
def demo(seed: int, fresh: bool) -> Answer:
    """The whole story on the built-in catalogue, in about five minutes."""
    from flows.commands.demo import run_demo

    return run_demo(seed=seed, fresh=fresh)


@detent.command()
@answering
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--workload", required=True, help="What the workspace is for, such as products.")
@click.option("--catalog-name", default="main", show_default=True, help="One champion is kept per workload and name.")
@click.option("--git/--no-git", default=True, help="Set up git too, unless DIR is in a repository already.")
def init(folder: str, workload: str, catalog_name: str, git: bool) -> Answer:
    """Make a workspace in DIR: params.yaml, dvc.yaml, data/, under git and DVC."""
    from flows.commands.init import init_workspace

    return init_workspace(folder, workload=workload, catalog=catalog_name, git=git)


@detent.command()
@answering
@click.argument("stage", type=click.Choice(STAGE_NAMES), default="release")
@click.option("--workload", help="The workload; must be the one of params.yaml.")
@click.option("--catalog", help="One sub-folder a class: product pictures. Folder, CSV, COCO file or s3://.")
@click.option("--photos", help="One sub-folder a class: customers' photos. Folder, CSV, COCO file or s3://.")
@click.option("--backgrounds", help="Any photos without the products. Folder or s3://.")
@click.option("--source", "named", multiple=True, metavar="NAME=ADDRESS", help="Any source of the workload, by name.")
@click.option("--incumbent", help="A model from elsewhere to hold and to beat: .onnx, .pt2, .safetensors, or a folder.")
@click.option("--dry-run", is_flag=True, help="Say what would run and why, and run nothing.")
def run(
    stage: str,
    workload: str | None,
    named: tuple[str, ...],
    incumbent: str | None,
    dry_run: bool,
    **shortcuts: str | None,
) -> Answer:
    """Run the release, or the chain up to one STAGE; what is unchanged is not done again."""
    from flows.commands.run import run_release

    sources = read_sources(named, shortcuts)
    return run_release(stage, workload=workload, sources=sources, incumbent=incumbent, dry_run=dry_run)


def read_sources(named: tuple[str, ...], shortcuts: Mapping[str, str | None]) -> dict[str, str]:
    """The addresses by the sources' names, from --source NAME=ADDRESS and from the options of sources' own."""
    sources = {name: address for name, address in shortcuts.items() if address is not None}
    for text in named:
        name, mark, address = text.partition("=")
        if not (name and mark and address):
            raise click.UsageError(f"--source {text}: say NAME=ADDRESS, for example --source photos=shop/photos")
        if name in sources:
            raise click.UsageError(f"the source {name} is named twice")
        sources[name] = address
    return sources


@detent.command()
@answering
def status() -> Answer:
    """The champion, open proposals, what the last release decided, what a run would do."""
    from flows.commands.status import read_status

    return read_status()


@detent.command()
@answering
@click.argument("old")
@click.argument("new")
@click.option("--ledger", type=click.Path(dir_okay=False), help="Record and charge the look in this ledger.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for decision.json and report.html.")
@click.option("--yes", is_flag=True, help="Spend a look at the workspace's certify split without being asked.")
def compare(old: str, new: str, ledger: str | None, out: str | None, yes: bool) -> Answer:
    """Gate two verdict tables (Parquet or CSV of any tool) or two model versions."""
    from flows.commands.compare import compare_models

    return compare_models(old, new, ledger=ledger, out=out, confirm=None if yes else _ask)


@detent.command()
@answering
def propose() -> Answer:
    """Propose what the last release let through, if a kill came before its proposals."""
    from flows.commands.run import propose_last

    return propose_last()


@detent.command()
@answering
@click.argument("proposal", type=int)
@click.option("--reason", required=True, help="Why; stands in the journal.")
def approve(proposal: int, reason: str) -> Answer:
    """Approve a proposal; the last approval that the policy asks for promotes it."""
    from flows.commands.decide import approve_proposal

    return approve_proposal(proposal, reason=reason)


@detent.command()
@answering
@click.argument("proposal", type=int)
@click.option("--reason", required=True, help="Why; stands in the journal.")
def reject(proposal: int, reason: str) -> Answer:
    """Close a proposal without promoting it."""
    from flows.commands.decide import reject_proposal

    return reject_proposal(proposal, reason=reason)


@detent.command()
@answering
@click.argument("proposal", type=int)
def promote(proposal: int) -> Answer:
    """Promote an approved proposal, or finish a promotion that was interrupted."""
    from flows.commands.decide import promote_proposal

    return promote_proposal(proposal)


@detent.command()
@answering
@click.option("--reason", required=True, help="What went wrong; stands in the journal.")
@click.option("--to", type=int, help="Row of the champion to go back to; default: the one before.")
@click.option("--expected", type=int, help="Row of the champion that you mean to leave; refused if it moved.")
@click.option("--target", default="", help="Roll back this target's own champion instead of the main one.")
@click.option("--sample", "samples", multiple=True, help="Sample that broke; offered for the replay set.")
def rollback(reason: str, to: int | None, expected: int | None, target: str, samples: tuple[str, ...]) -> Answer:
    """Go back to an earlier champion, once its Bento is verified again."""
    from flows.commands.decide import roll_back

    return roll_back(reason=reason, target=target, to=to, expected=expected, samples=samples)


@detent.command()
@answering
@click.argument("samples", nargs=-1)
@click.option("--label", help="What is on the image; needed for files.")
@click.option("--reason", default="", help="Why it must stay right; needed to add samples.")
@click.option("--burned", is_flag=True, help="Add what an open look showed of the certify split.")
def replay(samples: tuple[str, ...], label: str | None, reason: str, burned: bool) -> Answer:
    """Show the incidents that must stay right; with SAMPLES (ids or image files), add those."""
    from flows.commands.review import add_to_replay, pin_burned, show_replay

    if burned:
        return pin_burned(reason=reason)
    return add_to_replay(samples, reason=reason, label=label) if samples else show_replay()


@detent.command()
@answering
@click.option("--reason", required=True, help="Why now; stands on record.")
@click.option(
    "--to",
    type=click.Choice(["train", "replay"]),
    default="train",
    show_default=True,
    help="What the old split becomes: trained on, or left out.",
)
@click.option("--photos", help="All photos, with new ones that no run has dealt out. Folder, CSV, COCO file or s3://.")
@click.option("--if-worn", is_flag=True, help="Only if the next look would seldom promote even a good candidate.")
def refresh(reason: str, to: Literal["train", "replay"], photos: str | None, if_worn: bool) -> Answer:
    """Retire the certify split, and make a new one of photos that no split has held."""
    from flows.commands.refresh import refresh_split

    return refresh_split(reason=reason, to=to, photos=photos, if_worn=if_worn)


@detent.command()
@answering
@click.argument("sample")
@click.option("--reason", required=True, help="Why the label is wrong.")
@click.option("--undo", is_flag=True, help="Take an earlier mark back.")
def mark(sample: str, reason: str, undo: bool) -> Answer:
    """Put on record that a search or replay SAMPLE is wrongly labelled."""
    from flows.commands.review import mark_label

    return mark_label(sample, reason=reason, undo=undo)


@detent.command()
@answering
@click.option("--verdicts", type=click.Path(dir_okay=False), help="A verdict table; default: the last release's.")
@click.option("--manifest", type=click.Path(file_okay=False), help="The manifest of its samples, with factors (f_*).")
@click.option("--against", help="An old verdict table, or `champion`: look for negative flips.")
@click.option("--share", default=0.5, show_default=True, help="Share of all images that the aims take together.")
@click.option("--write", is_flag=True, help="Put the aims into params.yaml.")
def aim(verdicts: str | None, manifest: str | None, against: str | None, share: float, write: bool) -> Answer:
    """Find which classes and factors hold the errors, and make more images there."""
    from flows.commands.aim import aim_synthesis

    return aim_synthesis(verdicts=verdicts, manifest=manifest, against=against, share=share, write=write)


@detent.command()
@answering
@click.argument("sample")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the image to this file.")
@click.option("--manifest", type=click.Path(file_okay=False), help="Where SAMPLE is; default: data/synthesis.")
def remake(sample: str, out: str | None, manifest: str | None) -> Answer:
    """Make synthetic SAMPLE again, bit for bit, from its row; says what changed where that cannot be."""
    from flows.commands.images import remake_sample

    return remake_sample(sample, out=out, folder=manifest)


@detent.command()
@answering
@click.argument("digest")
def revoke(digest: str) -> Answer:
    """List every dataset and model that an asset or photo has touched; DIGEST is its sample id or sha256."""
    from flows.commands.images import revoke_asset

    return revoke_asset(digest)


@detent.command()
@answering
@click.option("--limit", type=int, default=50, show_default=True, help="The last rows to show.")
@click.option("--kind", help="Only rows of this kind: proposed, approved, promoted, ...; look, answer, split.")
@click.option("--target", help="Only rows of this target.")
def history(limit: int, kind: str | None, target: str | None) -> Answer:
    """The journal: who let which model through, when and why."""
    from flows.commands.decide import show_history

    return show_history(limit=limit, kind=kind, target=target)


@detent.command()
@answering
def reconcile() -> Answer:
    """Bring every mirror in line with the journal and end what killed processes left running."""
    from flows.commands.decide import reconcile_stores

    return reconcile_stores()


@detent.command()
@answering
@click.option("--adopt-head", is_flag=True, help="As an auditor: take the present head for the anchored one.")
@click.option("--reason", default="", help="Why; needed with --adopt-head.")
def verify(adopt_head: bool, reason: str) -> Answer:
    """Walk the journal's chain and compare it with its anchors; names the first altered row."""
    from flows.commands.decide import verify_journal

    return verify_journal(adopt=adopt_head, reason=reason)


@detent.command()
@click.option("--port", default=3000, show_default=True, help="TCP port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--bento", help="A Bento's tag, detent:VERSION, instead of the champion's.")
@click.option("--target", default="", help="Serve this target's own champion instead of the main one.")
def serve(port: int, host: str, bento: str | None, target: str) -> None:
    """Answer over HTTP with the champion: POST /classify, GET /readyz."""
    set_up_environment()
    from flows.commands.serve import serve_champion

    serve_champion(port=port, host=host, tag=bento, target=target)


@detent.command()
@answering
def doctor() -> Answer:
    """What is installed, what is missing, which optional engines are there, with the remedy."""
    from flows.commands.doctor import examine

    return examine()


@detent.command()
@answering
def upgrade() -> Answer:
    """Bring a workspace of an earlier version along: its dvc.yaml and params.yaml; what is recorded stays."""
    from flows.commands.init import upgrade_workspace

    return upgrade_workspace()


def _ask(price: str) -> bool:
    """Tell a price and ask; where nobody can answer, the answer is no."""
    click.echo(price, err=True)
    return sys.stdin.isatty() and click.confirm("spend it?", err=True)


def main() -> None:
    """Run the command line; every expected error is one line on standard error and an exit code."""
    try:
        detent.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was finished is kept, run again to go on", err=True)
        sys.exit(130)
    except DetentError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if os.environ.get("DETENT_DEBUG"):
            raise
        click.echo(
            f"error: {type(error).__name__}: {error}\nThis is a fault of Detent: set DETENT_DEBUG=1 to see where.",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
