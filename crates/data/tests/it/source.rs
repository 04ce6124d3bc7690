//! Files to rows: every format, and every way a file can be wrong.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, ListArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Int8Type, Int32Type, Int64Type};
use hinet_data::{DataError, Limits, Order, Rows, Source};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).expect("the folder is ours");
        self.path(name)
    }
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

pub(crate) fn write_parquet(path: &Path, batches: &[RecordBatch], group_rows: usize, compression: Compression) {
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).set_compression(compression).build();
    let file = File::create(path).expect("the folder is ours");
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).expect("a plain schema");
    batches.iter().for_each(|batch| writer.write(batch).expect("of that schema"));
    writer.close().expect("room on the disk");
}

pub(crate) fn names(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|name| (*name).to_owned()).collect()
}

fn open(path: &Path) -> Result<Source, DataError> {
    Source::open(&[path.to_owned()])
}

fn all(source: &Source, columns: &[&str], order: Order) -> Result<Vec<Rows>, DataError> {
    source.read(&names(columns), order)?.collect()
}

/// The texts of a column, with `-` for a missing cell.
fn texts(rows: &[Rows], column: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for rows in rows {
        let cells = rows.column(column).expect("the column was asked for");
        let options = arrow::util::display::FormatOptions::new().with_null("-");
        let formatter = arrow::util::display::ArrayFormatter::try_new(cells, &options).expect("a plain type");
        texts.extend((0..cells.len()).map(|index| formatter.value(index).to_string()));
    }
    texts
}

fn refused(path: &Path) -> String {
    let outcome = open(path).and_then(|source| {
        let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
        source.read(&columns, Order::InFile)?.collect::<Result<Vec<_>, _>>()
    });
    let error = outcome.expect_err("the file is wrong");
    let text = error.to_string();
    println!("{text}");
    text
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).expect("memory")
}

const CLICKS: &str = "user,age,is_click,city\n7,1.5,true,\"Ulm, a \"\"town\"\"\"\n8,,false,\n9,2,true,Kiel\n";

#[test]
fn csv_is_read_with_judged_types_plain_and_packed() {
    let folder = Folder::new();
    for (name, content) in
        [("a.csv", CLICKS.into()), ("b.csv.gz", gzip(CLICKS.as_bytes())), ("c.csv.zst", zstd(CLICKS.as_bytes()))]
    {
        let source = open(&folder.write(name, content)).unwrap();
        let types: Vec<&DataType> = source.schema().fields().iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Int64, &DataType::Float64, &DataType::Boolean, &DataType::Utf8]);
        let rows = all(&source, &["city", "user", "age", "is_click"], Order::InFile).unwrap();
        assert_eq!(texts(&rows, "user"), ["7", "8", "9"]);
        assert_eq!(texts(&rows, "age"), ["1.5", "-", "2.0"]);
        assert_eq!(texts(&rows, "is_click"), ["true", "false", "true"]);
        assert_eq!(texts(&rows, "city"), ["Ulm, a \"town\"", "-", "Kiel"]);
        assert_eq!(rows[0].number(2), 3);
    }
}

#[test]
fn json_lines_are_read_with_lists_and_absent_keys() {
    let folder = Folder::new();
    let lines = "{\"user\": 7, \"tags\": [\"a\", \"b\"], \"x\": {\"deep\": 1}}\n\n{\"score\": 1.5, \"user\": null, \"tags\": []}\n{\"user\": 9, \"score\": 2}";
    for (name, content) in
        [("a.jsonl", lines.into()), ("b.jsonl.gz", gzip(lines.as_bytes())), ("c.jsonl.zst", zstd(lines.as_bytes()))]
    {
        let source = open(&folder.write(name, content)).unwrap();
        let rows = all(&source, &["user", "tags", "score", "x"], Order::InFile).unwrap();
        assert_eq!(texts(&rows, "user"), ["7", "-", "9"]);
        assert_eq!(texts(&rows, "tags"), ["[a, b]", "[]", "-"]);
        assert_eq!(texts(&rows, "score"), ["-", "1.5", "2.0"]);
        assert_eq!(texts(&rows, "x"), ["{\"deep\":1}", "-", "-"]);
    }
}

