//! Public data sets in the form in which they were published, made up: files of any size for the tests of `hinet convert`.

#![allow(dead_code, reason = "each test target uses some of it")]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Draws that depend on a number alone.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn flag(&mut self, percent: u64) -> u64 {
        u64::from(self.below(100) < percent)
    }
}

fn create(folder: &Path, name: &str) -> BufWriter<File> {
    std::fs::create_dir_all(folder).expect("a writable folder");
    BufWriter::new(File::create(folder.join(name)).expect("a writable folder"))
}

/// MovieLens 1M: so many ratings of 60 users and 40 films, in the order of users.
pub(crate) fn movielens(folder: &Path, rows: u64) {
    let mut draw = Draw::new(1);
    let (mut users, mut movies, mut ratings) =
        (create(folder, "users.dat"), create(folder, "movies.dat"), create(folder, "ratings.dat"));
    for user in 1..=60 {
        let (age, gender) = ([1, 18, 25, 35, 45, 50, 56][draw.below(7) as usize], ["F", "M"][draw.below(2) as usize]);
        writeln!(users, "{user}::{gender}::{age}::{}::{:05}", draw.below(21), draw.below(50)).unwrap();
    }
    for movie in 1..=40 {
        let genres = ["Drama", "Comedy|Romance", "Action|Sci-Fi|Thriller"][draw.below(3) as usize];
        writeln!(movies, "{movie}::Film {movie} (1995)::{genres}").unwrap();
    }
    for row in 0..rows {
        let user = 1 + row * 60 / rows;
        writeln!(ratings, "{user}::{}::{}::{}", 1 + draw.below(40), 1 + draw.below(5), 978_300_000 + draw.below(900))
            .unwrap();
    }
}

/// Census-Income: so many lines to learn from and half as many to test on; every fifth line is a copy of the first.
pub(crate) fn census(folder: &Path, rows: u64) {
    let mut draw = Draw::new(2);
    for (name, rows) in [("census-income.data", rows), ("census-income.test", rows / 2)] {
        let mut file = create(folder, name);
        let mut first = String::new();
        for row in 0..rows {
            let marital = ["Never married", "Divorced"][draw.below(2) as usize];
            let label = ["- 50000.", "50000+."][draw.below(2) as usize];
            let age = 20 + draw.below(50);
            let gains = draw.below(3) * 500;
            let line = format!(
                "{age}, Private, {}, {}, Some college, {}, Not in universe, {marital}, Retail trade, Sales, White, All other, Female, \
                 Not in universe, Not in universe, Full-time schedules, {gains}, 0, 0, Single, Not in universe, Not in universe, \
                 Householder, Householder, 1700.09, ?, ?, ?, Not in universe under 1 year old, ?, {}, Not in universe, \
                 United-States, United-States, United-States, Native- Born in the United States, 0, Not in universe, 2, {}, 95, {label}",
                draw.below(52),
                draw.below(46),
                draw.below(900),
                draw.below(7),
                draw.below(53)
            );
            if row == 0 {
                first.clone_from(&line);
            }
            writeln!(file, "{}", if row % 5 == 4 { &first } else { &line }).unwrap();
        }
    }
}

/// AliExpress in two countries, as its owner published it or as MTReclib joins it.
pub(crate) fn aliexpress(folder: &Path, rows: u64, joined: bool) {
    for (country, seed) in [("NL", 3), ("ES", 4)] {
        for (part, rows) in [("train", rows), ("test", rows / 4)] {
            let mut draw = Draw::new(seed + rows);
            if joined {
                aliexpress_joined(&folder.join(format!("AliExpress_{country}")), part, rows, &mut draw);
            } else {
                aliexpress_apart(&folder.join(country), &country.to_lowercase(), part, rows, &mut draw);
            }
        }
    }
}

fn aliexpress_joined(folder: &Path, part: &str, rows: u64, draw: &mut Draw) {
    let mut file = create(folder, &format!("{part}.csv"));
    let named = |kind: &str, count: u64| (1..=count).map(|number| format!("{kind}_{number}")).collect::<Vec<_>>();
    let names = [vec![String::new()], named("categorical", 16), named("numerical", 63)].concat().join(",");
    writeln!(file, "{names},click,conversion").unwrap();
    for row in 0..rows {
        write!(file, "{row}").unwrap();
        (0..16).for_each(|_| write!(file, ",{}", draw.below(9)).unwrap());
        (0..63).for_each(|_| write!(file, ",0.{:03}", draw.below(1000)).unwrap());
        let click = draw.flag(40);
        writeln!(file, ",{click},{}", click * draw.flag(50)).unwrap();
    }
}

fn aliexpress_apart(folder: &Path, country: &str, part: &str, rows: u64, draw: &mut Draw) {
    let mut items = create(folder, &format!("{country}_item_{part}.csv"));
    let mut users = create(folder, &format!("{country}_user_{part}.csv"));
    for row in 0..rows {
        let search = row / 5;
        if row % 5 == 0 {
            write!(users, "s{search}").unwrap();
            (2..=33).for_each(|_| write!(users, ",{}", draw.below(9)).unwrap());
            writeln!(users).unwrap();
        }
        write!(items, "s{search}").unwrap();
        (2..=48).for_each(|_| write!(items, ",{}", draw.below(9)).unwrap());
        writeln!(items, ",{}", draw.below(3)).unwrap();
    }
}

