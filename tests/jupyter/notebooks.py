"""Exports are valid notebooks for nbformat, import gives back their cells, and nbclient runs them again."""

import os
import subprocess
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TIMELAB = os.environ["TIMELAB"]
PATIENCE = 300


def timelab(*arguments):
    done = subprocess.run([TIMELAB, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fences(text):
    """The cells of a notebook of timelab: lines behind marks."""
    cells, inside = [], False
    for line in text.splitlines():
        if line.startswith("```console timelab"):
            inside = True
        elif line.startswith("```"):
            inside = False
        elif inside and line.startswith("›"):
            cells.append(line[1:].strip())
        elif inside and line.startswith("…"):
            cells[-1] += "\n" + line[2:]
    return cells


with tempfile.TemporaryDirectory() as folder:
    for number, more in [("01", []), ("02", []), ("06", ["--no-run"]), ("12", ["--no-run"])]:
        [tutorial] = Path("scripts").glob(f"{number}-*.md")
        exported = Path(folder) / f"{tutorial.stem}.ipynb"
        timelab("export", str(tutorial), "--to", "ipynb", "--trust", "-o", str(exported), *more)
        book = nbformat.read(exported, as_version=4)
        nbformat.validate(book)
        written = fences(tutorial.read_text())
        code = [cell.source for cell in book.cells if cell.cell_type == "code"]
        assert len(code) > 3, code
        back = fences(timelab("import", str(exported)))
        assert back == [cell.rstrip() for cell in code], (back, code)
        # Hidden ones too.
        assert set(back) <= set(cell.rstrip() for cell in written), set(back) - set(written)
        if not more:
            outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
            # Errors and warnings have no data.
            shown = [output.get("data", {}) for output in outputs]
            assert any("<table>" in data.get("text/html", "") for data in shown), tutorial
            assert any("│" in data.get("text/plain", "") for data in shown), tutorial
    [first] = Path(folder).glob("01-*.ipynb")
    book = nbformat.read(first, as_version=4)
    NotebookClient(book, timeout=PATIENCE, kernel_name="timelab", allow_errors=True).execute()
    nbformat.validate(book)
