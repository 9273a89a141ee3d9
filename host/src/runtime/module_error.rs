//! Why an upload is not taken, in words for its author.

use super::import_advice::advice;
use super::logs::cut;
use super::{Import, WIT_VERSION};
use serde::{Deserialize, Serialize};
use wasmparser::WasmFeatures;

/// The longest text about what is wrong with an upload, in bytes: it may quote the upload.
const TEXT_BYTES_MAX: usize = 1024;

/// What people upload by mistake, by how it begins.
const BEGINNINGS: [(&[u8], &str); 7] = [
    (b"(module", ": it is WebAssembly's text format, which wat2wasm turns into a module"),
    (b"(component", ": it is WebAssembly's text format, which `wasm-tools parse` turns into a component"),
    (b"PK", ": it is a zip archive"),
    (b"\x1f\x8b", ": it is compressed with gzip"),
    (b"\x7fELF", ": it is a program or library for Linux, so the build was not for a wasm32 target"),
    (b"!<arch>", ": it is a static library (Rust: say `crate-type = [\"cdylib\"]`)"),
    (b"<", ": it is HTML or XML, perhaps the error page of a download"),
];

/// An upload that this host cannot run. As JSON it has its code, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", content = "what")]
pub enum ModuleError {
    /// It is something else.
    #[serde(rename = "module_not_wasm")]
    #[error(
        "the upload is not WebAssembly: it begins with {beginning}, not with `\\0asm`{guess}. Give the .wasm file itself, neither \
         its text format nor an archive"
    )]
    NotWasm {
        /// Its first bytes, for a person.
        beginning: String,
        /// What it seems to be; empty where nothing is known of such a beginning.
        guess: String,
    },
    /// It is broken: cut off, or not valid by the WebAssembly specification.
    #[serde(rename = "module_invalid")]
    #[error("the module is not valid{}: {problem}. Build it anew, and check that the upload is complete", at(*offset))]
    Invalid {
        /// What is wrong.
        problem: String,
        /// Where, in bytes from the beginning, if known.
        offset: Option<usize>,
    },
    /// It is too large.
    #[serde(rename = "module_too_large")]
    #[error("the module has {given} bytes, and `runtime.module_bytes_max` is {max}: strip its debug information")]
    TooLarge {
        /// Its size.
        given: usize,
        /// The bound.
        max: usize,
    },
    /// It is a core module that does not say which world it targets.
    #[serde(rename = "module_no_wit")]
    #[error(
        "the upload is a core module without WIT metadata (a section `component-type`), so it does not say which world it is \
         for: build it with the guest SDK, wit-bindgen or another tool that knows the component model; where a step after \
         the build (wasm-strip, wasm-opt) removed the section, leave that step out; or embed it anew with \
         `wasm-tools component embed wit --world filter module.wasm -o out.wasm`"
    )]
    NoWit,
    /// It was built against a version of the contract that this host does not know.
    #[serde(rename = "module_wit_version")]
    #[error(
        "the module was built for hookswitch:module{}, and this host speaks hookswitch:module@{WIT_VERSION}: build it \
         with the `wit/` of this host, or upgrade the host",
        if module.is_empty() { " without a version".to_owned() } else { format!("@{module}") }
    )]
    WitVersion {
        /// The module's version; empty where it names none.
        module: String,
    },
    /// It does not target one of the three worlds.
    #[serde(rename = "module_world")]
    #[error(
        "the module fits none of the worlds: filter exports `configure` and `accept`, transform `configure` and `apply`, \
         router `configure` and `route`; {problem}"
    )]
    World {
        /// What was found instead.
        problem: String,
    },
    /// It imports what the host does not give.
    #[serde(rename = "module_import")]
    #[error("the module imports {import}, which this host does not give: {advice}")]
    Import {
        /// From where, and of a core module also what.
        import: Import,
        /// What to do.
        advice: String,
    },
    /// It uses a WebAssembly feature that the host refuses.
    #[serde(rename = "module_feature")]
    #[error("the module uses a refused WebAssembly feature ({feature}){}: {problem}. Build it without", at(Some(*offset)))]
    Feature {
        /// The feature's name.
        feature: String,
        /// What was found.
        problem: String,
        /// Where, in bytes from the beginning.
        offset: usize,
    },
    /// It needs more than any module may have.
    #[serde(rename = "module_limits")]
    #[error("the module needs more than a module may have: {problem}")]
    Limits {
        /// What, and the bound by its name in the config.
        problem: String,
    },
    /// Compiling it takes more memory than it may.
    #[serde(rename = "compile_memory")]
    #[error(
        "compiling the module takes more memory than the machine has to give, or than `runtime.compile_memory_bytes_max` = {max}: \
         is one of its functions huge? Build it with optimisations"
    )]
    CompileMemory {
        /// The bound in bytes.
        max: usize,
    },
    /// Compiling it takes more work than it may.
    #[serde(rename = "compile_cpu")]
    #[error(
        "compiling the module takes more CPU time than `runtime.compile_cpu_s_max` = {max_s} seconds: is one of its functions \
         huge? Build it with optimisations"
    )]
    CompileCpu {
        /// The bound in seconds of CPU time.
        max_s: u64,
    },
    /// Compiling it takes longer than it may.
    #[serde(rename = "compile_time")]
    #[error(
        "compiling the module takes longer than `runtime.compile_time_s_max` = {max_s} seconds: is one of its functions huge, \
         or the machine very busy? Build it with optimisations, or try again"
    )]
    CompileTime {
        /// The bound in seconds by the wall clock.
        max_s: u64,
    },
    /// The host could not compile it, through no fault of the module's.
    #[serde(rename = "module_host")]
    #[error("the host could not compile the module: {0}")]
    Host(String),
}

