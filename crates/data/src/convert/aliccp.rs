//! Ali-CCP: `sample_skeleton_*.csv` (sample, click, purchase, key, count, features) joined with `common_features_*.csv` (key, count,
//! features) of train and of test.
//!
//! A list of features is `field 0x02 id 0x03 value`, one behind another with 0x01 between. Columns are called by their fields, as
//! everywhere; fields with several ids stay lists, those with values weighted lists (`109_14` with `D109_14`). The scenario is
//! field 301. Purchases without a click are left out. The join goes through buckets on disk.

use std::borrow::Cow;
use std::path::Path;

use super::experiment::Experiment;
use super::join::{Join, Pair};
use super::lines::{At, FoundFile, Line, need};
use super::sink::{Counts, Row, Sink};
use super::table::{Cell, Kind};
use super::{About, ConvertConfig, ConvertSplit, Published};
use crate::error::DataError;
use crate::split::Part;

/// Fields with several ids that have values: what a user did before, and how it meets the item.
const WEIGHTED: [&str; 8] = ["109_14", "110_14", "127_14", "150_14", "508", "509", "702", "853"];
/// The field with several ids without values: intentions of the item.
const SEVERAL: &str = "210";
/// Fields with one id: scenario, user, the user's profile, item, category, shop, brand.
const SINGLE: [&str; 14] =
    ["301", "101", "121", "122", "124", "125", "126", "127", "128", "129", "205", "206", "207", "216"];
/// Places in [`SINGLE`].
const SCENARIO: usize = 0;
const USER: usize = 1;

/// The files of both parts.
pub(super) struct AliCcp {
    parts: [(Part, [FoundFile; 2]); 2],
    all_rows: bool,
}

impl AliCcp {
    pub(super) fn open(config: &ConvertConfig) -> Result<AliCcp, DataError> {
        let files = |part: &str| -> Result<[FoundFile; 2], DataError> {
            let file = |kind: &str| need(&config.folder, &format!("{kind}_{part}.csv"));
            Ok([file("sample_skeleton")?, file("common_features")?])
        };
        let parts = [(Part::Train, files("train")?), (Part::Test, files("test")?)];
        Ok(AliCcp { parts, all_rows: config.all_rows })
    }

    fn part(&self, part: Part, join: Join, sink: &mut Sink<'_>) -> Result<(), DataError> {
        // Samples of one key stand together, so that its long lists are read once.
        let mut common = (Vec::new(), Features::default());
        join.each(|pair| {
            let read = read_common(pair, &mut common).and_then(|()| Sample::read(pair.left, &common.1));
            let Some(sample) = sink.allow(read)? else { return Ok(()) };
            if !self.all_rows && sample.labels == [0, 1] {
                sink.left_out += 1;
                return Ok(());
            }
            let user = sample.single[USER].map(i64::to_le_bytes);
            let user = user.as_ref().map_or(pair.key, |id| id.as_slice());
            sink.push(&Row { cells: &sample.cells(pair.key, &common.1), recorded: part, together: pair.key, user })
        })
    }
}

impl Published for AliCcp {
    fn about(&self) -> About {
        let mut columns = vec![
            ("sample_id".to_owned(), Kind::Whole),
            ("common_feature_index".to_owned(), Kind::Text),
            ("click".to_owned(), Kind::Whole),
            ("purchase".to_owned(), Kind::Whole),
        ];
        columns.extend(SINGLE.map(|field| (field.to_owned(), Kind::Whole)));
        columns.push((SEVERAL.to_owned(), Kind::Wholes));
        for field in WEIGHTED {
            columns.push((field.to_owned(), Kind::Wholes));
            columns.push((format!("D{field}"), Kind::Numbers));
        }
        About {
            columns,
            split: ConvertSplit::Recorded,
            recorded: Ok((Part::Train, 0.1)),
            users: Ok(()),
            time: Err("Ali-CCP has no times: choose recorded, user or random"),
        }
    }