#[test]
fn text_columns_keep_what_numbers_would_lose() {
    let folder = Folder::new();
    let csv = open(&folder.write("a.csv", "zip,n\n1234,1\n0123,2\n")).unwrap();
    assert_eq!(csv.schema().field(0).data_type(), &DataType::Utf8, "a leading zero makes a text");
    let late = open(&folder.write("b.csv", "zip\n1234\n")).unwrap().with_text_columns(&names(&["zip", "absent"]));
    assert_eq!(late.schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(texts(&all(&late, &["zip"], Order::InFile).unwrap(), "zip"), ["1234"]);
    let json = open(&folder.write("c.jsonl", "{\"id\": 7, \"l\": [1, 2.5]}\n{\"id\": \"x\"}\n")).unwrap();
    assert_eq!(texts(&all(&json, &["id"], Order::InFile).unwrap(), "id"), ["7", "x"]);
    let json = json.with_text_columns(&names(&["l"]));
    assert_eq!(texts(&all(&json, &["l"], Order::InFile).unwrap(), "l"), ["[1, 2.5]", "-"]);
    let large = open(&folder.write("d.csv", "id\n18446744073709551615\n")).unwrap();
    assert_eq!(large.schema().field(0).data_type(), &DataType::Utf8, "beyond 64 bits with sign");
}

#[test]
fn number_columns_accept_fractions_after_whole_first_rows() {
    let folder = Folder::new();
    let path = folder.write("a.csv", format!("n\n{}0.5\n", "1\n".repeat(20_000)));
    assert!(refused(&path).contains("row 20001, column `n`: `0.5` is not a whole number"), "judged by the first rows");
    let source = open(&path).unwrap().with_number_columns(&names(&["n"]));
    let rows = all(&source, &["n"], Order::InFile).unwrap();
    assert_eq!(rows.iter().map(Rows::len).sum::<usize>(), 20_001);
    assert_eq!(rows.last().unwrap().number(rows.last().unwrap().len() - 1), 20_001);
}

#[test]
fn parquet_is_read_with_every_codec_and_text_type() {
    let folder = Folder::new();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    let rows = batch(vec![
        ("utf8", Arc::new(StringArray::from(vec![Some("a"), None, Some("b")])) as ArrayRef),
        ("large", Arc::new(LargeStringArray::from(vec!["a", "b", "c"]))),
        ("view", Arc::new(StringViewArray::from(vec!["a", "b", "c"]))),
        ("dictionary", Arc::new(DictionaryArray::<Int8Type>::from_iter(["x", "y", "x"]))),
        ("number", Arc::new(Float64Array::from(vec![1.0, f64::NAN, -0.5]))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
    ]);
    for codec in codecs {
        let path = folder.path(&format!("{}.parquet", codec.to_string().replace(['(', ')'], "")));
        write_parquet(&path, std::slice::from_ref(&rows), 2, codec);
        let source = open(&path).unwrap();
        assert_eq!((source.rows(), source.chunks().len()), (Some(3), 2));
        let read = all(&source, &["list", "utf8", "large", "view", "dictionary", "number"], Order::InFile).unwrap();
        assert_eq!(texts(&read, "utf8"), ["a", "-", "b"], "{codec}");
        assert_eq!(texts(&read, "large"), ["a", "b", "c"]);
        assert_eq!(texts(&read, "view"), ["a", "b", "c"]);
        assert_eq!(texts(&read, "dictionary"), ["x", "y", "x"]);
        assert_eq!(texts(&read, "number"), ["1.0", "NaN", "-0.5"]);
        assert_eq!(texts(&read, "list"), ["[1, -]", "-", "[]"]);
        assert_eq!((read[1].number(0), read[1].len()), (3, 1), "the second row group's first row is the file's third");
    }
}

#[test]
fn parquet_texts_with_few_values_come_as_dictionaries_and_others_as_texts() {
    let folder = Folder::new();
    let count = 50_000;
    let few: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|row| format!("city {}", row % 20))));
    let many: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|row| format!("user {row}"))));
    let path = folder.path("a.parquet");
    write_parquet(&path, &[batch(vec![("few", few), ("many", many)])], 20_000, Compression::SNAPPY);
    let source = open(&path).unwrap();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(source.schema().field(0).data_type(), &dictionary);
    assert_eq!(source.schema().field(1).data_type(), &DataType::Utf8);
    let rows = all(&source, &["few", "many"], Order::InFile).unwrap();
    assert!(rows.iter().all(|rows| rows.len() <= 8192));
    assert_eq!(rows[0].column("few").unwrap().as_dictionary::<Int32Type>().values().len(), 20);
    let cities = texts(&rows, "few");
    assert!((0..count).all(|row| cities[row] == format!("city {}", row % 20)));
}

