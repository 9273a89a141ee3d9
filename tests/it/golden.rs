//! The golden modules: built for a released version of the contract, kept for good, run by this host with the same results.

use super::support::hookswitch;
use std::path::{Path, PathBuf};

/// What may never change.
const DIGESTS: [(&str, &str); 3] = [
    ("0.1.0/filter.wasm", "87a1866db8d768d23e0a345d7924d16fbae510d7eb69c6b813bdf1862e85eda8"),
    ("0.1.0/router.wasm", "d266f6d5ce1180a04313afbaca13f46dde0968925a90fe9acb4dab98461e38a8"),
    ("0.1.0/transform.wasm", "542fdc9cf9489b736e19fce1c42b28f8ca209ed34394190ce824d21ba745d22f"),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

#[test]
fn the_golden_modules_are_the_bytes_they_always_were() {
    for (file, digest) in DIGESTS {
        let wasm = std::fs::read(golden().join(file)).unwrap();
        assert_eq!(hookswitch::model::Digest::of(&wasm).to_string(), digest, "{file}");
    }
}

#[tokio::test]
async fn each_golden_module_still_answers_as_it_did() {
    for (file, _) in DIGESTS {
        let module = golden().join(file);
        let output = hookswitch()
            .args(["module", "test"])
            .arg(&module)
            .arg("--fixtures")
            .arg(module.with_extension(""))
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains(", 0 failed"), "{file}: {told}");
    }
}
