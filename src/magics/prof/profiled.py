"""Runs a program under cProfile as Python itself would run it: DUMP, then FILE …, -m MODULE … or -c CODE …

Its module is the real `__main__`, so that what it pickles is found again. Beside the dump, DUMP.threads has the number
of other threads, which cProfile does not see.
"""

import cProfile
import os
import runpy
import sys
import threading
import types

dump, words = sys.argv[1], sys.argv[2:]
others = []


def begins(frame, event, argument):
    """Notes once that a thread begins."""
    sys.setprofile(None)
    others.append(threading.get_ident())


def of_code(text, name):
    """What runs a text as the main module."""
    code = compile(text, name, "exec")
    module = types.ModuleType("__main__")
    module.__file__ = name
    module.__builtins__ = __builtins__
    sys.modules["__main__"] = module
    return lambda profiler: profiler.runctx(code, module.__dict__, module.__dict__)


def program():
    """What runs the program that was asked for; it sees its own words and its own folder."""
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = os.getcwd()
        return lambda profiler: profiler.runcall(
            runpy.run_module, words[1], run_name="__main__", alter_sys=True
        )
    if words[0] == "-c":
        sys.argv = ["-c"] + words[2:]
        sys.path[0] = ""
        return of_code(words[1], "-c")
    sys.argv = words
    sys.path[0] = os.path.dirname(os.path.realpath(words[0]))
    with open(words[0], "rb") as file:
        return of_code(file.read(), words[0])


run = program()
threading.setprofile(begins)
profiler = cProfile.Profile()
try:
    run(profiler)
finally:
    profiler.create_stats()
    profiler.dump_stats(dump)
    with open(dump + ".threads", "w") as file:
        file.write(str(len(others)))
