//! From profiles to roles: what each column is for, and why.

use super::profile::{Class, Parts, Profile};
use super::words::{
    is_aftermath, is_code, is_history, is_id, is_outcome, is_request, is_time, is_user, scenario_likeness, words,
};

/// What a column is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Something to predict.
    Label,
    /// Could tell the scenario; the higher the number, the more its name sounds like it.
    Scenario {
        /// 1 to 3.
        likeness: u32,
    },
    /// Names the user; a categorical feature besides.
    User,
    /// Names the request or session.
    Request,
    /// Tells when the row was made.
    Time,
    /// An input.
    Feature(FeatureKind),
    /// Of no use, or not to be used.
    Unused,
}

/// As what kind of feature a column enters.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// One category.
    Categorical,
    /// A number.
    Numeric,
    /// Several categories in a list, or in a text with this separator.
    Multi(Option<String>),
    /// Several categories with weights, in a text with this separator.
    Weighted(String),
    /// Several categories in order of time, in a list, or in a text with this separator.
    Sequence(Option<String>),
    /// This many numbers, in a list, or in a text with this separator.
    Vector(usize, Option<String>),
}

/// One column and what it seems to be.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnGuess {
    /// Its name.
    pub name: String,
    /// What it seems to be for.
    pub role: Role,
    /// Why, in a few words.
    pub reason: String,
    /// Distinct values in the rows looked at.
    pub distinct: u64,
}

/// Values beyond which a column tells no scenario.
const MOST_SCENARIOS: u64 = 50;
/// Whole numbers with up to this many values are categories.
const FEW_NUMBERS: u64 = 30;

pub(super) fn guess_column(profile: &Profile) -> ColumnGuess {
    let words = words(&profile.name);
    let (role, reason) =
        useless(profile).or_else(|| by_name(profile, &words)).unwrap_or_else(|| feature(profile, &words));
    let reason = match profile.missing {
        0 => reason,
        missing => format!("{reason}, {} missing", percent(missing, profile.rows)),
    };
    ColumnGuess { name: profile.name.clone(), role, reason, distinct: profile.distinct() }
}

fn useless(profile: &Profile) -> Option<(Role, String)> {
    let reason = if profile.class == Class::Unknown {
        format!("type {} is no kind of feature", profile.data_type)
    } else if profile.present() == 0 {
        "holds nothing".to_owned()
    } else if profile.missing * 20 > profile.rows * 19 {
        "holds nearly nothing".to_owned()
    } else if profile.distinct() == 1 {
        format!("is `{}` everywhere", shown(&profile.values[0].0))
    } else {
        return None;
    };
    Some((Role::Unused, reason))
}

fn by_name(profile: &Profile, words: &[String]) -> Option<(Role, String)> {
    let binary = profile.holds_only(&["0", "1"]) || profile.holds_only(&["false", "true"]);
    let distinct = profile.distinct();
    if binary && is_outcome(words) {
        return Some((Role::Label, format!("{}, and named like an outcome", binary_text(profile))));
    }
    if is_user(words) && !binary {
        return Some((Role::User, format!("names the user, {distinct} values")));
    }
    if is_request(words) && !binary {
        return Some((Role::Request, format!("names the request or session, {distinct} values")));
    }
    if is_aftermath(words) && distinct > FEW_NUMBERS {
        return Some((Role::Unused, "sounds like what only the reaction tells: a leak".to_owned()));
    }
    if let Some(reason) = time(profile, words) {
        return Some((Role::Time, reason));
    }
    let likeness = scenario_likeness(words);
    let single = matches!(profile.class, Class::Whole | Class::Text | Class::Flag);
    if likeness > 0 && single && (2..=MOST_SCENARIOS).contains(&distinct) && several(profile).is_none() {
        return Some((Role::Scenario { likeness }, format!("{distinct} values: {}", listed(profile))));
    }
    None
}

/// Why a column tells the time, if it does.
fn time(profile: &Profile, words: &[String]) -> Option<String> {
    if profile.class == Class::Time {
        return Some(format!("type {}", profile.data_type));
    }
    if !is_time(words) {
        return None;
    }
    let (low, high) = (profile.smallest, profile.largest);
    let numeric = matches!(profile.class, Class::Whole | Class::Fraction);
    if numeric && profile.whole && low >= 19_000_101.0 && high <= 21_001_231.0 {
        return Some(format!("days from {low} to {high}"));
    }
    if numeric && low >= 1e8 {
        return Some(format!("numbers from {low} to {high}"));
    }
    let dated = |text: &str| {
        let digits = text.bytes().take(10).enumerate();
        text.len() >= 10
            && digits
                .into_iter()
                .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' || byte == b'/' } else { byte.is_ascii_digit() })
    };
    let texts = profile.class == Class::Text && profile.values.iter().all(|(text, _)| dated(text));
    texts.then(|| "dates as text".to_owned())
}

