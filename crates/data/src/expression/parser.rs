//! From words to a tree: one function per level of the grammar, loosest first.

use super::lexer::{Token, TokenKind, error, tokens};
use crate::error::DataError;

/// Parentheses and signs inside one another.
const MAX_DEPTH: usize = 64;
/// Operators in a row or not: a chain of them makes a tree as deep as it is long.
const MAX_OPERATORS: usize = 256;
/// Bytes of an expression.
const MAX_LENGTH: usize = 4096;

/// A part of an expression and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) at: usize,
    pub(super) node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Text(String),
    Column(String),
    Negate(Box<Term>),
    Arithmetic(Arithmetic, Box<Term>, Box<Term>),
    Compare(Comparison, Box<Term>, Box<Term>),
    In(Box<Term>, Vec<Term>),
    Not(Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    IsNull(Box<Term>),
    Coalesce(Vec<Term>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

pub(super) fn parse(text: &str) -> Result<Term, DataError> {
    if text.len() > MAX_LENGTH {
        return Err(error(text, MAX_LENGTH, format!("an expression of at most {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0, operators: 0 };
    let root = parser.either()?;
    if parser.peek().kind == TokenKind::End { Ok(root) } else { Err(parser.expected("an operator or the end")) }
}

impl Term {
    /// Adds the columns not among `names` yet.
    pub(super) fn collect_columns(&self, names: &mut Vec<String>) {
        match &self.node {
            Node::Number(_) | Node::Text(_) => {}
            Node::Column(name) if names.contains(name) => {}
            Node::Column(name) => names.push(name.clone()),
            Node::Negate(term) | Node::Not(term) | Node::IsNull(term) => term.collect_columns(names),
            Node::Arithmetic(_, left, right)
            | Node::Compare(_, left, right)
            | Node::And(left, right)
            | Node::Or(left, right) => {
                left.collect_columns(names);
                right.collect_columns(names);
            }
            Node::In(term, list) => {
                term.collect_columns(names);
                list.iter().for_each(|item| item.collect_columns(names));
            }
            Node::Coalesce(list) => list.iter().for_each(|item| item.collect_columns(names)),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    operators: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Term, DataError> {
        self.deeper()?;
        let mut left = self.both()?;
        while self.takes_word("or") {
            self.another()?;
            let right = self.both()?;
            left = Term { at: left.at, node: Node::Or(Box::new(left), Box::new(right)) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn both(&mut self) -> Result<Term, DataError> {
        let mut left = self.negation()?;
        while self.takes_word("and") {
            self.another()?;
            let right = self.negation()?;
            left = Term { at: left.at, node: Node::And(Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Term, DataError> {
        let at = self.peek().at;
        if !self.takes_word("not") {
            return self.comparison();
        }
        self.deeper()?;
        let term = self.negation()?;
        self.depth -= 1;
        Ok(Term { at, node: Node::Not(Box::new(term)) })
    }

    fn comparison(&mut self) -> Result<Term, DataError> {
        let left = self.sum()?;
        let at = left.at;
        let node = if let Some(comparison) = self.takes_comparison() {
            Node::Compare(comparison, Box::new(left), Box::new(self.sum()?))
        } else if self.takes_word("in") {
            Node::In(Box::new(left), self.list()?)
        } else if self.is_word("not") {
            self.next += 1;
            if !self.takes_word("in") {
                return Err(self.expected("`in`"));
            }
            let inside = Term { at, node: Node::In(Box::new(left), self.list()?) };
            Node::Not(Box::new(inside))
        } else {
            return Ok(left);
        };
        if self.comparison_sign().is_some() {
            return Err(self.expected("`and` or `or` (comparisons do not chain)"));
        }
        Ok(Term { at, node })
    }

    fn sum(&mut self) -> Result<Term, DataError> {
        let mut left = self.product()?;
        loop {
            let operator = if self.takes_sign("+") {
                Arithmetic::Add
            } else if self.takes_sign("-") {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            self.another()?;
            let right = self.product()?;
            left = Term { at: left.at, node: Node::Arithmetic(operator, Box::new(left), Box::new(right)) };
        }
    }

    fn product(&mut self) -> Result<Term, DataError> {
        let mut left = self.signed()?;
        loop {
            let operator = if self.takes_sign("*") {
                Arithmetic::Multiply
            } else if self.takes_sign("/") {
                Arithmetic::Divide
            } else {
                return Ok(left);
            };
            self.another()?;
            let right = self.signed()?;
            left = Term { at: left.at, node: Node::Arithmetic(operator, Box::new(left), Box::new(right)) };
        }
    }

    fn signed(&mut self) -> Result<Term, DataError> {
        let at = self.peek().at;
        if !self.takes_sign("-") {
            return self.power();
        }
        self.deeper()?;
        let term = self.signed()?;
        self.depth -= 1;
        Ok(Term { at, node: Node::Negate(Box::new(term)) })
    }

    fn power(&mut self) -> Result<Term, DataError> {
        let base = self.value()?;
        if !self.takes_sign("^") {
            return Ok(base);
        }
        self.deeper()?;
        let exponent = self.signed()?;
        self.depth -= 1;
        Ok(Term { at: base.at, node: Node::Arithmetic(Arithmetic::Power, Box::new(base), Box::new(exponent)) })
    }

    fn value(&mut self) -> Result<Term, DataError> {
        let Token { at, kind } = self.peek().clone();
        let node = match kind {
            TokenKind::Number(number) => Node::Number(number),
            TokenKind::Text(text) => Node::Text(text),
            TokenKind::Quoted(name) => Node::Column(name),
            TokenKind::Word(word) if is_grammar(&word) => return Err(self.expected("a column, a number or a text")),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("true") => Node::Number(1.0),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("false") => Node::Number(0.0),
            TokenKind::Word(word) if self.tokens[self.next + 1].kind == TokenKind::Sign("(") => {
                return self.function(at, &word);
            }
            TokenKind::Word(name) => Node::Column(name),
            TokenKind::Sign("(") => {
                self.next += 1;
                let inside = self.either()?;
                self.closes(")")?;
                return Ok(inside);
            }
            TokenKind::Sign(_) | TokenKind::End => return Err(self.expected("a column, a number or a text")),
        };
        self.next += 1;
        Ok(Term { at, node })
    }

    fn function(&mut self, at: usize, name: &str) -> Result<Term, DataError> {
        let lower = name.to_ascii_lowercase();
        if !["is_null", "coalesce"].contains(&lower.as_str()) {
            return Err(self.expected("one of the functions is_null(x) and coalesce(x, y)"));
        }
        self.next += 1;
        let arguments_at = self.peek().at;
        let mut list = self.list()?;
        match (lower.as_str(), list.len()) {
            ("is_null", 1) => Ok(Term { at, node: Node::IsNull(Box::new(list.swap_remove(0))) }),
            ("is_null", _) => Err(error(self.text, arguments_at, "one value in is_null(x)")),
            _ => Ok(Term { at, node: Node::Coalesce(list) }),
        }
    }

    /// Values in parentheses, at least one.
    fn list(&mut self) -> Result<Vec<Term>, DataError> {
        if !self.takes_sign("(") {
            return Err(self.expected("a list in parentheses, such as (1, 2)"));
        }
        let mut items = vec![self.either()?];
        while self.takes_sign(",") {
            items.push(self.either()?);
        }
        self.closes("`,` or `)`")?;
        Ok(items)
    }

    fn closes(&mut self, expected: &str) -> Result<(), DataError> {
        if self.takes_sign(")") { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn deeper(&mut self) -> Result<(), DataError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.expected("fewer parts inside one another")) } else { Ok(()) }
    }

    /// Counts an operator.
    fn another(&mut self) -> Result<(), DataError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            Err(self.expected("at most 256 operators in one expression"))
        } else {
            Ok(())
        }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek().kind, TokenKind::Sign(next) if next == sign);
        self.next += usize::from(found);
        found
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(next) if next.eq_ignore_ascii_case(word))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn takes_comparison(&mut self) -> Option<Comparison> {
        let found = self.comparison_sign();
        self.next += usize::from(found.is_some());
        found
    }

    fn comparison_sign(&self) -> Option<Comparison> {
        let TokenKind::Sign(sign) = self.peek().kind else { return None };
        match sign {
            "==" => Some(Comparison::Equal),
            "!=" => Some(Comparison::NotEqual),
            "<" => Some(Comparison::Less),
            "<=" => Some(Comparison::LessOrEqual),
            ">" => Some(Comparison::Greater),
            ">=" => Some(Comparison::GreaterOrEqual),
            _ => None,
        }
    }

    fn expected(&self, expected: &str) -> DataError {
        error(self.text, self.peek().at, expected)
    }
}

fn is_grammar(word: &str) -> bool {
    ["and", "or", "not", "in"].iter().any(|known| word.eq_ignore_ascii_case(known))
}
