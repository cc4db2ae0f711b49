//! The one error type of the crate.

use std::{io, path::PathBuf};

use crate::units::format_bytes;

/// What can go wrong, with the numbers that belong to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A budget has not got that much left.
    #[error(
        "expected at most {} to be asked for {label:?}, got {}: {binding_constraint}. {suggestion}",
        apart(*.largest_free_bytes, *.requested_bytes), apart(*.requested_bytes, *.largest_free_bytes)
    )]
    InsufficientMemory {
        /// The label of the refused allocation.
        label: String,
        /// Bytes asked for.
        requested_bytes: u64,
        /// Bytes the budget had left at that moment.
        available_bytes: u64,
        /// The largest single allocation that would have been granted.
        largest_free_bytes: u64,
        /// The term that draws the line, in words.
        binding_constraint: String,
        /// What to do about it.
        suggestion: String,
    },
    /// An argument is not what the call takes.
    #[error("expected {name} to be {expected}, got {received}")]
    InvalidArgument {
        /// The argument's name.
        name: &'static str,
        /// What it should have been.
        expected: String,
        /// What came.
        received: String,
    },
    /// The bytes are no GGUF file this crate accepts.
    #[error("{}: {source}", .path.display())]
    InvalidGguf {
        /// The file, its address, or `<bytes>` for a file in memory.
        path: PathBuf,
        /// The broken rule with its values.
        source: Box<gguf_file::Error>,
    },
    /// What a model file says of the model cannot be: a hyperparameter is missing, zero, absurd, or contradicts another.
    #[error(
        "expected {key} to be {expected}, got {received}; the file is damaged or was made wrong: get it anew"
    )]
    InvalidModel {
        /// The metadata key.
        key: String,
        /// What it should have been.
        expected: String,
        /// What came.
        received: String,
    },
    /// A tensor is stored in a type that cannot be converted.
    #[error(
        "expected tensor {tensor:?} to be of a type that converts to {wanted}, got {type_name} (id {type_id}); \
         read it as raw instead"
    )]
    UnsupportedType {
        /// The tensor's name.
        tensor: String,
        /// The ggml type id.
        type_id: u32,
        /// The ggml type name.
        type_name: &'static str,
        /// The output type asked for.
        wanted: &'static str,
    },
    /// A tensor has a value that is no finite number, and finite ones were asked for.
    #[error(
        "{}: expected every value of tensor {tensor:?} to be a finite number, got one that is not in block {block} (elements {} \
         to {}); the file is damaged or was made wrong: get it anew, or load it without the check",
        .path.display(), .block * .block_elements, (.block + 1) * .block_elements - 1
    )]
    InvalidTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The block, counted from 0.
        block: u64,
        /// Elements in a block.
        block_elements: u64,
    },
    /// The operating system refused, or a file is not what it was when it was opened.
    #[error("{}: {}{}", .path.display(), place(.tensor.as_deref(), *.offset_bytes), system_text(.source))]
    Io {
        /// The file, or its address without anything secret.
        path: PathBuf,
        /// The tensor being read, if one was.
        tensor: Option<String>,
        /// Where in the file, if known.
        offset_bytes: Option<u64>,
        /// The system call that failed: `"open"`, `"read"`; that which asks for it where several are made. `"fetch"` of a server.
        call: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The object was released, closed or detached before this call.
    #[error("expected {what} to be live, but it was released; take a new one")]
    Released {
        /// What was released.
        what: &'static str,
    },
    /// A device, or its driver, refused a call.
    #[error("{device}: {call}{}: {meaning}", code_text(*.errno))]
    Device {
        /// The device: `"cuda:0"`, `"dma-heap:system"`.
        device: String,
        /// The driver's own code, where it gave one: an errno, or a `CUresult`.
        errno: Option<i32>,
        /// The call that was refused.
        call: &'static str,
        /// What that means, and what to do.
        meaning: String,
    },
    /// The machine has no such device, or this process may not use it.
    #[error("expected {device} to be available, but {reason}")]
    DeviceUnavailable {
        /// The device: `"cuda"`, `"dma-heap"`.
        device: String,
        /// Why not, and the line that mends it where there is one.
        reason: String,
    },
    /// The ledger that processes share cannot be used.
    #[error("{}: {reason}", .path.display())]
    Ledger {
        /// The ledger's file, or its folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// Somebody uses it, so that cannot be done now.
    #[error("expected {what} not to be in use, but {reason}")]
    Busy {
        /// What is in use.
        what: &'static str,
        /// By whom, and what to do.
        reason: String,
    },
    /// As many wait for their turn as may.
    #[error(
        "expected {} for {label:?} to find a place in the queue, but {waiting_count} wait in it, and no more than \
         {most_waiting} may; try again later",
        format_bytes(*.requested_bytes)
    )]
    QueueFull {
        /// The labels of the request.
        label: String,
        /// Bytes asked for, all together.
        requested_bytes: u64,
        /// Bytes that were free.
        available_bytes: u64,
        /// How many wait.
        waiting_count: u64,
        /// How many may.
        most_waiting: u64,
    },
    /// What was asked for is more than could be granted if nobody held anything.
    #[error(
        "expected at most {} to be asked for {label:?}, got {}: {binding_constraint}. However long it waits, that is never \
         granted: ask for less, or raise the line",
        apart(*.line_bytes, *.requested_bytes), apart(*.requested_bytes, *.line_bytes)
    )]
    NeverFits {
        /// The labels of the request.
        label: String,
        /// Bytes asked for, all together.
        requested_bytes: u64,
        /// Bytes that were free.
        available_bytes: u64,
        /// The whole line, in bytes.
        line_bytes: u64,
        /// The term that draws the line, in words.
        binding_constraint: String,
    },
    /// It did not come within the time that its caller gave it. Nothing was taken.
    #[error("expected {} within {timeout_ms} ms, but {reason}", granted(label, *.requested_bytes))]
    Timeout {
        /// The labels of the request.
        label: String,
        /// How long, in milliseconds.
        timeout_ms: u64,
        /// Bytes asked for, all together.
        requested_bytes: u64,
        /// Bytes that were free in the end.
        available_bytes: u64,
        /// What stood in the way, and what to do.
        reason: String,
    },
    /// This package is wrong, and nobody else: not the caller, the file, the system or a device.
    #[error("{what}; this is a bug in plimsoll, please report it")]
    Internal {
        /// What went wrong.
        what: String,
    },
    /// The work was cancelled by its owner.
    #[error("the work was cancelled")]
    Cancelled,
}

