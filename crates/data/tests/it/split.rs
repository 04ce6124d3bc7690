//! Splits: nothing leaks, shares are about right, and nothing but the rows decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int64Type;
use hinet_data::{DataConfig, Order, Part, Paths, Source, Split, SplitBy, SplitConfig};
use parquet::basic::Compression;
use proptest::prelude::*;

use crate::source::{Folder, batch, names, write_parquet};

const PARTS: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

fn config(by: SplitBy, column: Option<&str>) -> SplitConfig {
    SplitConfig { by, column: column.map(str::to_owned), valid: 0.1, test: 0.2, seed: 0 }
}

/// Rows with their number in `n`, and a time or group in `key`.
fn source(keys: ArrayRef, rows_per_batch: usize) -> Source {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys.len() as i64));
    let whole = batch(vec![("n", numbers), ("key", keys)]);
    let starts = (0..whole.num_rows()).step_by(rows_per_batch);
    let batches = starts.map(|start| whole.slice(start, rows_per_batch.min(whole.num_rows() - start))).collect();
    Source::from_batches("memory", batches)
}

fn integers(keys: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(keys.to_vec()))
}

/// The numbers of a part's rows.
fn numbers(source: &Source, split: &Split, part: Part, order: Order) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    for rows in source.with_part(split, part).read(&names(&["n"]), order).unwrap() {
        let rows = rows.unwrap();
        assert_eq!(rows.batch.num_columns(), 1, "the split's column is not handed on unless asked for");
        rows.batch
            .column(0)
            .as_primitive::<Int64Type>()
            .iter()
            .for_each(|number| assert!(found.insert(number.unwrap())));
    }
    found
}

fn parts(source: &Source, split: &Split) -> [BTreeSet<i64>; 3] {
    let parts = PARTS.map(|part| numbers(source, split, part, Order::InFile));
    for (part, found) in PARTS.iter().zip(&parts) {
        assert_eq!(split.part(*part).rows, found.len() as u64, "{part:?} is counted");
        assert_eq!(source.with_part(split, *part).rows(), Some(found.len() as u64));
    }
    parts
}

fn refused(config: &SplitConfig, source: &Source) -> String {
    let error = Split::resolve(config, source).expect_err("it cannot be split so");
    println!("{error}");
    error.to_string()
}

#[test]
fn times_of_every_type_are_cut_at_the_same_rows() {
    let hours: Vec<i64> = (0..1000).map(|row| (row * 7919) % 1000).collect();
    let columns: [(ArrayRef, &str); 6] = [
        (integers(&hours), "999"),
        (Arc::new(Float64Array::from_iter_values(hours.iter().map(|hour| *hour as f64 - 500.5))), "498.5"),
        (
            Arc::new(TimestampMillisecondArray::from_iter_values(hours.iter().map(|hour| hour * 3_600_000))),
            "1970-02-11T15:00:00",
        ),
        (Arc::new(Date32Array::from_iter_values(hours.iter().map(|hour| *hour as i32))), "1972-09-26"),
        (
            Arc::new(StringArray::from_iter_values(
                hours
                    .iter()
                    .map(|hour| format!("20{:02}-01-{:02} {:02}:00", hour / 100, hour / 10 % 10 + 1, hour % 10)),
            )),
            "2009-01-10T09:00:00",
        ),
        (
            Arc::new(Int64Array::from_iter_values(hours.iter().map(|hour| (hour - 500) * (i64::MAX / 500)))),
            "9204925292781065949",
        ),
    ];
    for (keys, last) in columns {
        let kind = keys.data_type().clone();
        let source = source(keys, 77);
        let split = Split::resolve(&config(SplitBy::Time, Some("key")), &source).unwrap();
        let [train, valid, test] = parts(&source, &split);
        assert_eq!((train.len(), valid.len(), test.len()), (700, 100, 200), "{kind}");
        let latest = |part: &BTreeSet<i64>| part.iter().map(|row| hours[*row as usize]).max();
        assert_eq!((latest(&train), latest(&valid), latest(&test)), (Some(699), Some(799), Some(999)));
        assert_eq!(split.part(Part::Test).to.as_deref(), Some(last), "{kind}");
    }
}