#[test]
fn folders_and_globs_give_their_data_files_sorted_and_pass_over_the_rest() {
    let folder = Folder::new();
    for name in ["b.csv", "a.csv", "c.csv"] {
        folder.write(name, format!("n\n{}\n", name.as_bytes()[0]));
    }
    folder.write("LICENSE.txt", "free");
    folder.write("_SUCCESS", "");
    folder.write(".hidden.csv", "n\nx\n");
    fs::create_dir(folder.path("deeper.csv")).unwrap();
    let source = open(&folder.path("")).unwrap();
    assert_eq!(texts(&all(&source, &["n"], Order::InFile).unwrap(), "n"), ["97", "98", "99"]);
    assert_eq!(source.files().len(), 3);
    let globbed = open(&folder.path("[ab].csv")).unwrap();
    assert_eq!(globbed.files(), [folder.path("a.csv"), folder.path("b.csv")]);
    let twice = Source::open(&[folder.path("a.csv"), folder.path("*.csv")]).unwrap_err();
    assert!(twice.is_usage() && twice.to_string().contains("named twice"), "{twice}");
    assert!(refused(&folder.path("*.parquet")).contains("matches no file"));
}

#[test]
fn a_shuffled_order_permutes_chunks_and_keeps_every_row_with_its_number() {
    let folder = Folder::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=1000));
    write_parquet(&folder.path("a.parquet"), &[batch(vec![("n", numbers)])], 100, Compression::UNCOMPRESSED);
    let source = open(&folder.path("a.parquet")).unwrap();
    let read = |seed| all(&source, &["n"], Order::Shuffled { seed }).unwrap();
    let (first, again, other) = (read(1), read(1), read(2));
    assert_eq!(texts(&first, "n"), texts(&again, "n"));
    assert_ne!(texts(&first, "n"), texts(&other, "n"));
    for rows in &first {
        let cells = rows.column("n").unwrap().as_primitive::<Int64Type>();
        assert!((0..rows.len()).all(|index| cells.value(index) as u64 == rows.number(index)));
    }
    let mut sorted: Vec<i64> = texts(&first, "n").iter().map(|text| text.parse().unwrap()).collect();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(1..=1000));
}

#[test]
fn a_row_that_was_kept_knows_its_number() {
    let source = Source::from_batches(
        "memory",
        vec![batch(vec![("n", Arc::new(Int64Array::from_iter_values(0..20_000)) as ArrayRef)])],
    );
    let mut stream = source.read(&names(&["n"]), Order::InFile).unwrap();
    let _first = stream.next().unwrap().unwrap();
    let rows = stream.next().unwrap().unwrap();
    let even = rows.filter(&(0..rows.len()).map(|index| Some(index % 2 == 0)).collect());
    assert_eq!((even.number(0), even.number(1), even.len()), (8193, 8195, 4096));
    assert_eq!(even.slice(5, 2).number(1), 8205);
    assert!(even.bad_value(1, "n", "odd").to_string().ends_with("row 8195, column `n`: `8194` is not odd"));
}