/// What was left when a request was refused for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Bytes that were left in all.
    pub available_bytes: u64,
    /// The largest single allocation that would have been granted, in bytes.
    pub largest_free_bytes: u64,
}

impl Left {
    /// So much, and all of it at once.
    #[must_use]
    pub const fn whole(bytes: u64) -> Self {
        Self { available_bytes: bytes, largest_free_bytes: bytes }
    }

    /// So much by all that is known, and yet less than a request that was refused.
    #[must_use]
    pub const fn below(available_bytes: u64, requested_bytes: u64) -> Self {
        let most = requested_bytes.saturating_sub(1);
        Self {
            available_bytes,
            largest_free_bytes: if available_bytes < most { available_bytes } else { most },
        }
    }
}

/// The cause of an [`Error::Io`] that is no error of the system: a server refused. [`Error::http_status`] finds it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ServerRefusal {
    /// The status of its answer.
    pub status: u16,
    /// What was expected, what came, and what to do.
    pub text: String,
}

/// What the system says of an error, in its own words alone.
pub(crate) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let number = error.raw_os_error().map(|number| format!(" (os error {number})"));
    number.and_then(|number| text.strip_suffix(&number)).unwrap_or(&text).to_owned()
}

fn place(tensor: Option<&str>, offset_bytes: Option<u64>) -> String {
    let tensor = tensor.map(|name| format!("tensor {name:?}, ")).unwrap_or_default();
    let offset = offset_bytes.map(|offset| format!("at byte {offset}: ")).unwrap_or_default();
    tensor + &offset
}

