//! The table of functions. Help, completion and tests are made from it.

use crate::data::Type;

use super::{FloatToFloat, Func, Function, Resolved, TypeMismatch};

type Resolution = Result<Resolved, TypeMismatch>;

/// Whether an argument of type `ty` may stand where `wanted` is asked for.
fn fits(ty: &Type, wanted: &Type) -> bool {
    ty.meet(wanted).is_some_and(|met| met == *wanted)
}

/// Checks fixed types, one for each argument.
fn check_types(args: &[Type], func: Func, takes: &[(Type, &'static str)], gives: Type) -> Resolution {
    if args.len() != takes.len() {
        return Err(TypeMismatch::Count(match takes.len() {
            1 => "one argument",
            2 => "two arguments",
            _ => "three arguments",
        }));
    }
    let wrong = args.iter().zip(takes).position(|(arg, (wanted, _))| !fits(arg, wanted));
    match wrong {
        Some(i) => Err(TypeMismatch::Type(i, takes[i].1)),
        None => Ok(Resolved { func, takes: takes.iter().map(|(ty, _)| ty.clone()).collect(), gives }),
    }
}

const TEXT: (Type, &str) = (Type::Text, "text");
const INT: (Type, &str) = (Type::Int, "an int");
const FLOAT: (Type, &str) = (Type::Float, "a number");

fn is_list(ty: Option<&Type>) -> bool {
    matches!(ty, Some(Type::List(_)))
}

fn text_to_text(args: &[Type], func: Func) -> Resolution {
    check_types(args, func, &[TEXT], Type::Text)
}

fn text_pair(args: &[Type], func: Func) -> Resolution {
    check_types(args, func, &[TEXT, TEXT], Type::Bool)
}

fn float_to_float(args: &[Type], func: Func) -> Resolution {
    check_types(args, func, &[FLOAT], Type::Float)
}

/// A function that needs nothing but this.
fn ordinary(args: &[Type], function: &'static FloatToFloat) -> Resolution {
    float_to_float(args, Func::FloatToFloat(function))
}

static FLOOR: FloatToFloat = FloatToFloat { name: "floor", method: "floor", apply: f64::floor };
static CEIL: FloatToFloat = FloatToFloat { name: "ceil", method: "ceil", apply: f64::ceil };

/// A function that keeps int and float apart.
fn keeping(args: &[Type], int: Func, float: Func) -> Resolution {
    match args {
        [Type::Int] => check_types(args, int, &[INT], Type::Int),
        _ => check_types(args, float, &[FLOAT], Type::Float),
    }
}

/// A function of a text or a list.
fn text_or_list(args: &[Type], text: Func, list: Func, rest: &[(Type, &'static str)]) -> Resolution {
    let first = args.first().cloned().unwrap_or(Type::Open);
    let (func, what) = if is_list(args.first()) { (list, "a list") } else { (text, "text or a list") };
    let ty = if is_list(args.first()) { first } else { Type::Text };
    let takes: Vec<(Type, &str)> = [(ty.clone(), what)].into_iter().chain(rest.iter().cloned()).collect();
    check_types(args, func, &takes, ty)
}

fn list_to_element(args: &[Type], func: Func) -> Resolution {
    let Some(Type::List(of)) = args.first() else { return Err(TypeMismatch::Type(0, "a list")) };
    let list = args[0].clone();
    check_types(args, func, &[(list, "a list")], (**of).clone())
}

fn len(args: &[Type]) -> Resolution {
    text_or_list(args, Func::LenText, Func::LenList, &[]).map(|found| Resolved { gives: Type::Int, ..found })
}

fn contains(args: &[Type]) -> Resolution {
    if !is_list(args.first()) {
        return check_types(args, Func::ContainsText, &[(Type::Text, "text or a list"), TEXT], Type::Bool);
    }
    let [list, item] = args else { return Err(TypeMismatch::Count("two arguments")) };
    let Some(of) = element(list).meet(item) else { return Err(TypeMismatch::Type(1, "an element of the list's type")) };
    let takes = vec![Type::list(of.clone()), of];
    Ok(Resolved { func: Func::ContainsList, takes, gives: Type::Bool })
}

fn join(args: &[Type]) -> Resolution {
    check_types(args, Func::JoinList, &[(Type::list(Type::Text), "a list of texts"), TEXT], Type::Text)
}

fn sum(args: &[Type]) -> Resolution {
    match args {
        [Type::List(of)] if matches!(**of, Type::Int | Type::Open) => {
            check_types(args, Func::SumInts, &[(Type::list(Type::Int), "a list of numbers")], Type::Int)
        }
        _ => check_types(args, Func::SumFloats, &[(Type::list(Type::Float), "a list of numbers")], Type::Float),
    }
}

fn pow(args: &[Type]) -> Resolution {
    match args {
        [Type::Int, Type::Int] => check_types(args, Func::PowInt, &[INT, INT], Type::Int),
        _ => check_types(args, Func::PowFloat, &[FLOAT, FLOAT], Type::Float),
    }
}

fn round(args: &[Type]) -> Resolution {
    match args {
        [Type::Int, _] => check_types(args, Func::RoundInt, &[INT, INT], Type::Int),
        [_, _] => check_types(args, Func::RoundFloat, &[FLOAT, INT], Type::Float),
        [_] => keeping(args, Func::Same, Func::Round),
        _ => Err(TypeMismatch::Count("one or two arguments")),
    }
}

fn int(args: &[Type]) -> Resolution {
    match args {
        [Type::Int] => check_types(args, Func::Same, &[INT], Type::Int),
        [Type::Float] => check_types(args, Func::IntFromFloat, &[FLOAT], Type::Int),
        [Type::Bool] => check_types(args, Func::IntFromBool, &[(Type::Bool, "a bool")], Type::Int),
        _ => check_types(args, Func::IntFromText, &[(Type::Text, "a number, text or a bool")], Type::Int),
    }
}

fn float(args: &[Type]) -> Resolution {
    match args {
        [Type::Float] => check_types(args, Func::Same, &[FLOAT], Type::Float),
        [Type::Int] => check_types(args, Func::FloatFromInt, &[INT], Type::Float),
        _ => check_types(args, Func::FloatFromText, &[(Type::Text, "a number or text")], Type::Float),
    }
}

fn text(args: &[Type]) -> Resolution {
    match args {
        [Type::Text | Type::Open] => check_types(args, Func::Same, &[TEXT], Type::Text),
        [ty @ (Type::Int | Type::Float | Type::Bool | Type::List(_))] => {
            check_types(args, Func::TextFrom, &[(ty.clone(), "one value")], Type::Text)
        }
        _ => Err(TypeMismatch::Count("one argument")),
    }
}

fn bool(args: &[Type]) -> Resolution {
    match args {
        [Type::Bool] => check_types(args, Func::Same, &[(Type::Bool, "a bool")], Type::Bool),
        [Type::Int] => check_types(args, Func::BoolFromInt, &[INT], Type::Bool),
        _ => check_types(args, Func::BoolFromText, &[(Type::Text, "text, an int or a bool")], Type::Bool),
    }
}

fn is_null(args: &[Type]) -> Resolution {
    match args {
        [ty] => check_types(args, Func::IsNull, &[(ty.clone(), "any value")], Type::Bool),
        _ => Err(TypeMismatch::Count("one argument")),
    }
}

fn coalesce(args: &[Type]) -> Resolution {
    if args.is_empty() {
        return Err(TypeMismatch::Count("at least one argument"));
    }
    let mut met = Type::Open;
    for (i, arg) in args.iter().enumerate() {
        met = met.meet(arg).ok_or(TypeMismatch::Type(i, "arguments of the same type"))?;
    }
    Ok(Resolved { func: Func::Coalesce, takes: vec![met.clone(); args.len()], gives: met })
}

fn format(args: &[Type]) -> Resolution {
    match args.first() {
        None => Err(TypeMismatch::Count("a pattern and a value for each {}")),
        Some(first) if !fits(first, &Type::Text) => Err(TypeMismatch::Type(0, "a text with a {} for each value")),
        Some(_) => {
            let takes = std::iter::once(Type::Text).chain(args[1..].iter().map(Type::closed)).collect();
            Ok(Resolved { func: Func::Format, takes, gives: Type::Text })
        }
    }
}

/// The type of the elements of a list.
fn element(ty: &Type) -> Type {
    match ty {
        Type::List(of) => (**of).clone(),
        Type::Int | Type::Float | Type::Bool | Type::Text | Type::Open | Type::Never => Type::Open,
    }
}

macro_rules! functions {
    ($($name:literal, $usage:literal, $about:literal, $resolve:expr, [$($cell:literal => $prints:literal),+];)+) => {
        /// All functions, by subject.
        pub static ALL: &[Function] = &[$(Function {
            name: $name,
            usage: $usage,
            about: $about,
            examples: &[$(($cell, $prints)),+],
            resolve: $resolve,
        }),+];
    };
}

functions! {
    "lower", "lower(text) -> text", "converts to lower case",
        |args| text_to_text(args, Func::Lower),
        [r#"["Ab", "ÉCOLE", null] | map lower(it)"# => "it\nab\nécole\n\n"];
    "upper", "upper(text) -> text", "converts to upper case",
        |args| text_to_text(args, Func::Upper),
        [r#"["Ab", "straße"] | map upper(it)"# => "it\nAB\nSTRASSE\n"];
    "len", "len(text or list) -> int", "returns the number of characters or elements",
        len,
        [r#"["née", ""] | map len(it)"# => "it\n3\n0\n", r#"[[1, 2], []] | map len(it)"# => "it\n2\n0\n"];
    "trim", "trim(text) -> text", "removes white space at both ends",
        |args| text_to_text(args, Func::Trim),
        [r#"["  a b "] | map trim(it)"# => "it\na b\n"];
    "split", "split(text, separator) -> list<text>", "splits at the separators",
        |args| check_types(args, Func::Split, &[TEXT, TEXT], Type::list(Type::Text)),
        [r#"["a,b,", ""] | map split(it, ",")"# => "it\n\"[\"\"a\"\", \"\"b\"\", \"\"\"\"]\"\n\"[\"\"\"\"]\"\n"];
    "words", "words(text) -> list<text>", "splits at white space",
        |args| check_types(args, Func::Words, &[TEXT], Type::list(Type::Text)),
        [r#"[" to  be "] | map len(words(it))"# => "it\n2\n"];
    "chars", "chars(text) -> list<text>", "returns the characters",
        |args| check_types(args, Func::Chars, &[TEXT], Type::list(Type::Text)),
        [r#"["né"] | map chars(it)[1]"# => "it\né\n"];
    "contains", "contains(text, part) or contains(list, element) -> bool",
        "checks whether a text contains a part, or a list an element",
        contains,
        [r#"["abc", "xyz"] | map contains(it, "bc")"# => "it\ntrue\nfalse\n",
         r#"[[1, 2], []] | map contains(it, 2)"# => "it\ntrue\nfalse\n"];
    "starts_with", "starts_with(text, part) -> bool", "checks whether the text begins with the part",
        |args| text_pair(args, Func::StartsWith),
        [r#"["abc", "bca"] | filter starts_with(it, "a")"# => "it\nabc\n"];
    "ends_with", "ends_with(text, part) -> bool", "checks whether the text ends with the part",
        |args| text_pair(args, Func::EndsWith),
        [r#"["abc", "bca"] | filter ends_with(it, "a")"# => "it\nbca\n"];
    "replace", "replace(text, part, by) -> text", "replaces every occurrence of the part",
        |args| check_types(args, Func::Replace, &[TEXT, TEXT, TEXT], Type::Text),
        [r#"["a.b.c"] | map replace(it, ".", "")"# => "it\nabc\n"];
    "matches", "matches(text, \"pattern\") -> bool", "checks whether the regular expression matches anywhere",
        |args| text_pair(args, Func::Matches),
        [r#"["ab1", "ab"] | filter matches(it, "[0-9]$")"# => "it\nab1\n"];
    "slice", "slice(text or list, start, count)",
        "returns count characters or elements from start; a negative start counts from the end",
        |args| text_or_list(args, Func::SliceText, Func::SliceList, &[INT, INT]),
        [r#"["naïve"] | map a = slice(it, 1, 2), b = slice(it, -2, 9)"# => "a,b\naï,ve\n",
         r#"[[1, 2, 3]] | map slice(it, 1, 2)"# => "it\n\"[2, 3]\"\n"];
    "reverse", "reverse(text or list)", "reverses the characters or elements",
        |args| text_or_list(args, Func::ReverseText, Func::ReverseList, &[]),
        [r#"["née"] | map reverse(it)"# => "it\neén\n", r#"[[1, 2]] | map reverse(it)"# => "it\n\"[2, 1]\"\n"];
    "sorted", "sorted(text or list)", "sorts the characters or elements",
        |args| text_or_list(args, Func::SortedText, Func::SortedList, &[]),
        [r#"["banana"] | map sorted(it)"# => "it\naaabnn\n", r#"[[3, 1]] | map sorted(it)"# => "it\n\"[1, 3]\"\n"];
    "join", "join(list<text>, separator) -> text", "joins the texts and skips nulls",
        join,
        [r#"["b a"] | map join(sorted(words(it)), "-")"# => "it\na-b\n"];
    "sum", "sum(list) -> number", "adds up a list of numbers",
        sum,
        [r#"[[1, 2], []] | map sum(it)"# => "it\n3\n0\n"];
    "min", "min(list) -> element", "returns the smallest element, null for an empty list",
        |args| list_to_element(args, Func::MinList),
        [r#"[[3, 1], []] | map min(it)"# => "it\n1\n\n"];
    "max", "max(list) -> element", "returns the largest element, null for an empty list",
        |args| list_to_element(args, Func::MaxList),
        [r#"[[3, 1], []] | map max(it)"# => "it\n3\n\n"];
    "range", "range(a, b) -> list<int>", "returns the ints from a to b - 1",
        |args| check_types(args, Func::Range, &[INT, INT], Type::list(Type::Int)),
        [r#"[0, 3] | map range(1, it)"# => "it\n[]\n\"[1, 2]\"\n"];
    "abs", "abs(number)", "returns the absolute value",
        |args| keeping(args, Func::AbsInt, Func::AbsFloat),
        [r#"[-3, 2] | map abs(it)"# => "it\n3\n2\n"];
    "round", "round(number) or round(number, digits)",
        "rounds to a whole number or to a number of decimal places; halves away from zero",
        round,
        [r#"[2.5, -0.5, 1.4] | map round(it)"# => "it\n3.0\n-1.0\n1.0\n",
         r#"[3.14159, 0.125] | map round(it, 2)"# => "it\n3.14\n0.13\n",
         r#"[1250] | map round(it, -2)"# => "it\n1300\n"];
    "floor", "floor(number)", "rounds down to a whole number",
        |args| keeping(args, Func::Same, Func::FloatToFloat(&FLOOR)),
        [r#"[2.5, -0.5] | map floor(it)"# => "it\n2.0\n-1.0\n"];
    "ceil", "ceil(number)", "rounds up to a whole number",
        |args| keeping(args, Func::Same, Func::FloatToFloat(&CEIL)),
        [r#"[2.5, 1.0] | map ceil(it)"# => "it\n3.0\n1.0\n"];
    "sqrt", "sqrt(number) -> float", "returns the square root",
        |args| float_to_float(args, Func::Sqrt),
        [r#"[9, 2.25] | map sqrt(it)"# => "it\n3.0\n1.5\n"];
    "pow", "pow(base, exponent)", "raises to a power; ints give an int",
        pow,
        [r#"[2, 10] | map pow(it, 3)"# => "it\n8\n1000\n", r#"[4] | map pow(it, 0.5)"# => "it\n2.0\n"];
    "exp", "exp(number) -> float", "returns e to the power of the number",
        |args| ordinary(args, &FloatToFloat { name: "exp", method: "exp", apply: f64::exp }),
        [r#"[0] | map exp(it)"# => "it\n1.0\n"];
    "ln", "ln(number) -> float", "returns the natural logarithm",
        |args| ordinary(args, &FloatToFloat { name: "ln", method: "ln", apply: f64::ln }),
        [r#"[1, 0] | map ln(it)"# => "it\n0.0\n-inf\n"];
    "log2", "log2(number) -> float", "returns the logarithm to base 2",
        |args| ordinary(args, &FloatToFloat { name: "log2", method: "log2", apply: f64::log2 }),
        [r#"[8] | map log2(it)"# => "it\n3.0\n"];
    "sin", "sin(radians) -> float", "returns the sine",
        |args| ordinary(args, &FloatToFloat { name: "sin", method: "sin", apply: f64::sin }),
        [r#"[0] | map sin(it)"# => "it\n0.0\n"];
    "cos", "cos(radians) -> float", "returns the cosine",
        |args| ordinary(args, &FloatToFloat { name: "cos", method: "cos", apply: f64::cos }),
        [r#"[0] | map cos(it)"# => "it\n1.0\n"];
    "tan", "tan(radians) -> float", "returns the tangent",
        |args| ordinary(args, &FloatToFloat { name: "tan", method: "tan", apply: f64::tan }),
        [r#"[0] | map tan(it)"# => "it\n0.0\n"];
    "int", "int(number, text or bool) -> int", "converts to an int and cuts off decimals; a text must be an int",
        int,
        [r#"["12", " -3 "] | map int(it)"# => "it\n12\n-3\n", r#"[2.9, -2.9] | map int(it)"# => "it\n2\n-2\n"];
    "float", "float(number or text) -> float", "converts to a float",
        float,
        [r#"["1.5", "2e3"] | map float(it)"# => "it\n1.5\n2000.0\n"];
    "text", "text(value) -> text", "converts to a text",
        text,
        [r#"[1, 20] | map text(it) + "!""# => "it\n1!\n20!\n"];
    "bool", "bool(text, int or bool) -> bool", "converts to a bool: 0 is false, any other int true",
        bool,
        [r#"["true", "false"] | map bool(it)"# => "it\ntrue\nfalse\n"];
    "is_null", "is_null(value) -> bool", "checks whether the value is null",
        is_null,
        [r#"[1, null] | map is_null(it)"# => "it\nfalse\ntrue\n"];
    "coalesce", "coalesce(a, b, …)", "returns the first value that is not null",
        coalesce,
        [r#"[1, null] | map coalesce(it, 0)"# => "it\n1\n0\n"];
    "format", "format(\"{} and {}\", a, b) -> text",
        "puts the values into the text, one for each {}; {:.2} shows a number with two decimal places",
        format,
        [r#"[1, 2] | map format("{} of {}", it, 2)"# => "it\n1 of 2\n2 of 2\n",
         r#"[2.5, 10] | map format("{:.2} s", it)"# => "it\n2.50 s\n10.00 s\n"];
    "get", "get(store, key) -> int",
        "asks a store for the value of a key; null where it has no such key. `store?` tells how to start one",
        |args| check_types(args, Func::Get, &[(Type::Text, "the name of a store"), INT], Type::Int),
        [r#"let kv = store delay 0ms keys 3 seed 1; [0, 2, 3] | map get(kv, it)"# => "it\n851610\n564448\n\n"];
}
