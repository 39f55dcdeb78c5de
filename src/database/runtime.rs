//! The one runtime that clients of databases work on, begun when the first is needed. It runs no code of the core.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Threads that carry bytes between sockets and memory; the rows are decoded elsewhere.
const THREADS: usize = 2;

/// The runtime.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("database").enable_all();
        builder.build().expect("the system gives a process two threads and a poll")
    })
}

/// Waits for a future, on a thread that is not the runtime's own.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}
