//! Public data sets through the public interface: exact tables, refusals, and splits through which nothing leaks.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::json::LineDelimitedWriter;
use hinet_data::{ConvertConfig, ConvertSplit, Converted, DataError, PublicSet, convert};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::published;

/// A folder with published files in `in`, to be converted into `out`.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.input()).unwrap();
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.input().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn config(&self, set: PublicSet) -> ConvertConfig {
        ConvertConfig::new(set, &self.input())
    }

    /// Everything goes to train.
    fn whole(&self, set: PublicSet) -> ConvertConfig {
        ConvertConfig { split: Some(ConvertSplit::Random), valid: Some(0.0), test: Some(0.0), ..self.config(set) }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn converted(&self, config: &ConvertConfig) -> Converted {
        let _ = fs::remove_dir_all(self.out());
        convert(config, &self.out(), &mut |_| {}).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is said of files that are refused, of which nothing is left.
    fn refused(&self, config: &ConvertConfig) -> DataError {
        let _ = fs::remove_dir_all(self.out());
        let error = convert(config, &self.out(), &mut |_| {}).expect_err("a refusal");
        let left: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["in"], "{error}");
        error
    }

    fn batches(&self, part: &str) -> Vec<RecordBatch> {
        let Ok(file) = fs::File::open(self.out().join(format!("{part}.parquet"))) else { return Vec::new() };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.build().unwrap().map(Result::unwrap).collect()
    }

    /// Rows as JSON, without missing cells.
    fn rows(&self, part: &str) -> Vec<String> {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        self.batches(part).iter().for_each(|batch| writer.write(batch).unwrap());
        String::from_utf8(writer.into_inner()).unwrap().lines().map(str::to_owned).collect()
    }

    fn whole_numbers(&self, part: &str, column: &str) -> Vec<i64> {
        let values = |batch: &RecordBatch| batch[column].as_primitive::<Int64Type>().values().to_vec();
        self.batches(part).iter().flat_map(values).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.out()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const PARTS: [&str; 3] = ["train", "valid", "test"];

/// Asserts that a line put in place of another is refused where it stands, in these words.
#[track_caller]
fn refuses(place: &Place, config: &ConvertConfig, file: &str, (good, bad): (&str, &str), said: &str) {
    let path = place.input().join(file);
    let text = fs::read(&path).unwrap();
    let before = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(before.matches(good).count(), 1, "{good:?} stands not once in {file}");
    fs::write(&path, before.replace(good, bad)).unwrap();
    let error = place.refused(config).to_string();
    assert_eq!(error, format!("{}, {said}", path.display()));
    fs::write(&path, text).unwrap();
}

// --- MovieLens ------------------------------------------------------------------------------------------------------

fn million() -> Place {
    let place = Place::new(&[
        ("ml-1m/users.dat", "1::F::1::10::48067\n2::M::56::16::70072\n3::M::25::15::55117\n"),
        ("ml-1m/ratings.dat", "1::1::5::978300760\n1::2::3::978302109\n2::2::4::978301968\n3::1::1::978300275\n"),
    ]);
    // Titles are in Latin 1, and one has the separator in it.
    place.write(
        "ml-1m/movies.dat",
        b"1::Toy Story (1995)::Animation|Children's|Comedy\n2::Mis\xe9rables:: Les (1995)::Drama\n",
    );
    place
}

#[test]
fn movielens_1m_becomes_the_table_that_was_worked_out_by_hand() {
    let place = million();
    let told = place.converted(&place.whole(PublicSet::MovieLens));
    assert_eq!((told.rows, told.left_out), ([4, 0, 0], 0));
    assert_eq!(place.names(), ["convert.json", "hinet.toml", "train.parquet"]);
    assert_eq!(
        place.rows("train"),
        [
            r#"{"user_id":1,"movie_id":1,"rating":5,"time":978300760,"age_group":"under_25","age":1,"gender":"F","occupation":"10","zip_code":"48067","genres":["Animation","Children's","Comedy"]}"#,
            r#"{"user_id":1,"movie_id":2,"rating":3,"time":978302109,"age_group":"under_25","age":1,"gender":"F","occupation":"10","zip_code":"48067","genres":["Drama"]}"#,
            r#"{"user_id":2,"movie_id":2,"rating":4,"time":978301968,"age_group":"35_and_over","age":56,"gender":"M","occupation":"16","zip_code":"70072","genres":["Drama"]}"#,
            r#"{"user_id":3,"movie_id":1,"rating":1,"time":978300275,"age_group":"25_to_34","age":25,"gender":"M","occupation":"15","zip_code":"55117","genres":["Animation","Children's","Comedy"]}"#,
        ]
    );
    let time = ConvertConfig { valid: Some(0.25), test: Some(0.25), ..place.config(PublicSet::MovieLens) };
    place.converted(&ConvertConfig { split: Some(ConvertSplit::Time), ..time });
    let times: Vec<_> = PARTS.iter().map(|part| place.whole_numbers(part, "time")).collect();
    assert_eq!(times, [vec![978300760, 978300275], vec![978301968], vec![978302109]]);
}

#[test]
fn movielens_1m_is_refused_where_a_line_does_not_fit() {
    let place = million();
    let config = place.whole(PublicSet::MovieLens);
    let ratings = "ml-1m/ratings.dat";
    let cases = [
        (ratings, ("1::2::3::978302109", "1::2::3"), "line 2: it has 3 values, expected 4"),
        (ratings, ("2::2::4", "2::2::6"), "line 3, column `rating`: `6` is not a number of stars from 1 to 5"),
        (ratings, ("2::2::4", "2::2::four"), "line 3, column `rating`: `four` is not a whole number"),
        (ratings, ("3::1::1", "9::1::1"), "line 4, column `user_id`: `9` is not one of the users' file's ids"),
        (ratings, ("3::1::1", "3::8::1"), "line 4, column `movie_id`: `8` is not one of the movies' file's ids"),
        (ratings, ("978300275", "now"), "line 4, column `time`: `now` is not a whole number"),
        ("ml-1m/users.dat", ("2::M", "2::X"), "line 2, column `gender`: `X` is not F or M"),
        ("ml-1m/users.dat", ("2::M::56", "2::M::560"), "line 2, column `age`: `560` is not an age"),
        ("ml-1m/users.dat", ("2::M::56", "1::M::56"), "line 2: its key `1` stands in line 1 already"),
        // Lines that no rating refers to are looked at, too.
        ("ml-1m/users.dat", ("55117\n", "55117\n77::X\n"), "line 4: it has 2 values, expected 5"),
        (
            "ml-1m/movies.dat",
            ("Comedy\n", "Comedy\n500::garbage\n"),
            "line 2: it is cut short: expected an id, a title and genres",
        ),
    ];
    for (file, change, said) in cases {
        refuses(&place, &config, file, change, said);
    }
}

#[test]
fn movielens_100k_has_other_separators_and_a_published_split() {
    let item = |id: u8, title: &str, flags: [usize; 2]| {
        let flag = |place: usize| if flags.contains(&place) { "|1" } else { "|0" };
        format!("{id}|{title}|01-Jan-1995||http{}\n", (0..19).map(flag).collect::<String>())
    };
    let place = Place::new(&[
        ("u.data", "1\t1\t5\t10\n2\t1\t4\t20\n2\t2\t1\t30\n"),
        ("u1.base", "1\t1\t5\t10\n2\t1\t4\t20\n"),
        ("u1.test", "2\t2\t1\t30\n"),
        ("u.user", "1|24|M|technician|85711\n2|35|F|other|94043\n"),
        ("u.item", &(item(1, "Toy Story", [3, 5]) + &item(2, "Heat", [1, 18]))),
    ]);
    let config = place.config(PublicSet::MovieLens);
    let recorded = ConvertConfig { split: Some(ConvertSplit::Recorded), valid: Some(0.0), ..config };
    assert_eq!(place.converted(&recorded).rows, [2, 0, 1]);
    assert_eq!(
        place.rows("train"),
        [
            r#"{"user_id":1,"movie_id":1,"rating":5,"time":10,"age_group":"under_25","age":24,"gender":"M","occupation":"technician","zip_code":"85711","genres":["Animation","Comedy"]}"#,
            r#"{"user_id":2,"movie_id":1,"rating":4,"time":20,"age_group":"35_and_over","age":35,"gender":"F","occupation":"other","zip_code":"94043","genres":["Animation","Comedy"]}"#,
        ]
    );
    assert!(place.rows("test")[0].ends_with(r#""genres":["Action","Western"]}"#), "{:?}", place.rows("test"));
    let change = ("2|Heat|01-Jan-1995||http|0|1", "2|Heat|01-Jan-1995||http|0|2");
    refuses(&place, &recorded, "u.item", change, "line 2, column `Action`: `2` is not 0 or 1");
}

// --- Census ---------------------------------------------------------------------------------------------------------

const CENSUS: &str = " 73, Not in universe, 0, 0, High school graduate, 0, Not in universe, Widowed, Not in universe or children, \
    Not in universe, White, All other, Female, Not in universe, Not in universe, Not in labor force, 0, 0, 0, Nonfiler, \
    Not in universe, Not in universe, Other Rel 18+ ever marr not in subfamily, Other relative of householder, 1700.09, ?, ?, ?, \
    Not in universe under 1 year old, ?, 0, Not in universe, United-States, United-States, United-States, \
    Native- Born in the United States, 0, Not in universe, 2, 0, 95, - 50000.\n";

fn census() -> Place {
    let married = CENSUS.replace("73,", "40,").replace("Widowed", "Never married").replace("- 50000.", "50000+.");
    Place::new(&[
        ("census-income.data", &format!("{CENSUS}{}", CENSUS.replace("95, ", "94, "))),
        ("census-income.test", &format!("{married}\n")),
    ])
}

#[test]
fn census_becomes_the_table_that_was_worked_out_by_hand() {
    let place = census();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::Census) };
    assert_eq!(place.converted(&config).rows, [2, 0, 1]);
    let first = r#"{"scenario":"all","age":73,"class_worker":"Not in universe","det_ind_code":0,"det_occ_code":0,"education":"High school graduate","wage_per_hour":0,"hs_college":"Not in universe","marital_stat":"Widowed","major_ind_code":"Not in universe or children","major_occ_code":"Not in universe","race":"White","hisp_origin":"All other","sex":"Female","union_member":"Not in universe","unemp_reason":"Not in universe","full_or_part_emp":"Not in labor force","capital_gains":0,"capital_losses":0,"stock_dividends":0,"tax_filer_stat":"Nonfiler","region_prev_res":"Not in universe","state_prev_res":"Not in universe","det_hh_fam_stat":"Other Rel 18+ ever marr not in subfamily","det_hh_summ":"Other relative of householder","instance_weight":1700.09,"mig_same":"Not in universe under 1 year old","num_emp":0,"fam_under_18":"Not in universe","country_father":"United-States","country_mother":"United-States","country_self":"United-States","citizenship":"Native- Born in the United States","own_or_self":0,"vet_question":"Not in universe","vet_benefits":2,"weeks_worked":0,"year":95,"income_50k":0}"#;
    let other = first.replace("\"year\":95", "\"year\":94");
    assert_eq!(place.rows("train"), [first, &other]);
    let married =
        first.replace(":73,", ":40,").replace("Widowed", "Never married").replace("income_50k\":0", "income_50k\":1");
    assert_eq!(place.rows("test"), [married]);
}

#[test]
fn census_is_refused_where_a_line_does_not_fit_and_where_it_has_no_such_split() {
    let place = census();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::Census) };
    let test = "census-income.test";
    let cases = [
        (("50000+.", "50000"), "line 1, column `income_50k`: ` 50000` is not `- 50000.` or `50000+.`"),
        ((" 40,", " forty,"), "line 1, column `age`: ` forty` is not a whole number"),
        ((" 1700.09,", " NaN,"), "line 1, column `instance_weight`: ` NaN` is not a finite number"),
        ((" White,", " ,"), "line 1, column `race`: ` ` is not a text of one character or more"),
        ((" White,", ""), "line 1: it has 41 values, expected 42"),
    ];
    for (change, said) in cases {
        refuses(&place, &config, test, change, said);
    }
    for split in [ConvertSplit::Time, ConvertSplit::User] {
        let error = place.refused(&ConvertConfig { split: Some(split), ..place.config(PublicSet::Census) });
        assert!(error.is_usage() && error.to_string().contains("choose recorded or random"), "{error}");
    }
    let error = place.refused(&ConvertConfig { test: Some(0.2), ..place.config(PublicSet::Census) }).to_string();
    assert_eq!(error, "`--test`: the test rows of a recorded split are the published ones");
    fs::remove_file(place.input().join(test)).unwrap();
    let error = place.refused(&config).to_string();
    assert!(error.contains("census-income.test` does not exist; did you mean `census-income.data`?"), "{error}");
}

