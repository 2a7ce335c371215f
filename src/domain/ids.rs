//! Names that other systems gave to things: text, never interpreted.
//!
//! Each is its own type so that a card token cannot stand where a payment is meant. Identity that
//! tapline itself creates is derived from a record's position in the log, never drawn.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_id!(/// The account; the key of every record that concerns it.
    AccountId);
text_id!(/// The network's life-cycle id: everything that belongs to one payment carries it.
    PaymentId);
text_id!(/// One message of the outside: its repeat carries the same id (payments.md section 1).
    MessageId);
text_id!(/// The token of a card (`tok_...`); never a card number.
    CardToken);
text_id!(/// A person who holds an account or a card.
    CustomerId);
