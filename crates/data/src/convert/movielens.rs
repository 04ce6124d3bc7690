//! MovieLens 1M (`ratings.dat`, `users.dat`, `movies.dat`, cells apart by `::`) and 100K (`u.data`, `u.user`, `u.item`).
//!
//! Scenarios and tasks are those of M3oE (Zhang et al., SIGIR 2024): three groups of ages, a "click" above three stars and
//! a "like" above four. All genres are kept, not the first alone; titles are left out, years with them.

use super::experiment::Experiment;
use super::lines::{FoundFile, Line, find, need};
use super::side::Side;
use super::sink::{Counts, Row, Sink};
use super::table::{Cell, Kind};
use super::{About, ConvertConfig, ConvertSplit, Published};
use crate::error::DataError;
use crate::split::Part;
use std::path::Path;

/// The genres of 100K, in the order of their flags.
const GENRES: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];
/// Values of a line of `u.item` before the flags.
const BEFORE_FLAGS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Edition {
    Million,
    HundredThousand,
}

/// The files of an edition.
pub(super) struct MovieLens {
    edition: Edition,
    ratings: Vec<(FoundFile, Part)>,
    users: Side,
    movies: Side,
}

impl MovieLens {
    pub(super) fn open(config: &ConvertConfig) -> Result<MovieLens, DataError> {
        let folder = config.folder.as_path();
        let edition = match (find(folder, "ratings.dat")?, find(folder, "u.data")?) {
            (Some(_), Some(_)) => return Err(ambiguous(folder)),
            (Some(_), None) => Edition::Million,
            (None, Some(_)) => Edition::HundredThousand,
            (None, None) => {
                let problem = "has neither ratings.dat (MovieLens 1M) nor u.data (MovieLens 100K)";
                return Err(DataError::NoFiles { path: folder.to_owned(), problem });
            }
        };
        let recorded = config.split == Some(ConvertSplit::Recorded);
        let ratings: &[(&str, Part)] = match (edition, recorded) {
            (Edition::Million, _) => &[("ratings.dat", Part::Train)],
            (Edition::HundredThousand, false) => &[("u.data", Part::Train)],
            (Edition::HundredThousand, true) => &[("u1.base", Part::Train), ("u1.test", Part::Test)],
        };
        let [users, movies] = match edition {
            Edition::Million => ["users.dat", "movies.dat"],
            Edition::HundredThousand => ["u.user", "u.item"],
        };
        let key = |line: Line<'_>| {
            let end = line.bytes.iter().position(|byte| matches!(byte, b':' | b'|')).unwrap_or(line.bytes.len());
            line.at.whole("id", &line.bytes[..end])
        };
        Ok(MovieLens {
            edition,
            ratings: ratings
                .iter()
                .map(|(name, part)| Ok((need(folder, name)?, *part)))
                .collect::<Result<_, DataError>>()?,
            users: Side::read(need(folder, users)?.lines()?, key)?,
            movies: Side::read(need(folder, movies)?.lines()?, key)?,
        })
    }

    /// The cells of a rating, and what it is about.
    fn rating<'a>(&'a self, line: Line<'a>) -> Result<(Vec<Cell<'a>>, [i64; 2]), DataError> {
        let separator: &[u8] = if self.edition == Edition::Million { b"::" } else { b"\t" };
        let [user, movie, stars, time] = line.split(separator, 4)?[..] else { unreachable!("as many as asked for") };
        let ids = [line.at.whole("user_id", user)?, line.at.whole("movie_id", movie)?];
        let unknown = |column, value, of: &str| line.at.bad_field(column, value, format!("one of the {of} file's ids"));
        let rating = match line.at.whole("rating", stars)? {
            rating @ 1..=5 => rating,
            _ => return Err(line.at.bad_field("rating", stars, "a number of stars from 1 to 5")),
        };
        let time = line.at.whole("time", time)?;
        let person = self.user(self.users.get(ids[0]).ok_or_else(|| unknown("user_id", user, "users'"))?)?;
        let genres = self.genres(self.movies.get(ids[1]).ok_or_else(|| unknown("movie_id", movie, "movies'"))?)?;
        let mut cells = vec![Cell::Whole(ids[0]), Cell::Whole(ids[1]), Cell::Whole(rating), Cell::Whole(time)];
        cells.extend(person);
        cells.push(if genres.is_empty() { Cell::Missing } else { Cell::Texts(genres) });
        Ok((cells, ids))
    }

    /// Age group, age, gender, occupation, zip code.
    fn user<'a>(&self, line: Line<'a>) -> Result<[Cell<'a>; 5], DataError> {
        let (gender, age, occupation, zip) = match self.edition {
            Edition::Million => match line.split(b"::", 5)?[..] {
                [_, gender, age, occupation, zip] => (gender, age, occupation, zip),
                _ => unreachable!("as many as asked for"),
            },
            Edition::HundredThousand => match line.split(b"|", 5)?[..] {
                [_, age, gender, occupation, zip] => (gender, age, occupation, zip),
                _ => unreachable!("as many as asked for"),
            },
        };
        let years = line.at.whole("age", age)?;
        // Ages of 1M are codes: 1 is below 18, 18 is 18 to 24, 25 is 25 to 34, 35 and more the rest.
        let group = match years {
            0..=24 => "under_25",
            25..=34 => "25_to_34",
            35..=150 => "35_and_over",
            _ => return Err(line.at.bad_field("age", age, "an age")),
        };
        let gender = match line.at.text("gender", gender)? {
            known @ ("F" | "M") => known,
            _ => return Err(line.at.bad_field("gender", gender, "F or M")),
        };
        let occupation = line.at.some_text("occupation", occupation)?;
        let zip = line.at.some_text("zip_code", zip)?;
        Ok([Cell::Text(group), Cell::Whole(years), Cell::Text(gender), Cell::Text(occupation), Cell::Text(zip)])
    }

    /// Titles are in an old encoding and may hold anything, so they are stepped over as bytes.
    fn genres<'a>(&self, line: Line<'a>) -> Result<Vec<&'a str>, DataError> {
        if self.edition == Edition::Million {
            // A title may hold the separator.
            if line.bytes.windows(2).filter(|pair| *pair == b"::").count() < 2 {
                return Err(line.at.bad_line("it is cut short: expected an id, a title and genres"));
            }
            let start = line.bytes.windows(2).rposition(|pair| pair == b"::").map_or(0, |place| place + 2);
            let genres = line.at.some_text("genres", &line.bytes[start..])?;
            return Ok(genres.split('|').filter(|genre| !genre.is_empty()).collect());
        }
        let values = line.split(b"|", BEFORE_FLAGS + GENRES.len())?;
        let mut genres = Vec::new();
        for (genre, flag) in GENRES.into_iter().zip(&values[BEFORE_FLAGS..]) {
            if line.at.flag(genre, flag)? == 1 {
                genres.push(genre);
            }
        }
        Ok(genres)
    }
}

