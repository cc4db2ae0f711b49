//! A struct of the core as an object of JavaScript's, from one list of its fields.
//!
//! [`mirror!`] makes the struct that napi knows and its `From`. It names every field of the core's struct, so one that the
//! core gains does not compile until it is carried across, or said to stay.

use std::{
    borrow::Cow,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use plimsoll::{
    Error as CoreError, Result as CoreResult,
    blackbox::{HappeningKind, MomentKind},
    budget::{HeadroomKind, RefusalCode, TermKind},
    device::{CudaKind, HugePageUse},
    estimate::{
        ComputeDevice, ExtraKind, FitAxis, KvType, LlamaCppVersion, Phase, Processor, Runtime, UseComponent,
        UseSignal, UseVerdict,
    },
    loader::{IoMode, Output},
    monitor::{Level, Metric, MetricKind, MetricMerge},
    plan::{FootprintFormula, PlanBound, PlanIssueKind, PlanMode},
    pool::Access,
    system::{BackEndKind, MemoryScope, PageCacheSource, Vendor},
    tokens::PrunePolicy,
};

/// What the core has, as JavaScript has it.
pub trait Cross<J> {
    fn cross(self) -> J;
}

macro_rules! as_it_is {
    ($($type:ty),+) => {
        $(impl Cross<$type> for $type {
            fn cross(self) -> $type {
                self
            }
        })+
    };
}

as_it_is!(bool, u32, f64, String);

/// Numbers that JavaScript holds in its one kind.
macro_rules! as_number {
    ($($type:ty),+) => {
        $(impl Cross<f64> for $type {
            fn cross(self) -> f64 {
                self as f64
            }
        })+
    };
}

as_number!(u64, i64, usize);

impl Cross<f64> for i32 {
    fn cross(self) -> f64 {
        self.into()
    }
}

impl Cross<u32> for usize {
    fn cross(self) -> u32 {
        self as u32
    }
}

impl Cross<u32> for u8 {
    fn cross(self) -> u32 {
        self.into()
    }
}

impl Cross<String> for &str {
    fn cross(self) -> String {
        self.to_owned()
    }
}

impl Cross<String> for Cow<'static, str> {
    fn cross(self) -> String {
        self.into_owned()
    }
}

impl Cross<String> for PathBuf {
    fn cross(self) -> String {
        self.to_string_lossy().into_owned()
    }
}

/// Major and minor.
impl Cross<Vec<u32>> for (u32, u32) {
    fn cross(self) -> Vec<u32> {
        vec![self.0, self.1]
    }
}

impl<C: Cross<J>, J> Cross<Option<J>> for Option<C> {
    fn cross(self) -> Option<J> {
        self.map(Cross::cross)
    }
}

impl<C: Cross<J>, J> Cross<Vec<J>> for Vec<C> {
    fn cross(self) -> Vec<J> {
        self.into_iter().map(Cross::cross).collect()
    }
}

/// A kind that crosses by its stable name.
pub trait Named: Sized {
    const NAMES: &'static [&'static str];

    fn from_name(name: &str) -> Option<Self>;
}

macro_rules! by_name {
    ($($kind:ty),+) => {
        $(impl Named for $kind {
            const NAMES: &'static [&'static str] = Self::NAMES;

            fn from_name(name: &str) -> Option<Self> {
                Self::from_name(name)
            }
        }

        impl Cross<String> for $kind {
            fn cross(self) -> String {
                self.name().to_owned()
            }
        })+
    };
}

by_name!(
    Access,
    BackEndKind,
    ComputeDevice,
    CudaKind,
    ExtraKind,
    FitAxis,
    FootprintFormula,
    HappeningKind,
    HeadroomKind,
    HugePageUse,
    IoMode,
    KvType,
    Level,
    LlamaCppVersion,
    MemoryScope,
    Metric,
    MetricKind,
    MetricMerge,
    MomentKind,
    Output,
    PageCacheSource,
    Phase,
    PlanBound,
    PlanIssueKind,
    PlanMode,
    Processor,
    PrunePolicy,
    RefusalCode,
    Runtime,
    TermKind,
    UseComponent,
    UseSignal,
    UseVerdict,
    Vendor
);

