//! A model on a server, of which the headers are fetched one after the other.

use gguf_file::{GgufFile, ShardName};

use super::{
    answer::ServerAnswer,
    header::{FIRST_BYTES, FIRST_BYTES_OF_OTHERS, HeaderStep, LEAST_LIMIT_BYTES, RemoteHeader},
};
use crate::{
    error::{Error, Result},
    loader::{
        model::{ModelFile, OpenOptions},
        source::{Source, header_error},
    },
};

/// A model on a server while its headers are fetched: that of the file that was named, then those of the others of a split
/// model. It makes no requests itself: it says what to do next, and is told what came of it.
///
/// ```
/// use gguf_file::{Limits, Options};
/// use plimsoll::loader::{ServerAnswer, HeaderStep, OpenOptions, RemoteModel};
///
/// // A server with a file of 24 bytes, which has a header and nothing else.
/// let file = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// let mut fetching = RemoteModel::new("https://example.org/model.gguf", &OpenOptions::default())?;
/// let model = loop {
///     match fetching.step() {
///         HeaderStep::Request { .. } => {
///             let range = Some("bytes 0-23/24".to_owned());
///             fetching.answered(&ServerAnswer { status: 206, content_range: range, ..ServerAnswer::default() })?;
///         }
///         HeaderStep::Read => _ = fetching.push(file)?,
///         HeaderStep::Parse => fetching.parse()?,
///         HeaderStep::Done => break fetching.into_model()?,
///     }
/// };
/// assert_eq!((model.size_bytes(), model.layout().tensor_count()), (24, 0));
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoteModel {
    options: OpenOptions,
    /// The address up to the name of the file that was named.
    folder: String,
    file_name: String,
    fetched: Vec<Option<GgufFile>>,
    /// The file that is being fetched, and its place among those of the model.
    current: RemoteHeader,
    place: usize,
    is_done: bool,
}

impl RemoteModel {
    /// `url` is how the model is called: an address without anything secret, of which what follows the last slash is the name
    /// of the file. A header is as large as [`Limits::header_bytes`](gguf_file::Limits::header_bytes) of the options say, those
    /// of all files together, and no smaller bound than 4096 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for options with an offset.
    pub fn new(url: &str, options: &OpenOptions) -> Result<Self> {
        if options.offset_bytes > 0 {
            let received = options.offset_bytes.to_string();
            return Err(Error::invalid_argument("offsetBytes", "0 for a model on a server", received));
        }
        let (folder, file_name) = url.rsplit_once('/').unwrap_or(("", url));
        let current = RemoteHeader::new(url.to_owned(), options.header.clone(), FIRST_BYTES);
        Ok(Self {
            options: options.clone(),
            folder: folder.to_owned(),
            file_name: file_name.to_owned(),
            fetched: Vec::new(),
            current,
            place: 0,
            is_done: false,
        })
    }

    /// What to do next, for the file of [`file_name`](Self::file_name).
    #[must_use]
    pub fn step(&self) -> HeaderStep {
        if self.is_done { HeaderStep::Done } else { self.current.step() }
    }

    /// How the file that is being fetched is called.
    #[must_use]
    pub fn url(&self) -> &str {
        self.current.url()
    }

    /// The name of the file that is being fetched, from the folder of the one that was named.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.url().rsplit_once('/').map_or(self.url(), |(_, name)| name)
    }

    /// Bytes of that file that are there.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.current.received_bytes()
    }

    /// The server has answered the request. See [`RemoteHeader::answered`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for an answer that does not do.
    pub fn answered(&mut self, answer: &ServerAnswer) -> Result<()> {
        self.current.answered(answer)
    }

    /// Takes what has come of the body. See [`RemoteHeader::push`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] when there is no memory for it.
    pub fn push(&mut self, piece: &[u8]) -> Result<bool> {
        self.current.push(piece)
    }

    /// The body has ended by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is shorter than was announced.
    pub fn ended(&mut self) -> Result<()> {
        self.current.ended()
    }

    /// Parses what is there, and turns to the next file if that was all of a header.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] for a rule that it breaks.
    pub fn parse(&mut self) -> Result<()> {
        self.current.parse()?;
        match self.current.take_parsed() {
            Some(header) => self.keep(header),
            None => Ok(()),
        }
    }

    fn keep(&mut self, header: GgufFile) -> Result<()> {
        if self.fetched.is_empty() {
            let split = header.split().filter(|split| split.count > 1 && !self.options.shard_only);
            let count = split.map_or(1, |split| split.count);
            if count > 1 {
                let name = ShardName::parse(&self.file_name).filter(|name| name.count() == count);
                let unnamed = || self.broken(gguf_file::Error::SplitFileName { count });
                self.place = name.ok_or_else(unnamed)?.number() as usize;
            }
            self.fetched.resize_with(count as usize, || None);
        }
        if let Some(slot) = self.fetched.get_mut(self.place) {
            *slot = Some(header);
        }
        match self.fetched.iter().position(Option::is_none) {
            Some(place) => self.turn_to(place),
            None => self.is_done = true,
        }
        Ok(())
    }

    /// Begins with another file. What the headers so far have taken of the limit it has not got.
    fn turn_to(&mut self, place: usize) {
        let mut options = self.options.header.clone();
        let taken_bytes: u64 = self.fetched.iter().flatten().map(GgufFile::header_bytes).sum();
        let left_bytes = u64::from(options.limits.header_bytes).saturating_sub(taken_bytes);
        options.limits.header_bytes = u32::try_from(left_bytes).unwrap_or(u32::MAX).max(LEAST_LIMIT_BYTES);
        let first_bytes = if place == 0 { FIRST_BYTES } else { FIRST_BYTES_OF_OTHERS };
        self.place = place;
        self.current = RemoteHeader::new(self.url_of(place), options, first_bytes);
    }

    fn url_of(&self, place: usize) -> String {
        let name = ShardName::parse(&self.file_name).map(|name| name.of(place as u64));
        format!("{}/{}", self.folder, name.unwrap_or_else(|| self.file_name.clone()))
    }

    fn broken(&self, rule: gguf_file::Error) -> Error {
        header_error(self.current.url().as_ref(), rule)
    }

    /// The model, once its headers are there. Its data is not, and cannot be read.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] for a rule of split models that the files break together; [`Error::Internal`] before
    /// [`HeaderStep::Done`].
    pub fn into_model(mut self) -> Result<ModelFile> {
        if !self.is_done {
            return Err(Error::internal("a model was asked for before its headers were there"));
        }
        let headers = std::mem::take(&mut self.fetched);
        let named = headers.len() == 1;
        let with_source = |(place, header): (usize, GgufFile)| {
            let url = if named { self.current.url().to_owned() } else { self.url_of(place) };
            let source = Source::of_remote(&url, header.file_bytes());
            (header, source)
        };
        ModelFile::of_headers(
            headers.into_iter().flatten().enumerate().map(with_source).collect(),
            &self.options,
        )
    }
}
