//! The grammar and its values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, UInt8Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use hinet_data::{DataError, Expression, Rows, Source};
use proptest::prelude::*;

use crate::source::batch;

fn table() -> RecordBatch {
    batch(vec![
        ("click", Arc::new(Int64Array::from(vec![Some(1), Some(0), None])) as ArrayRef),
        ("order", Arc::new(UInt8Array::from(vec![1, 1, 1]))),
        ("score", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("city", Arc::new(StringArray::from(vec![Some("Ulm"), Some("Kiel"), None]))),
        ("tab", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("1"), Some("2"), None]))),
        ("day", Arc::new(Date32Array::from(vec![19_000, 19_001, 19_002]))),
        ("a b", Arc::new(Int64Array::from(vec![10, 20, 30]))),
        ("big", Arc::new(Int64Array::from(vec![1, 1, (1 << 53) + 1]))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None, None]))),
    ])
}

fn rows() -> Rows {
    Rows::new(std::path::Path::new("a.parquet").into(), 11, table())
}

fn eval(text: &str) -> Vec<Option<f64>> {
    match Expression::parse(text).and_then(|expression| expression.eval(&rows())) {
        Ok(values) => values.iter().collect(),
        Err(error) => panic!("{error}"),
    }
}

fn refused(text: &str) -> String {
    let outcome = Expression::parse(text).and_then(|expression| expression.eval(&rows()));
    let error = outcome.expect_err("the expression is wrong").to_string();
    println!("{error}");
    error
}

fn first(text: &str) -> f64 {
    eval(text)[0].expect("known")
}

#[test]
fn operators_bind_as_in_school() {
    for (text, value) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("8 / 4 / 2", 1.0),
        ("5 - 3 - 1", 1.0),
        ("2 * -3", -6.0),
        ("--3", 3.0),
        ("1 + 1 == 2", 1.0),
        ("not 1 == 2", 1.0),
        ("not 0 and 0", 0.0),
        ("1 or 0 and 0", 1.0),
        ("(1 or 0) and 0", 0.0),
        ("not not 1", 1.0),
        ("1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3 and 1 != 2", 1.0),
        (".5e1 + 1.", 6.0),
        ("TRUE AND NOT FALSE", 1.0),
        ("2 in (1, 1 + 1)", 1.0),
        ("2 not in (1, 3)", 1.0),
        ("not 2 in (1, 3)", 1.0),
        ("'a' < 'b'", 1.0),
        ("'it''s' == \"it's\"", 1.0),
        ("'2' == 2", 1.0),
    ] {
        assert_eq!(first(text), value, "{text}");
    }
}