#[test]
fn a_split_is_written_and_read_back_and_says_the_same() {
    let keys: Vec<i64> = (0..500).map(|row| row * row % 97).collect();
    let source = source(integers(&keys), 100);
    for config in [
        config(SplitBy::Time, Some("key")),
        config(SplitBy::Group, Some("key")),
        config(SplitBy::Random, Some("n")),
        config(SplitBy::Random, None),
    ] {
        let split = Split::resolve(&config, &source).unwrap();
        let json = serde_json::to_string(&split).unwrap();
        println!("{json}");
        let again: Split = serde_json::from_str(&json).unwrap();
        assert_eq!(split, again);
        assert_eq!(parts(&source, &split), parts(&source, &again));
    }
}

#[test]
fn days_are_never_parted_and_the_nearest_cut_is_taken() {
    let days: Vec<i64> = (0..1000).map(|row| row / 100).collect();
    let split = Split::resolve(&config(SplitBy::Time, Some("key")), &source(integers(&days), 1000)).unwrap();
    let rows = PARTS.map(|part| split.part(part).rows);
    assert_eq!(rows, [700, 100, 200]);
    let uneven: Vec<i64> = [(1, 40), (2, 30), (3, 30)].iter().flat_map(|(day, rows)| vec![*day; *rows]).collect();
    let split = Split::resolve(&config(SplitBy::Time, Some("key")), &source(integers(&uneven), 7)).unwrap();
    assert_eq!(PARTS.map(|part| split.part(part).rows), [40, 30, 30], "no part is empty");
}

#[test]
fn one_part_may_be_left_out() {
    let source = source(integers(&(0..100).collect::<Vec<_>>()), 10);
    for by in [SplitBy::Time, SplitBy::Group] {
        let only_valid = SplitConfig { valid: 0.25, test: 0.0, ..config(by, Some("key")) };
        let split = Split::resolve(&only_valid, &source).unwrap();
        assert_eq!(split.part(Part::Test).rows, 0);
        let only_test = SplitConfig { valid: 0.0, test: 0.25, ..config(by, Some("key")) };
        let split = Split::resolve(&only_test, &source).unwrap();
        assert_eq!(split.part(Part::Valid).rows, 0);
        assert!(split.part(Part::Test).rows > 10);
    }
}

#[test]
fn a_group_is_one_whatever_the_type_of_its_name() {
    let users: Vec<i64> = (0..2000).map(|row| row % 200).collect();
    let as_integers = source(integers(&users), 300);
    let as_numbers = source(Arc::new(Float64Array::from_iter_values(users.iter().map(|user| *user as f64))), 300);
    let as_texts = source(Arc::new(StringArray::from_iter_values(users.iter().map(i64::to_string))), 300);
    let as_other_texts =
        source(Arc::new(StringArray::from_iter_values(users.iter().map(|user| format!("{user}.0")))), 300);
    let config = config(SplitBy::Group, Some("key"));
    let found = parts(&as_integers, &Split::resolve(&config, &as_integers).unwrap());
    for other in [as_numbers, as_texts, as_other_texts] {
        assert_eq!(found, parts(&other, &Split::resolve(&config, &other).unwrap()));
    }
    let [train, valid, test] = found.map(|part| part.iter().map(|row| users[*row as usize]).collect::<BTreeSet<_>>());
    assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
    assert!((10..=32).contains(&valid.len()) && (25..=58).contains(&test.len()), "{} {}", valid.len(), test.len());
}

#[test]
fn a_split_by_text_and_number_agree_where_a_column_is_forced_to_text() {
    let folder = Folder::new();
    let text = "n,key\n".to_owned() + &(0..500).map(|row| format!("{row},{}.0\n", row % 50)).collect::<String>();
    let source = Source::open(&[folder.write("a.csv", text)]).unwrap();
    let split = Split::resolve(&config(SplitBy::Group, Some("key")), &source).unwrap();
    let forced = source.with_text_columns(&names(&["key"]));
    assert_ne!(source.schema(), forced.schema());
    assert_eq!(parts(&source, &split), parts(&forced, &split));
}