#[test]
fn half_of_the_published_census_test_becomes_valid_and_copies_of_a_line_stay_together() {
    let place = Place::new(&[]);
    published::census(&place.input(), 400);
    let rows = place.converted(&place.config(PublicSet::Census)).rows;
    assert!(rows[0] == 400 && rows[1] + rows[2] == 200 && rows[1] > 40 && rows[2] > 40, "{rows:?}");
    let of = |part| place.rows(part).into_iter().collect::<HashSet<_>>();
    assert!(of("valid").is_disjoint(&of("test")));
}

// --- AliExpress -----------------------------------------------------------------------------------------------------

/// Search 7 of the Netherlands as its owner has it: value `n` of a user is `n`, of an item `100 + n`.
fn apart() -> Place {
    let user: Vec<String> = (2..=33).map(|number| number.to_string()).collect();
    let item: Vec<String> = (2..=48).map(|number| format!("{}", 100 + number)).collect();
    let (user, item) = (user.join(","), item.join(","));
    Place::new(&[
        ("NL/nl_user_train.csv", &format!("7,{user}\n8,{user}\n")),
        ("NL/nl_item_train.csv", &format!("7,{item},2\n7,{item},0\n9,{item},1\n8,{item},1\n")),
        ("NL/nl_user_test.csv", &format!("5,{user}\n")),
        ("NL/nl_item_test.csv", &format!("5,{item},0\n")),
    ])
}

