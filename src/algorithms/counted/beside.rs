//! The little that a family's file needs beside it, where it is compiled as a program that counts: families without
//! what the shell asks of them. The names in capitals are replaced by texts of the shell's own files.

#![allow(warnings)]

mod data {
    #[derive(Clone, Copy)]
    pub enum Order {
        Kept,
        Lost,
    }

    pub enum Type {
        Int,
        Float,
        Bool,
        Text,
        List(Box<Type>),
    }

    impl Type {
        pub fn list(items: Type) -> Type {
            Type::List(Box::new(items))
        }
    }

    pub enum Value {
        Null,
        Bool(bool),
        Int(i64),
        Float(f64),
        Text(String),
        List(std::sync::Arc<[Value]>),
    }

    impl Value {
        pub fn text(text: &str) -> Value {
            Value::Text(text.to_string())
        }
    }

    pub struct Table;

    pub mod generate {
        GENERATE
    }
}

mod algorithms {
    use std::hint::black_box;

    use crate::data::{Order, Table, Type, Value};

    pub use class::Class;
    pub use random::Random;

    pub struct Facts {
        pub name: &'static str,
        pub about: &'static str,
        pub counts: &'static str,
        pub sizes: &'static [usize],
        pub stages: Option<&'static str>,
        pub text: &'static str,
    }

    pub struct Typed<I: ?Sized + 'static, O: 'static> {
        pub facts: Facts,
        pub shapes: &'static [Shape<I>],
        pub variants: &'static [Variant<I, O>],
        pub input: fn(&I) -> Table,
        pub output: fn(&I, O) -> Table,
    }

    pub struct Shape<I: ?Sized> {
        pub name: &'static str,
        pub about: &'static str,
        pub make: fn(usize, &mut Random) -> Box<I>,
    }

    pub struct Variant<I: ?Sized, O> {
        name: &'static str,
        run: fn(&I) -> O,
    }

    pub const fn variant<I: ?Sized, O>(
        name: &'static str,
        _: &'static str,
        _: Class,
        _: Class,
        _: usize,
        run: fn(&I) -> O,
    ) -> Variant<I, O> {
        Variant { name, run }
    }

    impl<I: ?Sized, O> Variant<I, O> {
        pub const fn except(self, _: &'static [(&'static str, Class)]) -> Variant<I, O> {
            self
        }

        pub const fn best(self, _: &'static str) -> Variant<I, O> {
            self
        }

        pub const fn worst(self, _: &'static str) -> Variant<I, O> {
            self
        }

        pub const fn threaded(self) -> Variant<I, O> {
            self
        }

        pub const fn at_most(self, _: &'static str) -> Variant<I, O> {
            self
        }
    }

    impl<I: ?Sized, O> Typed<I, O> {
        /// The work of a line: variant, shape, size, seed.
        pub fn work(&'static self, line: &str) -> Box<dyn FnMut()> {
            let words: Vec<&str> = line.split(' ').collect();
            let [variant, shape, size, seed] = words[..] else { panic!("four words") };
            let shape = self.shapes.iter().find(|known| known.name == shape).expect("the shell knows the shapes");
            let variant = self.variants.iter().find(|known| known.name == variant);
            let variant = variant.expect("the shell knows the variants");
            let (size, seed) = (size.parse().expect("a size"), seed.parse().expect("a seed"));
            let (input, run) = ((shape.make)(size, &mut Random::new(seed)), variant.run);
            Box::new(move || drop(black_box(run(black_box(&*input)))))
        }
    }

    pub fn column(_: &str, _: Type, _: Order, _: Vec<Value>) -> Table {
        Table
    }

    pub fn ints(_: impl IntoIterator<Item = i64>) -> Table {
        Table
    }

    pub fn table(_: Order, _: Vec<(&str, Type, Vec<Value>)>) -> Table {
        Table
    }

    mod class {
        CLASS
    }

    mod random {
        RANDOM
    }

    pub mod family {
        FAMILY
    }
}

fn main() {
    support::serve(|line| algorithms::family::STATIC.work(line))
}
