//! The shell as a person meets it: in a pseudo-terminal, key by key.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use expectrl::process::unix::Signal;
use expectrl::session::{OsSession, Session};
use expectrl::{ControlCode, Eof, Expect, Needle, Regex};
use tempfile::TempDir;

use timelab::autosave::Autosave;
use timelab::notebook::Notebook;

/// A terminal with a shell in it.
struct Terminal(OsSession);

/// A person's folder for configuration and history, gone with the test.
fn home() -> TempDir {
    tempfile::tempdir().expect("the temporary folder can be written")
}

#[track_caller]
fn start(home: &Path) -> Terminal {
    start_with(home, 100, &[])
}

/// A shell in a window of so many columns, ready to be typed to.
#[track_caller]
fn start_with(home: &Path, columns: u16, variables: &[(&str, &str)]) -> Terminal {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("HOME", home)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .envs(variables.iter().copied());
    let mut session = Session::spawn(command).expect("timelab starts");
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    session.get_process_mut().set_window_size(columns, 50).expect("it is a terminal");
    let mut terminal = Terminal(session);
    terminal.sees("[1]› ");
    terminal
}

/// A shell whose person has a toolchain at home.
#[track_caller]
fn start_rust(home: &TempDir) -> Terminal {
    let own = std::env::var("HOME").expect("there is a home");
    let folder = |variable: &str, usual: &str| std::env::var(variable).unwrap_or_else(|_| format!("{own}/{usual}"));
    let (rustup, cargo) = (folder("RUSTUP_HOME", ".rustup"), folder("CARGO_HOME", ".cargo"));
    let mut terminal = start_with(home.path(), 100, &[("RUSTUP_HOME", &rustup), ("CARGO_HOME", &cargo)]);
    // The first cell waits until all is started.
    terminal.0.set_expect_timeout(Some(Duration::from_secs(180)));
    terminal
}

impl Terminal {
    fn types(&mut self, keys: &str) {
        self.0.send(keys).expect("the shell reads");
    }

    fn enters(&mut self, cell: &str) {
        self.types(cell);
        self.types("\r");
    }

    fn presses(&mut self, key: ControlCode) {
        self.0.send(key).expect("the shell reads");
    }

    /// Waits for a text; what came before it.
    #[track_caller]
    fn sees(&mut self, needle: impl Needle + std::fmt::Debug) -> String {
        let said = format!("{needle:?}");
        match self.0.expect(needle) {
            Ok(found) => String::from_utf8_lossy(found.before()).into_owned(),
            Err(error) => {
                let rest = self.0.check(Regex("(?s).+")).map(|rest| rest.as_bytes().to_vec()).unwrap_or_default();
                panic!("{said} was not seen: {error}; but {:?}", String::from_utf8_lossy(&rest))
            }
        }
    }

    /// Leaves; at a prompt that was not yet waited for. What is typed before the next prompt reads its keys could be
    /// lost (the kernel takes Ctrl-D as the end of a line then), and the line that was entered shows `]› ` too.
    #[track_caller]
    fn ends(mut self) {
        self.sees(Regex(r"(?s)\[\?2004h.*?\]› "));
        self.leaves();
    }

    /// Leaves; at a prompt.
    #[track_caller]
    fn leaves(mut self) {
        self.presses(ControlCode::EndOfTransmission);
        self.sees(Eof);
    }
}

/// What a terminal sends where somebody pastes.
fn pasted(text: &str) -> String {
    format!("\x1b[200~{}\x1b[201~", text.replace('\n', "\r"))
}

#[test]
fn the_banner_has_two_lines() {
    let home = home();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command.env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1");
    let mut terminal = Terminal(Session::spawn(command).expect("timelab starts"));
    let banner = terminal.sees("[1]› ");
    let lines: Vec<&str> =
        banner.lines().filter(|line| !line.trim_matches(|c: char| c.is_control()).is_empty()).collect();
    assert!(lines[0].contains("core") && lines[0].contains("timer"), "{banner:?}");
    assert!(lines[1].contains("%help"), "{banner:?}");
}

#[test]
fn tab_offers_words_files_and_columns_with_a_line_about_each() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types("re\t");
    terminal.sees("read");
    terminal.sees("the lines of a text file");
    terminal.types("ad \"samples/de\t");
    terminal.sees("depends.csv\"");
    terminal.types(" | count by \t");
    terminal.sees("depends");
    terminal.sees("column: text");
}

