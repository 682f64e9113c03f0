//! Threads, processes and the system.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::{Group, Means, Outcome, Probe, because, dean, failed};

pub static THREADS: Group = Group {
    name: "threads",
    about: "a mutex, the start of a thread and of a process, a system call",
    probes: &[
        Probe {
            name: "mutex",
            about: "locking and unlocking an uncontended one",
            published: dean(25e-9),
            in_chart: true,
            run: Some(mutex),
        },
        Probe {
            name: "system call",
            about: "a call that only returns a number",
            published: None,
            in_chart: true,
            run: Some(call),
        },
        Probe { name: "thread start", about: "until it has ended", published: None, in_chart: true, run: Some(thread) },
        Probe {
            name: "process start",
            about: "`true`, until it has ended",
            published: None,
            in_chart: true,
            run: Some(process),
        },
    ],
};

fn mutex(means: &Means) -> Outcome {
    const CALLS: u64 = 10_000;
    let mutex = Mutex::new(0u64);
    let add = || {
        if let Ok(mut count) = black_box(&mutex).lock() {
            *count += 1;
        }
    };
    means.least(|| Ok(means.each(CALLS, add)))
}

fn call(means: &Means) -> Outcome {
    const CALLS: u64 = 2_000;
    // SAFETY: it only asks.
    let ask = || {
        black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    };
    means.least(|| Ok(means.each(CALLS, ask)))
}

fn thread(means: &Means) -> Outcome {
    means.median(|| {
        let (time, ended) = means.once(|| std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().is_ok()));
        ended.map_err(failed).map(|_| time)
    })
}

fn process(means: &Means) -> Outcome {
    let Some(program) = ["/bin/true", "/usr/bin/true"].into_iter().find(|path| std::path::Path::new(path).exists())
    else {
        return because("there is no program `true`");
    };
    means.median(|| {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (time, ended) = means.once(|| command.status());
        ended.map_err(failed).map(|_| time)
    })
}
