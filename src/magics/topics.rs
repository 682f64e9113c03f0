//! The help topics: texts with headings, whose examples can be typed as they stand.

/// Topics by name, in the order in which `%help` lists them.
pub static ALL: &[(&str, &str)] = &[
    ("language", LANGUAGE),
    ("files", FILES),
    ("timing", TIMING),
    ("comparing", COMPARING),
    ("growth", GROWTH),
    ("notebooks", NOTEBOOKS),
    ("shell", SHELL),
    ("memory", MEMORY),
    ("counters", COUNTERS),
    ("trust", TRUST),
    ("sql", SQL),
];

/// Names of parts of a topic, by their headings.
const PARTS: [(&str, &str, &str); 7] = [
    ("jupyter", NOTEBOOKS, "Jupyter"),
    ("kernel", NOTEBOOKS, "Jupyter"),
    ("test", NOTEBOOKS, "Testing"),
    ("autosave", NOTEBOOKS, "After a crash"),
    ("export", NOTEBOOKS, "Other forms"),
    ("import", NOTEBOOKS, "Other forms"),
    ("play", NOTEBOOKS, "Playing and running"),
];

/// The part of a topic with this name; the name may mean something else too.
pub fn part(name: &str) -> Option<&'static str> {
    let (_, topic, heading) = PARTS.iter().find(|(part, ..)| *part == name)?;
    topic.trim_start_matches('\n').split("\n\n").find(|part| part.lines().next() == Some(heading))
}

pub fn find(name: &str) -> Option<&'static str> {
    let name = if name == "pandas" { "sql" } else { name };
    ALL.iter().find(|(topic, _)| *topic == name).map(|(_, text)| text.trim_start_matches('\n'))
}

/// What `%help` alone shows. No line is longer than 60 columns, so that narrow windows do not break it.
pub const START: &str = r#"A pipeline is a source and stages, separated by bars:

  read "samples/kjv.txt" | words | count by word | top 10
  1..1M | map it * it | sum

Ask what it costs:

  %time 1..1M | sum          runs it once: time, memory
  %timeit 1..1M | sum        takes many samples of a run
  %compare 1..1M | sum, 1..1M | map it + 0 | sum
                             shows which one is faster
  %bigo letters n | join ""  how the cost grows with n
  %prof 1..1M | sum          where the time goes
  %race counter              what threads do to a counter
  %concurrency               threads, processes, event loops

The lab
  %structures        lists, dicts and deques, measured
  %magnitudes        how long n, n log n, n² steps take
  %latency           cache, memory, disk and network
  %c10k              10,000 connections to an echo server
  %amdahl            the speed-up on more cores
  %contention        threads that wait for a lock
  %async             one thread, many requests

Topics
  %help language     cells, values, operators, names
  %help files        what `read` and `write` understand
  %help stages       what can follow a bar
  %help functions    what can stand in an expression
  %help magics       the commands that begin with %
  %help timing       how times are measured
  %help comparing    when a difference counts
  %help growth       how a Big-O class is found
  %help engines      how a pipeline can run
  %help algorithms   families of algorithms
  %help race         the language of races
  %help rust         blocks, cells, functions in Rust
  %help notebooks    tutorials, and files with outputs
  %help shell        keys, results, files of the shell
  %help settings     what %set changes
  %help memory       how much a run may use
  %help counters     what a run counts beside its result
  %help trust        what a file may do unasked
  %help sql          stages for SQL and pandas users
  %help glossary     terms of the field

One name
  count?             a stage, a function or a term
  sorting?           a family; sorting?? its sources
  groupby?           a word of another tool
  %help --find TEXT  searches all help texts"#;

const COUNTERS: &str = r#"
What they count
  counter("label", e) gives e. A bool counts its true rows, an int is added up; null counts nothing.
  The counters of a run stand below its result: name, value. `_.counters` is that table. Counters of one label are one.

Where they stand
  In filter, map and derive, as a whole or as a part of an expression. Not where `if`, `and`, `or` or `coalesce` may
  skip it: each row must be counted.
  A column that nothing needs is counted all the same.

