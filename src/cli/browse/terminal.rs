//! Takes the terminal for a while and gives it back as it was: at the end, after an error, where something panics, and where
//! a signal comes. It draws nothing itself.

use std::io::{self, Stdout, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What is drawn on.
pub(super) type Screen = Terminal<CrosstermBackend<Stdout>>;

/// Set while the terminal is taken, so that it is given back once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is taken.
struct Taken;

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Where the terminal itself is gone nobody is left to tell.
        let _ = disable_raw_mode();
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

/// Ends the process some time after a signal asked for it: where the terminal itself is gone, whoever waits for its keys may never
/// learn that none will come.
fn end_what_waits(signal: &AtomicUsize) {
    const PATIENCE: Duration = Duration::from_secs(2);
    const LOOK: Duration = Duration::from_millis(100);
    while TAKEN.load(Ordering::SeqCst) {
        std::thread::sleep(LOOK);
        if let Ok(number @ 1..) = i32::try_from(signal.load(Ordering::Relaxed)) {
            std::thread::sleep(PATIENCE);
            if TAKEN.load(Ordering::SeqCst) {
                give_back();
                // It returns only where the signal is one that ends nothing.
                let _ = signal_hook::low_level::emulate_default_handler(number);
            }
        }
    }
}

/// Does some work on a terminal that shows nothing but that. `stopped` tells the signal that asked for an end.
pub(super) fn on_terminal<T>(
    work: impl FnOnce(&mut Screen, &dyn Fn() -> Option<i32>) -> io::Result<T>,
) -> io::Result<T> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(number, Arc::clone(&signal), usize::try_from(number).unwrap_or(0))?;
    }
    // What a panic says belongs on the screen that was there before.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        usual(panic);
    }));
    TAKEN.store(true, Ordering::SeqCst);
    let taken = Taken;
    let seen = Arc::clone(&signal);
    std::thread::spawn(move || end_what_waits(&seen));
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen)?;
    let mut screen = Terminal::new(CrosstermBackend::new(stdout()))?;
    let stopped =
        || Some(signal.load(Ordering::Relaxed)).filter(|signal| *signal > 0).and_then(|signal| signal.try_into().ok());
    let done = work(&mut screen, &stopped);
    drop(taken);
    done
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    const CHILD: &str = "RECONCILE_TEST_PANICS";

    /// Runs itself again in a terminal of its own, where it panics.
    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        if std::env::var_os(CHILD).is_some() {
            crate::console::explain_defects();
            let ended: io::Result<()> = on_terminal(|screen, _| {
                screen.draw(|frame| frame.render_widget("taken", frame.area()))?;
                panic!("on purpose")
            });
            unreachable!("{ended:?}");
        }
        let pair = native_pty_system().openpty(PtySize { rows: 24, cols: 200, ..PtySize::default() }).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args([
            "cli::browse::terminal::tests::a_panic_gives_the_terminal_back_before_it_is_told",
            "--exact",
            "--nocapture",
        ]);
        command.env(CHILD, "1");
        command.env("TERM", "xterm");
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let mut bytes = Vec::new();
        // The other end closes with an error on Linux; what was read by then is all there is.
        let _ = reader.read_to_end(&mut bytes);
        assert!(!child.wait().unwrap().success());
        let said = String::from_utf8_lossy(&bytes);
        let [taken, given, told] = ["\u{1b}[?1049h", "\u{1b}[?1049l", "on purpose"].map(|text| said.find(text));
        assert!(taken.is_some() && taken < given && given < told, "{said:?}");
    }
}