#[test]
fn tab_completes_settings_and_their_values() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types("%set the\t li\t\r");
    terminal.sees("[2]› ");
    terminal.enters("%set");
    // The hint from history behind the cursor has no description.
    terminal.sees(Regex("theme +light +chooses"));
    terminal.ends();
}

#[test]
fn what_may_come_next_stands_behind_the_cursor() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types("1..10 | sort ");
    terminal.sees("[by] e [asc|desc], …");
    terminal.types("by slice(text(it), ");
    terminal.sees("start, count)");
    // It is no part of the cell.
    terminal.types("0, 1) | take 1\r");
    terminal.sees("│  1 │");
    terminal.ends();
}

#[test]
fn mistakes_stand_under_the_cell() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("1..10 | fitler");
    terminal.sees("did you mean `filter`?");
    terminal.ends();
}

#[test]
fn results_are_values_in_later_cells() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("%time 1..10 | sum");
    terminal.sees("[2]› ");
    terminal.enters("_1.wall > 0.0");
    terminal.sees("true");
    terminal.ends();
}

#[test]
fn a_paste_is_split_as_a_file_is() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types(&pasted("let a = 1\nlet b = 2\n\nlet c = 3\n# a comment\nlet d = 4\na + b + c + d\n"));
    terminal.types("\r");
    terminal.sees("\r\n10\r\n");
    terminal.sees("[6]› ");
    terminal.types(&pasted("1..10\n  | map it * it\n  | filter it > 4\n\n  | sort by it desc\n  | take 1\n"));
    terminal.types("\r");
    terminal.sees("81 │");
    terminal.sees("[7]› ");
    terminal.enters("%history 2-3");
    terminal.sees("[2]› let b = 2");
    terminal.sees("[3]› let c = 3");
    terminal.ends();
}

#[test]
fn an_open_cell_goes_on_and_two_empty_lines_run_it() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("[1, 2,");
    terminal.enters("40] | ");
    terminal.enters("sum");
    terminal.sees("43 │");
    terminal.sees("[2]› ");
    terminal.enters("(1 + 2");
    terminal.enters("");
    terminal.enters("");
    terminal.sees("is not closed");
    terminal.ends();
}

#[test]
fn an_empty_line_ends_a_block() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("%compare 1..10: # sums");
    terminal.enters("  a: sum");
    terminal.enters("  b: map it");
    terminal.enters("    | sum");
    terminal.enters("");
    terminal.sees("same result: 2/2 equal");
    terminal.ends();
}

#[test]
fn what_ends_a_block_stands_behind_its_lines() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("%compare --for 20ms 1..10:");
    terminal.sees("indented lines `name: pipeline`, up to an empty line");
    terminal.types("  a: sum");
    terminal.sees("an empty line ends the block");
    // A stage's usage comes first.
    terminal.types(" | sort ");
    terminal.sees("[by] e [asc|desc], …");
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("[1]› ");
    terminal.types(&pasted("%compare --for 20ms 1..10:\n  a: sum\n  b: map it\n    | sum"));
    terminal.sees("an empty line ends the block");
    terminal.enters("");
    terminal.sees("Enter runs it");
    terminal.enters("");
    terminal.sees("same result: 2/2 equal");
    terminal.sees("[2]› ");
    terminal.types("%%timeit -n 1 -r 2\r1 + 1");
    terminal.sees("a line %% ends the body");
}

/// Ctrl-C ends a measurement, and what was measured is a result.
#[test]
fn ctrl_c_keeps_what_was_measured() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("%timeit --for 1min 1..100k | map it * it | sum");
    terminal.sees(" samples · ");
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("the measurements so far are kept");
    terminal.sees("[2]› ");
    terminal.enters("len(_.samples) > 0");
    terminal.sees("true");
    terminal.ends();
}

/// The first rows of a long result are there while the rest is computed.
#[test]
fn a_result_streams_at_the_prompt() {
    let home = home();
    let mut terminal = start(home.path());
    for engine in ["batch", "rows"] {
        terminal.enters(&format!("1..100G | map n = it * 3 | on {engine}"));
        terminal.sees("│ 15 │");
        terminal.presses(ControlCode::EndOfText);
        terminal.sees("stopped");
    }
    terminal.enters("1..4 | map it * 100 | on polars");
    terminal.sees("│ 300 │");
    terminal.ends();
}

