//! A folder of its own for each test, with small data, and the real program run in it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A temporary folder in which the program runs.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// A config for [`log`]'s columns, with a network as small as it gets.
pub(crate) const CONFIG: &str = r#"config_version = 1

[data]
train = "train.csv"
valid = "valid.csv"
test = "test.csv"
user = "user_id"

[scenario]
column = "page"

[[task]]
name = "click"
label = "is_click"

[[task]]
name = "order"
label = "is_click * is_order"

[[feature]]
columns = ["user_id", "item_id", "page"]
kind = "categorical"
min_count = 1
dim = 4

[[feature]]
columns = ["price"]
kind = "numeric"
buckets = 5
dim = 4

[model]
preset = "hinet"
sub_experts = 2
units = [8]
shared = 1
specific = 1
expert_units = [8]
tower_units = [4]

[train]
epochs = 2
batch_size = 128
seed = 7
threads = 1
log_every = 5
"#;

impl Place {
    /// An empty folder.
    pub(crate) fn empty() -> Place {
        Place { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// `train.csv`, `valid.csv`, `test.csv` and `hinet.toml`.
    pub(crate) fn with_data() -> Place {
        let place = Place::empty();
        place.write("train.csv", &log(1, 1500));
        place.write("valid.csv", &log(2, 400));
        place.write("test.csv", &log(3, 400));
        place.write("hinet.toml", CONFIG);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs_err::write(self.path(name), text).expect("a writable temporary folder");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).expect("a file that was written")
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.path(name)).expect("a file that was written")
    }

    /// The names of what is in a folder, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs_err::read_dir(self.path(folder)).expect("a folder that was written");
        let name = |entry: std::io::Result<fs_err::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<String> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Changes the one place where `from` stands in a file.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from:?} stands not once in {name}");
        self.write(name, &text.replace(from, to));
    }

    /// The program with these words behind it, cut at spaces.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hinet"));
        command
            .args(words.split_whitespace())
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .env_remove("COLUMNS");
        command
    }

    pub(crate) fn run(&self, words: &str) -> Output {
        self.command(words).output().expect("the program starts")
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn succeeds(&self, words: &str) -> String {
        let output = self.run(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "hinet {words}: {}\n{errors}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Standard error of a command that must be refused with this exit code, without a panic.
    pub(crate) fn fails(&self, code: i32, words: &str) -> String {
        let output = self.run(words);
        let errors = String::from_utf8(output.stderr).expect("text");
        assert!(!errors.contains("panicked") && !errors.contains("This is a bug"), "hinet {words}:\n{errors}");
        assert_eq!(output.status.code(), Some(code), "hinet {words}:\n{errors}");
        assert!(errors.contains("error"), "hinet {words} says nothing of an error:\n{errors}");
        errors
    }

    /// Asserts that a command is refused with this code, and that its words name all of these.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, words: &str, named: &[&str]) {
        let errors = self.fails(code, words);
        for word in named {
            assert!(errors.contains(word), "hinet {words}: the message does not name {word:?}:\n{errors}");
        }
    }
}

/// A log of impressions on three pages; whether one is clicked and ordered depends on page, user, item and price.
pub(crate) fn log(seed: u64, rows: usize) -> String {
    let mut text = "page,user_id,item_id,price,is_click,is_order\n".to_owned();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..rows {
        let (page, user, item, price) = (draw(3), draw(40), draw(30), draw(1000));
        let chance = 20 + 10 * page + (user * 7) % 30 + (item * 11) % 30;
        let click = u64::from(draw(100) < chance);
        let order = u64::from(draw(1000) < 700 - price / 2) * click;
        let page = ["home", "search", "cart"][page as usize];
        let _ = writeln!(text, "{page},u{user},i{item},{}.5,{click},{order}", price);
    }
    text
}
