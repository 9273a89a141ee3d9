//! Secrets as people write them, read without ever quoting them: serde's own words on a value of the wrong type would.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// A secret that signs, by itself for as long as it stands there. Written as a string, or as `{"secret": "…", "until_ms": …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// The secret.
    pub secret: String,
    /// When it stops to sign, in milliseconds since 1970-01-01T00:00:00Z by the host's clock.
    pub until_ms: Option<u64>,
}

impl SecretSpec {
    /// One that signs for as long as it stands there.
    #[must_use]
    pub const fn lasting(secret: String) -> Self {
        Self { secret, until_ms: None }
    }
}

impl Serialize for SecretSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.until_ms {
            None => serializer.serialize_str(&self.secret),
            Some(until_ms) => json!({ "secret": self.secret, "until_ms": until_ms }).serialize(serializer),
        }
    }
}

/// One secret: a string.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        _ => Err(D::Error::custom("is a secret: a string (what is written is not shown)")),
    }
}

/// A list of secrets.
pub(super) fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = list(Value::deserialize(deserializer)?, |item| match item {
        Value::String(text) => Some(text),
        _ => None,
    });
    texts.ok_or_else(|| {
        D::Error::custom(
            "secrets are a list of strings, in brackets also where there is one (what is written is not shown)",
        )
    })
}

/// A list of secrets that may have an end.
pub(super) fn signing_secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<SecretSpec>>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(None);
    }
    list(value, signing_secret).map(Some).ok_or_else(|| {
        D::Error::custom(
            "secrets are a list of strings, or of {\"secret\": a string, \"until_ms\": milliseconds since 1970}, in brackets also \
             where there is one (what is written is not shown)",
        )
    })
}

fn signing_secret(item: Value) -> Option<SecretSpec> {
    match item {
        Value::String(text) => Some(SecretSpec::lasting(text)),
        Value::Object(mut members) => {
            let Some(Value::String(secret)) = members.remove("secret") else { return None };
            let until_ms = members.remove("until_ms").map(|until| until.as_u64().ok_or(()));
            let until_ms = until_ms.transpose().ok()?;
            members.is_empty().then_some(SecretSpec { secret, until_ms })
        }
        _ => None,
    }
}

fn list<T>(value: Value, item: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
    let Value::Array(items) = value else { return None };
    items.into_iter().map(item).collect()
}

/// An object that holds secrets, or none: what stands in its place is not quoted.
pub(super) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value => of_object(value).map(Some).map_err(D::Error::custom),
    }
}

/// A list of such objects.
pub(super) fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let Value::Array(items) = Value::deserialize(deserializer)? else {
        return Err(D::Error::custom(
            "is a list of objects, in brackets also where there is one (what is written is not shown)",
        ));
    };
    items.into_iter().map(|item| of_object(item).map_err(D::Error::custom)).collect()
}

fn of_object<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    match value {
        value @ Value::Object(_) => T::deserialize(value).map_err(|error| error.to_string()),
        _ => Err("is an object (what is written is not shown)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Kind, parse};

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        let endpoint = |secrets: &str| (Kind::Endpoint, format!(r#"{{"url": "http://x/", "secrets": {secrets}}}"#));
        let source = |verify: &str| (Kind::Source, format!(r#"{{"verify": {verify}}}"#));
        let wrong = [
            endpoint(r#""hush-hush""#),
            endpoint(r#"[["hush-hush"]]"#),
            endpoint(r#"[{"secret": "hush-hush", "until_ms": "hush-hush"}]"#),
            endpoint(r#"[{"secret": "hush-hush", "until_ms": -1}]"#),
            endpoint(r#"[{"secret": "hush-hush", "hush-hush": 1}]"#),
            endpoint(r#"[{"until_ms": 1}]"#),
            source(r#"{"scheme": "github", "secrets": "hush-hush"}"#),
            source(r#"{"scheme": "standard-webhooks", "secrets": {"a": "hush-hush"}}"#),
        ];
        for (kind, json) in wrong {
            let error = parse(kind, json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("a list of strings") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn nor_is_anything_that_stands_where_an_object_with_secrets_should() {
        let wrong = [
            r#""auth": "hush-hush""#,
            r#""auth": {"type": "bearer", "token": ["hush-hush"]}"#,
            r#""auth": {"type": "basic", "username": "u", "password": 1234554321}"#,
            r#""tls": ["hush-hush"]"#,
            r#""tls": {"key_pem": {"hush-hush": 1}}"#,
            r#""signatures": "hush-hush""#,
            r#""signatures": ["hush-hush"]"#,
            r#""signatures": [{"scheme": "github", "secrets": "hush-hush"}]"#,
        ];
        for field in wrong {
            let json = format!(r#"{{"url": "http://x/", {field}}}"#);
            let error = parse(Kind::Endpoint, json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("not shown") && !error.contains("hush") && !error.contains("12345"), "{error}");
        }
    }

    #[test]
    fn a_secret_reads_back_as_it_was_written() {
        let json = r#"{"url":"http://x/","secrets":["a",{"secret":"b","until_ms":5}]}"#;
        let spec = parse(Kind::Endpoint, json.as_bytes()).unwrap();
        assert_eq!(spec.to_json().unwrap()["secrets"], serde_json::json!(["a", { "secret": "b", "until_ms": 5 }]));
        assert_eq!(parse(Kind::Endpoint, spec.to_json().unwrap().to_string().as_bytes()).unwrap(), spec);
    }
}