#[test]
fn columns_of_every_kind_take_part() {
    assert_eq!(eval("click * order"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("click == 1"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("flag"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("flag == true"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("`a b` / 10"), [Some(1.0), Some(2.0), Some(3.0)]);
    assert_eq!(eval("city == 'Ulm'"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("city in ('Ulm', 'Kiel')"), [Some(1.0), Some(1.0), None]);
    assert_eq!(eval("tab in ('1', '3')"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("tab in (1, 3)"), [Some(1.0), Some(0.0), None], "a text that is a number serves as one");
    assert_eq!(eval("click == '1'"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("day >= '2022-01-09'"), [Some(0.0), Some(1.0), Some(1.0)]);
    assert_eq!(eval("'Ulm' == city"), eval("city == 'Ulm'"));
}

#[test]
fn what_is_missing_makes_unknown_unless_the_rest_decides() {
    assert_eq!(eval("click and 0"), [Some(0.0), Some(0.0), Some(0.0)]);
    assert_eq!(eval("click or 1"), [Some(1.0), Some(1.0), Some(1.0)]);
    assert_eq!(eval("click and 1"), [Some(1.0), Some(0.0), None]);
    assert_eq!(eval("not click"), [Some(0.0), Some(1.0), None]);
    assert_eq!(eval("is_null(click)"), [Some(0.0), Some(0.0), Some(1.0)]);
    assert_eq!(eval("is_null(city) or city == 'Ulm'"), [Some(1.0), Some(0.0), Some(1.0)]);
    assert_eq!(eval("coalesce(click, 7)"), [Some(1.0), Some(0.0), Some(7.0)]);
    assert_eq!(eval("click in (0, 1)"), [Some(1.0), Some(1.0), None]);
}

#[test]
fn not_a_number_is_missing_for_truth_and_passes_through_arithmetic() {
    assert_eq!(eval("is_null(score)"), [Some(0.0), Some(1.0), Some(1.0)]);
    assert_eq!(eval("score != 0"), [Some(1.0), None, None]);
    assert_eq!(eval("coalesce(score, 0)"), [Some(0.5), Some(0.0), Some(0.0)]);
    let passed = eval("score + 1");
    assert!(passed[0] == Some(1.5) && passed[1].unwrap().is_nan() && passed[2].is_none());
    assert_eq!(eval("score and 1"), [Some(1.0), None, None]);
}

#[test]
fn a_where_keeps_only_rows_that_are_known_to_satisfy_it() {
    let keeps = |text| Expression::parse(text).unwrap().keeps(&rows()).unwrap();
    assert_eq!(keeps("click == 1"), BooleanArray::from(vec![true, false, false]));
    assert_eq!(keeps("score"), BooleanArray::from(vec![true, false, false]));
    assert_eq!(keeps("not click == 1").null_count(), 0);
}

#[test]
fn mistakes_are_shown_with_their_place_and_what_to_write() {
    for (text, expected) in [
        ("click = 1", "expected `==`, found `=`\n  click = 1\n        ^"),
        ("click && order", "expected `and`, found `&&`\n  click && order\n        ^"),
        ("!click", "expected `not` or `!=`"),
        ("click <> 1", "expected `!=`"),
        ("click % 2", "expected one of + - * /"),
        ("click == ", "expected a column, a number or a text, found the end\n  click == \n           ^"),
        ("(click", "expected ), found the end"),
        ("click order", "expected an operator or the end, found `order`"),
        ("1 < 2 < 3", "expected `and` or `or` (comparisons do not chain), found `<`"),
        ("sum(click)", "expected one of the functions is_null(x) and coalesce(x, y), found `sum(click)`"),
        ("is_null(click, order)", "expected one value in is_null(x)"),
        ("click in 1", "expected a list in parentheses, such as (1, 2), found `1`"),
        ("click in ()", "expected a column, a number or a text, found `)`"),
        ("click in (1", "expected `,` or `)`, found the end"),
        ("click not 1", "expected `in`, found `1`"),
        ("'Ulm", "expected a closing '"),
        ("3d == 1", "expected a number, or a column's name in backquotes"),
        ("", "found the end"),
        ("click # 1", "expected a column, a number, a text or an operator, found `#`"),
        ("click == 'one'", "expected a number (texts can only be compared, and only with texts), found `'one'`"),
        ("list == 1", "expected a column of numbers, flags or texts"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(expected) || error.contains(expected), "{text}:\n{error}");
    }
}

#[test]
fn cells_that_do_not_fit_are_named() {
    let text = refused("city + 1");
    assert_eq!(text, "a.parquet, row 11, column `city`: `Ulm` is not a number, as `city + 1` needs");
    assert!(refused("big == 1").contains("row 13, column `big`: `9007199254740993` is not a whole number up to 2^53"));
    assert!(refused("clik == 1").contains("has no column `clik`; did you mean `click`?"));
}

#[test]
fn deep_and_long_expressions_are_refused_before_the_stack_is() {
    assert!(refused(&("(".repeat(2000) + "1")).contains("fewer parts inside one another"));
    assert!(refused(&("not ".repeat(1000) + "1")).contains("fewer parts inside one another"));
    assert!(refused(&("-".repeat(2000) + "1")).contains("fewer parts inside one another"));
    assert!(refused(&("2^".repeat(2000) + "1")).contains("fewer parts inside one another"));
    assert!(refused(&"1+".repeat(3000)).contains("at most 4096 bytes"));
    assert!(refused(&("1+".repeat(2000) + "1")).contains("at most 256 operators"));
    assert_eq!(first(&("1+".repeat(256) + "1")), 257.0);
}

#[test]
fn columns_are_listed_once_in_order_of_mention() {
    let expression = Expression::parse("b * (a + b) > 1 and not is_null(`c d`) or e in (f, 1)").unwrap();
    assert_eq!(expression.columns(), ["b", "a", "c d", "e", "f"]);
    assert_eq!(Expression::column("x`y").columns(), ["x`y"]);
    assert_eq!(Expression::parse(Expression::column("x`y").text()).unwrap().columns(), ["x`y"]);
}

#[test]
fn an_expression_is_checked_against_a_source_without_reading_it() {
    let source = Source::from_batches("memory", vec![table()]);
    let check = |text: &str| Expression::parse(text).unwrap().check(&source);
    assert!(check("click * order").is_ok());
    assert!(matches!(check("clik"), Err(DataError::MissingColumn { .. })));
    assert!(matches!(check("list"), Err(DataError::Expression { .. })));
}

#[test]
fn an_expression_is_written_as_its_text() {
    let expression = Expression::parse("click == 1").unwrap();
    let json = serde_json::to_string(&expression).unwrap();
    assert_eq!(json, "\"click == 1\"");
    assert_eq!(serde_json::from_str::<Expression>(&json).unwrap(), expression);
    assert!(serde_json::from_str::<Expression>("\"click =\"").unwrap_err().to_string().contains("expected `==`"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-c0-9 .()'\"`+*/^=<>!&|,-]{0,40}|\\PC{0,20}") {
        let outcome = Expression::parse(&text).map_err(|error| error.to_string());
        if let Err(message) = outcome {
            prop_assert!(message.contains("expected"));
        }
    }

    #[test]
    fn arithmetic_agrees_with_rust(a in -100_i64..100, b in -100_i64..100, c in 1_i64..100) {
        let batch = batch(vec![
            ("a", Arc::new(Int64Array::from(vec![a])) as ArrayRef),
            ("b", Arc::new(Int64Array::from(vec![b])) as ArrayRef),
            ("c", Arc::new(Int64Array::from(vec![c])) as ArrayRef),
        ]);
        let rows = Rows::new(std::path::Path::new("memory").into(), 1, batch);
        let value = Expression::parse("a + b * c - a / c").unwrap().eval(&rows).unwrap().value(0);
        let (a, b, c) = (a as f64, b as f64, c as f64);
        prop_assert_eq!(value, a + b * c - a / c);
    }
}
