//! A model without its file: by its dimensions.

use gguf_file::{GgufFile, Options, TensorType};

use super::{
    estimator::{Companions, Estimator},
    model_memory::ModelMemoryEstimate,
    options::EstimateOptions,
    quantization::Quantization,
};
use crate::error::{Error, Result};

/// The dimensions of a decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelShape {
    /// The model family, as a GGUF file would name it.
    pub architecture: String,
    /// Layers.
    pub layers: u64,
    /// The width of a token between layers.
    pub embedding: u64,
    /// Heads of the queries.
    pub heads: u64,
    /// Heads of keys and values.
    pub kv_heads: u64,
    /// Elements of a head.
    pub head_width: u64,
    /// The width of a feed-forward network, or of an expert.
    pub feed_forward: u64,
    /// Tokens that it knows.
    pub vocabulary: u64,
    /// Tokens of the context that it was trained with.
    pub context_length: u64,
    /// Experts of a layer, and how many a token passes; 0 and 0 without.
    pub experts: (u64, u64),
    /// Tokens of a window, for a family that has layers with one.
    pub window: Option<u64>,
    /// Whether the token embeddings serve as the output matrix.
    pub is_tied: bool,
}

/// A model whose dimensions stand for others of its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypicalShape {
    /// The model that has them.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: u64,
    architecture: &'static str,
    layers: u64,
    embedding: u64,
    heads: u64,
    kv_heads: u64,
    head_width: u64,
    feed_forward: u64,
    vocabulary: u64,
    context_length: u64,
    is_tied: bool,
}

macro_rules! typical {
    ($($name:literal $parameters:literal $architecture:literal: $layers:literal x $embedding:literal, $heads:literal / $kv:literal
        heads of $width:literal, $inner:literal, $vocabulary:literal, $context:literal, $tied:literal;)+) => {
        &[$(TypicalShape {
            name: $name, parameters: $parameters, architecture: $architecture, layers: $layers, embedding: $embedding,
            heads: $heads, kv_heads: $kv, head_width: $width, feed_forward: $inner, vocabulary: $vocabulary,
            context_length: $context, is_tied: $tied,
        }),+]
    };
}

/// Models of today by size: a larger one has no smaller cache. The last has the cache of older models, as large as its queries:
/// it is only taken by its name.
pub const TYPICAL_SHAPES: &[TypicalShape] = typical! {
    "qwen2.5-0.5b" 494_032_768 "qwen2": 24 x 896, 14 / 2 heads of 64, 4864, 151_936, 32_768, true;
    "llama-3.2-1b" 1_235_814_400 "llama": 16 x 2048, 32 / 8 heads of 64, 8192, 128_256, 131_072, true;
    "llama-3.2-3b" 3_212_749_824 "llama": 28 x 3072, 24 / 8 heads of 128, 8192, 128_256, 131_072, true;
    "llama-3.1-8b" 8_030_261_248 "llama": 32 x 4096, 32 / 8 heads of 128, 14_336, 128_256, 131_072, false;
    "qwen2.5-14b" 14_770_033_664 "qwen2": 48 x 5120, 40 / 8 heads of 128, 13_824, 152_064, 131_072, false;
    "qwen2.5-32b" 32_763_876_352 "qwen2": 64 x 5120, 40 / 8 heads of 128, 27_648, 152_064, 131_072, false;
    "llama-3.1-70b" 70_553_706_496 "llama": 80 x 8192, 64 / 8 heads of 128, 28_672, 128_256, 131_072, false;
    "llama-3.1-405b" 405_853_388_800 "llama": 126 x 16_384, 128 / 8 heads of 128, 53_248, 128_256, 131_072, false;
    "llama-2-7b" 6_738_415_616 "llama": 32 x 4096, 32 / 32 heads of 128, 11_008, 32_000, 4096, false;
};

/// What stands for all that are larger than the others.
#[allow(clippy::indexing_slicing)] // Checked when this is compiled.
const LARGEST: &TypicalShape = &TYPICAL_SHAPES[7];