/// A row of [`apart`] by the columns that MTReclib gives the values.
fn expected(search: &str, (click, conversion): (u8, u8)) -> String {
    let categories = [2, 3, 4, 5, 6, 7, 8, 32, 33, 119, 134, 135, 136, 140, 141, 142];
    let numbers = (9..=31).chain((102..=148).filter(|value| !categories.contains(value)));
    let mut text = format!(r#"{{"country":"NL","search_id":"{search}""#);
    categories.iter().zip(1..).for_each(|(value, place)| text += &format!(",\"categorical_{place}\":{value}"));
    numbers.zip(1..).for_each(|(value, place)| text += &format!(",\"numerical_{place}\":{value}.0"));
    text + &format!(",\"click\":{click},\"conversion\":{conversion}}}")
}

#[test]
fn aliexpress_becomes_the_table_that_was_worked_out_by_hand() {
    let place = apart();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliExpress) };
    let told = place.converted(&config);
    assert_eq!((told.rows, told.left_out), ([3, 0, 1], 1), "the item of search 9 has no user");
    assert!(expected("7", (1, 1)).contains("\"numerical_63\":148.0,\"click\":1"), "{}", expected("7", (1, 1)));
    assert_eq!(place.rows("train"), [expected("7", (1, 1)), expected("7", (0, 0)), expected("8", (1, 0))]);
    assert_eq!(place.rows("test"), [expected("5", (0, 0))]);
    let toml = fs::read_to_string(place.out().join("hinet.toml")).unwrap();
    assert!(toml.contains("request = \"search_id\""), "{toml}");
}

