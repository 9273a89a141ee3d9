//! What stands between the host and a module's function: the macros that export it, and what they call.
//!
//! What must hold: `configure` runs before the function, and the exports exist only in WebAssembly. A native build has a libc
//! with an `accept` of its own, and must not get a second one.

use std::sync::Once;

use serde::de::DeserializeOwned;

use crate::{Event, Failure, Message, log, settings};

/// A module's function: settings `S`, answer `T`.
pub type Function<S, T> = fn(&S, &Event, &Message) -> Result<T, Failure>;

/// Fails to compile where the function does not fit its world, on any target.
pub const fn check<S: DeserializeOwned + 'static, T>(_: Function<S, T>) {}

/// Parses the settings that the function wants and keeps them for the call.
pub fn configure<S: DeserializeOwned + 'static, T>(_: Function<S, T>, text: &str) -> Result<(), Failure> {
    log_panics();
    settings::parse::<S>(text).map(settings::keep)
}

/// Calls the function with the settings that `configure` kept.
pub fn call<S: 'static, T>(function: Function<S, T>, event: &Event, message: &Message) -> Result<T, Failure> {
    settings::with(|settings| function(settings, event, message))
}

/// A panic becomes a trap, and all a host sees of a trap is that it happened: so the words go to the trace before.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cfg!(target_arch = "wasm32") {
            std::panic::set_hook(Box::new(|panic| log::error(panic.to_string())));
        }
    });
}

/// Makes this crate a filter: `filter!(function)` with
/// `fn function(settings: &S, event: &Event, message: &Message) -> Result<Decision, Failure>`, where `S` is `serde::Deserialize`.
#[macro_export]
macro_rules! filter {
    ($function:path) => {
        const _: () = $crate::module::check::<_, $crate::Decision>($function);
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Module;
            impl $crate::bindings::filter::Guest for Module {
                fn configure(settings: String) -> Result<(), $crate::Failure> {
                    $crate::module::configure($function, &settings)
                }
                fn accept(event: $crate::Event, message: $crate::Message) -> Result<$crate::Decision, $crate::Failure> {
                    $crate::module::call($function, &event, &message)
                }
            }
    $crate::bindings::filter::export_filter!(Module with_types_in $crate::bindings::filter);
        };
    };
}

/// Makes this crate a transform: `transform!(function)` with
/// `fn function(settings: &S, event: &Event, message: &Message) -> Result<Vec<Output>, Failure>`, where `S` is
/// `serde::Deserialize`. An empty list ends the run.
#[macro_export]
macro_rules! transform {
    ($function:path) => {
        const _: () = $crate::module::check::<_, ::std::vec::Vec<$crate::Output>>($function);
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Module;
            impl $crate::bindings::transform::Guest for Module {
                fn configure(settings: String) -> Result<(), $crate::Failure> {
                    $crate::module::configure($function, &settings)
                }
                fn apply(
                    event: $crate::Event,
                    message: $crate::Message,
                ) -> Result<Vec<$crate::Output>, $crate::Failure> {
                    $crate::module::call($function, &event, &message)
                }
            }
    $crate::bindings::transform::export_transform!(Module with_types_in $crate::bindings::transform);
        };
    };
}

/// Makes this crate a router: `router!(function)` with
/// `fn function(settings: &S, event: &Event, message: &Message) -> Result<Vec<Dispatch>, Failure>`, where `S` is
/// `serde::Deserialize`. An empty list ends the run.
#[macro_export]
macro_rules! router {
    ($function:path) => {
        const _: () = $crate::module::check::<_, ::std::vec::Vec<$crate::Dispatch>>($function);
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Module;
            impl $crate::bindings::router::Guest for Module {
                fn configure(settings: String) -> Result<(), $crate::Failure> {
                    $crate::module::configure($function, &settings)
                }
                fn route(
                    event: $crate::Event,
                    message: $crate::Message,
                ) -> Result<Vec<$crate::Dispatch>, $crate::Failure> {
                    $crate::module::call($function, &event, &message)
                }
            }
    $crate::bindings::router::export_router!(Module with_types_in $crate::bindings::router);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, accept, reject};

    #[derive(serde::Deserialize)]
    struct Wanted {
        event_type: String,
    }

    crate::filter!(wanted);

    fn wanted(settings: &Wanted, event: &Event, _: &Message) -> Result<crate::Decision, Failure> {
        Ok(if event.event_type == settings.event_type { accept() } else { reject("another type") })
    }

    #[test]
    fn a_call_gets_the_settings_that_were_configured() {
        let event = Event { event_type: "push".to_owned(), ..Event::default() };
        configure(wanted, r#"{"event_type": "push"}"#).unwrap();
        assert_eq!(call(wanted, &event, &Message::default()), Ok(accept()));
        configure(wanted, r#"{"event_type": "ping"}"#).unwrap();
        assert_eq!(call(wanted, &event, &Message::default()), Ok(reject("another type")));
    }

    #[test]
    fn a_call_before_configure_is_a_failure() {
        fn never(_: &String, _: &Event, _: &Message) -> Result<Vec<Output>, Failure> {
            Ok(Vec::new())
        }
        assert_eq!(call(never, &Event::default(), &Message::default()).unwrap_err().code, "settings-invalid");
    }
}
