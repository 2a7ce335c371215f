//! Avro's binary encoding of our own types by the order of their fields.
//!
//! The library finds every field of every record by name, 10 to 20 times dearer; the order never
//! changes at run time. Only for the current schema, whose order and ours are compared by
//! tests/schemas.rs against the library, by name and by value. Conventions that make it possible:
//! null stands first in a union with it, a union of records has the order of the enum's variants,
//! and the only fixed has 8 bytes.

mod read;
mod write;

pub use read::from_slice;
pub use write::append;

/// Length of the one fixed in our schemas (the hash chain).
const FIXED_BYTES: usize = 8;

/// The bytes do not fit the type, or the type uses something our schemas never do. Says nothing
/// more, because it would quote the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes and type do not fit")]
pub struct Broken;

impl serde::ser::Error for Broken {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Broken
    }
}

impl serde::de::Error for Broken {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Broken
    }
}
