//! From characters to words.

use crate::error::DataError;

/// A word of an expression and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Number(f64),
    Text(String),
    /// A name without quotes: a column, a function, or a word of the grammar.
    Word(String),
    /// A name in backquotes: a column.
    Quoted(String),
    /// An operator or punctuation.
    Sign(&'static str),
    End,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SIGNS: [&str; 14] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "^", "(", ")", ","];

/// Signs of other languages and what to write here.
const STRANGERS: [(&str, &str); 6] = [
    ("<>", "`!=`"),
    ("=", "`==`"),
    ("&", "`and`"),
    ("|", "`or`"),
    ("!", "`not` or `!=`"),
    ("%", "one of + - * / ^ == != < <= > >= and or"),
];

/// All words of `text` and [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, DataError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        if character.is_whitespace() {
            at += character.len_utf8();
            continue;
        }
        let (kind, length) = match character {
            '\'' | '"' => quoted(text, at, character).map(|(name, length)| (TokenKind::Text(name), length))?,
            '`' => quoted(text, at, character).map(|(name, length)| (TokenKind::Quoted(name), length))?,
            '0'..='9' | '.' => number(text, at)?,
            _ if starts_word(character) => {
                let length = rest.find(|next| !continues_word(next)).unwrap_or(rest.len());
                (TokenKind::Word(rest[..length].to_owned()), length)
            }
            _ => sign(text, at)?,
        };
        found.push(Token { at, kind });
        at += length;
    }
    found.push(Token { at: text.len(), kind: TokenKind::End });
    Ok(found)
}

pub(super) fn error(text: &str, at: usize, expected: impl Into<String>) -> DataError {
    DataError::Expression { text: text.to_owned(), at, expected: expected.into() }
}

fn starts_word(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn continues_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '.'
}

/// What stands between `quote` and the next one that is not doubled, and its length with the quotes.
fn quoted(text: &str, at: usize, quote: char) -> Result<(String, usize), DataError> {
    let mut content = String::new();
    let mut characters = text[at..].char_indices().skip(1).peekable();
    while let Some((offset, character)) = characters.next() {
        if character != quote {
            content.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            content.push(quote);
        } else {
            return Ok((content, offset + quote.len_utf8()));
        }
    }
    Err(error(text, text.len(), format!("a closing {quote}")))
}

fn number(text: &str, at: usize) -> Result<(TokenKind, usize), DataError> {
    let rest = &text.as_bytes()[at..];
    let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if rest.get(length) == Some(&b'.') {
        length += 1;
        length += digits(length);
    }
    if matches!(rest.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        length += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    let follows_word = text[at + length..].chars().next().is_some_and(continues_word);
    match text[at..at + length].parse::<f64>() {
        Ok(value) if value.is_finite() && !follows_word => Ok((TokenKind::Number(value), length)),
        _ => Err(error(text, at, "a number, or a column's name in backquotes where it begins with a digit")),
    }
}

fn sign(text: &str, at: usize) -> Result<(TokenKind, usize), DataError> {
    let begins = |sign: &str| text[at..].starts_with(sign);
    let known = SIGNS.into_iter().find(|sign| begins(sign));
    let stranger =
        STRANGERS.into_iter().find(|(sign, _)| begins(sign) && known.is_none_or(|known| known.len() < sign.len()));
    match (known, stranger) {
        (_, Some((_, instead))) => Err(error(text, at, instead)),
        (Some(sign), None) => Ok((TokenKind::Sign(sign), sign.len())),
        (None, None) => Err(error(text, at, "a column, a number, a text or an operator")),
    }
}
