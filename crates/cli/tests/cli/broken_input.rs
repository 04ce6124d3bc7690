//! Broken input: a clear message, exit code 2 or 1, never a panic.

use std::fmt::Write as _;

use crate::place::{CONFIG, Place, log};
use crate::skip;

const TRAIN: &str = "train hinet.toml --out run";

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
    let place = Place::with_data();
    place.replace("hinet.toml", "epochs = 2", "epochz = 2");
    let line = place.read("hinet.toml").lines().position(|line| line.contains("epochz")).expect("it is there") + 1;
    place.refuses(2, TRAIN, &["hinet.toml", &line.to_string(), "epochz", "epochs"]);
    place.refuses(2, "check hinet.toml", &["epochz"]);
    place.replace("hinet.toml", "epochz = 2", "epochs = 2");
    place.refuses(2, &format!("{TRAIN} --set train.epochz=2"), &["--set", "epochz", "epochs"]);
}

#[test]
fn a_value_of_the_wrong_type_in_the_config_is_named() {
    let place = Place::with_data();
    place.replace("hinet.toml", "epochs = 2", "epochs = \"two\"");
    place.refuses(2, TRAIN, &["hinet.toml", "epochs"]);
}

#[test]
fn a_config_that_is_no_toml_or_not_there_is_refused() {
    let place = Place::with_data();
    place.refuses(2, "train nowhere.toml --out run", &["nowhere.toml"]);
    place.write("broken.toml", "config_version = 1\n[data\n");
    place.refuses(2, "train broken.toml --out run", &["broken.toml", "2"]);
}

#[test]
fn a_config_of_a_future_version_is_refused() {
    let place = Place::with_data();
    place.replace("hinet.toml", "config_version = 1", "config_version = 99");
    place.refuses(2, TRAIN, &["config_version", "99", "1"]);
}

#[test]
fn a_cell_of_the_wrong_type_is_named_by_file_row_column_and_value() {
    let place = Place::with_data();
    let mut text = log(1, 1500);
    text.push_str("home,u1,i1,cheap,1,0\n");
    place.write("train.csv", &text);
    place.refuses(1, TRAIN, &["train.csv", "1501", "price", "cheap"]);
}

#[test]
fn a_missing_column_is_named_with_the_column_that_was_meant() {
    let place = Place::with_data();
    place.replace("hinet.toml", "columns = [\"price\"]", "columns = [\"prise\"]");
    place.refuses(2, TRAIN, &["prise", "price"]);
}

#[test]
fn a_label_that_is_neither_0_nor_1_is_named() {
    for (value, shown) in [("2", "2"), ("0.5", "0.5"), ("yes", "yes")] {
        let place = Place::with_data();
        let mut text = log(1, 1500);
        let _ = writeln!(text, "home,u1,i1,3.5,{value},0");
        place.write("train.csv", &text);
        place.refuses(1, TRAIN, &["train.csv", "1501", "is_click", shown]);
    }
}

#[test]
fn a_label_that_is_not_a_number_is_refused_and_an_empty_one_is_not_observed() {
    let place = Place::with_data();
    place.write("train.csv", &format!("{}home,u1,i1,3.5,NaN,0\n", log(1, 1500)));
    place.refuses(1, TRAIN, &["train.csv", "1501", "is_click", "NaN"]);
    place.write("train.csv", &format!("{}home,u1,i1,3.5,,0\n", log(1, 1500)));
    place.succeeds(TRAIN);
}

#[test]
fn files_without_rows_are_refused() {
    let place = Place::with_data();
    place.write("train.csv", "");
    place.refuses(1, TRAIN, &["train.csv"]);
    place.write("train.csv", "page,user_id,item_id,price,is_click,is_order\n");
    place.refuses(1, TRAIN, &["train"]);
    place.refuses(1, "init train.csv --output other.toml", &["train.csv"]);
}

