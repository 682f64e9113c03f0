"""JupyterLab in a browser: %compare is a table, %bigo a plot, Stop ends an endless cell at once."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat

from browser import page as opened

try:
    import jupyterlab  # noqa: F401
except ImportError:
    print("no Python package jupyterlab")
    sys.exit(77)

PATIENCE = int(os.environ.get("TIMELAB_PATIENCE", "180"))
TOKEN = "tests"
CELLS = [
    "%compare --for 500ms slow: 1..30k | map it % 7 | sum, fast: 1..10k | sum",
    "%bigo --for 2s strings only join",
    "1..100G | sum",
    "6 * 7",
]


def server(folder):
    """JupyterLab on a free port of loopback, and its address."""
    log = Path(folder) / "lab.log"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser"]
    process = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, env=dict(os.environ, HOME=folder))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        for info in Path(os.environ["JUPYTER_RUNTIME_DIR"]).glob("jpserver-*.json"):
            try:
                return process, json.loads(info.read_text())["url"]
            except ValueError:
                pass
        time.sleep(0.2)
    process.kill()
    raise AssertionError(log.read_text())


with tempfile.TemporaryDirectory() as folder, opened(viewport={"width": 1200, "height": 1600}) as page:
    new = nbformat.v4
    book = new.new_notebook(cells=[new.new_code_cell(cell) for cell in CELLS])
    book.metadata.kernelspec = {"name": "timelab", "display_name": "timelab", "language": "timelab"}
    nbformat.write(book, Path(folder) / "try.ipynb")
    process, url = server(folder)
    try:
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"{url}lab/tree/try.ipynb?token={TOKEN}")
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
        # The kernel is there: without one, the browser asks for one.
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
        page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info; }")
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        cells = page.locator(".jp-NotebookPanel .jp-CodeCell")
        table = cells.nth(0).locator(".jp-OutputArea-output table").filter(has_text="fast")
        table.first.wait_for()
        assert cells.nth(0).locator(".jp-RenderedJSON").count() == 0
        # A drawing stands as an image or as itself.
        plot = cells.nth(1).locator(".jp-OutputArea-output .jp-RenderedSVG, .jp-OutputArea-output img, .jp-OutputArea-output svg")
        plot.first.wait_for()
        # The third one shows that it works.
        cells.nth(2).locator(".jp-OutputArea-output").first.wait_for()
        stopped = time.monotonic()
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:interrupt-kernel'); }")
        cells.nth(2).locator(".jp-OutputArea-output", has_text="stopped").first.wait_for()
        print(f"Stop: {(time.monotonic() - stopped) * 1e3:.0f} ms until the browser shows it")
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:shutdown-kernel'); }")
    finally:
        # For who wants to see it.
        if picture := os.environ.get("TIMELAB_PICTURE"):
            page.screenshot(path=picture)
        process.terminate()
        process.wait(30)