fn feature(profile: &Profile, words: &[String]) -> (Role, String) {
    let (distinct, present) = (profile.distinct(), profile.present());
    let nearly_unique = present >= 100 && distinct * 100 >= present * 95;
    let (kind, reason) = match profile.class {
        Class::Flag => (FeatureKind::Categorical, "yes or no".to_owned()),
        Class::Whole | Class::Fraction => return number(profile, words, nearly_unique),
        Class::Numbers if profile.lengths.0 == profile.lengths.1 && profile.missing == 0 => {
            (FeatureKind::Vector(profile.lengths.0, None), format!("lists of {} numbers", profile.lengths.0))
        }
        Class::Numbers => return (Role::Unused, "lists of numbers of unequal lengths".to_owned()),
        Class::Categories => {
            let reason = format!("lists of {} to {} values", profile.lengths.0, profile.lengths.1);
            let sequence = is_history(words);
            (if sequence { FeatureKind::Sequence(None) } else { FeatureKind::Multi(None) }, reason)
        }
        Class::Text => match several(profile) {
            Some(parts) => taken_apart(profile, parts, is_history(words)),
            None if nearly_unique && !is_id(words) => {
                return (Role::Unused, format!("text that differs in nearly every row ({distinct} values)"));
            }
            None => (FeatureKind::Categorical, format!("text, {distinct} values")),
        },
        Class::Time | Class::Unknown => return (Role::Unused, format!("type {}", profile.data_type)),
    };
    (Role::Feature(kind), reason)
}

fn number(profile: &Profile, words: &[String], nearly_unique: bool) -> (Role, String) {
    let (distinct, low, high) = (profile.distinct(), profile.smallest, profile.largest);
    let id = is_id(words);
    if profile.whole && nearly_unique && id && words.len() == 1 {
        return (Role::Unused, "numbers the rows".to_owned());
    }
    let categorical = profile.whole && (id || is_code(words) || distinct <= FEW_NUMBERS);
    if categorical {
        let what = if id { "ids" } else { "whole numbers" };
        return (Role::Feature(FeatureKind::Categorical), format!("{what}, {distinct} values"));
    }
    (Role::Feature(FeatureKind::Numeric), format!("{distinct} numbers from {low} to {high}"))
}

/// How a text column falls apart into several values, if it does: the separator recurs, and the parts are fewer than the wholes.
fn several(profile: &Profile) -> Option<&Parts> {
    if profile.class != Class::Text {
        return None;
    }
    let split = |parts: &&Parts| {
        let often = parts.cells * 50 >= profile.present();
        let vector = parts.numbers && parts.lengths.0 == parts.lengths.1 && parts.lengths.0 >= 4;
        let sentence = parts.separator == " " && !parts.numbers && !parts.weighted;
        often && parts.clean && !sentence && (vector || parts.weighted || parts.distinct() < profile.distinct())
    };
    profile.parts().into_iter().find(split)
}

fn taken_apart(profile: &Profile, parts: &Parts, history: bool) -> (FeatureKind, String) {
    let separator = parts.separator.to_owned();
    let (low, high) = parts.lengths;
    if parts.weighted {
        return (FeatureKind::Weighted(separator), format!("{low} to {high} pairs of value and weight"));
    }
    let differ = profile.distinct() * 10 > profile.present();
    if parts.numbers && low == high && low >= 4 && differ && profile.missing == 0 {
        return (FeatureKind::Vector(low, Some(separator)), format!("{low} numbers"));
    }
    let reason = format!("text with {low} to {high} of {} values", parts.distinct());
    (if history { FeatureKind::Sequence(Some(separator)) } else { FeatureKind::Multi(Some(separator)) }, reason)
}

fn binary_text(profile: &Profile) -> String {
    let positive = profile.values.iter().filter(|(value, _)| value == "1" || value.eq_ignore_ascii_case("true"));
    let positives: u64 = positive.map(|(_, count)| count).sum();
    format!("{} positive", percent(positives, profile.present()))
}

fn listed(profile: &Profile) -> String {
    const SHOWN: usize = 6;
    let names: Vec<String> = profile.values.iter().take(SHOWN).map(|(value, _)| shown(value)).collect();
    if profile.distinct() > SHOWN as u64 { format!("{}, ...", names.join(", ")) } else { names.join(", ") }
}

/// A value as it stands in a comment: one line, not long.
fn shown(value: &str) -> String {
    value.chars().take(24).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn percent(part: u64, whole: u64) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    if (10.0..99.5).contains(&share) || part == 0 || part == whole {
        format!("{share:.0} %")
    } else {
        format!("{share:.1} %")
    }
}