/// Ctrl-C, also pressed twice, stops the cell and leaves the shell with its names, whatever the engine.
#[test]
fn ctrl_c_gives_the_prompt_back() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("let n = 42");
    terminal.sees("[2]› ");
    let mut number = 2;
    // One process: a shell between two commands may lose the signal.
    let busy = "!awk 'BEGIN { print \"ready \" 6 * 7; fflush(); while (1); }'".to_string();
    for cell in ["1..100G | sum | on rows", "1..30M | sort by it % 7 | on polars", &busy, "1..100G | sum | on batch"] {
        terminal.enters(cell);
        // The bar and the command's words are there when the work is.
        terminal.sees(Regex("working|rows ·|ready 42"));
        terminal.presses(ControlCode::EndOfText);
        terminal.sees("stopped");
        // The signal of a second one, whether it comes before the prompt or after it.
        terminal.0.get_process_mut().signal(Signal::SIGINT).expect("the shell is there");
        number += 1;
        terminal.sees(format!("[{number}]› "));
        terminal.enters("n + 1");
        terminal.sees("\r\n43\r\n");
        number += 1;
        terminal.sees(format!("[{number}]› "));
    }
}

/// A file in the person's folder, with its path as a cell says it.
fn cells(home: &TempDir, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    std::fs::write(&path, text).expect("the file can be written");
    format!("{path:?}")
}

/// Ctrl-C, Ctrl-D and all but `y` mean no, at once; what is typed after them is a cell.
#[test]
fn a_file_that_can_do_anything_asks_first() {
    let home = home();
    let path = cells(&home, "cells.txt", "2 + 3\n!echo r\u{1b}[1mun\u{202e}ning $((6 * 7))\n");
    let mut terminal = start(home.path());
    let ask = |terminal: &mut Terminal| {
        terminal.enters(&format!("%run {path}"));
        let shown = terminal.sees("run them? [y/N] ");
        assert!(shown.contains("!echo r\\u{1b}[1mun\\u{202e}ning $((6 * 7))"), "{shown:?}");
    };
    ask(&mut terminal);
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("stopped: ");
    terminal.sees("[2]› ");
    terminal.enters("y");
    terminal.sees("unknown name `y`");
    terminal.sees("[3]› ");
    ask(&mut terminal);
    terminal.presses(ControlCode::EndOfTransmission);
    terminal.sees("was not run");
    terminal.sees("[4]› ");
    // A line without its end is no answer.
    ask(&mut terminal);
    terminal.types("y");
    terminal.presses(ControlCode::EndOfTransmission);
    terminal.sees("was not run");
    terminal.sees("[5]› ");
    ask(&mut terminal);
    terminal.enters("");
    terminal.sees("was not run");
    terminal.sees("[6]› ");
    ask(&mut terminal);
    terminal.enters("y");
    terminal.sees("\r\n5\r\n");
    terminal.sees("ning 42");
    terminal.ends();
}

/// After a signal that ends the shell the terminal is as before, at the prompt and in a run.
#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    const SCRIPT: &str = "stty sane; stty -a > before; sh -c 'echo $$ > pid; exec \"$0\"' \"$0\"; echo ended by $?; \
                          stty -a > after; echo all is written";
    const COMPUTES: &str = "1..10000000000 | map it * it | max";
    let rtmin = libc::SIGRTMIN();
    let also_while_it_computes = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1];
    let at_the_prompt = [
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGXCPU,
        libc::SIGPOLL,
        libc::SIGPWR,
        libc::SIGSTKFLT,
        libc::SIGSYS,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        rtmin,
        libc::SIGRTMAX(),
    ];
    for signal in also_while_it_computes.into_iter().chain(at_the_prompt) {
        let (status, name) = (128 + signal, format!("-{signal}"));
        let cells: &[&str] = if also_while_it_computes.contains(&signal) { &["", COMPUTES] } else { &[""] };
        for cell in cells {
            let home = home();
            let mut command = Command::new("sh");
            command.args(["-c", SCRIPT, env!("CARGO_BIN_EXE_timelab")]).current_dir(home.path());
            command.env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1");
            // SAFETY: the child makes system calls only.
            unsafe {
                command.pre_exec(|| {
                    // Under `nohup` it is ignored, and stays so.
                    libc::signal(libc::SIGHUP, libc::SIG_DFL);
                    libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
                    Ok(())
                });
            }
            let mut session = Session::spawn(command).expect("a shell starts");
            session.set_expect_timeout(Some(Duration::from_secs(60)));
            let mut terminal = Terminal(session);
            terminal.sees("[1]› ");
            if !cell.is_empty() {
                terminal.enters(cell);
                // Then the terminal is silent.
                terminal.sees(Regex("rows|working"));
            }
            let read = |name: &str| std::fs::read_to_string(home.path().join(name)).expect("it is written");
            let kill = Command::new("kill").args([&name, read("pid").trim()]).status();
            assert!(kill.expect("kill runs").success());
            terminal.sees(format!("ended by {status}"));
            terminal.sees("all is written");
            assert_eq!(read("before"), read("after"), "{signal} {cell}");
        }
    }
}