    fn rows(&self, scratch: &Path, sink: &mut Sink<'_>) -> Result<(), DataError> {
        for (part, [samples, commons]) in &self.parts {
            let mut join = Join::new(scratch, &[samples.path()], commons)?;
            let mut lines = samples.lines()?;
            while let Some(line) = lines.next()? {
                let key = line.bytes.split(|byte| *byte == b',').nth(3);
                let key =
                    key.ok_or_else(|| line.at.bad_line("it is cut short: it ends before its common_feature_index"));
                if let Some(key) = sink.allow(key)? {
                    join.push_left(key, 0, line)?;
                }
            }
            let mut lines = commons.lines()?;
            while let Some(line) = lines.next()? {
                let key = line.bytes.split(|byte| *byte == b',').next().unwrap_or_default();
                // Those that no sample refers to, too.
                if sink.allow(common_features(line))?.is_some() {
                    join.push_right(key, line)?;
                }
            }
            self.part(*part, join, sink)?;
        }
        Ok(())
    }

    fn experiment(&self, counts: Counts) -> String {
        let about = "Ali-CCP (Ma et al., SIGIR 2018). Written by `hinet convert`.\n\
            Fields: 101 user, 121 to 129 profile, 205 item, 206 category, 207 shop, 210 intentions, 216 brand, 301 position; 109_14, 110_14,\n\
            127_14, 150_14 categories, shops, brands, intentions of the past; 508, 509, 702, 853 those crossed with the item's.\n\
            Never inputs: click, purchase, sample_id, common_feature_index.";
        let weights = WEIGHTED.map(|field| format!("\"D{field}\"")).join(", ");
        let (ids, few): (Vec<_>, Vec<_>) =
            SINGLE.into_iter().partition(|field| ["101", "205", "206", "207", "216"].contains(field));
        // Rows have hundreds of values: a shuffle of fewer rows keeps memory small.
        Experiment::new("aliccp", about, counts, "user = \"101\"\nshuffle_rows = 32768\n")
            .scenario("301")
            .task("ctr", "click")
            .task("ctcvr", "click * purchase")
            .feature(&ids, "kind = \"categorical\"\ndim = 16")
            .feature(&few, "kind = \"categorical\"\ndim = 8")
            .feature(&[SEVERAL], "kind = \"multi\"\ndim = 16")
            .feature(&WEIGHTED, &format!("kind = \"weighted\"\nweight_columns = [{weights}]\ndim = 16"))
            .model("hinet", 2048)
    }
}

/// Features by field.
#[derive(Clone, Debug, Default)]
struct Features {
    single: [Option<i64>; SINGLE.len()],
    several: Vec<i64>,
    weighted: [(Vec<i64>, Vec<f32>); WEIGHTED.len()],
}

impl Features {
    /// Reads a list and the number that says how many there are.
    fn read(at: At<'_>, count: &[u8], list: &[u8]) -> Result<Features, DataError> {
        let mut features = Features::default();
        let mut found = 0_i64;
        for feature in list.split(|byte| *byte == 1).filter(|feature| !feature.is_empty()) {
            features.add(at, feature)?;
            found += 1;
        }
        if at.whole("feature_num", count)? != found {
            return Err(at.bad_field("feature_num", count, format!("the number of its features, {found}")));
        }
        Ok(features)
    }

    fn add(&mut self, at: At<'_>, feature: &[u8]) -> Result<(), DataError> {
        let shape = || at.bad_field("feature_list", feature, "a field, 0x02, an id, 0x03 and a value");
        let (field, rest) = cut(feature, 2).ok_or_else(shape)?;
        let (id, value) = cut(rest, 3).ok_or_else(shape)?;
        let name = str::from_utf8(field).unwrap_or_default();
        let id_number = at.whole(name, id)?;
        let value = at.number(name, value)? as f32;
        if let Some(place) = WEIGHTED.iter().position(|known| *known == name) {
            let (ids, values) = &mut self.weighted[place];
            ids.push(id_number);
            values.push(value);
        } else if name == SEVERAL {
            self.several.push(id_number);
        } else if let Some(place) = SINGLE.iter().position(|known| *known == name) {
            if self.single[place].is_some_and(|known| known != id_number) {
                return Err(at.bad_field(name, id, "the only id of its field in the line"));
            }
            self.single[place] = Some(id_number);
        } else {
            return Err(at.bad_field("feature_list", field, "a field of Ali-CCP"));
        }
        Ok(())
    }
}