#[test]
fn a_split_by_time_stays_where_its_column_is_forced_to_text_or_number() {
    let folder = Folder::new();
    let text = "n,key\n".to_owned() + &(0..500).map(|row| format!("{row},{}\n", row * 37 % 500)).collect::<String>();
    let source = Source::open(&[folder.write("a.csv", text)]).unwrap();
    let split = Split::resolve(&config(SplitBy::Time, Some("key")), &source).unwrap();
    for forced in [source.with_text_columns(&names(&["key"])), source.with_number_columns(&names(&["key"]))] {
        assert_ne!(source.schema(), forced.schema());
        assert_eq!(parts(&source, &split), parts(&forced, &split));
    }
}

#[test]
fn random_rows_do_not_depend_on_how_they_lie_in_files() {
    let folder = Folder::new();
    let column =
        |rows: std::ops::Range<i64>| batch(vec![("n", Arc::new(Int64Array::from_iter_values(rows)) as ArrayRef)]);
    write_parquet(&folder.path("whole.parquet"), &[column(0..5000)], 5000, Compression::SNAPPY);
    write_parquet(&folder.path("x-1.parquet"), &[column(0..1234)], 100, Compression::SNAPPY);
    write_parquet(&folder.path("x-2.parquet"), &[column(1234..5000)], 777, Compression::SNAPPY);
    let text = "n\n".to_owned() + &(0..5000).map(|row| format!("{row}\n")).collect::<String>();
    folder.write("a.csv", text);
    let found = ["whole.parquet", "x-*.parquet", "a.csv"].map(|name| {
        let source = Source::open(&[folder.path(name)]).unwrap();
        let split = Split::resolve(&config(SplitBy::Random, None), &source).unwrap();
        for part in PARTS {
            let shuffled = numbers(&source, &split, part, Order::Shuffled { seed: 5 });
            assert_eq!(shuffled, numbers(&source, &split, part, Order::InFile));
        }
        parts(&source, &split)
    });
    assert!(found[0] == found[1] && found[1] == found[2]);
    assert!((430..570).contains(&found[0][1].len()) && (920..1080).contains(&found[0][2].len()));
    let source = Source::open(&[folder.path("whole.parquet")]).unwrap();
    let split = Split::resolve(&config(SplitBy::Random, None), &source).unwrap();
    let other = Source::open(&[folder.path("x-1.parquet")]).unwrap().with_part(&split, Part::Train);
    let error = other.read(&names(&["n"]), Order::InFile).unwrap_err().to_string();
    assert!(error.contains("positions of rows in other files"), "{error}");
}

#[test]
fn another_seed_gives_another_split() {
    let source = source(integers(&(0..1000).collect::<Vec<_>>()), 1000);
    let with_seed = |seed| {
        let config = SplitConfig { seed, ..config(SplitBy::Group, Some("key")) };
        parts(&source, &Split::resolve(&config, &source).unwrap())
    };
    assert_eq!(with_seed(1), with_seed(1));
    assert_ne!(with_seed(1), with_seed(2));
}

#[test]
fn what_cannot_be_split_is_refused_with_the_reason() {
    let few = source(integers(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), 10);
    let by_time = config(SplitBy::Time, Some("key"));
    assert!(refused(&by_time, &few).contains("too many rows share one time (10 rows, 10 of them at 1)"));
    assert!(refused(&by_time, &source(integers(&[1, 2]), 10)).contains("there are too few rows"));
    let late: Vec<i64> = (0..100).map(|row| row.min(12)).collect();
    assert!(refused(&by_time, &source(integers(&late), 10)).contains("train would get less than half"));
    assert!(refused(&config(SplitBy::Group, Some("key")), &few).contains("leaves no row for"));
    let gaps: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None]));
    assert!(refused(&by_time, &source(gaps, 2)).contains("memory, row 3, column `key`: `nothing` is not a time"));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["2024-01-01", "soon"]));
    assert!(refused(&by_time, &source(words, 2)).contains("row 2, column `key`: `soon` is not a time"));
    assert!(refused(&config(SplitBy::Time, Some("kye")), &few).contains("did you mean `key`?"));
    assert!(refused(&config(SplitBy::Time, None), &few).starts_with("`data.split.column`: `by = \"time\"` needs"));
    assert!(refused(&config(SplitBy::Group, None), &few).starts_with("`data.split.column`: `by = \"group\"` needs"));
    for (valid, test, key) in [
        (-0.1, 0.1, "data.split.valid"),
        (0.1, 1.0, "data.split.test"),
        (0.5, 0.5, "data.split"),
        (0.0, 0.0, "data.split"),
        (f64::NAN, 0.1, "data.split.valid"),
    ] {
        let config = SplitConfig { valid, test, ..config(SplitBy::Random, None) };
        assert!(refused(&config, &few).starts_with(&format!("`{key}`: ")));
    }
}