const KUAIRAND_LOG: &str = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,\
    long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab";

/// KuaiRand-Pure, or another edition's names: so many impressions of 50 users and as many videos as there are a sixth of rows.
pub(crate) fn kuairand(folder: &Path, edition: &str, rows: u64) {
    let mut draw = Draw::new(5);
    let videos = (rows / 6).max(30);
    let names = ["log_standard_4_08_to_4_21", "log_standard_4_22_to_5_08", "log_random_4_22_to_5_08"];
    for (index, name) in names.into_iter().enumerate() {
        let mut log = create(folder, &format!("{name}_{edition}.csv"));
        writeln!(log, "{KUAIRAND_LOG}").unwrap();
        for row in 0..rows / 3 {
            let (user, video) = (draw.below(50), draw.below(videos));
            let time = 1_649_400_000_000 + index as u64 * 1_000_000_000 + row / 2 * 1000;
            let tab = [1, 0, 4, 2, 6, 1, 0, 4, 2, 6, 9][draw.below(11) as usize];
            let (click, like, long) = (draw.flag(40), draw.flag(30), draw.flag(40));
            let rand = u64::from(index == 2);
            writeln!(
                log,
                "{user},{video},20220408,1200,{time},{click},{like},0,0,0,0,{long},{},{},0,0,0,{rand},{tab}",
                draw.below(9000),
                draw.below(90_000)
            )
            .unwrap();
        }
    }
    kuairand_users(folder, edition, &mut draw);
    kuairand_videos(folder, edition, videos, &mut draw);
}

fn kuairand_users(folder: &Path, edition: &str, draw: &mut Draw) {
    let mut users = create(folder, &format!("user_features_{edition}.csv"));
    let hots: String = (0..18).fold(String::new(), |mut text, number| {
        let _ = write!(text, ",onehot_feat{number}");
        text
    });
    writeln!(
        users,
        "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,follow_user_num_range,\
         fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,register_days_range{hots}"
    )
    .unwrap();
    for user in 0..50 {
        write!(
            users,
            "{user},full_active,0,-124,1,{},\"(0,10]\",3,\"[1,10)\",0,0,{},730+",
            draw.below(99),
            draw.below(999)
        )
        .unwrap();
        (0..18).for_each(|number| write!(users, ",{}{}", draw.below(4), if number > 11 { ".0" } else { "" }).unwrap());
        writeln!(users).unwrap();
    }
}

fn kuairand_videos(folder: &Path, edition: &str, videos: u64, draw: &mut Draw) {
    let mut file = create(folder, &format!("video_features_basic_{edition}.csv"));
    writeln!(
        file,
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,music_id,\
         music_type,tag"
    )
    .unwrap();
    for video in 0..videos {
        let tag = ["39", "\"12,65\"", ""][draw.below(3) as usize];
        writeln!(
            file,
            "{video},{},NORMAL,2022-04-01,LongImport,1.0,{}.0,720.0,1280.0,{},9.0,{tag}",
            draw.below(30),
            draw.below(90_000),
            draw.below(40)
        )
        .unwrap();
    }
}

/// Ali-CCP: so many samples of train and a quarter as many of test, twenty to a key; each key has four lists of `items` values.
pub(crate) fn aliccp(folder: &Path, rows: u64, items: u64) {
    for (part, seed, rows) in [("train", 6, rows), ("test", 7, rows / 4)] {
        let mut draw = Draw::new(seed);
        let mut samples = create(folder, &format!("sample_skeleton_{part}.csv"));
        let mut commons = create(folder, &format!("common_features_{part}.csv"));
        let mut list = String::new();
        for row in 0..rows {
            let key = format!("{:016x}", (seed << 60) | (row / 20));
            if row % 20 == 0 {
                list.clear();
                feature(&mut list, "101", 1000 + draw.below(1 + rows / 40), 1);
                for field in ["121", "122", "124", "125", "126", "127", "128", "129"] {
                    feature(&mut list, field, 3_438_650 + draw.below(4), 1);
                }
                for field in ["109_14", "110_14", "127_14", "150_14"] {
                    (0..items).for_each(|_| feature(&mut list, field, 450_000 + draw.below(50_000), 1 + draw.below(3)));
                }
                let count = list.matches('\x02').count();
                writeln!(commons, "{key},{count},{list}").unwrap();
            }
            list.clear();
            for field in ["205", "206", "207", "216"] {
                feature(&mut list, field, 4_000_000 + draw.below(200), 1);
            }
            feature(&mut list, "210", 9_000_000 + draw.below(50), 1);
            feature(&mut list, "210", 9_000_100 + draw.below(50), 1);
            feature(&mut list, "508", 7_000_000 + draw.below(50), 1 + draw.below(3));
            feature(&mut list, "301", 9_351_665 + draw.below(3), 1);
            let count = list.matches('\x02').count();
            let click = draw.flag(40);
            writeln!(samples, "{},{click},{},{key},{count},{list}", row + 1, click * draw.flag(50)).unwrap();
        }
    }
}

fn feature(list: &mut String, field: &str, id: u64, value: u64) {
    let start = if list.is_empty() { "" } else { "\x01" };
    let _ = write!(list, "{start}{field}\x02{id}\x03{value}.0");
}
