"""The driver of Ray: each part of a plan is a task, and what it gives an object in the store of its node."""
import hashlib, os, time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
need("ray", "pyarrow")
import ray

say("ready", version=ray.__version__)
SHA = hashlib.sha256(KIT.encode()).hexdigest()[:16]
CONNECTED = None


@ray.remote(max_retries=0)
def task(source, sha, kind, *arguments):
    """Runs on a worker. What it calls comes as text, once for each process."""
    import sys, types
    name = "timelab_kit_" + sha
    kit = sys.modules.get(name)
    if kit is None:
        kit = types.ModuleType(name)
        exec(compile(source, name, "exec"), kit.__dict__)
        sys.modules[name] = kit
    # Ray ends the process of a task that is cancelled.
    check = lambda: None
    if kind == "part":
        read, given, steps, functions, *others = arguments
        return kit.run_part(read, given, steps, functions, check, others)
    how, step, functions, last, *parts = arguments
    return kit.merge_parts(parts, how, step, functions, last, check)


def connect(address, workers):
    global CONNECTED
    if CONNECTED == (address,) and ray.is_initialized():
        return
    if ray.is_initialized():
        ray.shutdown()
    quiet = dict(log_to_driver=False, logging_level="ERROR")
    try:
        if address is None:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, object_store_memory=256 << 20, **quiet)
        else:
            ray.init(address, **quiet)
    except BaseException as error:
        raise NoConnection("%s: %s" % (type(error).__name__, str(error).strip().splitlines()[0][:300]))
    CONNECTED = (address,)


def run(request, is_stopped):
    begun = time.monotonic()
    connect(request["address"], request["workers"])
    cores = int(ray.cluster_resources().get("CPU", 1))
    connected = time.monotonic()
    source, refs = ray.put(KIT), []

    def submit(kind, *arguments):
        ref = task.remote(source, SHA, kind, *arguments)
        refs.append(ref)
        return ref

    planner = Planner(request["plan"], submit, cores)
    results = planner.result()
    say("submitted", run=request["run"], tasks=planner.tasks, workers=cores,
        connect=connected - begun, submit=time.monotonic() - connected)
    left, told = list(refs), 0.0
    while left:
        if is_stopped():
            raise Stopped(cancel(refs))
        done, left = ray.wait(left, num_returns=1, timeout=0.02)
        for ref in done:
            try:
                ray.get(ref)
            except BaseException:
                cancel(refs)
                raise
        if time.monotonic() - told > 0.2:
            told = time.monotonic()
            say("progress", run=request["run"], done=len(refs) - len(left), all=len(refs))
    blocks = ray.get(results)
    schema = request["plan"]["schema"]
    return [[value for block in blocks for value in block[1][i]] for i in range(len(schema))]


def cancel(refs):
    """Ends tasks by their processes, and says what is then left."""
    try:
        for ref in refs:
            ray.cancel(ref, force=True)
        until = time.monotonic() + 2
        left = list(refs)
        while left and time.monotonic() < until:
            _, left = ray.wait(left, num_returns=len(left), timeout=0.05)
        return "its tasks are cancelled" if not left else "%d of its tasks did not end" % len(left)
    except Exception as error:
        return "it did not answer: %s" % type(error).__name__


serve(run)