#[test]
fn reading_no_column_still_counts_rows() {
    let folder = Folder::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    write_parquet(&folder.path("a.parquet"), &[batch(vec![("n", numbers)])], 4, Compression::UNCOMPRESSED);
    for path in [folder.path("a.parquet"), folder.write("a.csv", "n\n".to_owned() + &"1\n".repeat(10))] {
        let rows = all(&open(&path).unwrap(), &[], Order::InFile).unwrap();
        assert_eq!(rows.iter().map(Rows::len).sum::<usize>(), 10);
    }
}

#[test]
fn files_read_together_must_agree_on_columns_and_types() {
    let folder = Folder::new();
    let refused_with = |name: &str, content: &str, expected: &str| {
        let other = folder.write(name, content);
        let error = Source::open(&[folder.write("a.csv", "n,m\n1,2\n"), other.clone()]).unwrap_err().to_string();
        println!("{error}");
        assert!(error.starts_with(&format!("{}, column `", other.display())) && error.contains(expected), "{error}");
        fs::remove_file(other).unwrap();
    };
    refused_with("b.csv", "n\n1\n", "column `m`: is missing, while");
    refused_with("b.csv", "n,m,k\n1,2,3\n", "column `k`: is here, while");
    let wide = Source::open(&[folder.write("a.csv", "n,m\n1,2\n"), folder.write("b.csv", "m,n\n0.5,x\n")]).unwrap();
    let rows = all(&wide, &["n", "m"], Order::InFile).unwrap();
    assert_eq!((texts(&rows, "n"), texts(&rows, "m")), (names(&["1", "x"]), names(&["2.0", "0.5"])));
    let (ints, floats): (ArrayRef, ArrayRef) =
        (Arc::new(Int64Array::from(vec![1])), Arc::new(Float64Array::from(vec![1.0])));
    write_parquet(&folder.path("a.parquet"), &[batch(vec![("n", ints)])], 9, Compression::SNAPPY);
    write_parquet(&folder.path("b.parquet"), &[batch(vec![("n", floats)])], 9, Compression::SNAPPY);
    let error = open(&folder.path("*.parquet")).unwrap_err().to_string();
    assert!(
        error.contains("b.parquet, column `n`: holds Float64, while ") && error.contains("a.parquet holds Int64"),
        "{error}"
    );
}

#[test]
fn paths_that_lead_nowhere_are_refused_with_a_hint() {
    let folder = Folder::new();
    folder.write("train.csv", "n\n1\n");
    assert!(refused(&folder.path("trian.csv")).ends_with("does not exist; did you mean `train.csv`?"));
    assert!(refused(&folder.write("a.xlsx", "x")).contains("known endings are .parquet, .csv, .csv.gz"));
    fs::create_dir(folder.path("empty")).unwrap();
    assert!(refused(&folder.path("empty")).contains("is a folder without a data file directly inside"));
    let missing = open(&folder.path("train.csv")).unwrap().read(&names(&["m"]), Order::InFile).unwrap_err();
    assert!(missing.is_usage() && missing.to_string().ends_with("has no column `m`; did you mean `n`?"), "{missing}");
}

