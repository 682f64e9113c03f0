"""What all drivers share: requests are JSON lines on standard input, events JSON lines on standard error, and a result
is an Arrow IPC stream on standard output, whose length the event before it says.

A driver ends at the end of its input. It ends by itself with status 10 where a module is missing and 11 where there is
no connection; a request that is not supported (4) or fails (20) is told, and the next one can come.
"""
import importlib.util, json, os, queue, socket, sys, threading, time

# What libraries print must not be taken for a result.
RESULTS = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
EVENTS = os.fdopen(os.dup(2), "w")
LOCK = threading.Lock()


def say(event, **fields):
    with LOCK:
        EVENTS.write(json.dumps(dict(fields, event=event)) + "\n")
        EVENTS.flush()


class Unsupported(Exception):
    """The engine cannot run this."""


class NoConnection(Exception):
    """The engine cannot be reached."""


class Stopped(Exception):
    """The request was taken back."""


def quit_with(status):
    EVENTS.flush()
    os._exit(status)


def need(*modules):
    """Looks for modules before any of them is imported, which may take seconds."""
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            say("error", status=10, kind="missing", module=module, message="there is no module %s" % module)
            quit_with(10)


def reach(host, port, seconds):
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        raise NoConnection(str(error.strerror or error))


def data_error(error):
    """The kind and the words of an error of the plan, wherever in a chain of errors it is."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        text = str(error)
        place = text.find("timelab:")
        if place >= 0:
            kind, _, message = text[place + 8:].partition(":")
            return kind, message.splitlines()[0] if message else ""
        error = error.__cause__ or error.__context__
    return None


def arrow(columns, schema):
    """An Arrow stream of columns of values."""
    import pyarrow as pa

    def of(ty):
        if isinstance(ty, list):
            return pa.large_list(of(ty[1]))
        return {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.large_string()}[ty]
    arrays = [pa.array(column, type=of(ty)) for column, (_, ty) in zip(columns, schema)]
    fields = pa.schema([pa.field(name, of(ty)) for name, ty in schema])
    batch = pa.RecordBatch.from_arrays(arrays, schema=fields)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, fields) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def serve(run):
    """Takes requests until the input ends. `run(request, is_stopped)` gives the columns of the result."""
    requests, stops, last = queue.Queue(), set(), 0

    def read():
        try:
            for line in sys.stdin:
                request = json.loads(line)
                if "stop" in request:
                    stops.add(request["stop"])
                else:
                    requests.put(request)
        finally:
            # Whoever asked is gone: nobody waits for what runs, and not for long until it has ended.
            requests.put(None)
            stops.add("all")
            time.sleep(3)
            quit_with(20)

    threading.Thread(target=read, daemon=True).start()
    while True:
        request = requests.get()
        if request is None:
            quit_with(last)
        number = request["run"]
        is_stopped = lambda: number in stops or "all" in stops
        try:
            columns = run(request, is_stopped)
            data = arrow(columns, request["plan"]["schema"])
            say("result", run=number, bytes=len(data))
            RESULTS.write(data)
            RESULTS.flush()
        except Stopped as stopped:
            say("stopped", run=number, there=str(stopped))
        except Unsupported as error:
            last = 4
            say("error", run=number, status=4, kind="unsupported", message=str(error))
        except NoConnection as error:
            say("error", run=number, status=11, kind="connect", message=str(error))
            quit_with(11)
        except BaseException as error:
            last = 20
            kind, message = data_error(error) or ("failed", "%s: %s" % (type(error).__name__, str(error)[:2000]))
            say("error", run=number, status=20, kind=kind, message=message)