Each row counts once
  On threads, workers and mapreduce an attempt at a task counts when its output is taken: work that is done again
  counts once.
  In the rounds of `iterate` each round counts.
  Where a `take` behind it ends the run early, only the rows up to there are counted; how many that are depends on the
  engine, and a note says so. native counts nothing: it objects.

Examples
  › 1..1000 | filter counter("even", it % 2 == 0) | sum
  › _.counters
  › 1..10 | derive x = counter("total", it) | count"#;

const MEMORY: &str = r#"
The limit of a run
  A run may use nine tenths of the memory that is free: the least of the machine's available memory, the container's
  limit and the limit of the process (`ulimit -v`). %set memory 400MB sets another limit, above what the session holds;
  %set memory shows it, %set memory auto takes it back.
  A run that needs more ends with an error, also inside a step. Names and results stay.

With a limit that you set
  batch, threads  go on in a scratch file: an aggregate by keys, group, sort, distinct, reverse and join. The status
                  line says how much was spilled. A step that cannot do that stops with an error that names it
  workers         their processes hold what they can; what is merged in the shell goes on in a scratch file
  rows, native, polars
                  hold all in memory and stop with an error at the limit: rows and native show what plain code costs
  one run         ends with | on batch memory 64MB, or | on threads memory 64MB
  %set scratch    chooses the folder of scratch files, which have no name and end with the run

What it covers
  batch, rows, threads
                all that they allocate, and what is computed without an engine
  workers       half of the limit in the shell, and the other half in equal shares in the worker processes
  polars        its threads too, but only allocations from 1 KiB on: millions of short lists can take three times the
                limit
  native, Rust  they run in a process of their own, whose address space has the limit

What it does not cover
  Rust compiler  from the first Rust cell on, timelab itself holds about 0.4 GiB more: the library behind Rust cells
                 reads your code there. rustc and cargo are processes of their own, without the limit
  commands       `!command` may use what the system gives it
  mapped files   the system takes their memory back when it needs it

With less memory
  persist         keeps a table as it is; `persist compressed` takes less memory, `persist disk` a scratch file
  An aggregate, `top` or `take` keeps fewer rows than a table. `write` streams on batch and rows.
  Results are kept up to 256 MiB in total. %whos shows what names hold, %del and %reset remove them.

Examples
  › %set memory 400MB
  › 1..1k | flat_map range(0, 10k) | count
  › %set memory auto"#;

const TRUST: &str = r#"
Who is asked
  Cells that you type, -c and standard input run without a question. A file of cells may come from someone else:
  %run FILE, `timelab FILE`, `timelab run` and `timelab play` show the cells that can do anything, and ask.
  Where nobody can answer, such a file is refused; --trust runs it: %run --trust FILE, timelab --trust FILE.

What a file can do without being asked
  Read what you can read, compute, and overwrite ordinary files in the current folder.
  Start timelab's own programs: `store`, %c10k, %latency, %concurrency and %async start servers and processes of
  timelab, which talk to each other on this machine only (127.0.0.1, sockets, pipes) and end with their cell or name.
  Leave traces: %latency writes a test file under ~/.cache/timelab and removes it; %baseline writes and drops saved
  measurements under ~/.local/state/timelab.
  Change the settings of this session.

What it cannot do without a yes
  Run commands or Rust, also by `on native`. Write outside the current folder, hidden files in it, or over a
  read-only file. Reach another machine. Change the folder. Links are followed before that is decided.

The question
  It says how many cells need trust, and shows them with the cells that they depend on, such as a `let` that they use.
  Control characters and characters that nobody would see are shown as \u{1b}, also in the name of the file.
  A long question goes through the pager. Only y or yes runs the file. The answer holds for the file as it is: any
  change asks again. A file that it runs is asked about separately.

Example
  › %run scripts/first-steps.txt"#;

const GROWTH: &str = r#"
What is measured
  %bigo runs a subject at growing sizes and fits a curve of each class to its costs. Steps, space and bytes are counted
  and repeat exactly; a time is disturbed by whatever else runs. So the counts say the class, the time the constant.

    %bigo n in 1k..64k: letters n | join ""
    %bigo --steps sorting

