//! Hyperparameters out of a file's metadata, each within what its reader can take.

use gguf_file::{Metadata, Value};

use crate::error::{Error, Result};

/// The largest number that a hyperparameter may be: llama.cpp holds them in 32 bits.
pub(super) const MOST: u64 = u32::MAX as u64;

/// The keys of one architecture: `<architecture>.<key>`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    metadata: Metadata<'a>,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    pub(super) const fn new(metadata: Metadata<'a>, architecture: &'a str) -> Self {
        Self { metadata, architecture }
    }

    /// The key as it stands in the file.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// The error that `key` is not what it should be.
    pub(super) fn invalid(
        &self,
        key: &str,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Error {
        Error::invalid_model(self.name(key), expected, received)
    }

    fn value(&self, key: &str) -> Option<Value<'a>> {
        self.metadata.get(&self.name(key))
    }

    /// Whether the file has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The number of `key`, if the file has it.
    pub(super) fn optional(&self, key: &str) -> Result<Option<u64>> {
        self.value(key).map(|value| self.number(key, value)).transpose()
    }

    /// The number of `key`, which must be there.
    pub(super) fn required(&self, key: &str) -> Result<u64> {
        self.optional(key)?.ok_or_else(|| self.invalid(key, "there", "nothing"))
    }

    /// The number of `key`, which must be there and more than 0.
    pub(super) fn positive(&self, key: &str) -> Result<u64> {
        match self.required(key)? {
            0 => Err(self.invalid(key, "at least 1", "0")),
            number => Ok(number),
        }
    }

    /// The number of `key`, whole or not, if the file has it.
    pub(super) fn real(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_u64().map(|number| number as f64));
        number.map(Some).ok_or_else(|| self.invalid(key, "a number", "something else"))
    }

    /// A number for each of `blocks`: the elements of the list that `key` holds, or its one number for all. `None` without the key.
    pub(super) fn per_block(&self, key: &str, blocks: usize) -> Result<Option<Vec<u64>>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let Value::Array(array) = value else {
            return self.number(key, value).map(|number| Some(vec![number; blocks]));
        };
        if array.len() != blocks {
            let expected = format!("one number, or a list of block_count = {blocks}");
            return Err(self.invalid(key, expected, format!("a list of {}", array.len())));
        }
        array.iter().map(|element| self.number(key, element)).collect::<Result<_>>().map(Some)
    }

    /// As [`per_block`](Self::per_block) for the first so many of a list that may be longer.
    pub(super) fn per_layer(&self, key: &str, layers: usize) -> Result<Option<Vec<u64>>> {
        let all = self.per_block(key, self.length(key).unwrap_or(0).max(layers))?;
        Ok(all.map(|mut numbers| {
            numbers.truncate(layers);
            numbers
        }))
    }

    /// The largest of the numbers that `key` holds. `None` without the key.
    pub(super) fn most(&self, key: &str) -> Result<Option<u64>> {
        Ok(self.list(key)?.map(|numbers| numbers.into_iter().max().unwrap_or(0)))
    }

    /// The numbers of the list that `key` holds, or its one number. `None` without the key.
    pub(super) fn list(&self, key: &str) -> Result<Option<Vec<u64>>> {
        self.per_block(key, self.length(key).unwrap_or(1))
    }

    /// Elements of the list that `key` holds.
    fn length(&self, key: &str) -> Option<usize> {
        match self.value(key) {
            Some(Value::Array(array)) => Some(array.len()),
            _ => None,
        }
    }

    /// Whether `key` holds a list.
    pub(super) fn is_list(&self, key: &str) -> bool {
        self.length(key).is_some()
    }

    fn number(&self, key: &str, value: Value<'_>) -> Result<u64> {
        let number = value.as_bool().map(u64::from).or_else(|| value.as_u64());
        number.filter(|number| *number <= MOST).ok_or_else(|| {
            let received = match value {
                Value::Array(array) => format!("a list of {}", array.len()),
                Value::String(_) => "a text".to_owned(),
                _ => value
                    .as_i64()
                    .map(|number| number.to_string())
                    .or_else(|| value.as_u64().map(|number| number.to_string()))
                    .or_else(|| value.as_f64().map(|number| number.to_string()))
                    .unwrap_or_default(),
            };
            self.invalid(key, format!("a whole number from 0 to {MOST}"), received)
        })
    }
}
