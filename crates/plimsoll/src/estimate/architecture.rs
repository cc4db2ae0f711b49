//! What a row of the table of architectures can say.

/// How the layers of a model family keep what they have read.
///
/// The names are those of [`ARCHITECTURES`](super::architectures::ARCHITECTURES), the table that is made of them.
// Each is said of a family by itself.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Architecture {
    /// `general.architecture`.
    pub(super) name: &'static str,
    pub(super) memory: LayerMemory,
    pub(super) window: AttentionWindow,
    pub(super) sharing: Sharing,
    pub(super) caches: Caches,
    /// Multi-head latent attention, in files that have its two keys (`attention.key_length_mla`, `attention.value_length_mla`):
    /// keys alone are cached, for the values are a part of them. Files made before those keys cache both, for all heads.
    pub(super) latent: bool,
    /// The matrix of token embeddings is kept a second time, as the output matrix, also where it is stored once.
    pub(super) embeds_twice: bool,
    /// A token is multiplied by an output matrix, which is that of token embeddings where the file has none. Without one, the
    /// embeddings are looked up and nothing else.
    pub(super) has_output: bool,
    /// It does nothing but draft tokens for another model: it gives the logits of every token, however few are wanted.
    pub(super) drafts: bool,
    /// llama.cpp itself was asked what such models take; else the row is out of its source alone.
    pub(super) is_measured: bool,
}

/// What the layers keep of the tokens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayerMemory {
    /// Nothing: an encoder sees all of its text at once.
    Nothing,
    /// Keys and values, in every layer.
    Attention,
    /// A state of fixed size, in every layer.
    Recurrent(StateKind),
    /// Keys and values in some layers, a state in others.
    Hybrid(Split, StateKind),
}

/// Which layers of a hybrid model keep a state, and which keep keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// A state where the file gives a layer no key-value head; keys and values elsewhere.
    NoHeads,
    /// As [`NoHeads`](Self::NoHeads), and neither where the layer is a feed-forward network.
    NoHeadsNorFeedForward,
    /// Both in every layer.
    Both,
    /// Keys and values in the last of every so many layers (`full_attention_interval`, by default this one), a state in the others;
    /// `attention.recurrent_layers` names them where it is there.
    LastOfEvery(u64),
}

/// What a layer's state is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateKind {
    /// Mamba: the last inputs of the convolution, and a state for each inner channel.
    Mamba,
    /// Mamba 2 and gated delta nets: as Mamba, and the convolution also runs over two vectors of every group.
    GroupedMamba,
    /// RWKV: the last tokens, and a square of the head's size for each head.
    Rwkv,
    /// A short convolution: its last inputs.
    ShortConvolution,
    /// Kimi's delta attention: the last inputs of three convolutions, and a square of the head's size for each head.
    DeltaAttention,
    /// Lightning attention: a square of the head's size for each head.
    LightningAttention,
}

/// Which layers see a window of the last tokens only, and how wide it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttentionWindow {
    /// None: every layer sees everything, whatever the file says of a window.
    None,
    /// Those of the pattern.
    Sliding(Width, Pattern),
}

/// How many tokens a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// `attention.sliding_window`, which must be there.
    Key,
    /// `attention.sliding_window`; where it is missing or 0 no layer slides.
    KeyIfAny,
    /// `attention.sliding_window`, by default this one.
    KeyOr(u64),
    /// This one, whatever the key says, unless it says 0.
    FixedUnlessZero(u64),
    /// This one, whatever the key says, if it is there and is not 0.
    FixedIfAny(u64),
    /// `attention.sliding_window`, by default the second number, in the model of so many layers; its sisters do not slide.
    KeyOrInModelOf(u64, u64),
}

/// Which layers slide. In [`LastSeesAll`](Self::LastSeesAll) and [`FirstSeesAll`](Self::FirstSeesAll)
/// `attention.sliding_window_pattern` wins: a list of layers, or another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// All but the last of every so many.
    LastSeesAll(u64),
    /// All but the first of every so many.
    FirstSeesAll(u64),
    /// Those that `attention.sliding_window_pattern` lists, which must be there.
    Listed,
    /// As [`Listed`](Self::Listed), but every layer where this key is there and is not 0.
    ListedOrAllWith(&'static str),
    /// Every layer that keeps keys and values.
    AllThatAttend,
}

/// Whether late layers read the keys and values of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Each layer has its own.
    None,
    /// Only so many from the first on have their own.
    OwnInFirst(u64),
    /// The last `attention.shared_kv_layers` have none.
    Key,
    /// None has its own: all read those of the model that they draft for.
    Target,
}

/// What layers keep besides one cache of keys and values each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caches {
    /// Nothing.
    One,
    /// Nothing; and a block stands for one time that a token passes a layer, so there may be more blocks than layers.
    OnePerPass,
    /// One more for each further time that a token passes all layers (`num_loops`).
    EachLoop,
    /// One of a single head, of the router that follows the last layer.
    Router,
    /// In some layers one of an index, by which they choose the tokens that they attend to: for each token a key of
    /// `attention.indexer.key_length` elements, or what else the row holds.
    Index(Indexed, IndexRow),
    /// The same in every layer that keeps keys and values, each key twice where `attention.compress_ratios` says that keys are pooled;
    /// and, where `ple.layers` lists a layer, the last inputs of its convolution over embeddings of hashed tokens.
    PooledIndex,
    /// No values; every layer slides. Those that `attention.compress_ratios` gives 4 or 128 also keep one key for so many tokens, and
    /// what the next one is made of; those with 4 have an index of such keys. Slots do not share any of it.
    Compressed,
}

/// Which layers have an index, among those that keep keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indexed {
    All,
    /// All but the first `leading_dense_block_count`.
    NotDense,
    /// Those that `attention.indexer.types` lists; none where `attention.indexer.top_k` is missing or 0.
    Listed,
    /// Those that `attention.indexer.types` lists; by default all.
    ListedOrAll,
    /// The same, but by default, in a model of at least this context, the first two, the third and then every fourth.
    ListedOrByContext(u64),
}

/// What an index holds of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexRow {
    /// A key.
    Key,
    /// A key, and a value as wide as that of one of the layer's heads.
    KeyAndValue,
    /// A key and a pooled key.
    KeyAndPooled,
    /// A key, a gate and a pooled key.
    KeyGateAndPooled,
}
