//! MessagePack. [`Message::msgpack`] reads a body, [`Output::msgpack`] makes one, with structs as maps by field name.
//!
//! Integers are 64 bits wide and stay exact, into `serde_json::Value` too. Extension types have no place in serde's data model
//! and are refused where a type does not ask for them.

use std::io::Cursor;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Message, Output};

/// The media type of MessagePack, as registered.
pub const CONTENT_TYPE: &str = "application/vnd.msgpack";

/// How deep arrays and maps may be nested, in levels.
pub const DEPTH_MAX: usize = 64;

impl Message {
    /// The body, parsed as one MessagePack value.
    ///
    /// # Errors
    /// `input-invalid` with the byte, and the path as far as there is one, if the body is not MessagePack, is not what `T` asks for,
    /// is nested deeper than [`DEPTH_MAX`], or goes on after the value.
    pub fn msgpack<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let mut reader = rmp_serde::Deserializer::new(Cursor::new(self.body.as_slice()));
        // The reader's own count includes the level at which it stops.
        reader.set_max_depth(DEPTH_MAX + 1);
        let read = serde_path_to_error::deserialize(&mut reader);
        let at = reader.position();
        let value = read.map_err(|error| {
            let path = error.path().to_string();
            let problem = words(error.inner());
            Failure::input_invalid(format!(
                "the body is not the MessagePack this module works on: {problem}, at `{path}`, before byte {at}"
            ))
        })?;
        match self.body.len() as u64 {
            bytes if bytes == at => Ok(value),
            bytes => Err(Failure::input_invalid(format!(
                "the body is not one MessagePack value: the value ends at byte {at}, and the body has {bytes}"
            ))),
        }
    }
}

impl Output {
    /// A MessagePack body, with the content type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// `output-invalid` if the value has no such form, such as a sequence that does not know its length.
    pub fn msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Self, Failure> {
        let body = rmp_serde::to_vec_named(value)
            .map_err(|error| Failure::new("output-invalid", format!("the output has no MessagePack form: {error}")))?;
        Ok(Self::body(CONTENT_TYPE, body))
    }
}

fn words(error: &rmp_serde::decode::Error) -> String {
    use rmp_serde::decode::Error;
    match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => "it ends too early".to_owned(),
        Error::DepthLimitExceeded => format!("it is nested deeper than DEPTH_MAX, {DEPTH_MAX} levels"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Reading {
        id: u64,
        offset: i64,
        sensor: String,
        values: Vec<f64>,
    }

    fn message(body: impl Into<Vec<u8>>) -> Message {
        Message { content_type: CONTENT_TYPE.to_owned(), body: body.into(), ..Message::default() }
    }

    fn body(output: Output) -> Vec<u8> {
        assert_eq!(output.content_type.as_deref(), Some(CONTENT_TYPE));
        output.body.unwrap()
    }

    #[test]
    fn a_struct_goes_out_as_a_map_and_comes_back() {
        let reading = Reading { id: u64::MAX, offset: i64::MIN, sensor: "é".to_owned(), values: vec![0.1, -1.5] };
        let bytes = body(Output::msgpack(&reading).unwrap());
        assert_eq!(bytes[..4], [0x84, 0xa2, b'i', b'd'], "a map of four, the first key `id`");
        assert_eq!(message(bytes).msgpack::<Reading>().unwrap(), reading);
    }

    /// The example of the specification's front page.
    #[test]
    fn bytes_of_others_are_read() {
        let bytes = b"\x82\xa7compact\xc3\xa6schema\x00";
        assert_eq!(message(*bytes).msgpack::<Value>().unwrap(), json!({"compact": true, "schema": 0}));
    }

    #[test]
    fn integers_above_two_to_the_53rd_stay_exact() {
        let value = json!([9_007_199_254_740_993_u64, u64::MAX, -9_007_199_254_740_993_i64]);
        let bytes = body(Output::msgpack(&value).unwrap());
        assert_eq!(message(bytes).msgpack::<Value>().unwrap(), value);
    }

    /// Each triple: a body, and what the failure has to say.
    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let good = body(Output::msgpack(&json!({"id": 1, "offset": 2, "sensor": 3, "values": []})).unwrap());
        for (bytes, words) in [
            (good, "invalid type: integer `3`, expected a string, at `sensor`, before byte 21"),
            (b"".to_vec(), "it ends too early"),
            (b"\x82\xa2id\x01".to_vec(), "it ends too early"),
            (b"\x81\xa6sensor\xdb\xff\xff\xff\xff12".to_vec(), "it ends too early, at `sensor`"),
            (b"\xdd\xff\xff\xff\xff".to_vec(), "it ends too early"),
            (b"\x81\xa6sensor\xa1\xff".to_vec(), "at `sensor`"),
            (b"\xc1".to_vec(), "at `.`"),
            (
                b"\x84\xa2id\x01\xa6offset\x02\xa6sensor\xa0\xa6values\x90\x00".to_vec(),
                "ends at byte 29, and the body has 30",
            ),
        ] {
            let failure = message(bytes.clone()).msgpack::<Reading>().unwrap_err();
            assert_eq!(failure.code, "input-invalid", "{bytes:?}");
            assert!(failure.message.contains(words), "{bytes:?}: {}", failure.message);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x90]].concat();
        assert!(message(nested(DEPTH_MAX)).msgpack::<Value>().is_ok());
        for depth in [DEPTH_MAX + 1, 100_000] {
            let failure = message(nested(depth)).msgpack::<Value>().unwrap_err();
            assert!(failure.message.contains("DEPTH_MAX, 64 levels"), "{}", failure.message);
        }
        // What the type does not look into is counted too.
        assert!(message(nested(100_000)).msgpack::<serde::de::IgnoredAny>().is_err());
    }
}