#[test]
fn aliexpress_as_mtreclib_joins_it_gives_the_same_columns() {
    let header = |first: &str| {
        let named = |kind: &str, count: u8| (1..=count).map(|n| format!("{kind}_{n}")).collect::<Vec<_>>().join(",");
        format!("{first},{},{},click,conversion\n", named("categorical", 16), named("numerical", 63))
    };
    let row = |first: &str, labels: &str| format!("{first},{}{},{labels}\n", "3,".repeat(16), ["0.5"; 63].join(","));
    let place = Place::new(&[
        ("AliExpress_US/train.csv", &(header("search_id") + &row("a", "1,0") + &row("a", "0,0") + &row("b", "1,1"))),
        ("AliExpress_US/test.csv", &(header("search_id") + &row("c", "0,0"))),
        ("AliExpress_FR/train.csv", &(header("") + &row("0", "0,0"))),
        ("AliExpress_FR/test.csv", &(header("") + &row("0", "1,0"))),
    ]);
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliExpress) };
    assert_eq!(place.converted(&config).rows, [4, 0, 2]);
    let rows = place.rows("train");
    assert!(rows[0].starts_with(r#"{"country":"FR","categorical_1":3,"#), "{}", rows[0]);
    assert!(rows[3].starts_with(r#"{"country":"US","search_id":"b","categorical_1":3,"#), "{}", rows[3]);
    assert!(rows[3].ends_with(r#","numerical_63":0.5,"click":1,"conversion":1}"#), "{}", rows[3]);
    let toml = fs::read_to_string(place.out().join("hinet.toml")).unwrap();
    assert!(!toml.contains("request ="), "one country does not name its searches: {toml}");
    let change = ("0.5,1,1", "0.5,1,2");
    refuses(&place, &config, "AliExpress_US/train.csv", change, "line 4, column `conversion`: `2` is not 0 or 1");
    place.write("AliExpress_FR/train.csv", header("").replace("numerical_9,", "numerical_nine,") + &row("0", "0,0"));
    let error = place.refused(&config).to_string();
    assert!(error.contains("no column `numerical_9`; did you mean"), "{error}");
}

#[test]
fn aliexpress_is_refused_where_a_line_does_not_fit_and_where_no_country_is() {
    let place = apart();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliExpress) };
    let items = "NL/nl_item_train.csv";
    let cases = [
        (items, ("147,148,2", "147,148,3"), "line 1, column `label`: `3` is not 0, 1 (clicked) or 2 (bought)"),
        (items, ("147,148,2", "147,2"), "line 1: it has 48 values, expected 49"),
        (items, ("147,148,2", "147,x,2"), "line 1, column `numerical_63`: `x` is not a finite number"),
        ("NL/nl_user_train.csv", ("8,2,3", "8,two,3"), "line 2, column `categorical_1`: `two` is not a whole number"),
        ("NL/nl_user_train.csv", ("8,2,3", "7,2,3"), "line 2: its key `7` stands in line 1 already"),
    ];
    for (file, change, said) in cases {
        refuses(&place, &config, file, change, said);
    }
    let empty = Place::new(&[("ru_item_train.csv", "1")]);
    let error = empty.refused(&empty.config(PublicSet::AliExpress));
    assert!(error.is_usage() && error.to_string().contains("AliExpress_NL"), "{error}");
}

// --- KuaiRand -------------------------------------------------------------------------------------------------------

const LOG: &str = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n";
const VIDEO_HEADER: &str = "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,music_id,music_type,tag\n";

fn kuairand() -> Place {
    let hots: String = (0..18).map(|number| format!(",onehot_feat{number}")).collect();
    let users = format!(
        "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,follow_user_num_range,\
         fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,register_days_range{hots}\n\
         0,full_active,0,-124,1,5,\"(0,10]\",0,0,0,0,107,61-90,0,1,17,638,2.0,0,1,6,300,0,0,0,1.0,0.0,0.0,0.0,0.0,\n"
    );
    let video = "10,123,NORMAL,2022-04-10,LongImport,0.0,87433.0,720.0,1280.0,9155697141,9.0,\"12,65\"\n";
    Place::new(&[
        (
            "data/log_standard_4_08_to_4_21_pure.csv",
            &format!(
                "{LOG}0,10,20220411,1900,1649675512388,0,0,0,0,0,0,0,1385,209900,0,0,0,0,1\n0,10,20220411,1900,1649675512389,1,0,0,0,0,0,1,1,2,0,0,0,0,5\n"
            ),
        ),
        (
            "data/log_standard_4_22_to_5_08_pure.csv",
            &format!("{LOG}7,20,20220422,0,1650600000000,1,1,0,0,0,0,1,5,6,0,0,1,0,4\n"),
        ),
        (
            "data/log_random_4_22_to_5_08_pure.csv",
            &format!("{LOG}0,10,20220423,100,1650600000001,0,0,0,0,0,0,0,0,6,0,0,0,1,0\n"),
        ),
        ("data/user_features_pure.csv", &users),
        ("data/video_features_basic_pure.csv", &format!("{VIDEO_HEADER}{video}")),
    ])
}

#[test]
fn kuairand_becomes_the_table_that_was_worked_out_by_hand() {
    let place = kuairand();
    let told = place.converted(&place.whole(PublicSet::KuaiRand));
    assert_eq!((told.rows, told.left_out), ([3, 0, 0], 1), "tab 5 is none of the five");
    let user = r#""user_active_degree":"full_active","is_lowactive_period":0,"is_live_streamer":-124,"is_video_author":1,"follow_user_num":5,"follow_user_num_range":"(0,10]","fans_user_num":0,"fans_user_num_range":"0","friend_user_num":0,"friend_user_num_range":"0","register_days":107,"register_days_range":"61-90","onehot_feat0":0,"onehot_feat1":1,"onehot_feat2":17,"onehot_feat3":638,"onehot_feat4":2,"onehot_feat5":0,"onehot_feat6":1,"onehot_feat7":6,"onehot_feat8":300,"onehot_feat9":0,"onehot_feat10":0,"onehot_feat11":0,"onehot_feat12":1,"onehot_feat13":0,"onehot_feat14":0,"onehot_feat15":0,"onehot_feat16":0"#;
    let video = r#""author_id":123,"video_type":"NORMAL","upload_dt":"2022-04-10","upload_type":"LongImport","visible_status":0,"video_duration":87433.0,"server_width":720,"server_height":1280,"music_id":9155697141,"music_type":9,"tag":"12,65""#;
    let expected = [
        format!(
            r#"{{"user_id":0,"video_id":10,"date":20220411,"hourmin":1900,"time_ms":1649675512388,"is_click":0,"is_like":0,"is_follow":0,"is_comment":0,"is_forward":0,"is_hate":0,"long_view":0,"play_time_ms":1385,"duration_ms":209900,"profile_stay_time":0,"comment_stay_time":0,"is_profile_enter":0,"is_rand":0,"tab":1,{user},{video}}}"#
        ),
        // Neither its user nor its video has features.
        r#"{"user_id":7,"video_id":20,"date":20220422,"hourmin":0,"time_ms":1650600000000,"is_click":1,"is_like":1,"is_follow":0,"is_comment":0,"is_forward":0,"is_hate":0,"long_view":1,"play_time_ms":5,"duration_ms":6,"profile_stay_time":0,"comment_stay_time":0,"is_profile_enter":1,"is_rand":0,"tab":4}"#.to_owned(),
        format!(
            r#"{{"user_id":0,"video_id":10,"date":20220423,"hourmin":100,"time_ms":1650600000001,"is_click":0,"is_like":0,"is_follow":0,"is_comment":0,"is_forward":0,"is_hate":0,"long_view":0,"play_time_ms":0,"duration_ms":6,"profile_stay_time":0,"comment_stay_time":0,"is_profile_enter":0,"is_rand":1,"tab":0,{user},{video}}}"#
        ),
    ];
    assert_eq!(place.rows("train"), expected);
    let all = ConvertConfig { all_rows: true, ..place.whole(PublicSet::KuaiRand) };
    assert_eq!(place.converted(&all).rows, [4, 0, 0]);
    assert_eq!(place.whole_numbers("train", "tab"), [1, 5, 4, 0]);
}

#[test]
fn kuairand_is_refused_where_a_line_does_not_fit_or_passes_it_over_when_told() {
    let place = kuairand();
    let config = place.whole(PublicSet::KuaiRand);
    let (log, random) = ("data/log_standard_4_22_to_5_08_pure.csv", "data/log_random_4_22_to_5_08_pure.csv");
    let cases = [
        (log, (",0,0,1,0,4\n", ",0,1,0,4\n"), "line 2: it has 18 values, expected 19"),
        (log, (",0,0,1,0,4\n", ",0,0,1,0,four\n"), "line 2, column `tab`: `four` is not a whole number"),
        (log, ("1650600000000,1,", "1650600000000,2,"), "line 2, column `is_click`: `2` is not 0 or 1"),
        (random, ("0,10,20220423", ",10,20220423"), "line 2, column `user_id`: `` is not a whole number"),
        ("data/user_features_pure.csv", (",\"(0,10]\",", ",\"(0,10],"), "line 2: a quote is opened and never closed"),
        (
            "data/user_features_pure.csv",
            (",17,638", ",1.5,638"),
            "line 2, column `onehot_feat2`: `1.5` is not a whole number",
        ),
        (
            "data/video_features_basic_pure.csv",
            ("87433.0", "long"),
            "line 2, column `video_duration`: `long` is not a finite number",
        ),
    ];
    for (file, change, said) in cases {
        refuses(&place, &config, file, change, said);
    }
    let path = place.input().join(log);
    let text = fs::read_to_string(&path).unwrap() + "1,2,3\n";
    fs::write(&path, &text).unwrap();
    let told = place.converted(&ConvertConfig { skip_broken: 1, ..config.clone() });
    assert_eq!(told.broken, [format!("{}, line 3: it has 3 values, expected 19", path.display())]);
    assert_eq!(told.rows, [3, 0, 0]);
    fs::write(&path, text + "4,5\n").unwrap();
    let error = place.refused(&ConvertConfig { skip_broken: 1, ..config.clone() }).to_string();
    assert!(error.ends_with("line 4: it has 2 values, expected 19"), "{error}");
    let error = place.refused(&ConvertConfig { split: Some(ConvertSplit::Recorded), ..config }).to_string();
    assert!(error.contains("choose time, user or random"), "{error}");
}

// --- Ali-CCP --------------------------------------------------------------------------------------------------------

fn list(features: &[(&str, &str, &str)]) -> String {
    let each = features.iter().map(|(field, id, value)| format!("{field}\x02{id}\x03{value}"));
    format!("{},{}", features.len(), each.collect::<Vec<_>>().join("\x01"))
}

fn aliccp() -> Place {
    let user = list(&[
        ("101", "31319", "1.0"),
        ("109_14", "452227", "0.69315"),
        ("121", "3438658", "1.0"),
        ("109_14", "452228", "1.38629"),
    ]);
    let first = list(&[
        ("301", "9351665", "1.0"),
        ("205", "4890856", "1.0"),
        ("210", "9039852", "1.0"),
        ("210", "9039853", "1.0"),
    ]);
    let second = list(&[("301", "9351667", "1.0"), ("508", "9355077", "2.5"), ("109_14", "452229", "2.0")]);
    Place::new(&[
        (
            "sample_train/sample_skeleton_train.csv",
            &format!(
                "1,0,0,bacff91692951881,{first}\n2,1,1,bacff91692951881,{second}\n3,0,1,bacff91692951881,{second}\n4,0,0,ffff,{first}\n"
            ),
        ),
        ("sample_train/common_features_train.csv", &format!("bacff91692951881,{user}\nffff,0,\n")),
        ("sample_test/sample_skeleton_test.csv", &format!("1,1,0,0123,{first}\n")),
        ("sample_test/common_features_test.csv", &format!("0123,{user}\n")),
    ])
}

#[test]
fn aliccp_becomes_the_table_that_was_worked_out_by_hand() {
    let place = aliccp();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliCcp) };
    let told = place.converted(&config);
    assert_eq!((told.rows, told.left_out), ([3, 0, 1], 1), "sample 3 was bought without a click");
    let first = r#"{"sample_id":1,"common_feature_index":"bacff91692951881","click":0,"purchase":0,"301":9351665,"101":31319,"121":3438658,"205":4890856,"210":[9039852,9039853],"109_14":[452227,452228],"D109_14":[0.69315,1.38629]}"#;
    let expected = [
        first,
        r#"{"sample_id":2,"common_feature_index":"bacff91692951881","click":1,"purchase":1,"301":9351667,"101":31319,"121":3438658,"109_14":[452227,452228,452229],"D109_14":[0.69315,1.38629,2.0],"508":[9355077],"D508":[2.5]}"#,
        r#"{"sample_id":4,"common_feature_index":"ffff","click":0,"purchase":0,"301":9351665,"205":4890856,"210":[9039852,9039853]}"#,
    ];
    assert_eq!(place.rows("train"), expected);
    let test = first.replace("bacff91692951881", "0123").replace("\"click\":0", "\"click\":1");
    assert_eq!(place.rows("test"), [test]);
    let all = ConvertConfig { all_rows: true, ..config };
    assert_eq!(place.converted(&all).rows, [4, 0, 1]);
}

#[test]
fn aliccp_is_refused_where_a_line_does_not_fit() {
    let place = aliccp();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliCcp) };
    let (samples, commons) = ("sample_train/sample_skeleton_train.csv", "sample_train/common_features_train.csv");
    let cases = [
        (
            samples,
            ("4,0,0,ffff,4,", "4,0,0,ffff,5,"),
            "line 4, column `feature_num`: `5` is not the number of its features, 4",
        ),
        (samples, ("4,0,0,ffff,4,", "4,0,2,ffff,4,"), "line 4, column `purchase`: `2` is not 0 or 1"),
        (
            samples,
            ("4,0,0,ffff,4,", "4,0,0,eeee,4,"),
            "line 4, column `common_feature_index`: `eeee` is not a key of the file of common features",
        ),
        (
            samples,
            ("4,0,0,ffff,4,301\x02", "4,0,0,ffff,4,302\x02"),
            "line 4, column `feature_list`: `302` is not a field of Ali-CCP",
        ),
        (
            samples,
            ("4,0,0,ffff,4,301\x02", "4,0,0,ffff,4,301"),
            "line 4, column `feature_list`: `3019351665\\u{3}1.0` is not a field, 0x02, an id, 0x03 and a value",
        ),
        (
            samples,
            ("4,0,0,ffff,4,301\x02", "4,0,0,ffff,4,205\x02"),
            "line 4, column `205`: `4890856` is not the only id of its field in the line",
        ),
        (
            samples,
            ("4,0,0,ffff,4,301\x02", "4,0,0,ffff,4,210\x02"),
            "line 4: it has no feature of field 301, which is the scenario",
        ),
        (
            samples,
            ("4,0,0,ffff,4,301\x029351665\x031.0", "4,0,0,ffff,4,301\x029351665\x03x"),
            "line 4, column `301`: `x` is not a finite number",
        ),
        (commons, ("101\x0231319", "101\x02user"), "line 1, column `101`: `user` is not a whole number"),
        (commons, ("ffff,0,", "ffff,0"), "line 2: it is cut short: expected a key, a count and a list of features"),
        (commons, ("ffff,0,", "bacff91692951881,0,"), "line 2: its key `bacff91692951881` stands in line 1 already"),
    ];
    for (file, change, said) in cases {
        refuses(&place, &config, file, change, said);
    }
}