/// Ctrl-Z gives the terminal back, at the prompt and in a run, and `fg` goes on.
#[test]
fn ctrl_z_suspends_and_fg_continues() {
    let home = home();
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-i"]).current_dir(home.path());
    command.env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1").env("PS1", "outside> ");
    let mut session = Session::spawn(command).expect("bash starts");
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    let mut terminal = Terminal(session);
    terminal.sees("outside> ");
    terminal.enters("stty -a > before");
    terminal.sees("outside> ");
    terminal.enters(env!("CARGO_BIN_EXE_timelab"));
    terminal.sees("[1]› ");
    terminal.presses(ControlCode::Substitute);
    terminal.sees("Stopped");
    terminal.sees("outside> ");
    terminal.enters("fg");
    terminal.enters("let n = 40 + 2");
    terminal.sees("[2]› ");
    terminal.enters("1..10000000000 | map it * it % 7 | max");
    terminal.sees(Regex("rows|working"));
    terminal.presses(ControlCode::Substitute);
    terminal.sees("Stopped");
    terminal.enters("stty -a > after; cmp before after && echo as it was $((6 * 7)); fg");
    terminal.sees("was 42");
    terminal.sees(Regex("rows|working"));
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("stopped");
    terminal.enters("n + 1");
    terminal.sees("\r\n43\r\n");
}

/// Control characters of a paste, and those of a key that takes the next one as it is, never reach the terminal.
#[test]
fn control_characters_are_not_shown_while_one_types() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types(&pasted("\"a\u{7}\u{9b}31mb\u{202e}\""));
    let shown = terminal.sees("\u{fffd}\"");
    assert!(shown.contains("\u{2407}\u{fffd}31mb") && !shown.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{shown:?}");
    terminal.enters("");
    let shown = terminal.sees("[2]› ");
    assert!(shown.contains("a\\u{7}\\u{9b}31mb\\u{202e}") && !shown.contains(['\u{9b}', '\u{202e}']), "{shown:?}");
    // Ctrl-V, then Ctrl-G, which drops nothing and adds nothing.
    terminal.presses(ControlCode::SynchronousIdle);
    terminal.enters("6 * 7");
    terminal.sees("\r\n42\r\n");
    terminal.ends();
}

/// A yes is for the file as it is.
#[test]
fn trust_holds_until_the_cells_change() {
    let home = home();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    for folder in [&one, &two] {
        std::fs::create_dir(folder).expect("the folder can be made");
        std::fs::write(folder.join("cells.txt"), "!echo ran $((6 * 7))\n").expect("the file can be written");
    }
    let mut terminal = start(home.path());
    terminal.enters(&format!("%cd {}", one.display()));
    terminal.sees("[2]› ");
    terminal.enters("%run cells.txt");
    terminal.sees("run them? [y/N] ");
    terminal.enters("y");
    terminal.sees("ran 42");
    terminal.sees("[4]› ");
    std::fs::write(one.join("cells.txt"), "20 + 3\n!echo ran $((6 * 7))\n").expect("the file can be written");
    terminal.enters("%run cells.txt");
    // Any change asks again.
    terminal.sees("run them? [y/N] ");
    terminal.enters("y");
    let shown = terminal.sees("ran 42");
    assert!(shown.contains("\r\n23\r\n"), "{shown}");
    terminal.sees("[7]› ");
    std::fs::write(one.join("cells.txt"), "20 + 3\n!echo ran $((6 * 8))\n").expect("the file can be written");
    terminal.enters("%run cells.txt");
    terminal.sees("run them? [y/N] ");
    terminal.enters("n");
    terminal.sees("was not run");
    terminal.sees("[8]› ");
    terminal.enters(&format!("%cd {}", two.display()));
    terminal.sees("[9]› ");
    terminal.enters("%run cells.txt");
    terminal.sees("run them? [y/N] ");
    terminal.enters("y");
    terminal.sees("ran 42");
    terminal.ends();
}

/// `timelab FILE` in a terminal.
fn run_file(home: &TempDir, name: &str) -> Terminal {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command.current_dir(home.path()).arg(name).env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1");
    let mut session = Session::spawn(command).expect("timelab starts");
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    Terminal(session)
}

