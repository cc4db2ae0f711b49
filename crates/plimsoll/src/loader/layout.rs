//! What the headers of a model say, be it one file or several.

use std::{ops::Deref, sync::Arc};

use gguf_file::{GgufFile, Tensor};

/// The checked headers of a model's files, and its tensors over all of them. It keeps no file open.
#[derive(Debug)]
pub struct ModelLayout {
    first: GgufFile,
    others: Vec<GgufFile>,
    /// The position of each file's first tensor among those of the model.
    firsts: Vec<usize>,
    tensor_count: usize,
}

/// A tensor of a model.
#[derive(Debug, Clone, Copy)]
pub struct ModelTensor<'a> {
    tensor: Tensor<'a>,
    file_index: usize,
    index: usize,
}

/// Bytes of a file's data that belong to no tensor, as of [`GgufFile::gaps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelGap {
    /// Which of the model's files has it, from 0.
    pub file_index: usize,
    /// Where it begins, in bytes from the beginning of its file, or of the model within that.
    pub offset_bytes: u64,
    /// How long it is, in bytes.
    pub size_bytes: u64,
    /// The position among the model's tensors of the one before it; `None` before the first of its file.
    pub after: Option<usize>,
}

impl ModelTensor<'_> {
    /// Its position among the tensors of the model, from 0: those of the first file, then those of the next.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Which of the model's files has it, from 0.
    #[must_use]
    pub const fn file_index(&self) -> usize {
        self.file_index
    }
}

impl<'a> Deref for ModelTensor<'a> {
    type Target = Tensor<'a>;

    fn deref(&self) -> &Tensor<'a> {
        &self.tensor
    }
}

impl ModelLayout {
    /// `first`, and the other files of the same model in their order.
    pub(super) fn new(first: GgufFile, others: Vec<GgufFile>) -> Arc<Self> {
        let mut tensor_count = 0;
        let place = |file: &GgufFile| {
            let first = tensor_count;
            tensor_count += file.tensor_count();
            first
        };
        let firsts = std::iter::once(&first).chain(&others).map(place).collect();
        Arc::new(Self { first, others, firsts, tensor_count })
    }

    /// The header of the first file, which has the metadata.
    #[must_use]
    pub const fn header(&self) -> &GgufFile {
        &self.first
    }

    /// The headers, one a file.
    pub fn files(&self) -> impl Iterator<Item = &GgufFile> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The header of the file at this position, from 0.
    #[must_use]
    pub fn file(&self, index: usize) -> Option<&GgufFile> {
        index.checked_sub(1).map_or(Some(&self.first), |index| self.others.get(index))
    }

    /// Each file with the position of its first tensor.
    fn placed(&self) -> impl Iterator<Item = (usize, (&GgufFile, usize))> {
        self.files().zip(self.firsts.iter().copied()).enumerate()
    }

    /// Number of tensors.
    #[must_use]
    pub const fn tensor_count(&self) -> usize {
        self.tensor_count
    }

    /// The tensors, file by file and in the order of each.
    pub fn tensors(&self) -> impl Iterator<Item = ModelTensor<'_>> {
        self.placed().flat_map(|(file_index, (file, first))| {
            file.tensors().map(move |tensor| ModelTensor {
                tensor,
                file_index,
                index: first + tensor.index(),
            })
        })
    }

    /// The tensors from `start` to `end`, as many of them as there are.
    pub fn tensors_in(&self, start: usize, end: usize) -> impl Iterator<Item = ModelTensor<'_>> {
        (start..end.min(self.tensor_count)).filter_map(|index| self.tensor_at(index))
    }

    /// The tensor at this position, from 0.
    #[must_use]
    pub fn tensor_at(&self, index: usize) -> Option<ModelTensor<'_>> {
        // The last file that begins no later; one without tensors begins where the next does.
        let file_index = self.firsts.partition_point(|first| *first <= index).checked_sub(1)?;
        let (file, first) = (self.file(file_index)?, self.firsts.get(file_index)?);
        Some(ModelTensor { tensor: file.tensor_at(index - first)?, file_index, index })
    }

    /// The name of the tensor at this position; empty where there is none.
    #[must_use]
    pub fn name_at(&self, index: usize) -> &str {
        let tensor = self.tensor_at(index).map(|it| it.tensor);
        tensor.map_or("", |tensor| tensor.name())
    }

    /// The tensor of this name, found by hash.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<ModelTensor<'_>> {
        self.placed().find_map(|(file_index, (file, first))| {
            let tensor = file.tensor(name)?;
            Some(ModelTensor { tensor, file_index, index: first + tensor.index() })
        })
    }

    /// Bytes of the headers.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        self.files().map(GgufFile::header_bytes).sum()
    }

    /// Bytes of the data sections, each from its start to the end of its last tensor.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.files().map(GgufFile::data_bytes).sum()
    }

    /// Bytes of the data that belong to no tensor and are no padding, file by file.
    #[must_use]
    pub fn gaps(&self) -> Vec<ModelGap> {
        let gaps_of = |(file_index, (file, first)): (usize, (&GgufFile, usize))| {
            file.gaps().into_iter().map(move |gap| ModelGap {
                file_index,
                offset_bytes: gap.offset_bytes,
                size_bytes: gap.size_bytes,
                after: gap.after.map(|index| first + index),
            })
        };
        self.placed().flat_map(gaps_of).collect()
    }

    /// Whether only the headers were parsed.
    #[must_use]
    pub fn is_header_only(&self) -> bool {
        self.files().any(GgufFile::is_header_only)
    }
}
