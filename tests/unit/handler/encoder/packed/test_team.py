"""A team's threads: each computes with one, all are waited for, and what goes wrong in one is raised."""

import threading

import pytest
import torch
from speaker_id.encoder.packed.team import Team

CHUNK = 32


@pytest.fixture(params=[1, 2, 3])
def team(request: pytest.FixtureRequest) -> Team:
    return Team(request.param, CHUNK)


def test_rows_are_mapped_once_each_in_place_or_not(team: Team) -> None:
    rows = torch.arange(5.0 * CHUNK)[:, None]
    out = team.map_rows(lambda piece: piece + 1, rows, torch.empty_like(rows))
    assert torch.equal(out, rows + 1)
    assert team.map_rows(lambda piece: piece * 2, rows, rows) is rows
    assert torch.equal(rows[:, 0], 2 * torch.arange(5.0 * CHUNK))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_widened_chunks_change_no_row_twice(threads: int) -> None:
    team, sizes = Team(threads, CHUNK, step=8), set()

    def double(piece: torch.Tensor) -> torch.Tensor:
        sizes.add(len(piece))
        return piece * 2

    for count in range(2 * CHUNK, 4 * CHUNK):
        rows = torch.arange(float(count))[:, None]
        assert torch.equal(team.map_rows(double, rows, rows)[:, 0], 2 * torch.arange(float(count)))
    assert sizes <= {8, 16, 24, 32}


def test_pieces_run_side_by_side() -> None:
    meeting = threading.Barrier(2)
    Team(2, CHUNK).run([lambda: meeting.wait(timeout=600)] * 2)


def test_one_thread_is_the_callers_own() -> None:
    seen: list[threading.Thread] = []
    Team(1, CHUNK).run([lambda: seen.append(threading.current_thread())])
    assert seen == [threading.current_thread()]


def test_a_piece_computes_with_one_thread_and_without_gradients() -> None:
    seen: list[tuple[int, bool]] = []
    Team(2, CHUNK).run(
        [lambda: seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))] * 4
    )
    assert seen == [(1, True)] * 4


def test_while_a_team_works_its_caller_computes_with_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Team(2, CHUNK).in_charge():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_goes_wrong_in_a_piece_is_raised(team: Team) -> None:
    def fail() -> None:
        raise ArithmeticError("of this piece")

    with pytest.raises(ArithmeticError, match="of this piece"):
        team.run([lambda: None, fail, lambda: None])