impl Published for MovieLens {
    fn about(&self) -> About {
        let columns = [
            ("user_id", Kind::Whole),
            ("movie_id", Kind::Whole),
            ("rating", Kind::Whole),
            ("time", Kind::Whole),
            ("age_group", Kind::Text),
            ("age", Kind::Whole),
            ("gender", Kind::Text),
            ("occupation", Kind::Text),
            ("zip_code", Kind::Text),
            ("genres", Kind::Texts),
        ];
        About {
            columns: columns.map(|(name, kind)| (name.to_owned(), kind)).into(),
            split: ConvertSplit::Random,
            recorded: match self.edition {
                Edition::Million => Err("MovieLens 1M was published without a split: choose random, user or time"),
                Edition::HundredThousand => Ok((Part::Train, 0.1)),
            },
            users: Ok(()),
            time: Ok("time"),
        }
    }

    fn rows(&self, _scratch: &Path, sink: &mut Sink<'_>) -> Result<(), DataError> {
        // Those that no rating refers to, too.
        self.users.lines().try_for_each(|line| sink.allow(self.user(line)).map(drop))?;
        self.movies.lines().try_for_each(|line| sink.allow(self.genres(line)).map(drop))?;
        for (file, recorded) in &self.ratings {
            let mut lines = file.lines()?;
            while let Some(line) = lines.next()? {
                let Some((cells, ids)) = sink.allow(self.rating(line))? else { continue };
                let [user, movie] = ids.map(i64::to_le_bytes);
                let together = [user, movie].concat();
                sink.push(&Row { cells: &cells, recorded: *recorded, together: &together, user: &user })?;
            }
        }
        Ok(())
    }

    fn experiment(&self, counts: Counts) -> String {
        let (name, edition) = match self.edition {
            Edition::Million => ("movielens-1m", "1M"),
            Edition::HundredThousand => ("movielens-100k", "100K"),
        };
        let about = format!(
            "MovieLens {edition} (Harper and Konstan, TiiS 2015), scenarios and tasks as in M3oE (SIGIR 2024). Written by `hinet convert`.\n\
             Never inputs: rating, time."
        );
        Experiment::new(name, &about, counts, "user = \"user_id\"\n")
            .scenario("age_group")
            .task("click", "rating > 3")
            .task("like", "rating > 4")
            .feature(
                &["user_id", "movie_id", "gender", "occupation", "zip_code", "age_group"],
                "kind = \"categorical\"\ndim = 16",
            )
            .feature(&["age"], "kind = \"numeric\"\ntransform = \"standard\"")
            .feature(&["genres"], "kind = \"multi\"\ndim = 16")
            .model("hinet", 1024)
    }
}

fn ambiguous(folder: &Path) -> DataError {
    let problem = format!("`{}` has both ratings.dat and u.data: name the folder of one edition", folder.display());
    DataError::config("FOLDER", problem)
}
