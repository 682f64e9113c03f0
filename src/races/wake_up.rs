//! A notify that comes before the wait is lost.

use super::{Demo, Version, Versions};

pub static WAKE_UP: Demo = Demo {
    name: "wakeup",
    wrong: "a thread sleeps forever: its notify came too early, or went to another thread",
    lesson: "check and wait under one lock, change and notify under the same one, wait in a loop, and wake all \
             if several wait",
    program: r"ready = 0
  maker: store(ready, 1); lock m { notify m }
  taker: if load(ready) == 0 { lock m { wait m } }",
    versions: Versions::Programs(&[
        Version {
            name: "checked outside",
            about: "checks without the lock, then waits",
            is_safe: false,
            program: r"ready = 0
  maker: store(ready, 1); lock m { notify m }
  taker: if load(ready) == 0 { lock m { wait m } }",
        },
        Version {
            name: "checked inside",
            about: "checks and waits under the lock",
            is_safe: true,
            program: r"ready = 0
  maker: lock m { ready = 1; notify m }
  taker: lock m { while ready == 0 { wait m } }",
        },
        Version {
            name: "notify for two",
            about: "two wait and one is woken",
            is_safe: false,
            program: r"ready = 0
  maker: lock m { ready = 1; notify m }
  ann:   lock m { while ready == 0 { wait m } }
  bob:   lock m { while ready == 0 { wait m } }",
        },
        Version {
            name: "notify_all for two",
            about: "all are woken",
            is_safe: true,
            program: r"ready = 0
  maker: lock m { ready = 1; notify_all m }
  ann:   lock m { while ready == 0 { wait m } }
  bob:   lock m { while ready == 0 { wait m } }",
        },
    ]),
};
