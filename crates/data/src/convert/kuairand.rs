//! KuaiRand-Pure and KuaiRand-1K: three logs, features of users and of videos, all CSV with a header.
//!
//! Scenarios are the five tabs that comparisons keep. Videos are joined through buckets on disk (1K has 4.4 million), users in
//! memory. The statistics of videos are left alone: they count clicks of the whole period, the test's among them.

use std::path::Path;

use super::experiment::Experiment;
use super::join::{Join, Pair};
use super::lines::{At, FoundFile, Header, Line, find, need};
use super::side::Side;
use super::sink::{Counts, Row, Sink};
use super::table::{Cell, Kind};
use super::{About, ConvertConfig, ConvertSplit, Published};
use crate::error::DataError;
use crate::split::Part;

use Kind::{Text, Whole};

/// Columns of a log.
const LOG: [(&str, Kind); 19] = [
    ("user_id", Whole),
    ("video_id", Whole),
    ("date", Whole),
    ("hourmin", Whole),
    ("time_ms", Whole),
    ("is_click", Whole),
    ("is_like", Whole),
    ("is_follow", Whole),
    ("is_comment", Whole),
    ("is_forward", Whole),
    ("is_hate", Whole),
    ("long_view", Whole),
    ("play_time_ms", Whole),
    ("duration_ms", Whole),
    ("profile_stay_time", Whole),
    ("comment_stay_time", Whole),
    ("is_profile_enter", Whole),
    ("is_rand", Whole),
    ("tab", Whole),
];
/// Places in [`LOG`].
const USER: usize = 0;
const VIDEO: usize = 1;
const TIME: usize = 4;
const TAB: usize = 18;
/// Columns of a log that hold 0 or 1.
const FLAGS: [&str; 9] = [
    "is_click",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_hate",
    "long_view",
    "is_profile_enter",
    "is_rand",
];
/// Scenarios, in the order of Scenario-Wise-Rec.
const TABS: [i64; 5] = [1, 0, 4, 2, 6];
/// Columns of users behind their id; `onehot_feat0` to `onehot_feat17` follow.
const USERS: [(&str, Kind); 12] = [
    ("user_active_degree", Text),
    ("is_lowactive_period", Whole),
    ("is_live_streamer", Whole),
    ("is_video_author", Whole),
    ("follow_user_num", Whole),
    ("follow_user_num_range", Text),
    ("fans_user_num", Whole),
    ("fans_user_num_range", Text),
    ("friend_user_num", Whole),
    ("friend_user_num_range", Text),
    ("register_days", Whole),
    ("register_days_range", Text),
];
const ONE_HOTS: usize = 18;
/// Columns of videos behind their id.
const VIDEOS: [(&str, Kind); 11] = [
    ("author_id", Whole),
    ("video_type", Text),
    ("upload_dt", Text),
    ("upload_type", Text),
    ("visible_status", Whole),
    ("video_duration", Kind::Number),
    ("server_width", Whole),
    ("server_height", Whole),
    ("music_id", Whole),
    ("music_type", Whole),
    ("tag", Text),
];
/// Of features known before the impression: ids, numbers; `tag` holds several values; the rest are categories.
const IDS: [&str; 4] = ["user_id", "video_id", "author_id", "music_id"];
const NUMBERS: [&str; 9] = [
    "hourmin",
    "duration_ms",
    "video_duration",
    "follow_user_num",
    "fans_user_num",
    "friend_user_num",
    "register_days",
    "server_width",
    "server_height",
];
const NO_FEATURES: [&str; 3] = ["upload_dt", "visible_status", "tag"];

/// The files of an edition.
pub(super) struct KuaiRand {
    edition: &'static str,
    logs: Vec<FoundFile>,
    users: FoundFile,
    videos: FoundFile,
    all_tabs: bool,
}

