//! The header of one file on a server: what to ask for, whether an answer fits, whether the header is there.

use std::io;

use gguf_file::{Beginning, GgufFile, Options};

use super::{
    answer::{ServerAnswer, Validators},
    words::{refusal, repeated},
};
use crate::{
    error::{Error, Result, ServerRefusal},
    loader::source::header_error,
    units::{KIB, MIB},
};

/// What is asked for first: whole headers of small vocabularies (of 32 000 tokens some 0.7 MB), a quarter of large ones.
pub(super) const FIRST_BYTES: u64 = 2 * MIB;

/// The same of a file that is not its model's first, which has no vocabulary: 100 bytes or less for each tensor.
pub(super) const FIRST_BYTES_OF_OTHERS: u64 = 128 * KIB;

/// What is looked at first of a body that goes on anyhow.
const FIRST_OF_BODY_BYTES: u64 = 64 * KIB;

/// A limit below is taken for this: what is no GGUF file is told by its first bytes.
pub(super) const LEAST_LIMIT_BYTES: u32 = 4096;

/// What whoever makes the requests does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderStep {
    /// Ask for these bytes of the file, and tell the answer by `answered`. A body that is open is over.
    Request {
        /// The first byte.
        start_bytes: u64,
        /// The one behind the last.
        end_bytes: u64,
        /// What the field `If-Range` is to say, so that a file that has changed is sent whole.
        if_range: Option<String>,
    },
    /// Read on in the body: tell its bytes by `push` until that returns `false`, and its end by `ended`.
    Read,
    /// Call `parse`, which may take its time.
    Parse,
    /// The header is there; a body that is open is over.
    Done,
}

/// The header of a file on a server, while it is fetched.
///
/// Memory: what was fetched so far, never more than [`Limits::header_bytes`](gguf_file::Limits::header_bytes). It is parsed
/// anew each time that what there is has doubled, so what is fetched is less than twice the header, or the first request.
#[derive(Debug)]
pub struct RemoteHeader {
    url: String,
    options: Options,
    bytes: Vec<u8>,
    /// With so many it is parsed next.
    target_bytes: u64,
    total_bytes: Option<u64>,
    validators: Option<Validators>,
    body: Option<Body>,
    parsed: Option<Box<GgufFile>>,
}

/// The body of an answer, which begins where the bytes fetched so far end.
#[derive(Debug, Clone, Copy)]
struct Body {
    /// Bytes still to come, where that was told.
    left_bytes: Option<u64>,
    /// It is the whole file, and not the part that was asked for.
    is_whole: bool,
}

impl RemoteHeader {
    /// `url` is how the file is called in errors, without anything secret. `first_bytes` are asked for first.
    pub(super) fn new(url: String, mut options: Options, first_bytes: u64) -> Self {
        options.limits.header_bytes = options.limits.header_bytes.max(LEAST_LIMIT_BYTES);
        let target_bytes = first_bytes.min(u64::from(options.limits.header_bytes));
        Self {
            url,
            options,
            bytes: Vec::new(),
            target_bytes,
            total_bytes: None,
            validators: None,
            body: None,
            parsed: None,
        }
    }

    /// How the file is called.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes of the file that are there, from its beginning on.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What to do next.
    #[must_use]
    pub fn step(&self) -> HeaderStep {
        if self.parsed.is_some() {
            return HeaderStep::Done;
        }
        if self.has_enough() {
            return HeaderStep::Parse;
        }
        match self.body {
            Some(body) if body.left_bytes != Some(0) => HeaderStep::Read,
            _ => HeaderStep::Request {
                start_bytes: self.received_bytes(),
                end_bytes: self.total_bytes.map_or(self.target_bytes, |total| total.min(self.target_bytes)),
                if_range: self.validators.as_ref().and_then(Validators::if_range),
            },
        }
    }

    fn has_enough(&self) -> bool {
        let received_bytes = self.received_bytes();
        received_bytes >= self.target_bytes || Some(received_bytes) == self.total_bytes
    }

    /// The server has answered the request: its body is read next, if it fits.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for a status other than 200 and 206, bytes that were not asked for, an encoding, and an answer of another
    /// state of the file than those before.
    pub fn answered(&mut self, answer: &ServerAnswer) -> Result<()> {
        self.body = None;
        if matches!(answer.status, 200 | 206)
            && let Some(encoding) = answer.encoding().map(repeated)
        {
            let text = format!(
                "expected the bytes as they are, but the server encoded them ({encoding}); have it send the file as it is"
            );
            return Err(self.error(io::ErrorKind::InvalidData, text));
        }
        match answer.status {
            200 => self.whole(answer),
            206 => self.part(answer),
            416 => self.nothing_there(answer),
            _ => Err(self.refused(answer)),
        }
    }

    /// The whole file comes, from a server that knows no ranges or because the file has changed.
    fn whole(&mut self, answer: &ServerAnswer) -> Result<()> {
        let total_bytes = answer.body_bytes();
        self.expect_unchanged(answer, total_bytes)?;
        self.bytes.clear();
        self.target_bytes = FIRST_OF_BODY_BYTES.min(self.limit_bytes());
        self.body = Some(Body { left_bytes: total_bytes, is_whole: true });
        Ok(())
    }

