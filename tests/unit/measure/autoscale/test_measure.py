"""Whose measurements are committed."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from measure.autoscale import BUILD, RESULTS
from measure.autoscale.measure import add_options, folder


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([], RESULTS),
        (["--server", "triton"], BUILD / "triton"),
        (["--server", "triton", "--results", "here"], Path("here")),
    ],
)
def test_results_of_another_model_server_are_not_those_of_the_page(given: list[str], where: Path) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert folder(parser.parse_args(given)) == where