impl KuaiRand {
    pub(super) fn open(config: &ConvertConfig) -> Result<KuaiRand, DataError> {
        let folder = config.folder.as_path();
        let log = |edition: &str| format!("log_standard_4_08_to_4_21_{edition}.csv");
        let edition = match (find(folder, &log("pure"))?, find(folder, &log("1k"))?) {
            (Some(_), Some(_)) => {
                let problem =
                    format!("`{}` has both KuaiRand-Pure and KuaiRand-1K: name one's folder", folder.display());
                return Err(DataError::config("FOLDER", problem));
            }
            (Some(_), None) => "pure",
            (None, Some(_)) => "1k",
            (None, None) => {
                let problem = "has neither log_standard_4_08_to_4_21_pure.csv (KuaiRand-Pure) nor \
                    log_standard_4_08_to_4_21_1k.csv (KuaiRand-1K); KuaiRand-27K is not converted";
                return Err(DataError::NoFiles { path: folder.to_owned(), problem });
            }
        };
        let file = |name: &str| need(folder, &format!("{name}_{edition}.csv"));
        let logs = ["log_standard_4_08_to_4_21", "log_standard_4_22_to_5_08", "log_random_4_22_to_5_08"];
        Ok(KuaiRand {
            edition,
            logs: logs.into_iter().map(file).collect::<Result<_, _>>()?,
            users: file("user_features")?,
            videos: file("video_features_basic")?,
            all_tabs: config.all_rows,
        })
    }

    /// Puts logs and videos into buckets, by the video.
    fn buckets(&self, scratch: &Path, sink: &mut Sink<'_>) -> Result<(Join, Vec<Header>, Header), DataError> {
        let paths: Vec<&Path> = self.logs.iter().map(FoundFile::path).collect();
        let mut join = Join::new(scratch, &paths, &self.videos)?;
        let mut headers = Vec::new();
        for (index, log) in self.logs.iter().enumerate() {
            let mut lines = log.lines()?;
            let header = Header::read(&mut lines, &LOG.map(|(name, _)| name))?;
            while let Some(line) = lines.next()? {
                let ids = header.cells(line).and_then(|cells| {
                    Ok((line.at.whole("video_id", cells[VIDEO])?, line.at.whole("tab", cells[TAB])?))
                });
                let Some((video, tab)) = sink.allow(ids)? else { continue };
                if self.all_tabs || TABS.contains(&tab) {
                    join.push_left(&video.to_le_bytes(), index, line)?;
                } else {
                    sink.left_out += 1;
                }
            }
            headers.push(header);
        }
        let mut lines = self.videos.lines()?;
        let wanted: Vec<&str> = ["video_id"].into_iter().chain(VIDEOS.map(|(name, _)| name)).collect();
        let header = Header::read(&mut lines, &wanted)?;
        while let Some(line) = lines.next()? {
            let id = header.cells(line).and_then(|cells| line.at.whole("video_id", cells[0]));
            if let Some(id) = sink.allow(id)? {
                join.push_right(&id.to_le_bytes(), line)?;
            }
        }
        Ok((join, headers, header))
    }
}

impl Published for KuaiRand {
    fn about(&self) -> About {
        let columns = LOG.iter().chain(&USERS).map(|(name, kind)| ((*name).to_owned(), *kind));
        let columns = columns.chain((0..ONE_HOTS).map(|number| (one_hot(number), Whole)));
        About {
            columns: columns.chain(VIDEOS.iter().map(|(name, kind)| ((*name).to_owned(), *kind))).collect(),
            split: ConvertSplit::Time,
            recorded: Err("KuaiRand was published without a split: choose time, user or random"),
            users: Ok(()),
            time: Ok("time_ms"),
        }
    }

    fn rows(&self, scratch: &Path, sink: &mut Sink<'_>) -> Result<(), DataError> {
        let (join, logs, videos) = self.buckets(scratch, sink)?;
        let names: Vec<String> = ["user_id".to_owned()].into_iter().chain(user_columns()).collect();
        let mut lines = self.users.lines()?;
        let header = Header::read(&mut lines, &names)?;
        let users = Side::read(lines, |line| line.at.whole("user_id", header.cells(line)?[0]))?;
        let joined = Joined { logs, videos, users, header, names };
        join.each(|pair| {
            let Some((cells, together)) = sink.allow(joined.cells(pair))? else { return Ok(()) };
            let (recorded, user) = (Part::Train, &together[..8]);
            sink.push(&Row { cells: &cells, recorded, together: &together, user })
        })
    }