fn cut(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == separator)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

/// The features of a line of common features.
fn common_features(line: Line<'_>) -> Result<Features, DataError> {
    let mut values = line.bytes.splitn(3, |byte| *byte == b',').skip(1);
    match (values.next(), values.next()) {
        (Some(count), Some(list)) => Features::read(line.at, count, list),
        _ => Err(line.at.bad_line("it is cut short: expected a key, a count and a list of features")),
    }
}

/// Reads the common features of a pair, unless they were those of the pair before.
fn read_common(pair: Pair<'_>, last: &mut (Vec<u8>, Features)) -> Result<(), DataError> {
    if !last.0.is_empty() && last.0 == pair.key {
        return Ok(());
    }
    let common = pair.right.ok_or_else(|| {
        pair.left.at.bad_field("common_feature_index", pair.key, "a key of the file of common features")
    })?;
    last.0.clear();
    last.1 = common_features(common)?;
    last.0.extend_from_slice(pair.key);
    Ok(())
}

/// A line of the skeleton; its features of one id are those of the key, too.
struct Sample {
    id: i64,
    labels: [i64; 2],
    single: [Option<i64>; SINGLE.len()],
    features: Features,
}

impl Sample {
    fn read(line: Line<'_>, common: &Features) -> Result<Sample, DataError> {
        let values: Vec<&[u8]> = line.bytes.splitn(6, |byte| *byte == b',').collect();
        let [id, click, purchase, _, count, list] = values[..] else {
            return Err(line.at.bad_line(format!("it is cut short: it has {} values, expected 6", values.len())));
        };
        let id = line.at.whole("sample_id", id)?;
        let labels = [line.at.flag("click", click)?, line.at.flag("purchase", purchase)?];
        let features = Features::read(line.at, count, list)?;
        let mut single = common.single;
        for ((known, own), field) in single.iter_mut().zip(features.single).zip(SINGLE) {
            match (*known, own) {
                (Some(one), Some(other)) if one != other => {
                    let expected = format!("the id of its common features, {one}");
                    return Err(line.at.bad_field(field, other.to_string().as_bytes(), expected));
                }
                (_, None) => {}
                (_, own) => *known = own,
            }
        }
        if single[SCENARIO].is_none() {
            return Err(line.at.bad_line("it has no feature of field 301, which is the scenario"));
        }
        Ok(Sample { id, labels, single, features })
    }

    fn cells<'a>(&'a self, key: &'a [u8], common: &'a Features) -> Vec<Cell<'a>> {
        // Keys that are no text were found equal as bytes; none is published.
        let key = str::from_utf8(key).map_or(Cell::Missing, Cell::Text);
        let mut cells = vec![Cell::Whole(self.id), key, Cell::Whole(self.labels[0]), Cell::Whole(self.labels[1])];
        cells.extend(self.single.iter().map(|id| id.map_or(Cell::Missing, Cell::Whole)));
        cells.push(list(&common.several, &self.features.several).map_or(Cell::Missing, Cell::Wholes));
        for (common, own) in common.weighted.iter().zip(&self.features.weighted) {
            cells.push(list(&common.0, &own.0).map_or(Cell::Missing, Cell::Wholes));
            cells.push(list(&common.1, &own.1).map_or(Cell::Missing, Cell::Numbers));
        }
        cells
    }
}

/// Both lists behind one another; nothing where both are empty, which is missing.
fn list<'a, T: Clone>(common: &'a [T], own: &'a [T]) -> Option<Cow<'a, [T]>> {
    match (common.is_empty(), own.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Cow::Borrowed(common)),
        (true, false) => Some(Cow::Borrowed(own)),
        (false, false) => Some(Cow::Owned([common, own].concat())),
    }
}
