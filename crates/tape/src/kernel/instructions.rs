//! Which vector instructions the inner loops use, chosen once per process.

use std::ffi::OsStr;
use std::sync::OnceLock;

use pulp::Arch;
use thiserror::Error;

/// The variable that chooses other instructions than the widest.
const VARIABLE: &str = "HINET_INSTRUCTIONS";

/// The instructions that `HINET_INSTRUCTIONS` names are not known, or this processor lacks them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{VARIABLE} is `{asked}`; this processor has: {}", .available.join(", "))]
pub struct InstructionsError {
    /// What the variable holds, as far as it is text.
    pub asked: String,
    /// What it may hold here, the widest first.
    pub available: Vec<&'static str>,
}

/// Name of the vector instructions in use: `avx512`, `avx2`, `neon` or `portable`. They are the widest that the processor
/// has, unless the variable `HINET_INSTRUCTIONS` names others. Results agree within rounding between them, and bit for bit
/// for each.
///
/// # Errors
/// If the variable names instructions that are unknown or missing here. Those who go on all the same use the widest.
pub fn instructions() -> Result<&'static str, InstructionsError> {
    chosen().0.clone()
}

/// The instructions in use.
#[inline]
pub(crate) fn arch() -> Arch {
    chosen().1
}

fn chosen() -> &'static (Result<&'static str, InstructionsError>, Arch) {
    static CHOSEN: OnceLock<(Result<&'static str, InstructionsError>, Arch)> = OnceLock::new();
    CHOSEN.get_or_init(|| choose(std::env::var_os(VARIABLE).as_deref()))
}

fn choose(asked: Option<&OsStr>) -> (Result<&'static str, InstructionsError>, Arch) {
    let available = available();
    let widest = available[0];
    let found = asked.map_or(Some(widest), |asked| available.iter().copied().find(|(name, _)| *name == asked));
    match (found, asked) {
        (Some((name, arch)), _) => (Ok(name), arch),
        (None, asked) => {
            let available = available.iter().map(|(name, _)| *name).collect();
            let asked = asked.unwrap_or_default().to_string_lossy().into_owned();
            (Err(InstructionsError { asked, available }), widest.1)
        }
    }
}

/// What this processor has, the widest first.
fn available() -> Vec<(&'static str, Arch)> {
    let mut all = Vec::new();
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        all.extend(pulp::x86::V4::try_new().map(|simd| ("avx512", Arch::V4(simd))));
        all.extend(pulp::x86::V3::try_new().map(|simd| ("avx2", Arch::V3(simd))));
    }
    #[cfg(target_arch = "aarch64")]
    all.extend(pulp::aarch64::Neon::try_new().map(|simd| ("neon", Arch::Neon(simd))));
    all.push(("portable", Arch::Scalar));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_variable_the_widest_instructions_are_used() {
        assert_eq!(choose(None).0, Ok(available()[0].0));
        assert_eq!(choose(Some(OsStr::new("portable"))).0, Ok("portable"));
    }

    #[test]
    fn unknown_instructions_are_named_with_those_that_are_there() {
        let error = choose(Some(OsStr::new("mmx"))).0.unwrap_err();
        assert!(error.to_string().starts_with("HINET_INSTRUCTIONS is `mmx`; this processor has: "), "{error}");
        assert!(error.to_string().ends_with("portable"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_names_no_instructions() {
        use std::os::unix::ffi::OsStrExt;
        let error = choose(Some(OsStr::from_bytes(b"avx2\xff"))).0.unwrap_err();
        assert!(error.to_string().contains("avx2\u{fffd}"), "{error}");
    }
}