impl TypicalShape {
    /// The smallest that has so many parameters; the largest there is for more.
    #[must_use]
    pub fn of(parameters: u64) -> &'static Self {
        // A name such as 7B or 8B is rounded.
        let has_as_many = |shape: &&Self| u128::from(shape.parameters) * 105 >= u128::from(parameters) * 100;
        let mut by_size = TYPICAL_SHAPES.iter().filter(|shape| shape.kv_heads < shape.heads);
        by_size.find(has_as_many).unwrap_or(LARGEST)
    }

    /// The one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name that none has.
    pub fn find(name: &str) -> Result<&'static Self> {
        TYPICAL_SHAPES.iter().find(|it| it.name == name).ok_or_else(|| {
            let names: Vec<&str> = TYPICAL_SHAPES.iter().map(|it| it.name).collect();
            Error::invalid_argument("shape", format!("one of {}", names.join(", ")), format!("{name:?}"))
        })
    }

    /// Its dimensions.
    #[must_use]
    pub fn shape(&self) -> ModelShape {
        ModelShape {
            architecture: self.architecture.to_owned(),
            layers: self.layers,
            embedding: self.embedding,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_width: self.head_width,
            feed_forward: self.feed_forward,
            vocabulary: self.vocabulary,
            context_length: self.context_length,
            experts: (0, 0),
            window: None,
            is_tied: self.is_tied,
        }
    }
}

/// The most that a dimension may be: a file holds them in 32 bits.
const MOST: u64 = u32::MAX as u64;

/// The most layers: the tensors of each are written down.
const MOST_LAYERS: u64 = 512;

impl ModelShape {
    /// The header that a file of such a model would have, with all matrices in one type.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a dimension that is 0 or too large, and where all of them together are.
    pub fn header(&self, matrices: TensorType) -> Result<GgufFile> {
        self.check()?;
        let mut header = Header::default();
        header.text("general.architecture", &self.architecture);
        let (experts, used) = self.experts;
        let numbers = [
            ("block_count", self.layers),
            ("context_length", self.context_length),
            ("embedding_length", self.embedding),
            ("feed_forward_length", self.feed_forward),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("attention.key_length", self.head_width),
            ("attention.value_length", self.head_width),
            ("vocab_size", self.vocabulary),
        ];
        let optional = [
            ("expert_count", Some(experts).filter(|experts| *experts > 0)),
            ("expert_used_count", Some(used).filter(|used| *used > 0)),
            ("expert_feed_forward_length", Some(self.feed_forward).filter(|_| experts > 0)),
            ("attention.sliding_window", self.window),
        ];
        let optional = optional.into_iter().filter_map(|(key, number)| Some((key, number?)));
        for (key, number) in numbers.into_iter().chain(optional) {
            header.number(&format!("{}.{key}", self.architecture), number);
        }
        self.tensors(&mut header, matrices);
        let options = Options { header_only: true, ..Options::default() };
        GgufFile::from_bytes(&header.bytes(), &options).map_err(|error| {
            let expected = "of dimensions that one file could hold";
            Error::invalid_argument("shape", expected, error.to_string())
        })
    }

    fn check(&self) -> Result<()> {
        let dimensions = [
            ("embedding", self.embedding),
            ("heads", self.heads),
            ("kvHeads", self.kv_heads),
            ("headWidth", self.head_width),
            ("feedForward", self.feed_forward),
            ("vocabulary", self.vocabulary),
            ("contextLength", self.context_length),
        ];
        for (name, number) in dimensions {
            if !(1..=MOST).contains(&number) {
                let expected = format!("a whole number from 1 to {MOST}");
                return Err(Error::invalid_argument(name, expected, number.to_string()));
            }
        }
        if !(1..=MOST_LAYERS).contains(&self.layers) {
            let expected = format!("a whole number from 1 to {MOST_LAYERS}");
            return Err(Error::invalid_argument("layers", expected, self.layers.to_string()));
        }
        let (experts, used) = self.experts;
        if experts > MOST || used > experts || (experts > 0) != (used > 0) {
            let expected = "as many experts as a token passes, or more";
            return Err(Error::invalid_argument("experts", expected, format!("{used} of {experts}")));
        }
        Ok(())
    }

