//! Kinds with stable names, from one list each.

/// Gives an enum its stable names, in both directions. A kind that is not in the list does not compile.
macro_rules! names {
    ($type:ident { $($kind:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// Their stable names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            #[doc = concat!("The stable name:" $(, " `\"", $name, "\"`")+, ".")]
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),+
                }
            }

            /// The one with that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$kind),)+
                    _ => None,
                }
            }
        }
    };
}
