//! What Go makes, without WASI.

use super::*;
use crate::model::World;
use crate::runtime::without_wasi;

#[test]
fn a_module_that_imports_wasi_becomes_one_that_a_host_takes() {
    let core = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1)
        (func (export "_initialize")
            (if (i32.ne (call $time (i32.const 0) (i64.const 0) (i32.const 8)) (i32.const 0)) (then unreachable))
            (if (i64.eqz (i64.load (i32.const 8))) (then unreachable))
            (if (i32.ne (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8)) (then unreachable))
            (i64.store (i32.const 8) (i64.const 0)))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
        (func (export "accept") (param i32) (result i32) (i32.const 0)))"#;
    let core = wat::parse_str(core).expect("WebAssembly text");
    let component = without_wasi(&core, World::Filter).expect("a component");
    let module = RUNTIME.compile(&component).expect("taken");
    assert!(module.configure("{}").result.is_ok(), "`_initialize` ran, and the stubs answered as they should");
    assert!(without_wasi(&core, World::Transform).is_err());
    assert!(without_wasi(b"no module", World::Filter).is_err());
}