#[test]
fn aliccp_is_refused_where_a_file_is_cut_short() {
    let place = aliccp();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliCcp) };
    let path = place.input().join("sample_train/sample_skeleton_train.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "5,0").unwrap();
    let error = place.refused(&config).to_string();
    assert!(error.ends_with("line 5: it is cut short: it ends before its common_feature_index"), "{error}");
    // Common features of a key that no sample has are looked at, too.
    let commons = "sample_train/common_features_train.csv";
    let said = "line 3, column `feature_list`: `garbage` is not a field, 0x02, an id, 0x03 and a value";
    let place = aliccp();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::AliCcp) };
    refuses(&place, &config, commons, ("ffff,0,", "ffff,0,\nzz,1,garbage"), said);
}

#[test]
fn samples_of_a_key_are_of_one_part_in_aliccp() {
    let place = Place::new(&[]);
    published::aliccp(&place.input(), 4000, 3);
    for split in [ConvertSplit::Recorded, ConvertSplit::Random, ConvertSplit::User] {
        let told = place.converted(&ConvertConfig { split: Some(split), ..place.config(PublicSet::AliCcp) });
        assert_eq!(told.rows.iter().sum::<u64>(), 5000, "{split:?}");
        let column = if split == ConvertSplit::User { "101" } else { "common_feature_index" };
        let mut part_of = BTreeMap::new();
        for part in PARTS {
            for batch in place.batches(part) {
                let text = arrow::compute::cast(&batch[column], &arrow::datatypes::DataType::Utf8).unwrap();
                for key in text.as_string::<i32>().iter().flatten() {
                    assert_eq!(*part_of.entry(key.to_owned()).or_insert(part), part, "{key} is in two parts");
                }
            }
        }
        assert!(part_of.len() > 40);
    }
}