    fn experiment(&self, counts: Counts) -> String {
        let (name, edition) = if self.edition == "pure" { ("kuairand-pure", "Pure") } else { ("kuairand-1k", "1K") };
        let about = format!(
            "KuaiRand-{edition} (Gao et al., CIKM 2022; CC BY-SA 4.0). Written by `hinet convert`.\n\
             Never inputs: labels, time_ms, date, and what is only known after the impression (play and stay times).\n\
             Other labels that a task may have: is_follow, is_comment, is_forward, is_hate."
        );
        let known: Vec<String> = user_columns().chain(VIDEOS.iter().map(|(name, _)| (*name).to_owned())).collect();
        let is_category = |name: &&String| {
            let name = name.as_str();
            !IDS.contains(&name) && !NUMBERS.contains(&name) && !NO_FEATURES.contains(&name)
        };
        let mut categories = vec!["tab".to_owned()];
        categories.extend(known.iter().filter(is_category).cloned());
        Experiment::new(name, &about, counts, "user = \"user_id\"\n")
            .scenario("tab")
            .task("click", "is_click")
            .task("long_view", "long_view")
            .task("like", "is_like")
            .feature(&IDS, "kind = \"categorical\"\nmin_count = 3\ndim = 16")
            .feature(&categories, "kind = \"categorical\"\nmin_count = 5\ndim = 8")
            .feature(&NUMBERS, "kind = \"numeric\"\ntransform = \"quantile\"\nbuckets = 20\ndim = 8")
            .feature(&["tag"], "kind = \"multi\"\nseparator = \",\"\nmin_count = 5\ndim = 8")
            .model("hinet", 1024)
    }
}

/// What it takes to read a joined line.
struct Joined {
    logs: Vec<Header>,
    videos: Header,
    users: Side,
    /// Of the users' file.
    header: Header,
    names: Vec<String>,
}

impl Joined {
    /// The cells of a row, and what stays together: user, video and time. A user or video without features has none.
    fn cells<'a>(&'a self, pair: Pair<'a>) -> Result<(Vec<Cell<'a>>, Vec<u8>), DataError> {
        let log = self.logs[pair.file].cells(pair.left)?;
        let mut cells = Vec::with_capacity(LOG.len() + USERS.len() + ONE_HOTS + VIDEOS.len());
        for ((name, kind), value) in LOG.iter().zip(&log) {
            cells.push(log_cell(pair.left.at, name, *kind, value)?);
        }
        let mut ids = [0; 3];
        for (id, place) in ids.iter_mut().zip([USER, VIDEO, TIME]) {
            *id = pair.left.at.whole(LOG[place].0, log[place])?;
        }
        let kinds = USERS.iter().map(|(_, kind)| *kind).chain([Whole; ONE_HOTS]);
        let columns = self.names[1..].iter().map(String::as_str).zip(kinds);
        side_cells(self.users.get(ids[0]), &self.header, columns, &mut cells)?;
        side_cells(pair.right, &self.videos, VIDEOS.iter().copied(), &mut cells)?;
        Ok((cells, ids.map(i64::to_le_bytes).concat()))
    }
}

fn log_cell<'a>(at: At<'a>, name: &str, kind: Kind, value: &'a [u8]) -> Result<Cell<'a>, DataError> {
    if FLAGS.contains(&name) {
        return Ok(Cell::Whole(at.flag(name, value)?));
    }
    cell(at, name, kind, value)
}

/// The cells behind the id of a users' or videos' line, which may not be there.
fn side_cells<'a, 'b>(
    line: Option<Line<'a>>,
    header: &Header,
    columns: impl Iterator<Item = (&'b str, Kind)>,
    cells: &mut Vec<Cell<'a>>,
) -> Result<(), DataError> {
    let Some(line) = line else {
        cells.extend(columns.map(|_| Cell::Missing));
        return Ok(());
    };
    for ((name, kind), value) in columns.zip(header.cells(line)?.into_iter().skip(1)) {
        let missing = value.trim_ascii().is_empty();
        cells.push(if missing { Cell::Missing } else { cell(line.at, name, kind, value)? });
    }
    Ok(())
}

fn cell<'a>(at: At<'_>, name: &str, kind: Kind, value: &'a [u8]) -> Result<Cell<'a>, DataError> {
    Ok(match kind {
        Whole => Cell::Whole(at.whole(name, value)?),
        Kind::Number => Cell::Number(at.number(name, value)?),
        Text => Cell::Text(at.text(name, value)?),
        Kind::Wholes | Kind::Numbers | Kind::Texts => unreachable!("KuaiRand has no lists"),
    })
}

fn user_columns() -> impl Iterator<Item = String> {
    USERS.iter().map(|(name, _)| (*name).to_owned()).chain((0..ONE_HOTS).map(one_hot))
}

fn one_hot(number: usize) -> String {
    format!("onehot_feat{number}")
}
