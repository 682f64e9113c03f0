//! The last ticket: check, then act.

use super::{Demo, Version, Versions};

pub static TICKET: Demo = Demo {
    name: "ticket",
    wrong: "one ticket is sold twice: what was checked has changed",
    lesson: "between the check and the act another thread acts. Making the act atomic is not enough: the check \
             belongs to it",
    program: r"left = 1, sold = 0
  ann: if load(left) > 0 { fetch_sub(left, 1); fetch_add(sold, 1) }
  bob: if load(left) > 0 { fetch_sub(left, 1); fetch_add(sold, 1) }
  check sold == 1 and left == 0",
    versions: Versions::Programs(&[
        Version {
            name: "check, then act",
            about: "checks whether a ticket is left, then takes it",
            is_safe: false,
            program: r"left = 1, sold = 0
  ann: if load(left) > 0 { fetch_sub(left, 1); fetch_add(sold, 1) }
  bob: if load(left) > 0 { fetch_sub(left, 1); fetch_add(sold, 1) }
  check sold == 1 and left == 0",
        },
        Version {
            name: "lock around the act",
            about: "the check is outside the lock",
            is_safe: false,
            program: r"left = 1, sold = 0
  ann: if load(left) > 0 { lock m { left -= 1; sold += 1 } }
  bob: if load(left) > 0 { lock m { left -= 1; sold += 1 } }
  check sold == 1 and left == 0",
        },
        Version {
            name: "lock around both",
            about: "check and act are one step",
            is_safe: true,
            program: r"left = 1, sold = 0
  ann: lock m { if left > 0 { left -= 1; sold += 1 } }
  bob: lock m { if left > 0 { left -= 1; sold += 1 } }
  check sold == 1 and left == 0",
        },
        Version {
            name: "compare-and-swap",
            about: "takes the ticket only if the number has not changed since the check",
            is_safe: true,
            program: r"left = 1, sold = 0
  ann: let n = load(left)
       let got = false
       while n > 0 and not got { got = cas(left, n, n - 1); n = load(left) }
       if got { fetch_add(sold, 1) }
  bob: let n = load(left)
       let got = false
       while n > 0 and not got { got = cas(left, n, n - 1); n = load(left) }
       if got { fetch_add(sold, 1) }
  check sold == 1 and left == 0",
        },
    ]),
};
