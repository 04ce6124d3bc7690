//! Numbers as text.

/// Stands for what rows cannot define.
pub(super) const UNDEFINED: &str = "–";

/// With this many places, or a dash.
pub(super) fn decimals(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| fixed(value, places))
}

/// With this many places; a true minus sign, and none before a zero.
pub(super) fn fixed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) => format!("−{digits}"),
        Some(digits) => digits.to_owned(),
        None => text,
    }
}

/// With its sign always.
pub(super) fn signed(value: f64, places: usize) -> String {
    let text = fixed(value, places);
    if text.starts_with('−') || !text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        text
    } else {
        format!("+{text}")
    }
}

/// A count with its digits in groups of three: `1,234,567`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234`, `12.3 thousand`, `408.5 thousand`, `12.3 million`.
pub(super) fn about(count: u64) -> String {
    rounded(count, ["thousand", "million", "billion"])
}

/// `1,234`, `12.3 k`, `408.5 k`, `12.3 M`: for columns of tables, whose notes say what the letters mean.
pub(super) fn short(count: u64) -> String {
    rounded(count, ["k", "M", "G"])
}

fn rounded(count: u64, [thousand, million, billion]: [&str; 3]) -> String {
    match count {
        0..10_000 => grouped(count),
        10_000..1_000_000 => format!("{:.1} {thousand}", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} {million}", count as f64 / 1e6),
        _ => format!("{:.1} {billion}", count as f64 / 1e9),
    }
}

/// `12.3 s`, `4 min 10 s`, `2 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..100 => format!("{seconds:.1} s"),
        100..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A coordinate of a drawing.
pub(super) fn at(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// `3 scenarios`, `1 scenario`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([decimals(None, 2), decimals(Some(0.5), 2)], ["–", "0.50"]);
        assert_eq!([fixed(-0.5, 1), fixed(-0.01, 1)], ["−0.5", "0.0"]);
        assert_eq!([signed(0.25, 2), signed(-0.25, 2), signed(0.001, 2)], ["+0.25", "−0.25", "0.00"]);
        assert_eq!([grouped(1_234_567), about(9999), about(408_543)], ["1,234,567", "9,999", "408.5 thousand"]);
        assert_eq!([short(9999), short(408_543), short(2_500_000_000)], ["9,999", "408.5 k", "2.5 G"]);
        assert_eq!([duration(12.34), duration(250.0), duration(7500.0)], ["12.3 s", "4 min 10 s", "2 h 05 min"]);
        assert_eq!([counted(1, "task"), counted(3, "task")], ["1 task", "3 tasks"]);
    }
}
