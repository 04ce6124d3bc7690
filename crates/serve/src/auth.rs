//! Bearer tokens out of a file.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use std::sync::Arc;

use crate::ServeError;

/// The tokens that are taken, where any are needed.
#[derive(Debug)]
pub(crate) struct Tokens {
    file: Option<PathBuf>,
    known: ArcSwapOption<Known>,
}

struct Known {
    tokens: Vec<String>,
    changed: Option<SystemTime>,
}

/// A token is never printed.
impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} tokens", self.tokens.len())
    }
}

impl Tokens {
    /// Reads the file: one token a line; empty lines and those that begin with `#` are passed over.
    pub(crate) fn open(file: Option<&Path>) -> Result<Tokens, ServeError> {
        let known = file.map(read).transpose()?.map(Arc::new);
        Ok(Tokens { file: file.map(Path::to_owned), known: ArcSwapOption::new(known) })
    }

    /// Whether a request with this `Authorization` may pass.
    pub(crate) fn admit(&self, authorization: Option<&[u8]>) -> bool {
        let known = self.known.load();
        let Some(known) = known.as_ref() else { return true };
        let Some(token) = authorization.and_then(bearer) else { return false };
        // All are compared, so that the time says nothing of which came near.
        known.tokens.iter().fold(false, |found, known| found | equal(known.as_bytes(), token))
    }

    /// Reads the file again if it changed. A file that cannot be read, or has no token, changes nothing.
    pub(crate) fn poll(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        let changed = changed(file);
        if self.known.load().as_ref().is_some_and(|known| known.changed == changed) {
            return None;
        }
        match read(file) {
            Ok(known) => {
                let said = format!("{} tokens read anew from {}", known.tokens.len(), file.display());
                self.known.store(Some(Arc::new(known)));
                Some(said)
            }
            Err(error) => Some(format!("{error}; the tokens stay as they were")),
        }
    }
}

fn read(file: &Path) -> Result<Known, ServeError> {
    let problem = |problem: String| ServeError::File { path: file.to_owned(), problem };
    let changed = changed(file);
    let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let tokens: Vec<String> = lines.map(str::to_owned).collect();
    if tokens.is_empty() {
        return Err(problem("has no token; expected one a line".to_owned()));
    }
    Ok(Known { tokens, changed })
}

fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// In a time that depends on the lengths alone.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_token_passes_and_the_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "# of the shop\none\n\n two \n").unwrap();
        let tokens = Tokens::open(Some(&file)).unwrap();
        assert!(tokens.admit(Some(b"Bearer one")) && tokens.admit(Some(b"bearer two")));
        for wrong in [
            None,
            Some(&b"one"[..]),
            Some(b"Bearer "),
            Some(b"Bearer on"),
            Some(b"Basic one"),
            Some(b"Bearer # of the shop"),
        ] {
            assert!(!tokens.admit(wrong), "{wrong:?}");
        }
        std::fs::write(&file, "three\n").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert!(tokens.poll().unwrap().contains("1 tokens"));
        assert!(!tokens.admit(Some(b"Bearer one")) && tokens.admit(Some(b"Bearer three")));
        std::fs::write(&file, "").unwrap();
        assert!(tokens.poll().unwrap().contains("stay as they were"));
        assert!(tokens.admit(Some(b"Bearer three")));
        assert!(!format!("{tokens:?}").contains("three"));
    }

    #[test]
    fn without_a_file_all_pass() {
        assert!(Tokens::open(None).unwrap().admit(None));
    }
}
