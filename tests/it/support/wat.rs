//! Modules made here: small ones that differ from one another, and ones that keep the compiler busy.

use std::fmt::Write as _;
use std::path::Path;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A filter that accepts everything, in a few hundred bytes. Each `number` makes another module.
pub(crate) fn small_filter(number: u32) -> Vec<u8> {
    filter(&format!("(global i32 (i32.const {number}))"))
}

/// The same with this many functions, each of which takes the compiler a good part of a second.
pub(crate) fn slow_filter(functions: u32) -> Vec<u8> {
    let mut more = String::new();
    for number in 0..functions {
        write!(more, "(func (param i64) (local {}) ", "i64 ".repeat(60)).unwrap();
        // Values that live long, in many blocks: the work is in finding a register for each.
        for step in 0..6_000_u32 {
            let (a, b) = (1 + step * 7 % 60, 1 + (step * 13 + number) % 60);
            write!(more, "(block (br_if 0 (i64.eqz (local.get {a}))) ").unwrap();
            write!(more, "(local.set {b} (i64.add (local.get {a}) (i64.mul (local.get {b}) (i64.const {step})))))")
                .unwrap();
        }
        more.push(')');
    }
    filter(&more)
}

fn filter(more: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module (memory (export "memory") 17)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
            (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
            (func (export "accept") (param i32) (result i32) (i32.const 0))
            {more})"#
    );
    let mut core = wat::parse_str(wat).unwrap();
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&wit).unwrap();
    let world = resolve.select_world(&[package], Some("filter")).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    core
}