    fn tensors(&self, header: &mut Header, matrices: TensorType) {
        let (width, inner) = (self.embedding, self.feed_forward);
        let (queries, keys) = (self.heads * self.head_width, self.kv_heads * self.head_width);
        header.tensor("token_embd.weight", &[width, self.vocabulary], matrices);
        header.tensor("output_norm.weight", &[width], TensorType::F32);
        if !self.is_tied {
            header.tensor("output.weight", &[width, self.vocabulary], matrices);
        }
        let (experts, _) = self.experts;
        for layer in 0..self.layers {
            let mut tensor = |name: &str, dims: &[u64], tensor_type| {
                header.tensor(&format!("blk.{layer}.{name}"), dims, tensor_type);
            };
            tensor("attn_norm.weight", &[width], TensorType::F32);
            tensor("attn_q.weight", &[width, queries], matrices);
            tensor("attn_k.weight", &[width, keys], matrices);
            tensor("attn_v.weight", &[width, keys], matrices);
            tensor("attn_output.weight", &[queries, width], matrices);
            tensor("ffn_norm.weight", &[width], TensorType::F32);
            if experts > 0 {
                tensor("ffn_gate_inp.weight", &[width, experts], TensorType::F32);
                tensor("ffn_gate_exps.weight", &[width, inner, experts], matrices);
                tensor("ffn_up_exps.weight", &[width, inner, experts], matrices);
                tensor("ffn_down_exps.weight", &[inner, width, experts], matrices);
            } else {
                tensor("ffn_gate.weight", &[width, inner], matrices);
                tensor("ffn_up.weight", &[width, inner], matrices);
                tensor("ffn_down.weight", &[inner, width], matrices);
            }
        }
    }
}

/// A header in the making: version 3, little-endian.
#[derive(Debug, Default)]
struct Header {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data_bytes: u64,
}

/// What tensors of a file begin at multiples of.
const ALIGNMENT: u64 = 32;

impl Header {
    fn text(&mut self, key: &str, value: &str) {
        const TEXT: u32 = 8;
        self.key(key, TEXT);
        put_text(&mut self.keys, value);
    }

    fn number(&mut self, key: &str, value: u64) {
        const U64: u32 = 10;
        self.key(key, U64);
        self.keys.extend(value.to_le_bytes());
    }

    fn key(&mut self, key: &str, type_id: u32) {
        put_text(&mut self.keys, key);
        self.keys.extend(type_id.to_le_bytes());
        self.key_count += 1;
    }

    fn tensor(&mut self, name: &str, dims: &[u64], tensor_type: TensorType) {
        put_text(&mut self.tensors, name);
        self.tensors.extend((dims.len() as u32).to_le_bytes());
        for dim in dims {
            self.tensors.extend(dim.to_le_bytes());
        }
        self.tensors.extend(tensor_type.id().to_le_bytes());
        self.tensors.extend(self.data_bytes.to_le_bytes());
        self.tensor_count += 1;
        let elements = dims.iter().fold(1_u64, |all, dim| all.saturating_mul(*dim));
        let blocks = elements / tensor_type.block_elements();
        let bytes = blocks.saturating_mul(tensor_type.block_bytes());
        // What does not fit in a file is refused by its reader.
        let end = self.data_bytes.saturating_add(bytes).min(u64::MAX - ALIGNMENT);
        self.data_bytes = end.next_multiple_of(ALIGNMENT);
    }

    fn bytes(&self) -> Vec<u8> {
        const VERSION: u32 = 3;
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.key_count.to_le_bytes());
        bytes.extend(&self.keys);
        bytes.extend(&self.tensors);
        bytes
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// What a model of these dimensions needs, its weights quantised to a level: as many bytes as the level has for so many
/// parameters, by default those of the shape.
///
/// Caches are those of the dimensions, to the byte; the compute buffer is as exact as for a file of that family.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a dimension or an option that cannot be.
pub fn estimate_shape(
    shape: &ModelShape,
    parameters: Option<u64>,
    level: Quantization,
    options: &EstimateOptions,
) -> Result<ModelMemoryEstimate> {
    let file = shape.header(TensorType::F16)?;
    let counted = || file.tensors().fold(0_u64, |sum, tensor| sum.saturating_add(tensor.element_count()));
    let weights_bytes = level.size_bytes(parameters.unwrap_or_else(counted));
    estimate_weights(&file, weights_bytes, level.tensor_type, options)
}

/// The same for weights of so many bytes, which the runtime keeps as they are: a file of another format than GGUF.
///
/// # Errors
///
/// As of [`estimate_shape`].
pub fn estimate_shape_of(
    shape: &ModelShape,
    weights_bytes: u64,
    options: &EstimateOptions,
) -> Result<ModelMemoryEstimate> {
    let file = shape.header(TensorType::F16)?;
    estimate_weights(&file, weights_bytes, TensorType::F16, options)
}

fn estimate_weights(
    file: &GgufFile,
    weights_bytes: u64,
    stored_as: TensorType,
    options: &EstimateOptions,
) -> Result<ModelMemoryEstimate> {
    let files = [file];
    let model = Estimator::of_dimensions(&files)?.with_weights(weights_bytes, stored_as)?;
    model.estimate(options, Companions::default())
}
