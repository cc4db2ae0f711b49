//! What the device is like.

use std::{collections::HashMap, env};

pub struct Settings {
    pub attributes: HashMap<u32, i32>,
    pub numbers: HashMap<String, i64>,
}

/// A GPU with memory of its own, of compute capability 9.0, that can do everything the driver knows.
const DISCRETE: &[(u32, i32)] = &[
    (16, 132),
    (18, 0),
    (19, 1),
    (41, 1),
    (75, 9),
    (76, 0),
    (83, 1),
    (88, 0),
    (89, 1),
    (99, 1),
    (102, 1),
    (103, 1),
    (110, 1),
    (124, 1),
];

/// An Orin: integrated, and its managed memory must not be touched while a kernel runs.
const ORIN: &[(u32, i32)] = &[
    (16, 8),
    (18, 1),
    (19, 1),
    (41, 1),
    (75, 8),
    (76, 7),
    (83, 1),
    (88, 0),
    (89, 0),
    (99, 1),
    (102, 1),
    (103, 1),
    (110, 0),
    (124, 0),
];

/// What the device is like from the start, as `KEY=VALUE` with commas between, for programs that cannot call the fake.
const VARIABLE: &str = "FAKE_CUDA";

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self { attributes: DISCRETE.iter().copied().collect(), numbers: HashMap::new() };
        let text = env::var(VARIABLE).unwrap_or_default();
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        for (key, value) in pairs.filter_map(|(key, value)| value.parse().ok().map(|value| (key, value))) {
            settings.set(key, value);
        }
        settings
    }
}

impl Settings {
    /// Sets `orin`, `attribute.N`, or a number by its name; an empty name is wrong.
    pub fn set(&mut self, key: &str, value: i64) -> bool {
        if key == "orin" {
            self.attributes = ORIN.iter().copied().collect();
        } else if let Some(number) = key.strip_prefix("attribute.") {
            let Ok(number) = number.parse() else { return false };
            self.attributes.insert(number, value as i32);
        } else {
            self.numbers.insert(key.to_owned(), value);
        }
        !key.is_empty()
    }

    pub fn number(&self, key: &str, default: i64) -> i64 {
        self.numbers.get(key).copied().unwrap_or(default)
    }

    pub fn bytes(&self, key: &str, default: u64) -> u64 {
        self.numbers.get(key).map_or(default, |value| value.cast_unsigned())
    }
}
