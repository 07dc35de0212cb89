"""Runs one bare stage in the current workspace, or says what the code of all is: every `cmd` in dvc.yaml.

python -m components.workloads STAGE
python -m components.workloads code
"""

from __future__ import annotations

import logging
import sys

from components.core.errors import ConfigError, DetentError
from components.core.settings import Settings, prepare_environment
from components.core.stages import StageReport
from components.core.workloads import StageInput
from components.core.workspace import STAGES, Stage, Workspace
from components.workloads.rails.code import CODE, code_of, write_code
from components.workloads.registry import find_workload, load_params


def run_stage(stage: Stage, workspace: Workspace) -> StageReport:
    """Run one stage of the workload that params.yaml names."""
    params = load_params(workspace)
    workload = find_workload(params.workload)
    if stage not in workload.stages:
        raise ConfigError(f"workload '{workload.name}' has no stage {stage}, it has {', '.join(workload.stages)}")
    code = code_of(workload, workspace)
    return workload.stages[stage].run(StageInput(workspace=workspace, params=params, workload=workload, code=code))


def record_code(workspace: Workspace) -> None:
    """Write down the code of the stages of the workload that params.yaml names, for DVC to see."""
    write_code(find_workload(load_params(workspace).workload), workspace)


def main(arguments: list[str]) -> int:
    """Do what the arguments name; 0 when it is done, else the error's exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("components").setLevel(logging.INFO)
    settings = Settings()
    prepare_environment(settings)
    try:
        workspace = Workspace.from_settings(settings)
        if arguments == [CODE]:
            record_code(workspace)
        elif len(arguments) == 1 and arguments[0] in STAGES:
            run_stage(arguments[0], workspace)
        else:
            raise ConfigError(f"usage: python -m components.workloads STAGE, one of {', '.join((CODE, *STAGES))}")
    except DetentError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is the command's answer
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