// --- Splits ---------------------------------------------------------------------------------------------------------

/// Impressions of a few users and films at a few times, copies among them.
fn log(rows: &[(u8, u8, u8)]) -> Place {
    let people = (0..20).fold(String::new(), |text, user| text + &format!("{user}::F::25::1::1\n"));
    let films = (0..20).fold(String::new(), |text, film| text + &format!("{film}::F::Drama\n"));
    let each = rows.iter().map(|(user, film, time)| format!("{user}::{film}::3::{time}\n"));
    Place::new(&[("users.dat", &people), ("movies.dat", &films), ("ratings.dat", &each.collect::<String>())])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nothing_leaks_from_one_part_into_another(
        rows in prop::collection::vec((0_u8..20, 0_u8..20, 0_u8..60), 60..200),
        seed in 0_u64..1000,
        which in 0_usize..3,
    ) {
        let split = [ConvertSplit::Time, ConvertSplit::User, ConvertSplit::Random][which];
        let place = log(&rows);
        let config = ConvertConfig {
            split: Some(split), seed, valid: Some(0.2), test: Some(0.3), ..place.config(PublicSet::MovieLens)
        };
        let told = match convert(&config, &place.out(), &mut |_| {}) {
            // A hash that leaves a part empty is refused, not hidden.
            Err(error) => {
                prop_assert!(error.to_string().contains("leaves no row"), "{}", error);
                return Ok(());
            }
            Ok(told) => told,
        };
        let of = |part: &str| -> Vec<(i64, i64, i64)> {
            let column = |name| place.whole_numbers(part, name);
            let (users, films, times) = (column("user_id"), column("movie_id"), column("time"));
            users.into_iter().zip(films).zip(times).map(|((user, film), time)| (user, film, time)).collect()
        };
        let parts = PARTS.map(of);
        prop_assert_eq!(parts.each_ref().map(|rows| rows.len() as u64), told.rows);
        let mut all: Vec<_> = parts.concat();
        let mut written: Vec<_> = rows.iter().map(|row| (i64::from(row.0), i64::from(row.1), i64::from(row.2))).collect();
        all.sort_unstable();
        written.sort_unstable();
        prop_assert_eq!(all, written, "every row is in one part, once");
        let keys = |rows: &[(i64, i64, i64)]| -> BTreeSet<(i64, i64)> {
            rows.iter().map(|row| match split {
                ConvertSplit::Time => (row.2, 0),
                ConvertSplit::User => (row.0, 0),
                ConvertSplit::Random | ConvertSplit::Recorded => (row.0, row.1),
            }).collect()
        };
        let [train, valid, test] = parts.each_ref().map(|rows| keys(rows));
        prop_assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
        if split == ConvertSplit::Time {
            prop_assert!(train.last() < valid.first() && valid.last() < test.first());
        }
    }

    #[test]
    fn a_byte_that_is_changed_or_a_file_that_ends_early_never_panics(
        which in 0_usize..5,
        draw in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in prop_oneof![any::<u8>().prop_map(Some), Just(None)],
    ) {
        let (place, set) = match which {
            0 => (million(), PublicSet::MovieLens),
            1 => (census(), PublicSet::Census),
            2 => (apart(), PublicSet::AliExpress),
            3 => (kuairand(), PublicSet::KuaiRand),
            _ => (aliccp(), PublicSet::AliCcp),
        };
        let files = files_below(&place.input());
        let path = draw.get(&files);
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        match change {
            Some(byte) => bytes[at] = byte,
            None => bytes.truncate(at),
        }
        fs::write(path, bytes).unwrap();
        let done = convert(&place.whole(set), &place.out(), &mut |_| {});
        prop_assert_eq!(place.out().exists(), done.is_ok(), "all of it or nothing");
    }

    #[test]
    fn chance_goes_by_the_seed_and_not_by_the_order_of_lines(seed in 0_u64..1000) {
        let rows: Vec<_> = (0..20).flat_map(|user| (0..20).map(move |film| (user, film, 1))).collect();
        let place = log(&rows);
        let turned = log(&rows.iter().rev().copied().collect::<Vec<_>>());
        let parts = |place: &Place, seed| {
            place.converted(&ConvertConfig { seed, ..place.config(PublicSet::MovieLens) });
            PARTS.map(|part| place.rows(part).into_iter().collect::<BTreeSet<_>>())
        };
        let first = parts(&place, seed);
        prop_assert_eq!(&first, &parts(&place, seed));
        prop_assert_eq!(&first, &parts(&turned, seed));
        prop_assert_ne!(&first, &parts(&place, seed + 1));
        prop_assert!((290..350).contains(&first[0].len()), "{}", first[0].len());
    }
}

