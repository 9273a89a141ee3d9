//! The repository's own texts: what they link to is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with texts of others, or none that are kept: `.gitignore` has them too.
const NOT_OURS: [&str; 3] = ["target", "data", "node_modules"];

/// The Markdown files at and below a folder.
fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name) {
            texts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// What a text links to within the repository, without what comes after `#`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://")).map(|target| target.split('#').next().unwrap_or_default())
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let (root, mut found) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), Vec::new());
    texts(&root, &mut found);
    let (mut count, mut dead) = (0, Vec::new());
    for path in &found {
        for link in links(&fs::read_to_string(path).unwrap()) {
            count += 1;
            if !path.parent().unwrap().join(link).exists() {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links: {dead:#?}");
    assert!(found.len() >= 15 && count >= 20, "{} texts with {count} links are too few to be all", found.len());
}

#[test]
fn a_link_is_found_where_it_stands() {
    let text = "[a](b/c.md), [d](https://example.com) and [e](../f.md#g), but not (h)";
    assert_eq!(links(text).collect::<Vec<_>>(), ["b/c.md", "../f.md"]);
}
