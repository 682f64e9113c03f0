"""The driver of Beam: each part of a plan is a collection of one block, and what merges parts takes them as side inputs."""
import hashlib, logging, pickle, shutil, tempfile, threading, time

need("apache_beam", "pyarrow")
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

logging.getLogger().setLevel(logging.ERROR)
say("ready", version=beam.__version__)
SHA = hashlib.sha256(KIT.encode()).hexdigest()[:16]
RUNNERS = {"direct": "DirectRunner"}


def work(_, source, sha, kind, fixed, *handles):
    """Runs on a worker. What it calls comes as text, once for each process."""
    import sys, types
    name = "timelab_kit_" + sha
    kit = sys.modules.get(name)
    if kit is None:
        kit = types.ModuleType(name)
        exec(compile(source, name, "exec"), kit.__dict__)
        sys.modules[name] = kit
    check = lambda: None
    if kind == "part":
        read, has_given, steps, functions = fixed
        given, others = (handles[0], handles[1:]) if has_given else (None, handles)
        return kit.run_part(read, given, steps, functions, check, others)
    how, step, functions, last = fixed
    return kit.merge_parts(handles, how, step, functions, last, check)


def keep(block, path):
    import pickle
    with open(path, "wb") as file:
        pickle.dump(block, file)


def run(request, is_stopped):
    begun = time.monotonic()
    options = request["options"]
    runner = options.get("runner", "direct")
    arguments = ["--runner=" + RUNNERS.get(runner, runner)] + options.get("args", "").split()
    pipeline = beam.Pipeline(options=PipelineOptions(arguments))
    count = [0]

    def submit(kind, *arguments):
        count[0] += 1
        label = "%d %s" % (count[0], kind)
        if kind == "part":
            read, given, steps, functions, *handles = arguments
            fixed = (read, given is not None, steps, functions)
            handles = ([given] if given is not None else []) + handles
        else:
            how, step, functions, last, *handles = arguments
            fixed = (how, step, functions, last)
        sides = [beam.pvalue.AsSingleton(handle) for handle in handles]
        return (pipeline | label + " begin" >> beam.Create([0])
                | label >> beam.Map(work, KIT, SHA, kind, fixed, *sides))

    folder = tempfile.mkdtemp(prefix="timelab-beam-")
    try:
        planner = Planner(request["plan"], submit, request["workers"])
        results = planner.result()
        for i, result in enumerate(results):
            result | "keep %d" % i >> beam.Map(keep, "%s/%d" % (folder, i))
        say("submitted", run=request["run"], tasks=planner.tasks, workers=1, connect=0, submit=time.monotonic() - begun)
        failure = []

        def run_all():
            try:
                pipeline.run().wait_until_finish()
            except BaseException as error:
                failure.append(error)

        # A runner in this process cannot be stopped: then the process ends.
        thread = threading.Thread(target=run_all, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            if is_stopped():
                say("stopped", run=request["run"], there="its driver was ended, and the runner with it")
                shutil.rmtree(folder, ignore_errors=True)
                quit_with(20)
        if failure:
            raise failure[0]
        blocks = []
        for i in range(len(results)):
            with open("%s/%d" % (folder, i), "rb") as file:
                blocks.append(pickle.load(file))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    schema = request["plan"]["schema"]
    return [[value for block in blocks for value in block[1][i]] for i in range(len(schema))]


serve(run)
