//! Store buffering: both threads write, then read, and neither sees the other's write.

use super::{Demo, Version, Versions};

pub static STORE_BUFFERING: Demo = Demo {
    name: "buffer",
    wrong: "a write waits in its processor while a later read is done",
    lesson: "x86 delays writes past later reads, so even a program without data races may not behave like an \
             interleaving of its threads' steps. Release and acquire do not help; a seqcst store or a fence does",
    program: r"x = 0, y = 0
  a: store(x, 1, relaxed); let r = load(y, relaxed)
  b: store(y, 1, relaxed); let s = load(x, relaxed)
  check a.r == 1 or b.s == 1",
    versions: Versions::Programs(&[
        Version {
            name: "relaxed",
            about: "writes and reads without any order",
            is_safe: false,
            program: r"x = 0, y = 0
  a: store(x, 1, relaxed); let r = load(y, relaxed)
  b: store(y, 1, relaxed); let s = load(x, relaxed)
  check a.r == 1 or b.s == 1",
        },
        Version {
            name: "release, acquire",
            about: "they order a write after earlier ones, not before later reads",
            is_safe: false,
            program: r"x = 0, y = 0
  a: store(x, 1, release); let r = load(y, acquire)
  b: store(y, 1, release); let s = load(x, acquire)
  check a.r == 1 or b.s == 1",
        },
        Version {
            name: "seqcst",
            about: "the buffer is emptied with the write",
            is_safe: true,
            program: r"x = 0, y = 0
  a: store(x, 1); let r = load(y)
  b: store(y, 1); let s = load(x)
  check a.r == 1 or b.s == 1",
        },
        Version {
            name: "fence",
            about: "the buffer is emptied before the read",
            is_safe: true,
            program: r"x = 0, y = 0
  a: store(x, 1, relaxed); fence; let r = load(y, relaxed)
  b: store(y, 1, relaxed); fence; let s = load(x, relaxed)
  check a.r == 1 or b.s == 1",
        },
        Version {
            name: "peterson",
            about: "a lock of two flags and a turn, correct under SC",
            is_safe: false,
            program: r"flag = [0, 0], turn = 0, inside = 0
  a: store(flag[0], 1, relaxed); store(turn, 1, relaxed)
     while load(flag[1], relaxed) == 1 and load(turn, relaxed) == 1 { yield }
     assert fetch_add(inside, 1) == 0
     fetch_sub(inside, 1)
     store(flag[0], 0, release)
  b: store(flag[1], 1, relaxed); store(turn, 0, relaxed)
     while load(flag[0], relaxed) == 1 and load(turn, relaxed) == 0 { yield }
     assert fetch_add(inside, 1) == 0
     fetch_sub(inside, 1)
     store(flag[1], 0, release)",
        },
        Version {
            name: "peterson, fence",
            about: "sets the flag before the turn, with a fence before the check",
            is_safe: true,
            program: r"flag = [0, 0], turn = 0, inside = 0
  a: store(flag[0], 1, relaxed); store(turn, 1, release); fence
     while load(flag[1], relaxed) == 1 and load(turn, relaxed) == 1 { yield }
     assert fetch_add(inside, 1) == 0
     fetch_sub(inside, 1)
     store(flag[0], 0, release)
  b: store(flag[1], 1, relaxed); store(turn, 0, release); fence
     while load(flag[0], relaxed) == 1 and load(turn, relaxed) == 0 { yield }
     assert fetch_add(inside, 1) == 0
     fetch_sub(inside, 1)
     store(flag[1], 0, release)",
        },
    ]),
};