What the lines say
  O(n log n)            the class whose curve fits; only the answer is written with an O
  exponent 1.06 ±0.03   the slope on log scales in the upper half of the sizes, and how far it may be off
  also: n               a class that fits nearly as well
  no class of the list  a power of n that is in no class, as n⁴; its exponent stands beside it
  n!                    n! steps, or n steps for each of n! results

Why nothing is claimed
  sizes were measured   Five sizes are needed. --for takes more time, a sweep names others.
  less than 4 times     The largest size is less than four times the least: every class looks alike there.
  hides the growth      A constant is so large that the rest hardly shows. Larger sizes may show it.
  hides … but 3 sizes   Only so many sizes have left the constant behind; five are needed.
  is off by             The curve of the nearest class misses the sizes by more than this kind of cost scatters.
  depart                The largest sizes leave the curve, or their exponent is not that of the class: the class may
                        change on the way, a cache may end, or the cost is a power between two classes. By time also
                        where some of the sizes alone are of another class.
  time grows faster     Compiled code of the standard library counts no steps, and the time shows that it matters.
  several classes fit   These sizes do not tell the classes apart: a wider sweep may. By time, n log n bends as n does
                        where n² begins to show.
  failed, did not end   A size failed, or took twice the time of the subject.
  stopped               You pressed Ctrl-C. What was measured is kept, and no class is claimed from a part.
  not counted           The steps could not be counted, and why: Rust that uses more than n, or no toolchain.
  Where no class is claimed, _.class, _.exponent, _.low, _.high and _.c are null.

Claims of families
  yes                       the class by steps is the one that theory claims
  yes, it grows slower      the claim is an upper bound, and this input stays below it
  cannot be told apart      another class fits as well at these sizes, as n log log n and n
  only a bound is claimed   theory speaks of the worst input only, as for a sudoku
  no                        the class by steps is another one

See also: %bigo?, %magnitudes, %structures?, %help timing"#;

const NOTEBOOKS: &str = r#"
What a notebook is
  Markdown. A fence that begins with ```console timelab holds cells and what they printed; all else is text.
  › begins a cell, … continues it. What follows is its output; a line of output that begins with › … or \ has a \
  before it. ```console timelab width=100 format=csv sets the width of the output (80 unless specified) and the format
  of tables.

Playing and running
  %tour                        lists the tutorials, %tour 1 plays the first
  timelab play FILE.md         text, then a cell: Enter runs it, s skips it, b goes back, q leaves you in the session
  timelab run FILE.md          runs the cells; so do timelab FILE.md and %run FILE.md
  timelab run FILE --save OUT.md   writes a notebook with the outputs, whole after each cell
  %save FILE.md                writes this session as a notebook; FILE.ipynb as one of Jupyter
  A file that is there is replaced only if it is FILE itself or what the same command has written before from the same
  cells, else with --force. This holds for run --save, export -o and import -o. A read-only file is never replaced.
  The choice of a thread to run next in a race has a help of its own: %race play?

Testing
  timelab test FILE.md …       runs each file in a fresh session and compares the outputs
  What was measured may differ, what was counted may not. The lines of tables and runs of spaces are not compared, and
  a status line that the file leaves out is not either; bars must stand between the cells. Rows that are sorted by what
  was measured are compared as a set. A row may be missing only where the file or this run says why.
  Behind a measurement another run may print other notes: the file may have other sentences there that this kind of
  measurement says, each once, and no other line. Which verdict by times it has is not compared, but sentences, verdicts
  and figures of one output must agree with each other: claim what matters with %check.
  --update writes the outputs that differ. --slow runs slow cells too. --jobs N tests N files at once.
  --junit FILE writes results for a server of tests, a case for each cell.
  --trust runs cells that hold Rust or commands.
  %check EXPRESSION claims that it is true. A claim that fails is measured once more before it counts; then the test
  fails, whatever the file says.
  Exit status: 0 all equal; 1 a difference, a failed claim or a faulty file; 2 a bad command line.

