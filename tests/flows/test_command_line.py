"""The command line's promises: exit codes, one-line errors that name the fault, quick help, documented options."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from components.core.settings import Settings
from components.core.workspace import Workspace
from flows import __main__ as command_line
from tests.flows.drawn import PARAMS, draw_sources, make_workspace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    made = Workspace.from_settings(Settings())
    make_workspace(made)
    return made


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Run the command line in this process; returns the exit code and all that it printed."""
    monkeypatch.setattr(sys, "argv", ["detent", *arguments])
    monkeypatch.delenv("DETENT_DEBUG", raising=False)
    code = 0
    try:
        command_line.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["run"], "no catalog yet: name one with --catalog DIR; product pictures"),
        (["run", "--source", "palms=here"], "has no source palms; it has catalog (product pictures"),
        (["run", "--source", "palms"], "say NAME=ADDRESS"),
        (["run", "--source", "photos=a", "--photos", "b"], "photos is named twice"),
        (["run", "--catalog", "missing-folder"], "missing-folder"),
        (["run", "--workload", "palms"], "params.yaml says workload: products"),
        (["run", "nonsense"], "'nonsense' is not one of"),
        (["serve"], "run"),
        (["serve", "--port", "0"], ""),
        (["compare", "a.csv", "b.csv"], "a.csv is neither a file nor a version"),
        (["approve", "1"], "--reason"),
    ],
)
def test_wrong_use_is_named_without_a_stack_trace(
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    fault: str,
) -> None:
    code, printed = call(capsys, monkeypatch, *arguments)
    assert code in (1, 2) and fault in printed
    assert "Traceback" not in printed and "fault of Detent" not in printed


def test_an_unknown_parameter_names_the_known_ones(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = yaml.safe_load(workspace.params.read_text())
    params["training"]["learning_rat"] = 1
    workspace.params.write_text(yaml.safe_dump(params))
    code, printed = call(capsys, monkeypatch, "status")
    assert code == 2 and "unknown parameter 'training.learning_rat'" in printed and "synthetic_share" in printed


def test_a_missing_section_says_what_to_add(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.params.write_text(yaml.safe_dump({"workload": "products"}))
    code, printed = call(capsys, monkeypatch, "status")
    assert code == 2 and "add `approval: {}`" in printed


def test_outside_a_workspace_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path))
    code, printed = call(capsys, monkeypatch, "status")
    assert code == 2 and "params.yaml is missing" in printed


def test_class_folders_that_do_not_match_are_named(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = draw_sources(tmp_path / "sources", num_photos=3)
    (tmp_path / "sources" / "photos" / "ball").rename(tmp_path / "sources" / "photos" / "bowl")
    code, printed = call(capsys, monkeypatch, "run", *[f"--{name}={address}" for name, address in sources.items()])
    assert code == 2 and "bowl" in printed


def test_dry_run_says_why_and_runs_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed = call(capsys, monkeypatch, "run", "--catalog", "anywhere", "--dry-run", "--json")
    assert code == 0
    assert list(json.loads(printed)["would_run"]) == list(PARAMS_STAGES)
    assert not workspace.source("catalog").exists()


PARAMS_STAGES = ("validation", "synthesis", "training", "selection", "packaging")


def test_status_before_the_first_release(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed = call(capsys, monkeypatch, "status")
    assert code == 0 and "champion: none yet" in printed


def test_help_imports_nothing_heavy() -> None:
    heavy = ["torch", "mlflow", "prefect", "dvc", "numpy", "pydantic"]
    script = f"import sys, flows.__main__; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_and_option_is_explained() -> None:
    for name, command in command_line.detent.commands.items():
        assert command.help, f"{name} has no help"
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"
        assert CliRunner().invoke(command_line.detent, [name, "--help"]).exit_code == 0


def test_readme_names_every_command() -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    missing = [
        name for name in command_line.detent.commands if f"`detent {name}" not in readme and f"| `{name}" not in readme
    ]
    assert not missing, f"README.md does not tell of: {missing}"


def test_params_yaml_of_the_repository_is_valid() -> None:
    from components.workloads.registry import load_params

    root = Path(__file__).resolve().parents[2]
    assert load_params(Workspace(root=root, home=root / ".detent")).workload == "products"
    assert PARAMS["workload"] == "products"