#[test]
fn empty_files_and_files_without_rows_are_refused() {
    let folder = Folder::new();
    for name in ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"] {
        assert!(refused(&folder.write(name, "")).ends_with("is an empty file"), "{name}");
    }
    assert!(refused(&folder.write("b.csv", "n,m\n")).ends_with("has columns but no rows"));
    assert!(refused(&folder.write("c.csv.gz", gzip(b""))).ends_with("has no header and no rows"));
    assert!(refused(&folder.write("d.jsonl", "\n\n")).ends_with("has no rows"));
    let none: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    write_parquet(&folder.path("e.parquet"), &[batch(vec![("n", none)])], 9, Compression::SNAPPY);
    assert!(refused(&folder.path("e.parquet")).ends_with("has columns but no rows"));
}

#[test]
fn files_cut_short_are_refused_whatever_their_packing() {
    let folder = Folder::new();
    let text = "n,m\n".to_owned() + &(0..200_000).map(|row| format!("{row},{}\n", row * 7 % 1000)).collect::<String>();
    for (name, whole, format) in
        [("a.csv.gz", gzip(text.as_bytes()), "gzip"), ("a.csv.zst", zstd(text.as_bytes()), "zstd")]
    {
        let message = refused(&folder.write(name, &whole[..whole.len() - whole.len() / 4]));
        assert!(message.contains(&format!("cannot be read as {format}: it is cut short")), "{message}");
        assert!(
            refused(&folder.write(name, "not packed at all\n1\n")).contains(&format!("cannot be read as {format}"))
        );
    }
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
    write_parquet(&folder.path("a.parquet"), &[batch(vec![("n", numbers)])], 1000, Compression::SNAPPY);
    let whole = fs::read(folder.path("a.parquet")).unwrap();
    for length in [3, 8, whole.len() / 2, whole.len() - 1] {
        let message = refused(&folder.write("b.parquet", &whole[..length]));
        assert!(message.contains("cannot be read as Parquet: it is cut short, still being written"), "{message}");
    }
}

#[test]
fn a_parquet_file_with_a_flipped_byte_gives_rows_or_an_error_and_never_a_panic() {
    let folder = Folder::new();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..300).map(|row| row * row)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..300).map(|row| format!("v{}", row % 7))));
    write_parquet(&folder.path("a.parquet"), &[batch(vec![("n", numbers), ("t", texts)])], 100, Compression::SNAPPY);
    let whole = fs::read(folder.path("a.parquet")).unwrap();
    for place in (0..whole.len()).step_by(3) {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x41;
        let path = folder.write("b.parquet", &flipped);
        let _rows_or_error = open(&path).and_then(|source| {
            let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
            source.read(&columns, Order::InFile)?.collect::<Result<Vec<_>, _>>()
        });
    }
}

#[test]
fn unreadable_files_are_refused_with_the_systems_reason() {
    let folder = Folder::new();
    let through_a_file = folder.write("a.csv", "n\n1\n").join("b.csv");
    assert!(refused(&through_a_file).starts_with("cannot read `"), "a file is no folder");
    let source = open(&folder.path("a.csv")).unwrap();
    fs::remove_file(folder.path("a.csv")).unwrap();
    let gone = all(&source, &["n"], Order::InFile).unwrap_err();
    assert!(gone.to_string().contains("a.csv") && !gone.is_usage(), "{gone}");
}

#[test]
fn a_huge_line_is_refused_before_it_fills_the_memory() {
    let folder = Folder::new();
    let huge = "x".repeat(10 << 20);
    for (name, content) in [
        ("a.csv", format!("n,m\n1,2\n3,{huge}\n4,5\n")),
        ("b.csv", format!("n,m\n1,2\n3,\"{huge}\"\n")),
        ("c.jsonl", format!("{{\"n\": 1}}\n{{\"n\": \"{huge}\"}}\n")),
    ] {
        let message = refused(&folder.write(name, content));
        let line = if name == "c.jsonl" { 2 } else { 3 };
        assert!(message.contains(&format!("{name}, line {line}: longer than 1048576 bytes")), "{message}");
    }
    let limits = Limits { line_bytes: 16 << 20, ..Limits::default() };
    let source = Source::open_with(&[folder.path("a.csv")], limits).unwrap();
    assert_eq!(texts(&all(&source, &["n"], Order::InFile).unwrap(), "n"), ["1", "3", "4"]);
}

