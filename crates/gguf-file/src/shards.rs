//! Models that are split into several files: their names, and the rules that hold over all of them.
//!
//! Source: llama.cpp's `llama_split_path` and its loader. The first file has the metadata; each has a header, an alignment and
//! a data section of its own.

use std::collections::HashMap;

use crate::{
    Error, GgufFile, Limits,
    metadata::{SPLIT_COUNT_KEY, SPLIT_NUMBER_KEY, SPLIT_TENSOR_COUNT_KEY},
};

const ENDING: &str = ".gguf";
const BETWEEN: &str = "-of-";
/// Digits of a number in a name.
const DIGITS: usize = 5;

/// The name of a file of a split model: `NAME-00002-of-00009.gguf`.
///
/// ```
/// use gguf_file::ShardName;
///
/// let name = ShardName::parse("llama-70b-00002-of-00009.gguf").unwrap();
/// assert_eq!((name.number(), name.count()), (1, 9));
/// assert_eq!(name.of(8), "llama-70b-00009-of-00009.gguf");
/// assert_eq!(ShardName::parse("llama-70b.gguf"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardName<'a> {
    stem: &'a str,
    number: u64,
    count: u64,
}

impl<'a> ShardName<'a> {
    /// Takes the name of a file apart; `None` where it does not end as that of a part does.
    #[must_use]
    pub fn parse(file_name: &'a str) -> Option<Self> {
        let (rest, count) = ending_in_number(file_name.strip_suffix(ENDING)?)?;
        let (rest, ordinal) = ending_in_number(rest.strip_suffix(BETWEEN)?)?;
        let stem = rest.strip_suffix('-')?;
        (1..=count).contains(&ordinal).then_some(Self { stem, number: ordinal - 1, count })
    }

    /// The position of the file among the others, from 0. The name counts from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// How many files there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The name of the file at `number`, from 0.
    #[must_use]
    pub fn of(&self, number: u64) -> String {
        let Self { stem, count, .. } = self;
        format!("{stem}-{:0DIGITS$}{BETWEEN}{count:0DIGITS$}{ENDING}", number + 1)
    }
}

fn ending_in_number(text: &str) -> Option<(&str, u64)> {
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(DIGITS)?)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some((rest, digits.parse().ok()?))).flatten()
}

impl GgufFile {
    /// Checks that `files` are all files of one split model, in their order. The rules of each alone have been checked as it
    /// was parsed.
    ///
    /// # Errors
    ///
    /// The position of the file that breaks a rule, and the rule: [`Error::SplitFileNumber`], [`Error::SplitFileCount`],
    /// [`Error::SplitTotal`], [`Error::SplitRepeatedTensor`], and [`Error::TensorCountLimit`] and [`Error::HeaderTooLarge`] for
    /// what all of them have together.
    pub fn check_shards(files: &[&Self], limits: &Limits) -> Result<(), (usize, Error)> {
        let count = files.len() as u64;
        for (place, file) in files.iter().enumerate() {
            file.expect_shard(place as u64, count).map_err(|error| (place, error))?;
        }
        Self::check_sums(files, limits)?;
        let mut owners = HashMap::new();
        for (place, file) in files.iter().enumerate() {
            for tensor in file.tensors() {
                if let Some(first) = owners.insert(tensor.name(), place).filter(|first| *first != place) {
                    let name = tensor.name().to_owned();
                    return Err((place, Error::SplitRepeatedTensor { name, first: first as u64 + 1 }));
                }
            }
        }
        Ok(())
    }

    /// Whether this is the file at `place` of `count`. Only the first has to say how many there are.
    fn expect_shard(&self, place: u64, count: u64) -> Result<(), Error> {
        let metadata = self.metadata();
        let number = metadata.get(SPLIT_NUMBER_KEY).and_then(|value| value.as_u64());
        if number.unwrap_or(0) != place {
            let offset = metadata.offset_of(SPLIT_NUMBER_KEY);
            return Err(Error::SplitFileNumber { offset, number: number.unwrap_or(0), expected: place });
        }
        match self.split.map(|split| split.count) {
            Some(found) if found != count => {
                let offset = metadata.offset_of(SPLIT_COUNT_KEY);
                Err(Error::SplitFileCount { offset, count: found, expected: count })
            }
            _ => Ok(()),
        }
    }

    fn check_sums(files: &[&Self], limits: &Limits) -> Result<(), (usize, Error)> {
        let (mut tensors, mut header_bytes) = (0_u64, 0_u64);
        for (place, file) in files.iter().enumerate() {
            tensors += file.tensor_count() as u64;
            header_bytes += file.header_bytes();
            let (most, most_bytes) = (u64::from(limits.tensors), u64::from(limits.header_bytes));
            if tensors > most {
                return Err((place, Error::TensorCountLimit { offset: 8, count: tensors, limit: most }));
            }
            if header_bytes > most_bytes {
                let offset = file.header_bytes();
                return Err((
                    place,
                    Error::HeaderTooLarge { offset, needed_bytes: header_bytes, limit_bytes: most_bytes },
                ));
            }
        }
        let declared = files.first().and_then(|first| first.split?.tensor_count);
        match (declared, files.first()) {
            (Some(declared), Some(first)) if declared != tensors => {
                let offset = first.metadata().offset_of(SPLIT_TENSOR_COUNT_KEY);
                Err((0, Error::SplitTotal { offset, declared, present: tensors }))
            }
            _ => Ok(()),
        }
    }
}
