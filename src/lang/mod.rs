//! The text of a cell, and what it says: cells, statements, pipelines and expressions as written, with their spans.
//! It knows the shapes of stages and magics only through [`Syntax`], and nothing of types.

mod ast;
mod cell;
pub mod foreign;
mod lexer;
mod parser;
mod pasted;
mod privileges;
mod rust;
mod split;
mod syntax;
mod uses;
mod variants;

pub use ast::*;
pub use cell::{MAX_BYTES, parse, statements};
pub use lexer::{MAX_DEPTH, RESERVED, bare_name, is_reserved, names, seconds, whole_number};
pub use pasted::pasted_number;
pub use privileges::{Privileges, is_outside};
pub use rust::{holds_rust, rust_block};
pub use split::{Splitter, split};
pub use syntax::{ArgumentSyntax, By, MagicSyntax, StageSyntax, Syntax, Takes};