Directives
  A comment right before a fence: <!-- timelab: slow needs="cores>=4" -->; several add up
  auto              play does not wait
  stop ask="10×?"   play asks before it shows the output
  hidden            runs, and is not shown by play and exports; Jupyter gets it as a hidden cell, md keeps it
  slow              runs in test only with --slow
  skip              is not run
  needs="…"         else skipped: cores>=N, memory>=4GB, rust, python, spark, dask, beam, ray; a comma means and

Other forms
  timelab export FILE.md --to html|ipynb|json|md [-o OUT]   runs it first; --no-run takes the texts of the file
  timelab import FILE.ipynb [-o OUT.md]   each cell in a cell of Jupyter gets its ›; the output is behind the last

Jupyter
  timelab kernel install     tells Jupyter of the kernel; --prefix DIR for one installation. uninstall takes it back
  Cells, completion, help of names, Stop and questions work in JupyterLab, jupyter console and nbclient.
  Stop keeps what was measured until then, and the cells that wait are not run. To end, shut the kernel down.

After a crash
  The shell saves the cells that did not fail after each one. The next start says so, %restore runs them again.
  %set autosave off stops it."#;

const SHELL: &str = r#"
Typing
  Tab completes. → takes the grey rest of an earlier cell. Unknown words and unclosed quotes and brackets are red.
  A cell continues after a trailing |, in an open bracket and after %%. Two empty lines run an incomplete cell.
  Alt-Enter starts a new line. A | at the start of a cell continues from the last result.
  Pasted lines are split into cells like a file.

Recalling
  ↑ ↓ and Ctrl-R find earlier cells of all sessions. %history --find TEXT lists them.
  %set keys vi chooses vi key bindings. %edit opens the last cell in $VISUAL or $EDITOR.

Stopping
  Ctrl-C drops the line, or stops the cell that runs; names and results stay. If an engine needs longer than
  100 ms to stop, the prompt returns anyway, and the next run waits for the engine.
  exit, quit, or Ctrl-D on an empty line leave the shell. Ctrl-Z suspends it; `fg` in the shell around it continues.

Results
  _ is the last result, _3 the result of cell 3, _3.wall one of its figures. _.wall is the wall figure of the latest
  result that has one. `_?` lists the figures. `| sum` continues from the last result.
  Results are kept up to 256 MiB in total; the oldest are dropped first, but their figures are kept.
  `let big = … | persist` keeps a table, %whos lists names and results. %baseline save NAME writes the
  measurement of %compare or %timeit to a file, for other sessions.

Cells in files
  %save FILE writes cells. %run FILE, `timelab FILE` and `timelab < FILE` run them.
  Rust and commands of a file are shown before they run. Your answer is remembered until they change. Without a
  terminal they require --trust: %run --trust FILE, timelab --trust FILE.

Settings
  `timelab config --write` creates a commented file of settings, which every shell reads when it starts. Then the
  cells of init.txt beside it run. `timelab completions bash` completes the command line."#;

const LANGUAGE: &str = r##"
Sources
  1..10 (without 10), 1..=10, [1, 2], read "path", letters 10 seed 1, random 10, a name, (pipeline)
  rust { (0..10u64).sum::<u64>() }; rust with n, words { … } takes names of the session along
  let kv = store delay 5ms starts a key-value server that answers late; get(kv, 3) asks it, kv | … reads all pairs

Values
  42, 1_000, 64k 5M 1.5k (powers of 1000), 2KiB (of 1024), 1.5, 2e3, 10ms 2s 3min (floats of seconds)
  "text\n", 'text', r"raw", true, false, null, [1, 2, 3]
  Ints never wrap: an overflow is an error with its row. Sums are exact.
  Text is UTF-8; len, slice and reverse count characters.

Operators
  or, and, not, == != < <= > >= in (not in), + -, * / // %, -x, xs[0], _3.wall
  // rounds down, % has the sign of the divisor, / returns a float. + also joins two texts or two lists.
  if x > 0 then 1 else if x == 0 then 0 else -1

Null
  Arithmetic and comparison with null return null. A filter and an `if` treat null as false. Aggregates skip it.
  A function with a null argument returns null, except is_null and coalesce. x in xs skips nulls in xs.

