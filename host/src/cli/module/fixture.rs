//! A fixture: a folder with one event, and what the module makes of it. `host/templates/FIXTURES.md` describes the files.

use crate::model::Message;
use crate::runtime::Directory;
use crate::trial::{Exact, GivenBody, GivenEndpoint, GivenEvent, Trial};
use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The media type of a body by the name of its file, where the event does not say.
const CONTENT_TYPES: [(&str, &str); 6] = [
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("form", "application/x-www-form-urlencoded"),
    ("msgpack", "application/vnd.msgpack"),
    ("pb", "application/protobuf"),
];
const OTHER_CONTENT_TYPE: &str = "application/octet-stream";

/// What was read of one folder.
#[derive(Debug)]
pub(super) struct Fixture {
    /// The folder's name.
    pub(super) name: String,
    /// What the module is called with.
    pub(super) trial: Trial,
    /// What has to come out; none where it was never written.
    pub(super) expected: Option<Exact>,
    /// Where that is written.
    pub(super) expected_path: PathBuf,
}

/// The fixtures below a folder, by name. `settings` is for those that have none of their own.
pub(super) fn read_all(dir: &Path, settings: &str) -> anyhow::Result<Vec<Fixture>> {
    let entries = fs::read_dir(dir).with_context(|| {
        format!(
            "cannot read the fixtures in {}; a fixture is a folder there with event.json, body.json and expected.json",
            dir.display()
        )
    })?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", dir.display()))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_dir() && !hidden {
            folders.push(path);
        }
    }
    if folders.is_empty() {
        bail!("there is no fixture in {}: make a folder there with event.json and body.json", dir.display());
    }
    folders.sort();
    folders.iter().map(|folder| read(folder, settings)).collect()
}

fn read(folder: &Path, settings: &str) -> anyhow::Result<Fixture> {
    let (event_path, expected_path) = (folder.join("event.json"), folder.join("expected.json"));
    let event: GivenEvent = read_json(&event_path)?.unwrap_or_default();
    let (event, body) =
        event.resolve(Some(read_body(folder)?)).with_context(|| format!("in {}", event_path.display()))?;
    let own = read_text(&folder.join("settings.json"))?;
    let endpoints: Option<Vec<GivenEndpoint>> = read_json(&folder.join("endpoints.json"))?;
    let expected = read_text(&expected_path)?;
    let expected = expected.map(|text| Exact::parse(&text)).transpose();
    Ok(Fixture {
        name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        trial: Trial {
            message: Message::of_event(&event, &body),
            event,
            body,
            max_time: None,
            settings: own.unwrap_or_else(|| settings.to_owned()),
            endpoints: endpoints.map_or_else(Directory::default, GivenEndpoint::directory),
        },
        expected: expected.with_context(|| format!("in {}", expected_path.display()))?,
        expected_path,
    })
}

/// The one file whose name begins with `body.`.
fn read_body(folder: &Path) -> anyhow::Result<GivenBody> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"body.")) {
            found.push(path);
        }
    }
    let [path] = found.as_slice() else {
        bail!(
            "{} has {} files named body.*: give one, such as body.json; it may be empty",
            folder.display(),
            found.len()
        );
    };
    let extension = path.extension().unwrap_or_default();
    let known = CONTENT_TYPES.iter().find(|(known, _)| extension == *known);
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(GivenBody { bytes: bytes.into(), content_type: known.map_or(OTHER_CONTENT_TYPE, |(_, media_type)| media_type) })
}

/// A JSON text that has to be one; none where the file is not there.
pub(super) fn read_text(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            serde_json::from_str::<serde::de::IgnoredAny>(&text).with_context(|| format!("in {}", path.display()))?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).with_context(|| format!("in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_type(body_file: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(body_file), "x").unwrap();
        read(folder.path(), "{}").unwrap().trial.event.content_type
    }

    #[test]
    fn a_body_has_the_media_type_that_the_sdk_reads_and_writes() {
        for (file, media_type) in [
            ("body.json", "application/json"),
            ("body.txt", "text/plain; charset=utf-8"),
            ("body.xml", "application/xml"),
            ("body.form", "application/x-www-form-urlencoded"),
            ("body.msgpack", "application/vnd.msgpack"),
            ("body.pb", "application/protobuf"),
            ("body.bin", "application/octet-stream"),
        ] {
            assert_eq!(content_type(file), media_type, "{file}");
        }
    }
}
