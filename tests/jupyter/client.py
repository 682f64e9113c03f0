"""The kernel under jupyter_client and nbclient: cells, errors, interrupts, questions, restart."""

import sys
import time

import nbformat
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

PATIENCE = 120


def run(client, code, **more):
    """The reply and the outputs of a cell."""
    outputs = []
    reply = client.execute_interactive(code, output_hook=outputs.append, timeout=PATIENCE, **more)
    return reply["content"], outputs


def texts(outputs):
    shown = [m["content"]["data"] for m in outputs if m["msg_type"] in ("display_data", "update_display_data")]
    return "".join(data.get("text/plain", "") for data in shown)


def interrupt(manager, client, code):
    """Stops a cell once it shows progress; the seconds until its reply came."""
    stopped = []

    def hook(message):
        if message["msg_type"] == "display_data" and not stopped:
            stopped.append(time.monotonic())
            manager.interrupt_kernel()

    reply = client.execute_interactive(code, output_hook=hook, timeout=PATIENCE)
    assert reply["content"]["status"] == "error", reply
    assert reply["content"]["ename"] == "Stopped", reply
    return time.monotonic() - stopped[0]


def cells():
    manager, client = start_new_kernel(kernel_name="timelab", startup_timeout=PATIENCE)
    try:
        info = client.kernel_info(reply=True, timeout=PATIENCE)["content"]
        assert info["implementation"] == "timelab", info
        reply, outputs = run(client, "1..4 | map it * it")
        assert reply["status"] == "ok" and "│  9 │" in texts(outputs), outputs
        reply, _ = run(client, "1 + nothing")
        assert reply["status"] == "error" and reply["ename"] == "Name", reply
        content = client.complete("1..4 | su", 9, reply=True, timeout=PATIENCE)["content"]
        assert "sum" in content["matches"], content
        content = client.inspect("top", 1, reply=True, timeout=PATIENCE)["content"]
        assert content["found"], content
        times = sorted(interrupt(manager, client, "1..100G | sum") for _ in range(5))
        print(f"stopped after {times[0] * 1e3:.0f} to {times[-1] * 1e3:.0f} ms")
        reply, outputs = run(client, "1 + 1")
        assert texts(outputs).startswith("2\n"), outputs
        manager.restart_kernel(now=False)
        client.wait_for_ready(timeout=PATIENCE)
        reply, outputs = run(client, "1..3 | sum")
        assert reply["execution_count"] == 1 and "3" in texts(outputs), (reply, outputs)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def questions():
    """An input request of the trust question, answered yes."""
    import tempfile

    manager, client = start_new_kernel(kernel_name="timelab", startup_timeout=PATIENCE)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
            script.write("!echo it ran\n")
            script.flush()
            outputs = []
            client.execute_interactive(
                f'%run "{script.name}"',
                allow_stdin=True,
                stdin_hook=lambda _: client.input("y"),
                output_hook=outputs.append,
                timeout=PATIENCE,
            )
            assert any(m["content"].get("text") == "it ran\n" for m in outputs), outputs
            reply, _ = run(client, f'%run "{script.name}"', allow_stdin=False)
            # What was allowed once is allowed again; a changed file is not.
            assert reply["status"] == "ok", reply
            script.write("!echo more\n")
            script.flush()
            reply, _ = run(client, f'%run "{script.name}"', allow_stdin=False)
            assert reply["status"] == "error", reply
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def notebook():
    """nbclient runs a whole notebook, and stops at an error unless told."""
    new = nbformat.v4
    cells = ["let n = 20", "1..n | sum", "%compare --for 1s a: 1..30k | sum, b: 1..10k | sum"]
    book = new.new_notebook(cells=[new.new_code_cell(cell) for cell in cells])
    book.metadata.kernelspec = {"name": "timelab", "display_name": "timelab", "language": "timelab"}
    NotebookClient(book, timeout=PATIENCE, kernel_name="timelab").execute()
    nbformat.validate(book)
    assert "190" in book.cells[1].outputs[0].data["text/plain"], book.cells[1]
    compared = [output.data for output in book.cells[2].outputs if "data" in output]
    assert any("<table>" in data.get("text/html", "") for data in compared), compared
    # Progress was updated in place: it is not kept beside the result.
    assert sum("<table>" in data.get("text/html", "") for data in compared) == 1, compared
    bad = new.new_notebook(cells=[new.new_code_cell("1 + nothing")])
    try:
        NotebookClient(bad, timeout=PATIENCE, kernel_name="timelab").execute()
    except CellExecutionError:
        pass
    else:
        raise AssertionError("an error is an error")
    nbformat.validate(bad)
    assert bad.cells[0].outputs[0].output_type == "error", bad


cells()
questions()
notebook()
sys.exit(0)
