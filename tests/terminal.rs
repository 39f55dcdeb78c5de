//! The binary in a terminal of its own, as a person sees it: what is on the screen, keys that are pressed, a window that changes
//! its size. Never knows what is right.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::Workspace;

/// So long something may take before a test gives up and says what it saw instead.
const GIVE_UP: Duration = Duration::from_secs(120);

/// A terminal with a program in it.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    pub(crate) child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, ..PtySize::default() }
}

fn some(length: u16) -> NonZeroU16 {
    NonZeroU16::new(length).unwrap()
}

impl Terminal {
    /// Starts the binary in the folder of a workspace.
    pub(crate) fn start(workspace: &Workspace, arguments: &[&str], rows: u16, cols: u16) -> Self {
        Self::with(workspace, arguments, &[], rows, cols)
    }

    /// The same with variables of the environment.
    pub(crate) fn with(
        workspace: &Workspace,
        arguments: &[&str],
        variables: &[(&str, &str)],
        rows: u16,
        cols: u16,
    ) -> Self {
        let pair = native_pty_system().openpty(size(rows, cols)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_reconcile"));
        command.args(arguments);
        command.cwd(workspace.path());
        for name in ["NO_COLOR", "RUST_BACKTRACE", "RECONCILE_CONFIG", "LINES", "COLUMNS"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        variables.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(some(rows), some(cols), 1000)));
        let (mut output, seen) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The other end closes with an error on Linux.
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                seen.lock().unwrap().process(&bytes[..read]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, keys, child, screen, reader: Some(reader) }
    }

    /// What is on the screen, without blanks at the ends of lines.
    pub(crate) fn text(&self) -> String {
        let text = self.screen.lock().unwrap().screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// Looks at the screen itself.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.screen.lock().unwrap().screen())
    }

    /// Waits until the screen is as it is described.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.text();
            if is(&text) {
                return text;
            }
            assert!(begun.elapsed() < GIVE_UP, "the screen never shows {what}:\n{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub(crate) fn wait_for(&self, wanted: &str) -> String {
        self.wait(&format!("`{wanted}`"), |text| text.contains(wanted))
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Gives the window another size.
    pub(crate) fn resize(&mut self, rows: u16, cols: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(some(rows), some(cols));
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// Waits for the end of the program, and gives its status and what is on the screen then.
    #[track_caller]
    pub(crate) fn end(mut self) -> (u32, String) {
        let status = self.child.wait().unwrap().exit_code();
        self.reader.take().unwrap().join().unwrap();
        (status, self.text())
    }
}
