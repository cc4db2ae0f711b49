//! The names of the rules, and the places where they are broken.

use crate::Error;

impl Error {
    /// The stable name of the broken rule, in kebab case: the word at the head of each variant's description.
    ///
    /// ```
    /// use gguf_file::{GgufFile, Options};
    ///
    /// let error = GgufFile::from_bytes(b"PK\x03\x04 and so on", &Options::default()).unwrap_err();
    /// assert_eq!(error.rule(), "bad-magic");
    /// assert_eq!(error.offset_bytes(), Some(0));
    /// ```
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::NotARegularFile { .. } => "not-a-regular-file",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::Truncated { .. } => "truncated",
            Self::CountExceedsFile { .. } => "count-exceeds-file",
            Self::HeaderTooLarge { .. } => "header-too-large",
            Self::BadMagic { .. } => "bad-magic",
            Self::UnsupportedVersion { .. } => "unsupported-version",
            Self::Version1 => "version-1",
            Self::BigEndian { .. } => "big-endian",
            Self::MetadataCountLimit { .. } => "metadata-count-limit",
            Self::TensorCountLimit { .. } => "tensor-count-limit",
            Self::EmptyKey { .. } => "empty-key",
            Self::KeyTooLong { .. } => "key-too-long",
            Self::KeyNotUtf8 { .. } => "key-not-utf8",
            Self::KeyHasNul { .. } => "key-has-nul",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::UnknownValueType { .. } => "unknown-value-type",
            Self::UnknownElementType { .. } => "unknown-element-type",
            Self::StringTooLong { .. } => "string-too-long",
            Self::InvalidBool { .. } => "invalid-bool",
            Self::ArrayTooDeep { .. } => "array-too-deep",
            Self::MissingKey { .. } => "missing-key",
            Self::WrongValueType { .. } => "wrong-value-type",
            Self::NegativeValue { .. } => "negative-value",
            Self::ValueNotUtf8 { .. } => "value-not-utf8",
            Self::AlignmentType { .. } => "alignment-type",
            Self::AlignmentNotPowerOfTwo { .. } => "alignment-not-power-of-two",
            Self::AlignmentTooLarge { .. } => "alignment-too-large",
            Self::SplitCountLimit { .. } => "split-count-limit",
            Self::SplitNumber { .. } => "split-number",
            Self::SplitTensorCount { .. } => "split-tensor-count",
            Self::SplitFileName { .. } => "split-file-name",
            Self::SplitFileNumber { .. } => "split-file-number",
            Self::SplitFileCount { .. } => "split-file-count",
            Self::SplitTotal { .. } => "split-total",
            Self::SplitRepeatedTensor { .. } => "split-repeated-tensor",
            Self::EmptyTensorName { .. } => "empty-tensor-name",
            Self::TensorNameTooLong { .. } => "tensor-name-too-long",
            Self::TensorNameNotUtf8 { .. } => "tensor-name-not-utf8",
            Self::TensorNameHasNul { .. } => "tensor-name-has-nul",
            Self::DuplicateTensorName { .. } => "duplicate-tensor-name",
            Self::TooManyDimensions { .. } => "too-many-dimensions",
            Self::DimensionTooLarge { .. } => "dimension-too-large",
            Self::ElementCountTooLarge { .. } => "element-count-too-large",
            Self::RemovedTensorType { .. } => "removed-tensor-type",
            Self::UnknownTensorType { .. } => "unknown-tensor-type",
            Self::PartialBlock { .. } => "partial-block",
            Self::TensorSizeTooLarge { .. } => "tensor-size-too-large",
            Self::MisalignedTensor { .. } => "misaligned-tensor",
            Self::TensorEndTooLarge { .. } => "tensor-end-too-large",
            Self::DataSectionMissing { .. } => "data-section-missing",
            Self::TensorPastEnd { .. } => "tensor-past-end",
            Self::ForkLayout { .. } => "fork-layout",
            Self::TensorsOverlap { .. } => "tensors-overlap",
            Self::TensorsNotContiguous { .. } => "tensors-not-contiguous",
        }
    }

    /// Where in the file the trouble lies, in bytes; `None` where no place can be named.
    #[must_use]
    pub const fn offset_bytes(&self) -> Option<u64> {
        match self {
            Self::Io { offset, .. } => *offset,
            Self::NotARegularFile { .. }
            | Self::OutOfMemory { .. }
            | Self::MissingKey { .. }
            | Self::SplitFileName { .. }
            | Self::SplitRepeatedTensor { .. } => None,
            Self::BadMagic { .. } => Some(0),
            Self::UnsupportedVersion { .. } | Self::Version1 | Self::BigEndian { .. } => Some(4),
            Self::Truncated { offset, .. }
            | Self::CountExceedsFile { offset, .. }
            | Self::HeaderTooLarge { offset, .. }
            | Self::MetadataCountLimit { offset, .. }
            | Self::TensorCountLimit { offset, .. }
            | Self::EmptyKey { offset }
            | Self::KeyTooLong { offset, .. }
            | Self::KeyNotUtf8 { offset, .. }
            | Self::KeyHasNul { offset, .. }
            | Self::DuplicateKey { offset, .. }
            | Self::UnknownValueType { offset, .. }
            | Self::UnknownElementType { offset, .. }
            | Self::StringTooLong { offset, .. }
            | Self::InvalidBool { offset, .. }
            | Self::ArrayTooDeep { offset, .. }
            | Self::WrongValueType { offset, .. }
            | Self::NegativeValue { offset, .. }
            | Self::ValueNotUtf8 { offset, .. }
            | Self::AlignmentType { offset, .. }
            | Self::AlignmentNotPowerOfTwo { offset, .. }
            | Self::AlignmentTooLarge { offset, .. }
            | Self::SplitCountLimit { offset, .. }
            | Self::SplitNumber { offset, .. }
            | Self::SplitTensorCount { offset, .. }
            | Self::SplitFileNumber { offset, .. }
            | Self::SplitFileCount { offset, .. }
            | Self::SplitTotal { offset, .. }
            | Self::EmptyTensorName { offset }
            | Self::TensorNameTooLong { offset, .. }
            | Self::TensorNameNotUtf8 { offset, .. }
            | Self::TensorNameHasNul { offset, .. }
            | Self::DuplicateTensorName { offset, .. }
            | Self::TooManyDimensions { offset, .. }
            | Self::DimensionTooLarge { offset, .. }
            | Self::ElementCountTooLarge { offset, .. }
            | Self::RemovedTensorType { offset, .. }
            | Self::UnknownTensorType { offset, .. }
            | Self::PartialBlock { offset, .. }
            | Self::TensorSizeTooLarge { offset, .. }
            | Self::MisalignedTensor { offset, .. }
            | Self::TensorEndTooLarge { offset, .. }
            | Self::DataSectionMissing { offset, .. }
            | Self::TensorPastEnd { offset, .. }
            | Self::ForkLayout { offset, .. }
            | Self::TensorsOverlap { offset, .. }
            | Self::TensorsNotContiguous { offset, .. } => Some(*offset),
        }
    }
}

#[cfg(test)]
mod tests {
    /// The words in backquotes at the head of the variants' descriptions.
    fn described() -> Vec<&'static str> {
        let lines = include_str!("error.rs").lines();
        lines
            .filter_map(|line| line.strip_prefix("    /// `")?.split_once("`:"))
            .map(|(rule, _)| rule)
            .collect()
    }

    /// The names that [`Error::rule`](crate::Error::rule) returns.
    fn returned() -> Vec<&'static str> {
        let lines = include_str!("rule.rs").lines();
        lines
            .filter(|line| line.trim_start().starts_with("Self::"))
            .filter_map(|line| Some(line.split_once("=> \"")?.1.trim_end_matches("\",")))
            .collect()
    }

    #[test]
    fn every_rule_is_described_under_its_name_and_no_two_share_one() {
        assert_eq!(described(), returned());
        let mut unique = returned();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), returned().len());
        assert!(unique.len() > 40);
    }
}
