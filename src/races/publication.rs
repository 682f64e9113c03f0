//! Publication: data, then a flag that says that they are there.

use super::{Demo, Version, Versions};

pub static PUBLICATION: Demo = Demo {
    name: "publish",
    wrong: "a reader sees the flag but not the data",
    lesson: "x86 keeps writes in order and hides this bug; ARM does not. Store the flag with release and load \
             it with acquire",
    program: r"data = 0, flag = 0
  maker: store(data, 42, relaxed); store(flag, 1, relaxed)
  taker: let saw = 42
         if load(flag, relaxed) == 1 { saw = load(data, relaxed) }
  check taker.saw == 42",
    versions: Versions::Programs(&[
        Version {
            name: "relaxed",
            about: "data and flag without any order",
            is_safe: false,
            program: r"data = 0, flag = 0
  maker: store(data, 42, relaxed); store(flag, 1, relaxed)
  taker: let saw = 42
         if load(flag, relaxed) == 1 { saw = load(data, relaxed) }
  check taker.saw == 42",
        },
        Version {
            name: "release, acquire",
            about: "the flag is stored with release and loaded with acquire",
            is_safe: true,
            program: r"data = 0, flag = 0
  maker: data = 42; store(flag, 1, release)
  taker: let saw = 42
         if load(flag, acquire) == 1 { saw = data }
  check taker.saw == 42",
        },
        Version {
            name: "fences",
            about: "a release fence before the flag, an acquire fence after it",
            is_safe: true,
            program: r"data = 0, flag = 0
  maker: store(data, 42, relaxed); fence release; store(flag, 1, relaxed)
  taker: let saw = 42
         if load(flag, relaxed) == 1 { fence acquire; saw = load(data, relaxed) }
  check taker.saw == 42",
        },
        Version {
            name: "lock",
            about: "both under a lock",
            is_safe: true,
            program: r"data = 0, flag = 0
  maker: lock m { data = 42; flag = 1 }
  taker: let saw = 42
         lock m { if flag == 1 { saw = data } }
  check taker.saw == 42",
        },
    ]),
};
