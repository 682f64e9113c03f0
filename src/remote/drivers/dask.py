"""The driver of Dask: each part of a plan is a future on its workers, which get the plan's meaning as text."""
import hashlib, time

need("dask", "distributed", "pyarrow")
import distributed

say("ready", version=distributed.__version__)
CLIENTS = {}


def task(source, sha, kind, *arguments):
    """Runs on a worker. What it calls comes as text, once for each process."""
    import sys, types
    name = "timelab_kit_" + sha
    kit = sys.modules.get(name)
    if kit is None:
        kit = types.ModuleType(name)
        exec(compile(source, name, "exec"), kit.__dict__)
        sys.modules[name] = kit
    from distributed import get_worker
    from distributed.worker import thread_state
    worker, key = get_worker(), getattr(thread_state, "key", None)

    def check():
        """Ends a task that the scheduler has taken back: a thread of Python cannot be ended from outside."""
        state = worker.state.tasks.get(key) if key is not None else None
        if key is not None and (state is None or state.state == "cancelled"):
            raise RuntimeError("timelab:stopped:stopped")
    if kind == "part":
        read, given, steps, functions, *others = arguments
        return kit.run_part(read, given, steps, functions, check, others)
    how, step, functions, last, *parts = arguments
    return kit.merge_parts(parts, how, step, functions, last, check)


SHA = hashlib.sha256(KIT.encode()).hexdigest()[:16]


def client_of(address, workers):
    """The client of a scheduler; without an address, of one that is started here and ends with this process."""
    client = CLIENTS.get(address)
    if client is not None and client.status == "running":
        return client
    try:
        if address is None:
            client = distributed.Client(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1")
        else:
            host, port = address.rpartition("://")[2].rsplit(":", 1)
            reach(host.strip("[]"), int(port), 2 if host.startswith(("127.", "localhost")) else 10)
            client = distributed.Client(address, timeout=10)
    except NoConnection:
        raise
    except Exception as error:
        raise NoConnection("%s: %s" % (type(error).__name__, error))
    CLIENTS[address] = client
    return client


def run(request, is_stopped):
    begun = time.monotonic()
    client = client_of(request["address"], request["workers"])
    info = client.scheduler_info(n_workers=-1)["workers"]
    if not info:
        try:
            client.wait_for_workers(1, timeout=10)
        except Exception:
            raise NoConnection("the scheduler has no workers")
        info = client.scheduler_info(n_workers=-1)["workers"]
    cores = sum(worker["nthreads"] for worker in info.values())
    connected = time.monotonic()
    futures = []

    def submit(kind, *arguments):
        future = client.submit(task, KIT, SHA, kind, *arguments, pure=False)
        futures.append(future)
        return future

    planner = Planner(request["plan"], submit, cores)
    results = planner.result()
    say("submitted", run=request["run"], tasks=planner.tasks, workers=len(info),
        connect=connected - begun, submit=time.monotonic() - connected)
    told = 0.0
    while not all(future.done() for future in results):
        failed = next((future for future in futures if future.status in ("error", "lost")), None)
        if failed is not None:
            break
        if is_stopped():
            raise Stopped(cancel(client, futures))
        if time.monotonic() - told > 0.2:
            told = time.monotonic()
            say("progress", run=request["run"], done=sum(future.done() for future in futures), all=len(futures))
        if client.status != "running":
            raise RuntimeError("the connection to the scheduler was lost")
        time.sleep(0.005)
    # The first error, not that of a task that waited for the one that failed.
    for future in futures:
        if future.status == "error":
            error = future.exception()
            cancel(client, futures)
            raise error
    try:
        blocks = client.gather(results)
    finally:
        for future in futures:
            future.release()
    schema = request["plan"]["schema"]
    return [[value for block in blocks for value in block[1][i]] for i in range(len(schema))]


def cancel(client, futures):
    """Takes futures back, and says what the scheduler then still runs of them."""
    try:
        client.cancel(futures, force=True)
        keys = {future.key for future in futures}
        until = time.monotonic() + 2
        while time.monotonic() < until:
            running = [key for busy in client.processing().values() for key in busy if key in keys]
            if not running:
                return "the scheduler runs none of its tasks any more"
            time.sleep(0.02)
        return "the scheduler still runs %d of its tasks" % len(running)
    except Exception as error:
        return "the scheduler did not answer: %s" % type(error).__name__


serve(run)