#[test]
fn rows_that_cannot_be_taken_apart_are_named() {
    let folder = Folder::new();
    let csv = |content: &str| refused(&folder.write("a.csv", content));
    assert!(csv("n,m\n1,2\n3\n").ends_with("a.csv, row 2: it has 1 fields, the header has 2 (line 3)"));
    assert!(csv("n,m\n\"a\nb\",2\n3,4,5\n").ends_with("a.csv, row 2: it has 3 fields, the header has 2 (line 4)"));
    assert!(csv("n\n\"1\n").ends_with("row 1: a quote is opened and never closed (line 2)"));
    assert!(csv("n,n\n1,2\n").ends_with("has two columns named `n`"));
    let jsonl = |content: &str| refused(&folder.write("a.jsonl", content));
    assert!(jsonl("{\"n\": 1}\n[1]\n").contains("row 2: it is not one JSON object: invalid type: sequence"));
    assert!(jsonl("{\"n\": 1}\n{\"n\": 1} {\n").contains("row 2: it is not one JSON object: trailing characters"));
    assert!(jsonl(&"[".repeat(100_000)).contains("row 1: it is not one JSON object"));
    assert!(jsonl(&format!("{{\"n\": {}", "[".repeat(100_000))).contains("recursion limit exceeded"));
    assert!(jsonl("{\"n\": 1}\n{\"n\": [1]}\n").contains("row 2, column `n`"));
}

#[test]
fn a_late_cell_of_another_type_is_named_with_what_was_expected() {
    let folder = Folder::new();
    let start = |first: &str| format!("a,b\n{}", format!("{first},1\n").repeat(20_000));
    let message = refused(&folder.write("a.csv", start("true") + "yes,1\n"));
    assert!(
        message.ends_with("a.csv, row 20001, column `a`: `yes` is not true or false, as the first rows are"),
        "{message}"
    );
    let message = refused(&folder.write("a.csv", start("7") + "99999999999999999999,1\n"));
    assert!(message.contains("`99999999999999999999` is not a whole number of at most 64 bits"), "{message}");
    let message = refused(&folder.write("a.csv", [start("x").as_bytes(), b"\xff\xfe,1\n"].concat()));
    assert!(message.ends_with("is not text in UTF-8"), "{message}");
    let lines = "{\"a\": 1}\n".repeat(20_000) + "{\"a\": [1]}\n";
    let message = refused(&folder.write("a.jsonl", lines));
    assert!(message.contains("row 20001, column `a`: `[1]` is not a whole number"), "{message}");
}

#[test]
fn headers_may_have_a_byte_order_mark_quotes_and_carriage_returns() {
    let folder = Folder::new();
    let source = open(&folder.write("a.csv", "\u{feff}\"user \"\"id\"\"\", m \r\n1,2\r\n\r\n3,4")).unwrap();
    let rows = all(&source, &["user \"id\"", "m"], Order::InFile).unwrap();
    assert_eq!(texts(&rows, "m"), ["2", "4"]);
    assert_eq!(rows[0].number(1), 2, "blank lines are no rows");
}

#[test]
fn wide_batches_are_cut_by_bytes_so_that_memory_stays_bounded() {
    let folder = Folder::new();
    let line = format!("{}\n", "y".repeat(500_000));
    let source = open(&folder.write("a.csv", "text\n".to_owned() + &line.repeat(60))).unwrap();
    let rows = all(&source, &["text"], Order::InFile).unwrap();
    assert!(rows.len() >= 3 && rows.iter().all(|rows| rows.len() <= 17), "8 MiB of text make a batch");
    let number = rows[0].column("text").unwrap().as_string::<i32>().value(0).len();
    assert_eq!((number, rows.iter().map(Rows::len).sum::<usize>()), (500_000, 60));
}

