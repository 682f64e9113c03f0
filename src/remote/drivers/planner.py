"""Cuts a plan into tasks, for engines that run functions on handles: `submit(kind, *arguments)` gives a handle, and
the handles among the arguments of a later task stand for their results.

A flow is a list of parts, in order, each a task that waits for the steps that follow it by themselves.
"""

# Of a part: rows of a range, bytes of a text.
PART_ROWS, PART_BYTES = 500_000, 4 << 20
# So many parts are merged by one task.
FAN = 16


class Part:
    """What makes a block, and the steps that follow."""

    def __init__(self, read=None, handle=None, steps=(), others=()):
        self.read, self.handle, self.steps, self.others = read, handle, list(steps), list(others)

    def then(self, step, *others):
        step = dict(step)
        if others:
            step["others"] = [len(self.others) + i for i in range(len(others))]
        return Part(self.read, self.handle, self.steps + [step], self.others + list(others))


class Planner:
    def __init__(self, plan, submit, cores):
        self.plan, self.submit, self.cores, self.tasks = plan, submit, max(2, cores), 0

    def start(self, kind, *arguments):
        self.tasks += 1
        return self.submit(kind, *arguments)

    def handle(self, part):
        if part.read is None and not part.steps:
            return part.handle
        return self.start("part", part.read, part.handle, part.steps, self.plan["functions"], *part.others)

    def merged(self, handles, how, step):
        """One handle of several, by tasks that merge a few each."""
        while len(handles) > FAN:
            groups = [handles[i:i + FAN] for i in range(0, len(handles), FAN)]
            handles = [self.start("merge", how, step, self.plan["functions"], False, *group) for group in groups]
        return self.start("merge", how, step, self.plan["functions"], True, *handles)

    def single(self, flow):
        """The whole flow as one block."""
        handles = [self.handle(part) for part in flow]
        return handles[0] if len(handles) == 1 else self.merged(handles, "stack", None)

    def source(self, node):
        op = node["op"]
        if op == "range":
            start, end = node["start"], max(node["start"], node["end"])
            size = min(PART_ROWS, max(1, -(-(end - start) // self.cores)))
            cuts = list(range(start, end, size)) + [end]
            return [Part(["numbers", a, b]) for a, b in zip(cuts, cuts[1:])] or [Part(["numbers", start, start])]
        if op == "values":
            return [Part(["values", node["data"], node["types"]])]
        if op == "text":
            parts = []
            for file in node["files"]:
                length = file["bytes"]
                size = min(PART_BYTES, max(1, -(-length // self.cores)))
                cuts = list(range(0, length, size)) + [length]
                spans = list(zip(cuts, cuts[1:])) or [(0, 0)]
                parts += [Part(["text", file["path"], length, a, b, node["lossy"]]) for a, b in spans]
            return parts
        return [
            Part(["csv", file["path"], file["bytes"], node["options"], node["fields"], node["wanted"]])
            for file in node["files"]
        ]

    def flow(self, index):
        node = self.plan["nodes"][index]
        op = node["op"]
        if "in" not in node:
            return self.source(node)
        before = self.flow(node["in"])
        step = {key: value for key, value in node.items() if key not in ("op", "in")}
        if op in ("project", "filter", "explode"):
            return [part.then(dict(step, do=op)) for part in before]
        if op == "concat":
            return before + [part for other in node["with"] for part in self.flow(other)]
        if op == "join":
            right = self.single(self.flow(node["with"][0]))
            return [part.then(dict(step, do="join"), right) for part in before]
        if op == "zip":
            others = [self.single(self.flow(other)) for other in node["with"]]
            return [Part(handle=self.single(before)).then(dict(step, do="zip"), *others)]
        if op == "reverse":
            return [part.then(dict(step, do="reverse")) for part in before[::-1]]
        if op == "aggregate":
            handles = [self.handle(part.then(dict(step, do="groups"))) for part in before]
            return [Part(handle=self.merged(handles, "groups", step))]
        if op in ("sort", "distinct"):
            before = [part.then(dict(step, do=op)) for part in before]
            return [Part(handle=self.merged([self.handle(part) for part in before], op, step))]
        if op == "slice":
            if step["length"] is not None:
                first = {"do": "first", "count": step["offset"] + step["length"]}
                before = [part.then(first) for part in before]
            return [Part(handle=self.merged([self.handle(part) for part in before], "slice", step))]
        # A number, or pairs.
        return [Part(handle=self.merged([self.handle(part) for part in before], op, step))]

    def result(self):
        """The handles of the result's blocks, in order."""
        return [self.handle(part) for part in self.flow(self.plan["out"])]