Names
  let n = 10k
  fn double(x) = x * 2
  fn square(x: int) -> int = rust { x * x }
  Write a column name with spaces or signs in backquotes: `installed kib`
  `it` is the only column, `acc` the state of fold, scan and reduce, `_` the last result, `_3` the result of cell 3.

Order
  Files and ranges have an order. Stages with `by`, distinct and join lose it; sort and top create one.

Cells
  `;` separates the statements of a cell. A line that begins with `|` or white space continues the cell.
  # begins a comment. !command runs a system command, let x = !command keeps its output lines.

Magics
  %magic [--option [value]] …   put a value with spaces in quotes or (brackets); `--` ends the options
  A first line that ends with `:` opens a block: each line indented like the first is a variant
  `name: pipeline`, deeper lines continue it. `n in 1k..16k:` before the subject is a sweep: n doubles each time.
  `by 1k`, `times 4` and n in [1, 5] choose other points. Both ends are included.
  %%magic takes the lines below it as its body, up to a line %% or the end."##;

const FILES: &str = r##"
Reading
  read "x.csv" [as csv|json|parquet|arrow|text] [columns a, b] [types a: int, b: text] [sep ";"]
      [header false] [null "-"] [comment "#"] [ragged true] [lossy true]
  The extension determines the format. .gz and .zst are decompressed. "logs/*.csv" reads files in the order of their
  paths, with the columns of the first.
  "-" is standard input (with -c), also compressed. As text it is read line by line, no further than needed; csv
  and json start after the first MiB or at the end, because the types are inferred from it.

Writing
  … | write "out.parquet" writes the whole file or nothing.
  … | write "out/" parts 8 as parquet writes a folder of 8 files and manifest.json, which lists them and the columns,
  whole or not at all. The folder must be new or empty. read "out/part-*" reads the rows back in order.
  … | tee a: (sum), b: (top 3) computes several results in one pass.
  `write` does not quote numbers; a note names text columns that would be read back as another type.

csv
  Types are inferred from the first MiB of the first file, and of the next files as long as a column has no value.
  `types` states them instead. Quotes do not make text: "9" is an int.
  An empty field is null, "" is empty text in a text column. NA, N/A, n/a, NULL, null and None are null among
  numbers and bools; null "-", "x" sets which texts are null instead. A column that has only these in the sample
  is text unless a stage uses it as numbers; a note says so.
  0870 and +15550100 stay text. nan and inf are floats. A column with an int beyond 64 bits is text.
  Without `sep` the first ten records determine the separator (, ; tab |). .tsv and .tab have tabs.
  With `header false`, `columns` names all columns. LF, CRLF and CR end records.
  An unused column is split and checked for UTF-8, but not converted.

json
  One object per line, or a .json file that is an array of objects, as --format json prints it (with null for NaN
  and infinity). Nested objects become columns `a.b`. In a text column, other values are kept as json.

parquet and arrow
  Dates become ISO text, structs columns `a.b`. An unsigned int that does not fit into int is an error. Only
  columns that are used need a supported type."##;

const TIMING: &str = r#"
What is timed
  %time runs a statement once and shows its cost: wall and CPU time, memory, allocations, throughput, and whether
  the processor or waiting limits it. %timeit takes many samples of one pipeline. The pipeline is bound and
  prepared once; only its run on the engine is timed. `--setup` runs first and is not timed.

Samples
  A sample is a batch of calls that takes 50 µs, or one call if that is longer: short samples fit between the
  interruptions of a busy machine. -n sets the calls per sample, -r the samples, --for the time. The overhead of
  the loop and the clock is measured first and subtracted. A calibration that was interrupted starts again.

Clocks
  Short samples are timed by wall time, samples over 200 µs by CPU time of the thread, unless that misses work:
  wall time, CPU time of the thread and of the process, and the time that the thread waited for a processor are
  compared first. If several threads or processes work, or the thread waits, it is wall time.
  --clock wall|cpu chooses the clock; a note says what it misses.