#[test]
fn times_are_cut_near_the_shares_and_equal_ones_never_parted_in_kuairand() {
    let place = Place::new(&[]);
    published::kuairand(&place.input(), "1k", 3000);
    let told = place.converted(&place.config(PublicSet::KuaiRand));
    let all: u64 = told.rows.iter().sum();
    assert!(told.left_out > 100 && all + told.left_out == 3000, "{told:?}");
    assert!((told.rows[1] as f64 / all as f64 - 0.1).abs() < 0.01, "{told:?}");
    let times = PARTS.map(|part| place.whole_numbers(part, "time_ms"));
    assert!(times[0].iter().max() < times[1].iter().min() && times[1].iter().max() < times[2].iter().min());
    assert_eq!(told.split, ConvertSplit::Time);
}

#[test]
fn shares_that_make_no_sense_and_a_folder_that_is_there_are_refused() {
    let place = million();
    let config = place.config(PublicSet::MovieLens);
    for (valid, test, key) in
        [(1.0, 0.1, "--valid"), (0.1, -0.1, "--test"), (0.5, 0.5, "--valid"), (f64::NAN, 0.1, "--valid")]
    {
        let error = place.refused(&ConvertConfig { valid: Some(valid), test: Some(test), ..config.clone() });
        assert!(error.is_usage() && error.to_string().starts_with(&format!("`{key}`: ")), "{error}");
    }
    // Four rows cannot be cut into three parts by chance of a tenth each.
    let error = place.refused(&config).to_string();
    assert!(error.starts_with("`--split`: leaves no row for"), "{error}");
    place.converted(&place.whole(PublicSet::MovieLens));
    let error = convert(&config, &place.out(), &mut |_| {}).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("exists already"), "{error}");
    assert_eq!(place.rows("train").len(), 4, "what was there stays");
}

#[test]
fn packed_files_are_read_as_plain_ones() {
    let place = census();
    let config = ConvertConfig { valid: Some(0.0), ..place.config(PublicSet::Census) };
    place.converted(&config);
    let plain = place.rows("train");
    let path = place.input().join("census-income.data");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, &fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    place.write("census-income.data.gz", packed.finish().unwrap());
    place.converted(&config);
    assert_eq!(place.rows("train"), plain);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