/// The kind that an option names. `lib/` has checked the option by a list of its own: another name means that the lists
/// differ.
pub fn kind_of<T: Named>(option: &'static str, name: &str) -> CoreResult<T> {
    T::from_name(name).ok_or_else(|| {
        CoreError::internal(format!(
            "{option} {name:?} came to the addon, which knows {}",
            T::NAMES.join(", ")
        ))
    })
}

/// A duration, in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A time as JavaScript's `Date` counts it, in milliseconds since 1970.
pub fn since_1970_ms(time: SystemTime) -> f64 {
    ms(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Whether a union of TypeScript's is `'a' | 'b'` of these names, in their order.
pub const fn is_union_of(union: &str, names: &[&str]) -> bool {
    is_list_of(union.as_bytes(), names, "")
}

/// Whether a type of TypeScript's is `Array<'a' | 'b'>` of these names, in their order.
pub const fn is_array_of(array: &str, names: &[&str]) -> bool {
    match after(array.as_bytes(), "Array<") {
        Some(union) => is_list_of(union, names, ">"),
        None => false,
    }
}

const fn is_list_of(text: &[u8], names: &[&str], end: &str) -> bool {
    let Some((first, others)) = names.split_first() else { return false };
    let (mut rest, mut others) = (after_quoted(text, first), others);
    while let (Some(text), Some((name, more))) = (rest, others.split_first()) {
        rest = match after(text, " | ") {
            Some(text) => after_quoted(text, name),
            None => None,
        };
        others = more;
    }
    match rest {
        Some(text) => matches!(after(text, end), Some([])),
        None => false,
    }
}

const fn after_quoted<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    match after(text, "'") {
        Some(text) => match after(text, name) {
            Some(text) => after(text, "'"),
            None => None,
        },
        None => None,
    }
}

/// What follows `start` in `text`.
const fn after<'a>(mut text: &'a [u8], start: &str) -> Option<&'a [u8]> {
    let mut start = start.as_bytes();
    while let Some((wanted, more)) = start.split_first() {
        match text.split_first() {
            Some((found, rest)) if *found == *wanted => (text, start) = (rest, more),
            _ => return None,
        }
    }
    Some(text)
}

