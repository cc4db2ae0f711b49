//! A model that is open: its checked layout, and the files behind it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use gguf_file::{GgufFile, ShardName};

use super::{
    layout::{ModelLayout, ModelTensor},
    source::{Source, header_error},
};
use crate::error::{Error, Result};

/// How a model is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// How the headers are parsed.
    pub header: gguf_file::Options,
    /// Where the model begins, in bytes from the start of its file: that of a GGUF file within a larger one. 0 by default.
    pub offset_bytes: u64,
    /// Opens a file of a split model alone. By default any of them opens the whole model.
    pub shard_only: bool,
}

/// An open model: a GGUF file, all the files of a split one, or the bytes of one.
///
/// Opening reads the headers and nothing else. The files stay open, so one that is renamed, or replaced by
/// another of its name, goes on being read; one that is changed in place is noticed at the next unit and refused.
#[derive(Debug)]
pub struct ModelFile {
    layout: Arc<ModelLayout>,
    first: Source,
    others: Vec<Source>,
}

impl ModelFile {
    /// Opens a model and reads its header, or headers. No tensor data is read.
    ///
    /// Of a split model, `NAME-00001-of-00009.gguf`, the others are looked for beside the one that is named, and nowhere else.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be opened or read, or is no regular file; [`Error::InvalidGguf`] when one
    /// breaks a rule of the format, or all together one of split models; [`Error::InvalidArgument`] for an offset beyond the
    /// file, or into a file of a split model.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let source = Source::open(path, options.offset_bytes)?;
        let header = parse(&source, options)?;
        match header.split().filter(|split| split.count > 1 && !options.shard_only) {
            None => Ok(Self::whole(header, source)),
            Some(_) if options.offset_bytes > 0 => {
                let expected =
                    "0 for a model that is split into files, unless one is opened alone (shardOnly)";
                Err(Error::invalid_argument("offsetBytes", expected, options.offset_bytes.to_string()))
            }
            Some(split) => Self::open_shards((header, source), split.count, options),
        }
    }

    /// Takes the bytes of a whole file, or of its header alone with `header_only`. Of a split model they are one file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidGguf`] when they break a rule of the format; [`Error::InvalidArgument`] for an offset beyond them.
    pub fn from_bytes(bytes: Vec<u8>, options: &OpenOptions) -> Result<Self> {
        let source = Source::of_bytes(bytes, options.offset_bytes)?;
        Ok(Self::whole(parse(&source, options)?, source))
    }

    fn whole(header: GgufFile, source: Source) -> Self {
        Self { layout: ModelLayout::new(header, Vec::new()), first: source, others: Vec::new() }
    }

    /// The one that was opened, and the others of its model.
    fn open_shards((header, source): (GgufFile, Source), count: u64, options: &OpenOptions) -> Result<Self> {
        let path = source.path().to_owned();
        let unnamed = || broken(&path, gguf_file::Error::SplitFileName { count });
        let file_name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unnamed)?;
        let name = ShardName::parse(file_name).filter(|name| name.count() == count).ok_or_else(unnamed)?;
        let mut opened = Some((header, source));
        let shards = (0..count).map(|number| {
            if let Some(shard) = opened.take_if(|_| number == name.number()) {
                return Ok(shard);
            }
            let source = Source::open(&path.with_file_name(name.of(number)), 0)?;
            Ok((parse(&source, options)?, source))
        });
        Self::of_headers(shards.collect::<Result<_>>()?, options)
    }

    /// A model of these files, in their order: a single one, or all of a split model.
    pub(super) fn of_headers(files: Vec<(GgufFile, Source)>, options: &OpenOptions) -> Result<Self> {
        let (headers, sources): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        if headers.len() > 1 {
            let checked = GgufFile::check_shards(&headers.iter().collect::<Vec<_>>(), &options.header.limits);
            checked.map_err(|(place, error)| {
                broken(sources.get(place).map_or(Path::new(""), |source| source.path()), error)
            })?;
        }
        let (mut headers, mut sources) = (headers.into_iter(), sources.into_iter());
        let (Some(header), Some(first)) = (headers.next(), sources.next()) else {
            return Err(Error::internal("a model was made of no files"));
        };
        Ok(Self { layout: ModelLayout::new(header, headers.collect()), first, others: sources.collect() })
    }

    /// The path it was opened under, its address, or `<bytes>` for bytes; of a split model that of its first file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.first.path()
    }

    /// The paths of its files.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.sources().map(|source| source.path().to_owned())
    }

    /// What the headers say.
    #[must_use]
    pub fn layout(&self) -> &ModelLayout {
        &self.layout
    }

    /// The same for whoever needs it longer than the model.
    #[must_use]
    pub fn shared_layout(&self) -> Arc<ModelLayout> {
        Arc::clone(&self.layout)
    }

    /// The size of the model when it was opened, all its files together, in bytes. Of a file on a server that does not tell its
    /// size, the least that it can have.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.sources().map(Source::size_bytes).sum()
    }

    /// What the model is instead of one with its data, where that is not there.
    pub(super) fn without_data(&self) -> Option<&'static str> {
        if self.sources().any(Source::is_remote) {
            return Some("one opened by its address, of which the header was fetched; download it first");
        }
        self.layout.is_header_only().then_some("one opened with headerOnly")
    }

    /// Whether it was opened without its data: header-only, or by an address.
    #[must_use]
    pub fn is_header_only(&self) -> bool {
        self.without_data().is_some()
    }

    /// Memory that the open model takes, in bytes: its headers, and its data where it came as bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.layout.header_bytes() + self.first.memory_bytes()
    }

    /// The tensor of that name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when there is none.
    pub fn tensor(&self, name: &str) -> Result<ModelTensor<'_>> {
        self.layout.tensor(name).ok_or_else(|| {
            Error::invalid_argument("tensor", "the name of a tensor of this file", format!("{name:?}"))
        })
    }

    /// The files, in their order.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The file at this position, from 0.
    pub(super) fn source(&self, index: usize) -> Option<&Source> {
        index.checked_sub(1).map_or(Some(&self.first), |index| self.others.get(index))
    }
}

fn parse(source: &Source, options: &OpenOptions) -> Result<GgufFile> {
    let header =
        GgufFile::parse(source, &options.header).map_err(|error| header_error(source.path(), error))?;
    source.header_was_read();
    Ok(header)
}

fn broken(path: &Path, rule: gguf_file::Error) -> Error {
    Error::InvalidGguf { path: path.to_owned(), source: Box::new(rule) }
}
