//! Why a command was not carried out: a word for programs and a sentence for people.

use peregrine::RelocationError;
use serde_json::{Value, json};

/// What kind of thing is wrong. Each has a word of its own on the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The line is no JSON.
    NotJson,
    /// It is longer than a line may be.
    LineTooLong,
    /// It is JSON, but names no command.
    NoCommand,
    /// Nobody knows the command.
    UnknownCommand,
    /// A field is missing, unknown, of a wrong type, or says what cannot be.
    BadField,
    /// Another move is being prepared.
    Busy,
    /// The move that the command means is over, or has not come, or is another.
    Stale,
    /// A connection that the command names is not there.
    UnknownConnection,
    /// A target suits none of the connections that are to go there.
    Target,
    /// There is no move to cancel.
    NotPrepared,
    /// The new address is of another family.
    Family,
    /// The new address cannot be listened on.
    CannotListen,
}

impl Kind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::LineTooLong => "line_too_long",
            Self::NoCommand => "no_command",
            Self::UnknownCommand => "unknown_command",
            Self::BadField => "bad_field",
            Self::Busy => "busy",
            Self::Stale => "stale",
            Self::UnknownConnection => "unknown_connection",
            Self::Target => "target",
            Self::NotPrepared => "not_prepared",
            Self::Family => "family",
            Self::CannotListen => "cannot_listen",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    kind: Kind,
    message: String,
}

impl Complaint {
    /// A complaint of this kind, in these words.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of complaint it is.
    #[cfg(test)]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As it is answered.
    pub fn answer(&self) -> Value {
        json!({ "ok": false, "error": self.kind.word(), "message": self.message })
    }
}

impl From<RelocationError> for Complaint {
    fn from(error: RelocationError) -> Self {
        let kind = match error {
            RelocationError::UnknownConnection => Kind::UnknownConnection,
            RelocationError::Target => Kind::Target,
            RelocationError::Busy => Kind::Busy,
            RelocationError::NotPrepared => Kind::NotPrepared,
            RelocationError::Family => Kind::Family,
        };
        Self::new(kind, error.to_string())
    }
}
