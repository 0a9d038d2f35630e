"""What README.md and docs/*.md quote: tables from the code, figures from recorded results.

reference  settings, errors, limits, formats, make targets and variables, metrics
foreign    clients of others, and what a test lets them do
figures    sentences whose numbers are in the results of a measurement

A page calls one of these between cog's markers, `<!-- [[[cog reference.limits() ]]] -->` and `<!-- [[[end]]] -->`, and
`make docs` writes the lines between them. A unit test fails where a page is stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cogapp import Cog

from measure import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
IMPORTS = "from measure.pages import figures, foreign, reference"


def write(pages: Iterable[Path] = PAGES, *, check: bool = False) -> bool:
    """Write what is between the markers of these pages, or only check it; says which page changed, or would.

    Returns:
        Whether every page is as the code and the results have it.
    """
    mode = ["--check", "--diff"] if check else ["-r"]
    options = [*mode, "-P", "-U", "-n", "utf-8", "--verbosity=1", "-p", IMPORTS]
    codes = [Cog().main(["cog", *options, str(page)]) for page in pages]
    return not any(codes)