/// Makes the object for a struct of the core:
///
/// ```ignore
/// mirror! {
///     /// The text of `index.d.ts`.
///     pub struct Info of core::Info {
///         /// A field of that name in the core.
///         pub size_bytes: f64,
///         /// A kind, with the union of its names in TypeScript. Other names than the kind has do not compile.
///         pub kind: Kind as "'one' | 'other'",
///         /// Made from others of the core's fields.
///         pub age_ms: f64 = ms(age),
///     }
///     // What the core's struct says when it is asked, for the fields that are made.
///     asking info { used_percent = info.used_percent() }
///     // Fields of the core that others are made from.
///     reading { age }
///     // Fields of the core that JavaScript does not get.
///     leaving { id }
/// }
/// ```
macro_rules! mirror {
    (
        $(#[$($head:tt)*])*
        pub struct $name:ident of $core:path { $($fields:tt)* }
        $(asking $whole:ident { $($asked:ident = $answer:expr),+ $(,)? })?
        $(reading { $($read:ident),+ $(,)? })?
        $(leaving { $($left:ident),+ $(,)? })?
    ) => {
        $crate::mirror::mirror! {
            @ [$(#[$($head)*])* $name of $core [$($whole $($asked = $answer,)+)?] [$($($left)+)?]]
            [] [$($($read,)+)?] [] $($fields)*
        }
    };

    // A kind.
    (
        @ $what:tt [$($made:tt)*] [$($read:tt)*] [$($value:tt)*]
        $(#[$($meta:tt)*])* pub $field:ident: $kind:path as $union:tt, $($rest:tt)*
    ) => {
        const _: () = assert!(
            $crate::mirror::is_union_of($union, <$kind>::NAMES),
            concat!("the names of `", stringify!($kind), "` are others")
        );
        $crate::mirror::mirror! {
            @ $what
            [$($made)* $(#[$($meta)*])* #[napi(ts_type = $union)] pub $field: String,]
            [$($read)* $field,]
            [$($value)* $field: $crate::mirror::Cross::cross($field),]
            $($rest)*
        }
    };

    // A kind that the core calls otherwise.
    (
        @ $what:tt [$($made:tt)*] $read:tt [$($value:tt)*]
        $(#[$($meta:tt)*])* pub $field:ident: $kind:path as $union:tt = $from:expr, $($rest:tt)*
    ) => {
        const _: () = assert!(
            $crate::mirror::is_union_of($union, <$kind>::NAMES),
            concat!("the names of `", stringify!($kind), "` are others")
        );
        $crate::mirror::mirror! {
            @ $what
            [$($made)* $(#[$($meta)*])* #[napi(ts_type = $union)] pub $field: String,]
            $read
            [$($value)* $field: $crate::mirror::Cross::cross($from),]
            $($rest)*
        }
    };

    // Made from others. `Option` is told apart because napi asks for its name.
    (
        @ $what:tt [$($made:tt)*] $read:tt [$($value:tt)*]
        $(#[$($meta:tt)*])* pub $field:ident: Option<$type:ty> = $from:expr, $($rest:tt)*
    ) => {
        $crate::mirror::mirror! {
            @ $what
            [$($made)* $(#[$($meta)*])* pub $field: Option<$type>,]
            $read
            [$($value)* $field: $from,]
            $($rest)*
        }
    };
    (
        @ $what:tt [$($made:tt)*] $read:tt [$($value:tt)*]
        $(#[$($meta:tt)*])* pub $field:ident: $type:ty = $from:expr, $($rest:tt)*
    ) => {
        $crate::mirror::mirror! {
            @ $what
            [$($made)* $(#[$($meta)*])* pub $field: $type,]
            $read
            [$($value)* $field: $from,]
            $($rest)*
        }
    };

    // As it is called in the core.
    (
        @ $what:tt [$($made:tt)*] [$($read:tt)*] [$($value:tt)*]
        $(#[$($meta:tt)*])* pub $field:ident: Option<$type:ty>, $($rest:tt)*
    ) => {
        $crate::mirror::mirror! {
            @ $what
            [$($made)* $(#[$($meta)*])* pub $field: Option<$type>,]
            [$($read)* $field,]
            [$($value)* $field: $crate::mirror::Cross::cross($field),]
            $($rest)*
        }
    };
    (
        @ $what:tt [$($made:tt)*] [$($read:tt)*] [$($value:tt)*]
        $(#[$($meta:tt)*])* pub $field:ident: $type:ty, $($rest:tt)*
    ) => {
        $crate::mirror::mirror! {
            @ $what
            [$($made)* $(#[$($meta)*])* pub $field: $type,]
            [$($read)* $field,]
            [$($value)* $field: $crate::mirror::Cross::cross($field),]
            $($rest)*
        }
    };

    // No field is left.
    (
        @ [
            $(#[$($head:tt)*])* $name:ident of $core:path
            [$($whole:ident $($asked:ident = $answer:expr,)+)?] [$($left:ident)*]
        ]
        [$($made:tt)*] [$($read:ident,)*] [$($value:tt)*]
    ) => {
        #[napi(object, object_from_js = false)]
        $(#[$($head)*])*
        pub struct $name { $($made)* }

        // A pattern without `..` would not compile either, but only this names the field that is missing.
        const _: fn($core) -> $core = {
            type Whole = $core;
            |core| Whole { $($read: core.$read,)* $($left: core.$left,)* }
        };

        impl From<$core> for $name {
            fn from(core: $core) -> Self {
                $(
                    let $whole = &core;
                    $(let $asked = $answer;)+
                )?
                let $core { $($read,)* .. } = core;
                Self { $($value)* }
            }
        }

        impl $crate::mirror::Cross<$name> for $core {
            fn cross(self) -> $name {
                self.into()
            }
        }
    };
}

/// Makes a function that gives JavaScript the names of a kind. Its type is their union, so that a list of `lib/` which
/// lacks one does not compile; nor does a union here that is another.
macro_rules! array_of {
    ($(#[$($meta:tt)*])* pub fn $name:ident() -> $names:expr => $array:tt) => {
        const _: () = assert!(
            $crate::mirror::is_array_of($array, $names),
            concat!("`", stringify!($names), "` are others")
        );

        $(#[$($meta)*])*
        #[napi(ts_return_type = $array, catch_unwind)]
        pub fn $name() -> Vec<&'static str> {
            $names.to_vec()
        }
    };
}

pub(crate) use {array_of, mirror};