#[test]
fn a_file_on_the_command_line_asks_in_a_terminal() {
    let home = home();
    cells(&home, "cells.txt", "2 + 3\n!echo ran $((6 * 7))\n");
    let mut terminal = run_file(&home, "cells.txt");
    terminal.sees("!echo ran $((6 * 7))");
    terminal.sees("run them? [y/N] ");
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("stopped: \"cells.txt\" was not run");
    terminal.sees(Eof);
    let mut terminal = run_file(&home, "cells.txt");
    terminal.sees("run them? [y/N] ");
    terminal.enters("yes");
    terminal.sees("5\r\n");
    terminal.sees("ran 42");
    terminal.sees(Eof);
}

/// Ctrl-C ends Rust in each of its phases, and the variables of earlier cells are there.
#[test]
fn ctrl_c_stops_rust_while_it_compiles_and_while_it_runs() {
    // The compiler would compute the constant for years.
    let compiles = "rust { #[allow(long_running_const_eval)] const N: u64 = { let mut i = 0; \
                    while i < u64::MAX { i += 1 } i }; N }";
    for (cell, phase) in [("rust { println!(\"ready {}\", 6 * 7); loop {} }", "ready 42"), (compiles, "compiling Rust")]
    {
        let home = home();
        let mut terminal = start_rust(&home);
        terminal.enters("%%rust");
        terminal.enters("let kept = 41;");
        terminal.enters("%%");
        terminal.sees("[2]› ");
        terminal.enters("let n = 42");
        terminal.sees("[3]› ");
        terminal.enters(cell);
        terminal.sees(phase);
        terminal.presses(ControlCode::EndOfText);
        terminal.sees("stopped");
        terminal.sees("[4]› ");
        terminal.enters("n + 1");
        terminal.sees("\r\n43\r\n");
        terminal.sees("[5]› ");
        terminal.enters("rust { kept + 3 }");
        terminal.sees("44\r\n");
        terminal.ends();
    }
}

#[test]
fn tab_completes_in_rust() {
    let home = home();
    let mut terminal = start_rust(&home);
    terminal.enters("%%rust");
    terminal.enters("let keepsake = vec![40, 2];");
    terminal.enters("%%");
    terminal.sees("[2]› ");
    terminal.types("rust { kee\t");
    terminal.sees("keepsake");
    terminal.types(".iter().sum::<i32>() }\r");
    terminal.sees("42\r\n");
    terminal.ends();
}

#[test]
fn ctrl_c_drops_the_line() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types("1..10 | su");
    terminal.sees("1..10 | su");
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("\r\n");
    terminal.sees("[1]› ");
    terminal.enters("2 + 3");
    terminal.sees("\r\n5\r\n");
    terminal.ends();
}

#[test]
fn two_shells_leave_both_histories() {
    let home = home();
    let (mut one, mut other) = (start(home.path()), start(home.path()));
    one.enters("1 + 100");
    one.sees("\r\n101\r\n");
    other.enters("[1, 2,\r40] | sum");
    other.sees("43 │");
    one.enters("2 + 1000");
    one.sees("\r\n1002\r\n");
    one.ends();
    other.ends();
    let mut third = start(home.path());
    third.enters("%history --all");
    third.sees("› 1 + 100");
    third.sees("› [1, 2,");
    third.sees("  40] | sum");
    third.sees("› 2 + 1000");
    third.sees("[2]› ");
    // Up, past `%history`, 2 + 1000: the cell of two lines.
    third.types("\x1b[A\x1b[A\x1b[A\r");
    third.sees("43 │");
    third.ends();
}

#[test]
fn a_cell_is_in_the_history_before_it_ends_and_failed_ones_are_not_offered() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("3 + 400");
    terminal.sees("\r\n403\r\n");
    terminal.sees("[2]› ");
    terminal.enters("3 + 400 + nothing");
    terminal.sees("unknown name");
    terminal.sees("[3]› ");
    terminal.enters("!echo ready $((6 * 7)); cat");
    terminal.sees("ready 42");
    let killed = Command::new("kill").args(["-9", &terminal.0.get_process().pid().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let mut again = start(home.path());
    // The right arrow takes the grey rest of the last cell that begins so and did not fail.
    again.types("3 +\x1b[C\r");
    again.sees("\r\n403\r\n");
    again.sees("[2]› ");
    again.enters("%history --all");
    again.sees("✗ 3 + 400 + nothing");
    again.sees("› !echo ready");
    again.ends();
}

#[test]
fn vi_keys() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("%set keys vi");
    terminal.sees("[2]› ");
    // x in command mode takes the last character away.
    terminal.types("20 + 222");
    terminal.sees("20 + 222");
    terminal.types("\x1b");
    // The cursor goes back onto it.
    terminal.sees("\x1b[D");
    terminal.types("x\r");
    terminal.sees("\r\n42\r\n");
    terminal.ends();
}