impl ModuleError {
    /// A stable code for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotWasm { .. } => "module_not_wasm",
            Self::Invalid { .. } => "module_invalid",
            Self::TooLarge { .. } => "module_too_large",
            Self::NoWit => "module_no_wit",
            Self::WitVersion { .. } => "module_wit_version",
            Self::World { .. } => "module_world",
            Self::Import { .. } => "module_import",
            Self::Feature { .. } => "module_feature",
            Self::Limits { .. } => "module_limits",
            Self::CompileMemory { .. } => "compile_memory",
            Self::CompileCpu { .. } => "compile_cpu",
            Self::CompileTime { .. } => "compile_time",
            Self::Host(_) => "module_host",
        }
    }

    pub(super) fn not_wasm(upload: &[u8]) -> Self {
        let beginning = match upload.get(..upload.len().min(8)) {
            None | Some([]) => "nothing".to_owned(),
            Some(bytes) => format!("`{}`", bytes.escape_ascii()),
        };
        let known = BEGINNINGS.iter().find(|(begins, _)| upload.starts_with(begins));
        Self::NotWasm { beginning, guess: known.map_or_else(String::new, |(_, guess)| (*guess).to_owned()) }
    }

    pub(super) fn invalid(problem: &str, offset: Option<usize>) -> Self {
        Self::Invalid { problem: cut(problem, TEXT_BYTES_MAX), offset }
    }

    pub(super) fn world(problem: &str) -> Self {
        Self::World { problem: cut(problem, TEXT_BYTES_MAX) }
    }

    pub(super) fn limits(problem: &str) -> Self {
        Self::Limits { problem: cut(problem, TEXT_BYTES_MAX) }
    }

    pub(super) fn import(import: Import) -> Self {
        let advice = advice(&import.from);
        Self::Import { import, advice }
    }

    pub(super) fn wit_version(module: &str) -> Self {
        Self::WitVersion { module: cut(module, TEXT_BYTES_MAX) }
    }

    pub(super) fn feature(missing: WasmFeatures, error: &wasmparser::Error) -> Self {
        let names: Vec<_> = missing.iter_names().map(|(name, _)| name).collect();
        let feature = names.join(", ").to_lowercase().replace('_', "-");
        Self::Feature { feature, problem: cut(error.message(), TEXT_BYTES_MAX), offset: error.offset() }
    }
}

fn at(offset: Option<usize>) -> String {
    offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_json_it_has_its_code_and_reads_back() {
        let errors = [
            ModuleError::not_wasm(b"PK"),
            ModuleError::invalid("cut off", Some(7)),
            ModuleError::TooLarge { given: 2, max: 1 },
            ModuleError::NoWit,
            ModuleError::wit_version("9.0.0"),
            ModuleError::world("it exports nothing"),
            ModuleError::import(Import { from: "wasi:cli/exit@0.2.0".to_owned(), names: Vec::new() }),
            ModuleError::Feature { feature: "gc".into(), problem: "a struct".into(), offset: 3 },
            ModuleError::limits("17 tables"),
            ModuleError::CompileMemory { max: 1 },
            ModuleError::CompileCpu { max_s: 1 },
            ModuleError::CompileTime { max_s: 1 },
            ModuleError::Host("out of luck".into()),
        ];
        for error in errors {
            let json = serde_json::to_value(&error).unwrap();
            assert_eq!(json["code"], error.code());
            assert_eq!(serde_json::from_value::<ModuleError>(json).unwrap(), error);
        }
    }
}