#[test]
fn a_config_names_a_split_or_files_but_not_both() {
    let mut data = DataConfig::new(Paths::One("a.parquet".to_owned()));
    data.split = Some(config(SplitBy::Random, None));
    assert!(data.check().is_ok());
    data.test = Some(Paths::One("b.parquet".to_owned()));
    assert!(data.check().unwrap_err().to_string().starts_with("`data.split`: "));
    let parsed: SplitConfig = serde_json::from_str("{\"by\": \"time\", \"column\": \"t\"}").unwrap();
    assert_eq!((parsed.valid, parsed.test, parsed.seed), (0.1, 0.1, 0));
    assert!(serde_json::from_str::<SplitConfig>("{\"by\": \"time\", \"colum\": \"t\"}").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn time_never_leaks_and_equal_times_never_straddle(
        keys in prop::collection::vec(prop_oneof![-20_i64..20, any::<i64>()], 3..300), rows_per_batch in 1_usize..50,
    ) {
        let source = source(integers(&keys), rows_per_batch);
        // Data that cannot be cut are refused; that is tested by example.
        let Ok(split) = Split::resolve(&config(SplitBy::Time, Some("key")), &source) else { return Ok(()) };
        let times = parts(&source, &split).map(|part| part.iter().map(|row| keys[*row as usize]).collect::<BTreeSet<_>>());
        let [train, valid, test] = &times;
        prop_assert!(train.last().unwrap() < valid.first().unwrap());
        prop_assert!(valid.last().unwrap() < test.first().unwrap());
        let rows: u64 = PARTS.iter().map(|part| split.part(*part).rows).sum();
        prop_assert_eq!(rows, keys.len() as u64);
    }

    #[test]
    fn distinct_times_give_the_shares_asked_for(count in 10_i64..500, valid in 0.05_f64..0.4, test in 0.05_f64..0.4) {
        let keys: Vec<i64> = (0..count).map(|row| (row * 7919 % 1009) * 1_000_003).collect();
        let config = SplitConfig { valid, test, ..config(SplitBy::Time, Some("key")) };
        let split = Split::resolve(&config, &source(integers(&keys), 64)).unwrap();
        let wanted = |share: f64| (count as f64 * share).round().max(1.0) as u64;
        prop_assert_eq!(split.part(Part::Valid).rows, wanted(valid));
        prop_assert_eq!(split.part(Part::Test).rows, wanted(test));
    }

    #[test]
    fn groups_never_leak_and_batches_do_not_matter(
        keys in prop::collection::vec(0_i64..1000, 200..400), first in 1_usize..50, second in 1_usize..200, seed: u64,
    ) {
        let config = SplitConfig { seed, ..config(SplitBy::Group, Some("key")) };
        let (one, other) = (source(integers(&keys), first), source(integers(&keys), second));
        let split = Split::resolve(&config, &one).unwrap();
        prop_assert_eq!(&split, &Split::resolve(&config, &other).unwrap());
        let found = parts(&one, &split);
        prop_assert_eq!(&found, &parts(&other, &split));
        let mut part_of: BTreeMap<i64, usize> = BTreeMap::new();
        for (part, rows) in found.iter().enumerate() {
            for row in rows {
                prop_assert_eq!(*part_of.entry(keys[*row as usize]).or_insert(part), part);
            }
        }
        prop_assert_eq!(found.iter().map(BTreeSet::len).sum::<usize>(), keys.len());
    }
}
