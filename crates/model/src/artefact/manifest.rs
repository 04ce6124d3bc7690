//! The artefact's table of contents, and how it vouches for itself and for the other files.

use std::io::Read;
use std::path::Path;

use fs_err as fs;
use hinet_data::Layout;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::{ModelConfig, ModelError};

/// The format that is written. The second may have a calibration, and a rate of negatives in the layout; the third may have
/// examples.
pub const FORMAT_VERSION: u32 = 3;
/// The oldest format that is read.
pub const OLDEST_FORMAT_VERSION: u32 = 1;

pub(super) const MANIFEST: &str = "manifest.json";
/// What stands before the manifest's own checksum, which covers everything before this.
const SEAL: &str = ",\n  \"checksum\": \"";
const SEAL_END: &str = "\"\n}\n";

/// What an artefact says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the folder and of every file in it.
    pub format_version: u32,
    /// The hinet that wrote it.
    pub hinet_version: String,
    /// Name of the model.
    pub name: String,
    /// The seed it was drawn from.
    pub seed: u64,
    /// Every other file.
    pub files: Vec<FileRecord>,
    /// The model.
    pub model: ModelConfig,
    /// What the encoder produces and the model reads.
    pub layout: Layout,
}

/// Size and checksum of a file. The checksum (xxh3, 128 bits) finds damage; it is no defence against forgery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its name in the folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its xxh3 checksum of 128 bits, as 32 hexadecimal digits.
    pub xxh3: String,
}

#[derive(Deserialize)]
struct Versioned {
    format_version: u64,
}

impl Manifest {
    /// The text of `manifest.json`, sealed with a checksum of its own.
    pub(super) fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a manifest has text keys only");
        let body = text.strip_suffix("\n}").expect("a struct with fields ends so");
        format!("{body}{SEAL}{}{SEAL_END}", hex(xxh3_128(body.as_bytes())))
    }

    /// Reads `manifest.json`.
    pub fn read(file: &Path) -> Result<Manifest, ModelError> {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let expected = "the folder of a saved model, with its manifest.json";
                return Err(ModelError::MissingFile { file: file.to_owned(), expected });
            }
            Err(error) => return Err(error.into()),
        };
        let damaged = |found: &str| ModelError::corrupt(file, found, "the manifest of a saved model, as it was saved");
        let text = str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
        let unreadable = |error: serde_json::Error| damaged(&format!("it cannot be read ({error})"));
        let version = serde_json::from_str::<Versioned>(text).map_err(unreadable)?.format_version;
        if !(u64::from(OLDEST_FORMAT_VERSION)..=u64::from(FORMAT_VERSION)).contains(&version) {
            let (oldest, newest) = (OLDEST_FORMAT_VERSION, FORMAT_VERSION);
            return Err(ModelError::Version { file: file.to_owned(), found: version, oldest, newest });
        }
        let sealed = text.strip_suffix(SEAL_END).and_then(|text| text.rsplit_once(SEAL));
        let (body, checksum) = sealed.ok_or_else(|| damaged("it does not end with its checksum"))?;
        if checksum != hex(xxh3_128(body.as_bytes())) {
            return Err(damaged("its checksum does not fit: it was changed or damaged"));
        }
        serde_json::from_str(&format!("{body}\n}}")).map_err(unreadable)
    }
}

impl FileRecord {
    /// Reads a file of the folder for its size and checksum.
    pub(super) fn of(folder: &Path, name: &str) -> Result<FileRecord, ModelError> {
        let path = folder.join(name);
        let mut file = open(&path)?;
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; 1 << 18];
        let mut bytes = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    hash.update(&buffer[..count]);
                    bytes += count as u64;
                }
            }
        }
        Ok(FileRecord { name: name.to_owned(), bytes, xxh3: hex(hash.digest128()) })
    }

    /// Checks that the file is as it was saved.
    pub(super) fn check(&self, folder: &Path) -> Result<(), ModelError> {
        let path = folder.join(&self.name);
        let size = open(&path)?.metadata()?.len();
        if size != self.bytes {
            let expected = format!("{}, as its manifest says", self.bytes);
            return Err(ModelError::corrupt(&path, format!("{size} bytes"), expected));
        }
        let found = FileRecord::of(folder, &self.name)?;
        if found.xxh3 != self.xxh3 {
            let found = format!("its checksum is {}: it was changed or damaged", found.xxh3);
            return Err(ModelError::corrupt(&path, found, format!("{}, as its manifest says", self.xxh3)));
        }
        Ok(())
    }
}

/// Opens a file that the manifest lists.
pub(super) fn open(path: &Path) -> Result<fs::File, ModelError> {
    fs::File::open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            ModelError::MissingFile { file: path.to_owned(), expected: "a file of the saved model" }
        } else {
            error.into()
        }
    })
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}
