//! What a column's name says. Names are taken apart at `_`, at other signs and where a capital begins a word.

/// Lower-case words of a name: `couponType` and `coupon_type` are both `coupon`, `type`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut last_small = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && last_small) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().expect("begins with one word").extend(letter.to_lowercase());
        }
        last_small = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn any(words: &[String], known: &[&str]) -> bool {
    words.iter().any(|word| known.contains(&word.as_str()))
}

/// Actions and outcomes that are predicted.
const OUTCOMES: [&str; 55] = [
    "label",
    "labels",
    "target",
    "y",
    "outcome",
    "click",
    "clicked",
    "clk",
    "like",
    "liked",
    "buy",
    "bought",
    "purchase",
    "purchased",
    "order",
    "ordered",
    "conversion",
    "convert",
    "converted",
    "cvr",
    "ctr",
    "ctcvr",
    "view",
    "viewed",
    "watch",
    "watched",
    "follow",
    "followed",
    "comment",
    "commented",
    "share",
    "shared",
    "forward",
    "install",
    "installed",
    "download",
    "response",
    "responded",
    "accept",
    "accepted",
    "churn",
    "churned",
    "pay",
    "paid",
    "cart",
    "favourite",
    "favorite",
    "collect",
    "subscribe",
    "subscribed",
    "signup",
    "enter",
    "hate",
    "booked",
    "reply",
];
/// Whom or what an `is_...` can describe that is known beforehand.
const THINGS: [&str; 24] = [
    "user", "author", "item", "video", "live", "streamer", "new", "weekend", "holiday", "member", "vip", "mobile",
    "period", "active", "premium", "male", "female", "adult", "ad", "married", "employed", "promoted", "free",
    "weekday",
];

/// Whether a column of 0 and 1 with this name is something to predict.
pub(super) fn is_outcome(words: &[String]) -> bool {
    let described = any(words, &THINGS) || words.first().is_some_and(|word| word == "has");
    let outcome =
        words.iter().any(|word| OUTCOMES.contains(&word.trim_end_matches(|letter: char| letter.is_ascii_digit())));
    (outcome && !words.first().is_some_and(|word| word == "user" || word == "item" || word == "has"))
        || (words.first().is_some_and(|word| word == "is") && words.len() > 1 && !described)
}

/// How much a name sounds like a scenario, 0 (not at all) to 3.
pub(super) fn scenario_likeness(words: &[String]) -> u32 {
    if any(words, &["scenario", "scene", "tab", "domain", "channel", "surface", "placement", "page"]) {
        3
    } else if any(words, &["country", "market", "region", "site", "position", "platform", "slot", "locale"]) {
        2
    } else if any(words, &["type", "coupon", "campaign", "offer", "category", "kind", "source", "device"]) {
        1
    } else {
        0
    }
}

pub(super) fn is_user(words: &[String]) -> bool {
    let person = any(words, &["user", "uid", "userid", "member", "customer", "visitor", "account", "reader", "viewer"]);
    let id = any(words, &["id", "uid", "userid", "key", "no", "number"]) || (person && words.len() == 1);
    person && id && words.len() <= 2
}

pub(super) fn is_request(words: &[String]) -> bool {
    let list = any(
        words,
        &["request", "session", "search", "srch", "query", "impression", "qid", "pv", "requestid", "sessionid"],
    );
    list && (any(words, &["id", "qid", "requestid", "sessionid"]) || words.len() == 1)
}

pub(super) fn is_id(words: &[String]) -> bool {
    any(words, &["id", "ids", "uuid", "guid", "idx", "index", "sku", "asin"])
        || words.last().is_some_and(|word| word.len() > 2 && word.ends_with("id"))
}

pub(super) fn is_time(words: &[String]) -> bool {
    any(words, &["time", "timestamp", "ts", "date", "datetime", "day", "dt", "when"])
        || words.last().is_some_and(|word| word == "at")
}

/// Whether a number of this name is a code rather than a quantity.
pub(super) fn is_code(words: &[String]) -> bool {
    let code = [
        "cat", "category", "code", "type", "zip", "hash", "class", "group", "cluster", "brand", "city", "hour", "month",
    ];
    any(words, &code) || words.iter().any(|word| word.starts_with("onehot") || word.starts_with("cate"))
}

/// Whether the name sounds like what only the user's reaction tells.
pub(super) fn is_aftermath(words: &[String]) -> bool {
    let acting =
        any(words, &["play", "watch", "view", "stay", "dwell", "read", "played", "watched", "profile", "comment"]);
    acting && any(words, &["time", "ms", "seconds", "sec", "duration", "ratio", "percent"])
}

pub(super) fn is_history(words: &[String]) -> bool {
    any(words, &["hist", "history", "seq", "sequence", "recent", "last", "past", "clicked", "behaviour", "behavior"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_apart_at_signs_and_capitals() {
        assert_eq!(words("couponType"), ["coupon", "type"]);
        assert_eq!(words("toCoupon_GEQ5min"), ["to", "coupon", "geq5min"]);
        assert_eq!(words("is_click"), ["is", "click"]);
        assert_eq!(words("Y"), ["y"]);
        assert!(words("__").is_empty());
    }

    #[test]
    fn outcomes_are_told_from_properties() {
        for name in ["Y", "is_click", "long_view", "label", "label2", "is_profile_enter", "converted", "is_spam"] {
            assert!(is_outcome(&words(name)), "{name}");
        }
        for name in ["is_live_streamer", "has_children", "direction_same", "user_clicked", "onehot_feat0", "is_weekend"]
        {
            assert!(!is_outcome(&words(name)), "{name}");
        }
    }

    #[test]
    fn users_requests_and_ids_are_known_by_name() {
        assert!(is_user(&words("user_id")) && is_user(&words("uid")) && is_user(&words("CustomerID")));
        assert!(!is_user(&words("user_active_degree")) && !is_user(&words("video_id")));
        assert!(is_request(&words("session_id")) && !is_request(&words("search_text")));
        assert!(is_id(&words("video_id")) && is_id(&words("itemid")) && !is_id(&words("price")));
    }
}