#[test]
fn a_task_with_one_class_in_train_is_refused() {
    let place = Place::with_data();
    let one_class: String = log(1, 1500).lines().map(|line| format!("{}\n", line.replace(",1,", ",0,"))).collect();
    place.write("train.csv", &one_class);
    place.refuses(1, TRAIN, &["click", "0"]);
    let told = place.run("check hinet.toml");
    assert!(String::from_utf8_lossy(&told.stdout).contains("click"), "check says nothing of the task");
}

#[test]
fn a_scenario_that_train_does_not_have_is_named_unless_the_config_says_what_to_do() {
    let place = Place::with_data();
    place.write("test.csv", &format!("{}moon,u1,i1,3.5,1,0\n", log(3, 400)));
    place.refuses(1, TRAIN, &["test.csv", "401", "page", "moon", "the model is trained and saved"]);
    place.write("test.csv", &log(3, 400));
    assert!(place.succeeds("evaluate run --data test.csv").contains("home"), "the training was lost");
    place.write("test.csv", &format!("{}moon,u1,i1,3.5,1,0\n", log(3, 400)));
    place.replace("hinet.toml", "column = \"page\"", "column = \"page\"\nunknown = \"mean\"");
    assert!(place.succeeds("train hinet.toml --out other").contains("unknown"));
}

#[test]
fn a_truncated_parquet_file_is_named() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    place.succeeds("predict run --data test.csv --output scores.parquet --keep user_id,item_id,price");
    let bytes = place.bytes("scores.parquet");
    for length in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        fs_err::write(place.path("cut.parquet"), &bytes[..length]).expect("a writable folder");
        place.refuses(1, "predict run --data cut.parquet --output other.csv", &["cut.parquet"]);
        place.refuses(1, "init cut.parquet --output other.toml", &["cut.parquet"]);
    }
}

#[test]
fn scores_for_a_folder_that_is_not_there_are_refused_before_any_work() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    place.refuses(2, "predict run --data test.csv --output sores/today.csv", &["sores/today.csv", "no folder sores"]);
    assert!(!place.path("sores").exists());
}

#[test]
fn a_flipped_byte_in_any_file_of_an_artefact_is_found() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    let mut flipped = 0;
    for entry in fs_err::read_dir(place.path("run/model")).expect("an artefact") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let whole = fs_err::read(&path).expect("a file");
        for at in [whole.len() / 3, whole.len() - 2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs_err::write(&path, &bytes).expect("a writable file");
            place.refuses(1, "predict run --data test.csv --output scores.csv", &[&name]);
            flipped += 1;
        }
        fs_err::write(&path, &whole).expect("a writable file");
    }
    assert!(flipped >= 6, "an artefact of {flipped} flips");
    place.succeeds("predict run --data test.csv --output scores.csv");
}