fn code_text(code: Option<i32>) -> String {
    code.map(|code| format!(" (error {code})")).unwrap_or_default()
}

impl Error {
    /// A shorthand for [`Error::InsufficientMemory`].
    pub fn insufficient_memory(
        label: impl Into<String>,
        requested_bytes: u64,
        left: Left,
        binding_constraint: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Self {
        Self::InsufficientMemory {
            label: label.into(),
            requested_bytes,
            available_bytes: left.available_bytes,
            largest_free_bytes: left.largest_free_bytes,
            binding_constraint: binding_constraint.into(),
            suggestion: suggestion.into(),
        }
    }

    /// The status of a server's answer, if that is why a file could not be had.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        let Self::Io { source, .. } = self else { return None };
        Some(source.get_ref()?.downcast_ref::<ServerRefusal>()?.status)
    }

    /// What was waited for; `None` of an error that is no [`Error::Timeout`].
    #[must_use]
    pub fn waited_for(&self) -> Option<String> {
        let Self::Timeout { label, requested_bytes, .. } = self else { return None };
        Some(granted(label, *requested_bytes))
    }

    /// A shorthand for [`Error::Busy`].
    pub fn busy(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Busy { what, reason: reason.into() }
    }

    /// A shorthand for [`Error::Internal`].
    pub fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into() }
    }

    /// A shorthand for [`Error::Device`].
    pub fn device(
        device: impl Into<String>,
        errno: Option<i32>,
        call: &'static str,
        meaning: impl Into<String>,
    ) -> Self {
        Self::Device { device: device.into(), errno, call, meaning: meaning.into() }
    }

    /// A shorthand for [`Error::InvalidModel`].
    pub fn invalid_model(
        key: impl Into<String>,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Self {
        Self::InvalidModel { key: key.into(), expected: expected.into(), received: received.into() }
    }

    /// A shorthand for [`Error::InvalidArgument`].
    pub fn invalid_argument(
        name: &'static str,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Self {
        Self::InvalidArgument { name, expected: expected.into(), received: received.into() }
    }
}

/// Gives every kind of error its code, from one list.
macro_rules! codes {
    ($($($kind:ident)|+ => $code:literal),+ $(,)?) => {
        impl Error {
            /// Every code there is.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// The stable code of the error, the same in Rust and in JavaScript.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $($(Self::$kind { .. })|+ => $code),+
                }
            }
        }
    };
}

codes!(
    InsufficientMemory => "ERR_INSUFFICIENT_MEMORY",
    InvalidArgument => "ERR_INVALID_ARGUMENT",
    InvalidGguf => "ERR_INVALID_GGUF",
    InvalidModel => "ERR_INVALID_MODEL",
    UnsupportedType => "ERR_UNSUPPORTED_TYPE",
    InvalidTensor => "ERR_INVALID_TENSOR",
    Io => "ERR_IO",
    Released => "ERR_RELEASED",
    Device => "ERR_DEVICE",
    DeviceUnavailable => "ERR_DEVICE_UNAVAILABLE",
    Ledger => "ERR_LEDGER",
    Busy | QueueFull => "ERR_BUSY",
    NeverFits => "ERR_NEVER_FITS",
    Timeout => "ERR_TIMEOUT",
    Internal => "ERR_INTERNAL",
    Cancelled => "ABORT_ERR",
);

/// What one who waits for bytes waits for.
fn granted(label: &str, requested_bytes: u64) -> String {
    format!("{} for {label:?} to be granted", format_bytes(requested_bytes))
}

/// A size for people; with its bytes, where rounding would make it look like the other one that stands beside it.
fn apart(bytes: u64, other: u64) -> String {
    let text = format_bytes(bytes);
    if bytes == other || text != format_bytes(other) {
        return text;
    }
    format!("{text} ({bytes} bytes)")
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