Figures
  median, then the interquartile range (IQR: the width of the middle half), best, and the number of samples times
  calls. Outliers are kept and counted. `_.median`, `_.samples` and others are values for later cells.
  CPU time and allocations of %time are sums over the shell and the processes that run Rust for it. Compiling and
  starting are shown separately (`_.compile`, `_.start`). User and system time are shown from 100 ms of CPU time on.

Limits
  If the time is below the overhead, or one sample has no error bar, the output says so. The first %timeit of a session
  shows how noisy the machine is. Ctrl-C keeps what was measured.

See also: %help comparing, %timeit?, %time?"#;

const COMPARING: &str = r#"
Samples in turns
  %compare takes one sample of each variant in rounds, in random order (ABBA or BAAB for two), so that a machine that
  gets slower slows all variants alike. The speed-up is the median of the ratios within turns.
  The results must be the same; otherwise there is no winner and the first difference is shown.

Verdicts
  same               the interval of the speed-up lies within ±1 %
  faster, slower     the interval lies outside ±1 %, for commands ±0.5 %
  not resolved       neither, or the turns took less than 20 ms, or later samples contradict the first verdict
  faster (ranges)    fewer than 25 turns in the time, and the ranges do not overlap: a weaker verdict
  no work left       the time is below the overhead of a call, for example if the compiler computed the result
  below the resolution   a call takes at most twice the overhead of calling, or a sample less than the clock resolves
  no verdict         --clock cpu was chosen, but it misses work

The interval
  It comes from the sign test, with 95 % confidence over all variants and over the checks after 25, 50, 100 … 6400
  rounds at which a comparison may end. It also covers the variation between 24 blocks of time, and between the
  processes that took part. The resolution of the clock is added. `--for` limits the time (10 s unless specified).

Baselines
  The first variant is the baseline; --base NAME chooses another one. A sweep keeps one baseline for all sizes.
  %baseline save NAME keeps a measurement, %compare --against NAME compares with it later.

Comparing less
  %compare sorting only quick, merge      some variants of a family
  %compare --on rows,batch 1..1M | sum    one pipeline on several engines
  std::hint::black_box hides an input from the compiler of Rust blocks, as does a name of the session
  (rust with n { … }).

See also: %help timing, %compare?"#;

const SQL: &str = r#"
SQL                             pandas                     here
  SELECT a, b                   df[["a", "b"]]             | select a, b
  SELECT a * 2 AS c             df.assign(c=df.a * 2)      | derive c = a * 2
  FROM 't.csv'                  read_csv("t.csv")          read "t.csv"
  WHERE a > 1                   df[df.a > 1]               | filter a > 1    (or where)
  WHERE a IS NULL               df[df.a.isna()]            | filter is_null(a)
  GROUP BY g                    df.groupby("g")            | agg n = count(), s = sum(a) by g
  HAVING n > 2                                             a filter after the agg
  COUNT(*) … GROUP BY g         df.g.value_counts()        | count by g
  COUNT(DISTINCT a)             df.a.nunique()             | agg n = n_distinct(a)
  ORDER BY a DESC               sort_values("a")           | sort by a desc
  LIMIT 3                       df.head(3)                 | take 3    (or limit, head)
  OFFSET 3                      df.iloc[3:]                | skip 3
  ORDER BY a DESC LIMIT 3       df.nlargest(3, "a")        | top 3 by a
  SELECT DISTINCT               drop_duplicates()          | distinct
  JOIN u ON t.k = u.k           df.merge(u, on="k")        | join u on k
  LEFT JOIN                     how="left"                 | join left u on k
  UNION ALL                     pd.concat([t, u])          | concat u
  CASE WHEN … THEN … END        np.where(…)                if … then … else …
  COALESCE(a, 0)                df.a.fillna(0)             coalesce(a, 0)
  CAST(a AS int)                df.a.astype(int)           int(a)
  a LIKE '%x%'                  df.a.str.contains("x")     contains(a, "x")
  CREATE TABLE … AS                                        let t = … | persist
  COPY … TO 't.parquet'         df.to_parquet("t.parquet") | write "t.parquet"
  EXPLAIN                                                  %explain …"#;
