//! Names that people give. One rule for all: they stand in URLs, files and store keys without any escaping.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A text that is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a name: use 1 to 63 of a-z, 0-9, `-` and `_`, beginning with a letter or digit")]
pub struct InvalidName {
    given: String,
}

fn check(text: &str) -> Result<(), InvalidName> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if first && rest && text.len() <= NAME_BYTES_MAX {
        Ok(())
    } else {
        let given = text.chars().take(NAME_BYTES_MAX + 1).collect();
        Err(InvalidName { given })
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// 1 to 63 of a-z, 0-9, `-` and `_`, beginning with a letter or digit. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )*};
}

names! {
    /// The isolation boundary that everything a customer has lives in.
    TenantName;
    /// A named way in.
    SourceName;
    /// A WebAssembly module of one scope.
    ModuleName;
    /// A rule from a source to endpoints.
    RouteName;
    /// A named way out.
    EndpointName;
    /// An API key of one scope, by its name.
    KeyName;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_lower_case() {
        for good in ["a", "0", "acme", "github-to-slack", "a_b", &"x".repeat(63)] {
            assert!(good.parse::<TenantName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a b", "a/b", "a.b", "ä", "a\0", &"x".repeat(64)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad}");
        }
    }
}