#[test]
fn an_editor_changes_the_last_cell() {
    let home = home();
    let mut terminal = start_with(home.path(), 100, &[("VISUAL", ""), ("EDITOR", "sed -i s/40/50/")]);
    terminal.enters("40 + 3");
    terminal.sees("\r\n43\r\n");
    terminal.sees("[2]› ");
    terminal.enters("%edit");
    terminal.sees("50 + 3");
    terminal.sees("\r\n53\r\n");
    terminal.ends();
}

#[test]
fn long_tables_go_through_the_pager() {
    let home = home();
    let mut terminal = start_with(home.path(), 60, &[("PAGER", "tail -n 3 | tr 0-9 a-j")]);
    terminal.enters("1..51");
    terminal.sees("[2]› ");
    terminal.enters("%last");
    terminal.sees("ej");
    terminal.sees("fa");
    terminal.ends();
}

#[test]
fn a_pager_that_is_not_there_leaves_the_table_to_others() {
    let home = home();
    let mut terminal = start_with(home.path(), 60, &[("PAGER", "no-such-pager-of-timelab --quiet")]);
    terminal.enters("4441..4444 | sort by it desc");
    terminal.sees("[2]› ");
    terminal.enters("%last");
    terminal.sees("4443");
    terminal.sees("4441");
    terminal.ends();
}

#[test]
fn tables_fit_the_window() {
    let home = home();
    for (columns, hidden) in [(40, true), (200, false)] {
        let mut terminal = start_with(home.path(), columns, &[]);
        terminal.enters("read \"samples/packages.csv\" | take 5");
        terminal.sees("┌");
        let table = terminal.sees("[2]› ");
        // What the terminal is told beside the text ends the output.
        let drawn = table.lines().filter(|line| line.contains('│'));
        assert!(
            drawn.clone().count() == 6 && drawn.clone().all(|line| line.chars().count() <= columns.into()),
            "{table}"
        );
        assert_eq!(table.contains("more columns"), hidden, "{table}");
        terminal.enters("1..10 | fitler");
        terminal.sees("did you mean `filter`?");
        terminal.ends();
    }
}

#[test]
fn help_is_broken_between_words() {
    let home = home();
    let mut terminal = start_with(home.path(), 40, &[]);
    terminal.enters("%help big O");
    let shown = terminal.sees("[2]› ");
    let text: Vec<&str> = shown.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(text.len() > 3 && text.iter().all(|line| line.chars().count() <= 40), "{shown}");
    let words = text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("how a cost grows with its input; O(n²): twice the input costs four times"), "{shown}");
}

/// In a narrow window each topic keeps its line, and figures stay whole.
#[test]
fn help_and_figures_fit_a_narrow_window() {
    let home = home();
    let mut terminal = start_with(home.path(), 60, &[("PAGER", "cat")]);
    terminal.enters("%help");
    let help = terminal.sees("[2]› ");
    let topics: Vec<&str> = help.lines().filter(|line| line.starts_with("  %help")).collect();
    assert!(topics.len() > 15 && topics.iter().all(|line| line.trim().contains("  ")), "{help}");
    assert!(topics.iter().all(|line| line.matches("%help").count() == 1), "{help}");
    terminal.enters("%timeit --for 100ms 1..10k | map it * it | sum");
    let told = terminal.sees("[3]› ");
    assert!(told.lines().skip(1).all(|line| line.trim_end().chars().count() <= 60), "{told}");
    terminal.enters("%set");
    let told = terminal.sees("[4]› ");
    assert!(told.lines().skip(1).all(|line| line.trim_end().chars().count() <= 60), "{told}");
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let home = home();
    let mut terminal = start_with(home.path(), 80, &[("TERM", "dumb")]);
    terminal.enters("1..10 | sum");
    let shown = terminal.sees("· batch");
    assert!(shown.contains("45") && !shown.contains('\x1b'), "{shown:?}");
    // A plain line is read there, where Ctrl-D always ends.
    terminal.sees("]› ");
    terminal.leaves();
}