#[test]
fn an_artefact_of_a_future_version_or_with_a_missing_file_is_refused() {
    let place = Place::with_data();
    place.refuses(2, "evaluate nowhere --data test.csv", &["nowhere"]);
    place.refuses(2, "evaluate . --data test.csv", &["run folder", "config.toml"]);
    place.succeeds("train hinet.toml --out run --quiet");
    fs_err::remove_file(place.path("run/model/encoder.json")).expect("it was there");
    place.refuses(1, "evaluate run --data test.csv", &["encoder.json"]);
    let mut manifest: serde_json::Value = serde_json::from_str(&place.read("run/model/manifest.json")).expect("JSON");
    manifest["format_version"] = 99.into();
    place.write("run/model/manifest.json", &manifest.to_string());
    place.refuses(1, "evaluate run --data test.csv", &["99"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_or_is_a_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_data();
    fs_err::create_dir(place.path("folder.csv")).expect("a writable folder");
    place.refuses(2, &format!("{TRAIN} --set data.train=folder.csv"), &["folder.csv", "folder"]);
    place.refuses(2, &format!("{TRAIN} --set data.train=nowhere.csv"), &["nowhere.csv", "does not exist"]);
    let secret = place.path("train.csv");
    fs_err::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).expect("our own file");
    if std::fs::File::open(&secret).is_ok() {
        // The superuser may read every file; what nobody can read is the empty beginning of a process's memory.
        std::os::unix::fs::symlink("/proc/self/mem", place.path("memory.csv")).expect("a writable folder");
        place.refuses(1, &format!("{TRAIN} --set data.train=memory.csv"), &["memory.csv"]);
    } else {
        place.refuses(1, TRAIN, &["train.csv"]);
    }
}

#[test]
fn a_line_of_ten_megabytes_is_refused_with_its_number() {
    let place = Place::with_data();
    let mut text = log(1, 1500);
    let _ = writeln!(text, "home,{},i1,3.5,1,0", "u".repeat(10_000_000));
    place.write("train.csv", &text);
    place.refuses(1, TRAIN, &["train.csv", "line 1502", "bytes"]);
}

#[test]
fn a_line_with_too_few_cells_and_text_that_is_not_utf8_are_named() {
    let place = Place::with_data();
    place.write("train.csv", &format!("{}home,u1\n", log(1, 1500)));
    place.refuses(1, TRAIN, &["train.csv", "1501"]);
    let mut bytes = log(1, 1500).into_bytes();
    bytes.extend_from_slice(b"home,\xff\xfe,i1,3.5,1,0\n");
    fs_err::write(place.path("train.csv"), bytes).expect("a writable folder");
    place.refuses(1, TRAIN, &["train.csv", "1501"]);
}

#[test]
fn a_row_in_jsonl_that_is_no_json_is_named() {
    let place = Place::with_data();
    let mut text = String::new();
    for line in log(1, 300).lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [page, user, item, price, click, order] = cells[..] else { panic!("six columns") };
        let _ = writeln!(
            text,
            r#"{{"page":"{page}","user_id":"{user}","item_id":"{item}","price":{price},"is_click":{click},"is_order":{order}}}"#
        );
    }
    place.write("train.jsonl", &text);
    place.succeeds("train hinet.toml --out fine --set data.train=train.jsonl");
    place.write("train.jsonl", &format!("{text}{{\"page\": \n"));
    place.refuses(1, &format!("{TRAIN} --set data.train=train.jsonl"), &["train.jsonl", "301"]);
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_that_looks_whole() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    let Some(disk) = SmallDisk::mount(&place, "a_full_disk_is_an_error_and_leaves_nothing_that_looks_whole") else {
        return;
    };
    place.refuses(1, "train hinet.toml --out small/run", &["small", "space"]);
    assert!(!place.path("small/run/metrics.json").exists());
    place.refuses(1, "predict run --data test.csv --output small/scores.csv", &["small", "space"]);
    assert!(!place.path("small/scores.csv").exists(), "half of the scores look like all of them");
    drop(disk);
}

/// A file system of a few kilobytes, which only the superuser may mount.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(place: &Place, test: &str) -> Option<SmallDisk> {
        let path = place.path("small");
        fs_err::create_dir(&path).expect("a writable folder");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            skip::skip(test, "mount", "mounting a small tmpfs is not allowed here");
        }
        mounted.then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_table_named_twice_and_options_that_make_no_sense_are_refused() {
    let place = Place::with_data();
    place.write("hinet.toml", &format!("{CONFIG}\n[train]\nepochs = 1\n"));
    place.refuses(2, TRAIN, &["hinet.toml", "train"]);
    place.write("hinet.toml", CONFIG);
    for (set, word) in [
        ("train.batch_size=0", "batch_size"),
        ("train.dense.learning_rate=-1", "learning_rate"),
        ("model.units=[]", "units"),
        ("model.sub_expertz=3", "sub_experts"),
        ("train.monitor=accuracy", "accuracy"),
        ("task.0.label=is_click+", "is_click+"),
    ] {
        place.refuses(2, &format!("{TRAIN} --set {set}"), &[word]);
    }
}
