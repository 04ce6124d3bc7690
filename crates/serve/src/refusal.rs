//! A request that is not answered with scores, and why: one kind for every protocol.

use axum::http::StatusCode;
use hinet_data::DataError;

/// Why a request was refused, in words for who sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    pub(crate) message: String,
}

/// What a refusal is to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// What was sent is wrong.
    Bad,
    /// No token, or none that is known.
    Unauthorised,
    /// No such model, version or path.
    NotFound,
    /// The path does not take this method.
    Method,
    /// What was sent did not arrive in time.
    Slow,
    /// What was sent is larger than allowed.
    TooLarge,
    /// What was sent is in a form that is not read.
    Form,
    /// There is more to do than can be done in time; a later try may succeed.
    Busy,
    /// The server is starting or stopping.
    Unavailable,
    /// The deadline passed before the scores were there.
    Deadline,
    /// A fault of the server.
    Internal,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, message: impl Into<String>) -> Refusal {
        Refusal { kind, message: message.into() }
    }

    /// A fault of the server, of which its log says more.
    pub(crate) fn failed(what: &str) -> Refusal {
        Refusal::new(RefusalKind::Internal, format!("{what} failed; the server's log says why"))
    }

    /// What the log says: never what was sent, which the message may repeat.
    pub(crate) fn for_log(&self) -> String {
        match self.kind {
            RefusalKind::Bad => "what was sent is wrong".to_owned(),
            RefusalKind::NotFound => "no such model, version or path".to_owned(),
            RefusalKind::Form => "what was sent is in a form that is not read".to_owned(),
            RefusalKind::Unauthorised
            | RefusalKind::Method
            | RefusalKind::Slow
            | RefusalKind::TooLarge
            | RefusalKind::Busy
            | RefusalKind::Unavailable
            | RefusalKind::Deadline
            | RefusalKind::Internal => self.message.clone(),
        }
    }

    /// What was sent is wrong.
    pub(crate) fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(RefusalKind::Bad, message)
    }
}

/// At most so many characters of what was sent, so that a message stays a message.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Characters of a name that messages repeat.
pub(crate) const NAME: usize = 80;

impl RefusalKind {
    /// The code of HTTP.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            RefusalKind::Bad => StatusCode::BAD_REQUEST,
            RefusalKind::Unauthorised => StatusCode::UNAUTHORIZED,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Method => StatusCode::METHOD_NOT_ALLOWED,
            RefusalKind::Slow => StatusCode::REQUEST_TIMEOUT,
            RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalKind::Form => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            RefusalKind::Busy | RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            RefusalKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            RefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code of gRPC.
    pub(crate) fn code(self) -> tonic::Code {
        match self {
            RefusalKind::Bad | RefusalKind::Form => tonic::Code::InvalidArgument,
            RefusalKind::Unauthorised => tonic::Code::Unauthenticated,
            RefusalKind::NotFound => tonic::Code::NotFound,
            RefusalKind::Method => tonic::Code::Unimplemented,
            RefusalKind::TooLarge | RefusalKind::Busy => tonic::Code::ResourceExhausted,
            RefusalKind::Unavailable => tonic::Code::Unavailable,
            RefusalKind::Slow | RefusalKind::Deadline => tonic::Code::DeadlineExceeded,
            RefusalKind::Internal => tonic::Code::Internal,
        }
    }
}

/// What data refuse, the sender can mend.
impl From<DataError> for Refusal {
    fn from(error: DataError) -> Refusal {
        Refusal::bad(error.to_string())
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> tonic::Status {
        tonic::Status::new(refusal.kind.code(), refusal.message)
    }
}
