"""Runs one bare stage in the current workspace: the `cmd` of every stage in dvc.yaml.

python -m components.workloads STAGE
"""

from __future__ import annotations

import logging
import sys

from components.core.errors import ConfigError, DetentError
from components.core.settings import Settings, prepare_environment
from components.core.stages import StageReport
from components.core.workloads import StageInput
from components.core.workspace import STAGES, Stage, Workspace
from components.workloads.registry import find_workload, load_params


def run_stage(stage: Stage, workspace: Workspace) -> StageReport:
    """Run one stage of the workload that params.yaml names."""
    params = load_params(workspace)
    workload = find_workload(params.workload)
    if stage not in workload.stages:
        raise ConfigError(f"workload '{workload.name}' has no stage {stage}, it has {', '.join(workload.stages)}")
    return workload.stages[stage].run(StageInput(workspace=workspace, params=params, workload=workload))


def main(arguments: list[str]) -> int:
    """Run the stage that the arguments name; 0 when it is done, else the error's exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("components").setLevel(logging.INFO)
    settings = Settings()
    prepare_environment(settings)
    try:
        if len(arguments) != 1 or arguments[0] not in STAGES:
            raise ConfigError(f"usage: python -m components.workloads STAGE, with STAGE one of {', '.join(STAGES)}")
        run_stage(arguments[0], Workspace.from_settings(settings))
    except DetentError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is the command's answer
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
