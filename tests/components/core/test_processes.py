"""A process is told from another that was given its number later."""

from components.core.processes import is_dead, process_mark


def test_a_reused_process_number_is_not_taken_for_the_same_process() -> None:
    host, pid, ticks = process_mark().rsplit(":", 2)
    assert not is_dead(process_mark())
    assert is_dead(f"{host}:{pid}:{int(ticks) - 1}")
    assert not is_dead("") and not is_dead("nonsense")