fn written(home: &TempDir, name: &str, text: &str) -> PathBuf {
    let folder = home.path().join(".config/timelab");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the file can be written");
    path
}

#[test]
fn a_shell_starts_with_its_configuration_and_first_cells() {
    let home = home();
    written(&home, "config.toml", "engine = \"rows\"\ntiming = \"off\"\n");
    written(&home, "init.txt", "let mine = 7\nfn twice(x) = x * 2\n");
    let mut terminal = start(home.path());
    terminal.enters("twice(mine)");
    let shown = terminal.sees("[2]› ");
    assert!(shown.contains("14") && !shown.contains("µs"), "{shown}");
    terminal.enters("%set");
    terminal.sees(Regex("engine +rows"));
    terminal.ends();
}

#[test]
fn a_mistake_in_the_configuration_is_told() {
    let home = home();
    written(&home, "config.toml", "sede = 7\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command.env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1");
    let mut terminal = Terminal(Session::spawn(command).expect("timelab starts"));
    terminal.sees("unknown setting `sede`");
    terminal.sees("did you mean `seed`?");
    terminal.ends();
}

#[test]
fn tab_completes_families_baselines_and_columns_behind_options() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types("%compare n in 100..400: ana\t");
    terminal.sees("anagrams");
    terminal.presses(ControlCode::EndOfText);
    terminal.sees("[1]› ");
    terminal.enters("%timeit -n 1 -r 2 --clock w\t 1 + 1");
    terminal.sees("wall time");
    terminal.sees("[2]› ");
    terminal.enters("%base\t sav\t yester-day");
    terminal.sees("yester-day keeps cell 1");
    terminal.sees("[3]› ");
    terminal.enters("%compare --for 20ms --against yes\t 1 + 1");
    terminal.sees("against `yester-day`");
    terminal.sees("[4]› ");
    terminal.types("%timeit -n 1 --setup (let t = read \"samples/depends.csv\") t | count by \t");
    terminal.sees("depends");
    terminal.sees("column: text");
}

#[test]
fn a_body_is_typed_up_to_its_mark() {
    let home = home();
    let mut terminal = start(home.path());
    for line in ["%%timeit -n 1 -r 3 let n = 10", "1..n", "| sum"] {
        terminal.enters(line);
    }
    terminal.enters("%%");
    terminal.sees("3 samples × 1 call");
    terminal.ends();
}

/// Whatever step polars is in: the prompt is back, and the names are there.
#[test]
fn ctrl_c_ends_a_long_timed_run() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("let n = 41");
    terminal.sees("[2]› ");
    let mut number = 2;
    for cell in ["%timeit 1..30M | sort by it % 7 | on polars", "%compare --on polars,rows 1..30M | sort by it % 7"] {
        terminal.enters(cell);
        terminal.sees(Regex("working|first run"));
        terminal.presses(ControlCode::EndOfText);
        terminal.sees("stopped");
        number += 1;
        terminal.sees(format!("[{number}]› "));
        terminal.enters("n + 1");
        terminal.sees("\r\n42\r\n");
        number += 1;
        terminal.sees(format!("[{number}]› "));
    }
}

#[test]
fn the_progress_bar_is_gone_when_a_cell_is_stopped() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("1..100G | sum | on rows");
    terminal.sees("rows ·");
    terminal.types("x");
    terminal.presses(ControlCode::EndOfText);
    let before = terminal.sees("stopped");
    assert!(!before.contains("^C") && before.ends_with("\r\x1b[2K"), "{before:?}");
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.types("1 + 1\r20 + 3\r300 + 4\r");
    for result in ["\n2\r", "\n23\r", "\n304\r"] {
        terminal.sees(result);
    }
    terminal.sees("[4]› ");
}

#[test]
fn tab_runs_no_rust() {
    let home = home();
    let path = home.path().join("ran.txt");
    let block = format!("rust {{ std::fs::write({path:?}, \"\").is_ok() }}");
    let mut terminal = start_rust(&home);
    for before in [block.clone(), format!("let x = {block} ; x"), format!("%timeit --setup (let x = {block}) x")] {
        terminal.types(&format!("{before} | map is_nu\t"));
        terminal.sees("is_null");
        assert!(!path.exists(), "{before}");
        terminal.presses(ControlCode::EndOfText);
        terminal.sees("]› ");
    }
    terminal.enters(&block);
    terminal.sees("true");
    assert!(path.exists());
}