    fn part(&mut self, answer: &ServerAnswer) -> Result<()> {
        let range = answer.range().and_then(|range| Some((range.range?, range.total_bytes)));
        let Some(((start, end), total_bytes)) = range else {
            let text = "expected the part of the file that was asked for, but the server does not say which it sends \
                 (Content-Range); it, or a proxy before it, does not speak HTTP as it should";
            return Err(self.error(io::ErrorKind::InvalidData, text));
        };
        self.expect_unchanged(answer, total_bytes)?;
        if start != self.received_bytes() {
            let text = format!(
                "expected the part of the file that was asked for, but the server sends bytes {start} to {}; it, or a proxy \
                 before it, does not speak HTTP as it should",
                end - 1
            );
            return Err(self.error(io::ErrorKind::InvalidData, text));
        }
        self.body = Some(Body { left_bytes: Some(end - start), is_whole: false });
        Ok(())
    }

    /// None of the bytes asked for are there: the file is empty, ends where the answer before did, or has become shorter.
    fn nothing_there(&mut self, answer: &ServerAnswer) -> Result<()> {
        let total_bytes = answer.range().and_then(|range| range.total_bytes);
        self.expect_unchanged(answer, total_bytes)?;
        if total_bytes == Some(self.received_bytes()) {
            return Ok(());
        }
        Err(self.refused(answer))
    }

    fn expect_unchanged(&mut self, answer: &ServerAnswer, total_bytes: Option<u64>) -> Result<()> {
        let now = answer.validators();
        let agrees = self.validators.as_ref().is_none_or(|before| before.agrees(&now));
        let is_as_long = match (self.total_bytes, total_bytes) {
            (Some(before), Some(now)) => before == now,
            _ => true,
        };
        if agrees && is_as_long {
            self.validators.get_or_insert(now);
            self.total_bytes = self.total_bytes.or(total_bytes);
            return Ok(());
        }
        let text = "expected the file as it was when its first bytes came, but it was changed on the server since; open it \
             again";
        Err(self.error(io::ErrorKind::InvalidData, text))
    }

    /// Takes what has come of the body, and says whether to read on in it. What the answer did not announce, and what is
    /// beyond the limit of a header, is left.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] when there is no memory for it.
    pub fn push(&mut self, piece: &[u8]) -> Result<bool> {
        let Some(body) = self.body.as_mut() else { return Ok(false) };
        let room = u64::from(self.options.limits.header_bytes).saturating_sub(self.bytes.len() as u64);
        let most = body.left_bytes.unwrap_or(u64::MAX).min(room).min(piece.len() as u64);
        let taken = piece.get(..most as usize).unwrap_or_default();
        body.left_bytes = body.left_bytes.map(|left| left - taken.len() as u64);
        let is_over = body.left_bytes == Some(0) || taken.len() < piece.len();
        if self.bytes.try_reserve(taken.len()).is_err() {
            let bytes = (self.bytes.len() + taken.len()) as u64;
            return Err(self.invalid(gguf_file::Error::OutOfMemory { bytes }));
        }
        self.bytes.extend_from_slice(taken);
        Ok(!is_over && !self.has_enough())
    }

    /// The body has ended by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is shorter than was announced.
    pub fn ended(&mut self) -> Result<()> {
        let Some(body) = self.body.take() else { return Ok(()) };
        let received_bytes = self.received_bytes();
        let end_bytes = match body.left_bytes {
            Some(left_bytes) => received_bytes + left_bytes,
            None => *self.total_bytes.get_or_insert(received_bytes),
        };
        if end_bytes == received_bytes {
            return Ok(());
        }
        let text = format!(
            "expected the answer to go on to byte {end_bytes}, but it ended here; the connection was cut, or a proxy cut the \
             answer: try again"
        );
        Err(self.error(io::ErrorKind::UnexpectedEof, text))
    }

    /// Parses what is there, and sets what is to be there the next time.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] for a rule that it breaks.
    pub fn parse(&mut self) -> Result<()> {
        match GgufFile::parse_beginning(&self.bytes, self.total_bytes, &self.options) {
            Ok(Beginning::Whole(header)) => {
                self.parsed = Some(header);
                self.bytes = Vec::new();
            }
            Ok(Beginning::Short { needed_bytes }) => {
                // What is not wanted of a body that goes on costs less than a request.
                let received_bytes = self.received_bytes();
                let growth_bytes = if self.is_whole() { received_bytes / 2 } else { received_bytes };
                let grown_bytes = received_bytes.saturating_add(growth_bytes).min(self.limit_bytes());
                self.target_bytes = needed_bytes.max(grown_bytes);
            }
            Err(broken) => return Err(self.invalid(broken)),
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.body.is_some_and(|body| body.is_whole)
    }

    /// The header, once it is there.
    pub(super) fn take_parsed(&mut self) -> Option<GgufFile> {
        self.parsed.take().map(|header| *header)
    }

    fn limit_bytes(&self) -> u64 {
        u64::from(self.options.limits.header_bytes)
    }

    fn refused(&self, answer: &ServerAnswer) -> Error {
        self.error(io::ErrorKind::Other, ServerRefusal { status: answer.status, text: refusal(answer) })
    }

    fn error(
        &self,
        kind: io::ErrorKind,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Io {
            path: self.url.clone().into(),
            tensor: None,
            offset_bytes: Some(self.received_bytes()),
            call: "fetch",
            source: io::Error::new(kind, cause),
        }
    }

    fn invalid(&self, broken: gguf_file::Error) -> Error {
        header_error(self.url.as_ref(), broken)
    }
}
