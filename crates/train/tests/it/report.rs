//! The page of a run: it holds the numbers of the run, escapes what it is given, and copes with odd data.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hinet_data::Seed;
use hinet_train::{Cell, CompareTiming, Comparison, Experiment, Metrics, ModelTiming, comparison_page};

use crate::shop::{Shop, fit_quietly};

/// A run on rows of these scenarios, with the labels of the second task as `second` says; in a folder of its own.
fn run(shop: &Shop, scenarios: &[&str], second: impl Fn(&str, u64) -> u64) -> PathBuf {
    let draw = |purpose: &str, row: u64, below: u64| Seed(3).stream(purpose, row) % below;
    for (name, rows) in [("train", 0..1200), ("valid", 1200..1800), ("test", 1800..2400)] {
        let mut text = "place,user,first,second\n".to_owned();
        for row in rows {
            let scenario = scenarios[row as usize % scenarios.len()];
            let user = draw("user", row, 20);
            let first = u64::from(draw("first", row, 20) < user);
            writeln!(text, "\"{}\",{user},{first},{}", scenario.replace('"', "\"\""), second(scenario, row)).unwrap();
        }
        std::fs::write(shop.path(&format!("{name}.csv")), text).unwrap();
    }
    let experiment = Experiment::parse(CONFIG, &shop.path("odd.toml"), &[]).unwrap();
    let out = shop.path("run");
    fit_quietly(&experiment, &out, false).unwrap();
    out
}

const CONFIG: &str = r#"
name = "<script>alert('run') & \"co\""
[data]
train = "train.csv"
valid = "valid.csv"
test = "test.csv"
[scenario]
column = "place"
[[task]]
name = "first"
label = "first"
[[task]]
name = "<b>second</b> & 'more'"
label = "second"
[[feature]]
columns = ["user"]
kind = "categorical"
dim = 4
[model]
preset = "hinet"
sub_experts = 2
units = [8]
expert_units = [8]
shared = 2
specific = 1
tower_units = [4]
[train]
epochs = 2
batch_size = 256
threads = 1
log_every = 1
"#;

fn page(run: &Path) -> String {
    std::fs::read_to_string(run.join("report.html")).unwrap()
}

fn metrics(run: &Path) -> Metrics {
    Metrics::from_json(&std::fs::read_to_string(run.join("metrics.json")).unwrap()).unwrap()
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            '/' => out.push_str("&#x2f;"),
            other => out.push(other),
        }
    }
    out
}

/// Every number of every cell of test stands in the page at its place, an undefined one as a dash.
fn assert_holds_its_cells(page: &str, run: &Path) {
    let metrics = metrics(run);
    let split = &metrics.splits["test"];
    let told = |value: Option<f64>, places: usize| value.map_or("–".to_owned(), |value| format!("{value:.places$}"));
    let shown =
        |cell: &Cell| [("auc", told(cell.auc, 4)), ("logloss", told(cell.logloss, 4)), ("pcoc", told(cell.pcoc, 3))];
    for cell in split.cells.iter().chain(&split.overall) {
        let place =
            cell.scenario.as_ref().map_or(String::new(), |name| format!(" data-scenario=\"{}\"", escaped(name)));
        for (metric, text) in shown(cell) {
            let wanted = format!("data-metric=\"{metric}\" data-task=\"{}\"{place}>{text}</td>", escaped(&cell.task));
            assert!(page.contains(&wanted), "{wanted} is not in the page");
        }
    }
}

/// What any page must be: whole, without script, and with nothing to load.
fn assert_stands_alone(page: &str) {
    for word in ["<script", "http://", "https://", "src=", "@import", "url(", "{{", "{%", "NaN", ">inf", ">-inf"] {
        assert!(!page.contains(word), "the page has {word:?}");
    }
    for name in ["html", "body", "main", "section", "table", "tr", "td", "th", "svg", "figure", "div", "span", "title"]
    {
        let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
        assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "<{name}>");
    }
}

#[test]
fn names_and_values_are_escaped_and_a_cell_of_one_class_is_a_dash() {
    let shop = Shop::new();
    let places = ["home & \"garden\"", "<script>alert(1)</script>", "a'b"];
    let run =
        run(&shop, &places, |place, row| u64::from(place != "a'b" && Seed(5).stream("second", row).is_multiple_of(4)));
    let page = page(&run);
    assert_stands_alone(&page);
    assert!(metrics(&run).splits["test"].cells.iter().any(|cell| cell.auc.is_none()), "every cell is defined");
    assert_holds_its_cells(&page, &run);
    assert!(page.contains("class=\"undefined\""), "an undefined cell looks like any other");
}

