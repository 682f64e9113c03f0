//! `%plan`: a pipeline as a program for another engine.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Statement, Takes};
use crate::remote::spark;
use crate::run_context::RunContext;
use crate::session::{Bound, Session};

use super::{Answer, Magic, Offers};

pub static PLAN: Magic = Magic {
    syntax: MagicSyntax {
        name: "plan",
        usage: "%plan [--as sql|spark|sail] PIPELINE",
        takes: Takes::Statement,
        options: &[("--as", true)],
    },
    about: "prints the pipeline as SQL, or as a program in Python, that means the same there\n\
            \n\
            Targets\n  \
            sql    a query in Spark's SQL, unless specified; each part is a step of the plan\n  \
            spark  the same in a program for PySpark and a Spark server\n  \
            sail   the same for the server that %engine start sail starts\n\n\
            What it says\n  \
            Exactly what `| on spark` runs: ints that may overflow are computed in decimals, nulls stand last, ties\n  \
            are broken by the other columns. What cannot be said there is an error with its reason. Lists and kept\n  \
            tables are written out, up to 1,000 rows; files stand by their paths.",
    examples: &["%plan 1..1000 | filter it % 7 == 0 | sum", "%plan --as spark [3, 1, 2] | top 2"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let target = magic.option("--as").flatten();
    let word = target.map_or("sql", |target| target.text.as_str());
    if !matches!(word, "sql" | "spark" | "sail") {
        let span = target.map_or(magic.span, |target| target.span);
        let error = match word {
            "dask" | "ray" | "beam" | "polars" => {
                let message = format!("no program is printed for {word}: targets are sql, spark and sail");
                Diagnostic::at(Kind::Type, span, message).hint(format!("| on {word} runs the pipeline there"))
            }
            _ => {
                let message = format!("unknown target `{word}`: targets are sql, spark and sail");
                Diagnostic::at(Kind::Type, span, message).near(word, ["sql", "spark", "sail"])
            }
        };
        return Err(error);
    }
    let statement = if let Argument::Statement(statement) = &magic.subject { Some(&**statement) } else { None };
    let Some(Statement::Pipeline(pipeline)) = statement else {
        return Err(
            Diagnostic::at(Kind::Syntax, magic.span, "`%plan` needs a pipeline").hint("for example: %plan 1..10 | sum")
        );
    };
    let plan = match session.bind(pipeline)? {
        Bound::Table(plan) => plan,
        Bound::Value(value, ty) => return Ok(Answer::text(format!("a value: {value}, {ty}; no engine is needed"))),
    };
    let (plan, end) = plan.split_end();
    if let Some(end) = end {
        return Err(Diagnostic::at(Kind::Objection, end.span, "the end of this pipeline is done by the shell itself")
            .hint("leave out `tee` or `write`"));
    }
    let engine = session.engine(pipeline.on.as_ref())?;
    let plan = session.prepared(plan, engine, context)?;
    let query = spark::sql(&plan, context)?;
    let text = match word {
        "sql" => query,
        _ => program(&query, word),
    };
    Ok(Answer::text(text))
}

/// A program that runs the query. Its text holds no three quotes: those of the query are escaped.
fn program(query: &str, target: &str) -> String {
    let (about, port) = match target {
        "sail" => ("Sail: %engine start sail, or: sail spark server --port 50051", 50051),
        _ => ("Spark: a server of Spark Connect", 15002),
    };
    format!(
        "# {about}\n\
         import os\n\
         \n\
         from pyspark.sql import SparkSession\n\
         \n\
         address = os.environ.get(\"SPARK_REMOTE\", \"sc://127.0.0.1:{port}\")\n\
         spark = SparkSession.builder.remote(address).getOrCreate()\n\
         # Overflows and texts that are not numbers are errors.\n\
         spark.conf.set(\"spark.sql.ansi.enabled\", \"true\")\n\
         \n\
         table = spark.sql(r\"\"\"\n{query}\n\"\"\")\n\
         table.show(100, truncate=False)"
    )
}