#[test]
fn shared_files_are_read_as_they_are() {
    let Some(shared) = crate::skip::shared_data("shared_files_are_read_as_they_are") else { return };
    let source = open(&shared.join("kuairand-pure/train.parquet")).unwrap();
    assert_eq!(source.rows(), Some(55_272));
    let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    let rows: u64 = source.read(&columns, Order::InFile).unwrap().map(|rows| rows.unwrap().len() as u64).sum();
    assert_eq!(Some(rows), source.rows());
    let coupons = open(&shared.join("coupon/in_vehicle_coupon.csv")).unwrap();
    let columns: Vec<String> = coupons.schema().fields().iter().map(|field| field.name().clone()).collect();
    let rows: usize = coupons.read(&columns, Order::InFile).unwrap().map(|rows| rows.unwrap().len()).sum();
    assert_eq!(rows, 12_684);
}

/// A column of so many rows, in batches of another length than chunks have.
fn flags(rows: usize) -> Vec<RecordBatch> {
    let cells = |rows: usize| -> ArrayRef { Arc::new(arrow::array::Int8Array::from(vec![1; rows])) };
    let lengths = (0..rows).step_by(300_000).map(|first| 300_000.min(rows - first));
    lengths.map(|length| batch(vec![("flag", cells(length))])).collect()
}

#[test]
fn a_table_and_its_stream_are_read_in_chunks_of_the_rows_that_others_put_into_a_row_group() {
    let batches = flags((1 << 20) + 5);
    let schema = batches[0].schema();
    let table = Source::from_table("<t>", &schema, &batches).unwrap();
    let stream = Source::from_stream("<t>", &schema, batches.into_iter().map(Ok), None).unwrap();
    for source in [table, stream] {
        let chunks: Vec<(u64, Option<u64>)> =
            source.chunks().iter().map(|chunk| (chunk.first_row, chunk.rows)).collect();
        assert_eq!(chunks, [(1, Some(1 << 20)), ((1 << 20) + 1, Some(5))]);
        let last = source.read(&["flag".to_owned()], Order::InFile).unwrap().last().unwrap().unwrap();
        assert_eq!((last.number(4), last.file.as_ref()), ((1 << 20) + 5, Path::new("<t>")));
        assert!(!source.is_in_files());
    }
}

#[test]
fn a_spooled_stream_is_a_file_that_goes_with_its_last_clone() {
    let folder = Folder::new();
    let batches = flags(10);
    let schema = batches[0].schema();
    let source = Source::from_stream("<s>", &schema, batches.into_iter().map(Ok), Some(&folder.path(""))).unwrap();
    let left = || fs::read_dir(folder.path("")).unwrap().count();
    let clone = source.clone();
    drop(source);
    assert_eq!((left(), clone.rows()), (1, Some(10)));
    drop(clone);
    assert_eq!(left(), 0);
}

#[test]
fn a_stream_that_fails_or_has_nothing_is_refused_and_leaves_nothing() {
    let folder = Folder::new();
    let batches = flags(10);
    let schema = batches[0].schema();
    let spool = |batches: Vec<Result<RecordBatch, arrow::error::ArrowError>>| {
        Source::from_stream("<s>", &schema, batches.into_iter(), Some(&folder.path(""))).unwrap_err().to_string()
    };
    let broken = arrow::error::ArrowError::ComputeError("the cable was cut".to_owned());
    let error = spool(vec![Ok(batches[0].clone()), Err(broken)]);
    assert!(error.starts_with("<s> cannot be read as a stream of Arrow batches") && error.contains("cable"), "{error}");
    assert_eq!(spool(Vec::new()), "<s> has columns but no rows");
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 0);
    let empty = Source::from_table("<t>", &schema, &[]).unwrap_err();
    assert_eq!(empty.to_string(), "<t> has columns but no rows");
}
