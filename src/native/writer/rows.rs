//! Steps that look at one row: they stand inside the loop that is open.

use crate::functions::Func;
use crate::native::calls;
use crate::native::code::{Hold, Piece};
use crate::native::keys;
use crate::native::segment::Segment;
use crate::native::shape::{Kind, ValueLayout};
use crate::plan::{Expr, Named, Node, Prepared};

use super::Writer;

impl Writer<'_> {
    pub(super) fn project(&mut self, mut segment: Segment, named: &[Named], said: &str, plan: &Prepared) -> Segment {
        let scope = self.scope(plan, &segment.columns);
        let pieces: Vec<Piece> = named.iter().map(|named| scope.piece(&named.expr)).collect();
        let is_column = |named: &Named| matches!(named.expr.node, Node::Column(_));
        let same = |(i, named): (usize, &Named)| matches!(named.expr.node, Node::Column(index) if index == i);
        let whole = if named.len() == segment.columns.len() && named.iter().enumerate().all(same) {
            segment.whole.take()
        } else {
            None
        };
        segment.whole = whole;
        if !named.iter().all(is_column) {
            segment.comment(said);
        }
        let mut columns: Vec<Piece> = Vec::new();
        for (i, named) in named.iter().enumerate() {
            if is_column(named) {
                columns.push(pieces[i].clone());
                continue;
            }
            let kept: Vec<Piece> = columns.iter().chain(&pieces[i + 1..]).cloned().collect();
            let piece = self.write_variable(&mut segment, &named.expr, &pieces[i], &named.name, &kept, plan);
            columns.push(piece);
        }
        segment.columns = columns;
        segment.names = named.iter().map(|named| named.name.clone()).collect();
        segment
    }

    /// A value in a variable of its own.
    fn write_variable(
        &mut self,
        segment: &mut Segment,
        expr: &Expr,
        piece: &Piece,
        name: &str,
        kept: &[Piece],
        plan: &Prepared,
    ) -> Piece {
        let variable = segment.variable(name, &self.names, kept);
        if let Some(small) = self.small_letters(segment, expr, plan) {
            segment.line(format!("let {variable} = {small};"));
            return Piece::borrowing(&variable, ValueLayout::plain(Kind::Text), Hold::Row);
        }
        let is_literal = matches!(expr.node, Node::Const(_));
        let ty = if piece.hold == Hold::Own { piece.shape.owned() } else { piece.shape.borrowed() };
        let typed = if is_literal { format!(": {ty}") } else { String::new() };
        segment.line(format!("let {variable}{typed} = {};", piece.text));
        match piece.hold {
            Hold::Own => Piece::owning(&variable, piece.shape.clone(), segment.loops),
            hold => Piece::borrowing(&variable, piece.shape.clone(), hold),
        }
    }

    /// `lower(x)` in a place that is used for each row again.
    pub(super) fn small_letters(&mut self, segment: &mut Segment, expr: &Expr, plan: &Prepared) -> Option<String> {
        let Node::Call(Func::Lower, args) = &expr.node else { return None };
        let text = self.scope(plan, &segment.columns).piece(&args[0]);
        if text.shape.nulls {
            return None;
        }
        let place = self.fresh(segment, "small_letters");
        segment.before(format!("let mut {place} = String::new();"));
        Some(format!("lower_into({}, &mut {place})", text.argument()))
    }

    pub(super) fn explode(&mut self, segment: &mut Segment, list: &Named, plan: &Prepared) {
        let scope = self.scope(plan, &segment.columns);
        let is_parts = |func: &Func| matches!(func, Func::Words | Func::Chars | Func::Split | Func::Range);
        if let Node::Call(func, args) = &list.expr.node
            && is_parts(func)
        {
            let mut args: Vec<Piece> = args.iter().map(|arg| scope.piece(arg)).collect();
            if let Some(nullable) = args.iter().position(|arg| arg.shape.nulls)
                && args.iter().enumerate().all(|(i, arg)| i == nullable || (arg.is_simple() && !arg.shape.nulls))
            {
                args[nullable] = self.present(segment, &args[nullable].clone(), &args);
            }
            if args.iter().all(|arg| !arg.shape.nulls) {
                let it = segment.variable(&list.name, &self.names, &[]);
                let (items, item) = match func {
                    Func::Range => {
                        let texts: Vec<&str> = args.iter().map(|arg| arg.text.as_str()).collect();
                        (format!("range({})?", texts.join(", ")), Piece::tight(&it, ValueLayout::plain(Kind::Int)))
                    }
                    _ => {
                        let item = Piece::borrowing(&it, ValueLayout::plain(Kind::Text), Hold::Row);
                        (calls::parts(*func, &args).text, item)
                    }
                };
                segment.open(&format!("for {it} in {items}"));
                segment.columns = vec![item];
                return;
            }
        }
        let piece = scope.piece(&list.expr);
        let item = piece.shape.item();
        let it = segment.variable(&list.name, &self.names, &[]);
        let flat = if piece.shape.nulls { ".into_iter().flatten()" } else { "" };
        let (texts, stored) = segment.stored(std::slice::from_ref(&piece), &[], true);
        let head = match stored[0].1 {
            hold if hold.lasts() => {
                let flat = if piece.shape.nulls { flat } else { ".iter()" };
                let how = match (&item.kind, item.nulls) {
                    _ if item.is_copy() => ".copied()",
                    (Kind::List(_), false) => ".map(Vec::as_slice)",
                    (_, false) => ".map(String::as_str)",
                    (_, true) => ".map(Option::as_deref)",
                };
                format!("for {it} in {}{flat}{how}", piece.receiver())
            }
            _ => format!("for {it} in {}{flat}", Piece::loose(&texts[0], piece.shape.clone()).text),
        };
        let head = if flat.is_empty()
            || texts[0].chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            || stored[0].1.lasts()
        {
            head
        } else {
            format!("for {it} in ({}){flat}", texts[0])
        };
        segment.open(&head);
        segment.columns = vec![match stored[0].1 {
            hold if hold.lasts() => Piece::borrowing(&it, item, hold),
            _ => Piece::owning(&it, item, segment.loops),
        }];
    }

    /// Goes on only where a value is not null.
    pub(super) fn present(&mut self, segment: &mut Segment, piece: &Piece, kept: &[Piece]) -> Piece {
        let name = segment.variable("present", &self.names, kept);
        segment.open(&format!("if let Some({name}) = {}", piece.text));
        match piece.hold {
            Hold::Own => Piece::owning(&name, piece.shape.never_null(), segment.loops),
            hold => Piece::borrowing(&name, piece.shape.never_null(), hold),
        }
    }

    pub(super) fn slice(&mut self, segment: &mut Segment, offset: u64, length: Option<u64>) {
        if length == Some(0) {
            let leave = segment.leave();
            segment.line(format!("if true {{ {leave} }}"));
            return;
        }
        let passed = self.fresh(segment, "passed");
        segment.before(format!("let mut {passed} = 0_u64;"));
        segment.line(format!("{passed} += 1;"));
        if let Some(length) = length {
            let leave = segment.leave();
            segment.at_end(&format!("if {passed} == {} {{ {leave} }}", offset.saturating_add(length)));
        }
        if offset > 0 {
            segment.open(&format!("if {passed} > {offset}"));
        }
    }

    pub(super) fn distinct(&mut self, segment: &mut Segment, by: Option<&[Expr]>, plan: &Prepared) {
        let pieces = match by {
            None => segment.columns.clone(),
            Some(by) => {
                let scope = self.scope(plan, &segment.columns);
                by.iter().map(|expr| scope.piece(expr)).collect()
            }
        };
        let columns = segment.columns.clone();
        let key = keys::keys(segment, &pieces, &columns, true);
        let seen = self.fresh(segment, "seen");
        segment.before(format!("let mut {seen}: Set<{}> = Set::default();", key.ty));
        match key.borrowed {
            Some(text) => segment.open(&format!("if is_new(&mut {seen}, {text})")),
            None => segment.open(&format!("if {seen}.insert({})", key.text)),
        }
    }
}