#[test]
fn a_tutorial_is_played_step_by_step() {
    let home = home();
    let path = home.path().join("t.md");
    let text = "# One\n\nSome words\nin a paragraph.\n\n```console timelab\n› let a = 20 + 1\n› a * 2\n```\n\n\
                <!-- timelab: hidden -->\n```console timelab\n› let b = 7\n```\n\n\
                <!-- timelab: stop ask=\"How many?\" -->\n```console timelab\n› a + b\n› a + b + 1\n```\n";
    std::fs::write(&path, text).expect("the folder can be written");
    let mut terminal = start(home.path());
    // In a shell, the file is only run; a tutorial of its own is a command.
    terminal.enters("%tour");
    terminal.sees("The stopwatch");
    terminal.ends();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command.arg("play").arg(&path).env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1");
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
    let mut session = Session::spawn(command).expect("timelab starts");
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    let mut terminal = Terminal(session);
    terminal.sees("Some words in a paragraph.");
    terminal.sees("[1]› let a = 20 + 1");
    terminal.sees("▸ ");
    terminal.enters("");
    terminal.sees("[2]› a * 2");
    terminal.sees("▸ ");
    // What is typed at a stop is a cell.
    terminal.enters("a * 1000");
    terminal.sees("21000");
    terminal.sees("▸ ");
    terminal.enters("");
    terminal.sees("42");
    terminal.sees("[5]› a + b");
    terminal.sees("▸ ");
    terminal.enters("b");
    terminal.sees("back: the cells before this one ran again");
    terminal.sees("[2]› a * 2");
    terminal.sees("▸ ");
    terminal.enters("s");
    terminal.sees("[3]› a + b");
    terminal.sees("▸ ");
    terminal.enters("");
    terminal.sees("How many?");
    terminal.enters("a million");
    terminal.sees("28");
    terminal.sees("▸ ");
    terminal.enters("q");
    terminal.sees("the session stays");
    terminal.sees("]› ");
    terminal.enters("b + 100");
    terminal.sees("107");
    terminal.ends();
}

/// Kills the shell behind some cells, while it runs one more: it is lost at most, and the file is whole.
#[test]
fn a_kill_loses_at_most_the_running_cell() {
    for round in 0..crate::notebook::kills() {
        let home = home();
        let mut terminal = start(home.path());
        let cells = 1 + fastrand::usize(..4);
        for i in 1..=cells {
            terminal.enters(&format!("let a{i} = {i}"));
            terminal.sees(format!("[{}]› ", i + 1));
        }
        terminal.enters("let last = 7");
        (0..fastrand::usize(..20_000)).for_each(|_| std::hint::spin_loop());
        let killed = Command::new("kill").args(["-9", &terminal.0.get_process().pid().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        terminal.sees(Eof);
        drop(terminal);
        let autosave = Autosave::at(&home.path().join(".local/state/timelab/sessions"));
        let lost = autosave.notice().unwrap_or_else(|| panic!("{round}: nothing was saved"));
        let text = std::fs::read_to_string(&lost).expect("it is there");
        let notebook = Notebook::parse(&text).unwrap_or_else(|faulty| panic!("{round}: {faulty:?}\n{text}"));
        let inputs: Vec<String> = notebook.cells().map(|(_, cell)| cell.input.clone()).collect();
        let mut expected: Vec<String> = (1..=cells).map(|i| format!("let a{i} = {i}")).collect();
        if inputs.len() > cells {
            expected.push("let last = 7".to_string());
        }
        assert_eq!(inputs, expected, "{round}");
        let folder = lost.parent().expect("it is in one");
        let names: Vec<_> = std::fs::read_dir(folder).expect("it is there").flatten().collect();
        assert_eq!(names.len(), 1, "{round}: {names:?}");
    }
}

#[test]
fn a_session_that_was_killed_is_restored() {
    let home = home();
    let mut terminal = start(home.path());
    terminal.enters("let precious = 4711");
    terminal.sees("[2]› ");
    terminal.enters("1 // 0");
    terminal.sees("[3]› ");
    let killed = Command::new("kill").args(["-9", &terminal.0.get_process().pid().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    terminal.sees(Eof);
    drop(terminal);
    let mut terminal = start(home.path());
    terminal.enters("%restore");
    terminal.sees("[3]› ");
    terminal.enters("precious + 1");
    terminal.sees("4712");
    terminal.ends();
    // What was brought back is noticed no more.
    let mut terminal = start(home.path());
    terminal.enters("%set autosave off");
    terminal.ends();
}