#[test]
fn one_scenario_alone_and_thirty_of_them_each_have_a_whole_page() {
    for count in [1, 30] {
        let shop = Shop::new();
        let names: Vec<String> = (1..=count).map(|number| format!("scenario {number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let run = run(&shop, &names, |_, row| Seed(5).stream("second", row) % 2);
        let page = page(&run);
        assert_stands_alone(&page);
        assert_holds_its_cells(&page, &run);
        assert_eq!(page.contains("id=\"attention-0\""), count > 1, "attention with {count} scenarios");
        assert!(page.contains("id=\"gate-0\""));
    }
}

#[test]
fn a_repeated_run_has_the_same_page_but_for_its_cost() {
    let shop = Shop::new();
    let pages = ["a", "b"].map(|name| {
        let out = shop.path(name);
        fit_quietly(&shop.experiment(&[]), &out, false).unwrap();
        let page = page(&out);
        let (before, cost) = page.split_once("<section id=\"cost\">").unwrap();
        before.to_owned() + cost.split_once("</section>").unwrap().1
    });
    assert_eq!(pages[0], pages[1]);
}

#[test]
fn a_finished_run_whose_page_is_gone_gets_it_back_when_it_is_resumed() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_quietly(&shop.experiment(&[]), &out, false).unwrap();
    let before = page(&out);
    std::fs::remove_file(out.join("report.html")).unwrap();
    fit_quietly(&shop.experiment(&[]), &out, true).unwrap();
    assert_eq!(page(&out), before);
}

#[test]
fn factors_of_the_losses_are_drawn_where_they_move_and_only_there() {
    let shop = Shop::new();
    for (kind, drawn) in [("uncertainty", true), ("fixed", false)] {
        let out = shop.path(kind);
        let set = format!("{{ kind = \"{kind}\" }}");
        fit_quietly(&shop.experiment(&[("train.weighting", &set)]), &out, false).unwrap();
        let page = page(&out);
        assert_stands_alone(&page);
        assert_eq!(page.contains("factors of the losses"), drawn, "{kind}");
        assert!(!page.contains("id=\"warm\""), "nothing was taken over");
    }
}

#[test]
fn a_run_without_valid_and_test_has_a_page_too() {
    let shop = Shop::new();
    let out = shop.path("run");
    let config = std::fs::read_to_string(train_only(&shop)).unwrap();
    fit_quietly(&Experiment::parse(&config, &shop.path("bare.toml"), &[]).unwrap(), &out, false).unwrap();
    assert_stands_alone(&page(&out));
}

fn train_only(shop: &Shop) -> PathBuf {
    let toml = shop.experiment(&[]).to_toml();
    let mut table: toml::Table = toml.parse().unwrap();
    let data = table["data"].as_table_mut().unwrap();
    data.remove("valid");
    data.remove("test");
    table["train"].as_table_mut().unwrap().remove("monitor");
    let path = shop.path("bare.toml");
    std::fs::write(&path, toml::to_string(&table).unwrap()).unwrap();
    path
}

#[test]
fn the_page_of_a_comparison_holds_its_numbers_and_marks_what_is_beyond_noise() {
    let comparison: Comparison = serde_json::from_str(include_str!("comparison.json")).unwrap();
    let speed = ModelTiming { model: "hinet".to_owned(), rows_per_second: 12_345.6, ..ModelTiming::default() };
    let page = comparison_page(&comparison, &CompareTiming { models: vec![speed], ..CompareTiming::default() });
    assert_stands_alone(&page);
    // Numbers and their signs are not parted at the end of a line.
    let page = page.replace('\u{a0}', " ");
    for text in ["0.7123 ± 0.0011", "+6.5 ▲", "−4.1 ▼", "0.6901 ± 0.0030 ▼", "&lt;tab&gt; 1", "R1", ">12,346<"]
    {
        assert!(page.contains(text), "{text:?} is not in the page");
    }
    // What a pointer finds stands on paper too.
    for text in ["\">−24.2 to −20.2, p 0.020</text>", "<small class=\"aside\">+4.5 to +8.5, p 0.020<"] {
        assert!(page.contains(text), "{text:?} is not in the page");
    }
    assert!(page.contains("408.5 k") && page.contains("1,000 rows, 100 positive"), "counts are not in the page");
    assert!(page.contains("class=\"b4\"") && page.contains("class=\"w3\"") && page.contains("class=\"z\""));
}
